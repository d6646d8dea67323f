"""Whether the version at hand has a finding, as its pinned case says, and whether findings explain a wrong answer."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.contract import Adapter, features_of_case
from adapters.running.child import ISOLATED, Child, ChildStack
from adapters.running.trial import Stack, Trial, examine
from reference import Case
from reference.bounds.arithmetic import arithmetic
from reference.diagnosis.faulty import judge_planted
from reference.judging.partial import judge_view

from .finding import Finding, all_findings

STATES = {
    "present": "the answer to its case is as wrong as it says",
    "gone": "the answer to its case is right",
    "changed": "the answer to its case is wrong in another way",
    "not asked": "its device or idiom is not here, or its case shows others alone, or nothing is expected of it",
}
MOST_AT_ONCE = 4  # findings that explain one answer together; an LSTM in tract has as many
# asks a case in a mode and an idiom, in a process of its own where that is True
Ask = Callable[[Case, str, str, bool], Trial]


@dataclass(frozen=True)
class State:
    """A finding, and what its pinned case says of it here.

    state: one of STATES.  trial: what came of the case; None where it was not asked.
    """

    finding: Finding
    state: str
    trial: Trial | None = None

    @property
    def present(self) -> bool:
        return self.state == "present"


def findings_of(adapter: Adapter) -> list[Finding]:
    return [one for one in all_findings() if one.concerns(adapter.name, getattr(adapter, "backend", ""))]


def states_of(adapter: Adapter, source: str, findings: Sequence[Finding] | None = None) -> list[State]:
    """The states of findings in the version at hand, each on the first device of its kind.

    source: what loads the adapter.  findings: all of its framework, on its backend, when None.
    """
    child, there = Child(source), adapter.devices()

    def state(finding: Finding, hiding: Sequence[Finding] = ()) -> State:
        device = next((one for one in there if one.startswith(finding.device)), there[0])

        def ask(case: Case, mode: str, idiom: str, isolate: bool) -> Trial:
            apart = ChildStack(child, adapter, case, device, mode, idiom) if isolate or mode in ISOLATED else None
            return examine(adapter, case, device, stack=apart or Stack(adapter, case, device, mode, idiom=idiom))

        return state_of(finding, adapter, device, ask, hiding)

    try:
        found = findings_of(adapter) if findings is None else findings
        first = [state(one) for one in found if one.what.not_expressible]
        hiding = [told.finding for told in first if told.present]
        known = {told.finding.id: told for told in first}
        several = [known.get(one.id) or state(one, hiding) for one in found]
        present = [one.finding for one in several if one.present]
        return [unless_of_others(one, present) for one in several]
    finally:
        child.close()


def triggered(trial: Trial, adapter: Adapter, source: str) -> list[Finding]:
    """The findings that the version at hand has, and that a trial's case triggers; they need not show in its answer."""
    features = features_of_case(trial.case, trial.mode)
    inside = [one for one in findings_of(adapter) if one.holds(features, trial.idiom)]
    return [state.finding for state in states_of(adapter, source, inside) if state.present] if inside else []


def told(
    trial: Trial, adapter: Adapter, source: str, bound: str | None = None, present: Sequence[Finding] | None = None
) -> Trial:
    """What came of a case, by the findings that the version at hand has: "finding" or "left out" where they say so.

    present: what `triggered` answers, where that is known.
    """
    if trial.outcome not in ("disagrees", "crashed"):
        return trial
    present = triggered(trial, adapter, source) if present is None else present
    features = features_of_case(trial.case, trial.mode)
    if reason := left_out(present, features, trial.idiom):
        return replace(trial, outcome="left out", message=reason)
    return explained(trial, present, features, bound)


def state_of(finding: Finding, adapter: Adapter, device: str, ask: Ask, present: Sequence[Finding] = ()) -> State:
    """What the pinned case of a finding says here.  present: findings that are, and may hide it."""
    if not device.startswith(finding.device) or any(one.hides(finding) for one in present):
        return State(finding, "not asked")
    pinned, idioms = finding.case, getattr(adapter, "idioms", {})
    if pinned.idiom in idioms and idioms[pinned.idiom].absent:
        return State(finding, "not asked")
    isolate = pinned.isolate or (pinned.idiom in idioms and idioms[pinned.idiom].isolate)
    trial = ask(pinned.case(), pinned.mode, pinned.idiom, isolate)
    if trial.outcome == "agrees":
        return State(finding, "gone", trial)
    if finding.what.not_expressible and trial.outcome in ("disagrees", "crashed"):
        return State(finding, "present", replace(trial, outcome="finding", findings=(finding.id,)))
    told = explained(trial, [finding], pinned.features())
    return State(finding, "present" if told.findings == (finding.id,) else "changed", told)


def unless_of_others(state: State, present: Sequence[Finding]) -> State:
    """A state; "not asked" where others that are present hide it, or say just what came of a case that is wrong in
    another way."""
    if state.state != "changed" or state.trial is None:
        return state
    told = explained(state.trial, present, state.finding.case.features())
    hidden = any(one.hides(state.finding) for one in present)
    return State(state.finding, "not asked") if hidden or told.outcome == "finding" else state


def explained(trial: Trial, present: Sequence[Finding], features: Mapping[str, Any], bound: str | None = None) -> Trial:
    """The trial, with the outcome "finding" where findings that are present say just what came of its case.

    features: what the case asks for.  bound: by which it was judged.  The answer lies within the bounds of the
    reference with the faults planted, in the arithmetic of the finding; or the exception is the one.
    """
    inside = [*{one.id: one for one in present if one.holds(features, trial.idiom)}.values()]
    if trial.outcome == "crashed":
        raised = [one.id for one in inside if one.what.exception and one.what.exception.fits(trial.message)]
        return replace(trial, outcome="finding", findings=tuple(raised[:1])) if raised else trial
    if trial.outcome != "disagrees" or trial.answer is None:
        return trial
    sharpest_first = [*(one for one in inside if one.what.fault), *(one for one in inside if one.what.arithmetic)]
    for several in _together(sharpest_first):
        outcome = _judged(trial, several, bound)
        if outcome == "agrees" or (outcome == "vacuous" and _nan_as_said(trial, several)):
            return replace(trial, outcome="finding", findings=tuple(one.id for one in several))
        if outcome == "vacuous":
            return replace(trial, outcome="vacuous")
    return trial


def _nan_as_said(trial: Trial, several: Sequence[Finding]) -> bool:
    """Whether an answer has the NaN that an arithmetic of these says there may be: the bound says nothing there."""
    declared = (arithmetic(one.what.arithmetic) for one in several if one.what.arithmetic)
    non_finite = trial.verdict is not None and trial.verdict.reason == "non-finite"
    return non_finite and any(one.sigmoid_end < math.inf for one in declared)


def _together(findings: Sequence[Finding]) -> Iterator[tuple[Finding, ...]]:
    """One finding, then two, ...: of several, one alone may be an arithmetic."""
    for number in range(1, MOST_AT_ONCE + 1):
        for several in itertools.combinations(findings, number):
            if sum(one.what.arithmetic is not None for one in several) <= 1:
                yield several


def _judged(trial: Trial, several: Sequence[Finding], bound: str | None) -> str:
    """The verdict's outcome on an answer, by the reference that is as wrong as these findings say. Gradients of a
    layer whose forward pass is as wrong are of another layer, and not judged."""
    assert trial.answer is not None
    output, h_n, prefixes, gradients = trial.answer
    faults = [one.what.fault for one in several if one.what.fault]
    named = (*(one.what.arithmetic for one in several), *(fault.arithmetic for fault in faults))
    declared = next(filter(None, named), trial.arithmetic)
    lower = None if bound == "trajectory" else prefixes
    if not faults:
        return judge_view(trial.case, trial.view, output, h_n, lower, declared, bound, gradients).outcome
    asked = replace(trial.case, cotangents=None)
    return judge_planted(asked, output, h_n, prefixes, declared, faults, trial.view).outcome


def left_out(present: Sequence[Finding], features: Mapping[str, Any], idiom: str = "") -> str:
    """The id of the finding for which a case is left out: nothing can be expected of its answer. Empty where none."""
    return next((one.id for one in present if one.what.not_expressible and one.holds(features, idiom)), "")
