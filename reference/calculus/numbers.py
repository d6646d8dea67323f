"""A step in numbers: the forward pass, in the arithmetic of the arrays' own dtype."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..spec import CellParameters
from . import activate


class Numbers:
    """Arrays. A sum is an array of its own, and its activation is computed in its place.

    out: where the first sum goes, (..., units); a new array when None.
    """

    def __init__(self, out: np.ndarray | None = None) -> None:
        self._out = out

    def weights(self, parameters: CellParameters) -> dict[str, np.ndarray]:
        """Matrices stand as (features, units). A recurrent one is copied: it is multiplied with at every step."""
        # of narrow dtypes it would round its sums to them; of wide ones it takes half matmul's time on small matrices
        self._multiply = np.dot if parameters.dtype.itemsize > 2 else np.matmul
        named = {name: array.T for name, array in parameters.arrays().items()}
        named["w_hh"] = np.ascontiguousarray(named["w_hh"])
        return named

    def affine(
        self,
        products: Sequence[tuple[np.ndarray, np.ndarray]],
        biases: Sequence[np.ndarray] = (),
        start: np.ndarray | None = None,
    ) -> np.ndarray:
        first = 0 if start is not None else 1
        total = self._product(*products[0]) if start is None else start
        for weight, operand in products[first:]:
            total += self._multiply(operand, weight)
        if biases:
            total += sum(biases[1:], biases[0])
        return total

    def _product(self, weight: np.ndarray, operand: np.ndarray) -> np.ndarray:
        """All steps in one product of two matrices: NumPy would take one for each step."""
        shape = (*operand.shape[:-1], weight.shape[1])
        answer = np.empty(shape, operand.dtype) if self._out is None else self._out
        self._out = None
        rows = answer.reshape(-1, weight.shape[1])  # a view: only the last axis may be a part of a wider one
        np.matmul(operand.reshape(-1, len(weight)), weight, out=rows)  # without out, bfloat16 gives float32
        return answer

    def tanh(self, a: np.ndarray) -> np.ndarray:
        return np.tanh(a, a)

    def relu(self, a: np.ndarray) -> np.ndarray:
        """relu(NaN) is NaN."""
        return np.maximum(a, a.dtype.type(0), out=a)


def activation(a: np.ndarray, nonlinearity: str) -> np.ndarray:
    """phi(a), elementwise, as an array of its own."""
    return activate(Numbers(), nonlinearity, a.copy())
