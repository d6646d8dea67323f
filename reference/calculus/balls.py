"""A step in balls: each number with how far one that is computed otherwise may lie from it."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..bounds.arithmetic import REFERENCE, Arithmetic
from ..spec import CellParameters
from .slopes import RELU, SIGMOID, TANH, Activation, within
from .sums import EVALUATION_ERROR, Sum, product

# the roundings of the reference's own operations, and of a radius while it is evaluated
OWN = 4 * REFERENCE.unit_roundoff
EVALUATED = 1 + EVALUATION_ERROR


class Ball(NamedTuple):
    """value: float64.  radius: how far from it a computed number may lie.  scale: a radius this wide says nothing."""

    value: np.ndarray
    radius: np.ndarray
    scale: Any = 1.0  # an array of the same shape, or a number

    def part(self, index: Any) -> Ball:
        return Ball(self.value[index], self.radius[index])


@dataclass(frozen=True, eq=False)
class Matrix:
    """A weight of a cell, by itself: sums of the same weights share their model."""

    array: np.ndarray
    parts: dict[tuple[int, int], Matrix] = field(default_factory=dict, repr=False)

    def rows(self, start: int, end: int) -> Matrix:
        """Some of its rows; the same ones are the same Matrix."""
        if (start, end) not in self.parts:
            self.parts[start, end] = Matrix(self.array[start:end])
        return self.parts[start, end]


class Open(NamedTuple):
    """A sum to which terms may be added: its bound depends on all of them.

    terms: beside products and biases.  limit: to which it is clipped where it is activated.
    """

    products: tuple[tuple[Matrix, Any], ...]
    biases: tuple[Matrix, ...]
    terms: tuple[Any, ...] = ()
    limit: float | None = None


@functools.cache
def activation_errors(judged: Arithmetic | None, nonlinearity: str) -> tuple[float, float, float]:
    """A3: the relative error of both sides' activation and of the judged one's, and its absolute one."""
    own = REFERENCE.activation_error(nonlinearity)
    if judged is None:
        return own, 0.0, 0.0
    error = judged.activation_error(nonlinearity)
    return own + error, error, judged.activation_floor(nonlinearity)


class OpenSums:
    """What the readers share that need a sum as a whole: it stays open until it is activated."""

    def weights(self, parameters: CellParameters) -> dict[str, Matrix]:
        return {name: Matrix(array) for name, array in parameters.arrays().items()}

    def affine(
        self, products: Sequence[tuple[Matrix, Any]], biases: Sequence[Matrix] = (), start: Open | None = None
    ) -> Open:
        before = start or Open((), ())
        return Open((*before.products, *products), (*before.biases, *biases), before.terms)

    def split(self, a: Any, gates: Sequence[int]) -> tuple[Any, ...]:
        ends = list(itertools.accumulate(gates, initial=0))
        return tuple([self._gates(a, start, end, ends[-1]) for start, end in itertools.pairwise(ends)])

    def _gates(self, a: Any, start: int, end: int, every: int) -> Any:
        """The gates from `start` to `end`, of all."""
        if isinstance(a, Matrix):
            size = len(a.array) // every
            return a.rows(start * size, end * size)
        if isinstance(a, Open):
            products = tuple((self._gates(weight, start, end, every), operand) for weight, operand in a.products)
            biases = tuple(self._gates(bias, start, end, every) for bias in a.biases)
            return Open(products, biases, tuple(self._gates(term, start, end, every) for term in a.terms), a.limit)
        size = (a.value if isinstance(a, Ball) else a).shape[-1] // every
        index = (..., slice(start * size, end * size))
        return a.part(index) if isinstance(a, Ball) else a[index]

    def add(self, a: Any, b: Any) -> Any:
        """Of open sums."""
        if isinstance(b, Open):
            return Open((*a.products, *b.products), (*a.biases, *b.biases), (*a.terms, *b.terms))
        return a._replace(terms=(*a.terms, b))

    def sigmoid(self, a: Open) -> Any:
        return self._clipped(a, SIGMOID)

    def tanh(self, a: Open) -> Any:
        return self._clipped(a, TANH)

    def relu(self, a: Open) -> Any:
        return self._clipped(a, RELU)

    def clip(self, a: Open, limit: float) -> Open:
        return a._replace(limit=limit)

    def _clipped(self, a: Any, activation: Activation) -> Any:
        limit = a.limit if isinstance(a, Open) else None
        return self.activated(a, activation if limit is None else within(activation, limit))

    def activated(self, total: Any, activation: Activation) -> Any:
        """What a reader makes of an activation."""
        raise NotImplementedError

    def multiply(self, a: Any, b: Any) -> Any:
        raise NotImplementedError(f"multiply: {type(self).__name__} has no bound for it")

    def mix(self, z: Any, n: Any, h: Any) -> Any:
        raise NotImplementedError(f"mix: {type(self).__name__} has no bound for it")


class Sums(OpenSums):
    """What the readers in balls share: the sums of one cell's weights, and the errors of its activations.

    judged: the arithmetic promised; None stands for the exact answer.  known: the operands that have bounds.
    """

    known: tuple[type, ...] = (np.ndarray,)

    def __init__(self, judged: Arithmetic | None) -> None:
        self.judged = judged
        self._models: dict[tuple[Any, ...], Sum] = {}

    def model(self, total: Open) -> Sum:
        """The sum's model, made when it is first asked for. Raises NotImplementedError where no bound is proved."""
        if not isinstance(total, Open):
            raise NotImplementedError(f"activation: got a {type(total).__name__}, expected a sum: no bound is proved")
        for _, operand in total.products:
            if not isinstance(operand, self.known):
                raise NotImplementedError(
                    f"affine: got an operand that is a {type(operand).__name__}, "
                    f"expected one of {', '.join(kind.__name__ for kind in self.known)}: no bound is proved"
                )
        matrices = tuple(weight for weight, _ in total.products)
        key = (*matrices, *total.biases, len(total.terms))
        if key not in self._models:
            arrays, biases = ([one.array for one in several] for several in (matrices, total.biases))
            self._models[key] = Sum(arrays, biases, self.judged, len(total.terms))
        return self._models[key]

    def activation_bound(self, phi: np.ndarray, nonlinearity: str, model: Sum) -> np.ndarray:
        """A3 on both sides: how far two computed activations of one argument may lie apart, underflow included."""
        relative, _, floor = activation_errors(self.judged, nonlinearity)
        error = np.abs(phi)
        error *= relative * model.evaluated
        error += floor * model.evaluated + model.smallest_normal
        return error


class Balls(Sums):
    """Operands are exact, arrays of any dtype, such as the states that a framework itself reports; or Balls.

    out: where value and radius of the next activation of a sum of exact operands go; new arrays when None.
    """

    known = (np.ndarray, Ball)
    out: tuple[np.ndarray, np.ndarray] | tuple[None, None] = (None, None)

    def __init__(self, judged: Arithmetic | None) -> None:
        super().__init__(judged)
        self.promised = judged or REFERENCE
        self.unit = 0.0 if judged is None else judged.operation_roundoff  # of the judged side
        self.shown = self.promised.shown_roundoff

    def closed(self, a: Any) -> Ball:
        """A quantity as a ball: of a state that is reported, with what its storage may have rounded off."""
        if isinstance(a, Ball):
            return a
        if isinstance(a, Open):
            return self._summed(a)
        value = a.astype(np.float64, copy=False)
        return Ball(value, self.shown * np.abs(value))

    def _summed(self, total: Open) -> Ball:
        model = self.model(total)
        operands = [operand for _, operand in total.products]
        balls, terms = [self._operand(operand) for operand in operands], [self.closed(term) for term in total.terms]
        inputs = model.inputs([ball.value for ball in balls])
        value, largest, carried = product(inputs, model.weights), np.abs(inputs), np.zeros(())
        for rows, ball in zip(model.rows, balls, strict=True):
            if np.ndim(ball.radius):
                largest[..., rows] += ball.radius
                carried = carried + product(np.ascontiguousarray(ball.radius), model.magnitudes[rows])
        radius = model.radius(largest).astype(np.float64, copy=False)
        for term in terms:
            value = value + term.value
            carried = carried + term.radius
            radius = radius + model.alpha * (np.abs(term.value) + term.radius) + model.growth * model.smallest_normal
        overflows, scale = model.may_overflow(radius), model.scale(radius)
        radius = (carried + radius + model.beta * (np.abs(value) + carried)) * model.evaluated
        strange = [np.isnan(ball.value).any(axis=-1, keepdims=True) & ~np.any(ball.radius) for ball in balls]
        return _known(Ball(value, np.where(overflows, np.inf, radius), scale), terms, strange)

    @staticmethod
    def _operand(operand: Any) -> Ball:
        """An operand of a product: its rounding to storage is counted with the product's."""
        return operand if isinstance(operand, Ball) else Ball(operand, np.zeros(()))

    def add(self, a: Any, b: Any) -> Any:
        if isinstance(a, Open):
            return super().add(a, b)
        a, b = self.closed(a), self.closed(b)
        value, carried = a.value + b.value, a.radius + b.radius
        magnitude = np.abs(a.value) + np.abs(b.value)
        radius = carried + (self.unit + OWN) * (np.abs(value) + carried) + 2 * self._flushed
        return _known(Ball(value, radius * EVALUATED, magnitude + carried + self._least(radius)), (a, b))

    def multiply(self, a: Any, b: Any) -> Ball:
        if isinstance(a, Matrix):
            a = Ball(a.array.astype(np.float64), np.zeros(a.array.shape))
        a, b = self.closed(a), self.closed(b)
        value, left, right = a.value * b.value, np.abs(a.value), np.abs(b.value)
        largest = (left + a.radius) * (right + b.radius)
        radius = a.radius * right + left * b.radius + a.radius * b.radius
        radius += self.unit * largest + OWN * np.abs(value) + self._flushed * (1 + left + right)
        return _known(Ball(value, radius * EVALUATED), (a, b))

    def mix(self, z: Any, n: Any, h: Any) -> Ball:
        """What z, n and h carry on is the same whatever the formula; of the roundings the largest of three formulas:
        (1 - z) n + z h, n + z (h - n) and h + (1 - z) (n - h)."""
        z, n, h = self.closed(z), self.closed(n), self.closed(h)
        rest, apart = 1 - z.value, h.value - n.value
        value = n.value + z.value * apart
        left, right, between = (np.abs(one) for one in (rest, z.value, apart))
        carried = left * n.radius + right * h.radius + z.radius * (between + n.radius + h.radius)
        largest_n, largest_h = np.abs(n.value) + n.radius, np.abs(h.value) + h.radius
        roundings = self._mix_roundings(left + z.radius, right + z.radius, largest_n, largest_h,
                                        between + n.radius + h.radius)  # fmt: skip
        radius = carried + roundings + self.unit * (np.abs(value) + carried + roundings)
        radius += OWN * (np.abs(value) + 3 * (largest_n + largest_h)) + 8 * self._flushed
        return _known(Ball(value, radius * EVALUATED), (z, n, h))

    def _mix_roundings(self, rest: Any, z: Any, n: Any, h: Any, apart: Any) -> Any:
        """Those before the last one, of the largest magnitudes of 1 - z, z, n, h and h - n."""
        largest = np.maximum(3 * rest * n + 2 * z * h, np.maximum(2 * z, 3 * rest) * apart)
        return largest * (self.unit * (1 + self.unit) ** 4)

    def update_error(self, operation: str, operands: Sequence[Ball]) -> np.ndarray:
        """How far a computed c_t may lie from the exact one of the same gates and the same c_{t-1}.

        operation: "add", of two products; or "mix".  Raises NotImplementedError for others: no bound is proved.
        """
        largest = [np.abs(one.value) + one.radius for one in operands]
        match operation:
            case "add":
                roundings = self.unit * (largest[0] + largest[1])
                total = largest[0] + largest[1]
            case "mix":
                z, n, h = operands
                apart = np.abs(h.value - n.value) + n.radius + h.radius
                rest = np.abs(1 - z.value) + z.radius
                roundings = self._mix_roundings(rest, largest[0], largest[1], largest[2], apart)
                total = largest[1] + apart * largest[0]
            case _:
                raise NotImplementedError(f"update: got {operation!r}, expected one of add, mix: no bound is proved")
        return (roundings + self.unit * (total + roundings) + 8 * self._flushed) * EVALUATED

    def activated(self, total: Any, activation: Activation) -> Ball:
        if not isinstance(total, Open):
            return self._activated(self.closed(total), activation)
        if total.terms or any(isinstance(operand, Ball) for _, operand in total.products):
            return self._activated(self._summed(total), activation)
        model = self.model(total)
        inputs = model.inputs([operand for _, operand in total.products])
        base, a = model.radius(inputs), product(inputs, model.weights)
        (into_value, into_radius), self.out = self.out, (None, None)
        value, radius = activation.phi(a, out=into_value), np.abs(a)
        radius *= model.beta
        radius += base.astype(np.float64, copy=False)  # NumPy adds arrays of two dtypes at a third of the speed
        overflows = model.may_overflow(base.max(initial=0))
        radius = model.settled(inputs, radius) if overflows else radius
        beyond = self._beyond(a, radius, activation)
        bound = np.multiply(activation.largest_slope(a, radius, out=a), radius, out=into_radius)
        bound *= 1 + activation_errors(self.judged, activation.name)[1]
        bound += self.activation_bound(value, activation.name, model)
        bound += (activation.flushes - 1) * model.smallest_normal
        if overflows:  # what is not finite, and known exactly, must come out exactly
            bound[np.isnan(bound)] = np.inf
            bound[(radius == 0) & ~np.isfinite(value)] = 0
        if activation.name == "sigmoid":
            bound = self._limited(value, bound, activation, beyond | np.isinf(radius) if overflows else beyond)
        return Ball(value, bound, activation.scale(None if activation.bounded else model.scale(base)))

    def _activated(self, a: Ball, activation: Activation) -> Ball:
        """Of an argument that is known as a ball."""
        relative, own, floor = activation_errors(self.judged, activation.name)
        value = activation.phi(a.value)
        bound = activation.largest_slope(a.value, a.radius) * a.radius * (1 + own)
        bound += np.abs(value) * relative + floor + activation.flushes * self.promised.smallest_normal
        unknown = np.isinf(a.radius) & np.isfinite(a.value) | self._beyond(a.value, a.radius, activation)
        bound = self._limited(value, bound * EVALUATED, activation, unknown)
        return _known(Ball(value, bound, activation.scale(a.scale)), (a,))

    def _beyond(self, a: np.ndarray, radius: np.ndarray, activation: Activation) -> Any:
        """Where the judged sigmoid may be NaN of a finite argument."""
        end = self.promised.sigmoid_end
        if activation.name != "sigmoid" or end >= activation.limit:
            return False
        return np.isfinite(a) & (np.abs(a) + radius > end)

    def _limited(self, value: np.ndarray, bound: np.ndarray, activation: Activation, unknown: Any) -> np.ndarray:
        """A gate stays in its range, but for its own error: a radius above 1 would grow from step to step.

        unknown: where the argument may overflow: there the gate may be NaN.
        """
        if not activation.bounded:
            return bound
        relative, own, floor = activation_errors(self.judged, activation.name)
        farthest = np.maximum(1 - value, value) if activation.name == "sigmoid" else 1 + np.abs(value)
        return np.where(unknown, np.inf, np.fmin(bound, (farthest + relative + own + floor) * EVALUATED))

    @property
    def _flushed(self) -> float:
        """What one operation may lose below the smallest normal number."""
        return self.promised.smallest_normal + REFERENCE.smallest_normal

    def _least(self, radius: np.ndarray) -> np.ndarray:
        """A scale below which underflow alone would make a radius say nothing."""
        return np.where(radius > 0, self._flushed / (self.promised.unit_roundoff or 1), 0)


def _known(ball: Ball, operands: Sequence[Ball], strange: Sequence[Any] = ()) -> Ball:
    """The ball, with a radius that is no NaN: 0 where the answer is NaN for certain, as an operand is, and infinite
    where nothing is known: next to overflow, and at infinities, of which the formulas make different things.

    strange: where other operands are NaN.
    """
    if math.isfinite(ball.radius.sum()):
        return ball
    certain: Any = False
    for nan in (*(np.isnan(operand.value) & (operand.radius == 0) for operand in operands), *strange):
        certain = certain | nan
    value = np.where(certain, np.nan, ball.value)
    radius = np.where(np.isnan(ball.radius) | ~np.isfinite(value), np.inf, ball.radius)
    return Ball(value, np.where(certain, 0, radius), ball.scale)
