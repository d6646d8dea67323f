"""A sum where something overflows, is infinite, or is flushed; and what terms beside its products cost. The rest of
its model is in bounds/test_step_bound.py."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from reference.bounds.arithmetic import ARITHMETICS, REFERENCE, arithmetic
from reference.calculus.sums import EVALUATION_ERROR, EVALUATION_ROUNDINGS, Sum, product

INF, NAN = np.inf, np.nan
LARGEST = arithmetic("float32").largest
TINY = arithmetic("float32").smallest_normal


@pytest.fixture(autouse=True)
def _without_warnings() -> Iterator[None]:
    """As the judge calls it."""
    with np.errstate(all="ignore"):
        yield


def sum_of(weights: list[list[float]], judged: str | None = "float32", biases: tuple[list[float], ...] = ()) -> Sum:
    """The model of one product."""
    return Sum([np.array(weights)], [np.array(bias) for bias in biases], judged and arithmetic(judged))


def inputs_of(model: Sum, *rows: list[float]) -> np.ndarray:
    return model.inputs([np.array(rows)])


def test_terms_beside_the_products_are_counted_on_both_sides() -> None:
    """`more` are terms of other products; `others` are rounded to storage once more in a wide accumulator."""
    judged, weights = arithmetic("float16_accumulate_float32"), [np.ones((2, 3))]
    for others, more in ((0, 0), (2, 0), (0, 4), (2, 4)):
        one, terms = Sum(weights, [], judged, others, more), 3 + 2 + others + more
        (own_alpha, own_beta), (alpha, beta) = REFERENCE.spread(terms, others), judged.spread(terms, others)
        assert one.terms == terms
        assert one.beta == own_beta + beta
        assert one.alpha == own_alpha + alpha + one.beta * REFERENCE.gain(terms)
        assert one.underflow == REFERENCE.underflow(terms, others) + judged.underflow(terms, others)
        assert one.growth == 1 + judged.gain(terms, others)
        assert one.largest_sum == judged.largest / one.growth
        assert one.evaluated == 1 + REFERENCE.gain(terms + EVALUATION_ROUNDINGS)
    assert Sum(weights, [], judged).terms == 5
    assert EVALUATION_ERROR == 64 * 2.0**-53


def test_a_radius_in_float32_gives_back_what_float32_takes() -> None:
    judged, single = arithmetic("float16"), ARITHMETICS["float32"]
    one = sum_of([[2.0, 0.0], [0.5, -4.0]], "float16", ([1.0, -2.0],))
    flushed = one.growth * judged.smallest_normal
    expected = one.alpha * one.magnitudes + flushed
    expected[-1] += flushed * one.magnitudes[:-1].sum(axis=0) + one.underflow
    assert np.array_equal(sum_of([[2.0, 0.0], [0.5, -4.0]], "float64").radii.dtype, np.float64)
    expected[-1] += single.underflow(one.terms)
    expected *= 1 + single.gain(one.terms + EVALUATION_ROUNDINGS)
    assert np.array_equal(one.radii, expected.astype(np.float32))
    assert sum_of([[1.0]], None).radii.dtype == np.float64
    assert sum_of([[1.0]], "float64_of_float32").radii.dtype == np.float64


@pytest.mark.parametrize(("judged", "biases", "matrices", "proved"), [
    ("float32", 2, 3, True), ("float32", 3, 1, False), ("float16_accumulate_float32", 2, 2, True),
    ("float16_accumulate_float32", 2, 3, False), (None, 2, 3, True), (None, 3, 1, False),
])  # fmt: skip
def test_more_roundings_than_are_counted_are_refused(
    judged: str | None, biases: int, matrices: int, proved: bool
) -> None:
    given = [np.ones((2, 1))] * matrices, [np.ones(2)] * biases, judged and arithmetic(judged)
    if proved:
        assert Sum(*given).weights.tolist() == [[1, 1]] * matrices + [[2, 2]]
    else:
        with pytest.raises(NotImplementedError, match=f"^affine: got {matrices} products and {biases} biases, "):
            Sum(*given)


def test_what_stands_above_a_narrower_format_is_rounded_to_infinity() -> None:
    """As an operand or as a weight; what is given as infinite is not rounded to that."""
    one = sum_of([[1.0, 2.0], [1.0, 2 * LARGEST], [INF, 1.0]], "float64_of_float32")
    inputs = inputs_of(one, [LARGEST, -LARGEST], [0.0, -2 * LARGEST], [INF, NAN])
    assert one.largest_operand == LARGEST
    expected = [[False, True, False], [True, True, True], [False, True, False]]
    assert one.rounded_to_infinity(inputs).tolist() == expected
    assert np.isinf(one.radius(inputs)[:2]).tolist() == [[False, True, True], [True, True, True]]
    assert one.rounded_to_infinity(inputs[None, :, :]).tolist() == [expected]
    small = inputs_of(one, [1.0, 1.0])
    assert one.overflows(small).tolist() == [[False, True, False]]
    plain = sum_of([[1.0, 2.0], [1.0, 1e300]], "float64")
    assert plain.largest_operand == INF
    assert not plain.rounded_to_infinity(inputs_of(plain, [1e300, 1e300])).any()
    large = inputs_of(plain, [1.0, 1e300])
    assert np.array_equal(plain.radius(large), np.abs(large) @ plain.radii)


def test_finite_terms_overflow_from_the_largest_sum_on() -> None:
    """Whatever their signs. What is infinite or NaN as given is not among them; two biases may overflow together."""
    one = sum_of([[1.0, -1.0]])
    limit = one.largest_sum
    inputs = inputs_of(one, [limit / 2, limit / 4], [limit, 0.0], [-limit, 2 * limit], [INF, limit], [limit, NAN],
                       [INF, 2 * limit])  # fmt: skip
    assert one.overflows(inputs).tolist() == [[False], [False], [True], [False], [False], [True]]
    weighed = sum_of([[1.0, INF], [1.0, NAN], [0.0, 2.0]])
    assert weighed.overflows(inputs_of(weighed, [1.0, limit])).tolist() == [[False, False, True]]
    assert weighed.overflows(inputs_of(weighed, [2 * LARGEST, 0.0])).tolist() == [[True, True, False]]
    assert weighed.overflows(inputs_of(weighed, [0.0, 2 * LARGEST])).tolist() == [[False, False, True]]
    heavy = sum_of([[2 * LARGEST, 1.0]])
    assert heavy.overflows(inputs_of(heavy, [INF, 1.0])).tolist() == [[False]]
    biased = sum_of([[0.0]] * 3, "float64", ([1e308, INF, NAN], [1.5e308, 1.0, 1.0]))
    assert biased.overflows(inputs_of(biased, [0.0])).tolist() == [[True, False, False]]


def test_an_infinity_meets_what_may_be_flushed() -> None:
    """On either side of a product, and only where the other number is neither 0 nor normal."""
    one = sum_of([[INF, 1.0], [TINY / 2, 1.0], [1.0, TINY / 2], [0.0, TINY]])
    rows = [TINY / 2, 1.0], [-TINY / 2, 0.0], [0.0, 1.0], [TINY, 1.0], [INF, 0.0], [1.0, -INF], [0.0, 0.0]
    assert one.infinity_meets_subnormal(inputs_of(one, *rows)).tolist() == [
        [True, False, False, False], [True, False, False, False], [False] * 4, [False] * 4,
        [False, True, False, False], [False, False, True, False], [False] * 4,
    ]  # fmt: skip


def test_a_radius_is_settled_where_a_number_is_not_finite() -> None:
    """0 where an infinity or NaN is given, infinite where finite terms may overflow or nothing is known."""
    one = sum_of([[1.0, 1.0]])
    inputs = inputs_of(one, [1.0, 2.0], [INF, 1.0], [NAN, 1.0], [LARGEST, LARGEST], [INF, 2 * LARGEST], [1.0, 1.0])
    radius = np.array([[0.5], [NAN], [NAN], [0.5], [0.5], [NAN]])
    assert one.settled(inputs, radius).tolist() == [[0.5], [0], [0], [INF], [INF], [INF]]
    tiny = sum_of([[INF]])
    assert tiny.settled(inputs_of(tiny, [TINY / 2], [1.0]), np.array([[0.5], [0.5]])).tolist() == [[INF], [0]]


def test_a_product_of_rows_has_the_shape_of_its_operands() -> None:
    assert product(np.ones((2, 0, 3)), np.ones((3, 4))).shape == (2, 0, 4)
    assert product(np.ones(3), np.ones((3, 4))).tolist() == [3] * 4
