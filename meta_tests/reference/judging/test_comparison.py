"""The judge's comparison says what np.allclose(actual, expected, rtol=0, atol=bound, equal_nan=True) says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from reference.judging.comparison import (
    Part,
    compare,
    equal_bits,
    first_outside,
    inside_bound,
    settle,
    vacuous_elements,
)

# Every actual, expected and bound that decides a comparison, each with its neighbours on both sides.
VALUES = (0.0, -0.0, 1.0, -1.0, 0.5, 5e-324, np.nextafter(1.0, 2.0), 1e308, -1e308, np.inf, -np.inf, np.nan)
BOUNDS = (0.0, 5e-324, 2.0**-52, 0.5, np.nextafter(0.5, 0.0), np.nextafter(0.5, 1.0), 2.0, np.inf, np.nan)


def wrong(actual, expected, bound):
    """What np.allclose calls wrong, but for an infinite bound, which stands for a sum that may overflow.

    Equal numbers agree where the bound is NaN too: to NumPy since 2.0.
    """
    with np.errstate(all="ignore"):
        agree = actual == expected or np.allclose(actual, expected, rtol=0, atol=bound, equal_nan=True)
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


# What a comparison adds up to, whatever the blocks it is made in. Four steps of 2 sequences of 2 units.


def planted(errors: dict[int, float], bounds: dict[int, float]) -> Part:
    """Expected are 1, 2, ... 16; errors are 0 and bounds 1 but for the planted ones, by flat index."""
    expected, error, bound = np.arange(1.0, 17.0), np.zeros(16), np.ones(16)
    for array, values in ((error, errors), (bound, bounds)):
        for at, value in values.items():
            array[at] = value
    arrays = (expected + error, expected, bound, np.full(16, 10.0))
    return Part(0, "output", *(array.reshape(4, 2, 2) for array in arrays))


@pytest.fixture(params=[4, 8, 2**15], ids=lambda elements: f"blocks of {elements}")
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference.bounds.step.BLOCK_ELEMENTS", request.param)


@pytest.mark.usefixtures("blocks")
def test_a_comparison_counts_and_places_what_it_sees():
    part = planted({5: 0.5, 14: -0.25}, {14: 0.125, 3: 10.0})
    seen = compare(part)
    assert seen.part is part
    assert (seen.outside, seen.vacuous, seen.non_finite) == (1, 1, False)
    assert (seen.max_error, seen.max_error_at) == (0.5, 5)
    assert (seen.max_fraction, seen.max_fraction_at) == (2.0, 14)
    assert (seen.magnitude, seen.largest_expected) == (0.25, 16.0)
    assert isinstance(seen.outside, int)
    assert isinstance(seen.non_finite, bool)


@pytest.mark.usefixtures("blocks")
def test_a_vacuous_bound_and_a_correct_element_have_no_fraction():
    """Not even where the error is a large part of a bound that says nothing, or 0 of a bound of 0."""
    with np.errstate(all="ignore"):
        seen = compare(planted({3: 15.0, 9: 0.25}, {3: 16.0, 7: 0.0}))
        assert (seen.max_fraction, seen.max_fraction_at) == (0.25, 9)
        assert (seen.max_error, seen.max_error_at, seen.vacuous) == (15.0, 3, 1)
        seen = compare(planted({}, {7: 0.0}))
        assert (seen.max_fraction, seen.outside, seen.vacuous) == (0.0, 0, 0)
        seen = compare(planted({3: np.nan, 9: 0.25}, {3: np.inf}))
        assert (seen.max_fraction, seen.max_fraction_at, seen.outside, seen.vacuous) == (0.25, 9, 0, 1)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_outside_by_infinity(value):
    with np.errstate(all="ignore"):
        seen = compare(planted({5: value, 6: 0.5, 14: -4.0}, {}))
    assert (seen.outside, seen.non_finite) == (2, True)
    assert (seen.max_error, seen.max_error_at) == (np.inf, 5)
    assert (seen.max_fraction, seen.max_fraction_at) == (np.inf, 5)


def test_an_infinity_on_both_sides_is_neither_wrong_nor_a_finding():
    part = planted({6: 2.0}, {})
    part.actual[1, 0, 1] = part.expected[1, 0, 1] = np.inf
    with np.errstate(all="ignore"):
        seen = compare(part)
    assert (seen.outside, seen.non_finite) == (1, False)
    assert (seen.max_error, seen.max_error_at) == (2.0, 6)
    assert (seen.magnitude, seen.largest_expected) == (0.0, 0.0)


@pytest.mark.parametrize("shape", [(0, 2, 2), (4, 0, 2)])
def test_a_part_without_elements_agrees(shape):
    part = Part(3, "h_n", *(np.zeros(shape) for _ in range(4)))
    assert compare(part) == (part, 0, 0, False, 0.0, 0, 0.0, 0, 0.0, 0.0)


def test_the_first_wrong_element_is_of_the_first_step_that_the_cell_took():
    part = planted({5: 2.0, 6: 2.0, 9: 2.0, 11: 2.0}, {})
    assert first_outside(part, "forward") == 5
    assert first_outside(part, "reverse") == 9


def test_where_a_bound_says_nothing():
    """From the scale on, and where it is NaN; an expected infinity has none, unless its sum may overflow."""
    expected = np.array([1.0, 1.0, 1.0, 1.0, np.inf, np.inf, np.nan])
    bound = np.array([0.5, 1.0, 2.0, np.nan, np.nan, np.inf, np.nan])
    says_nothing = [False, True, True, True, False, True, False]
    assert vacuous_elements(expected, bound, np.ones(7)).tolist() == says_nothing
    assert not vacuous_elements(expected[:1], bound[:1], np.ones(1)).any()


def test_errors_are_settled_where_something_is_not_finite():
    actual, expected = np.array([1.0, np.inf, np.nan, np.nan, -np.inf]), np.array([3.0, np.inf, np.nan, 1.0, np.inf])
    with np.errstate(all="ignore"):
        assert settle(np.abs(actual - expected), actual, expected).tolist() == [2.0, 0.0, 0.0, np.inf, np.inf]


def test_a_narrow_dtype_is_added_up_in_float64():
    """A thousand times 100 is more than float16 can hold."""
    hundred = np.full((1, 1, 1000), 100.0)
    seen = compare(Part(0, "output", hundred.astype("float16"), hundred + 1, hundred, hundred))
    assert (seen.magnitude, seen.largest_expected) == (-1000.0, 101.0)


def test_a_zero_has_a_sign_and_any_nan_is_any_other() -> None:
    one, other = (np.array(values, "float32") for values in ([0.0, np.nan, np.inf, 1.0], [-0.0, -np.nan, -np.inf, 1.0]))
    assert equal_bits(one, other).tolist() == [False, True, False, True]
