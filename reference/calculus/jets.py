"""A step in jets: each number with its derivative along one direction, by each element of all leaves, and by both.

A leaf is what derivatives are asked by: x, an initial state, a weight. The direction is 1 in every element of each but
a bias, as some frameworks have one bias where others have two. So `both` is what the sum of all first derivatives, but
those by biases, has for its own derivative. It is a sum of products, one for each way in which an answer depends on two
elements; how their factors are read says which sum it is: signed, the derivative itself; least and most, that of the
magnitudes, as they are and as they may be. docs/error-bounds.md: "Second derivatives".
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..spec import CellParameters
from .balls import Ball, Balls, Matrix

# roundings of a slope that a framework makes of its activation, relative to the magnitudes of its terms
SLOPE_ROUNDINGS = 8
Factor = Callable[[Any, Any], Any]


def signed(value: np.ndarray, radius: Any) -> np.ndarray:
    """A factor as it is."""
    return value


def least(value: np.ndarray, radius: Any) -> np.ndarray:
    """Its magnitude."""
    return np.abs(value)


def most(value: np.ndarray, radius: Any) -> np.ndarray:
    """The largest magnitude that it may have."""
    return np.abs(value) + radius


class Jet(NamedTuple):
    """value: a Ball, or a sum that is still open, (batch, units).  along: (batch, units).
    by, both: (elements, batch, units)."""

    value: Any
    along: np.ndarray
    by: np.ndarray
    both: np.ndarray

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> Jet:
        """A jet of closed value, with each of its arrays changed in the last two axes."""
        return Jet(Ball(*map(change, self.value[:2])), *map(change, self[1:]))


class Leaf(NamedTuple):
    """A weight.  places: which element of all each of its elements is, of the weight's shape."""

    value: Matrix
    places: np.ndarray


class Jets:
    """balls: the reader of the values.  factor: how factors are read.  elements: how many all leaves have."""

    def __init__(self, balls: Balls, factor: Factor, elements: int) -> None:
        self.balls, self.factor, self.elements, self._next = balls, factor, elements, 0
        self.unit = SLOPE_ROUNDINGS * max(balls.unit, balls.promised.accumulator_roundoff)

    def _numbered(self, shape: tuple[int, ...]) -> np.ndarray:
        first, self._next = self._next, self._next + int(np.prod(shape))
        return np.arange(first, self._next).reshape(shape)

    def weights(self, parameters: CellParameters) -> dict[str, Leaf]:
        matrices = self.balls.weights(parameters)
        return {name: Leaf(one, self._numbered(one.array.shape)) for name, one in matrices.items()}

    def leaf(self, array: np.ndarray) -> list[Jet]:
        """x or initial states, (steps, batch, units), as a jet for each step."""
        return [self._of_leaf(value, index) for value, index in zip(array, self._numbered(array.shape), strict=True)]

    def _of_leaf(self, value: np.ndarray, index: np.ndarray) -> Jet:
        by = np.zeros((self.elements, *value.shape))
        np.put_along_axis(by, index[None], 1.0, axis=0)
        value = value.astype(np.float64)
        return Jet(Ball(value, np.zeros(value.shape)), np.ones(value.shape), by, np.zeros(by.shape))

    def affine(
        self, products: Sequence[tuple[Leaf, Jet]], biases: Sequence[Leaf] = (), start: Jet | None = None
    ) -> Jet:
        value = self.balls.affine(
            [(weight.value, operand.value) for weight, operand in products],
            [bias.value for bias in biases],
            None if start is None else start.value,
        )
        terms = [self._product(*pair) for pair in products] + ([] if start is None else [start[1:]])
        along, by, both = (functools.reduce(np.add, several) for several in zip(*terms, strict=True))
        by = by.copy()
        for bias in biases:
            by[bias.places, :, np.arange(len(bias.places))] += 1.0
        return Jet(value, along, by, both)

    def _product(self, weight: Leaf, operand: Jet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The derivatives of weight @ operand: of the weight along the direction every element is 1."""
        matrix, x = self._read(weight.value).T, self._read(operand.value)
        units = len(weight.places)
        along = operand.along @ matrix + x.sum(axis=-1, keepdims=True)
        by = operand.by @ matrix
        both = operand.both @ matrix + operand.by.sum(axis=-1, keepdims=True)
        for unit in range(units):  # each element of a weight moves one unit
            by[weight.places[unit], :, unit] += x.T
            both[weight.places[unit], :, unit] += operand.along.T
        return along, by, both

    def split(self, a: Any, gates: Sequence[int]) -> tuple[Any, ...]:
        values = self.balls.split(a.value, gates)
        ends = list(itertools.accumulate(gates, initial=0))
        size = (len(a.places) if isinstance(a, Leaf) else a.along.shape[-1]) // ends[-1]
        parts = [slice(start * size, end * size) for start, end in itertools.pairwise(ends)]
        if isinstance(a, Leaf):
            return tuple(Leaf(value, a.places[part]) for value, part in zip(values, parts, strict=True))
        return tuple(Jet(value, *(array[..., part] for array in a[1:]))
                     for value, part in zip(values, parts, strict=True))  # fmt: skip

    def add(self, a: Jet, b: Jet) -> Jet:
        return Jet(self.balls.add(a.value, b.value), a.along + b.along, a.by + b.by, a.both + b.both)

    def multiply(self, a: Any, b: Jet) -> Jet:
        value, other = self.balls.multiply(a.value, b.value), self._read(b.value)
        if isinstance(a, Leaf):  # of one number for each unit
            factor, units = self._read(a.value), np.arange(len(a.places))
            by, both = b.by * factor, b.both * factor + b.by
            by[a.places, :, units] += other.T
            both[a.places, :, units] += b.along.T
            return Jet(value, b.along * factor + other, by, both)
        factor = self._read(a.value)
        return Jet(value, a.along * other + b.along * factor, a.by * other + b.by * factor,
                   a.both * other + b.both * factor + a.along * b.by + b.along * a.by)  # fmt: skip

    def mix(self, z: Jet, n: Jet, h: Jet) -> Jet:
        """Each formula of it adds up, for one factor, no larger magnitudes than those given here."""
        a, b, c = (self.balls.closed(one.value) for one in (z, n, h))
        by_z = self._slope(c.value - b.value, b.radius + c.radius, np.abs(b.value) + np.abs(c.value))
        by_n, by_h = self._slope(1 - a.value, a.radius, 2.0), self._slope(a.value, a.radius, 2.0)
        of_n = self.factor(np.float64(-1.0), 0.0)
        one = [z[k] * by_z + n[k] * by_n + h[k] * by_h for k in (1, 2, 3)]
        crossed = z.along * (of_n * n.by + h.by) + z.by * (of_n * n.along + h.along)
        return Jet(self.balls.mix(z.value, n.value, h.value), one[0], one[1], one[2] + crossed)

    def clip(self, a: Jet, limit: float) -> Jet:
        ball = self.balls.closed(a.value)
        inside = (np.abs(ball.value) <= limit).astype(np.float64)
        unsure = np.abs(np.abs(ball.value) - limit) <= ball.radius
        factor = self.factor(inside, unsure)
        return Jet(self.balls.clip(a.value, limit), *(factor * one for one in a[1:]))

    def sigmoid(self, a: Jet) -> Jet:
        y = self.balls.sigmoid(a.value)
        slope, most_of_y = y.value * (1 - y.value), np.abs(y.value) + y.radius
        first = self._slope(slope, y.radius * (1 + y.radius), 2 * most_of_y)
        second = self._slope(slope * (1 - 2 * y.value), y.radius * (1 + 6 * y.radius), 4 * most_of_y)
        return self._activated(a, y, first, second)

    def tanh(self, a: Jet) -> Jet:
        y = self.balls.tanh(a.value)
        slope = 1 - y.value**2
        first = self._slope(slope, y.radius * (2 * np.abs(y.value) + y.radius), 2.0)
        second = self._slope(-2 * y.value * slope, y.radius * (4 + 6 * y.radius), 8.0)
        return self._activated(a, y, first, second)

    def relu(self, a: Jet) -> Jet:
        ball = self.balls.closed(a.value)
        slope = self.factor((ball.value > 0).astype(np.float64), np.abs(ball.value) <= ball.radius)
        return self._activated(a, self.balls.relu(a.value), slope, 0.0)

    def _activated(self, a: Jet, y: Ball, first: Any, second: Any) -> Jet:
        return Jet(y, a.along * first, a.by * first, a.both * first + second * a.along * a.by)

    def _slope(self, value: np.ndarray, radius: Any, magnitude: Any) -> np.ndarray:
        """A factor that is computed of terms of this magnitude, which may cancel."""
        return self.factor(value, radius + self.unit * magnitude)

    def _read(self, value: Any) -> np.ndarray:
        """A value as a factor."""
        if isinstance(value, Matrix):
            return self.factor(value.array.astype(np.float64), 0.0)
        ball = self.balls.closed(value)
        return self.factor(ball.value, ball.radius)
