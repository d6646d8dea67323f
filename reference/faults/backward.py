"""How implementations go wrong in the backward pass alone: each fault as data, with what must be said of it.

The forward pass is right in all of them. They are planted in the reference's backward pass of a probed layer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backward import Gradients, Way, backward_by
from ..calculus.tape import NumberReturns
from ..judging.case import Case
from ..layout import each_state, from_state_tuple, sequence_to_time_first, state_tuple, valid_steps
from ..spec import CellParameters

KEPT = 3  # steps that truncated backpropagation goes back
LOST = 2  # the step whose part is missing
RIGHT = Way()
DELTA = r"delta( of [a-z, ]+)? at t = "
EVERY = ("elman", "gru", "gru_reset_before", "lstm")

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class BackwardFault:
    """says: what is wrong, as the end of "agrees with the reference if ...".  starts: a pattern of what the judge's
    detail begins with; {last} stands for the last step, {before} for the one before.  cells: of which it makes sense.
    needs: words of what a case must have: "lengths", "reverse", "bias".
    way: how the backward pass is made.  asked: what is asked in place of a case.  spoilt: what becomes of the answer.
    """

    says: str
    starts: str
    cells: tuple[str, ...] = EVERY
    needs: tuple[str, ...] = ()
    way: Way = RIGHT
    asked: Callable[[Case], Case] = lambda case: case
    spoilt: Callable[[Case, Gradients], Gradients] = lambda _case, right: right

    def seen(self, detail: str, steps: int) -> bool:
        """Whether the judge's detail names it, of a case of so many steps."""
        return re.match(self.starts.format(last=steps - 1, before=steps - 2), detail) is not None

    def plant(self, case: Case) -> Gradients:
        """What an implementation with this fault answers; output and h_n are right."""
        right, asked = case.gradients(), self.asked(case)
        found = backward_by(self.way, asked.spec, asked.parameters, **{"mask": None, **asked.inputs},
                            cotangents=asked.cotangents)  # fmt: skip
        return self.spoilt(case, found._replace(output=right.output, h_n=right.h_n))


def without_finals(case: Case) -> Case:
    g_output, g_h_n = case.cotangents
    return replace(case, cotangents=(g_output, each_state(np.zeros_like, g_h_n)))


def truncated(t: int, carried: list[np.ndarray]) -> list[np.ndarray]:
    return [np.zeros_like(one) for one in carried] if t == KEPT else carried


def detached(t: int, carried: list[np.ndarray]) -> list[np.ndarray]:
    return [carried[0], *(np.zeros_like(one) for one in carried[1:])] if t == KEPT else carried


def of_weights(change: Callable[[str, np.ndarray, Case, Gradients, int], np.ndarray]) -> Any:
    """A change of each gradient of a weight, by its name: (name, array, case, right gradients, track)."""

    def spoilt(case: Case, right: Gradients) -> Gradients:
        def changed(index: int, track: CellParameters) -> CellParameters:
            arrays = track.arrays().items()
            return CellParameters.of({name: change(name, array, case, right, index) for name, array in arrays})

        return right._replace(parameters=[changed(*pair) for pair in enumerate(right.parameters)])

    return spoilt


def delta(case: Case, right: Gradients, track: int) -> np.ndarray:
    """What the probe shows of a track: (time, batch, rows)."""
    rows = len(case.parameters[track].w_ih)
    first = case.spec.input_size - (case.spec.num_directions - track) * rows
    return sequence_to_time_first(right.x, case.layout)[..., first : first + rows]


def only(wanted: str, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    return of_weights(lambda name, array, _case, _right, _k: change(array) if name == wanted else array)


def one_step_missing(name: str, array: np.ndarray, case: Case, right: Gradients, track: int) -> np.ndarray:
    return array - delta(case, right, track)[LOST].sum(axis=0) if name == "b_ih" else array


def from_after(name: str, array: np.ndarray, case: Case, right: Gradients, track: int) -> np.ndarray:
    if name != "w_hh":
        return array
    d, h = delta(case, right, track), sequence_to_time_first(right.output, case.layout)[..., case.spec.half(track)]
    return np.einsum("tbr,tbh->rh", d.astype(np.float64), h.astype(np.float64)).astype(array.dtype)


def time_reversed(case: Case, right: Gradients) -> Gradients:
    """Of the reverse direction's deltas, which is the last one."""
    x, rows = sequence_to_time_first(right.x, case.layout).copy(), len(case.parameters[-1].w_ih)
    x[..., -rows:] = x[::-1, :, -rows:]
    axes = {"batch_first": (1, 0, 2), "time_first": (0, 1, 2)}[case.layout]
    return right._replace(x=x.transpose(axes))


def padding_counted(case: Case) -> Case:
    """The steps beyond a length are taken too, on the way back."""
    counts = valid_steps(np.asarray(case.lengths), sequence_to_time_first(case.x, case.layout).shape[0])
    counts = counts.T if case.layout == "batch_first" else counts
    g_output = np.where(counts[..., None], case.cotangents[0], 0).astype(case.x.dtype)
    return replace(case, lengths=None, cotangents=(g_output, case.cotangents[1]))


class StepAfter(NumberReturns):
    """Slopes of the step that was handed back before."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, tuple[int, ...]], np.ndarray] = {}

    def slope(self, activation: str, result: np.ndarray) -> np.ndarray:
        right = super().slope(activation, result)
        key = activation, result.shape
        before, self._before[key] = self._before.get(key, right), right
        return before


class NoReset(NumberReturns):
    """What the reset gate's argument is handed is lost: the first half of r and z, beside each other."""

    def slope(self, activation: str, result: np.ndarray) -> np.ndarray:
        slope = super().slope(activation, result)
        if activation == "sigmoid":
            slope[..., : slope.shape[-1] // 2] = 0
        return slope


class GatesExchanged(NumberReturns):
    """The first two gates are handed what the other one is."""

    def joined(self, parts: dict[int, np.ndarray], gates: Any) -> np.ndarray:
        if gates in ((1, 1), (1, 1, 1, 1)):
            parts = {**parts, 0: parts[1], 1: parts[0]}
        return super().joined(parts, gates)


class NarrowSums(NumberReturns):
    """Each step's part of the gradient of a matrix is rounded to float16."""

    def outer(self, d: np.ndarray, value: np.ndarray) -> np.ndarray:
        return super().outer(d, value).astype(np.float16).astype(d.dtype)


def mean(case: Case, right: Gradients) -> Gradients:
    batch = sequence_to_time_first(case.x, case.layout).shape[1]
    return of_weights(lambda _name, array, *_: array / array.dtype.type(batch))(case, right)


def h0_dropped(_case: Case, right: Gradients) -> Gradients:
    first, *others = state_tuple(right.h0)
    return right._replace(h0=from_state_tuple([np.zeros_like(first), *others]))


FAULTS = {
    "truncated": BackwardFault("gradients go back a few steps only", DELTA + str(KEPT),
                               way=Way(carried=truncated)),
    "c_detached": BackwardFault("c is detached at one step", DELTA + str(KEPT), ("lstm",),
                                way=Way(carried=detached)),
    "h_n_dropped": BackwardFault("the gradient of the final states is dropped", DELTA + "{last}",
                                 asked=without_finals),
    "db_dropped": BackwardFault("the gradient of b_hh is dropped", "db_hh only", needs=("bias",),
                                spoilt=only("b_hh", np.zeros_like)),
    "db_doubled": BackwardFault("the gradient of b_ih is doubled", "db_ih only", needs=("bias",),
                                spoilt=only("b_ih", lambda array: array + array)),
    "db_of_a_step_missing": BackwardFault("one step is missing in the gradient of b_ih", "db_ih only", needs=("bias",),
                                          spoilt=of_weights(one_step_missing)),
    "dU_from_h_t": BackwardFault("the gradient of w_hh is of the state after the step", "dw_hh only",
                                 ("elman", "lstm"), spoilt=of_weights(from_after)),
    "slope_of_the_step_after": BackwardFault("slopes are those of the step after", DELTA + "{before}",
                                             ("elman",), way=Way(StepAfter)),
    "time_reversed": BackwardFault("the reverse direction's gradients stand in its own order", "delta", needs=(
        "reverse",), spoilt=time_reversed),
    "padding_counted": BackwardFault("steps beyond the length are handed gradients", "delta", needs=("lengths",),
                                     asked=padding_counted),
    "mean": BackwardFault("gradients of weights are means over the batch", "db_hh, db_ih, dw_hh, dw_ih", needs=(
        "bias",), spoilt=mean),
    "narrow_sums": BackwardFault("gradients of weights are added up in float16", "dw_hh, dw_ih", way=Way(NarrowSums)),
    "gates_exchanged": BackwardFault("the first two gates exchange their gradients", DELTA + "{last}",
                                     ("gru", "gru_reset_before", "lstm"), way=Way(GatesExchanged)),
    "no_reset": BackwardFault("the gradient of the reset gate is missing", "delta of r at t = {last}",
                              ("gru", "gru_reset_before"), way=Way(NoReset)),
    "dh0_dropped": BackwardFault("the gradient of h0 is zero", "dh0 only", spoilt=h0_dropped),
}  # fmt: skip
