"""A step in balls for all time steps at once, where one state is hidden: what depends on it waits until it is known.

The hidden state is carried from step to step as a ball. What the next reported state says of it narrows the ball: so it
stays as sharp as the states that can be seen.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..bounds.arithmetic import Arithmetic
from .balls import Ball, Balls, Open, activation_errors
from .sums import EVALUATION_ERROR


class Later(NamedTuple):
    """An operation that waits for the hidden state, and its operands; BEFORE is that state before the step."""

    operation: str
    operands: tuple[Any, ...] = ()


BEFORE = Later("before")


class Scan(Balls):
    """Operands have the time in front, (time, batch, size), or wait."""

    def __init__(self, judged: Arithmetic | None) -> None:
        super().__init__(judged)
        self._balls = Balls(judged)

    def add(self, a: Any, b: Any) -> Any:
        return super().add(a, b) if isinstance(a, Open) else self._now_or_later("add", a, b)

    def multiply(self, a: Any, b: Any) -> Any:
        return self._now_or_later("multiply", a, b)

    def mix(self, z: Any, n: Any, h: Any) -> Any:
        return self._now_or_later("mix", z, n, h)

    def sigmoid(self, a: Any) -> Any:
        return self._now_or_later("sigmoid", a)

    def tanh(self, a: Any) -> Any:
        return self._now_or_later("tanh", a)

    def _now_or_later(self, operation: str, *operands: Any) -> Any:
        if any(map(waits, operands)):
            return Later(operation, operands)
        return getattr(self._balls, operation)(*operands)

    def through(self, h: Any, c: Any, reported: np.ndarray, c0: np.ndarray) -> tuple[Ball, Ball]:
        """The reported and the hidden state after every step, as balls.

        h, c: what the cell's step answered.  reported: h as it was answered, (time, batch, size), of which each element
        narrows the same one of c where h is a gate times tanh(c).  c0: the hidden state at the start.
        """
        before, states = self.hidden(h, c, reported, Ball(c0.astype(np.float64), np.zeros(c0.shape)))
        return self._balls.closed(self.at(h, slice(None), {id(BEFORE): before, id(c): states})), states

    def hidden(self, h: Any, c: Any, reported: np.ndarray, start: Ball) -> tuple[Ball, Ball]:
        """The hidden state before and after every step.  start: before the first one."""
        shape = (len(reported), *start.value.shape)
        states = Ball(np.empty(shape), np.empty(shape), np.empty(shape))
        gate = _gate(h, c)
        ends = self._ends(gate, reported) if isinstance(gate, Ball) else None
        before = start
        for t in range(len(reported)):
            if gate is None:
                after = self._balls.closed(self.at(c, t, {id(BEFORE): before}))
            else:
                operands = [self._balls.closed(self.at(operand, t, {id(BEFORE): before})) for operand in c.operands]
                after = getattr(self._balls, c.operation)(*operands)
                known = {id(BEFORE): before, id(c): after}
                below, above = (
                    self._ends(self.at(gate, t, known), reported[t]) if ends is None else (ends[0][t], ends[1][t])
                )
                apart = 2 * self._balls.update_error(c.operation, operands)
                after = _within(after, below - apart, above + apart)
            states.value[t], states.radius[t], states.scale[t] = after
            before = after
        pairs = zip(start[:2], states[:2], strict=True)
        return Ball(*(np.concatenate([first[None], after[:-1]])[: len(reported)] for first, after in pairs)), states

    def at(self, a: Any, t: Any, known: dict[int, Ball]) -> Any:
        """A quantity at a time step, or at all of them: what waited is computed."""
        if id(a) in known:
            return known[id(a)]
        if isinstance(a, Later):
            return getattr(self._balls, a.operation)(*[self.at(operand, t, known) for operand in a.operands])
        if isinstance(a, Open):
            products = tuple((weight, self.at(operand, t, known)) for weight, operand in a.products)
            return Open(products, a.biases, tuple(self.at(term, t, known) for term in a.terms), a.limit)
        if isinstance(a, Ball):
            return a.part(t)
        return a[t] if isinstance(a, np.ndarray) else a

    def _ends(self, gate: Ball, reported: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Between which numbers c lies where reported = gate tanh(c), as computed: infinite where nothing is said.

        |tanh c| lies between (|h| - s') / (o (1 + 2u)(1 + cu)) and (|h| + s') / (o (1 - 2u)(1 - cu)), at the ends of
        the gate o, where two operations round, the tanh is off by cu, and s' is what underflow takes.
        """
        promised, (_, own, floor) = self.promised, activation_errors(self.judged, "tanh")
        magnitude, lost = np.abs(reported.astype(np.float64)), 2 * promised.smallest_normal
        rounded = 2 * promised.unit_roundoff + self.shown + EVALUATION_ERROR
        least = (magnitude - lost) / ((gate.value + gate.radius) * (1 + rounded)) - floor
        least /= np.where(least > 0, 1 + own, 1 - own)
        smallest = np.maximum(gate.value - gate.radius, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            most = ((magnitude + lost) / (smallest * (1 - rounded)) + floor) / (1 - own)
            low = np.arctanh(np.clip(least, -1, 1))
            low -= EVALUATION_ERROR * np.abs(low)
            high = np.arctanh(np.where(most < 1, most, 1.0)) * (1 + EVALUATION_ERROR)
        low = np.where(magnitude > lost, low, -high)
        negative = np.signbit(reported)
        return np.where(negative, -high, low), np.where(negative, -low, high)


def waits(a: Any) -> bool:
    if isinstance(a, Open):
        return any(map(waits, (*a.terms, *(operand for _, operand in a.products))))
    return isinstance(a, Later)


def _gate(h: Any, c: Any) -> Any:
    """The gate by which tanh(c) was multiplied to give h; None where h was made otherwise."""
    if isinstance(h, Later) and h.operation == "multiply":
        gate, activated = h.operands
        if isinstance(activated, Later) and activated.operation == "tanh" and activated.operands[0] is c:
            return gate
    return None


def _within(c: Ball, below: np.ndarray, above: np.ndarray) -> Ball:
    """The part of c between two ends; c as it is where there is none: then the reported state is wrong, and judged."""
    below, above = np.maximum(below, c.value - c.radius), np.minimum(above, c.value + c.radius)
    middle, width = (below + above) / 2, above - below
    radius = width / 2 + EVALUATION_ERROR * (np.abs(middle) + width)
    narrower = (below <= above) & (radius < c.radius)
    return Ball(np.where(narrower, middle, c.value), np.where(narrower, radius, c.radius), c.scale)
