"""A dense head over a recurrent layer: an affine map of an input that is itself known within a bound."""

import numpy as np

from ..calculus.sums import EVALUATION_ROUNDINGS
from .arithmetic import REFERENCE, Arithmetic
from .step import Enclosure


def dense_bound(
    weight: np.ndarray, bias: np.ndarray, x: np.ndarray, x_bound: np.ndarray, judged: Arithmetic
) -> Enclosure:
    """weight x + bias in float64, and how far from it an answer in `judged` may lie: (..., outputs).

    weight: (outputs, features).  bias: (outputs,).  x: (..., features), the float64 input.
    x_bound: x's shape; how far from x the input of the judged head may lie.  An Enclosure's value and bound fit.

    The judged head reads some x' with |x' - x| <= x_bound, so exactly it would answer within |weight| x_bound of
    weight x + bias. Either side rounds a sum of features + 1 terms (A2), each at most gain times the sum
    of magnitudes, and no magnitude exceeds |x| + x_bound. Each operand, product and sum may be flushed to zero (A4).
    """
    w, b, x, x_bound = (a.astype(np.float64) for a in (weight, bias, x, x_bound))
    terms = w.shape[1] + 1
    both = (REFERENCE, judged)
    largest = np.abs(x) + x_bound
    magnitude = largest @ np.abs(w).T + np.abs(b)
    rounded = sum(each.gain(terms) for each in both) * magnitude
    flushed = (1 + judged.gain(terms)) * judged.smallest_normal
    lost = flushed * (largest.sum(axis=-1, keepdims=True) + np.abs(w).sum(axis=1) + terms)
    lost = lost + sum(each.underflow(terms) for each in both)
    # what rounding may take from the bound while it is evaluated, given back in advance
    evaluated = 1 + REFERENCE.gain(terms + EVALUATION_ROUNDINGS)
    return Enclosure(x @ w.T + b, evaluated * (x_bound @ np.abs(w).T + rounded + lost), magnitude)
