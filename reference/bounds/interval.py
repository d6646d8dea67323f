"""One step of the Elman cell in float64, with an interval around every preactivation.

Both bounds start here. docs/error-bounds.md has the proofs; the names are its symbols, spelled out.
"""

from __future__ import annotations

import numpy as np

from .. import elman
from ..spec import CellParameters
from .arithmetic import ARITHMETICS, REFERENCE, Arithmetic

# Roundings in the evaluation of a bound after its sums: fewer than this many, each one u of float64.
EVALUATION_ROUNDINGS = 64
EVALUATION_ERROR = EVALUATION_ROUNDINGS * REFERENCE.unit_roundoff


class StepModel:
    """A cell's step as two matrix products over [x_t, h_{t-1}, 1]: the preactivation and its radius.

    nonlinearity: the cell's.  judged: the arithmetic promised; None stands for the exact answer, which
    does not round.  The radius is how far two computed preactivations may lie apart, one in `judged`, one in
    the reference's float64: alpha * m + beta * |a| for the roundings of the sums (A2), and the smallest normal
    number for each operand, product and sum that may be flushed to zero (A4). For the exact answer it is as wide
    as for float64: the reference's own preactivation and the one computed here may err to either side of it.
    """

    def __init__(self, parameters: CellParameters, nonlinearity: str, judged: Arithmetic | None) -> None:
        w_ih, w_hh = (w.astype(np.float64).T for w in (parameters.w_ih, parameters.w_hh))
        zero = np.zeros(w_hh.shape[1])
        b_ih, b_hh = (zero if b is None else b.astype(np.float64) for b in (parameters.b_ih, parameters.b_hh))
        self.nonlinearity, self.judged = nonlinearity, judged
        self.weights = np.vstack([w_ih, w_hh, b_ih + b_hh])
        self.magnitudes = np.vstack([np.abs(w_ih), np.abs(w_hh), np.abs(b_ih) + np.abs(b_hh)])
        self.biases = b_ih, b_hh
        self.terms = len(w_ih) + len(w_hh) + 2  # products, and two biases
        self.input_size = len(w_ih)
        both = (REFERENCE, judged or REFERENCE)
        alphas, betas = zip(*(each.spread(self.terms) for each in both), strict=True)
        self.beta = sum(betas)
        # |a| is known but for the roundings of the one computed here
        self.alpha = sum(alphas) + self.beta * REFERENCE.gain(self.terms)
        self.underflow = sum(each.underflow(self.terms) for each in both)
        self.smallest_normal = both[1].smallest_normal
        self.growth = 1 + both[1].gain(self.terms)
        self.largest_sum = both[1].largest / self.growth  # of magnitudes: no partial sum can overflow
        own = REFERENCE.activation_error(nonlinearity)
        self.judged_activation = judged.activation_error(nonlinearity) if judged else 0.0
        self.activation = own + self.judged_activation
        self.floor = judged.tanh_floor if judged and nonlinearity == "tanh" else 0.0
        # what rounding may take from a bound while it is evaluated, given back in advance
        self.evaluated = 1 + REFERENCE.gain(self.terms + EVALUATION_ROUNDINGS)
        self.radii = self._radii()

    def _radii(self) -> np.ndarray:
        """The matrix that takes [|x_t|, |h_{t-1}|, 1] to the radius.

        For a narrow dtype the radius needs, and gets, no more than float32, at half the cost, unless it
        overflows there; what float32 rounds or flushes is given back in advance.
        """
        flushed = self.growth * self.smallest_normal  # an operand, before it meets the other one
        radii = self.alpha * self.magnitudes + flushed
        radii[-1] += flushed * self.magnitudes[:-1].sum(axis=0) + self.underflow
        if self.judged is None or self.judged.storage == "float64":
            return self.evaluated * radii
        single = ARITHMETICS["float32"]
        radii[-1] += single.underflow(self.terms)
        radii *= 1 + single.gain(self.terms + EVALUATION_ROUNDINGS)
        return radii.astype(np.float32) if radii.max() <= single.largest else radii

    def radius(self, inputs: np.ndarray) -> np.ndarray:
        """How far two computed preactivations may lie apart, but for beta * |a|; inputs: [x_t, h_{t-1}, 1]."""
        magnitudes = inputs.astype(self.radii.dtype)
        return product(np.abs(magnitudes, out=magnitudes), self.radii)

    def may_overflow(self, radius: np.ndarray) -> np.ndarray:
        """Where a sum may overflow, by its radius alone; NaN counts."""
        return ~(radius <= self.alpha * self.largest_sum)

    def inputs(self, x: np.ndarray, h: np.ndarray) -> np.ndarray:
        """[x_t, h_{t-1}, 1] in float64: (..., input size + hidden_size + 1)."""
        inputs = np.empty((*h.shape[:-1], len(self.weights)))
        inputs[..., : self.input_size] = x
        inputs[..., self.input_size : -1] = h
        inputs[..., -1] = 1
        return inputs

    def activation_bound(self, phi: np.ndarray) -> np.ndarray:
        """A3 on both sides: how far two computed activations of one argument may lie apart, underflow included."""
        error = np.abs(phi)
        error *= self.activation * self.evaluated
        error += self.floor * self.evaluated + self.smallest_normal
        return error

    def overflows(self, inputs: np.ndarray) -> np.ndarray:
        """Where finite terms may overflow in some order of summation: booleans (..., hidden_size)."""
        terms = np.where(np.isfinite(inputs), np.abs(inputs), 0)
        # infinite or NaN as given: two finite biases may still overflow when they are added
        finite = np.isfinite(self.magnitudes)
        finite[-1] = np.isfinite(self.biases).all(axis=0)
        weights = np.where(finite, self.magnitudes, 0)
        return ~(terms @ weights <= self.largest_sum)

    def scale(self, radius: np.ndarray) -> np.ndarray:
        """The size of an answer: 1 for tanh; for relu the sum of the terms' magnitudes, with what underflows.

        A bound of this size would let 0 pass for any answer.
        """
        return np.ones(()) if self.nonlinearity == "tanh" else radius / self.alpha


def product(inputs: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """inputs @ matrix as one product of two matrices; NumPy would take one for each step, at half the speed."""
    rows = inputs.reshape(-1, inputs.shape[-1])
    return np.matmul(rows, matrix).reshape(*inputs.shape[:-1], matrix.shape[1])


def largest_slope(a: np.ndarray, radius: np.ndarray, nonlinearity: str, out: np.ndarray | None = None) -> np.ndarray:
    """The largest slope of phi on [a - radius, a + radius]."""
    if nonlinearity == "relu":
        return np.heaviside(a + radius, 0, out=out)
    nearest = np.abs(a, out=out)
    nearest -= radius
    np.maximum(nearest, 0, out=nearest)
    tanh = np.tanh(nearest, out=nearest)
    tanh *= tanh
    return np.subtract(1 + EVALUATION_ERROR, tanh, out=tanh)


def slope_deviation(a: np.ndarray, radius: np.ndarray, nonlinearity: str) -> np.ndarray:
    """How far the slope of phi anywhere on [a - radius, a + radius] lies from its slope at a."""
    if nonlinearity == "relu":
        return (np.abs(a) <= radius).astype(np.float64)
    at_a = elman.slope(a, "tanh")
    steeper = largest_slope(a, radius, "tanh") - at_a
    flatter = at_a - elman.slope(np.abs(a) + radius, "tanh")
    return np.maximum(steeper, flatter) + EVALUATION_ERROR
