"""How far two arrays lie apart, in floating-point numbers."""

from __future__ import annotations

import numpy as np


def ulps_apart(a: np.ndarray, b: np.ndarray) -> float:
    """The largest number of floating-point numbers from an element of `a` to that of `b`, of one dtype and shape.

    NaN to NaN is 0, whatever their bits; NaN to a number is infinite.
    """
    nan = np.isnan(a), np.isnan(b)
    if np.any(nan[0] != nan[1]):
        return float("inf")
    first, second = (_order(np.where(nan[0], np.zeros_like(array), array)) for array in (a, b))
    return float((np.maximum(first, second) - np.minimum(first, second)).max(initial=0))


def _order(array: np.ndarray) -> np.ndarray:
    """The place of each number among all numbers of its dtype, as unsigned integers; -0 and 0 share one."""
    bits = array.dtype.itemsize * 8
    unsigned = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}").astype(np.uint64)
    sign, magnitude = unsigned >> np.uint64(bits - 1), unsigned & np.uint64(2 ** (bits - 1) - 1)
    middle = np.uint64(2**63)
    return np.where(sign == 1, middle - magnitude, middle + magnitude)
