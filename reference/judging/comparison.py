"""Element by element: np.allclose(actual, expected, rtol=0, atol=bound), and what there is to say about it."""

import math
from typing import NamedTuple

import numpy as np

from ..bounds.step import Enclosure, time_blocks


class Part(NamedTuple):
    """An array of one track that is compared: output (time, batch, unit), or a final state as (1, batch, unit).

    track: its index in the order of the parameters.  actual: in the case's dtype.
    expected, bound, scale: an Enclosure's value, bound and scale, float64.
    """

    track: int
    array: str
    actual: np.ndarray
    expected: np.ndarray
    bound: np.ndarray
    scale: np.ndarray


def single(track: int, name: str, actual: np.ndarray, expected: Enclosure) -> Part:
    """An array without steps."""
    return Part(track, name, actual[None], *(a[None] for a in expected))


class Comparison(NamedTuple):
    """What a part's elements add up to. The places, max_error_at and max_fraction_at, are flat indices.

    magnitude: sum of |actual| - |expected|.  largest_expected: largest |expected|.
    """

    part: Part
    outside: int = 0
    vacuous: int = 0
    non_finite: bool = False
    max_error: float = 0.0
    max_error_at: int = 0
    max_fraction: float = 0.0
    max_fraction_at: int = 0
    magnitude: float = 0.0
    largest_expected: float = 0.0


def compare(part: Part) -> Comparison:
    """Compare a part in blocks of time that stay in the processor's cache."""
    if not part.actual.size:
        return Comparison(part)
    per_step = part.actual[0].size
    seen = [_compare_block(part, block, block.start * per_step) for block in time_blocks(*part.actual.shape)]
    if len(seen) == 1:
        return seen[0]
    by_error, by_fraction = max(seen, key=lambda c: c.max_error), max(seen, key=lambda c: c.max_fraction)
    return by_error._replace(
        outside=sum(c.outside for c in seen),
        vacuous=sum(c.vacuous for c in seen),
        non_finite=any(c.non_finite for c in seen),
        max_fraction=by_fraction.max_fraction,
        max_fraction_at=by_fraction.max_fraction_at,
        magnitude=sum(c.magnitude for c in seen),
        largest_expected=max(c.largest_expected for c in seen),
    )


def _compare_block(part: Part, block: slice, offset: int) -> Comparison:
    actual, expected, bound, scale = (array[block] for array in part[2:])
    error = np.subtract(actual, expected, order="C")
    max_error_at, max_error = _largest(np.abs(error, out=error))
    finite = math.isfinite(max_error)
    if not finite:
        error = settle(error, actual, expected)
        max_error_at, max_error = _largest(error)
    vacuous = vacuous_elements(expected, bound, scale)
    meaningless = int(np.count_nonzero(vacuous))
    fraction = error / bound
    max_fraction_at, max_fraction = _, largest = _largest(fraction)  # below 1 no error is above its bound
    if meaningless or math.isnan(max_fraction):
        max_fraction_at, max_fraction = _largest(np.where((error == 0) | vacuous, 0.0, fraction))
    agrees = finite and (largest < 1 or inside_bound(error, bound))
    outside = np.zeros(0, bool) if agrees else outside_bound(actual, expected, bound)
    size = np.abs(expected)
    return Comparison(
        part,
        outside=int(np.count_nonzero(outside)),
        vacuous=meaningless,
        non_finite=not finite and bool((outside & ~(np.isfinite(actual) & np.isfinite(expected))).any()),
        max_error=max_error,
        max_error_at=offset + max_error_at,
        max_fraction=max_fraction,
        max_fraction_at=offset + max_fraction_at,
        magnitude=float(np.add.reduce(np.abs(actual), None, np.float64) - np.add.reduce(size, None)) if finite else 0.0,
        largest_expected=float(np.maximum.reduce(size, None)) if finite else 0.0,
    )


def _largest(array: np.ndarray) -> tuple[int, float]:
    """The flat index of the largest element, and its value; of the first NaN where there is one."""
    at = int(array.argmax())
    return at, float(array.item(at))


def vacuous_elements(expected: np.ndarray, bound: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Where a bound says nothing. An expected infinity or NaN has no bound: it must come out as it is."""
    vacuous = ~(bound < scale)
    return vacuous & (np.isfinite(expected) | np.isinf(bound)) if np.count_nonzero(vacuous) else vacuous


def inside_bound(error: np.ndarray, bound: np.ndarray) -> bool:
    """Whether np.allclose(actual, expected, rtol=0, atol=bound) is True, from finite errors |actual - expected|.

    It is what NumPy computes, in a twentieth of the time. A NaN bound is False here, but True to NumPy where the
    error is 0: where this is False, `outside_bound` has the last word.
    """
    return bool((error <= bound).all())


def settle(error: np.ndarray, actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Errors where something is infinite or NaN: 0 where both sides say the same, else infinity."""
    return np.where(says_the_same(actual, expected), 0.0, np.where(np.isnan(error), np.inf, error))


def outside_bound(actual: np.ndarray, expected: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Where np.isclose(actual, expected, rtol=0, atol=bound, equal_nan=True) calls an answer wrong.

    An infinite bound stands for a sum that may overflow: nothing is wrong there. NumPy 1.26 takes no array for atol.
    """
    near = (np.abs(actual - expected) <= bound) & np.isfinite(expected)
    return ~(near | says_the_same(actual, expected)) & ~np.isinf(bound)


def says_the_same(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Where both are one number, one infinity, or NaN."""
    return (actual == expected) | (np.isnan(actual) & np.isnan(expected))


def equal_bits(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where two arrays of one shape and dtype have the same bits: 0 and -0 differ, any NaN is any other."""
    bits = f"u{one.itemsize}"
    return (one.view(bits) == other.view(bits)) | (np.isnan(one) & np.isnan(other))


def first_outside(part: Part, direction: str) -> int:
    """The flat index of the first wrong element: the earliest step that the cell took, then batch, then unit."""
    wrong = np.flatnonzero(outside_bound(part.actual, part.expected, part.bound))
    match direction:
        case "forward":
            return int(wrong[0])
        case "reverse":
            step = wrong // part.actual[0].size
            return int(wrong[step == step[-1]][0])
    raise ValueError(f"direction: got {direction!r}, expected one that a track runs in: forward, reverse")
