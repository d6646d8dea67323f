"""The judge of second derivatives: those of the sum of all gradients but a bias's, as a gradient penalty takes them.

Nothing of how they come about is seen. Each is a sum of products, of which calculus/jets.py has the magnitudes: no
grouping of the products, and no order of the sums, moves it by more than the roundings on its longest way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..backward import Gradients, batched_cotangents
from ..bounds.arithmetic import REFERENCE, Arithmetic
from ..bounds.step import Enclosure
from ..calculus.balls import Ball, Balls
from ..calculus.jets import Factor, Jet, Jets, least, most, signed
from ..cells import cell_of
from ..layout import (
    from_state_tuple,
    sequence_from_time_first,
    sequence_to_time_first,
    state_from_batched,
    state_to_batched,
    state_tuple,
    take_steps,
    valid_steps,
)
from ..spec import CellParameters
from .case import Case
from .comparison import Part, single
from .judge import TimeFirst, time_first, trajectory_tracks
from .parts import parts_of, put_back, shown_of, whole_of
from .verdict import Verdict
from .view import WHOLE, as_shown
from .view_gradients import judge_shown

MOST_NUMBERS = 2**23  # of one jet: beyond it nothing is said
WAY = 64  # roundings of a step's own operations, and of the sums outside all steps, on one way


def judge_twice(case: Case, gradients: Any, declared: str | None = None) -> Verdict:
    """Are these the derivatives, by x, initial states, weights and biases, of the sum of the gradients by x, initial
    states and weights?  The answer is judged with them.

    gradients: as backward answers them, but each once more differentiated.  declared: the arithmetic that is promised.
    """
    return judge_shown(case, WHOLE, gradients, declared, partial(_parts, case, gradients), "second derivatives")


def _parts(case: Case, gradients: Gradients, promised: Arithmetic) -> Iterator[Part]:
    plain, order = (case, None) if case.mask is None else case.without_mask()
    forward = shown_of(WHOLE, case, whole_of(case, put_back(trajectory_tracks(plain, promised), order)))
    answer = as_shown(WHOLE, case, gradients.output, gradients.h_n)
    yield from parts_of(WHOLE, case, answer, forward, promised)
    x, expected = sequence_to_time_first(gradients.x, case.layout), iter(expected_of(plain, promised))
    yield Part(0, "dx", x if order is None else take_steps(x, order, "time_first"), *next(expected))
    for state, initial in zip(cell_of(case.spec).states, state_tuple(gradients.h0), strict=True):
        of_state = next(expected)
        for k, actual in enumerate(state_to_batched(initial, case.layout)):
            yield single(k, f"d{state.name}0", actual, of_state.each(lambda a, k=k: a[k]))
    for k, track in enumerate(gradients.parameters):
        for name, array in track.arrays().items():
            yield single(k, f"d{name}", np.atleast_2d(array), next(expected).each(np.atleast_2d))


def second_gradients(case: Case) -> Gradients:
    """What the reference has for them, in float64, rounded to the case's dtype; and its answer."""
    plain, order = (case, None) if case.mask is None else case.without_mask()
    x, *rest = (one.value.astype(case.x.dtype) for one in expected_of(plain, REFERENCE))
    x = x if order is None else take_steps(x, np.argsort(order, axis=0), "time_first")
    names = [state.name for state in cell_of(case.spec).states]
    h0 = from_state_tuple([state_from_batched(one, case.layout) for one in rest[: len(names)]])
    left = iter(rest[len(names) :])
    tracks = [CellParameters.of({name: next(left) for name in track.arrays()}) for track in case.parameters]
    return Gradients(sequence_from_time_first(x, case.layout), h0, tracks, *case.answer())


def expected_of(case: Case, promised: Arithmetic) -> list[Enclosure]:
    """Of a case without a mask: of x, time first, each initial state, (tracks, batch, size), and each track's weights.

    The bound: what the magnitudes of all products may be more than those of the factors as they are, and as many
    roundings as the longest way has, of each.
    """
    asked = time_first(case)
    x = asked.x
    leaves = [x, *asked.states, *(array for track in case.parameters for array in track.arrays().values())]
    sizes = [leaf.size for leaf in leaves]
    if sum(sizes) * x.shape[1] * max(len(case.parameters[0].w_ih), x.shape[-1]) > MOST_NUMBERS:
        return [Enclosure(np.zeros(leaf.shape), np.full(leaf.shape, np.inf), np.ones(leaf.shape)) for leaf in leaves]
    value, low, high = (_derivatives(asked, promised, factor, sum(sizes)) for factor in (signed, least, most))
    roundings = _longest_way(case, x)
    bound = high * (1 + _growth(promised, roundings)) - low + 2 * roundings * promised.smallest_normal
    bound = np.where(high == 0, 0, bound)
    several = (np.split(one, np.cumsum(sizes)[:-1]) for one in (value, bound, np.where(high == 0, 1, high)))
    return [Enclosure(*(one.reshape(leaf.shape) for one in three))
            for leaf, *three in zip(leaves, *several, strict=True)]  # fmt: skip


def _growth(promised: Arithmetic, roundings: int) -> float:
    u = max(promised.operation_roundoff, promised.accumulator_roundoff, promised.operand_roundoff)
    return sum(math.expm1(min(700.0, roundings * math.log1p(one))) for one in (u, REFERENCE.unit_roundoff))


def _longest_way(case: Case, x: np.ndarray) -> int:
    """How many roundings a product may meet: twice through every step of every layer, and the sums over all steps."""
    time, batch, _ = x.shape
    rows = sum(sum(track.w_ih.shape) + sum(track.w_hh.shape) for track in case.parameters)
    return 2 * (time * (rows + WAY * case.spec.num_layers) + time * batch + WAY)


def _derivatives(asked: TimeFirst, promised: Arithmetic, factor: Factor, elements: int) -> np.ndarray:
    """(elements,): those of the leaves in their order; or what their magnitudes add up to."""
    case, x, states, lengths = asked
    spec, cell, jets = case.spec, cell_of(case.spec), Jets(Balls(promised), factor, elements)
    valid = np.ones(x.shape[:2], bool) if lengths is None else valid_steps(lengths, len(x))
    sequence: list[Jet] = jets.leaf(np.where(valid[..., None], x, 0))
    initial = [jets.leaf(state) for state in states]
    weights = [jets.weights(track) for track in case.parameters]
    g_output, g_finals = batched_cotangents(spec, x, case.layout, case.cotangents)
    total = np.zeros(elements)
    for layer in range(spec.num_layers):
        halves = []
        for d, direction in enumerate(spec.directions):
            k, steps = layer * spec.num_directions + d, [*range(len(sequence))]
            carried = tuple(state[k] for state in initial)
            half: list[Jet] = [carried[0]] * len(steps)
            for t in steps if direction == "forward" else reversed(steps):
                projected = cell.project(jets, weights[k], sequence[t])
                after = [_closed(jets, one) for one in cell.step(jets, weights[k], projected, carried)]
                carried = tuple(
                    _joined(lambda pair, t=t: np.where(valid[t][:, None], *pair), both)
                    for both in zip(after, carried, strict=True)
                )
                half[t] = after[0].map(lambda a, t=t: np.where(valid[t][:, None], a, 0))
            halves.append(half)
            total = sum((_weighted(one, g[k], factor) for one, g in zip(carried, g_finals, strict=True)), total)
        sequence = [_joined(partial(np.concatenate, axis=-1), several) for several in zip(*halves, strict=True)]
    counted = np.where(valid[..., None], g_output, 0)
    return sum((_weighted(one, g, factor) for one, g in zip(sequence, counted, strict=True)), total)


def _closed(jets: Jets, one: Jet) -> Jet:
    """A state as it is fed back, of which storage may have rounded something off."""
    ball = jets.balls.closed(one.value)
    more = jets.balls.shown * (np.abs(ball.value) + ball.radius)
    return one._replace(value=Ball(ball.value, ball.radius + more))


def _joined(join: Callable[[Sequence[np.ndarray]], np.ndarray], several: Sequence[Jet]) -> Jet:
    """One of several, array by array."""
    value, radius, *rest = map(join, zip(*((*one.value[:2], *one[1:]) for one in several), strict=True))
    return Jet(Ball(value, radius), *rest)


def _weighted(one: Jet, g: np.ndarray, factor: Factor) -> np.ndarray:
    return np.einsum("ebu,bu->e", one.both, factor(g.astype(np.float64), 0.0))
