"""The primitives of a layer, judged alone: a product of matrices with a bias, and an activation.

Where a layer disagrees, they say whether a primitive is off or what is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..bounds.arithmetic import REFERENCE, arithmetic
from ..bounds.dense import dense_bound
from ..calculus.numbers import activation
from ..calculus.slopes import RELU, SIGMOID, TANH
from ..calculus.sums import EVALUATION_ERROR
from .comparison import settle

FLUSHES = {one.name: one.flushes for one in (TANH, RELU, SIGMOID)}


@dataclass(frozen=True)
class PrimitiveVerdict:
    """Whether a primitive's answer lies within its bound.

    primitive: "product" or the activation's name.  dtype: of the answer.  elements, outside: how many were compared,
    and lie outside.  max_fraction: the largest error, as a fraction of its bound; expected, actual, bound: that
    element's.
    """

    primitive: str
    dtype: str
    elements: int
    outside: int
    max_fraction: float
    expected: float = 0.0
    actual: float = 0.0
    bound: float = 0.0

    @property
    def agrees(self) -> bool:
        return not self.outside

    def __str__(self) -> str:
        if self.agrees:
            return f"{self.primitive} in {self.dtype} is right by itself, {self.max_fraction:.2g} of its bound"
        return (
            f"{self.primitive} in {self.dtype} is wrong by itself: {self.outside} of {self.elements} elements outside, "
            f"at worst expected {self.expected!r}, actual {self.actual!r}, bound {self.bound:.3g}"
        )


def judge_product(
    weight: np.ndarray, bias: np.ndarray, x: np.ndarray, actual: np.ndarray, declared: str | None = None
) -> PrimitiveVerdict:
    """A framework's weight x + bias.

    weight: (outputs, features).  bias: (outputs,).  x: (..., features).  actual: (..., outputs), of x's dtype.
    declared: the arithmetic that is promised; x's dtype when None.
    """
    with np.errstate(all="ignore"):
        expected = dense_bound(weight, bias, x, np.zeros(x.shape), arithmetic(declared or x.dtype.name))
        return _compared("product", x.dtype, actual, expected.value, expected.bound)


def judge_activation(
    a: np.ndarray, nonlinearity: str, actual: np.ndarray, declared: str | None = None, beside: float = 0.0
) -> PrimitiveVerdict:
    """A framework's tanh, relu or sigmoid, elementwise (assumptions A3 and A4); actual: of a's shape and dtype.

    beside: how much, absolutely, whatever else was computed may have added to the answer.
    """
    with np.errstate(all="ignore"):
        judged, expected = arithmetic(declared or a.dtype.name), activation(a.astype(np.float64), nonlinearity)
        units = REFERENCE.activation_error(nonlinearity) + judged.activation_error(nonlinearity)
        absolute = beside + judged.activation_floor(nonlinearity) + FLUSHES[nonlinearity] * judged.smallest_normal
        bound = (1 + EVALUATION_ERROR) * units * np.abs(expected) + absolute
        return _compared(nonlinearity, a.dtype, actual, expected, bound)


def _compared(
    primitive: str, dtype: np.dtype, actual: np.ndarray, expected: np.ndarray, bound: np.ndarray
) -> PrimitiveVerdict:
    """Raises ValueError for an answer of another shape or dtype, whose elements cannot be compared."""
    if actual.shape != expected.shape or actual.dtype != dtype:
        given = f"{actual.dtype.name} {actual.shape}"
        raise ValueError(f"{primitive}: got {given}, expected {dtype.name} {expected.shape}")
    error = settle(np.abs(actual.astype(np.float64) - expected), actual, expected)
    fraction = np.where(error == 0, 0, error / bound)
    if not error.size:
        return PrimitiveVerdict(primitive, dtype.name, 0, 0, 0.0)
    worst = np.unravel_index(fraction.argmax(), fraction.shape)
    values = (float(array[worst]) for array in (fraction, expected, actual, bound))
    return PrimitiveVerdict(primitive, dtype.name, error.size, int((~(fraction <= 1)).sum()), *values)
