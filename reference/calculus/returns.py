"""What a step hands back, in balls: how far a backward pass that is computed otherwise may lie from this one.

A cotangent is a sum of Backs. Each is known, or is a coefficient of the cotangent of a state after the step: then it is
not known yet, as that depends on later steps, and all steps are read at once. docs/error-bounds.md: "Gradients".
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..bounds.arithmetic import ARITHMETICS, REFERENCE, Arithmetic
from .balls import EVALUATED, OWN, Balls, Matrix
from .sums import EVALUATION_ROUNDINGS, Sum, product
from .tape import Node, handed

# Terms of a sum beside the rows of one product: cotangents that are given, leaves, biases that Sum counts.
LEAVES = 8
SINGLE = ARITHMETICS["float32"]
# The radius of a sum over time is no less: only of rows to which nothing was handed is it 0.
LEAST = np.nextafter(0.0, 1.0)


@dataclass(eq=False)
class Back:
    """A ball, (..., size) as all here.

    value: float64; 1.0 is what a state's own cotangent is of itself.  radius: 0.0 of one that is exact.
    scale: a radius this wide says nothing, after this has been multiplied by a state's.  state: of which it is a
    coefficient, by number; None of a known one.  sum: whether it is a sum of as many terms as a product has.
    shown: whether it is a delta as it was shown, which the one that is used was rounded to. A product counts that
    with its operands' roundings; elsewhere it must be `used`.
    products, largest: how many numbers were multiplied to it, and a bound on the product of those above 1: what each
    product of some of them may lose below the smallest normal number grows to `largest` of it.
    """

    value: Any
    radius: Any = 0.0
    scale: Any = None
    state: int | None = None
    sum: bool = False
    shown: bool = False
    products: int = 0
    largest: float = 0.0

    @cached_property
    def size(self) -> np.ndarray:
        """The largest magnitude that the number may have."""
        return np.abs(self.value) + self.radius

    @property
    def exact(self) -> bool:
        return np.ndim(self.radius) == 0

    @cached_property
    def above_one(self) -> float:
        """The largest of its magnitudes, or 1."""
        return self.largest or max(1.0, float(np.max(self.size, initial=0.0)))

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> Back:
        """With its arrays moved, or some of them taken."""
        radius = self.radius if self.exact else change(self.radius)
        scale = self.scale if self.scale is None else change(np.broadcast_to(self.scale, self.value.shape))
        return replace(self, value=change(self.value), radius=radius, scale=scale)


class Beside(NamedTuple):
    """Cotangents of parts that stand beside each other, and differ in what they depend on. sizes: of the parts."""

    parts: tuple[Any, ...]
    sizes: tuple[int, ...]


Cotangent = tuple[Back, ...] | Beside


class BallReturns:
    """judged: the arithmetic promised.  gates, rows: of the recurrent weights, in all gates.
    steps, sequences: over how many the gradients of weights are added up.
    """

    def __init__(self, judged: Arithmetic, gates: int, rows: int, steps: int, sequences: int) -> None:
        self.judged, self.balls = judged, Balls(judged)
        self.rows, self.steps, self.added = rows, steps, steps * sequences
        u = judged.operation_roundoff
        self.unit = u * (1 + u) ** 6 + OWN  # of roundings one after another, at most six, that are counted as a sum
        self.smallest = judged.smallest_normal + REFERENCE.smallest_normal
        # beside what every sum counts: a wide accumulator is stored after each gate's product, and each is added
        self.others = 2 * gates + 1
        self.small, self.wide = self._gain(LEAVES), self._gain(rows + self.others + LEAVES)
        self._models: dict[tuple[Matrix, int], Sum] = {}

    @staticmethod
    def _spread(terms: int, judged: Arithmetic, others: int = 0) -> tuple[float, float]:
        """alpha and beta of a sum of so many terms, of both sides."""
        alphas, betas = zip(*(each.spread(terms, others) for each in (REFERENCE, judged)), strict=True)
        return sum(alphas) + sum(betas) * REFERENCE.gain(terms), sum(betas)

    def _gain(self, terms: int) -> float:
        """How far a term that is no product moves a sum of so many, relative to the term."""
        return sum(self._spread(terms, replace(self.judged, operand_roundoff=0.0), self.others))

    # ---- sums

    def total(self, several: Sequence[Any]) -> Any:
        if len(several) == 1:
            return several[0]
        return tuple(back for one in several for back in one)

    def added_up(self, backs: Sequence[Back]) -> Back:
        """Known Backs as one: all of them are terms of one sum, in any order, with the products' terms."""
        if len(backs) == 1:
            return backs[0]
        gain = self.wide if any(back.sum for back in backs) else self.small
        value, radius, scale = (np.zeros(np.shape(backs[0].value)) for _ in range(3))
        for back in backs:
            value += back.value
            radius += back.radius
            scale += back.size if back.scale is None else back.scale
            if not back.sum:
                radius += gain * back.size
        lost = (sum(back.products * back.above_one for back in backs) + 2 * len(backs)) * self.smallest
        radius += lost
        radius *= EVALUATED
        scale += self.least(lost)
        return Back(value, radius, scale, sum=gain == self.wide)

    def least(self, lost: float) -> float:
        """The least scale of what may lose so much below the smallest normal number."""
        return lost / self.judged.unit_roundoff

    def closed(self, back: Back) -> Back:
        """With what its products may have lost below the smallest normal number."""
        if not back.products:
            return back
        lost, scale = back.products * back.above_one * self.smallest, back.size if back.scale is None else back.scale
        return replace(back, radius=back.radius + lost, scale=scale + self.least(lost), products=0)

    def transposed(self, weight: Matrix, d: Cotangent, shared: int) -> Cotangent:
        known = self._one(d)
        key = weight, shared
        if key not in self._models:
            more = (shared - 1) * (self.rows + LEAVES)
            self._models[key] = Sum([weight.array.T], [], self.judged, self.others, more)
        model = self._models[key]
        inputs = model.inputs([known.value])
        value, carried = product(inputs, model.weights), 0.0
        largest = np.abs(inputs)
        if not known.exact:
            largest[..., :-1] += known.radius
            first = first_column(known.radius)
            carried = product(np.ascontiguousarray(known.radius[..., first:]), model.magnitudes[first:-1])
        radius = model.radius(largest).astype(np.float64, copy=False)
        scale = model.scale(radius)  # a new array
        overflows = model.may_overflow(radius)
        of_sum = np.abs(value)
        of_sum += carried
        of_sum *= model.beta
        radius += carried
        radius += of_sum
        radius *= model.evaluated
        if overflows.any():
            radius[overflows] = np.inf
        return (Back(value, radius, scale, sum=True),)

    def outer(self, d: Cotangent, value: Any) -> Cotangent:
        """(features, units), still to be `ended`. The radius takes a product of its own, in float32 where that has
        digits enough."""
        known, operand = self._one(d), Back(value) if isinstance(value, np.ndarray) else self.factor(value)
        x, d_size, x_size = (flat(one) for one in (operand.value, known.size, operand.size))
        alpha, flushed = self.over_time[0], self._flushed
        radius = self._magnitudes(x_size, alpha * d_size + flushed)
        radius += flushed * d_size.sum(axis=0)
        scale = radius / alpha
        if not known.exact:
            first = first_column(known.radius)
            radius[:, first:] += self._magnitudes(x_size, flat(known.radius)[:, first:])
        if not operand.exact and np.any(operand.radius):
            radius += self._magnitudes(flat(operand.radius), d_size)
        return (Back(x.T @ flat(known.value), np.maximum(radius, LEAST * (self.added > 0)), scale, sum=True),)

    def summed(self, d: Cotangent) -> Cotangent:
        known, alpha = self._one(d), self.over_time[0]
        radius = alpha * flat(known.size).sum(axis=0)
        scale = radius / alpha
        if not known.exact:
            radius = radius + flat(known.radius).sum(axis=0)
        if self.judged.operand_roundoff:  # a delta that was shown is counted as a rounded operand, and may be flushed
            radius = radius + len(flat(known.value)) * self._flushed
        return (Back(flat(known.value).sum(axis=0), np.maximum(radius, LEAST * (self.added > 0)), scale, sum=True),)

    def ended(self, back: Back) -> Back:
        """A sum over all steps, from those of some steps each that were added up."""
        beta, lost = self.over_time[1], sum(each.underflow(self.added) for each in (REFERENCE, self.judged))
        radius = (back.radius * (1 + beta) + beta * np.abs(back.value) + lost) * (1 + REFERENCE.gain(self.added))
        radius = np.where(back.radius == 0, 0, radius * EVALUATED)  # 0 of rows to which nothing was handed
        return Back(back.value, radius, back.scale + self.least(lost), sum=True)

    @cached_property
    def over_time(self) -> tuple[float, float]:
        """alpha and beta of a sum over all steps; where that is declared, rounded to storage after each step (A5')."""
        alpha, beta = self._spread(self.added, self.judged)
        if self.judged.added_by_step:
            alpha += np.expm1(min(700.0, self.steps * np.log1p(self.judged.unit_roundoff))) * (1 + alpha + beta)
        return alpha, beta

    @property
    def _flushed(self) -> float:
        return self.judged.smallest_normal * (1 + self.judged.gain(self.added))

    def _magnitudes(self, x: np.ndarray, d: np.ndarray) -> np.ndarray:
        """x^T d of magnitudes, no less than it is."""
        if self.judged.storage == "float64":
            return (x.T @ d) * (1 + REFERENCE.gain(self.added + EVALUATION_ROUNDINGS))
        single = SINGLE
        answer = (x.astype(np.float32).T @ d.astype(np.float32)).astype(np.float64)
        return answer * (1 + single.gain(self.added + EVALUATION_ROUNDINGS)) + single.underflow(len(x))

    @staticmethod
    def _one(d: Cotangent) -> Back:
        if isinstance(d, Beside) or len(d) != 1 or d[0].state is not None:
            raise NotImplementedError("cotangent of a sum: got one that depends on later steps: no bound is proved")
        return d[0]

    # ---- products

    def product(self, d: Cotangent, factor: Back) -> Cotangent:
        if isinstance(d, Beside):
            ends = np.cumsum((0, *d.sizes))
            several = zip(d.parts, itertools.pairwise(ends), strict=True)
            parts = tuple(self.product(part, piece(factor, slice(*where))) for part, where in several)
            return Beside(parts, d.sizes)
        return tuple(self.times(back, factor) for back in d)

    def times(self, d: Back, factor: Back) -> Back:
        if np.ndim(d.value) == 0:  # a state's own
            return replace(factor, state=d.state, products=1, largest=factor.above_one)
        d = self.used(d) if d.shown else d
        left, right = np.abs(d.value), np.abs(factor.value)
        radius = (left + d.radius) * (factor.radius + self.unit * (right + factor.radius))
        if not d.exact:
            radius += d.radius * right
        radius *= EVALUATED
        return Back(d.value * factor.value, radius, d.scale if d.scale is not None else left, d.state,
                    products=d.products + max(factor.products, 1), largest=d.above_one * factor.above_one)  # fmt: skip

    def used(self, shown: Back) -> Back:
        """A delta that the probe showed as the one that was used: it was an operand of the probe's product."""
        return self._rounded(shown, self.judged.operand_roundoff)

    def _rounded(self, shown: Back, u: float) -> Back:
        """A number of which something may have been rounded off."""
        return Back(shown.value, u * np.abs(shown.value) + self.judged.smallest_normal) if u else shown

    def factor(self, value: Any) -> Back:
        if isinstance(value, Matrix):
            return Back(value.array.astype(np.float64))
        if isinstance(value, Back):
            return value
        if isinstance(value, np.ndarray):
            return self._rounded(Back(value.astype(np.float64, copy=False)), self.judged.shown_roundoff)
        ball = self.balls.closed(value)
        return Back(ball.value, ball.radius) if np.any(ball.radius) else Back(ball.value)

    def slope(self, activation: str, result: Any) -> Back:
        """From the stored result, by y (1 - y), or any way to say 1 - y^2 (A8)."""
        y = self.factor(result)
        value, error = y.value, y.radius
        match activation:
            case "sigmoid":
                slope = value * (1 - value)
                moved = np.abs(1 - 2 * value) * error + error * error if not y.exact else 0.0
                rounded = 3 * (np.abs(slope) + moved)
            case "tanh":
                slope = 1 - value * value
                moved = (2 * np.abs(value) + error) * error if not y.exact else 0.0
                rounded = 4 * y.size + 3 * (np.abs(slope) + moved)
            case "relu":
                slope = (value > 0).astype(np.float64)
                # what comes to a NaN is handed on, or it is dropped
                unknown = ~((np.abs(value) > error) | ((error == 0) & (value == 0)))
                return Back(slope, unknown * 1.0, largest=1.0) if unknown.any() else Back(slope, largest=1.0)
            case _:
                raise ValueError(f"activation: got {activation!r}, expected sigmoid, tanh or relu")
        return Back(slope, (moved + self.unit * rounded) * EVALUATED, largest=2.0)

    def inside(self, value: Any, limit: float) -> Back:
        a = self.balls.closed(value)
        inside = (np.abs(a.value) <= limit).astype(np.float64)
        unsure = np.abs(np.abs(a.value) - limit) <= a.radius
        return Back(inside, unsure * 1.0, largest=1.0)

    def rest(self, z: Any) -> Back:
        """Where d (1 - z) is computed as d - d z too."""
        z = self.factor(z)
        return Back(1 - z.value, z.radius + 2 * self.unit * (1 + z.size))

    def kept(self, z: Any) -> Back:
        """Where d z is computed as d - d (1 - z) too."""
        z = self.factor(z)
        return Back(z.value, z.radius + 3 * self.unit * (1 + z.size))

    def apart(self, h: Any, n: Any) -> Back:
        """Where d (h - n) is computed as d h - d n too."""
        h, n = self.factor(h), self.factor(n)
        value, carried = h.value - n.value, h.radius + n.radius
        return Back(value, carried + self.unit * (2 * (h.size + n.size) + np.abs(value) + carried))

    def joined(self, parts: dict[int, Any], gates: Sequence[int]) -> Cotangent:
        place, one = next((place, d[0]) for place, d in parts.items() if not isinstance(d, Beside))
        shape = one.value.shape
        unit = shape[-1] // gates[place]
        several = [parts.get(k, (Back(np.zeros((*shape[:-1], unit * count))),)) for k, count in enumerate(gates)]
        plain = all(not isinstance(d, Beside) and len(d) == 1 and d[0].state is None for d in several)
        if not plain:
            return Beside(tuple(several), tuple(unit * count for count in gates))
        backs = [self.closed(d[0]) for d in several]
        value = np.concatenate([back.value for back in backs], axis=-1)
        if all(back.exact for back in backs):
            return (Back(value),)
        radius = [np.broadcast_to(back.radius, back.value.shape) for back in backs]
        scale = [np.broadcast_to(back.size if back.scale is None else back.scale, back.value.shape) for back in backs]
        return (Back(value, np.concatenate(radius, axis=-1), np.concatenate(scale, axis=-1), sum=any(
            back.sum for back in backs)),)  # fmt: skip

    def cotangent(self, node: Node) -> Any:
        return handed(node, self)


class ProbeReturns(BallReturns):
    """Of some steps at once, with the cotangents of the gates' sums as a probe shows them.

    Afterwards `expected` has what was expected of them, by their first row; `own` what was handed to a state after the
    step beside what comes from later steps.
    """

    def of(self, reported: np.ndarray, states: Sequence[Node], known: dict[int, Back] | None = None,
           everywhere: bool = False) -> None:  # fmt: skip
        """Begin with some steps.

        reported: (steps, batch, rows), exactly zero where no step counts.  states: the nodes of the states after the
        step.  known: the cotangents of those that are known, by number.  everywhere: whether what is shown is handed on
        also where nothing was handed to the sum, to know what it hands to the states.
        """
        self.reported, self.everywhere = reported.astype(np.float64), everywhere
        self._states, self._known = {id(node): k for k, node in enumerate(states)}, known or {}
        self._shown: dict[tuple[int, int], Back] = {}
        self.expected: dict[int, tuple[Back, ...]] = {}
        self.own: list[list[Back]] = [[] for _ in states]

    def cotangent(self, node: Node) -> Any:
        if id(node) in self._states:
            state = self._states[id(node)]
            self.own[state] = list(handed(node, self) or ())
            return (self._known.get(state, Back(1.0, state=state)),)
        if node.rows is None:
            return handed(node, self)
        if node.back and not any(node.rows.start <= row < node.rows.stop for row in self.expected):
            self._expect(node.rows.start, handed(node, self))
        return (self.shown(node.rows),) if node.back or node.parts or self.everywhere else None

    def _expect(self, start: int, d: Cotangent) -> None:
        if not isinstance(d, Beside):
            self.expected[start] = d
            return
        for part, size in zip(d.parts, d.sizes, strict=True):
            self._expect(start, part)
            start += size

    def shown(self, rows: slice) -> Back:
        key = rows.start, rows.stop
        if key not in self._shown:
            self._shown[key] = Back(self.reported[..., rows], shown=self.judged.operand_roundoff > 0)
        return self._shown[key]


def flat(array: np.ndarray) -> np.ndarray:
    """(all steps and sequences, size)."""
    return array.reshape(-1, array.shape[-1])


def first_column(radius: np.ndarray) -> int:
    """Before which all is exact."""
    return int(np.argmax(flat(radius).any(axis=0)))


def piece(back: Back, where: slice) -> Back:
    """Some of a factor's columns."""
    radius = back.radius if back.exact else back.radius[..., where]
    return Back(back.value[..., where], radius, products=back.products, largest=back.largest)
