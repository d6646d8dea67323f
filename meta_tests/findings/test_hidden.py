"""Where nothing can be expected of an answer, no other finding is judged by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.running.trial import Trial
from findings import Finding, all_findings
from findings.states import State, state_of, unless_of_others

KNOWN = {finding.id: finding for finding in all_findings()}
MEMORY = KNOWN["F-070"]  # of lengths of 0, forward
OTHER = replace(MEMORY, id="F-999", what=replace(MEMORY.what, not_expressible=None, arithmetic="everything"))
ELSEWHERE = replace(OTHER, case=replace(MEMORY.case, direction="reverse"))


class Asked(Exception):
    """It was."""


def ask(*given: Any) -> Trial:
    raise Asked


@pytest.mark.parametrize(("other", "hidden"), [(OTHER, True), (ELSEWHERE, False), (MEMORY, False)])
def test_a_finding_is_not_asked_where_another_says_that_nothing_can_be_expected(other: Finding, hidden: bool) -> None:
    assert MEMORY.hides(other) is hidden
    assert not other.hides(MEMORY)
    adapter: Any = object()
    if hidden:
        assert state_of(other, adapter, "cpu", ask, [MEMORY]).state == "not asked"
    with pytest.raises(Asked):
        state_of(other, adapter, "cpu", ask, [] if hidden else [MEMORY])


def test_a_case_that_may_end_the_process_runs_in_one_of_its_own() -> None:
    isolated = []

    def asked(case: Any, mode: str, idiom: str, isolate: bool) -> Trial:
        isolated.append(isolate)
        return Trial("onnxruntime", "1.24.4", "cpu", case, "crashed", message="Died: the process died: SIGSEGV")

    adapter: Any = object()
    for finding in (MEMORY, replace(MEMORY, case=replace(MEMORY.case, isolate=False))):
        assert state_of(finding, adapter, "cpu", asked).state == "present"
    assert isolated == [True, False]


@pytest.mark.parametrize(("state", "present", "expected"), [
    ("changed", True, "not asked"), ("changed", False, "changed"), ("present", True, "present"),
])  # fmt: skip
def test_a_finding_is_not_asked_by_a_case_that_shows_another_alone(state: str, present: bool, expected: str) -> None:
    other = KNOWN["F-060"]  # of stacked cells with a mask, as F-103, and with another exception
    finding, raised = KNOWN["F-103"], str(other.what.exception)
    trial = Trial("keras", "3.8.0", "cpu", finding.case.case(), "crashed", message=raised, idiom=finding.case.idiom)
    told = unless_of_others(State(finding, state, trial), [other] * present)
    assert told.state == expected
