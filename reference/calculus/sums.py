"""One sum of products and biases in float64, with an interval around it. docs/error-bounds.md has the proofs; the names
are its symbols, spelled out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from ..bounds.arithmetic import ARITHMETICS, REFERENCE, Arithmetic

# Roundings in the evaluation of a bound after its sums: fewer than this many, each one u of float64.
EVALUATION_ROUNDINGS = 64
EVALUATION_ERROR = EVALUATION_ROUNDINGS * REFERENCE.unit_roundoff


class Sum:
    """The sum weights[0] @ operand[0] + ... + biases as two matrix products over [operand[0], ..., 1]: its value and
    its radius.

    matrices: (units, operand's size) each.  biases: (units,) each; two roundings are counted for them, as
    a framework keeps two.  judged: the arithmetic promised; None stands for the exact answer, which does not round.
    others: terms beside them, which are added too.  more: those of other products that are added to this one.
    Raises NotImplementedError for more than two biases, and for more than two products in a wide accumulator: their
    roundings are not counted.
    The radius is how far two computed sums may lie apart, one in `judged`, one in the reference's float64: alpha * m +
    beta * |a| for the roundings (A2), and the smallest normal number for each operand, product and sum that may
    be flushed to zero (A4). For the exact answer it is as wide as for float64: the reference's own sum and the one
    computed here may err to either side of it.
    """

    def __init__(
        self,
        matrices: Sequence[np.ndarray],
        biases: Sequence[np.ndarray],
        judged: Arithmetic | None,
        others: int = 0,
        more: int = 0,
    ) -> None:
        ends = list(itertools.accumulate((matrix.shape[1] for matrix in matrices), initial=0))
        self.rows = [slice(*pair) for pair in itertools.pairwise(ends)]  # those of each operand
        self.weights = np.empty((ends[-1] + 1, len(matrices[0])), order="F")
        for rows, matrix in zip(self.rows, matrices, strict=True):
            self.weights[rows] = matrix.T
        self.biases = [bias.astype(np.float64) for bias in biases] or [np.zeros(len(matrices[0]))]
        self.weights[-1] = sum(self.biases[1:], self.biases[0])
        self.magnitudes = np.abs(self.weights)
        magnitudes = [np.abs(bias) for bias in self.biases]
        self.magnitudes[-1] = sum(magnitudes[1:], magnitudes[0])
        self.judged, self.terms = judged, ends[-1] + 2 + others + more  # products, two biases, others
        both = (REFERENCE, judged or REFERENCE)
        if len(biases) > 2 or (len(matrices) > 2 and both[1].wide):
            given = f"{len(matrices)} products and {len(biases)} biases"
            raise NotImplementedError(f"affine: got {given}, expected at most 2 of each: no more roundings are counted")
        alphas, betas = zip(*(each.spread(self.terms, others) for each in both), strict=True)
        self.beta = sum(betas)
        # |a| is known but for the roundings of the one computed here
        self.alpha = sum(alphas) + self.beta * REFERENCE.gain(self.terms)
        self.underflow = sum(each.underflow(self.terms, others) for each in both)
        self.smallest_normal = both[1].smallest_normal
        self.largest_operand = both[1].largest if both[1].narrow else np.inf
        self.growth = 1 + both[1].gain(self.terms, others)
        self.largest_sum = both[1].largest / self.growth  # of magnitudes: no partial sum can overflow
        # what rounding may take from a bound while it is evaluated, given back in advance
        self.evaluated = 1 + REFERENCE.gain(self.terms + EVALUATION_ROUNDINGS)
        self.radii = self._radii()

    def _radii(self) -> np.ndarray:
        """The matrix that takes [|operand|, ..., 1] to the radius.

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

    def inputs(self, operands: Sequence[np.ndarray]) -> np.ndarray:
        """[operands, 1] in float64: (..., all sizes + 1)."""
        inputs = np.empty((*operands[-1].shape[:-1], len(self.weights)))
        for rows, operand in zip(self.rows, operands, strict=True):
            inputs[..., rows] = operand
        inputs[..., -1] = 1
        return inputs

    def radius(self, inputs: np.ndarray) -> np.ndarray:
        """How far two computed sums may lie apart, but for beta * |a|; infinite where an operand is rounded to that."""
        magnitudes = inputs.astype(self.radii.dtype)
        found = product(np.abs(magnitudes, out=magnitudes), self.radii)
        if self.largest_operand < np.inf:
            found[self.rounded_to_infinity(inputs)] = np.inf
        return found

    def rounded_to_infinity(self, inputs: np.ndarray) -> np.ndarray:
        """Where a finite operand may be infinite in a format of a smaller range: booleans (..., units)."""
        reads, weighs = ((np.abs(a) > self.largest_operand) & np.isfinite(a) for a in (inputs, self.weights))
        return np.logical_or(reads.any(axis=-1, keepdims=True), weighs.any(axis=0))

    def may_overflow(self, radius: np.ndarray) -> np.ndarray:
        """Where a sum may overflow, by its radius alone; NaN counts."""
        return ~(radius <= self.alpha * self.largest_sum)

    def overflows(self, inputs: np.ndarray) -> np.ndarray:
        """Where finite terms may overflow in some order of summation: booleans (..., units)."""
        terms = np.where(np.isfinite(inputs), np.abs(inputs), 0)
        # infinite or NaN as given: two finite biases may still overflow when they are added
        finite = np.isfinite(self.magnitudes)
        finite[-1] = np.isfinite(self.biases).all(axis=0)
        weights = np.where(finite, self.magnitudes, 0)
        return ~(terms @ weights <= self.largest_sum) | self.rounded_to_infinity(inputs)

    def infinity_meets_subnormal(self, inputs: np.ndarray) -> np.ndarray:
        """Where a product has an infinite operand, and one that is not 0 but may be flushed: (..., units)."""
        (infinite, tiny), (infinite_weights, tiny_weights) = (
            (np.isinf(a).astype(np.float64), ((a != 0) & (np.abs(a) < self.smallest_normal)).astype(np.float64))
            for a in (inputs, self.weights)
        )
        return infinite @ tiny_weights + tiny @ infinite_weights > 0

    def settled(self, inputs: np.ndarray, radius: np.ndarray) -> np.ndarray:
        """The radius, infinite where finite terms may overflow in some order of summation.

        An infinity or NaN among the inputs has one answer by IEEE 754, in every order: it must come out exactly,
        unless the infinity meets a number that may be flushed to zero first (A4): 0 times infinity is NaN.
        """
        given = ~np.isfinite(np.abs(inputs) @ self.magnitudes)
        unsettled = self.overflows(inputs) | self.infinity_meets_subnormal(inputs) | (np.isnan(radius) & ~given)
        return np.where(unsettled, np.inf, np.where(given, 0, radius))

    def scale(self, radius: np.ndarray) -> np.ndarray:
        """The size of the sum: that of its terms' magnitudes, with what underflows. A bound this wide says nothing."""
        return radius / self.alpha


def product(inputs: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """inputs @ matrix as one product of two matrices; NumPy would take one for each step, at half the speed."""
    rows = inputs.reshape(-1, inputs.shape[-1])
    return np.matmul(rows, matrix).reshape(*inputs.shape[:-1], matrix.shape[1])
