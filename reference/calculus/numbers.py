"""A step in numbers: the forward pass, in the arithmetic of the arrays' own dtype."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..spec import CellParameters
from . import activate


class Numbers:
    """Arrays. A sum is an array of its own, and its activation is computed in its place.

    out: where the first sum goes if it has its shape, (..., units); a new array otherwise.
    """

    def __init__(self, out: np.ndarray | None = None) -> None:
        self._out = out
        self._sum: np.ndarray | None = None
        self._unit: np.ndarray | None = None  # 1, which costs less as an array than as a number
        self._parts: dict[tuple[int, Sequence[int]], list[tuple[Any, slice]]] = {}

    def weights(self, parameters: CellParameters) -> dict[str, np.ndarray]:
        """Matrices stand as (features, units). All but the input's are copied: every step multiplies with them."""
        # of narrow dtypes dot would round its sums to them; of wide ones it takes half matmul's time on small matrices
        self._multiply = np.dot if parameters.dtype.itemsize > 2 else np.matmul
        arrays = parameters.arrays().items()
        return {name: array.T if name == "w_ih" else np.ascontiguousarray(array.T) for name, array in arrays}

    def affine(
        self,
        products: Sequence[tuple[np.ndarray, np.ndarray]],
        biases: Sequence[np.ndarray] = (),
        start: np.ndarray | None = None,
    ) -> np.ndarray:
        if start is None:
            total, products = self._product(*products[0]), products[1:]
        else:
            total = start
        for weight, operand in products:
            total += self._multiply(operand, weight)
        if biases:
            total += sum(biases[1:], biases[0])
        self._sum = total
        return total

    def _product(self, weight: np.ndarray, operand: np.ndarray) -> np.ndarray:
        """All steps in one product of two matrices: NumPy would take one for each step."""
        if self._out is None and operand.ndim == 2 and self._multiply is np.dot:
            return self._multiply(operand, weight)
        shape = (*operand.shape[:-1], weight.shape[1])
        answer, self._out = self._out, None
        if answer is None or answer.shape != shape:
            answer = np.empty(shape, operand.dtype)
        rows = answer.reshape(-1, weight.shape[1])  # a view: only the last axis may be a part of a wider one
        np.matmul(operand.reshape(-1, len(weight)), weight, out=rows)  # without out, bfloat16 gives float32
        return answer

    def split(self, a: np.ndarray, gates: Sequence[int]) -> tuple[np.ndarray, ...]:
        """Views. A matrix stands as (features, gates * units)."""
        key = a.shape[-1], gates
        if key not in self._parts:
            size, ends = key[0] // sum(gates), itertools.accumulate(gates, initial=0)
            self._parts[key] = [(..., slice(start * size, end * size)) for start, end in itertools.pairwise(ends)]
        return tuple([a[part] for part in self._parts[key]])

    def add(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a + b

    def multiply(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a * b

    def mix(self, z: np.ndarray, n: np.ndarray, h: np.ndarray) -> np.ndarray:
        """As n + z (h - n), in the place of no operand."""
        answer = h - n
        answer *= z
        answer += n
        return answer

    def clip(self, a: np.ndarray, limit: float) -> np.ndarray:
        """np.clip would answer float32 of bfloat16."""
        return np.minimum(np.maximum(a, a.dtype.type(-limit)), a.dtype.type(limit))

    def sigmoid(self, a: np.ndarray) -> np.ndarray:
        answer = a.copy()  # what is read in one piece takes half the time
        np.exp(np.negative(answer, answer), answer)
        return np.reciprocal(np.add(answer, self._one(a.dtype), answer), answer)

    def _one(self, dtype: np.dtype) -> np.ndarray:
        if self._unit is None or self._unit.dtype != dtype:
            self._unit = np.ones((), dtype)
        return self._unit

    def tanh(self, a: np.ndarray) -> np.ndarray:
        return np.tanh(a, a) if a is self._sum else np.tanh(a)

    def relu(self, a: np.ndarray) -> np.ndarray:
        """relu(NaN) is NaN."""
        return np.maximum(a, a.dtype.type(0), out=a if a is self._sum else None)


def activation(a: np.ndarray, nonlinearity: str) -> np.ndarray:
    """phi(a), elementwise, as an array of its own."""
    return activate(Numbers(), nonlinearity, a)
