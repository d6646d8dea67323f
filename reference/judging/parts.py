"""What an answer shows beside what is expected there: the parts that a judge compares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..bounds.arithmetic import Arithmetic
from ..bounds.step import Enclosure, Expected
from ..cells import cell_of
from ..layout import take_steps
from . import judge as judging
from .case import Case
from .comparison import Part
from .view import WHOLE, Shown, View, blank, merged, shown, wrong_form


def put_back(tracks: list[Expected], order: np.ndarray | None) -> list[Expected]:
    """What is expected of steps that were put in an order, at their own places."""
    if order is None:
        return tracks
    places = np.argsort(order, axis=0)
    return [track._replace(output=track.output.each(lambda array: take_steps(array, places, "time_first")))
            for track in tracks]  # fmt: skip


def wrong_shown(view: View, case: Case, output: Any, h_n: Any, prefixes: Sequence[Any]) -> tuple[str, str] | None:
    """The reason and a sentence when an array that is shown, or a prefix, is not what the case asks for."""
    if view == WHOLE:
        return judging.wrong_form(case, output, h_n, prefixes)
    whole = blank(case)
    return judging.wrong_form(case, *whole, prefixes) or wrong_form(view, case, output, h_n)


Whole = tuple[Enclosure, tuple[Enclosure, ...]]  # the last layer's output, and the states of every layer


def whole_of(case: Case, tracks: Sequence[Expected]) -> Whole:
    """What is expected of a stack's tracks, as one answer."""
    last = [track.output for track in tracks[-case.spec.num_directions :]]
    states = [
        [(track.h_n, *track.hidden)[number] for track in tracks] for number in range(len(cell_of(case.spec).states))
    ]
    return (
        Enclosure(*(np.concatenate(field, axis=-1) for field in zip(*last, strict=True))),
        tuple(Enclosure(*(np.stack(field) for field in zip(*state, strict=True))) for state in states),
    )


def shown_of(view: View, case: Case, whole: Whole) -> tuple[Enclosure | None, tuple[Enclosure, ...]]:
    """What a view shows of where a whole answer must lie. What it puts there itself must be there exactly."""
    output, states = whole
    exactly = view._replace(first="zero")  # h0 has no bound
    fields = [shown(told, case, out, of)
              for told, out, *of in zip((view, exactly, exactly), output, *states, strict=True)]  # fmt: skip
    outputs = [one.output for one in fields if one.output is not None]
    seen = Enclosure(*outputs) if outputs else None
    if seen is not None:  # a zero that the view puts there has no scale
        seen = seen._replace(scale=np.where((seen.bound == 0) & (seen.scale == 0), 1, seen.scale))
    return seen, tuple(Enclosure(*state) for state in zip(*(one.states for one in fields), strict=True))


def parts_of(
    view: View,
    case: Case,
    answer: Shown,
    expected: tuple[Enclosure | None, tuple[Enclosure, ...]],
    promised: Arithmetic,
) -> Iterator[Part]:
    """What an answer shows beside what is expected there, track by track."""
    output, states = expected
    directions = case.spec.num_directions
    first, name = case.spec.num_cells - directions, "output" if view.output == "every step" else "last output"
    if output is not None and answer.output is not None:
        halves = [output.each(lambda array, d=d: array[..., case.spec.half(d)]) for d in range(directions)]
        if view.merges(directions):
            yield Part(first, name, answer.output, *merged(view, halves, promised))
        else:
            for d, half in enumerate(halves):
                yield Part(first + d, name, answer.output[..., case.spec.half(d)], *half)
    for state, final, enclosure in zip(cell_of(case.spec).states, answer.states, states, strict=False):
        above = case.spec.num_cells - len(final)
        for index in range(len(final)):
            rows = np.s_[index : index + 1]
            yield Part(above + index, f"{state.name}_n", final[rows], *(array[rows] for array in enclosure))
