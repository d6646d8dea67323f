"""The step bound: one exact step from the states that the framework itself reports.

A framework reports the very states that it feeds back, so nothing propagates: the bound holds for any
length and any conditioning, and needs no loop over time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..calculus.balls import Balls
from ..cells import Cell
from ..layout import last_states, valid_steps
from ..recurrence import Track
from .arithmetic import Arithmetic

ONE = np.ones(1).tobytes()  # cannot be written
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
    """What a track should have answered: output (time, batch, size) and h_n (batch, size); and hidden, the other states
    at the end, (batch, their size) each, in the order of the cell's states."""

    output: Enclosure
    h_n: Enclosure
    hidden: tuple[Enclosure, ...] = ()


def expect_no_hidden_states(cell: Cell) -> None:
    """Raise NotImplementedError for a cell that carries more than it reports."""
    hidden = ", ".join(state.name for state in cell.states[1:])
    if hidden:
        raise NotImplementedError(f"bound: got a cell with {hidden} beside h, expected h alone: no bound is proved")


def step_bound(track: Track, actual: np.ndarray, judged: Arithmetic) -> Expected:
    """One exact step from each state in `actual`, and the bound around it: all at once, in blocks of time.

    actual: (time, batch, size), what the framework answered for this track.
    Raises NotImplementedError for a cell of which no bound is proved.
    """
    expect_no_hidden_states(track.cell)
    (h0,), actual = track.states, track.in_order(actual)
    previous = np.concatenate([h0[None], actual[:-1]])[: len(actual)]
    x, cell, balls = track.in_order(track.x), track.cell, Balls(judged)
    weights = balls.weights(track.parameters)
    value, bound = np.empty(previous.shape), np.empty(previous.shape)
    scale = np.ndarray(value.shape, buffer=ONE, strides=(0, 0, 0))  # np.broadcast_to takes ten times as long
    for block in time_blocks(*previous.shape):
        balls.out = value[block], bound[block]
        (h,) = cell.step(balls, weights, cell.project(balls, weights, x[block]), (previous[block],))
        if isinstance(h.scale, np.ndarray):
            scale = scale if scale.flags.writeable else np.empty(value.shape)
            scale[block] = h.scale
    return expected_of(track, Enclosure(value, bound, scale))


def expected_of(track: Track, steps: Enclosure) -> Expected:
    """A track's steps in processing order as its output, at the time steps they belong to, and its h_n.

    Beyond a sequence's length the output is exactly zero; a length of 0 leaves h_n exactly at h0.
    """
    lengths = track.lengths
    if lengths is None and len(steps.value):
        return Expected(steps.each(track.in_order), steps.each(lambda a: a[-1]))
    start = Enclosure.exactly(track.states[0].astype(np.float64))
    if lengths is None:
        return Expected(steps, start)
    ended = ~valid_steps(lengths, len(steps.value))[..., None]
    steps = Enclosure(*(np.where(ended, beyond, a) for a, beyond in zip(steps, (0, 0, 1), strict=True)))
    h_n = Enclosure(*(last_states(a, h, lengths) for a, h in zip(steps, start, strict=True)))
    return Expected(steps.each(track.in_order), h_n)


def time_blocks(time: int, batch: int, size: int) -> list[slice]:
    """Slices of the time axis of about BLOCK_ELEMENTS elements each, which stay in the processor's cache."""
    length = max(1, BLOCK_ELEMENTS // max(1, batch * size))
    return [slice(start, start + length) for start in range(0, time, length)]
