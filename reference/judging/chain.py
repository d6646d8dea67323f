"""The gradients of a stack: layer by layer, and as the one module that they make.

A probe shows the deltas of one layer. So each layer of a stack is asked for itself, with the framework's own answers
around it: its x is what the layer below answered, the cotangent of its output is the gradient by the x of the layer
above. What it answers is judged. Of the stack as one module it is said how far it lies from that chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..backward import Gradients
from ..layout import each_state, state_tuple
from .case import Case
from .comparison import equal_bits
from .gradients import judge_gradients, probe
from .verdict import Verdict

# what answers a case with cotangents: a framework
Ask = Callable[[Case], Gradients]


class Link(NamedTuple):
    """A layer of a stack as a case of its own, and what the framework answered to it."""

    case: Case
    answer: Gradients


class StackVerdict(NamedTuple):
    """layers: what is said of each layer, the first one first.  differing: the arrays in which the stack as one module
    has other bits than the chain, and how far apart the two are, of the largest number there: that is reported and
    never judged by, as no bound is proved: the deltas of the stack cannot be seen.
    """

    layers: list[Verdict]
    differing: dict[str, float]


def judge_stack(case: Case, ask: Ask, declared: str | None = None) -> StackVerdict:
    """Are the gradients of each layer right, and how far from them are those of the stack?

    case: with cotangents.  declared: as judge_gradients takes it.
    """
    links = chain(case, ask)
    layers = [judge_gradients(link.case, ask(probe(link.case)), declared) for link in links]
    return StackVerdict(layers, differing(case, ask(case), links))


def chain(case: Case, ask: Ask) -> list[Link]:
    """The layers of a stack, the first one first. Raises TypeError for a case without cotangents."""
    if case.cotangents is None:
        raise TypeError("cotangents: got None, expected a case that asks for gradients")
    cases, x = [], case.x
    for layer in range(case.spec.num_layers):
        cases.append(one_layer(case, layer, x))
        x = np.ascontiguousarray(ask(cases[-1]).output)
    links, g_output = [], case.cotangents[0]
    for one in reversed(cases):
        asked = replace(one, cotangents=(g_output, one.cotangents[1]))
        links.insert(0, Link(asked, ask(asked)))
        g_output = np.ascontiguousarray(links[0].answer.x)
    return links


def one_layer(case: Case, layer: int, x: np.ndarray) -> Case:
    """One layer of a stack, given its input; its output's cotangent is 0 until the layer above has answered."""
    spec, tracks = case.spec, slice(layer * case.spec.num_directions, (layer + 1) * case.spec.num_directions)
    g_output, g_h_n = np.zeros((*x.shape[:-1], spec.output_size), x.dtype), case.cotangents[1]
    return replace(
        case,
        spec=replace(spec, num_layers=1, input_size=x.shape[-1]),
        parameters=case.parameters[tracks],
        x=x,
        h0=each_state(lambda state: state[tracks], case.h0),
        cotangents=(g_output, each_state(lambda state: state[tracks], g_h_n)),
    )


def differing(case: Case, whole: Gradients, links: Sequence[Link]) -> dict[str, float]:
    """The arrays of a stack that have other bits than the chain, and how far from it they are."""
    answers = [link.answer for link in links]
    pairs = [("output", whole.output, answers[-1].output), ("dx", whole.x, answers[0].x)]
    pairs += _states("{}_n", case, whole.h_n, [answer.h_n for answer in answers])
    pairs += _states("d{}0", case, whole.h0, [answer.h0 for answer in answers])
    of_layers = [track for answer in answers for track in answer.parameters]
    for index, (one, other) in enumerate(zip(whole.parameters, of_layers, strict=True)):
        layer, d = divmod(index, case.spec.num_directions)
        for name, array in one.arrays().items():
            pairs.append((f"d{name} of layer {layer}, {case.spec.directions[d]}", array, other.arrays()[name]))
    return {name: _distance(one, other) for name, one, other in pairs if not equal_bits(one, other).all()}


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference over the largest number; NaN where one is infinite or NaN."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.abs(one - other).max() / np.maximum(np.abs(one), np.abs(other)).max())


def _states(of: str, case: Case, whole: object, layers: Sequence[object]) -> list[tuple[str, np.ndarray, np.ndarray]]:
    names = [state.name for state in case.spec.made.states]
    together = [np.concatenate(one) for one in zip(*map(state_tuple, layers), strict=True)]
    return [(of.format(name), one, other) for name, one, other in zip(names, state_tuple(whole), together, strict=True)]
