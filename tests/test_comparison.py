"""The judge's comparison says what np.allclose(actual, expected, rtol=0, atol=bound, equal_nan=True) says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from reference.comparison import Part, compare, inside_bound, settle

# Every actual, expected and bound that decides a comparison, each with its neighbours on both sides.
VALUES = (0.0, -0.0, 1.0, -1.0, 0.5, 5e-324, np.nextafter(1.0, 2.0), 1e308, -1e308, np.inf, -np.inf, np.nan)
BOUNDS = (0.0, 5e-324, 2.0**-52, 0.5, np.nextafter(0.5, 0.0), np.nextafter(0.5, 1.0), 2.0, np.inf, np.nan)


def wrong(actual, expected, bound):
    """What np.allclose calls wrong, but for an infinite bound, which stands for a sum that may overflow."""
    with np.errstate(all="ignore"):
        agree = np.allclose(actual, expected, rtol=0, atol=bound, equal_nan=True)
    return not agree and not np.isinf(bound).any()


def part_of(actual, expected, bound):
    arrays = [np.array(a, np.float64).reshape(1, 1, -1) for a in (actual, expected, bound)]
    return Part(0, "output", *arrays, scale=np.ones_like(arrays[0]))


@pytest.mark.parametrize("bound", BOUNDS)
def test_one_element_is_outside_where_allclose_says_so(bound):
    for actual, expected in itertools.product(VALUES, VALUES):
        with np.errstate(all="ignore"):
            seen = compare(part_of(actual, expected, bound))
        assert seen.outside == wrong(actual, expected, bound), (actual, expected, bound)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_elements_outside_are_those_that_isclose_calls_wrong(dtype):
    """Errors on both sides of bounds that differ from element to element, down to the last place."""
    words = np.random.PCG64(0).random_raw(6 * 3 * 50).reshape(6, 3, 50)
    expected = (words >> np.uint64(11)) * 2.0**-52 - 1
    actual = expected.astype(dtype)
    error = np.abs(actual - expected)
    for bound in (error, np.nextafter(error, 0), np.nextafter(error, 1), np.roll(error, 1)):
        agree = np.isclose(actual, expected, rtol=0, atol=bound, equal_nan=True)
        with np.errstate(all="ignore"):
            seen = compare(Part(0, "output", actual, expected, bound, np.ones_like(bound)))
        assert seen.outside == np.sum(~agree)
        assert inside_bound(error, bound) == np.all(agree)


def test_the_shortcut_is_only_for_finite_errors():
    """A test of the test: on an error that is infinite or NaN the shortcut alone would be wrong."""
    infinite, bound = np.array([np.inf]), np.ones(1)
    with np.errstate(all="ignore"):
        assert not inside_bound(np.abs(infinite - infinite), bound)
        assert np.allclose(infinite, infinite, rtol=0, atol=bound)
    assert settle(np.array([np.nan]), infinite, infinite) == 0
