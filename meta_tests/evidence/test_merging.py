"""Merging: runs stay as they are, and those that cannot both be true are refused."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

from adapters import Capabilities, Refused
from adapters.capabilities import beyond_base
from evidence.merge import merge
from evidence.record.journal import Journal
from evidence.record.ledger import Ledger
from evidence.record.reader import Evidence, Unusable, read
from harness.recording import header
from harness.target import Target
from meta_tests.common import command
from meta_tests.common.records import edited, few, record, run
from meta_tests.common.references import Answerless, Crashing, Doubling, Mirror, Moved


class Eager(Mirror):
    capabilities = Capabilities(offers=beyond_base())

    def build(self, *arguments: Any, mode: str = "eager", **named: Any) -> Any:  # type: ignore[override]
        if mode != "eager":
            raise Refused(f"no {mode} here")
        return super().build(*arguments, **named)


class Other(Mirror):
    name, backend = "other", "numpy"


@pytest.fixture
def one(tmp_path: Path) -> Evidence:
    return record(tmp_path / "one.json", Mirror())


def test_runs_are_kept_as_they_are(tmp_path: Path, one: Evidence, capsys: pytest.CaptureFixture[str]) -> None:
    two = record(tmp_path / "two.json", Other())
    assert command.main(["merge", str(tmp_path / "all.json"), str(one.path), str(two.path)]) == 0
    both = read(tmp_path / "all.json")
    assert both.runs == one.runs + two.runs
    assert [target.label for run in both.runs for target in run.header.targets] == ["mirror cpu", "other/numpy cpu"]
    three = record(tmp_path / "three.json", Moved())
    merge([both, three], tmp_path / "more.json")
    assert read(tmp_path / "more.json").runs == (*both.runs, *three.runs)


def test_shards_of_one_target_stand_side_by_side(tmp_path: Path) -> None:
    parts = [record(tmp_path / f"{n}.json", Mirror(), cases=few()[n::2]) for n in range(2)]
    merge(parts, tmp_path / "all.json")
    assert sum(len(run.verdicts) for run in read(tmp_path / "all.json").runs) == len(few())


def test_a_case_that_one_mode_answers_and_another_refuses_is_no_contradiction(tmp_path: Path) -> None:
    """Every target of the published record has one: two runs of it, with the modes in any order, are merged."""
    modes = ("eager", "train")
    one, two = (asked_in(tmp_path / f"{modes.index(first)}.json", first, *(set(modes) - {first})) for first in modes)
    assert {line.outcome for line in one.runs[0].verdicts} == {"agrees", "refused"}
    merge([one, two], tmp_path / "all.json")
    assert len(read(tmp_path / "all.json").runs) == 2


def asked_in(path: Path, *modes: str) -> Evidence:
    """A record of one case in each mode; it has but one."""
    journal = Journal(path)
    target = Target(Eager(), "cpu", Ledger(), "meta_tests.evidence.test_merging:Eager", journal)
    journal.begin(header([target], [], run() | {"seed": len(path.name)}))
    for mode in modes:
        with contextlib.suppress(AssertionError):  # it is refused, and not declared
            target.check("corpus", few()[0], mode=mode)
    journal.finish(0, " ".join(modes), {"passed": len(modes)})
    return read(path)


def test_a_merged_file_cannot_be_changed(tmp_path: Path, one: Evidence) -> None:
    merge([one, record(tmp_path / "two.json", Other())], tmp_path / "all.json")
    lines = (tmp_path / "all.json").read_bytes().splitlines(keepends=True)
    end = next(index for index, line in enumerate(lines) if line.startswith(b'{"kind":"end"'))
    for other in ([*lines[end + 1 : -1], *lines[: end + 1], lines[-1]], [*lines[end + 1 :]]):
        (tmp_path / "other.json").write_bytes(b"".join(other))
        with pytest.raises(Unusable, match=r"it was changed after it was written|names other runs"):
            read(tmp_path / "other.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one, tmp: [one], "1 run to merge, expected at least two"),
        (lambda one, tmp: [one, one], "is in .*one.json already"),
        (lambda one, tmp: [one, record(tmp / "wrong.json", Doubling())], "contradict each other: mirror cpu 1.2"),
        (lambda one, tmp: [one, record(tmp / "crash.json", Crashing())], "contradict each other: mirror cpu 1.2"),
        (lambda one, tmp: [one, record(tmp / "shape.json", Answerless())], "contradict each other: mirror cpu 1.2"),
        (lambda one, tmp: [one, record(tmp / "cut.json", Mirror(), status=3)], "pytest ended with status 3"),
    ],
)
def test_what_cannot_be_merged_is_refused(tmp_path: Path, one: Evidence, change, words: str) -> None:
    with pytest.raises(Unusable, match=words):
        merge(change(one, tmp_path), tmp_path / "all.json")
    assert not (tmp_path / "all.json").exists()


def test_runs_of_other_states_of_the_suite_are_refused(
    tmp_path: Path, one: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.recording.suite", lambda: {"version": "0.0", "commit": None, "modified": None})
    with pytest.raises(Unusable, match="differ in their suite"):
        merge([one, record(tmp_path / "old.json", Other())], tmp_path / "all.json")


@pytest.mark.parametrize(
    ("field", "value"), [("corpora", {"elman": "0" * 64}), ("features", {"dtype": ["float32"]}), ("axes", ["dtype"])]
)
def test_runs_that_were_asked_other_things_are_refused(tmp_path: Path, one: Evidence, field: str, value) -> None:
    two = record(tmp_path / "two.json", Other())
    header = two.runs[0].header.model_copy(update={field: value})
    other = replace(two, runs=(replace(two.runs[0], header=header, end=None),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evidence.record.runs.Run.incomplete", "")
        patch.setattr("evidence.merge.miscounts", lambda run: ())
        with pytest.raises(Unusable, match=f"differ in their {field.replace('corpora', 'corpus')}"):
            merge([one, other], tmp_path / "all.json")


def test_no_file_is_written_over(tmp_path: Path, one: Evidence, capsys: pytest.CaptureFixture[str]) -> None:
    """The first name is the one to write: it is easily forgotten."""
    two = record(tmp_path / "two.json", Other())
    assert command.main(["merge", str(one.path), str(two.path), str(two.path)]) == 2
    assert "it is there already, and the first file named is the one to write" in capsys.readouterr().err
    assert command.main(["merge", str(tmp_path / "no" / "all.json"), str(one.path), str(two.path)]) == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_a_part_that_was_edited_is_refused(tmp_path: Path, one: Evidence, capsys: pytest.CaptureFixture[str]) -> None:
    two = record(tmp_path / "two.json", Other())
    parts = [str(one.path), str(edited(two.path, '"agrees"', '"refused"'))]
    assert command.main(["merge", str(tmp_path / "all.json"), *parts]) == 2
    assert "it was changed after it was written" in capsys.readouterr().err
