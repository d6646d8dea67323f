"""Which element of the right answer a fault moves where: numbers that stand for the elements are sent through it.

Such a number is a tag. A tag that comes out again is an element that was moved; what comes out alike for other tags is
a constant, as zero is; anything else was computed, and is not known here. Each element has two tags, of which one is
positive and one negative, one far above 1 and one far below, so that what clips or flushes numbers spares one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..faults.machine import as_time_first, by_tracks, initial_states, lengths_of, zero_padding
from ..judging.case import Case
from ..judging.comparison import says_the_same
from ..layout import each_state, sequence_from_time_first, state_from_batched, take_steps, valid_steps
from ..recurrence import Result

EXPONENTS = 12, 30  # of the larger of an element's tags; that of the smaller one is the same below 0
SIDES = 1, -1  # of 0 and of 1, on which the tags of a run are: as drawn, and the others


class Asked(NamedTuple):
    """One track and what it is asked, with tags in x and h0 where they come from other tracks.

    question: time first, float64, without a mask.  output: the tags of its output (time, batch, size), zero beyond a
    length.  h_n: (1, batch, size); h0 where there are no steps.
    """

    question: Case
    output: np.ndarray
    h_n: np.ndarray


class Tags:
    """The tags on one side, the tracks that they were made for, in the order in which these were asked, and the
    questions to whole stacks."""

    def __init__(self, side: int) -> None:
        self._side, self._random = side, np.random.default_rng(0)
        self.tracks: dict[Any, Asked] = {}
        self.questions: list[Case] = []

    def run(self, case: Case) -> Result:
        """The answer in tags. The same question to a track has the same ones."""
        self.questions.append(case)
        return self.answer(case)

    def answer(self, case: Case) -> Result:
        usual = as_time_first(case)
        plain, order = (usual, None) if usual.mask is None else usual.without_mask()
        output, h_n = by_tracks(plain, self.answer, self._track, self._track)
        if order is not None:
            output = take_steps(output, np.argsort(order, axis=0), "time_first")
        return Result(
            np.ascontiguousarray(sequence_from_time_first(output, case.layout)),
            each_state(lambda h: np.ascontiguousarray(state_from_batched(h, case.layout)), h_n),
        )

    def _track(self, question: Case, _run: Callable[[Case], Result]) -> Result:
        lengths, h0 = lengths_of(question), initial_states(question)
        arrays = (*question.parameters[0].arrays().values(), question.x, h0, lengths)
        key = (question.spec, question.x.shape, *(array.tobytes() for array in arrays))
        if key not in self.tracks:
            time, batch, _ = question.x.shape
            output = zero_padding(self._drawn(time, batch, question.spec.state_size), lengths)
            h_n = np.where((lengths == 0)[:, None], h0, self._drawn(*h0.shape))
            self.tracks[key] = Asked(question, output, h_n)
        return Result(*self.tracks[key][1:])

    def _drawn(self, *shape: int) -> np.ndarray:
        sign, up = (self._side * self._random.choice([-1, 1], shape) for _ in range(2))
        return np.ldexp(sign * self._random.uniform(1, 2, shape), up * self._random.integers(*EXPONENTS, shape))


class Source(NamedTuple):
    """Where the elements of an array come from.

    tag: the number of a tag, counted through all tracks; -1 where there is none.  constant: what is there else; NaN
    where it is computed.  computed: where it is that.
    """

    tag: np.ndarray
    constant: np.ndarray
    computed: np.ndarray


class Numbered:
    """The tags of both sides, by number: an element is moved, or constant, only if it is with both.

    tracks: what each was asked, with the tags of either side.  places: the numbers of its tags, of output and h_n.
    """

    def __init__(self, both: tuple[Tags, Tags]) -> None:
        first, second = ([*one.tracks.values()] for one in both)
        self.tracks, self.places, self.count = list(zip(first, second, strict=True)), [], 0
        for asked in first:
            self.places.append([self._count(tags) for tags in asked[1:]])
        self._tags = [np.concatenate([*map(_drawn_alone, one), np.zeros(0)]) for one in (first, second)]
        self._order = [np.argsort(tags) for tags in self._tags]

    def source(self, *arrays: np.ndarray) -> Source:
        """arrays: what came out for the tags of either side."""
        first, second = (self._number(*one) for one in zip(arrays, self._tags, self._order, strict=True))
        moved = (first == second) & (first >= 0)
        constant = ~moved & (first < 0) & (second < 0) & says_the_same(*arrays)
        return Source(np.where(moved, first, -1), np.where(constant, arrays[0], np.nan), ~moved & ~constant)

    def _count(self, tags: np.ndarray) -> np.ndarray:
        start, self.count = self.count, self.count + tags.size
        return np.arange(start, self.count).reshape(tags.shape)

    @staticmethod
    def _number(array: np.ndarray, tags: np.ndarray, order: np.ndarray) -> np.ndarray:
        if not len(tags):
            return np.full(array.shape, -1)
        at = order[np.minimum(np.searchsorted(tags, array, sorter=order), len(tags) - 1)]
        return np.where(tags[at] == array, at, -1)


def _drawn_alone(asked: Asked) -> np.ndarray:
    """The tags of a track, NaN where a constant stands in their place."""
    lengths = lengths_of(asked.question)
    there = valid_steps(lengths, len(asked.output))[..., None], (lengths > 0)[:, None]
    return np.concatenate([np.where(one, tags, np.nan).ravel() for one, tags in zip(there, asked[1:], strict=True)])
