"""What the documents name is there: paths, links, modules and sessions; and the quick start installs what it needs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from findings import all_findings

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
    text = (ROOT / "docs" / "running.md").read_text(encoding="utf-8").replace("\\\n", " ")
    given = re.search(r"pip install -c constraints.txt (numpy .*)", text)
    assert given
    assert set(given[1].split()) == {re.split("[>=]", one)[0] for one in needed} | {"torch"}


ORDER = ("What a run looks like", "Three doors", "What it found", "Targets and cells", "A port, and whether it is one",
         "What it does not claim", "More")  # fmt: skip


def test_the_readme_is_short_and_in_its_order() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 140
    assert tuple(re.findall(r"^## (.*)$", text, re.MULTILINE)) == ORDER


def test_what_it_found_says_what_the_findings_say() -> None:
    known = {one.id: one for one in all_findings()}
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## What it found")[1].split("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \| (.+) \(\[(F-\d+)\]\([^)]+\)\) \| <?(.+?)>? \|$", section, re.MULTILINE)
    assert len(rows) == 5
    for seen, title, name, link in rows:
        one = known[name]
        versions = list(one.wrong)
        assert seen in (", ".join(versions), f"{versions[0]} to {versions[-1]}")
        assert (title, link) == (one.title, one.link)


def test_the_action_is_shown_with_a_version_and_uses_others_by_commit() -> None:
    for name in DOCUMENTS:
        for used in re.findall(r"uses: \w+/rnn-equivalence@(\S+)", (ROOT / name).read_text(encoding="utf-8")):
            assert re.fullmatch(r"v\d+\.\d+\.\d+", used), name
    for path in (ROOT / "action.yml", *(ROOT / ".github" / "workflows").glob("*.yml")):
        used = re.findall(r"uses: (?!\./)(\S+)", path.read_text(encoding="utf-8"))
        assert used
        assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", one) for one in used)


def test_no_input_of_the_action_stands_in_a_shell() -> None:
    """It reaches one by the environment, where it is a word and no command."""
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    shells = re.findall(r"^      run: (?:\|\n((?:^        .*\n|\n)+)|(.*)\n)", text, re.MULTILINE)
    assert len(shells) == text.count("shell: bash")
    assert not [script for script in shells if "${{" in "".join(script)]
