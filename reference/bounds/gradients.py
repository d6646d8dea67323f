"""The gradient bound: one step back from the cotangents that the framework itself reports.

A probe (judging/gradients.py) shows the cotangent of each gate's sum at each step, its delta. Deltas that are shown are
exact, so nothing propagates but what a state hands on element by element: z in a GRU, f in an LSTM; and what the deltas
say of that narrows it. Gradients of weights and inputs are one sum of the deltas each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..calculus.balls import EVALUATED, Ball, Open
from ..calculus.returns import Back, BallReturns, ProbeReturns
from ..calculus.scan import BEFORE, Later, Scan, waits
from ..calculus.sums import EVALUATION_ERROR
from ..calculus.tape import Node, Tape, hand_back, handed
from ..layout import valid_steps
from ..recurrence import Track
from .arithmetic import Arithmetic
from .step import Enclosure, Expected, expected_of, time_blocks

# Elements of a block: each adds a matrix to every sum over time, which costs more than the cache where they are small.
BLOCK_ELEMENTS = 2**17
# how far a partial sum may lie above the sum of magnitudes
OVERSHOOT = 2.0


class ExpectedGradients(NamedTuple):
    """What a track should have answered.

    forward: its answer.  delta: (time, batch, rows of w_ih).  x: (time, batch, features), a part of the sum of both
    directions'.  states: (batch, size) each.  parameters: by name, each of its weight's shape.
    """

    forward: Expected
    delta: Enclosure
    x: Back
    states: tuple[Enclosure, ...]
    parameters: dict[str, Enclosure]


class RecordedScan(Scan):
    """A Scan whose factors are computed when they are multiplied, for their derivatives."""

    def computed(self, value: Any) -> Any:
        return self.closed(value) if isinstance(value, Open) and not waits(value) else value


class Layer:
    """A track as it is read, some steps after the others, in processing order."""

    def __init__(self, track: Track, actual: np.ndarray, judged: Arithmetic) -> None:
        self.track, self.scan = track, RecordedScan(judged)
        self.weights = Tape(self.scan).weights(track.parameters)
        self.valid = None if track.lengths is None else valid_steps(track.lengths, len(actual))[..., None]
        self.x, self.actual = self.counted(track.x), self.counted(actual)
        self.previous = np.concatenate([track.states[0][None], self.actual[:-1]])[: len(actual)]

    def counted(self, sequence: np.ndarray) -> np.ndarray:
        """A sequence in processing order, zero where no step counts."""
        ordered = self.track.in_order(sequence)
        return ordered if self.valid is None else np.where(self.valid, ordered, ordered.dtype.type(0))

    def blocks(self) -> list[slice]:
        """Steps that are read at once: so many that what they need stays in the processor's cache."""
        time, batch, size = self.actual.shape
        return time_blocks(time, batch, size, BLOCK_ELEMENTS) or [slice(0, 0)]

    def untouched(self, step: Any) -> None:
        """Forget what was handed back by some steps."""
        for node in (*step.tape.nodes, *step.before, step.x, *self.weights.values()):
            node.back, node.parts = [], {}

    def given(self, g_output: np.ndarray, g_finals: Sequence[np.ndarray], block: slice) -> list[list[Back]]:
        """The given cotangents of each state after some steps: of a final state at each sequence's last one."""
        lengths, given = self.track.lengths, []
        for k, g in enumerate(g_finals):
            steps = np.zeros((len(self.x[block]), *g.shape))
            ends = np.full(len(g), len(self.x)) if lengths is None else lengths
            rows = np.flatnonzero((ends > block.start) & (ends <= block.start + len(steps)))
            steps[ends[rows] - 1 - block.start, rows] = g[rows]
            given.append([Back(steps)] + ([Back(g_output[block].astype(np.float64))] if k == 0 else []))
        return given


class Recorded:
    """Some steps from the states that were reported, all at once, with their nodes.

    forward: the states after them, as balls.  hidden: the hidden state before them, where there is one.
    """

    def __init__(self, layer: Layer, block: slice, hidden: Ball | None, shared: int) -> None:
        scan, weights, track, actual = layer.scan, layer.weights, layer.track, layer.actual[block]
        self.tape = Tape(scan)
        self.x = Node(layer.x[block].astype(np.float64), shared=shared)
        waiting = () if hidden is None else (Node(BEFORE),)
        self.before = (Node(layer.previous[block].astype(np.float64)), *waiting)
        projected = track.cell.project(self.tape, weights, self.x)
        projected.rows = slice(0, len(track.parameters.w_ih))
        self.after = track.cell.step(self.tape, weights, projected, self.before)
        states = () if hidden is None else (self._resolved(scan, actual, hidden),)
        self.forward = [scan.closed(self.after[0].value), *states]
        self.after[0].value = actual  # the one that slopes are computed of

    def _resolved(self, scan: Scan, actual: np.ndarray, hidden: Ball) -> Ball:
        """The hidden state. Quantities that waited for it are computed."""
        h, c = self.after
        before, states = scan.hidden(h.value, waited := c.value, actual, hidden)
        known = {id(BEFORE): before, id(waited): states}
        for node in (self.before[1], *self.tape.nodes):
            value = node.value
            if (isinstance(value, Later) or (isinstance(value, Open) and waits(value))) and id(value) not in known:
                known[id(value)] = scan.at(value, slice(None), known)
        for node in (self.before[1], *self.tape.nodes):
            node.value = known.get(id(node.value), node.value)
        return states


class Whole:
    """Arrays of all steps, of which some are written after the others: value, radius and scale."""

    def __init__(self, time: int) -> None:
        self.time, self.arrays = time, []

    def write(self, block: slice, *parts: Any) -> None:
        if not self.arrays:
            self.arrays = [np.empty((self.time, *parts[0].shape[1:])) for _ in parts]
        for array, part in zip(self.arrays, parts, strict=True):
            array[block] = part

    @property
    def enclosure(self) -> Enclosure:
        return Enclosure(*self.arrays)


def gradient_bound(
    track: Track,
    actual: np.ndarray,
    delta: np.ndarray,
    g_output: np.ndarray,
    g_finals: Sequence[np.ndarray],
    judged: Arithmetic,
    shared: int = 1,
) -> ExpectedGradients:
    """actual: (time, batch, size), what the framework answered for this track.  delta: (time, batch, rows of w_ih),
    what it reported of the probe.  g_output: as actual.  g_finals: (batch, size) each.  shared: how many tracks read x.

    Raises NotImplementedError for an operation of which no bound is proved.
    """
    if judged.narrow:  # every operation rounds as the narrower format does, or less, whatever is shown
        judged = replace(judged, unit_roundoff=judged.operation_roundoff)
    layer = Layer(track, actual, judged)
    time, batch, rows = delta.shape
    steps, output, hidden = forward_of(layer, shared)
    returns = ProbeReturns(judged, gates_of(track), rows, time, batch)
    delta, g_output, solved, of_h = layer.counted(delta), layer.counted(g_output), None, None
    deltas, x, totals = Whole(time), Whole(time), dict.fromkeys(layer.weights, ())
    for block, step in zip(reversed(layer.blocks()), reversed(steps), strict=True):
        given, reported, known = layer.given(g_output, g_finals, block), delta[block], {}
        if "w_hr" in layer.weights:  # h is a product: what is handed to it must be known before the rest
            returns.of(reported, step.after[1:], everywhere=True)
            of_h = Solved(step, returns, given[:1], of_h, own=False)
            known = {0: of_h.states[0]}
            layer.untouched(step)
        returns.of(reported, step.after, known)
        solved = Solved(step, returns, given, solved)
        deltas.write(block, *solved.delta(reported))
        (of_x,) = handed(step.x, returns)
        x.write(block, of_x.value, of_x.radius, of_x.scale)
        totals = {name: together(totals[name], handed(node, returns) or ()) for name, node in layer.weights.items()}
        layer.untouched(step)
    parameters = {name: of_weight(returns, totals[name], array) for name, array in track.parameters.arrays().items()}
    initial = solved.initial(g_finals, track.lengths) if solved else ()
    return ExpectedGradients(expected_of(track, output, hidden), _in_time(layer, deltas.enclosure),
                             Back(*x.enclosure, sum=True), initial, parameters)  # fmt: skip


def forward_of(layer: Layer, shared: int) -> tuple[list[Recorded], Enclosure, list[Enclosure]]:
    """The steps, some after the others, and what the states after them should have been."""
    steps, states = [], [Whole(len(layer.x)) for _ in layer.track.states]
    hidden = [Ball(one.astype(np.float64), np.zeros(one.shape)) for one in layer.track.states[1:]]
    for block in layer.blocks():
        step = Recorded(layer, block, hidden[0] if hidden else None, shared)
        for whole, ball in zip(states, step.forward, strict=True):
            whole.write(block, *ball)
        hidden = [ball.part(-1) for ball in step.forward[1:] if len(layer.x)]
        steps.append(step)
    output, *others = [whole.enclosure for whole in states]
    return steps, output, others


def together(total: tuple[Back, ...], more: tuple[Back, ...]) -> tuple[Back, ...]:
    """What was handed to a weight by some steps, and by those before them; the first one is written over."""
    for one, other in zip(total, more, strict=bool(total)):
        one.value += other.value
        one.radius += other.radius
        one.scale += other.scale
    return total or more


def gates_of(track: Track) -> int:
    """How many gates stand in the rows of its weights."""
    return len(track.parameters.w_ih) // track.cell.states[-1].size


def of_weight(returns: BallReturns, found: tuple[Back, ...], array: np.ndarray) -> Enclosure:
    if not found:
        return Enclosure.exactly(np.zeros(array.shape))
    ended = returns.added_up([returns.ended(back) for back in found])
    return enclosure(returns.closed(ended), returns.judged).each(lambda one: one.T)


def _in_time(layer: Layer, delta: Enclosure) -> Enclosure:
    if layer.valid is not None:
        delta = Enclosure(*(np.where(layer.valid, a, beyond) for a, beyond in zip(delta, (0, 0, 1), strict=True)))
    return delta.each(layer.track.in_order)


def enclosure(back: Back, judged: Arithmetic) -> Enclosure:
    """A closed Back as what is expected. Where a sum or a product of some factors may overflow nothing is."""
    scale = back.size if back.scale is None else back.scale
    fits = (np.maximum(back.size, scale) * OVERSHOOT <= judged.largest) & (back.above_one <= judged.largest)
    radius = np.where(fits, back.radius, np.inf)  # where the radius is NaN, so is the size
    return Enclosure(*np.broadcast_arrays(back.value, radius, np.where(radius == 0, 1, scale)))


class Solved:
    """The cotangents of the states after some steps, from what all of these handed back.

    given: of each state that is asked for.  following: the same of the steps after these.  own: whether what is handed
    to a state within its step is counted.
    """

    def __init__(self, step: Recorded, returns: ProbeReturns, given: Sequence[list[Back]], following: Solved | None,
                 own: bool = True) -> None:  # fmt: skip
        hand_back(step.tape.nodes, returns)
        self.returns, self.steps = returns, len(step.x.value)
        self.handed = [list(handed(node, returns) or ()) for node in step.before]
        self.states: list[Back] = []
        self.passed: list[list[Back]] = []
        self.carry: list[tuple[np.ndarray, ...]] = []
        for k, terms in enumerate(given):
            within = [self._known(back) for back in returns.own[k]] if own else []
            self.passed.append([self._known(back) for back in self.handed[k] if back.state != k])
            after = following.passed[k] if following else [None] * len(self.passed[k])
            from_later = [later(*pair) for pair in zip(self.passed[k], after, strict=True)]
            carry = following.carry[k] if following else ()
            self.states.append(self._carried(k, returns.added_up([*terms, *within, *from_later]), carry))

    def _at_first(self, back: Back) -> Back:
        """What the first step hands back."""
        first = back.each(lambda a: a[0])
        if back.state is None:
            return first
        return self.returns.times(self.states[back.state].each(lambda a: a[0]), first)

    def _known(self, back: Back) -> Back:
        """With the state's cotangent of which it is a coefficient."""
        if back.state is None:
            return back
        if back.state >= len(self.states):
            raise NotImplementedError("state: its cotangent depends on that of a later one: no bound is proved")
        return self.returns.times(self.states[back.state], back)

    def _carried(self, k: int, rest: Back, carry: tuple[np.ndarray, ...]) -> Back:
        """X_t = rest_t + B_{t+1} X_{t+1}, narrowed by the deltas that are X times a coefficient.

        carry: X at the step after these, its radius, B, and what B makes of both; nothing at the end.
        """
        factors = [back for back in self.handed[k] if back.state == k]
        if not factors or not self.steps:
            self.carry.append(())
            return rest
        factor, returns = self.returns.added_up(factors), self.returns
        below, above = self._ends(k, rest.value.shape)
        gain = returns.wide if rest.sum else returns.small
        size = np.abs(factor.value)
        weight = (1 + gain) * (factor.radius + returns.unit * (size + factor.radius))
        of_error, of_size = (weight + (1 + gain) * size) * EVALUATED, (weight + gain * size) * EVALUATED
        lost = 2 * returns.smallest * (1 + factor.above_one)
        base = rest.radius + gain * rest.size + lost
        value, radius = np.empty(rest.value.shape), np.empty(rest.value.shape)
        x = error = np.zeros(())
        for t in reversed(range(len(value))):
            if carry:
                x, error, b, of_x, of_its_error = carry
                error = error * of_its_error
                error += of_x * np.abs(x)
                error += base[t]
                x = b * x
                x += rest.value[t]
            else:
                x, error = rest.value[t].copy(), base[t].copy()
            x, error = narrowed(x, error, below[t], above[t])
            value[t], radius[t] = x, error
            carry = x, error, factor.value[t], of_size[t], of_error[t]
        self.carry.append(carry)
        scale = np.broadcast_to(rest.size if rest.scale is None else rest.scale, value.shape)
        return Back(value, radius, scale + np.abs(value) + returns.least(lost), sum=rest.sum)

    def _ends(self, k: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Between which numbers X lies, by deltas that are M X: two ends, infinite where nothing is said."""
        below, above = np.full(shape, -np.inf), np.full(shape, np.inf)
        for start, d in self.returns.expected.items():
            if len(d) != 1 or d[0].state != k:
                continue
            low, high = self._quotient(d[0], self.returns.shown(slice(start, start + shape[-1])))
            narrower = np.maximum(below, low) <= np.minimum(above, high)  # else the delta is outside, and judged
            below = np.where(narrower, np.maximum(below, low), below)
            above = np.where(narrower, np.minimum(above, high), above)
        return below, above

    def _quotient(self, coefficient: Back, delta: Back) -> tuple[np.ndarray, np.ndarray]:
        """|X| lies between (|delta| - s) / ((|M| + e)(1 + w) + s) and (|delta| + s) / ((|M| - e)(1 - w) - s), where
        products round by w and lose at most s (1 + |X|); s holds what the delta was rounded by when it was shown too.
        """
        lost = (coefficient.products + 1) * coefficient.above_one * self.returns.smallest
        far = lost + self.returns.used(delta).radius
        w, size = self.returns.unit * 2 + EVALUATION_ERROR, np.abs(coefficient.value)
        magnitude = np.abs(delta.value)
        least = (magnitude - far) / ((size + coefficient.radius) * (1 + w) + lost) * (1 - EVALUATION_ERROR)
        divisor = (size - coefficient.radius) * (1 - w) - lost
        with np.errstate(divide="ignore", invalid="ignore"):
            most = np.where(divisor > 0, (magnitude + far) / divisor * (1 + EVALUATION_ERROR), np.inf)
        least = np.where(magnitude > far, least, -most)
        negative = np.signbit(delta.value) != np.signbit(coefficient.value)
        unknown = ~(divisor > 0)  # not even the sign of M is known
        low, high = np.where(negative, -most, least), np.where(negative, -least, most)
        return np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high)

    def delta(self, reported: np.ndarray) -> Enclosure:
        """What was expected of the deltas; exactly zero where nothing is handed to a gate."""
        expected = Enclosure.exactly(np.zeros(reported.shape))
        for start, d in self.returns.expected.items():
            one = self._shown(self._enclosure([self._known(back) for back in d]))
            for whole, part in zip(expected, one, strict=True):
                whole[..., start : start + part.shape[-1]] = part
        return expected

    def _shown(self, delta: Enclosure) -> Enclosure:
        """As the probe's product shows it, whose operands are of a narrower format than the delta is made in."""
        judged = self.returns.judged
        if judged.operand_roundoff <= judged.operation_roundoff:  # it is counted as that of the last operation
            return delta
        more = judged.operand_roundoff * (np.abs(delta.value) + delta.bound) + judged.smallest_normal
        return delta._replace(bound=np.where((delta.value == 0) & (delta.bound == 0), 0, delta.bound + more))

    def _enclosure(self, backs: Sequence[Back]) -> Enclosure:
        return enclosure(self.returns.closed(self.returns.added_up(backs)), self.returns.judged)

    def initial(self, g_finals: Sequence[np.ndarray], lengths: np.ndarray | None) -> tuple[Enclosure, ...]:
        """The gradients of the initial states, (batch, size) each, where these are the first steps."""
        answers = []
        for handed_back, g in zip(self.handed, g_finals, strict=True):
            answer = Enclosure.exactly(g.astype(np.float64))
            if self.steps:
                first = self._enclosure([self._at_first(back) for back in handed_back])
                none = np.zeros((len(g), 1), bool) if lengths is None else (lengths == 0)[:, None]
                answer = Enclosure(*(np.where(none, *pair) for pair in zip(answer, first, strict=True)))
            answers.append(answer)
        return tuple(answers)


def narrowed(x: np.ndarray, error: np.ndarray, below: np.ndarray, above: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of a ball between two ends; the ball where there is none, or it is no smaller."""
    low, high = np.maximum(x - error, below), np.minimum(x + error, above)
    width = high - low
    middle = (low + high) / 2
    radius = width * (0.5 + EVALUATION_ERROR) + EVALUATION_ERROR * np.abs(middle)
    better = (width >= 0) & (radius < error)
    return np.where(better, middle, x), np.where(better, radius, error)


def later(back: Back, following: Back | None) -> Back:
    """What the step after hands back, at each step; nothing at the last, where none follows."""
    if following is None:
        return back.each(lambda a: np.concatenate([a[1:], np.zeros_like(a[:1])]))

    def moved(one: Any, other: Any) -> np.ndarray:
        return np.concatenate([np.broadcast_to(one, back.value.shape)[1:],
                               np.broadcast_to(other, following.value.shape)[:1]])  # fmt: skip

    largest = max(back.largest, following.largest)
    radius = 0.0 if back.exact and following.exact else moved(back.radius, following.radius)
    scales = [one.size if one.scale is None else one.scale for one in (back, following)]
    return replace(back, value=moved(back.value, following.value), radius=radius, scale=moved(*scales), largest=largest)
