"""The difference of two records: what became of each case, go or no-go, and what cannot be compared."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

pytest.importorskip("pydantic")
pytest.importorskip("rich")

import adapters
from evidence.compare.changes import KINDS, NO_GO, conclusion, json_parts, to_markdown
from evidence.compare.difference import difference, ulps_apart
from evidence.record import corpus
from evidence.record.ledger import Ledger
from evidence.record.reader import Evidence, Unusable, read
from evidence.record.schema import VerdictLine
from meta_tests.common import command
from meta_tests.common.records import ask, edited, few, record, recording
from meta_tests.common.references import Crashing, Doubling, Mirror, Moved, Refusing

GO = (
    "GO: 7 of 7 cases of the corpus, in all modes, were answered in both (100 %); no case is lost or now outside its "
    "bound (7 moved)"
)
FEATURES = "tests/properties/test_equivalence.py::test_what_is_declared_unsupported_is_refused[mirror-cpu-features]"


@pytest.fixture
def old(tmp_path: Path) -> Evidence:
    return record(tmp_path / "old.json", Mirror())


def of(old: Evidence, adapter: Mirror, cases=None) -> tuple[dict[str, int], bool]:
    """Counts of the difference to the old run, and whether it is a go."""
    found = difference(old, record(old.path.with_name("new.json"), adapter, cases=cases))
    return dict(found.counts()), found.go


def test_the_same_bits(old: Evidence) -> None:
    assert of(old, Mirror()) == ({"same bits": 7}, True)


def test_moved_within_the_bound_and_how_far(old: Evidence) -> None:
    found = difference(old, record(old.path.with_name("new.json"), Moved()))
    assert dict(found.counts()) == {"moved": 7}
    assert {change.ulps for change in found.changes} == {1.0}
    assert found.versions == {"mirror cpu": ("1.2", "1.3")}
    assert conclusion(found) == GO


@pytest.mark.parametrize(
    ("adapter", "kind"), [(Doubling, "now outside"), (Crashing, "now outside"), (Refusing, "now not offered")]
)
def test_a_regression_is_a_no_go(old: Evidence, adapter: type[Mirror], kind: str) -> None:
    assert of(old, adapter()) == ({kind: 7}, False)


def test_what_was_wrong_is_now_inside_or_still_outside(tmp_path: Path) -> None:
    wrong = record(tmp_path / "old.json", Doubling())
    assert of(wrong, Mirror()) == ({"now inside": 7}, True)
    assert of(wrong, Doubling()) == ({"still outside": 7}, True)
    refused = record(tmp_path / "refused.json", Refusing())
    assert of(refused, Crashing()) == ({"now outside": 7}, False)


def test_a_case_is_compared_in_each_mode(tmp_path: Path) -> None:
    """Refused in a mode it is in both runs; refused as it is called usually, it is lost."""

    def of(name: str) -> Evidence:
        adapter = adapters.load(f"meta_tests.common.references:{name}")
        with recording(tmp_path / f"{name}.json", adapter) as (target,):
            for mode in ("eager", "saved"):
                ask(target, FEATURES, "features", few()[0], mode=mode)
        return read(tmp_path / f"{name}.json")

    found = difference(of("Mirror"), of("Refusing"))
    assert (dict(found.counts()), found.go) == ({"now not offered": 1, "still not offered": 1}, False)
    assert [change.place.mode for change in found.changes if change.kind == "now not offered"] == ["eager"]


def test_very_many_questions_take_little_memory(old: Evidence) -> None:
    """Of a question 600 bytes are kept, both sides and their tables together: 400,000 of them fit in 300 MB."""

    class Many:
        """As many lines as a long run has, each made when it is asked for."""

        def __len__(self) -> int:
            return 5_000

        def __iter__(self) -> Iterator[VerdictLine]:
            line = next(iter(old.runs[0].verdicts))
            return (
                line.model_copy(update={"case": f"{i:016x}", "corpus": None if i else line.corpus})
                for i in range(5_000)
            )

    end = old.runs[0].end.model_copy(
        update={"lines": 5_002, "tests": {}, "outcomes": {"mirror cpu": {"agrees": 5_000}},
                "cells": [cell.model_copy(update={"outcomes": {"agrees": 5_000} if i == 0 else {}})
                          for i, cell in enumerate(old.runs[0].end.cells)]}
    )  # fmt: skip
    ledger = Ledger(combinations=Counter({("mirror cpu", "corpus", *map(str, end.cells[0].cell), "agrees"): 5_000}))
    many = replace(old, runs=(replace(old.runs[0], verdicts=Many(), end=end, ledger=ledger),))
    tracemalloc.start()
    try:
        found = difference(many, many)
        assert found.counts() == {"same bits": 5_000}
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert used < 600 * 5_000


def test_a_missing_case_is_a_no_go_and_a_new_one_is_not(old: Evidence) -> None:
    assert of(old, Mirror(), few()[1:]) == ({"missing": 1, "same bits": 6}, False)
    shorter = record(old.path.with_name("shorter.json"), Mirror(), cases=few()[1:])
    assert difference(shorter, old).counts() == {"new": 1, "same bits": 6}
    assert difference(shorter, old).go


def test_a_drawn_case_counts_only_where_the_new_run_fails(old: Evidence) -> None:
    """Another seed draws other cases: they are no loss, and no comparison; but a wrong answer is a wrong answer."""
    drawn = [replace(case, x=case.x / 2) for case in few()[:2]]
    found = difference(old, record(old.path.with_name("new.json"), Mirror(), cases=[*few(), *drawn]))
    assert (dict(found.counts()), found.not_compared) == ({"same bits": 7}, (0, 2))
    wrong_before = record(old.path.with_name("wrong.json"), Doubling())
    found = difference(wrong_before, record(old.path.with_name("new2.json"), Doubling(), cases=[*few(), *drawn]))
    assert dict(found.counts()) == {"still outside": 7, "outside, not asked before": 2}
    assert not found.go


def test_a_target_that_is_gone_is_missing(tmp_path: Path) -> None:
    class Other(Mirror):
        name = "other"

    both = record(tmp_path / "both.json", Mirror(), Other())
    one = record(tmp_path / "one.json", Mirror())
    assert dict(difference(both, one).counts()) == {"same bits": 7, "missing": 7}
    with pytest.raises(Unusable, match=r"nothing to compare: .*mirror cpu, .*other cpu"):
        difference(one, record(tmp_path / "other.json", Other()))


def test_runs_that_cannot_be_compared_are_refused(tmp_path: Path, old: Evidence) -> None:
    cut = record(tmp_path / "cut.json", Mirror(), status=3)
    with pytest.raises(Unusable, match="pytest ended with status 3; a run that did not end proves nothing"):
        difference(old, cut)
    header = old.runs[0].header
    run = replace(old.runs[0], header=header.model_copy(update={"corpora": {"elman": "0" * 64}}))
    with pytest.raises(Unusable, match="were asked different corpora"):
        difference(old, replace(old, runs=(run,)))


def test_two_versions_in_one_file_are_not_one_side(tmp_path: Path, old: Evidence) -> None:
    new = record(tmp_path / "new.json", Moved())
    both = replace(old, runs=(*old.runs, *new.runs))
    with pytest.raises(Unusable, match="mirror cpu in two versions"):
        difference(both, new)


def test_the_command_prints_and_exits_as_it_says(old: Evidence, capsys: pytest.CaptureFixture[str]) -> None:
    moved = record(old.path.with_name("moved.json"), Moved()).path
    wrong = record(old.path.with_name("wrong.json"), Doubling()).path
    assert command.main(["diff", str(old.path), str(moved)]) == 0
    assert GO in capsys.readouterr().out
    assert command.main(["diff", str(old.path), str(wrong), "--markdown"]) == 1
    assert "**NO-GO: 7 now outside**" in capsys.readouterr().out
    assert command.main(["diff", str(old.path), str(wrong), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["counts"]["now outside"] == 7
    assert command.main(["diff", str(old.path), str(edited(wrong, '"disagrees"', '"agrees"'))]) == 2
    assert "it was changed after it was written" in capsys.readouterr().err


def test_the_worst_come_first_and_no_more_than_ten(old: Evidence) -> None:
    found = difference(old, record(old.path.with_name("new.json"), Doubling()))
    fractions = [change.fractions[1] for change in found.worst()]
    assert fractions == sorted(fractions, reverse=True)
    assert len(found.worst(3)) == 3


def test_what_else_differs_is_listed(old: Evidence) -> None:
    header = old.runs[0].header
    environment = header.environment.model_copy(update={"NumPy": "1.0", "packages": {}})
    run = replace(old.runs[0], header=header.model_copy(update={"environment": environment}))
    found = difference(replace(old, runs=(run,)), old)
    assert found.environment["NumPy"] == ("1.0", np.__version__)
    assert found.environment["package numpy"] == (None, np.__version__)


def test_markup_in_a_field_stays_text(old: Evidence) -> None:
    target = old.runs[0].header.targets[0].model_copy(update={"version": "1|<b>[red]x[/red]</b>"})
    run = replace(old.runs[0], header=old.runs[0].header.model_copy(update={"targets": [target]}))
    found = difference(replace(old, runs=(run,)), old)
    assert r"1\|&lt;b&gt;\[red\]x\[/red\]&lt;/b&gt;" in to_markdown(found)
    assert json.loads("".join(json_parts(found)))["versions"]["mirror cpu"][0] == "1|<b>[red]x[/red]</b>"


def with_line(evidence: Evidence, index: int, **changes) -> Evidence:
    """The evidence with one verdict changed."""
    lines = list(evidence.runs[0].verdicts)
    lines[index] = lines[index].model_copy(update=changes)
    return replace(evidence, runs=(replace(evidence.runs[0], verdicts=tuple(lines), end=None),))


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that were put together here have no last line."""
    monkeypatch.setattr("evidence.compare.difference.miscounts", lambda run: ())
    monkeypatch.setattr("evidence.record.runs.Run.incomplete", "")


@pytest.mark.usefixtures("unchecked")
def test_a_bound_that_says_nothing_any_more_is_a_no_go(old: Evidence) -> None:
    found = difference(old, with_line(old, 0, outcome="vacuous"))
    assert (dict(found.counts()), found.go) == ({"same bits": 6, "now vacuous": 1}, False)


@pytest.mark.usefixtures("unchecked")
def test_of_a_case_asked_twice_the_worst_counts_and_two_answers_are_no_answer(old: Evidence) -> None:
    twice = replace(old, runs=(*old.runs, *with_line(old, 0, outcome="crashed").runs))
    assert difference(old, twice).counts()["now outside"] == 1
    with pytest.raises(Unusable, match="mirror cpu gave two answers to '000 "):
        difference(old, replace(old, runs=(*old.runs, *with_line(old, 0, answer_id="0" * 16).runs)))


def test_counts_that_are_not_those_of_the_verdicts_are_refused(old: Evidence) -> None:
    run = replace(old.runs[0], verdicts=tuple(old.runs[0].verdicts)[1:])
    with pytest.raises(Unusable, match="the last line speaks of 9 lines, there are 8"):
        difference(old, replace(old, runs=(run,)))


def test_where_nothing_was_compared_there_is_no_go(tmp_path: Path) -> None:
    empty = record(tmp_path / "empty.json", Mirror(), cases=[])
    refused = record(tmp_path / "refused.json", Refusing())
    for evidence in (empty, refused):
        with pytest.raises(Unusable, match="nothing to compare: no case of the corpus was answered"):
            difference(evidence, evidence)


def test_how_much_was_compared_and_what_failed_beside_it_is_said(old: Evidence) -> None:
    end = old.runs[0].end.model_copy(update={"tests": {"failed": 2, "error": 1}})
    failing = replace(old.runs[0], end=end, tests=())
    found = replace(difference(old, old), failed=3)
    assert difference(old, old).compared == 7
    assert f"7 of the {len(corpus.cases())} cases of the corpus were compared." in to_markdown(found)
    assert "3 tests of the new run failed." in to_markdown(found)
    with pytest.raises(Unusable, match="the last line speaks of 2 tests with failed, there are 0"):
        difference(old, replace(old, runs=(failing,)))


def test_every_no_go_is_a_kind() -> None:
    assert set(NO_GO) < set(KINDS)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_ulps_are_counted_by_numbers_between(dtype) -> None:
    one = np.array([1, -1, 0, 2], dtype=dtype)
    assert ulps_apart(one, one) == 0
    assert ulps_apart(one, np.nextafter(one, np.array(3, dtype=dtype))) == 1
    below, above = np.array([-0.0, 0.0], dtype=dtype), np.array([0.0, -0.0], dtype=dtype)
    assert ulps_apart(below, above) == 0
    tiny = np.nextafter(np.array([0], dtype=dtype), np.array([1], dtype=dtype))
    assert ulps_apart(tiny, -tiny) == 2
    eps = float(ml_dtypes.finfo(dtype).eps)
    assert ulps_apart(np.array([1], dtype=dtype), np.array([2], dtype=dtype)) == 1 / eps


def test_ulps_of_nan_infinity_and_nothing() -> None:
    nan, one = np.array([np.nan], dtype="f4"), np.array([1], dtype="f4")
    assert ulps_apart(nan, -nan) == 0
    assert ulps_apart(nan, one) == float("inf")
    assert ulps_apart(np.array([np.inf], dtype="f4"), np.array([np.finfo("f4").max])) == 1
    assert ulps_apart(nan[:0], one[:0]) == 0
