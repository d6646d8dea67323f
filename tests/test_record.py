"""pytest --evidence, run as its user runs it: what it writes, and what is left when it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("pydantic")

from evidence.journal import Journal, partial_path
from evidence.reading import read

ROOT = Path(__file__).parents[1]
CORPUS = "tests/properties/test_corpus.py"
MIRROR = ("--adapter", "tests.mirror:Mirror", "--device", "cpu")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments]


def environment(**variables: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | variables


def suite(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=ROOT, env=environment(**variables), capture_output=True, text=True,
                          check=False)  # fmt: skip


def test_every_verdict_is_recorded_by_all_processes(tmp_path: Path) -> None:
    run = suite(CORPUS, *MIRROR, "-n", "2", "--evidence", str(tmp_path / "run.json"), "--progress", "1e-9",
                f"--junitxml={tmp_path / 'run.xml'}", HYPOTHESIS_PROFILE="ci")  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    evidence = read(tmp_path / "run.json")
    (only,) = evidence.runs
    assert not only.incomplete
    assert only.header.run.seed is None, "the ci profile draws the same cases every time"
    assert [target.version for target in only.header.targets] == ["1.2"]
    assert len({line.corpus for line in only.verdicts}) == 354
    assert all(line.answer for line in only.verdicts if line.property == "corpus")
    assert only.end is not None
    assert only.end.tests == {"passed": 356}
    assert only.end.selection == f"only {CORPUS} was run"
    assert [path.name for path in tmp_path.iterdir() if "run.json" in path.name] == ["run.json"]
    test = next(ElementTree.parse(tmp_path / "run.xml").iter("testcase"))
    found = {entry.attrib["name"]: entry.attrib["value"] for entry in test.iter("property")}
    assert found == {"adapter": "mirror", "version": "1.2", "device": "cpu", "cases": found["cases"]}
    assert " of 356 tests, " in run.stdout
    assert " a second: mirror 1.2 on cpu, test_the_corpus" in run.stdout


def test_what_is_killed_in_mid_run_loses_nothing_and_says_so(tmp_path: Path) -> None:
    """SIGKILL, to all of its processes: every case that was judged is in the file, and the file says incomplete."""
    path, notes = tmp_path / "run.json", tmp_path / "notes"
    process = subprocess.Popen(
        command(CORPUS, "--adapter", "tests.mirror:Noting", "--device", "cpu", "-n", "2", "--evidence", str(path)),
        cwd=ROOT, env=environment(RNN_NOTES=str(notes)), start_new_session=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    until = time.monotonic() + 120
    while not (notes.exists() and notes.read_text().count("\n") > 100) and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not path.exists()
    (run,) = read(partial_path(path)).runs
    assert run.incomplete == "it was cut off in mid-run"
    assert not run.header.complete
    judged = sum(1 + len(line.answer.prefixes or ()) for line in run.verdicts if line.answer)
    unjudged = 2 * 10  # an answer and its prefixes, in each of two processes, may not have been judged yet
    assert judged >= notes.read_text().count("\n") - unjudged
    checked = subprocess.run([sys.executable, "-m", "evidence", "verify", str(path) + ".partial"], cwd=ROOT,
                             capture_output=True, text=True, check=False)  # fmt: skip
    assert checked.returncode == 1
    assert "it was cut off in mid-run" in checked.stdout
    again = suite(CORPUS, *MIRROR, "--evidence", str(path))
    assert again.returncode == pytest.ExitCode.USAGE_ERROR
    assert "one was cut off before it ended" in again.stderr


def test_a_failing_case_is_kept_and_a_skipped_or_failed_test_has_its_words(tmp_path: Path) -> None:
    run = suite("tests/properties/test_equivalence.py", "-k", "drawn or saturated or agree and forward and float32",
                "--adapter", "tests.mirror:Doubling", "--device", "cpu", "--evidence", str(tmp_path / "run.json"),
                HYPOTHESIS_PROFILE="default")  # fmt: skip
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    (only,) = read(tmp_path / "run.json").runs
    assert only.header.run.seed is not None, "cases that are drawn anew must be drawn again"
    kept = [json.dumps(line.content) for line in only.verdicts if line.content is not None]
    wrong = [line for line in only.verdicts if line.outcome == "disagrees"]
    assert len(wrong) > len(kept) >= 1
    assert kept == sorted(kept, key=len, reverse=True), "each is smaller than all before it"
    assert len(only.tests) == only.end.tests["failed"]
    assert "disagrees (value)" in only.tests[0].message
    assert "deselected" in only.end.selection


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--evidence", "."], "expected the name of a file in a folder that exists"),
        (["--evidence", "no/such/folder/run.json"], "expected the name of a file in a folder that exists"),
        (["--evidence", "run.json", "--collect-only"], "a run that only collects its tests has nothing to record"),
    ],
)
def test_a_name_that_cannot_be_written_is_an_error(arguments: list[str], words: str) -> None:
    run = suite(CORPUS, *MIRROR, *arguments)
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert words in run.stderr


def test_a_line_that_is_not_written_whole_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "run.json")
    journal.begin({"kind": "header"})
    monkeypatch.setattr(os, "write", lambda handle, data: len(data) - 1)
    with pytest.raises(OSError, match="is the disk full"):
        journal.write({"kind": "test"})
