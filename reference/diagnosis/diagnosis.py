"""The diagnosis: which known fault would explain an answer that disagrees.

Every fault that could show in the case is tried against the answer, then the commonest in pairs; explanation.py says
how. Where none explains it, those that findings name are tried, by faulty.py; so are all where an answer shows part.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..cells import cell_of
from ..faults import COMMONEST, FAULTS, GATED_FAULTS, Fault
from ..faults.found import FOUND
from ..faults.masks import MASK_FAULTS
from ..faults.views import VIEW_FAULTS
from ..judging.case import Case
from ..judging.partial import judge_view
from ..judging.parts import wrong_shown
from ..judging.verdict import Location
from ..judging.view import WHOLE, View
from ..layout import sequence_to_time_first, take_steps
from .explanation import Answer, Explanation, shows
from .faulty import judge_planted
from .partial import explanations_in

# Numbers that a case's states hold, and steps that its tracks take, above which pairs, or anything at all, would take
# more than some ten seconds.
LARGEST_FOR_PAIRS, LARGEST = 50_000, 1_000_000
LONGEST_FOR_PAIRS, LONGEST = 2_000, 20_000
MOST_NAMED = 4


@dataclass(frozen=True)
class Diagnosis:
    """What an answer agrees with.

    explanations: best first; empty where no known fault explains it.  tried, pairs: how many were.
    untried: faults that could not be, as the case's trajectory bound is vacuous.
    confirmed: answers to other cases that the explanations fit as well; unconfirmed: that none of them fits; right:
    other cases that are answered rightly, where all of them would show; `depends` is then what decides.
    first: of an answer that nothing explains, the first wrong element.
    note: what else there is to say.  problem: why nothing was tried; else empty.
    """

    explanations: tuple[Explanation, ...] = ()
    tried: int = 0
    pairs: int = 0
    untried: int = 0
    confirmed: int = 0
    unconfirmed: int = 0
    right: int = 0
    depends: str = "the size"
    first: Location | None = None
    note: str = ""
    problem: str = ""

    def confirmed_by(self, others: Sequence[Diagnosis]) -> Diagnosis:
        """The explanations that fit the same implementation's answers to other cases as well.

        An answer that none of them fits is counted and set aside: two faults may be at work.
        """
        kept = self
        for other in others:
            fits = {frozenset(explanation.faults) for explanation in other.explanations}
            kept = kept._of_those(lambda faults, fits=fits: frozenset(faults) in fits, "unconfirmed")
        return kept

    def not_refuted_by(self, right: Sequence[Case], view: View = WHOLE) -> Diagnosis:
        """The explanations that would not show in other cases, which the same implementation answered rightly.

        view: what the answers show.
        """
        kept = self
        for case in right:
            kept = kept._of_those(lambda faults, case=case: not shows(faults, case, view), "right")
        return kept

    def _of_those(self, fit: Callable[[tuple[Fault, ...]], bool], otherwise: str) -> Diagnosis:
        """otherwise: the count of cases in which none of them is left."""
        if common := tuple(explanation for explanation in self.explanations if fit(explanation.faults)):
            return replace(self, explanations=common, confirmed=self.confirmed + 1)
        return replace(self, **{otherwise: getattr(self, otherwise) + 1})

    def __str__(self) -> str:
        note = f"\n  {self.note}" if self.note else ""
        if self.problem:
            return f"no diagnosis: {self.problem}{note}"
        if not self.explanations:
            said = f"agrees with none of the {self.tried} known faults that could show in this case"
            if self.untried:
                said += f" ({self.untried} more cannot be told here: the trajectory bound is vacuous)"
            if self.pairs:
                said += f", nor with any of {self.pairs} pairs"
            return said + (f"; first wrong at {self.first.place}" if self.first else "") + note
        named, rest = self.explanations[:MOST_NAMED], len(self.explanations) - MOST_NAMED
        lines = [f"agrees with the reference if {named[0]}", *(f"  or if {other}" for other in named[1:])]
        if rest > 0:
            lines.append(f"  or with {rest} other faults: the case does not tell them apart")
        if self.confirmed:
            lines.append(f"  this explains the answers to {_others(self.confirmed)} as well")
        if self.unconfirmed:
            lines.append(f"  but not the answers to {_others(self.unconfirmed)}")
        if self.right:
            are = "are" if self.right > 1 else "is"
            lines.append(f"  {_others(self.right)} {are} answered rightly: it depends on {self.depends}")
        return "\n".join(lines) + note


def diagnose(
    case: Case,
    output: np.ndarray | None,
    h_n: Any,
    prefixes: Sequence[np.ndarray] | None = None,
    faults: Iterable[Fault] = (*FAULTS.values(), *GATED_FAULTS.values(), *FOUND.values(), *VIEW_FAULTS.values()),
    paired: Iterable[Fault] = COMMONEST,
    declared: str | None = None,
    view: View = WHOLE,
) -> Diagnosis:
    """Which known faults explain an answer that disagrees; the first arguments are those of judge.

    faults: those to try singly; of these the family "found" last, where nothing else explains the answer.
    paired: those to try in pairs, where no single one explains the answer.
    declared: the arithmetic that is promised, as in judge.  Of a case with a mask, faults in masks are tried first,
    then all but those in lengths, with lengths in place of the mask.
    view: what the answer shows. Where that is not all, faults in what is shown are tried first.
    """
    if wrong := wrong_shown(view, case, output, h_n, prefixes or ()):
        return Diagnosis(problem=wrong[1])
    if view != WHOLE:
        return _in_view(case, (output, h_n, prefixes, declared), faults, paired, view)
    assert output is not None
    answer = Answer(case, output, h_n, prefixes, declared)
    ours = [one for one in faults if not one.shown]
    catalogue, found = ([one for one in ours if (one.family == "found") is last] for last in (False, True))
    told = _by_catalogue(answer, catalogue, paired)
    return told if told.explanations or told.problem else _as_found(answer, told, found)


def _in_view(
    case: Case, answer: tuple[Any, Any, Any, Any], faults: Iterable[Fault], paired: Iterable[Fault], view: View
) -> Diagnosis:
    """What is said of an answer that shows part: output, h_n, prefixes, and the arithmetic that is declared."""
    time, batch, _ = sequence_to_time_first(case.x, case.layout).shape
    size, steps = time * batch * case.spec.output_size * case.spec.num_layers, time * case.spec.num_cells
    if size > LARGEST_FOR_PAIRS or steps > LONGEST_FOR_PAIRS:
        return Diagnosis(problem=_too_large(size, steps, LARGEST_FOR_PAIRS, LONGEST_FOR_PAIRS))
    if not cell_of(case.spec).signed:
        return Diagnosis(problem=f"of the cell {case.spec.cell} only an answer that shows all is diagnosed")
    found, tried, pairs = explanations_in(view, case, answer, faults, paired)
    first = None if found else judge_view(case, view, *answer).first
    return Diagnosis(found, tried, pairs, first=first)


def _as_found(answer: Answer, told: Diagnosis, faults: Iterable[Fault]) -> Diagnosis:
    """What is said where the catalogue explains nothing, with the faults that findings name."""
    if not answer.followed:
        return told
    seen = [(fault, judge_planted(answer.case, *answer.actual, answer.given, answer.declared, [fault]))
            for fault in answer.visible(faults)]  # fmt: skip
    found = [Explanation((fault,), one.max_error, one.max_fraction) for fault, one in seen if one.outcome == "agrees"]
    tried = told.tried + len(seen)
    return replace(told, explanations=tuple(found), tried=tried, first=None if found else told.first)


def _by_catalogue(answer: Answer, faults: Iterable[Fault], paired: Iterable[Fault]) -> Diagnosis:
    case, prefixes, declared = answer.case, answer.given, answer.declared
    output, h_n = answer.actual
    if case.mask is None:
        return _tried(answer, faults, paired)
    found = _tried(answer, MASK_FAULTS.values(), ())
    if found.explanations or found.problem:
        return found
    plain, order = case.without_mask()
    output, *lower = (take_steps(array, order, case.layout) for array in (output, *(prefixes or ())))
    unmasked = Answer(plain, output, h_n, None if prefixes is None else lower, declared)
    again = _tried(unmasked, [fault for fault in faults if fault.family != "lengths"], ())
    return replace(again, tried=again.tried + len(MASK_FAULTS), first=None if again.explanations else found.first)


def _tried(answer: Answer, faults: Iterable[Fault], paired: Iterable[Fault]) -> Diagnosis:
    """As diagnose, of these faults alone."""
    spec, time = answer.case.spec, len(answer.usual.x)
    size, steps = answer.actual.output.size * spec.num_layers, time * spec.num_cells
    if size > LARGEST or steps > LONGEST:
        return Diagnosis(problem=_too_large(size, steps, LARGEST, LONGEST))
    with np.errstate(all="ignore"):
        singles, pairs = [(fault,) for fault in answer.visible(faults)], []
        found = answer.explanations(singles)
        if not found and size <= LARGEST_FOR_PAIRS and steps <= LONGEST_FOR_PAIRS:
            pairs = list(itertools.combinations(answer.visible(paired), 2))
            found = answer.explanations(pairs)
        untried = 0 if found or not np.isnan(answer.allowed) else sum(fault.around is not None for (fault,) in singles)
    return Diagnosis(found, len(singles) - untried, len(pairs), untried, first=None if found else answer.first)


def _too_large(size: int, steps: int, largest: int, longest: int) -> str:
    held = f"the case's states hold {size:,} numbers in {steps:,} steps"
    return f"{held}; at most {largest:,} in {longest:,} are tried"


def _others(count: int) -> str:
    return f"{count} other case{'s' if count > 1 else ''}"
