"""A failing test's text: the diagnosis in it, confirmed by other cases, and what earlier failures spare it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from adapters import Result
from adapters.running.trial import Trial
from harness import failures
from harness.failures import Failure
from meta_tests.common.diagnosis import diagnosed, usual
from meta_tests.common.property_cases import faulty_answer
from reference import Case, Diagnosis, RNNSpec, judge
from reference.draws import draw_case
from reference.faults import FAULTS


def failure(
    adapter: str, fault: str, case: Case, device: str = "cpu", where: Callable[[Case], bool] = lambda _case: True
) -> Failure:
    """A failing test's text, of an adapter that is the reference with a fault, in the cases that `where` chooses."""

    def ask(case: Case) -> Trial:
        answer = Result(*faulty_answer([FAULTS[fault]] if where(case) else [], case))
        verdict = judge(case, *answer)
        return Trial(adapter, "1", device, case, verdict.outcome, verdict, answer=answer)

    return Failure("tested", ask(case), "replay", ask)


def test_a_failing_test_says_what_other_cases_confirm() -> None:
    """In the smallest case several faults fit; the others leave one, which is tried first from then on."""
    small = draw_case(RNNSpec(1, 1), batch=1, time=1, rounded=True)
    assert len(diagnosed("x_ignored", case=small).explanations) > 1
    first = failure("one", "x_ignored", small)
    assert "\n  diagnosis: agrees with the reference if x is ignored (error " in str(first)
    assert "this explains the answers to 2 other cases as well\n  replay: replay" in str(first)
    assert str(failure("one", "x_ignored", small)) == str(first)
    again = [str(failure(adapter, "x_ignored", usual("forward"))) for adapter in ("one", "another")]
    assert ["other cases" in text for text in again] == [False, True], "it is not confirmed again of the same adapter"


def test_a_fault_in_small_cases_alone_is_not_confirmed() -> None:
    """An adapter that ignores x where the batch is 1: other cases agree, and every explanation is in doubt."""
    small = draw_case(RNNSpec(1, 1), batch=1, time=1, rounded=True)
    text = str(failure("small", "x_ignored", small, where=lambda case: case.x.shape[0] == 1))
    assert (
        "2 other cases are answered rightly: it depends on the size\n    wrong up to 1 sequence, right from 2\n" in text
    )


def test_the_same_case_with_another_answer_is_diagnosed_anew() -> None:
    case = usual("forward")
    assert "b_hh is ignored" in str(failure("two devices", "b_hh_ignored", case, device="cpu"))
    assert "w_hh is transposed" in str(failure("two devices", "w_hh_transposed", case, device="cuda"))


def test_an_adapter_that_nothing_explains_is_not_diagnosed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "MOST_UNEXPLAINED", 2)
    monkeypatch.setattr(Trial, "diagnosis", lambda _self, _faults=None: Diagnosis(tried=3))
    texts = [str(failure("odd", "x_ignored", usual(bias=bias))) for bias in (True, False)]
    assert all("agrees with none of the 3 known faults" in text for text in texts)
    last = failure("odd", "x_ignored", usual("forward"))
    assert "diagnosis" not in str(last)
    assert last.causes() == [failures.UNKNOWN]


def test_failures_of_one_cause_say_so_in_the_same_words() -> None:
    """Whatever the case; of an exception without its numbers, which differ."""
    several = [failure("same", "b_hh_ignored", usual(way)) for way in ("forward", "reverse")]
    assert [one.causes()[0] for one in several] == ["b_hh is ignored"] * 2
    crashed = replace(several[0].trial, outcome="crashed", verdict=None, answer=None)
    trials = [replace(crashed, message=f"OSError: {number} bytes\nmore") for number in (3, 17)]
    texts = [replace(several[0], trial=trial).causes() for trial in trials]
    assert texts == [["crashed: OSError: # bytes"]] * 2
