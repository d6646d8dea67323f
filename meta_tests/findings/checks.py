"""What must be true of every finding, whatever it is: each check says in words what is not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from adapters import FEATURES, Adapter, Result
from adapters.contract import Idiom, capabilities_on, idiom_of, idioms_of, result_of
from adapters.running.child import Child, ChildStack
from adapters.running.trial import Stack, Trial, examine
from findings import Finding, explained
from findings.finding import PLANTED
from findings.pinned import Pinned
from findings.states import findings_of, left_out, state_of, unless_of_others
from meta_tests.common.features import with_features
from reference import Case, CellParameters, Gradients, RNNSpec
from reference.diagnosis.explanation import visible
from reference.faults import Fault
from reference.faults.views import answer_with
from reference.judging.view import WHOLE, View
from reference.layout import each_state, state_tuple

DEVICE = "cpu"
LOUD = 0.25  # of the largest number: so far is a planted answer from the right one, and from the finding's own
MOST_PLANTED = 6


class Asked:
    """An adapter, and the states of the findings of its framework in the version at hand.

    findings: those that are known; those of findings/ when None.
    """

    def __init__(self, adapter: Adapter, source: str, findings: Sequence[Finding] | None = None) -> None:
        self.adapter, self.child = adapter, Child(source)
        known = findings_of(adapter) if findings is None else findings
        several = [state_of(one, adapter, DEVICE, self.ask) for one in known]
        present = [one.finding for one in several if one.present]
        self.states = {one.finding.id: unless_of_others(one, present) for one in several}

    def ask(self, case: Case, mode: str, idiom: str, isolate: bool) -> Trial:
        kind = ChildStack(self.child, self.adapter, case, DEVICE, mode, idiom) if isolate else None
        return examine(self.adapter, case, DEVICE, stack=kind or Stack(self.adapter, case, DEVICE, mode, idiom=idiom))

    def came(self, pinned: Pinned, present: Sequence[Finding]) -> Trial:
        """What came of a case, where these findings are present."""
        features, idiom = pinned.features(), idiom_of(self.adapter, pinned.idiom)
        if reason := (idiom.absent if idiom else "") or left_out(present, features, pinned.idiom):
            name, version = self.adapter.name, self.adapter.version
            return Trial(name, version, DEVICE, pinned.case(), "left out", message=reason)
        return explained(self.ask(pinned.case(), pinned.mode, pinned.idiom, self.isolates(pinned)), present, features)

    def isolates(self, pinned: Pinned) -> bool:
        idiom = idiom_of(self.adapter, pinned.idiom)
        return pinned.isolate or (idiom is not None and idiom.isolate)

    def present(self) -> list[Finding]:
        return [state.finding for state in self.states.values() if state.present]

    def allowed(self, pinned: Pinned, trial: Trial) -> bool:
        """Whether what came is right, or said before: by a finding, or by the adapter."""
        features, can = pinned.features(), capabilities_on(self.adapter, DEVICE)
        idiom = idiom_of(self.adapter, pinned.idiom)
        can = can if idiom is None else idiom.narrowed(can)
        match trial.outcome:
            case "agrees" | "vacuous" | "finding" | "left out":
                return True
            case "refused":
                return can.refusal(features) is not None
            case "not offered":
                return bool(pinned.idiom or can.not_offered(features))
            case _:
                return False


def neighbours(finding: Finding) -> Iterator[Pinned]:
    """The pinned case with each feature of the trigger outside it; of an idiom, the case in run's own way; and the case
    in each idiom in which it is not so."""
    for name, values in finding.trigger.items():
        for other in FEATURES[name]:
            made = None if other in values else with_features(finding.case, **{name: other})
            if made is not None:
                yield made
    for idiom in ("", *finding.not_in) if finding.idiom else finding.not_in:
        yield replace(finding.case, idiom=idiom)


def inside(finding: Finding) -> Iterator[Pinned]:
    """The pinned case with every combination of the trigger's values, and with each value of all other features."""
    usual = {name: FEATURES[name][:1] for name in finding.trigger}
    triggers = [finding.trigger, *({**usual, **other} for other in finding.also)]
    changes = [
        dict(zip(trigger, values, strict=True))
        for trigger in triggers
        for values in itertools.product(*trigger.values())
    ]
    changes += [{name: value} for name in FEATURES if name not in finding.trigger for value in FEATURES[name]]
    for wanted in changes:
        idiom = {"idiom": wanted.pop("idiom")} if "idiom" in wanted else {}
        made = with_features(finding.case, **wanted)
        if made is not None:
            yield replace(made, **idiom)


def too_narrow(finding: Finding, asked: Asked) -> Iterator[str]:
    """Neighbours that are wrong: what is wrong reaches beyond the trigger."""
    others = [one for one in asked.present() if one.id != finding.id]
    for pinned in neighbours(finding):
        trial = asked.came(pinned, others)
        if not asked.allowed(pinned, trial):
            yield f"outside the trigger of {finding.id}, {pinned}:\n{trial}"


def not_as_said(finding: Finding, asked: Asked) -> Iterator[str]:
    """Cases inside the trigger that are wrong in another way than the finding says, and values in it of which none is
    wrong: the trigger is too wide. Of several backends the first must have it in all of the trigger."""
    seen: dict[tuple[str, Any], set[bool]] = {}
    for pinned in inside(finding):
        trial = asked.came(pinned, asked.present())
        if not asked.allowed(pinned, trial):
            yield f"inside the trigger of {finding.id}, {pinned}:\n{trial}"
        elif trial.outcome in ("agrees", "finding") and finding.holds(pinned.features(), pinned.idiom):
            for name in finding.trigger:
                seen.setdefault((name, pinned.features()[name]), set()).add(finding.id in trial.findings)
    if asked.states[finding.id].present and getattr(asked.adapter, "backend", "") not in finding.backends[1:]:
        for (name, value), wrong in seen.items():
            if True not in wrong:
                yield f"{finding.id}: no case of {name} {value} is wrong, and it is in the trigger"


def taken_for_it(finding: Finding, asked: Asked) -> Iterator[str]:
    """Other wrong answers to the pinned case that the finding explains: its words would hide them.

    Each is that of a layer with another fault in it, with the finding's own fault and without it.
    """
    case, planted = replace(finding.case.case(), cotangents=None), 0
    idiom = idiom_of(asked.adapter, finding.case.idiom)
    view = WHOLE if idiom is None else idiom.view
    for fault in PLANTED.values():
        for several in [[fault, finding.what.fault], [fault]] if finding.what.fault else [[fault]]:
            if planted < MOST_PLANTED and _shows(case, view, several, finding.what.fault):
                planted += 1
                answers = Answers(asked.adapter, lambda _case, several=several: several)
                yield from _hidden(finding, asked, answers, fault)
    if not planted and case.answer().output.size:
        yield f"{finding.id}: no fault of the catalogue shows in its case: it tells no answer from another"


def _hidden(finding: Finding, asked: Asked, adapter: Any, fault: Fault) -> Iterator[str]:
    features, pinned = finding.case.features(), finding.case
    trial = examine(adapter, pinned.case(), DEVICE, mode=pinned.mode, idiom=pinned.idiom)
    told = explained(trial, [*asked.present(), finding], features)
    state = state_of(finding, adapter, DEVICE, lambda *_: trial).state
    if told.outcome != "disagrees" or not (state == "changed" or finding.what.not_expressible):
        yield f"{finding.id} takes for its own what comes of {fault.name}, and is {state}:\n{told}"


def _shows(case: Case, view: View, several: Sequence[Fault], own: Fault | None) -> bool:
    """Whether what a view shows with these faults is far from the right answer, and from the finding's own."""
    if len([*visible(several, case, view)]) < len(several):
        return False
    right, wrong = (answer_with(faults, view, case) for faults in ((), several))
    others = [right, *([answer_with([own], view, case)] if own else [])]
    return all(_distance(wrong, other) > LOUD * _distance(right, None) for other in others)


def _distance(one: Sequence[Any], other: Sequence[Any] | None) -> float:
    """The largest difference of two answers, of one to nothing its largest number; infinite beside NaN alone."""
    largest = 0.0
    arrays = [array for shown in one for array in state_tuple(shown)]
    others = None if other is None else [array for shown in other for array in state_tuple(shown)]
    for index, array in enumerate(arrays):
        if array is None:  # it is not shown
            continue
        wide = np.asarray(array, np.float64)
        beside = np.zeros_like(wide) if others is None else np.asarray(others[index], np.float64)
        known = np.isfinite(wide) & np.isfinite(beside)
        if other is not None and not np.array_equal(wide[~known], beside[~known], equal_nan=True):
            return float("inf")
        largest = max(largest, float(np.abs(wide[known] - beside[known]).max(initial=0)))
    return largest


class Answers:
    """An adapter with faults in it, in every mode and idiom of another. planted: those of a case."""

    def __init__(self, adapter: Adapter, planted: Callable[[Case], Sequence[Fault]]) -> None:
        self.name, self.version, self.capabilities = adapter.name, adapter.version, adapter.capabilities
        self.backend, self._planted = getattr(adapter, "backend", ""), planted
        self.idioms = {word: Idiom(one.says, lambda case, device, view=one.view: self._called(case, view), one.view,
                                   answers=one.answers) for word, one in idioms_of(adapter).items()}  # fmt: skip

    def _called(self, case: Case, view: View) -> Result:
        """In an idiom, which is handed the probed layer where gradients are asked."""
        if case.cotangents is None:
            return self._answer(case, view)
        return result_of(self.gradients((case.spec, case.parameters), **case.inputs, cotangents=case.cotangents))

    def _answer(self, case: Case, view: View = WHOLE) -> Result:
        shown = answer_with(self._planted(case), view, case)
        return Result(*(each_state(lambda array: array.astype(case.dtype), part) for part in shown))

    def build(self, spec: RNNSpec, parameters: Sequence[CellParameters], *way: Any, **words: Any) -> Any:
        return spec, parameters

    def run(self, module: Any, *inputs: Any, **words: Any) -> Result:
        names = ("x", "h0", "lengths", "layout", "mask")
        return self._answer(Case(*module, **dict(zip(names, inputs, strict=False)), **words))

    def gradients(self, module: Any, *inputs: Any, cotangents: Any, **words: Any) -> Gradients:
        """The right ones of a probed layer, beside the answer of the layer itself."""
        right = Case(*module, *inputs, **words, cotangents=cotangents)
        spec, tracks = module
        own = spec.input_size - spec.num_directions * len(tracks[0].w_ih)
        tracks = [CellParameters.of({**one.arrays(), "w_ih": one.w_ih[:, :own]}) for one in tracks]
        asked = replace(
            right, spec=replace(spec, input_size=own), parameters=tracks, x=right.x[..., :own], cotangents=None
        )
        output, h_n, *_ = self._answer(asked)
        return right.gradients()._replace(output=output, h_n=h_n)
