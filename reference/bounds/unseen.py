"""The bound of gradients whose deltas are not seen: all steps back from given cotangents, one after another.

No probe shows the deltas of a stack's layers. Each is a ball here, of what the step after handed back, and that grows
from step to step. The states are those that the framework reported, so nothing of the forward pass propagates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..calculus.returns import Back, BallReturns
from ..calculus.tape import Node, hand_back, handed
from ..layout import valid_steps
from ..recurrence import Track
from .arithmetic import Arithmetic
from .gradients import Layer, Recorded, enclosure, forward_of, gates_of, of_weight, together
from .step import Enclosure, Expected, expected_of


class UnseenGradients(NamedTuple):
    """What a track should have answered.

    forward: its answer.  x: (time, batch, features), a part of the sum of both directions'.
    states: (batch, size) each.  parameters: by name, each of its weight's shape.
    """

    forward: Expected
    x: Back
    states: tuple[Enclosure, ...]
    parameters: dict[str, Enclosure]


class StepLayer(Layer):
    """A track that is read one step after the other."""

    def blocks(self) -> list[slice]:
        return [slice(t, t + 1) for t in range(len(self.actual))] or [slice(0, 0)]


class KnownReturns(BallReturns):
    """Every cotangent is known when it is handed on: the sum of all that was handed to its node."""

    def cotangent(self, node: Node) -> Any:
        several = handed(node, self)
        return None if several is None else (self.closed(self.added_up(several)),)


def unseen_gradients(
    track: Track,
    actual: np.ndarray,
    g_output: Back,
    g_finals: Sequence[np.ndarray],
    judged: Arithmetic,
    shared: int = 1,
    returns_of: type[KnownReturns] = KnownReturns,
) -> UnseenGradients:
    """actual: (time, batch, size), what the framework answered for this track.  g_output: as actual, with what is not
    known of it.  g_finals: (batch, size) each.  shared: how many tracks read x.  returns_of: what reads each step back.

    Raises NotImplementedError for an operation of which no bound is proved.
    """
    if judged.narrow:  # as in gradient_bound
        judged = replace(judged, unit_roundoff=judged.operation_roundoff)
    layer = StepLayer(track, actual, judged)
    time, batch, _ = actual.shape
    steps, output, hidden = forward_of(layer, shared)
    returns = returns_of(judged, gates_of(track), len(track.parameters.w_ih), time, batch)
    g_steps = g_output.each(layer.counted)
    carried = [Back(g.astype(np.float64), np.zeros(g.shape)) for g in g_finals]
    xs, totals = [], dict.fromkeys(layer.weights, ())
    for t, step in reversed([*enumerate(steps[:time])]):
        counts = None if layer.valid is None else layer.valid[t]
        for k, (node, carry) in enumerate(zip(step.after, carried, strict=True)):
            given = [carry.each(lambda a: a[None])] + ([g_steps.each(lambda a, t=t: a[t : t + 1])] if k == 0 else [])
            node.back.append(tuple(where(counts, back) for back in given))
        hand_back(step.tape.nodes, returns)
        carried = _before(step, returns, carried, counts)
        (of_x,) = handed(step.x, returns)
        xs.insert(0, where(counts, returns.closed(of_x)))
        totals = {name: together(totals[name], handed(node, returns) or ()) for name, node in layer.weights.items()}
        layer.untouched(step)
    parameters = {name: of_weight(returns, totals[name], array) for name, array in track.parameters.arrays().items()}
    return UnseenGradients(
        expected_of(track, output, hidden),
        _joined(xs, layer),
        tuple(enclosure(one, judged) for one in carried),
        parameters,
    )


def _before(step: Recorded, returns: KnownReturns, carried: Sequence[Back], counts: Any) -> list[Back]:
    """The cotangents of the states before a step; those after it, where it does not count."""
    found = []
    for node, carry in zip(step.before, carried, strict=True):
        (known,) = returns.cotangent(node) or (Back(np.zeros(carry.value.shape)),)
        found.append(where(counts, known.each(lambda a: a.reshape(carry.value.shape)), carry))  # noqa: B023
    return found


def counted(lengths: np.ndarray | None, x: Back) -> Back:
    """What is handed to each step, (time, batch, features): exactly nothing where it does not count."""
    counts = None if lengths is None else valid_steps(lengths, len(x.value))[..., None]
    return where(counts, x)


def where(counts: np.ndarray | None, back: Back, otherwise: Back | None = None) -> Back:
    """A Back where a step counts, and another one, or exactly nothing, where it does not."""
    if counts is None:
        return back
    other = otherwise or Back(0.0)
    scales = [one.size if one.scale is None else one.scale for one in (back, other)]
    value, radius = np.where(counts, back.value, other.value), np.where(counts, back.radius, other.radius)
    return Back(value, radius, np.where(counts, *scales), sum=back.sum or other.sum)


def _joined(steps: Sequence[Back], layer: Layer) -> Back:
    """Those of all steps, in the order of time."""
    if not steps:
        return Back(np.zeros(layer.x.shape), np.zeros(layer.x.shape))
    scales = [one.size if one.scale is None else one.scale for one in steps]
    several = [one.value for one in steps], [np.broadcast_to(one.radius, one.value.shape) for one in steps], scales
    value, radius, scale = (layer.track.in_order(np.concatenate(parts)) for parts in several)
    return Back(value, radius, scale, sum=True)
