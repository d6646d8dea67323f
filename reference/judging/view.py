"""What a call answers of the reference's answer: its last step alone, no states, halves added up, ...

Users call a layer in many ways, and few of them show all of it. A view says what is shown, and where.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..bounds.arithmetic import REFERENCE, Arithmetic
from ..bounds.step import Enclosure
from ..calculus.balls import EVALUATED, OWN
from ..cells import cell_of
from ..layout import (
    each_state,
    from_state_tuple,
    is_batched,
    sequence_from_time_first,
    sequence_to_time_first,
    state_from_batched,
    state_to_batched,
    state_tuple,
    valid_steps,
)
from ..spec import expect_word
from .case import Case

WORDS = {
    "output": ("every step", "last step", "none"),
    "states": ("every layer", "last layer", "none"),
    "masked": ("zero", "held"),
    "halves": ("concat", "sum", "mul", "ave"),
    "first": ("zero", "h0"),
    "differentiation": ("reverse", "forward", "twice"),
}
# in what order a track reads the steps, by its direction
PROCESSED: Mapping[str, slice] = {"forward": slice(None), "reverse": slice(None, None, -1)}


class View(NamedTuple):
    """What a call shows of output and h_n, in words of WORDS.

    output: at every step; or at the last step that each direction takes, and `first` of a sequence without steps.
    states: of every layer; of the last layer alone.
    masked: what stands in an output of every step where a step does not count: zero; or what the step that was
        processed before answered, and `first` before any.
    halves: how the two directions' outputs of the last layer are put together; of one direction there is nothing to do.
    first: what an output that is held, or the last one, is before any step: zero, or the last layer's initial state.
    differentiation: in which mode gradients are computed: reverse, one step back after the other, as a probe shows; or
        forward, of which no step back is shown; or twice: the derivatives of the sum of all gradients but a bias's.
    """

    output: str = "every step"
    states: str = "every layer"
    masked: str = "zero"
    halves: str = "concat"
    first: str = "zero"
    differentiation: str = "reverse"

    @classmethod
    def parse(cls, given: dict[str, str]) -> View:
        """From the words that differ from those of WHOLE. Raises ValueError for a field or word that is none."""
        for name, word in given.items():
            expect_word("view", name, tuple(WORDS))
            expect_word(f"view {name}", word, WORDS[name])
        return cls(**given)

    def words(self) -> dict[str, str]:
        """The words that differ from those of WHOLE."""
        return {name: word for name, word in self._asdict().items() if word != WORDS[name][0]}

    def __str__(self) -> str:
        return ", ".join(f"{name} {word}" for name, word in self.words().items()) or "whole"

    @property
    def of_all(self) -> bool:
        """Whether it shows all of an answer, in whatever mode that is differentiated."""
        return not {*self.words()} - {"differentiation"}

    @property
    def probed(self) -> bool:
        """Whether a probe shows how its gradients come about."""
        return self.of_all and self.differentiation != "twice"

    def merges(self, directions: int) -> bool:
        """Whether outputs of several directions are made one."""
        return self.halves != "concat" and directions > 1


WHOLE = View()


class Shown(NamedTuple):
    """What is shown, time first and batched.

    output: (time, batch, features); of the last step (1, batch, features); None where there is none.
    states: (tracks, batch, size) each; empty where there are none.
    """

    output: np.ndarray | None
    states: tuple[np.ndarray, ...]


# what a view shows of numbers, and where; `shown`, or one that is wrong
Show = Callable[[View, Case, np.ndarray, Sequence[np.ndarray]], Shown]


def shown(view: View, case: Case, output: np.ndarray, states: Sequence[np.ndarray]) -> Shown:
    """What a view shows of a whole answer, or of numbers that stand for it: elements are moved, and none is computed.

    output: (time, batch, features), that of the last layer.  states: (tracks, batch, size) each, of every layer.
    The halves stay beside each other: see merged.
    """
    last_layer = [state[-case.spec.num_directions :] for state in states]
    match view.states:
        case "every layer":
            seen = tuple(states)
        case "last layer":
            seen = tuple(last_layer)
        case "none":
            seen = ()
        case _:
            raise ValueError(f"view states: got {view.states!r}, expected one of {', '.join(WORDS['states'])}")
    match view.output:
        case "every step":
            fill = {"zero": lambda: output, "held": lambda: held(view, case, output)}
            return Shown(fill[view.masked](), seen)
        case "last step":
            last = np.concatenate(list(last_layer[0]), axis=-1)
            if view.first == "zero":  # where there is no step, the state is h0
                last = np.where(valid_of(case).any(axis=0).reshape(-1, 1), last, last.dtype.type(0))
            return Shown(last[None], seen)
        case "none":
            return Shown(None, seen)
    raise ValueError(f"view output: got {view.output!r}, expected one of {', '.join(WORDS['output'])}")


def first_of(view: View, case: Case, like: np.ndarray) -> np.ndarray:
    """What stands in an output before any step: (batch, features), in the dtype of another array."""
    start = {"zero": None, "h0": case.h0}[view.first]
    if start is None:
        return np.zeros((sequence_to_time_first(case.x, case.layout).shape[1], case.spec.output_size), like.dtype)
    last_layer = state_to_batched(state_tuple(start)[0], case.layout)[-case.spec.num_directions :]
    return np.concatenate(list(last_layer), axis=-1).astype(like.dtype)


def held(view: View, case: Case, output: np.ndarray, order: Mapping[str, slice] = PROCESSED) -> np.ndarray:
    """An output (time, batch, features) that repeats, where a step does not count, that of the step processed before;
    what `first` says before any.  order: of the steps, by direction.
    """
    before, valid = first_of(view, case, output), valid_of(case)
    ways = [(case.spec.half(d), order[direction]) for d, direction in enumerate(case.spec.directions)]
    halves = [repeated(output[..., half], valid, way, before[:, half]) for half, way in ways]
    return np.concatenate(halves, axis=-1)


def repeated(half: np.ndarray, valid: np.ndarray, order: slice, first: np.ndarray) -> np.ndarray:
    """An array (time, batch, units) that repeats, where a step does not count, the one before that does, in the order
    of time or against it; `first` before any."""
    counts, half = valid[order], half[order]
    step = np.where(counts, np.arange(len(counts))[:, None], -1)
    before = np.maximum.accumulate(step, axis=0)[..., None]
    again = np.take_along_axis(half, np.maximum(before, 0), axis=0) if len(half) else half
    return np.where(before < 0, first, again)[order]


def valid_of(case: Case) -> np.ndarray:
    """Where a step counts: booleans (time, batch)."""
    time, batch, _ = sequence_to_time_first(case.x, case.layout).shape
    if case.mask is not None:
        return sequence_to_time_first(case.mask[..., None], case.layout)[..., 0]
    return np.ones((time, batch), bool) if case.lengths is None else valid_steps(np.atleast_1d(case.lengths), time)


def merged(view: View, parts: Sequence[Enclosure], promised: Arithmetic | None) -> Enclosure:
    """The enclosure of what becomes of two halves by one operation. docs/error-bounds.md proves it: "Merged halves".

    promised: the arithmetic of the operation; None for an exact one.
    """
    a, b = parts
    left, right = np.abs(a.value), np.abs(b.value)
    zeros = [(one.value == 0) & (one.bound == 0) for one in parts]
    scales = [np.where(zero, 0, one.scale) for zero, one in zip(zeros, parts, strict=True)]
    smallest = REFERENCE.smallest_normal + (0 if promised is None else promised.smallest_normal)
    half = 0.5 if view.halves == "ave" else 1.0
    match view.halves:
        case "sum" | "ave":
            value, carried, scale = a.value + b.value, a.bound + b.bound, scales[0] + scales[1]
            nothing, lost, settled = zeros[0] & zeros[1], 2 / half, True
        case "mul":
            value, scale = a.value * b.value, scales[0] * scales[1]
            carried = left * b.bound + a.bound * right + a.bound * b.bound
            nothing, lost = zeros[0] | zeros[1], np.maximum(1, np.maximum(left, right))
            # infinity times what may be flushed, or is of either sign, has more than one value
            away = [zero | ~np.isfinite(one.value) | (np.abs(one.value) - one.bound >= smallest)
                    for zero, one in zip(zeros, parts, strict=True)]  # fmt: skip
            settled = away[0] & away[1]
        case _:
            raise ValueError(f"view halves: got {view.halves!r}, expected sum, mul or ave")
    roundings = OWN * np.abs(value) + merging_roundoff(promised) * (np.abs(value) + carried)
    bound = (carried + roundings + lost * smallest) * EVALUATED
    if promised is not None:
        bound = np.where(np.abs(value) + bound < promised.largest, bound, np.inf)
    known = np.isfinite(a.bound) & np.isfinite(b.bound)
    nan = [np.isnan(one.value) & (one.bound == 0) for one in parts]
    strange = ~(np.isfinite(a.value) & np.isfinite(b.value))
    certain = nan[0] | nan[1] | (known & np.where(strange, settled, nothing))
    bound = np.where(certain, 0, np.where(np.isnan(bound), np.inf, bound))
    return Enclosure(value * half, bound * half, np.where(nothing, 1, scale * half))


def merging_roundoff(promised: Arithmetic | None) -> float:
    """How far, relatively, one operation on two states may round: to the format in which all is computed, and before
    that to the one in which sums are kept, where that has more digits."""
    if promised is None:
        return 0.0
    rounded, kept = promised.operation_roundoff, promised.accumulator_roundoff
    return rounded + kept * (1 + rounded) if kept < rounded else rounded


def answer_of(
    view: View, case: Case, output: np.ndarray, h_n: Any, show: Show = shown
) -> tuple[np.ndarray | None, Any]:
    """What a view shows of an answer, in the case's layout; the halves are merged in its dtype.

    Of the last step the output has no axis of time; what is not shown is None.  show: what moves the elements.
    """
    states = [state_to_batched(state, case.layout) for state in state_tuple(h_n)]
    seen = show(view, case, sequence_to_time_first(output, case.layout), states)
    final = [state_from_batched(state, case.layout) for state in seen.states]
    if seen.output is not None and view.merges(case.spec.num_directions):
        a, b = (seen.output[..., case.spec.half(d)] for d in range(2))
        together = {"sum": lambda: a + b, "mul": lambda: a * b, "ave": lambda: (a + b) / a.dtype.type(2)}[view.halves]()
        seen = seen._replace(output=together)
    return sequence_of(view, case, seen.output), each_state(np.ascontiguousarray, tuple(final)) if final else None


def sequence_of(view: View, case: Case, output: np.ndarray | None) -> np.ndarray | None:
    """An output that is shown, in the case's layout."""
    if output is None or view.output == "every step":
        return None if output is None else np.ascontiguousarray(sequence_from_time_first(output, case.layout))
    return output[0] if is_batched(case.layout) else output[0, 0]


def wrong_form(view: View, case: Case, output: Any, h_n: Any) -> tuple[str, str] | None:
    """The reason and a sentence when a shown array is not what the case asks for; None where it is."""
    for name, given, asked in zip(("output", "h_n"), (output, h_n), answer_of(view, case, *blank(case)), strict=True):
        if (asked is None) != (given is None):
            return "shape", f"{name}: got {_called(given)}, expected {_called(asked)}, as the view is {view}"
        if asked is None:
            continue
        several = state_tuple(given), state_tuple(asked)
        if len(several[0]) != len(several[1]):
            return "shape", f"{name}: got {len(several[0])} arrays, expected {len(several[1])}"
        for one, like in zip(*several, strict=True):
            if type(one) is not np.ndarray:
                return "dtype", f"{name} is {type(one).__name__}, expected a NumPy array"
            if one.shape != like.shape:
                return "shape", f"{name} has shape {one.shape}, expected {like.shape}, as the view is {view}"
            if one.dtype != case.x.dtype:
                return "dtype", f"{name} has dtype {one.dtype.name}, expected {case.dtype}"
    return None


def blank(case: Case) -> tuple[np.ndarray, Any]:
    """A whole answer's arrays, empty of numbers that mean anything."""
    _, batch, _ = sequence_to_time_first(case.x, case.layout).shape
    states = [np.zeros((case.spec.num_cells, batch, state.size), case.x.dtype) for state in cell_of(case.spec).states]
    output = np.zeros((*case.x.shape[:-1], case.spec.output_size), case.x.dtype)
    return output, from_state_tuple([state_from_batched(state, case.layout) for state in states])


def _called(array: Any) -> str:
    return "nothing" if array is None else "an array"


def as_shown(view: View, case: Case, output: np.ndarray | None, h_n: Any) -> Shown:
    """An answer of the case's layout, time first and batched."""
    states = () if h_n is None else tuple(state_to_batched(state, case.layout) for state in state_tuple(h_n))
    if output is None or view.output == "every step":
        return Shown(None if output is None else sequence_to_time_first(output, case.layout), states)
    return Shown(output[None] if is_batched(case.layout) else output[None, None], states)
