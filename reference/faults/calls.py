"""Faults in sequences of calls: something of an earlier call is taken for that of a later one.

A row says which question is answered in place of the one that was asked. So each can be planted in any implementation,
and an answer that shows one is judged as the answer to that question, whatever its shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..judging.case import Case
from ..layout import from_state_tuple, sequence_axes, state_tuple


class Call(NamedTuple):
    """An earlier question and the answer to it.  name: which call that was, as in "the h0 of ... is used"."""

    name: str
    case: Case
    output: np.ndarray
    h_n: Any


Taken = Callable[[Case, Call], Case]


@dataclass(frozen=True)
class CallFault:
    """says: what is wrong, where {call} stands for the earlier call.  taken: the question that is answered instead;
    it may raise ValueError or TypeError where the two calls do not fit."""

    name: str
    says: str
    taken: Taken

    def asked(self, case: Case, call: Call) -> Case | None:
        """The question that is answered in place of a case after such a call; None where that is the case itself."""
        try:
            asked = self.taken(case, call)
        except (ValueError, TypeError):
            return None
        return None if asked.id == case.id else asked


def of_field(*names: str) -> Taken:
    return lambda case, call: replace(case, **{name: getattr(call.case, name) for name in names})


def final_state(case: Case, call: Call) -> Case:
    return case if case.h0 is not None else replace(case, h0=call.h_n)


def longer(axis: str) -> Taken:
    """What lies beyond the case on an axis of x is what the earlier call left there."""

    def taken(case: Case, call: Call) -> Case:
        if case.layout != call.case.layout or case.lengths is not None or case.mask is not None:
            return case
        at = sequence_axes(case.layout).index(axis)
        rest = np.s_[(*(np.s_[:],) * at, np.s_[case.x.shape[at] :])]
        h0: Any = case.h0
        if axis == "batch" and h0 is not None and call.case.h0 is not None:
            pairs = zip(state_tuple(h0), state_tuple(call.case.h0), strict=True)
            h0 = from_state_tuple([np.concatenate([a, b[:, a.shape[1] :]], axis=1) for a, b in pairs])
        return replace(case, x=np.concatenate([case.x, call.case.x[rest]], at), h0=h0)

    return taken


CALL_FAULTS = {
    name: CallFault(name, says, taken)
    for name, says, taken in (
        ("h0", "it starts from the h0 of {call}", of_field("h0")),
        ("state", "it starts where {call} ended", final_state),
        ("lengths", "the lengths of {call} hold", of_field("lengths")),
        ("mask", "the mask of {call} holds", of_field("mask")),
        ("x", "the x of {call} is read", of_field("x")),
        ("layout", "x is read in the layout of {call}", of_field("layout")),
        ("weights", "the weights are those of {call}", of_field("parameters")),
        ("spec", "the layer is that of {call}, but for the weights", of_field("spec")),
        ("module", "the module is that of {call}", of_field("spec", "parameters")),
        ("rows", "it has the batch of {call}, whose other sequences are still there", longer("batch")),
        ("steps", "it has the steps of {call}, of which the later ones are still there", longer("time")),
        ("answer", "{call} is answered again", lambda _case, call: call.case),
    )
}
