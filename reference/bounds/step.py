"""The step bound: one exact step from the states that the framework itself reports.

A framework reports the very states that it feeds back, so nothing propagates: the bound holds for any
length and any conditioning, and needs no loop over time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..calculus.balls import Balls
from ..calculus.scan import BEFORE, Scan
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


def step_bound(track: Track, actual: np.ndarray, judged: Arithmetic) -> Expected:
    """One exact step from each state in `actual`, and the bound around it: all at once, in blocks of time; step by
    step where the cell has a hidden state, which is carried along as a ball.

    actual: (time, batch, size), what the framework answered for this track.
    Raises NotImplementedError for an operand of which no bound is proved.
    """
    if len(track.cell.states) > 1:
        return _with_hidden(track, track.in_order(actual), judged)
    (h0,), actual = track.states, track.in_order(actual)
    previous = np.concatenate([h0[None], actual[:-1]])[: len(actual)]
    x, cell, balls = track.in_order(track.x), track.cell, Balls(judged)
    weights = balls.weights(track.parameters)
    value, bound = np.empty(previous.shape), np.empty(previous.shape)
    scale = np.ndarray(value.shape, buffer=ONE, strides=(0, 0, 0))  # np.broadcast_to takes ten times as long
    for block in time_blocks(*previous.shape):
        if cell.signed:  # the last activation is the state, and can be computed where it belongs
            balls.out = value[block], bound[block]
        (h,) = cell.step(balls, weights, cell.project(balls, weights, x[block]), (previous[block],))
        if not cell.signed:
            value[block], bound[block] = h[:2]
        if isinstance(h.scale, np.ndarray):
            scale = scale if scale.flags.writeable else np.empty(value.shape)
            scale[block] = h.scale
    return expected_of(track, Enclosure(value, bound, scale))


def _with_hidden(track: Track, actual: np.ndarray, judged: Arithmetic) -> Expected:
    """The steps of a cell with a hidden state: all that depends on reported states at once, the rest in order."""
    cell, scan, x = track.cell, Scan(judged), track.in_order(track.x)
    (h0, c0), weights = track.states, scan.weights(track.parameters)
    previous = np.concatenate([h0[None], actual[:-1]])[: len(actual)]
    h, c = cell.step(scan, weights, cell.project(scan, weights, x), (previous, BEFORE))
    output, hidden = (Enclosure(*np.broadcast_arrays(*ball)) for ball in scan.through(h, c, actual, c0))
    return expected_of(track, output, [hidden])


def stacked(track: Track, steps: Sequence[Sequence[Enclosure]]) -> tuple[Enclosure, list[Enclosure]]:
    """The enclosures of each state after each step as one of the first state, in time, and those of the others."""
    if not steps:
        none = [Enclosure(*[np.zeros((0, *state.shape))] * 3) for state in track.states]
        return none[0], none[1:]
    first, *others = [Enclosure(*map(np.stack, zip(*each, strict=True))) for each in zip(*steps, strict=True)]
    return first, others


def expected_of(track: Track, steps: Enclosure, hidden: Sequence[Enclosure] = ()) -> Expected:
    """A track's steps in processing order as its output, at the time steps they belong to, and its h_n.

    hidden: the other states after each step.  Beyond a sequence's length the output is exactly zero; a length of 0
    leaves every final state exactly at its initial one.
    """
    lengths = track.lengths
    finals = [_final(*pair, lengths) for pair in zip((steps, *hidden), track.states, strict=True)]
    if lengths is not None:
        ended = ~valid_steps(lengths, len(steps.value))[..., None]
        steps = Enclosure(*(np.where(ended, beyond, a) for a, beyond in zip(steps, (0, 0, 1), strict=True)))
    return Expected(steps.each(track.in_order), finals[0], tuple(finals[1:]))


def _final(steps: Enclosure, start: np.ndarray, lengths: np.ndarray | None) -> Enclosure:
    """A state at the end: after its sequence's last step, or as it started where there is none."""
    if lengths is None and len(steps.value):
        return steps.each(lambda a: a[-1])
    exactly = Enclosure.exactly(start.astype(np.float64))
    if lengths is None:
        return exactly
    return Enclosure(*(last_states(a, h, lengths) for a, h in zip(steps, exactly, strict=True)))


def time_blocks(time: int, batch: int, size: int, elements: int = BLOCK_ELEMENTS) -> list[slice]:
    """Slices of the time axis of about so many elements each, which stay in the processor's cache."""
    length = max(1, elements // max(1, batch * size))
    return [slice(start, start + length) for start in range(0, time, length)]
