"""CONTRIBUTING.md says what is touched to add something; here it is added, in a copy, and nothing else is touched."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import pytest

from meta_tests.adapters.test_adapters_document import EXAMPLE
from meta_tests.common.process import ROOT, suite

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# heading -> the list below it
LISTS = dict(re.findall(r"^\*\*(a \w+)\*\*.*?\n((?:\d\..*\n(?:   .*\n)*)+)", CONTRIBUTING, re.MULTILINE))
CORPUS = "tests/properties/test_corpus.py"
TOY = "meta_tests.toy.adapter"


def tracked(root: Path) -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if (root / name).is_file()]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what git tracks, but for the published record."""
    for name in tracked(ROOT):
        if not name.startswith("evidence/published/"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


def edit(path: Path, before: str, after: str) -> None:
    """Put `after` in the place of `before`, which is there once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), encoding="utf-8")


def touched(clone: Path) -> set[str]:
    """The files that are not as they are tracked, without those that a run leaves."""
    names = {path.relative_to(clone).as_posix() for path in clone.rglob("*") if path.is_file()}
    ours = {name for name in names if not re.match(r"out/|\.hypothesis/|.*__pycache__/|run.*\.json", name)}
    return {
        name for name in ours if not (ROOT / name).exists() or (ROOT / name).read_bytes() != (clone / name).read_bytes()
    }


def run_module(clone: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def outcomes(record: Path) -> dict[str, Counter[str]]:
    """Target -> outcome -> how many verdicts a record has of it."""
    found: dict[str, Counter[str]] = {}
    for line in map(json.loads, record.read_text(encoding="utf-8").splitlines()):
        if line["kind"] == "verdict":
            found.setdefault(line["target"], Counter())[line["outcome"]] += 1
    return found


def paths(heading: str) -> list[str]:
    """The files that a list names, as patterns."""
    named = re.findall(r"`([\w./*]+/[\w./*]*)`|\]\(([\w./]+)\)", LISTS[heading])
    return [re.sub(r"NAME|FRAMEWORK|FAMILY", "*", one or other) for one, other in named]


def beyond(heading: str, names: set[str]) -> list[str]:
    """The files that a list does not name; one of a folder that it names is named."""
    return [name for name in names if not any(fnmatch(name, f"{p}*" if p.endswith("/") else p) for p in paths(heading))]


def test_every_list_is_there_and_names_what_exists() -> None:
    assert list(LISTS) == ["a cell", "a framework", "a feature", "a finding", "a fault"]
    for heading in LISTS:
        assert [path for path in paths(heading) if not list(ROOT.glob(path))] == [], heading
    assert beyond("a fault", {"reference/faults/new.py", "docs/faults.md", "harness/target.py"}) == [
        "harness/target.py"
    ]


def test_a_cell_is_a_file_a_mapping_and_a_corpus(clone: Path) -> None:
    """The toy: the reference computes it at once, its own adapter maps its weights, and no other adapter is asked."""
    shutil.copyfile(clone / "meta_tests/toy/cells/pair.py", clone / "reference/cells/toy_pair.py")
    (clone / "plain.py").write_text(EXAMPLE, encoding="utf-8")
    run_module(clone, "meta_tests.make_corpus", "toy_pair")
    new = {"reference/cells/toy_pair.py", "evidence/record/corpora/toy_pair.jsonl"}
    assert touched(clone) == new | {"plain.py"}
    assert beyond("a cell", new) == []
    asked = (CORPUS, "-k", "toy_pair and test_the_corpus")
    judged = ("--framework=reference", f"--adapter={TOY}:Toy", "--adapter=plain:PlainLoop")
    run = suite(*asked, *judged, "--evidence=run.json", root=clone)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    assert outcomes(clone / "run.json") == {
        "reference cpu": {"agrees": 42},
        "toy cpu": {"agrees": 12, "not offered": 30},
        "plain loop cpu": {"not offered": 42},
    }
    wrong = suite(*asked, f"--adapter={TOY}:Swapping", "--no-shrink", root=clone)
    assert wrong.returncode == pytest.ExitCode.TESTS_FAILED, wrong.stdout[-3000:] + wrong.stderr
    assert "12 failed" in wrong.stdout


def test_a_framework_is_a_folder_and_a_line(clone: Path) -> None:
    """A plain loop in NumPy, which needs no extra."""
    (clone / "adapters/plain").mkdir()
    (clone / "adapters/plain/__init__.py").touch()
    (clone / "adapters/plain/adapter.py").write_text(EXAMPLE, encoding="utf-8")
    line = '    "plain": ("adapters.plain.adapter:PlainLoop", "numpy", "pip install numpy"),\n'
    edit(clone / "adapters/__init__.py", "KNOWN = {\n", f"KNOWN = {{\n{line}")
    new = {"adapters/__init__.py", "adapters/plain/__init__.py", "adapters/plain/adapter.py"}
    assert touched(clone) == new
    assert beyond("a framework", new) == []
    assert "shapes and dtypes: ok" in run_module(clone, "adapters", "plain", "--check")
    run = suite("tests/properties", "-k", "self_check or test_the_corpus", "--framework=plain", "--evidence=run.json",
                root=clone)  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    assert outcomes(clone / "run.json")["plain loop cpu"]["agrees"] > 20


def test_a_feature_is_a_word_and_who_offers_it(clone: Path) -> None:
    """A mode: the reference's adapter offers it, and an adapter that was written before is not asked."""
    (clone / "plain.py").write_text(EXAMPLE, encoding="utf-8")
    edit(clone / "adapters/capabilities.py", "MODES = {\n", 'MODES = {\n    "asleep": "a toy",\n')
    edit(clone / "adapters/numpy/adapter.py", "offers=(", 'offers=(("mode", "asleep"), ')
    new = {"adapters/capabilities.py", "adapters/numpy/adapter.py"}
    assert touched(clone) == new | {"plain.py"}
    assert beyond("a feature", new) == []
    asked = ("tests/properties", "-k", "asleep", "--adapter=plain:PlainLoop", "--framework=reference")
    run = suite(*asked, "--evidence=run.json", root=clone)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    found = outcomes(clone / "run.json")
    assert found["plain loop cpu"].keys() == {"not offered"}
    assert found["reference cpu"].keys() == {"agrees"}


def test_a_fault_is_a_row(clone: Path) -> None:
    """In the catalogue, and so in an adapter that the suite must reject."""
    row = '    ("output_is_zero", "the output is zero", ALWAYS, of_output(np.zeros_like)),\n'
    edit(clone / "reference/faults/outputs.py", '    "outputs",\n', f'    "outputs",\n{row}')
    assert touched(clone) == {"reference/faults/outputs.py"}
    assert beyond("a fault", touched(clone)) == []
    planted = "import os\nos.environ['RNN_PLANTED_IN'] = 'reference'"
    run = suite(CORPUS, "-k", "plain", "--adapter=meta_tests.common.faulty:output_is_zero", "--no-shrink", "-x",
                before=planted, root=clone)  # fmt: skip
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout[-3000:] + run.stderr
    assert "diagnosis: agrees with the reference if the output is zero" in run.stdout


def test_a_finding_is_a_file(clone: Path) -> None:
    """Of the reference, which has no fault: the run says that it is gone."""
    toml = """
        id = "F-990"
        title = "The reference ignores lengths"
        kind = "fault"
        framework = "reference"
        link = "none known"
        avoid = "Do not."
        versions = { wrong = ["1.0"], right = [] }
        trigger = { lengths = ["mixed"] }
        what = { fault = "lengths_ignored" }
        case = { input_size = 3, hidden_size = 5, batch = 2, time = 4, lengths = [4, 2] }
    """
    (clone / "findings/F-990.toml").write_text(toml, encoding="utf-8")
    assert touched(clone) == {"findings/F-990.toml"}
    assert beyond("a finding", touched(clone)) == []
    run = suite("tests/properties/test_findings.py", "--framework=reference", root=clone)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    assert "reference cpu: gone, the case agrees now: F-990" in run.stdout
    assert "F-990 present" not in run_module(clone, "rnn_equivalence", "findings", "--framework", "reference")
