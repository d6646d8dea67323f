"""The step bound: one exact step from the states that the framework itself reports.

A framework reports the very states that it feeds back, so nothing propagates: the bound holds for any
length and any conditioning, and needs no loop over time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .. import elman
from ..layout import last_states, reverse_within_lengths, valid_steps
from ..spec import CellParameters
from .arithmetic import Arithmetic
from .interval import StepModel, largest_slope, product

# Elements of a block: a few float64 arrays of this size fit a second-level cache.
BLOCK_ELEMENTS = 2**15


class Enclosure(NamedTuple):
    """What is expected of an array, element by element; three float64 arrays of one shape.

    value: the expected value.  bound: how far from it a correct answer may lie.
    scale: a bound this wide says nothing (it would let 0 pass for any answer).
    """

    value: np.ndarray
    bound: np.ndarray
    scale: np.ndarray

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> Enclosure:
        return Enclosure(*map(change, self))

    @classmethod
    def exactly(cls, value: np.ndarray) -> Enclosure:
        return cls(value, np.zeros_like(value), np.ones_like(value))


class Expected(NamedTuple):
    """What a cell should have answered: output (time, batch, hidden_size) and h_n (batch, hidden_size)."""

    output: Enclosure
    h_n: Enclosure


def step_bound(
    parameters: CellParameters,
    x: np.ndarray,
    h0: np.ndarray,
    lengths: np.ndarray | None,
    direction: str,
    nonlinearity: str,
    actual: np.ndarray,
    judged: Arithmetic,
) -> Expected:
    """One exact step from each state in `actual`, and the bound around it.

    x: (time, batch, input size).  h0: (batch, hidden_size).  actual: (time, batch, hidden_size), what the
    framework answered for this cell.  lengths: (batch,) or None.
    """
    if direction == "reverse":
        x, actual = (reverse_within_lengths(a, lengths) for a in (x, actual))
    previous = np.concatenate([h0[None], actual[:-1]])[: len(x)]
    steps = _steps(StepModel(parameters, nonlinearity, judged), x, previous)
    return expected_of(steps, h0.astype(np.float64), lengths, direction)


def expected_of(steps: Enclosure, h0: np.ndarray, lengths: np.ndarray | None, direction: str) -> Expected:
    """A cell's steps in processing order as its output, at the time steps they belong to, and its h_n.

    Beyond a sequence's length the output is exactly zero; a length of 0 leaves h_n exactly at h0.
    """
    start = Enclosure.exactly(h0)
    if lengths is None:
        h_n = steps.each(lambda a: a[-1]) if len(steps.value) else start
    else:
        ended = ~valid_steps(lengths, len(steps.value))
        steps = Enclosure(*(np.where(ended[..., None], beyond, a) for a, beyond in zip(steps, (0, 0, 1), strict=True)))
        h_n = Enclosure(*(last_states(a, h, lengths) for a, h in zip(steps, start, strict=True)))
    output = steps.each(lambda a: reverse_within_lengths(a, lengths)) if direction == "reverse" else steps
    return Expected(output, h_n)


def _steps(model: StepModel, x: np.ndarray, previous: np.ndarray) -> Enclosure:
    """All steps at once, in blocks of time that stay in the processor's cache."""
    value, bound = np.empty(previous.shape), np.empty(previous.shape)
    scale = np.broadcast_to(1.0, value.shape) if model.nonlinearity == "tanh" else np.empty(value.shape)
    for block in time_blocks(*previous.shape):
        inputs = model.inputs(x[block], previous[block])
        radius = model.radius(inputs)
        if model.nonlinearity == "relu":
            scale[block] = model.scale(radius)
        _block(model, inputs, radius, value[block], bound[block])
    return Enclosure(value, bound, scale)


def time_blocks(time: int, batch: int, hidden: int) -> list[slice]:
    """Slices of the time axis of about BLOCK_ELEMENTS elements each."""
    length = max(1, BLOCK_ELEMENTS // max(1, batch * hidden))
    return [slice(start, start + length) for start in range(0, time, length)]


def _block(model: StepModel, inputs: np.ndarray, radius: np.ndarray, value: np.ndarray, bound: np.ndarray) -> None:
    """Write a block's expected values and bounds into `value` and `bound`."""
    a = product(inputs, model.weights)
    elman.activate(a, model.nonlinearity, out=value)
    np.abs(a, out=bound)
    bound *= model.beta
    bound += radius.astype(np.float64, copy=False)  # NumPy adds arrays of two dtypes at a third of the speed
    bound *= largest_slope(a, bound, model.nonlinearity, out=a)
    bound *= 1 + model.judged_activation
    bound += model.activation_bound(value)
    if model.may_overflow(radius.max(initial=0)):
        bound[:] = _where_it_overflows(model, inputs, value, bound)


def _where_it_overflows(model: StepModel, inputs: np.ndarray, phi: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Infinite where finite terms may overflow in some order of summation.

    An infinity or NaN among the inputs has one answer by IEEE 754, in every order: it must come out exactly,
    unless the infinity meets a number that may be flushed to zero first (A4): 0 times infinity is NaN.
    """
    given = ~np.isfinite(np.abs(inputs) @ model.magnitudes)
    settled = np.where(np.isfinite(phi), model.activation_bound(phi), 0)
    bound = np.where(np.isnan(bound), np.inf, bound)  # the radius itself may overflow
    unsettled = model.overflows(inputs) | _infinity_meets_subnormal(model, inputs)
    return np.where(unsettled, np.inf, np.where(given, settled, bound))


def _infinity_meets_subnormal(model: StepModel, inputs: np.ndarray) -> np.ndarray:
    """Where a product has an infinite operand, and one that is not 0 but may be flushed: (..., hidden_size)."""
    (infinite, tiny), (infinite_weights, tiny_weights) = (
        (np.isinf(a).astype(np.float64), ((a != 0) & (np.abs(a) < model.smallest_normal)).astype(np.float64))
        for a in (inputs, model.weights)
    )
    return infinite @ tiny_weights + tiny @ infinite_weights > 0
