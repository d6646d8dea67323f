"""One step of the Elman cell, taken apart: the products, the sum and the activation, each open to a fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..calculus.numbers import activation
from ..spec import CellParameters

Change = Callable[[np.ndarray], np.ndarray]


class Kernel(Protocol):
    """What computes products and activations: NumPy, or a framework (every adapter is one)."""

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
        """x (..., features) by weight (outputs, features), plus bias (outputs,)."""
        ...

    def activation(self, a: np.ndarray, nonlinearity: str) -> np.ndarray:
        """ "tanh" or "relu" of any array, elementwise."""
        ...


class NumPyKernel:
    """Products and activations by NumPy, in the dtype of their arguments."""

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
        return (x @ weight.T + bias).astype(x.dtype)  # a product of bfloat16 is float32 in NumPy

    def activation(self, a: np.ndarray, nonlinearity: str) -> np.ndarray:
        return activation(a, nonlinearity)


def same(array: np.ndarray) -> np.ndarray:
    return array


def significant(bits: int) -> Change:
    """Round to so many significant bits, to nearest; the exponents stay as they are."""

    def rounded(array: np.ndarray) -> np.ndarray:
        fraction, exponent = np.frexp(array.astype(np.float64))
        return np.ldexp(np.rint(fraction * 2.0**bits) / 2.0**bits, exponent).astype(array.dtype)

    return rounded


@dataclass(frozen=True)
class Step:
    """A step that is about to be taken.

    cell: its parameters.  x: (batch, input size).  h: (batch, hidden_size), the state before.
    """

    kernel: Kernel
    cell: CellParameters
    nonlinearity: str
    x: np.ndarray
    h: np.ndarray

    def sum(self, operand: Change = same) -> np.ndarray:
        """The preactivation (batch, hidden_size), each operand of the products changed before it is used."""
        none = np.zeros(len(self.cell.w_hh), self.x.dtype)
        b_ih, b_hh = (none if bias is None else bias for bias in (self.cell.b_ih, self.cell.b_hh))
        from_below = self.kernel.dense(operand(self.cell.w_ih), b_ih, operand(self.x))
        return from_below + self.kernel.dense(operand(self.cell.w_hh), b_hh, operand(self.h))

    def activate(self, a: np.ndarray) -> np.ndarray:
        return self.kernel.activation(a, self.nonlinearity)

    def without_bias(self) -> Step:
        return replace(self, cell=CellParameters(self.cell.w_ih, self.cell.w_hh))

    def astype(self, dtype: str) -> Step:
        return replace(self, cell=self.cell.astype(dtype), x=self.x.astype(dtype), h=self.h.astype(dtype))
