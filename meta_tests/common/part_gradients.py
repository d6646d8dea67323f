"""The reference's gradients of a part of its answer, right ones and wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from reference import Case, Gradients
from reference.backward import backward_by
from reference.bounds.arithmetic import arithmetic
from reference.bounds.step import Enclosure
from reference.faults.backward import FAULTS, BackwardFault
from reference.judging.pullback import Whole, halves_of, of_whole, pulled_back
from reference.judging.view import View, answer_of


class Wrong(NamedTuple):
    """A planted error.  view: in which it can be made.  told: as which view what is shown is pulled back.
    halves: what becomes of the halves that are multiplied.  whole: what becomes of the cotangents of the whole answer.
    fault: of reference.faults.backward."""

    view: View
    told: Mapping[str, str] = MappingProxyType({})
    halves: Callable[[np.ndarray], np.ndarray] = lambda both: both
    whole: Callable[[Case, Whole], Whole] = lambda _case, whole: whole
    fault: str = ""


def spoilt(case: Case, wrong: Wrong) -> Gradients:
    """What a wrong implementation answers; the output and h_n that it shows are right."""
    view = wrong.view
    both = halves_of(view, case)
    expected = None if both is None else Enclosure.exactly(wrong.halves(both).astype(np.float64))
    whole = wrong.whole(case, pulled_back(view._replace(**wrong.told), case, expected, arithmetic(case.dtype)))
    found = _backward(of_whole(case, whole), FAULTS[wrong.fault] if wrong.fault else None)
    output, h_n = answer_of(view, case, *case.answer())
    return found._replace(output=output, h_n=h_n)


def _backward(case: Case, fault: BackwardFault | None) -> Gradients:
    if fault is None:
        return case.gradients()
    words: dict[str, Any] = {"mask": None, **case.inputs}
    found = backward_by(fault.way, case.spec, case.parameters, **words, cotangents=case.cotangents)
    return fault.spoilt(case, found)


def at_the_other_end(case: Case, whole: Whole) -> Whole:
    """What the last step is handed is handed to the first one."""
    g, (h, *others) = whole.output.value.copy(), whole.finals
    for d, direction in enumerate(case.spec.directions):
        g[0 if direction == "forward" else -1, :, case.spec.half(d)] += h.value[d]
    return Whole(replace(whole.output, value=g), (replace(h, value=0 * h.value), *others))


def exchanged(case: Case, whole: Whole) -> Whole:
    """What one half is handed is the other one's."""
    rolled = np.roll(whole.output.value, case.spec.half(0).stop, axis=-1)
    finals = tuple(replace(one, value=one.value[::-1]) for one in whole.finals)
    return Whole(replace(whole.output, value=rolled), finals)


def without_finals(_case: Case, whole: Whole) -> Whole:
    return whole._replace(finals=tuple(replace(one, value=0 * one.value) for one in whole.finals))


def own_half(both: np.ndarray) -> np.ndarray:
    return np.roll(both, both.shape[-1] // 2, axis=-1)


LAST, MEAN = View(output="last step", states="none"), View(output="last step", states="none", halves="ave")
WRONG: dict[str, Wrong] = {
    "truncated": Wrong(LAST, fault="truncated"),
    "truncated, of final states": Wrong(View(output="none"), fault="truncated"),
    "truncated, of a sum": Wrong(View(halves="sum"), fault="truncated"),
    "dh0 dropped": Wrong(LAST, fault="dh0_dropped"),
    "db doubled": Wrong(LAST, fault="db_doubled"),
    "db dropped, of a product": Wrong(View(states="none", halves="mul"), fault="db_dropped"),
    "mean over the batch": Wrong(LAST, fault="mean"),
    "final states dropped": Wrong(View(output="none"), whole=without_finals),
    "final states dropped, of a sum": Wrong(View(halves="sum"), whole=without_finals),
    "the last step alone counted": Wrong(View(output="last step"), {"states": "none"}),
    "the other end": Wrong(LAST, whole=at_the_other_end),
    "halves exchanged": Wrong(LAST, whole=exchanged),
    "halves exchanged, of every step": Wrong(View(states="none"), whole=exchanged),
    "own half": Wrong(View(states="none", halves="mul"), halves=own_half),
    "own half, of the last step": Wrong(View(output="last step", states="none", halves="mul"), halves=own_half),
    "mean without the half": Wrong(MEAN, {"halves": "sum"}),
    "sum with the half": Wrong(View(halves="sum"), {"halves": "ave"}),
    "product as a sum": Wrong(View(states="none", halves="mul"), {"halves": "sum"}),
    "held as zero": Wrong(View(masked="held"), {"masked": "zero"}),
}
