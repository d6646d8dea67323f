"""The cotangents of what a view shows, and the adjoint of a view: what they say of the whole answer.

A case has cotangents of the whole answer. Of these a call is given the part that its view shows, element by element, so
that each arrives exactly; of two halves that are merged that of the first. What was given is pulled back to the whole
answer here, as the chain rule says: docs/error-bounds.md, "A part of an answer".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..backward import Gradients, batched_cotangents
from ..bounds.arithmetic import REFERENCE, Arithmetic, arithmetic
from ..bounds.step import Enclosure
from ..calculus.balls import EVALUATED
from ..calculus.returns import Back
from ..layout import (
    from_state_tuple,
    sequence_axes,
    sequence_from_time_first,
    sequence_to_time_first,
    state_from_batched,
    state_to_batched,
    state_tuple,
)
from .case import Case
from .view import PROCESSED, View, answer_of, merged, shown, valid_of


class Given(NamedTuple):
    """Cotangents of what is shown, time first and batched, as view.Shown has what is shown.

    output: (time, batch, features), of the last step (1, batch, features); None where none is shown.
    states: (tracks, batch, size) each, of every track: zero of those that are not shown.
    """

    output: np.ndarray | None
    states: tuple[np.ndarray, ...]


class Whole(NamedTuple):
    """Cotangents of a whole answer. output: (time, batch, output_size).  finals: (tracks, batch, size) each."""

    output: Back
    finals: tuple[Back, ...]


def given_of(view: View, case: Case) -> Given:
    """What a view shows of the cotangents of a case."""
    spec, x = case.spec, sequence_to_time_first(case.x, case.layout)
    g_output, g_states = batched_cotangents(spec, x, case.layout, case.cotangents)
    lower = {"every layer": 0, "last layer": spec.num_cells - spec.num_directions, "none": spec.num_cells}[view.states]
    states = []
    for g in g_states:
        some = np.array(g)
        some[:lower] = 0
        states.append(some)
    one = g_output[..., spec.half(0)] if view.merges(spec.num_directions) else g_output
    if view.output == "none":
        return Given(None, tuple(states))
    output = {"every step": lambda: one, "last step": lambda: _at_the_end(view, case, one)}[view.output]()
    return Given(output.astype(g_output.dtype), tuple(states))


def _at_the_end(view: View, case: Case, g: np.ndarray) -> np.ndarray:
    """Of each half what stands at the last step that is processed, (1, batch, features); what is merged is one half."""
    valid, spec = valid_of(case), case.spec
    time, batch = valid.shape
    ends = []
    for d in range(1 if view.merges(spec.num_directions) else spec.num_directions):
        counts, half = valid[PROCESSED[spec.directions[d]]], g[PROCESSED[spec.directions[d]]][..., spec.half(d)]
        last = time - 1 - np.argmax(counts[::-1], axis=0) if time else np.zeros(batch, int)
        ends.append(half[last, np.arange(batch)] if time else np.zeros((batch, half.shape[-1]), g.dtype))
    # the sequences whose last output comes from the final state: where no step counts a zero may stand
    moves = {"zero": valid.any(axis=0), "h0": np.ones(batch, bool)}[view.first]
    return np.where(moves[:, None], np.concatenate(ends, axis=-1), 0)[None]


def shown_cotangents(view: View, case: Case, layout: str = "") -> tuple[np.ndarray | None, Any]:
    """What a call is given: (g_output, g_h_n), as view.answer_of gives an answer; None of what is not shown. Zeros
    stand where the case has no cotangents.  layout: the case's when empty, or one that has a batch."""
    given, directions, layout = given_of(view, case), case.spec.num_directions, layout or case.layout
    seen = {"every layer": given.states, "last layer": tuple(one[-directions:] for one in given.states), "none": ()}
    final = [np.ascontiguousarray(state_from_batched(state, layout)) for state in seen[view.states]]
    output = given.output
    if output is not None:
        output = np.ascontiguousarray(sequence_from_time_first(output, layout))
        output = output if view.output == "every step" else output.squeeze(sequence_axes(layout).index("time"))
    return output, from_state_tuple(final) if final else None


def pulled_back(view: View, case: Case, expected: Enclosure | None, promised: Arithmetic) -> Whole:
    """The cotangents of the whole answer that come of those that are given, each within its radius.

    expected: where the two halves lie that a view merges, beside each other, as the view shows them before that.
    """
    given, spec = given_of(view, case), case.spec
    x = sequence_to_time_first(case.x, case.layout)
    nothing = _exactly(np.zeros((*x.shape[:2], spec.output_size)))
    finals = [_exactly(g) for g in given.states]
    if given.output is None:
        return Whole(nothing, tuple(finals))
    g = given.output.astype(np.float64)
    if view.output == "every step" and view.masked == "zero":  # a zero that stands there hands nothing on
        g = np.where(valid_of(case)[..., None], g, 0)
    halves = _of_halves(view, case, g, expected, promised)
    if view.output == "every step":
        spread = {"zero": lambda: halves, "held": lambda: _unheld(view, case, halves, promised)}[view.masked]()
        return Whole(spread, tuple(finals))
    parts = [halves.each(lambda a, d=d: a[0][..., spec.half(d)]) for d in range(spec.num_directions)]
    last = spec.num_cells - spec.num_directions
    return Whole(nothing, (_added(finals[0], last, parts, promised), *finals[1:]))


def halves_of(view: View, case: Case) -> np.ndarray | None:
    """What a view shows of the reference's output, its halves beside each other; None where it shows none."""
    output, h_n = case.answer()
    states = [state_to_batched(state, case.layout) for state in state_tuple(h_n)]
    return shown(view, case, sequence_to_time_first(output, case.layout), states).output


def part_gradients(view: View, case: Case) -> Gradients:
    """The reference's gradients of what a view shows, and its output and h_n as they are shown."""
    both = halves_of(view, case)
    expected = None if both is None else Enclosure.exactly(both.astype(np.float64))
    found = of_whole(case, pulled_back(view, case, expected, arithmetic(case.dtype))).gradients()
    output, h_n = answer_of(view, case, *case.answer())
    return found._replace(output=output, h_n=h_n)  # type: ignore[arg-type] - None is what is not shown


def of_whole(case: Case, whole: Whole) -> Case:
    """The case with these cotangents, rounded to its dtype."""
    g = sequence_from_time_first(whole.output.value.astype(case.x.dtype), case.layout)
    finals = [state_from_batched(one.value.astype(case.x.dtype), case.layout) for one in whole.finals]
    return replace(case, cotangents=(g, from_state_tuple(finals)))


def _exactly(g: np.ndarray) -> Back:
    return Back(g.astype(np.float64), np.zeros(g.shape))


def _of_halves(view: View, case: Case, g: np.ndarray, expected: Enclosure | None, promised: Arithmetic) -> Back:
    """What the two halves are handed, beside each other: of a sum the same, of a mean half of it, of a product what
    stands in the other half times that."""
    if not view.merges(case.spec.num_directions):
        return _exactly(g)
    handed: Mapping[str, Callable[[], list[Enclosure]]] = {
        "sum": lambda: [Enclosure.exactly(g)] * 2,
        "ave": lambda: [_halved(g, promised)] * 2,
        "mul": lambda: [_by_the_other(case, d, g, expected, promised) for d in (1, 0)],
    }
    value, radius, scale = (np.concatenate(parts, axis=-1) for parts in zip(*handed[view.halves](), strict=True))
    return Back(value, radius, scale)


def _halved(g: np.ndarray, promised: Arithmetic) -> Enclosure:
    """Exact, but for what is flushed."""
    lost = np.where(g == 0, 0, promised.smallest_normal + REFERENCE.smallest_normal)
    return Enclosure(g / 2, lost, np.abs(g))


def _by_the_other(case: Case, d: int, g: np.ndarray, expected: Enclosure | None, promised: Arithmetic) -> Enclosure:
    """One operation, on the half d as an implementation has it."""
    assert expected is not None, "halves that are merged are shown"
    half = expected.each(lambda a: a[..., case.spec.half(d)])
    if u := promised.shown_roundoff:  # what storage rounded off was in it
        zero = (half.value == 0) & (half.bound == 0)
        more = np.where(zero, 0, u * (np.abs(half.value) + half.bound) + promised.smallest_normal)
        half = half._replace(bound=(half.bound + more) * EVALUATED)
    handed = merged(View(halves="mul"), [Enclosure.exactly(g), half], promised)
    return handed._replace(scale=np.where(handed.scale == 0, 1, handed.scale) * np.abs(g))


def _unheld(view: View, case: Case, g: Back, promised: Arithmetic) -> Back:
    """Where steps that do not count repeat the one processed before: that one is handed what all of them are. What is
    before any is a zero, and hands nothing on."""
    if view.first != "zero":
        raise NotImplementedError(f"view first: got {view.first!r} of an output that is held: no bound is proved")
    valid, spec, parts = valid_of(case), case.spec, []
    for d, direction in enumerate(spec.directions):
        way, half = PROCESSED[direction], spec.half(d)
        parts.append([_collected(a[..., half], valid, way) for a in (g.value, g.radius, g.size)])
    value, radius, size = (np.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True))
    time = len(valid)
    gain = promised.gain(time + 1, time) + REFERENCE.gain(time + 1)
    lost = time * (promised.smallest_normal + REFERENCE.smallest_normal)
    return Back(value, np.where(size == 0, 0, (radius + gain * size + lost) * EVALUATED), size)


def _collected(a: np.ndarray, valid: np.ndarray, order: slice) -> np.ndarray:
    """Sums over each step that counts and those after it, in the order given, that do not; zero at these."""
    answer, waiting = np.zeros_like(a), np.zeros(a.shape[1:])
    for t in range(len(a))[order][::-1]:
        total, counts = waiting + a[t], valid[t][:, None]
        answer[t] = np.where(counts, total, 0)
        waiting = np.where(counts, 0, total)
    return answer


def _added(finals: Back, first: int, parts: list[Back], promised: Arithmetic) -> Back:
    """Cotangents of final states, with those of the last outputs, which are these states."""
    value, radius, scale = (np.array(a) for a in (finals.value, finals.radius, finals.size))
    gain = promised.gain(2, 1) + REFERENCE.gain(2)
    lost = 2 * (promised.smallest_normal + REFERENCE.smallest_normal)
    for k, part in enumerate(parts, first):
        both = np.abs(value[k]) + part.size
        one = (value[k] == 0) | (part.size == 0)  # there is nothing to add
        value[k] += part.value
        radius[k] = (part.radius + np.where(one, 0, gain * both + lost)) * EVALUATED
        scale[k] += part.size if part.scale is None else part.scale
    return Back(value, radius, scale)
