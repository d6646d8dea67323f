"""From which size on an adapter is wrong: what a failing test says of it, and how many cases it asks for that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from adapters import Result
from adapters.running.trial import Trial
from harness import failures
from harness.failures import Failure
from harness.sizes import Search, sizes_of, told
from meta_tests.common.property_cases import faulty_answer
from reference import Case, RNNSpec, judge
from reference.draws import draw_case
from reference.faults import FAULTS

LARGE = draw_case(RNNSpec(3, 20), batch=2, time=3, seed=5)
WRONG: dict[str, tuple[Callable[[Case], bool], str]] = {
    "from a size on": (lambda case: case.spec.hidden_size >= 16, "right up to 15 units, wrong from 16"),
    "in a tail": (lambda case: case.spec.hidden_size % 8 == 4, "21, 33 and 65 units, wrong with 20"),
    "on two axes": (lambda case: min(case.spec.hidden_size, 9 * case.x.shape[1]) >= 18, "right up to 1 step, wrong"),
    "below a size": (lambda case: case.x.shape[0] < 3, "wrong up to 2 sequences, right from 3"),
}


class Asked:
    """An adapter that is the reference, but for a fault where `wrong` says so; it counts what it is asked."""

    def __init__(self, wrong: Callable[[Case], bool], fault: str = "b_hh_ignored") -> None:
        self.wrong, self.fault, self.count = wrong, FAULTS[fault], 0

    def __call__(self, case: Case) -> Trial:
        self.count += 1
        answer = Result(*faulty_answer([self.fault] if self.wrong(case) else [], case))
        verdict = judge(case, *answer)
        return Trial("some", "1", "cpu", case, verdict.outcome, verdict, answer=answer)


@pytest.fixture(autouse=True)
def _first_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_named", "_diagnosed", "_searched", "_unexplained"):
        monkeypatch.setattr(failures, name, type(getattr(failures, name))())


@pytest.mark.parametrize("which", WRONG)
def test_the_size_that_decides_is_told(which: str) -> None:
    wrong, words = WRONG[which]
    ask = Asked(wrong)
    text = str(Failure("tested", ask(LARGE), "replay", ask))
    assert words in text
    assert "answered rightly: it depends on the size" in text
    assert ask.count < 60


def test_numbers_that_decide_are_no_size() -> None:
    ask = Asked(lambda case: bool(np.array_equal(case.x, LARGE.x)))
    text = str(Failure("tested", ask(LARGE), "replay", ask))
    assert "answered rightly: it depends on the numbers\n    another case of these sizes is answered rightly" in text


@pytest.mark.parametrize("most", [3, 12])
def test_no_more_are_asked_than_may_be(most: int) -> None:
    ask = Asked(lambda case: case.spec.hidden_size >= 16)
    assert [*Search(LARGE, ask, most).thresholds()]
    assert ask.count == most


def test_what_cannot_be_told_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A like case that is vacuous, refused or not offered says nothing."""
    ask = Asked(lambda _case: True)
    refused = lambda case: ask(case) if sizes_of(case) == sizes_of(LARGE) else replace(ask(case), outcome="refused")  # noqa: E731
    assert [*Search(LARGE, refused, 48).thresholds()] == []


def test_the_words() -> None:
    assert told({15: False, 16: True, 17: True, 1: False}, "units") == "right up to 15 units, wrong from 16"
    assert told({1: True, 2: False}, "layers") == "wrong up to 1 layer, right from 2"
    assert told({1: True, 2: False, 3: True}, "steps") == "right with 2 steps, wrong with 1 and 3"
