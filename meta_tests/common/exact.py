"""Cells in exact numbers: fractions, with rational functions in place of the activations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np


def squashed(a: Fraction) -> Fraction:
    """It stands for tanh: odd, steep at 0, between -1 and 1."""
    return a / (1 + abs(a))


def functions(limit: float | None) -> dict[str, Any]:
    """What stands for the activations, of arrays of fractions."""
    limited = Fraction(10**9 if limit is None else limit)
    one = {"sigmoid": lambda a: (1 + squashed(a)) / 2, "tanh": squashed, "relu": lambda a: max(a, Fraction(0)),
           "clip": lambda a: max(min(a, limited), -limited)}  # fmt: skip
    return {name: np.frompyfunc(of, 1, 1) for name, of in one.items()}


@dataclass(frozen=True)
class Dual:
    """A number and its derivative along one direction."""

    value: Any
    slope: Any = 0

    @classmethod
    def of(cls, a: Any) -> Dual:
        return a if isinstance(a, Dual) else cls(a)

    def __add__(self, other: Any) -> Dual:
        other = Dual.of(other)
        return Dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, other: Any) -> Dual:
        other = Dual.of(other)
        return Dual(self.value * other.value, self.value * other.slope + self.slope * other.value)

    def __rsub__(self, other: Any) -> Dual:
        return self * -1 + other

    __radd__, __rmul__ = __add__, __mul__


def dual_functions(limit: float | None) -> dict[str, Any]:
    """The same of duals, with the slopes that the activations themselves have, as functions of their results."""
    plain = functions(limit)
    slopes = {"sigmoid": lambda a, y: y * (1 - y), "tanh": lambda a, y: 1 - y * y, "relu": lambda a, y: y > 0,
              "clip": lambda a, y: a == y}  # fmt: skip

    def of(name: str) -> Any:
        def one(a: Dual) -> Dual:
            y = plain[name](a.value)
            return Dual(y, slopes[name](a.value, y) * a.slope)

        return np.frompyfunc(one, 1, 1)

    return {name: of(name) for name in plain}


class Exact:
    """calculus.Operations on arrays of fractions. A matrix stands as (features, units)."""

    def weights(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: array.T for name, array in arrays.items()}

    def affine(self, products: Sequence[tuple[Any, Any]], biases: Sequence[Any] = (), start: Any = None) -> Any:
        terms = [operand @ weight for weight, operand in products] + [*biases]
        return sum(terms if start is None else [start, *terms])

    def split(self, a: Any, gates: Sequence[int]) -> list[Any]:
        assert a.shape[-1] % sum(gates) == 0, "all gates are of one size"
        return np.split(a, np.cumsum(gates)[:-1] * (a.shape[-1] // sum(gates)), axis=-1)

    def add(self, a: Any, b: Any) -> Any:
        return a + b

    def multiply(self, a: Any, b: Any) -> Any:
        return a * b

    def mix(self, z: Any, n: Any, h: Any) -> Any:
        return (1 - z) * n + z * h

    def clip(self, a: Any, limit: float) -> Any:
        return functions(limit)["clip"](a)

    def sigmoid(self, a: Any) -> Any:
        return functions(None)["sigmoid"](a)

    def tanh(self, a: Any) -> Any:
        return functions(None)["tanh"](a)

    def relu(self, a: Any) -> Any:
        return functions(None)["relu"](a)


def fractions(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Multiples of an eighth between -2 and 2."""
    drawn = np.random.Generator(np.random.PCG64(seed)).integers(-16, 17, shape)
    return np.asarray(np.frompyfunc(lambda a: Fraction(int(a), 8), 1, 1)(drawn))
