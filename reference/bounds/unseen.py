"""The bound of gradients whose deltas are not seen: all steps back from given cotangents, one after another.

No probe shows the deltas of a stack's layers. Each is a ball here, of what the step after handed back, and that grows
from step to step. Where the framework reported the states nothing of the forward pass propagates. Where it shows a part
of them alone (judging/view_gradients.py) they are balls too, those of the trajectory bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..calculus.balls import EVALUATED, Ball
from ..calculus.returns import Back, BallReturns
from ..calculus.scan import Scan
from ..calculus.tape import Node, Tape, hand_back, handed
from ..layout import valid_steps
from ..recurrence import Track
from .arithmetic import Arithmetic
from .gradients import Layer, Recorded, enclosure, forward_of, gates_of, of_weight, together
from .step import Enclosure, Expected, expected_of


class Sums(NamedTuple):
    """What is made of a track's deltas.

    x: (time, batch, features), a part of the sum of both directions'.
    states: (batch, size) each.  parameters: by name, each of its weight's shape.
    """

    x: Back
    states: tuple[Enclosure, ...]
    parameters: dict[str, Enclosure]


class UnseenGradients(NamedTuple):
    """What a track should have answered.  forward: its answer.  The others are those of Sums."""

    forward: Expected
    x: Back
    states: tuple[Enclosure, ...]
    parameters: dict[str, Enclosure]


class Enclosed(NamedTuple):
    """A step from a state that is known as balls, with its nodes, as Recorded has them."""

    tape: Tape
    x: Node
    before: tuple[Node, ...]
    after: tuple[Node, ...]


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
    judged = _of_operations(judged)
    layer = StepLayer(track, actual, judged)
    steps, output, hidden = forward_of(layer, shared)
    carried = [Back(g.astype(np.float64), np.zeros(g.shape)) for g in g_finals]
    found = _all_back(layer, steps, g_output, carried, judged, returns_of)
    return UnseenGradients(expected_of(track, output, hidden), *found)


def enclosed_gradients(
    track: Track,
    x_radius: np.ndarray | None,
    states: Ball,
    g_output: Back,
    g_finals: Sequence[Back],
    judged: Arithmetic,
    shared: int = 1,
) -> Sums:
    """The same where no state was reported.  x_radius: how far from the track's x the one that was read may lie; None
    where it is exact.  states: (time, batch, size), where h lies after each step, by the trajectory bound.  Any other
    state is enclosed here, step by step.  The other arguments are those of unseen_gradients.
    """
    layer = StepLayer(track, states.value, _of_operations(judged))
    radius = None if x_radius is None else layer.counted(x_radius)
    steps = _enclosed(layer, radius, _fed_back(Ball(layer.actual, layer.counted(states.radius)), judged), shared)
    return _all_back(layer, steps, g_output, g_finals, _of_operations(judged))


def _of_operations(judged: Arithmetic) -> Arithmetic:
    """As in gradient_bound: every operation rounds as the narrower format does, or less, whatever is shown."""
    return replace(judged, unit_roundoff=judged.operation_roundoff) if judged.narrow else judged


def _fed_back(shown: Ball, judged: Arithmetic) -> Ball:
    """Where the state lies that is used, of which storage may have rounded something off."""
    if not (u := judged.shown_roundoff):
        return shown
    more = u * (np.abs(shown.value) + shown.radius) + judged.smallest_normal
    return Ball(shown.value, (shown.radius + more) * EVALUATED)


def _enclosed(layer: StepLayer, x_radius: np.ndarray | None, h: Ball, shared: int) -> list[Enclosed]:
    """The steps in processing order, each from where the states lie after the one before."""
    track, scan, steps = layer.track, layer.scan, []
    states = tuple(Ball(one.astype(np.float64), np.zeros(one.shape)) for one in track.states)
    for t, block in enumerate(layer.blocks() if len(layer.x) else ()):
        x, tape = layer.x[block].astype(np.float64), Tape(scan)
        given = Node(x if x_radius is None else Ball(x, x_radius[block]), shared=shared)
        before = tuple(Node(Ball(*(a[None] for a in one[:2]))) for one in states)
        projected = track.cell.project(tape, layer.weights, given)
        after = track.cell.step(tape, layer.weights, projected, before)
        hidden = [
            _held(layer, t, scan.closed(node.value), one) for node, one in zip(after[1:], states[1:], strict=True)
        ]
        after[0].value = _certainly_zero(scan, after[0], h.part(block))
        states = Ball(*(a[0] for a in after[0].value[:2])), *hidden
        steps.append(Enclosed(tape, given, before, after))
    return steps


def _certainly_zero(scan: Scan, node: Node, h: Ball) -> Ball:
    """A relu of what is negative for certain is exactly zero, and so is its slope."""
    if node.operation != "relu":
        return h
    a = scan.closed(node.operands[0].value)
    zero = a.value + a.radius < 0
    return Ball(*(np.where(zero, 0, one) for one in h[:2]))


def _held(layer: StepLayer, t: int, after: Ball, before: Ball) -> Ball:
    """A state after a step; the one before it, where that does not count."""
    pairs = zip((a[0] for a in after[:2]), before, strict=False)
    return Ball(*(a if layer.valid is None else np.where(layer.valid[t], a, b) for a, b in pairs))


def _all_back(layer: StepLayer, steps: Sequence[Recorded | Enclosed], g_output: Back, carried: Sequence[Back],
              judged: Arithmetic, returns_of: type[KnownReturns] = KnownReturns) -> Sums:  # fmt: skip
    """All steps back.  carried: the cotangents of the final states."""
    track, (time, batch, _) = layer.track, layer.actual.shape
    returns = returns_of(judged, gates_of(track), len(track.parameters.w_ih), time, batch)
    g_steps = g_output.each(layer.counted)
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
    return Sums(_joined(xs, layer), tuple(enclosure(one, judged) for one in carried), parameters)


def _before(step: Recorded | Enclosed, returns: KnownReturns, carried: Sequence[Back], counts: Any) -> list[Back]:
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
