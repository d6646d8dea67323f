"""The gradient bound: one step back from the cotangents that the framework itself reports.

A probe (judging/gradients.py) shows the cotangent of each gate's sum at each step, its delta. Deltas that are shown are
exact, so nothing propagates but what a state hands on element by element: z in a GRU, f in an LSTM; and what the deltas
say of that narrows it. Gradients of weights and inputs are one sum of the deltas each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..calculus.balls import EVALUATED, Open
from ..calculus.returns import Back, ProbeReturns
from ..calculus.scan import BEFORE, Later, Scan, waits
from ..calculus.sums import EVALUATION_ERROR
from ..calculus.tape import Node, Tape, hand_back, handed
from ..layout import valid_steps
from ..recurrence import Track
from .arithmetic import Arithmetic
from .step import Enclosure, Expected, expected_of

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


class Recorded:
    """The step of a track from the states that were reported, all steps at once, with its nodes."""

    def __init__(self, track: Track, actual: np.ndarray, judged: Arithmetic, shared: int) -> None:
        self.track, scan = track, RecordedScan(judged)
        self.valid = None if track.lengths is None else valid_steps(track.lengths, len(actual))[..., None]
        x, actual = self.counted(track.x), self.counted(actual)
        h0, *hidden = track.states
        previous = np.concatenate([h0[None], actual[:-1]])[: len(actual)].astype(np.float64)
        self.tape = Tape(scan)
        self.weights = self.tape.weights(track.parameters)
        self.x = Node(x.astype(np.float64), shared=shared)
        self.before = (Node(previous), *(Node(BEFORE) for _ in hidden))
        projected = track.cell.project(self.tape, self.weights, self.x)
        projected.rows = slice(0, len(track.parameters.w_ih))
        self.after = track.cell.step(self.tape, self.weights, projected, self.before)
        self.forward = self._resolved(scan, actual)
        self.after[0].value = actual  # the one that slopes are computed of

    def counted(self, sequence: np.ndarray) -> np.ndarray:
        """A sequence in processing order, zero where no step counts."""
        ordered = self.track.in_order(sequence)
        return ordered if self.valid is None else np.where(self.valid, ordered, ordered.dtype.type(0))

    def _resolved(self, scan: Scan, actual: np.ndarray) -> Expected:
        """What the forward pass should have answered. Quantities that waited for the hidden state are computed."""
        enclosures, first = [], self.after[0]
        if len(self.after) > 1:
            h, c = self.after
            waited, (_, c0) = c.value, self.track.states
            before, states = scan.hidden(h.value, waited, actual, c0)
            known = {id(BEFORE): before, id(waited): states}
            for node in (self.before[1], *self.tape.nodes):
                if isinstance(node.value, Later) or (isinstance(node.value, Open) and waits(node.value)):
                    known[id(node.value)] = self._value(scan, node.value, known)
            for node in (self.before[1], *self.tape.nodes):
                node.value = known.get(id(node.value), node.value)
            enclosures = [Enclosure(*np.broadcast_arrays(*states))]
        h = scan.closed(first.value)
        return expected_of(self.track, Enclosure(*np.broadcast_arrays(*h)), enclosures)

    @staticmethod
    def _value(scan: Scan, value: Any, known: dict[int, Any]) -> Any:
        return known[id(value)] if id(value) in known else scan.at(value, slice(None), known)


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

    Raises NotImplementedError for an operation, and for an arithmetic, of which no bound is proved.
    """
    if judged.narrow:
        raise NotImplementedError(f"gradients: got the arithmetic {judged.name}, of which no bound is proved")
    step = Recorded(track, actual, judged, shared)
    reported, gates = step.counted(delta), gates_of(track)
    known: dict[int, Back] = {}
    if "w_hr" in step.weights:  # h is a product: what is handed to it must be known before the rest
        first = ProbeReturns(judged, gates, reported, step.after[1:])
        first.everywhere = True
        hand_back(step.tape.nodes, first)
        known[0] = Solved(step, first, g_output, g_finals, 1).states[0]
        for node in (*step.tape.nodes, *step.before, *step.weights.values(), step.x):
            node.back, node.parts = [], {}
    returns = ProbeReturns(judged, gates, reported, step.after, known)
    hand_back(step.tape.nodes, returns)
    solved = Solved(step, returns, g_output, g_finals)
    (x,) = handed(step.x, returns)
    parameters = {name: _of_weight(returns, step.weights[name], array)
                  for name, array in track.parameters.arrays().items()}  # fmt: skip
    return ExpectedGradients(step.forward, _in_time(step, solved.delta(reported)), x, solved.initial(), parameters)


def gates_of(track: Track) -> int:
    """How many gates stand in the rows of its weights."""
    return len(track.parameters.w_ih) // track.cell.states[-1].size


def _of_weight(returns: ProbeReturns, node: Node, array: np.ndarray) -> Enclosure:
    found = handed(node, returns)
    if found is None:
        return Enclosure.exactly(np.zeros(array.shape))
    return enclosure(returns.closed(returns.added_up(found)), returns.judged).each(lambda one: one.T)


def _in_time(step: Recorded, delta: Enclosure) -> Enclosure:
    if step.valid is not None:
        delta = Enclosure(*(np.where(step.valid, a, beyond) for a, beyond in zip(delta, (0, 0, 1), strict=True)))
    return delta.each(step.track.in_order)


def enclosure(back: Back, judged: Arithmetic) -> Enclosure:
    """A closed Back as what is expected. Where a sum or a product of some factors may overflow nothing is."""
    scale = back.size if back.scale is None else back.scale
    fits = (np.maximum(back.size, scale) * OVERSHOOT <= judged.largest) & (back.above_one <= judged.largest)
    radius = np.where(fits & ~np.isnan(back.radius), back.radius, np.inf)
    return Enclosure(*np.broadcast_arrays(back.value, radius, np.where(radius == 0, 1, scale)))


class Solved:
    """The cotangents of the states after each step, from what all steps handed back."""

    def __init__(
        self, step: Recorded, returns: ProbeReturns, g_output: np.ndarray, g_finals: Sequence[np.ndarray], most: int = 9
    ) -> None:
        self.step, self.returns = step, returns
        self.g_finals = [one.astype(np.float64) for one in g_finals]
        self.handed = [list(handed(node, returns) or ()) for node in step.before]
        self.states: list[Back] = []
        for k in range(min(most, len(step.after))):
            terms = [self._final(k)] + ([Back(step.counted(g_output).astype(np.float64))] if k == 0 else [])
            own = returns.own[k] if most > 1 else []
            terms += [self._known(back) for back in own] + [
                later(self._known(back)) for back in self.handed[k] if back.state != k
            ]
            self.states.append(self._carried(k, returns.added_up(terms)))

    def _at_first(self, back: Back) -> Back:
        """What the first step hands back."""
        first = back.each(lambda a: a[0])
        if back.state is None:
            return first
        return self.returns.times(self.states[back.state].each(lambda a: a[0]), first)

    def _final(self, k: int) -> Back:
        """The given cotangent of a final state, at each sequence's last step."""
        g, lengths = self.g_finals[k], self.step.track.lengths
        steps = np.zeros((len(self.step.x.value), *g.shape))
        if lengths is None:
            steps[-1:] = g
        elif len(steps):
            rows = np.flatnonzero(lengths)
            steps[lengths[rows] - 1, rows] = g[rows]
        return Back(steps)

    def _known(self, back: Back) -> Back:
        """With the state's cotangent of which it is a coefficient."""
        if back.state is None:
            return back
        if back.state >= len(self.states):
            raise NotImplementedError("state: its cotangent depends on that of a later one: no bound is proved")
        return self.returns.times(self.states[back.state], back)

    def _carried(self, k: int, rest: Back) -> Back:
        """X_t = rest_t + B_{t+1} X_{t+1}, narrowed by the deltas that are X times a coefficient."""
        factors = [back for back in self.handed[k] if back.state == k]
        if not factors:
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
        x, error = np.zeros(rest.value.shape[1:]), np.zeros(rest.value.shape[1:])
        for t in reversed(range(len(value))):
            if t + 1 < len(value):
                error *= of_error[t + 1]
                error += of_size[t + 1] * np.abs(x)
                error += base[t]
                x = factor.value[t + 1] * x
                x += rest.value[t]
            else:
                x, error = rest.value[t].copy(), base[t].copy()
            x, error = narrowed(x, error, below[t], above[t])
            value[t], radius[t] = x, error
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
            one = self._enclosure([self._known(back) for back in d])
            for whole, part in zip(expected, one, strict=True):
                whole[..., start : start + part.shape[-1]] = part
        return expected

    def _enclosure(self, backs: Sequence[Back]) -> Enclosure:
        return enclosure(self.returns.closed(self.returns.added_up(backs)), self.returns.judged)

    def initial(self) -> tuple[Enclosure, ...]:
        """The gradients of the initial states: (batch, size) each."""
        lengths, answers = self.step.track.lengths, []
        for handed_back, g in zip(self.handed, self.g_finals, strict=True):
            answer = Enclosure.exactly(g)
            if len(self.step.x.value):
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


def later(back: Back) -> Back:
    """What the step after hands back, at each step; nothing at the last."""
    return back.each(lambda a: np.concatenate([a[1:], np.zeros_like(a[:1])]))
