"""pytest --evidence, run as its user runs it: what it writes, and what is left when it is killed."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

pytest.importorskip("pydantic")

from adapters import Capabilities, Result, Unsupported
from evidence.record import corpus
from evidence.record.journal import Journal, finish, partial_path
from evidence.record.reader import read
from evidence.record.runs import miscounts
from harness.recording import Recording, journal_of
from meta_tests.common.command import main as evidence
from meta_tests.common.records import few, record
from meta_tests.common.references import Answerless, Integer, Listing, Mirror, Odd, Unsure
from reference import RNNSpec
from reference.draws import draw_case

ROOT = Path(__file__).parents[3]
CORPUS = "tests/properties/test_corpus.py"
MIRROR = ("--adapter", "meta_tests.common.references:Mirror", "--device", "cpu")


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
    assert {line.corpus for line in only.verdicts} == {*corpus.cases()}
    assert all(line.answer for line in only.verdicts if line.property == "corpus" and line.outcome == "agrees")
    assert only.end is not None
    assert only.end.tests == {"passed": 742}
    assert only.end.selection == f"only {CORPUS} was run"
    assert [path.name for path in tmp_path.iterdir() if "run.json" in path.name] == ["run.json"]
    test = next(ElementTree.parse(tmp_path / "run.xml").iter("testcase"))
    found = {entry.attrib["name"]: entry.attrib["value"] for entry in test.iter("property")}
    assert found == {"adapter": "mirror", "version": "1.2", "device": "cpu", "cases": found["cases"]}
    assert " of 742 tests, " in run.stdout
    assert " a second: mirror 1.2 on cpu, test_the_corpus" in run.stdout


def test_what_is_killed_in_mid_run_loses_nothing_and_says_so(tmp_path: Path) -> None:
    """SIGKILL, to all of its processes: every case that was judged is in the file, and the file says incomplete."""
    path, notes = tmp_path / "run.json", tmp_path / "notes"
    process = subprocess.Popen(
        command(CORPUS, "--adapter=meta_tests.common.references:Noting", "--device=cpu", "-n2", f"--evidence={path}"),
        cwd=ROOT, env=environment(RNN_NOTES=str(notes)), start_new_session=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + 240
        while not (notes.exists() and notes.read_text().count("waiting") == 2):
            assert time.monotonic() < until, "both processes should have come to their 30th case"
            assert process.poll() is None, "pytest should not have ended"
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not path.exists()
    (run,) = read(partial_path(path)).runs
    assert run.incomplete == "it was cut off in mid-run"
    assert not run.header.complete
    judged = [corpus.cases()[line.corpus].x for line in run.verdicts if line.corpus and line.answer]
    answered = set(notes.read_text().split()) - {"waiting"}
    assert len(answered) > 29
    assert answered == {hashlib.sha256(x.tobytes()).hexdigest() for x in judged}
    checked = subprocess.run([sys.executable, "-m", "rnn_equivalence", "verify", str(path) + ".partial"], cwd=ROOT,
                             capture_output=True, text=True, check=False)  # fmt: skip
    assert checked.returncode == 1
    assert "it was cut off in mid-run" in checked.stdout
    again = suite(CORPUS, *MIRROR, "--evidence", str(path))
    assert again.returncode == pytest.ExitCode.USAGE_ERROR
    assert "its run was cut off before it ended" in again.stderr


def test_a_failing_case_is_kept_and_a_skipped_or_failed_test_has_its_words(tmp_path: Path) -> None:
    run = suite("tests/properties/test_equivalence.py", "-k", "drawn or saturated or agree and forward and float32",
                "--adapter=meta_tests.common.references:Doubling", "--device=cpu", f"--evidence={tmp_path}/run.json",
                HYPOTHESIS_PROFILE="default")  # fmt: skip
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    (only,) = read(tmp_path / "run.json").runs
    assert only.header.run.seed is not None, "cases that are drawn anew must be drawn again"
    kept = [line.content for line in only.verdicts if line.content is not None]
    wrong = [line for line in only.verdicts if line.outcome == "disagrees"]
    assert len(wrong) > len(kept) >= 1
    assert kept == sorted(kept, key=len, reverse=True), "each is smaller than all before it"
    assert len(only.tests) == only.end.tests["failed"]
    assert "disagrees (value)" in next(iter(only.tests)).message
    assert "deselected" in only.end.selection


def test_a_record_that_cannot_be_finished_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full at the end: the run fails, and what was reached is named."""
    journal = Journal(tmp_path / "run.json")
    monkeypatch.setattr(journal, "finish", functools.partial(_full, "No space left on device"))
    session, said = SimpleNamespace(exitstatus=0), list[str]()
    recorder = Recording(journal, SimpleNamespace(getoption=str))
    recorder.begun = True
    recorder.finish(session, "")
    recorder.tell(SimpleNamespace(write_line=said.append))
    assert session.exitstatus == pytest.ExitCode.INTERNAL_ERROR
    assert said == [f"NOT recorded: No space left on device; what was reached is in {partial_path(journal.path)}"]


def _full(words: str, *_: object) -> None:
    raise OSError(words)


FOLDER = "expected the name of a file in a folder that exists"


@pytest.mark.parametrize(
    ("named", "collects", "words"),
    [
        (".", False, FOLDER),
        ("no/such/folder/run.json", False, FOLDER),
        ("pipe", False, FOLDER),
        ("long" * 100, False, "File name too long"),
        ("run.json", True, "a run that only collects its tests has nothing to record"),
    ],
)
def test_a_name_that_cannot_be_written_is_an_error(named: str, collects: bool, words: str, tmp_path: Path) -> None:
    """In one sentence, and nothing is moved."""
    os.mkfifo(tmp_path / "pipe")
    given = {"--evidence": named, "collectonly": collects}
    with pytest.raises(pytest.UsageError, match=f"^--evidence: .*{words}"):
        journal_of(SimpleNamespace(getoption=given.get, invocation_params=SimpleNamespace(dir=tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_name_that_cannot_be_written_ends_the_run() -> None:
    run = suite(CORPUS, *MIRROR, "--evidence=.")
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert FOLDER in run.stderr


def test_a_line_that_is_not_written_whole_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "run.json")
    journal.begin({"kind": "header"})
    monkeypatch.setattr(os, "write", lambda handle, data: len(data) - 1)
    with pytest.raises(OSError, match="is the disk full"):
        journal.write({"kind": "test"})


def test_a_torn_line_is_left_out_and_the_run_is_incomplete(tmp_path: Path) -> None:
    """As when a process is killed while it writes: the next line of another process is not lost with it."""
    journal = Journal(tmp_path / "run.json")
    whole = record(tmp_path / "whole.json", Mirror()).path.read_bytes().splitlines(keepends=True)
    partial_path(journal.path).write_bytes(
        whole[0].replace(b'"complete": true', b'"complete":false') + whole[1][:50] + b"\n" + b"".join(whole[2:-1])
    )
    (run,) = read(partial_path(journal.path)).runs
    assert len(run.verdicts) == len(whole) - 3
    journal.finish(0, "", {"passed": 1})
    (run,) = read(journal.path).runs
    assert len(run.verdicts) == len(whole) - 3
    assert run.incomplete == "1 of its lines were torn"


def cut_off(path: Path, *more: bytes) -> Path:
    """The partial file of a run that was killed after its last verdict."""
    first, *others, _ = record(path, Mirror()).path.read_bytes().splitlines(keepends=True)
    path.unlink()
    partial = partial_path(path)
    partial.write_bytes(b"".join([first.replace(b'"complete": true', b'"complete":false'), *others, *more]))
    return partial


@pytest.mark.parametrize(("more", "torn"), [((), 0), ((b'{"kind":"verd', b"\n", b'{"kind":"test"'), 2)])
def test_a_run_that_was_cut_off_can_be_closed(tmp_path: Path, more: tuple[bytes, ...], torn: int) -> None:
    """It keeps every whole line, and every reader says that it is incomplete."""
    partial = cut_off(tmp_path / "run.json", *more)
    before = partial.read_bytes()
    assert evidence(["finish", str(partial)]) == 0
    (run,) = read(tmp_path / "run.json").runs
    assert run.incomplete == f"it was cut off in mid-run{', and 2 of its lines were torn' if torn else ''}"
    assert run.end is not None
    assert (run.end.exit_status, run.end.tests, run.end.torn) == (-1, {}, torn)
    assert (tmp_path / "run.json").read_bytes().splitlines()[1:-1] == before.splitlines()[1 : len(few()) + 1]
    assert not list(miscounts(run))
    assert not partial.exists()
    assert evidence(["verify", str(tmp_path / "run.json")]) == 1


def test_nothing_is_copied_to_end_a_run(tmp_path: Path) -> None:
    """Its lines stay where they are: the file is the same one, under another name."""
    partial = cut_off(tmp_path / "run.json")
    there, bytes_before = partial.stat().st_ino, partial.read_bytes()
    finish(partial)
    assert (tmp_path / "run.json").stat().st_ino == there
    assert (
        (tmp_path / "run.json").read_bytes().startswith(bytes_before.replace(b'"complete":false', b'"complete": true'))
    )


def test_a_run_that_is_killed_while_it_ends_can_be_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every step: before the last line, within it, and before the file has its name."""
    partial = cut_off(tmp_path / "run.json")
    whole, said = partial.read_bytes().replace(b'"complete":false', b'"complete": true'), []
    for more in (b"", b'{"kind":"end","fini'):
        partial.write_bytes(whole + more)
        assert read(partial).runs[0].incomplete == "its end was cut off after it was written"
        finish(partial)
        said.append(read(tmp_path / "run.json").runs[0].incomplete)
        (tmp_path / "run.json").rename(partial)
    assert said == ["it was cut off in mid-run", "it was cut off in mid-run, and 1 of its lines were torn"]
    assert evidence(["finish", str(partial)]) == 2, "it has its last line, and lacks nothing but its name"


def test_what_cannot_be_closed_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    partial = cut_off(tmp_path / "run.json")
    record(tmp_path / "other.json", Mirror())
    (tmp_path / "garbage.json.partial").write_bytes(b"garbage")
    writing = Journal(tmp_path / "going.json")
    writing.begin(json.loads(partial.read_bytes().splitlines()[0]))
    (tmp_path / "run.json").touch()
    for name, words in (
        ("run.json.partial", "would become run.json, expected a name that is free"),
        ("other.json", "has its last line"),
        ("garbage.json.partial", "got a file that begins b'garbage'"),
        ("going.json.partial", "a run is still writing it, expected one that was cut off"),
        ("none.partial", "no such file"),
    ):
        before = (tmp_path / name).read_bytes() if (tmp_path / name).exists() else b""
        assert evidence(["finish", str(tmp_path / name)]) == 2
        assert words in capsys.readouterr().err
        assert ((tmp_path / name).read_bytes() if before else b"") == before
    with pytest.raises(FileExistsError, match="another run is writing it"):
        Journal(tmp_path / "going.json").begin({"kind": "header"})
    with pytest.raises(
        FileExistsError, match=r"its run was cut off .* rnn_equivalence finish run\.json\.partial closes it"
    ):
        Journal(tmp_path / "run.json").begin({"kind": "header"})


@pytest.mark.parametrize(("name", "begins"), [("run.json.gz", b"\x1f\x8b"), ("run.json.xz", b"\xfd7zXZ")])
def test_a_compressed_record_of_a_run(tmp_path: Path, name: str, begins: bytes) -> None:
    """The partial file is plain, whatever the name: a compressed one could not be read after it was cut off."""
    plain, packed = (record(tmp_path / one, Mirror()) for one in ("run.json", name))
    assert [line.answer for line in plain.runs[0].verdicts] == [line.answer for line in packed.runs[0].verdicts]
    assert packed.path.read_bytes().startswith(begins)
    assert not partial_path(packed.path).exists()


def test_a_name_that_the_locale_cannot_write(tmp_path: Path) -> None:
    """Where Python knows ASCII alone, such a name has bytes that are no letters to it: they are taken as they are."""
    code = """
import sys
from pathlib import Path
from meta_tests.common.command import main
from meta_tests.common.references import Mirror
from meta_tests.common.records import record
path = Path(sys.argv[1])
assert "Pr\\udcc3\\udcbcfung" in str(path)
record(path, Mirror())
path.rename(path.with_suffix(".gz"))
record(path, Mirror())
sys.exit(main(["verify", sys.argv[1] + ".gone"]) + main(["diff", str(path), str(path)]))
"""
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    (tmp_path / "Prüfung").mkdir()
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path / "Prüfung" / "run.json")], cwd=tmp_path,
                         env=environment(**variables), capture_output=True, check=False)  # fmt: skip
    assert run.returncode == 2, run.stderr.decode()
    assert b"no such file" in run.stderr
    assert read(tmp_path / "Prüfung" / "run.json").runs


def test_after_a_short_write_the_next_line_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "run.json")
    journal.begin({"kind": "header"})
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:5]))
    with pytest.raises(OSError, match="is the disk full"):
        journal.write({"kind": "test", "test": "one"})
    monkeypatch.setattr(os, "write", write)
    journal.write({"kind": "test", "test": "two"})
    assert partial_path(journal.path).read_bytes().splitlines()[-1] == b'{"kind":"test","test":"two"}'


def test_an_earlier_record_is_not_taken_for_this_run(tmp_path: Path) -> None:
    record(tmp_path / "run.json", Mirror())
    Journal(tmp_path / "run.json").begin({"kind": "header"})
    assert not (tmp_path / "run.json").exists()
    assert read(tmp_path / "run.json.old").runs


def test_what_an_adapter_says_of_itself_becomes_text_and_no_folder_is_named(tmp_path: Path) -> None:
    evidence = record(tmp_path / "run.json", Odd())
    target = evidence.runs[0].header.targets[0]
    assert target.backend == "None"
    assert target.environment == {"half": "0.5", "1": "['a', 'list']", "path": "<home>/data", "none": None}
    message = next(iter(evidence.runs[0].verdicts)).message
    assert message == "no such file: <home>/\\udcff"
    assert str(Path.home()) not in evidence.path.read_text()
    with pytest.raises(pytest.UsageError, match=r"environment\(\) gave list, expected a dict"):
        record(tmp_path / "list.json", Listing())
    (run,) = record(tmp_path / "unsure.json", Unsure()).runs
    assert run.header.targets[0].environment == {"environment()": "raised RuntimeError: no such call"}
    assert not partial_path(tmp_path / "list.json").exists()


@pytest.mark.parametrize("adapter", [Answerless, Integer])
def test_an_answer_of_another_kind_is_recorded_as_wrong(adapter: type[Mirror], tmp_path: Path) -> None:
    (run,) = record(tmp_path / "run.json", adapter()).runs
    assert {line.outcome for line in run.verdicts} == {"disagrees"}
    assert {line.verdict.reason for line in run.verdicts if line.verdict} == {"dtype"}
    assert len(run.verdicts) == len(few())


def test_a_part_of_the_suite_says_so(tmp_path: Path) -> None:
    """Files that are ignored, and a run that stops at its first failure."""
    path = tmp_path / "run.json"
    run = suite("tests/properties", *MIRROR, "--ignore=tests/properties/test_relations.py", "-k", "test_every_layer",
                "--evidence", str(path))  # fmt: skip
    assert run.returncode in (0, 1), run.stdout
    assert read(path).runs[0].end.selection
    run = suite(
        CORPUS, "-x", "--adapter", "meta_tests.common.references:Doubling", "--device", "cpu", "--evidence", str(path)
    )
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    assert read(path).runs[0].end.selection == "stopping after 1 failures"


def test_a_case_that_was_not_offered_as_declared_is_not_kept(tmp_path: Path) -> None:
    """The reason says all there is to say; one that is not declared is kept."""

    class Limited(Mirror):
        capabilities = Capabilities({("dtype", "float32"): "too wide"}, offers=(("mask", True),))

        def run(self, module: Any, **inputs: Any) -> Result:
            raise Unsupported("today")

    cases = [draw_case(RNNSpec(2, 3), batch=1, time=2, dtype=dtype) for dtype in ("float32", "float64")]
    (run,) = record(tmp_path / "run.json", Limited(), cases=cases).runs
    assert [(line.outcome, line.content is not None) for line in run.verdicts] == [
        ("not offered", False),
        ("not offered", True),
    ]
