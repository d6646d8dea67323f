"""The activations, and their slopes: at a point and on an interval around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .sums import EVALUATION_ERROR


class Activation(NamedTuple):
    """An activation, elementwise, and what its bounds need to know.

    slope: at a point.  largest_slope: on [a - radius, a + radius].  deviation: how far the slope anywhere on that
    interval lies from the slope at a.  bounded: whether it stays in [-1, 1].
    flushes: below how many times the smallest normal number a result may be flushed to zero (A4).
    limit: to which its argument is clipped.
    """

    name: str
    phi: Callable[..., np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]
    largest_slope: Callable[..., np.ndarray]
    deviation: Callable[[np.ndarray, np.ndarray], np.ndarray]
    bounded: bool
    flushes: float = 1.0
    limit: float = np.inf

    def scale(self, of_sum: Any) -> Any:
        """How wide a radius says nothing.  of_sum: the same of its argument, where it is not bounded."""
        return min(1.0, self.limit) if self.bounded else np.minimum(of_sum, self.limit)


def within(activation: Activation, limit: float) -> Activation:
    """The activation of an argument that is clipped to [-limit, limit]: beyond it has no slope."""
    _, phi, slope, largest_slope, deviation, *_ = activation

    def clipped(a: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        return phi(np.clip(a, -limit, limit, out=out), out=out)

    def beyond(a: np.ndarray, radius: np.ndarray | float) -> np.ndarray:
        return np.abs(a) - radius > limit * (1 + EVALUATION_ERROR)

    def largest(a: np.ndarray, radius: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        flat = beyond(a, radius)
        answer = largest_slope(a, radius, out=out)
        answer[flat] = 0
        return answer

    def differs(a: np.ndarray, radius: np.ndarray) -> np.ndarray:
        inside = np.abs(a) + radius < limit * (1 - EVALUATION_ERROR)
        return np.where(inside, deviation(a, radius), largest(a, radius))

    return activation._replace(phi=clipped, slope=lambda a: np.where(np.abs(a) > limit, 0, slope(a)), limit=limit,
                               largest_slope=largest, deviation=differs)  # fmt: skip


def tanh_slope(a: np.ndarray) -> np.ndarray:
    """1 - tanh(a)^2, elementwise."""
    return 1 - np.tanh(a) ** 2


def largest_tanh_slope(a: np.ndarray, radius: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The slope at the interval's point nearest 0."""
    nearest = np.abs(a, out=out)
    nearest -= radius
    np.maximum(nearest, 0, out=nearest)
    tanh = np.tanh(nearest, out=nearest)
    tanh *= tanh
    return np.subtract(1 + EVALUATION_ERROR, tanh, out=tanh)


def tanh_slope_deviation(a: np.ndarray, radius: np.ndarray) -> np.ndarray:
    at_a = tanh_slope(a)
    steeper = largest_tanh_slope(a, radius) - at_a
    flatter = at_a - tanh_slope(np.abs(a) + radius)
    return np.maximum(steeper, flatter) + EVALUATION_ERROR


def positive(a: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """relu: of NaN it is NaN."""
    return np.maximum(a, 0, out=out)


def relu_slope(a: np.ndarray) -> np.ndarray:
    """1 where a > 0, else 0."""
    return (a > 0).astype(a.dtype)


def largest_relu_slope(a: np.ndarray, radius: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    return np.heaviside(a + radius, 0, out=out)


def relu_slope_deviation(a: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """1 where 0 lies in the interval, else 0."""
    return (np.abs(a) <= radius).astype(np.float64)


def logistic(a: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """1 / (1 + exp(-a)), elementwise."""
    answer = np.exp(np.negative(a, out=out), out=out)
    answer += 1
    return np.divide(1, answer, out=answer)


def logistic_slope(a: np.ndarray) -> np.ndarray:
    """sigma(a) sigma(-a), elementwise."""
    return logistic(a) * logistic(-a)


def largest_logistic_slope(a: np.ndarray, radius: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The slope at the interval's point nearest 0."""
    nearest = np.maximum(np.abs(a) - radius, 0)
    return np.multiply(logistic_slope(nearest), 1 + EVALUATION_ERROR, out=out)


def logistic_slope_deviation(a: np.ndarray, radius: np.ndarray) -> np.ndarray:
    at_a = logistic_slope(a)
    flatter = at_a - logistic_slope(np.abs(a) + radius)
    return np.maximum(largest_logistic_slope(a, radius) - at_a, flatter) + EVALUATION_ERROR


TANH = Activation("tanh", np.tanh, tanh_slope, largest_tanh_slope, tanh_slope_deviation, True)
RELU = Activation("relu", positive, relu_slope, largest_relu_slope, relu_slope_deviation, False)
SIGMOID = Activation("sigmoid", logistic, logistic_slope, largest_logistic_slope, logistic_slope_deviation, True, 4.0)
