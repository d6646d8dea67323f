"""What the documents name is there: paths, links, modules and sessions; and the quick start installs what it needs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "meta_tests/README.md",
    *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
)
ROOMS = r"\.github|docs|reference|adapters|harness|tests|meta_tests|evidence|rnn_equivalence|benchmarks"
PATH = re.compile(rf"(?<![\w./-])((?:{ROOMS})/[\w.*/-]*\w[\w*/]*)")
LINK = re.compile(r"\]\(((?!https?:|#)[^)#\s]+)")
MODULE = re.compile(rf"python3? -m ((?:{ROOMS})[\w.]*)")
SESSION = re.compile(r'nox -s "?(\w+)')


def missing(text: str, folder: Path) -> Iterator[str]:
    """What a document in a folder names and is not there. NAME, FRAMEWORK and FAMILY stand for any word."""
    for path in PATH.findall(text):
        if not any(any(base.glob(re.sub("NAME|FRAMEWORK|FAMILY", "*", path))) for base in (ROOT, folder)):
            yield path
    yield from (link for link in LINK.findall(text) if not (folder / link).exists())
    for module in MODULE.findall(text):
        path = ROOT / module.rstrip(".").replace(".", "/")
        if not path.with_suffix(".py").is_file() and not (path / "__main__.py").is_file():
            yield module
    sessions = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    yield from (name for name in SESSION.findall(text) if f"\ndef {name}(session" not in sessions)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_a_document_names_exists(name: str) -> None:
    document = ROOT / name
    assert list(missing(document.read_text(encoding="utf-8"), document.parent)) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("see `adapters/torch/reverse.py`", "adapters/torch/reverse.py"),
        ("`reference/NOTHING/FAMILY.py`", "reference/NOTHING/FAMILY.py"),
        ("[this](../gone.md)", "../gone.md"),
        ("python -m harness.make_corpus", "harness.make_corpus"),
        ("python3 -m nox -s evidences", "evidences"),
    ],
)
def test_planted_what_is_not_there_is_named(text: str, name: str) -> None:
    assert list(missing(text, ROOT / "docs")) == [name]


def test_the_quick_start_installs_what_the_suite_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["evidence"], *extras["proof"]]
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    given = re.search(r"pip install -c constraints.txt (numpy .*)", text)
    assert given
    assert set(given[1].split()) == {re.split("[>=]", one)[0] for one in needed} | {"torch"}
