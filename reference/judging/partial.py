"""The judge of an answer that shows only part of what the reference answers, or shows it otherwise: a view of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..bounds.arithmetic import Arithmetic
from ..bounds.step import Enclosure, Expected
from ..cells import cell_of
from ..layout import sequence_to_time_first, take_steps
from . import judge as judging
from .case import Case
from .comparison import Part, compare, says_the_same
from .judge import judge, put_back, question_of, step_tracks, trajectory_tracks, verdict_on
from .verdict import Verdict
from .view import WHOLE, Shown, View, as_shown, blank, held, merged, sequence_of, shown, valid_of, wrong_form


def judge_view(
    case: Case,
    view: View,
    output: np.ndarray | None,
    h_n: Any,
    prefixes: Sequence[np.ndarray] | None = None,
    declared: str | None = None,
    bound: str | None = None,
) -> Verdict:
    """Does what a call shows agree with the same view of the reference's answer?

    output, h_n: in the case's layout and dtype, as view.answer_of gives them; None where the view shows none. The other
    arguments are judge's, and so are the errors raised. By the step bound where each layer's output is shown at every
    step, with its halves beside each other; else by the trajectory bound, each operation that merges two halves rounded
    once. An output that is held must be repeated exactly.
    """
    if view == WHOLE:
        given: Any = output  # None too, an answer of another kind: judge says so
        return judge(case, given, h_n, prefixes, declared, bound)
    directions = case.spec.num_directions
    by_steps = view.output == "every step" and not view.merges(directions)
    promised, bound = question_of(case, prefixes, declared, bound)
    bound = bound if by_steps else "trajectory"
    if wrong := wrong_shown(view, case, output, h_n, prefixes or ()):
        return Verdict("disagrees", wrong[0], "", promised.name, detail=wrong[1])
    if view.masked == "held" and view.output == "every step":
        assert output is not None
        if view.merges(directions):
            raise ValueError(f"view: got {view}, expected halves beside each other where an output is held")
        with np.errstate(all="ignore"):
            verdict, zeroed = _unheld(case, output, promised)
        return verdict or judge_view(case, view._replace(masked="zero"), zeroed, h_n, prefixes, promised.name, bound)
    if case.mask is not None:
        plain, order = case.without_mask()
        if output is not None and view.output == "every step":
            output = take_steps(output, order, case.layout)
        lower = None if prefixes is None else [take_steps(array, order, case.layout) for array in prefixes]
        return put_back(judge_view(plain, view, output, h_n, lower, promised.name, bound), order)
    with np.errstate(all="ignore"):
        answer = as_shown(view, case, output, h_n)
        layers = {} if prefixes is None else {n: sequence_to_time_first(a, case.layout) for n, a in enumerate(prefixes)}
        if by_steps and answer.output is not None:
            layers[case.spec.num_layers - 1] = answer.output
        tracks = step_tracks(case, layers, promised) if bound == "step" else trajectory_tracks(case, promised)
        expected = list(tracks)
        below = _parts_below(case, layers, expected) if bound == "step" else ()
        whole = whole_of(case, expected)
        seen = [
            compare(part) for part in (*below, *parts_of(view, case, answer, shown_of(view, case, whole), promised))
        ]
        return verdict_on(case, seen, promised, bound)


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
    fields = [shown(view, case, out, of) for out, *of in zip(output, *states, strict=True)]
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


def _parts_below(case: Case, layers: dict[int, np.ndarray], tracks: Sequence[Expected]) -> Iterator[Part]:
    for index, expected in enumerate(tracks[: -case.spec.num_directions]):
        layer, direction = divmod(index, case.spec.num_directions)
        yield Part(index, "output", layers[layer][..., case.spec.half(direction)], *expected.output)


def _unheld(case: Case, output: np.ndarray, promised: Arithmetic) -> tuple[Verdict | None, np.ndarray | None]:
    """An output that is held, with zero where no step counts; or the verdict on one that does not repeat itself."""
    actual, valid = sequence_to_time_first(output, case.layout), valid_of(case)
    repeated, zero = held(case, actual, valid), actual.dtype.type(0)
    if says_the_same(actual, repeated).all():
        return None, sequence_of(WHOLE, case, np.where(valid[..., None], actual, zero))
    first, seen = case.spec.num_cells - case.spec.num_directions, []
    for d in range(case.spec.num_directions):
        half = np.s_[..., case.spec.half(d)]
        exactly = Enclosure.exactly(repeated[half].astype(np.float64))
        seen.append(compare(Part(first + d, "output", actual[half], *exactly)))
    return verdict_on(case, seen, promised, "step"), None
