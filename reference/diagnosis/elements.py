"""Where each element that a tag stands for must lie: by its own step where the answer shows the state before it, by the
trajectory of its track where it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..bounds.arithmetic import Arithmetic, arithmetic
from ..bounds.step import Enclosure, Expected, expected_of, step_bound
from ..bounds.trajectory import track_bound
from ..calculus.balls import Ball, Balls, Open
from ..calculus.slopes import Activation
from ..cells import cell_of
from ..faults import Fault
from ..faults.machine import initial_states, lengths_of, unpacked
from ..faults.step import NumPyKernel, Step, StepChange
from ..judging.case import Case
from ..judging.comparison import says_the_same, vacuous_elements
from ..layout import last_states, state_tuple, valid_steps
from ..recurrence import Track
from ..spec import NONLINEARITIES
from .tags import Asked, Numbered, Source

Change = Callable[[np.ndarray], np.ndarray]


class Elements:
    """What is known of each element: its number where the answer shows it, and where it must lie.

    steps: the faults in the arithmetic of a step.  sharp: whether every element was judged by its own step.
    """

    def __init__(self, numbered: Numbered, promised: Arithmetic, dtype: np.dtype, steps: Sequence[Fault]) -> None:
        self.numbered, self.promised, self.dtype, self.steps = numbered, promised, dtype, steps
        count = numbered.count + 1  # the last one stands for no element
        self._shown, self._number, self._first = np.zeros(count, bool), np.full(count, np.nan), np.zeros(count, int)
        self._enclosure = Enclosure(*np.full((3, count), np.nan))
        self.sharp = True

    def show(self, sources: Sequence[Source], arrays: Sequence[np.ndarray]) -> None:
        """The answer's elements, as those of the right answer that they show."""
        tag, number = (
            np.concatenate([array.ravel() for array in every]) for every in ([s.tag for s in sources], arrays)
        )
        at = np.flatnonzero(tag >= 0)[::-1]  # of several the first
        self._shown[tag[at]], self._first[tag[at]] = True, at
        self._number[tag[at]] = number[at]

    def enclose(self) -> None:
        """Where each element must lie, track by track, in the order in which they were asked."""
        for pair, places in zip(self.numbered.tracks, self.numbered.places, strict=True):
            expected = self._track(pair, places[0])
            for place, enclosure in zip(places, expected, strict=True):
                for all_of_them, these in zip(self._enclosure, enclosure, strict=True):
                    all_of_them[place] = these.reshape(place.shape)

    def expected(self, source: Source, first: int) -> Enclosure:
        """Where the elements of an array of the answer must lie: copies of what it shows before must equal that.

        first: how many elements the arrays before it have.
        """
        tag, moved = source.tag, source.tag >= 0
        copy = moved & self._shown[tag] & (self._first[tag] != first + np.arange(tag.size).reshape(tag.shape))
        value, bound, scale = (array[tag] for array in self._enclosure)
        value = np.where(copy, self._number[tag], np.where(moved, value, source.constant))
        bound = np.where(moved & ~copy, bound, np.where(source.computed, np.inf, 0))
        return Enclosure(value, bound, np.where(moved & ~copy, scale, 1))

    def _read(self, *arrays: np.ndarray) -> Ball:
        """What a track reads: exactly where the answer shows it."""
        source = self.numbered.source(*arrays)
        tag, moved = source.tag, source.tag >= 0
        shown, (value, bound, _) = moved & self._shown[tag], (array[tag] for array in self._enclosure)
        value = np.where(shown, self._number[tag], np.where(moved, value, source.constant))
        return Ball(value, np.where(shown, 0, np.where(moved, bound, np.where(source.computed, np.inf, 0))))

    def _track(self, pair: tuple[Asked, Asked], place: np.ndarray) -> tuple[Enclosure, Enclosure]:
        """Its output, and its final states, packed."""
        question, cell = pair[0].question, cell_of(pair[0].question.spec)
        x = self._read(*(one.question.x for one in pair))
        h0 = self._read(*(initial_states(one.question)[0] for one in pair))
        lengths, weights = lengths_of(question), question.parameters[0].astype(self.dtype)
        given = None if question.lengths is None else lengths
        starts, radii = (state_tuple(unpacked(question.spec, array)) for array in h0[:2])
        track = Track(cell, weights, x.value, starts, given, question.spec.direction)
        narrow = track._replace(x=x.value.astype(self.dtype), states=tuple(h.astype(self.dtype) for h in starts))
        valid = valid_steps(lengths, len(x.value))[..., None]
        shown = self._shown[place].all(axis=-1, keepdims=True) | ~valid
        # of a state that is not shown NaN, which says nothing of a hidden one
        actual = np.where(valid, np.where(shown, self._number[place], np.nan), 0).astype(self.dtype)
        by_steps = _packed(self._by_steps(question, narrow, actual))
        # an element has its own step where x and the state before it are known: a hidden one, if all before it are
        start = (h0.radius == 0).all(axis=-1, keepdims=True)
        sharp = np.concatenate([start[None], track.in_order(shown)])[: len(shown)]
        sharp = sharp & track.in_order((x.radius == 0).all(axis=-1, keepdims=True))
        if len(cell.states) > 1:
            sharp = np.logical_and.accumulate(sharp & start, axis=0)
        last = last_states(sharp, start, lengths)
        sharp = track.in_order(sharp)
        if (sharp | ~valid).all():
            return by_steps
        self.sharp = False
        whole = _nothing(track, actual) if self.steps else track_bound(track, x.radius, radii, self.promised)
        return (
            Enclosure(*(np.where(sharp, *two) for two in zip(by_steps[0], _packed(whole)[0], strict=True))),
            Enclosure(*(np.where(last, *two) for two in zip(by_steps[1], _packed(whole)[1], strict=True))),
        )

    def _by_steps(self, question: Case, track: Track, actual: np.ndarray) -> Expected:
        """One step from each state in `actual`, as the faults take it."""
        others = [fault for fault in self.steps if fault.step and fault.step.activation is not Step.right]
        if len(others) > 1 or (others and not track.cell.signed):  # which comes first is not known, or no bound
            return _nothing(track, actual)
        if others:
            judged = arithmetic(others[0].arithmetic) if others[0].arithmetic else self.promised
            expected = _otherwise_activated(question, track, actual, others[0].step, judged)
        else:
            expected = step_bound(track, actual, self.promised)
        for fault in self.steps:
            if fault.step and fault.step.activation is Step.right:
                output, *states = (
                    changed(one, fault.step.state, self.dtype) for one in (*expected[:2], *expected.hidden)
                )
                expected = Expected(output, states[0], tuple(states[1:]))
        return expected


def _packed(expected: Expected) -> tuple[Enclosure, Enclosure]:
    """Of a track's output, and of its final states side by side, h first."""
    states = zip(expected.h_n, *expected.hidden, strict=True)
    return expected.output, Enclosure(*(np.concatenate(fields, axis=-1) for fields in states))


def _nothing(track: Track, actual: np.ndarray) -> Expected:
    """What is expected where nothing is known."""
    steps = [Enclosure(*(np.broadcast_to(one, (len(actual), *h.shape)) for one in (0.0, np.inf, 1.0)))
             for h in track.states]  # fmt: skip
    return expected_of(track, steps[0], steps[1:])


def changed(enclosure: Enclosure, change: Change, dtype: np.dtype) -> Enclosure:
    """Where numbers lie that a change makes of those in here: elementwise, and of two numbers the larger stays so.

    Where both ends stay what they are, so does the enclosure.
    """
    value, bound, scale = enclosure
    ends = [end.astype(dtype) for end in (value - bound, value + bound)]
    low, high = (change(end).astype(np.float64) for end in ends)
    kept = says_the_same(low, ends[0]) & says_the_same(high, ends[1]) & np.isfinite(value)
    same = says_the_same(low, high)
    middle, half = np.where(same, low, (low + high) / 2), np.where(same, 0, (high - low) / 2)
    nothing = vacuous_elements(value, bound, scale) | ~np.isfinite(half)
    middle, half = np.where(kept, value, middle), np.where(kept, bound, np.where(nothing, np.inf, half))
    return Enclosure(middle, half, np.where(kept, scale, np.where(nothing, 1, np.inf)))


def _otherwise_activated(
    question: Case, track: Track, actual: np.ndarray, change: StepChange | None, judged: Arithmetic
) -> Expected:
    """By twice the radius of a step whose activation has a slope of at most 1, and the error of any activation; the
    faulty step may round on both sides as the judged one does."""
    assert change is not None, "a fault in the arithmetic of a step"
    previous = np.concatenate([track.states[0][None], track.in_order(actual)])[: len(actual)].astype(np.float64)
    x = track.in_order(track.x).astype(np.float64)
    flat = [array.reshape(-1, array.shape[-1]) for array in (x, previous)]
    value = change.take(NumPyKernel(), question, flat[0], (flat[1],))[0].reshape(actual.shape).astype(np.float64)
    balls, cell = _AnySlope(judged), track.cell
    weights = balls.weights(track.parameters)
    (h,) = cell.step(balls, weights, cell.project(balls, weights, x), (previous,))
    errors = [balls.activation_bound(value, name, balls.last) for name in NONLINEARITIES]
    bound = 2 * h.radius + np.maximum.reduce(errors)
    scale = np.broadcast_to(h.scale, bound.shape)
    bound = np.where(bound < scale, bound, np.inf)
    return expected_of(track, Enclosure(value, np.where((h.radius == 0) & ~np.isfinite(value), 0, bound), scale))


class _AnySlope(Balls):
    """A step in balls that ends before its activation."""

    def activated(self, total: Open, activation: Activation) -> Ball:
        self.last = model = self.model(total)
        inputs = model.inputs([operand for _, operand in total.products])
        base, a = model.radius(inputs), inputs @ model.weights
        radius = model.settled(inputs, base + model.beta * np.abs(a))
        return Ball(a, np.where(np.isnan(radius), np.inf, radius), model.scale(base))
