"""The slopes of the activations, at a point and on an interval around it."""

from __future__ import annotations

import numpy as np

from .sums import EVALUATION_ERROR


def tanh_slope(a: np.ndarray) -> np.ndarray:
    """1 - tanh(a)^2, elementwise."""
    return 1 - np.tanh(a) ** 2


def relu_slope(a: np.ndarray) -> np.ndarray:
    """1 where a > 0, else 0."""
    return (a > 0).astype(a.dtype)


def largest_tanh_slope(a: np.ndarray, radius: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The largest slope of tanh on [a - radius, a + radius]: at the point nearest 0."""
    nearest = np.abs(a, out=out)
    nearest -= radius
    np.maximum(nearest, 0, out=nearest)
    tanh = np.tanh(nearest, out=nearest)
    tanh *= tanh
    return np.subtract(1 + EVALUATION_ERROR, tanh, out=tanh)


def largest_relu_slope(a: np.ndarray, radius: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The largest slope of relu on [a - radius, a + radius]."""
    return np.heaviside(a + radius, 0, out=out)


def tanh_slope_deviation(a: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """How far the slope of tanh anywhere on [a - radius, a + radius] lies from its slope at a."""
    at_a = tanh_slope(a)
    steeper = largest_tanh_slope(a, radius) - at_a
    flatter = at_a - tanh_slope(np.abs(a) + radius)
    return np.maximum(steeper, flatter) + EVALUATION_ERROR


def relu_slope_deviation(a: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """The same of relu: 1 where 0 lies in the interval, else 0."""
    return (np.abs(a) <= radius).astype(np.float64)
