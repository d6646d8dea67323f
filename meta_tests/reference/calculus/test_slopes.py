"""The slopes of the sigmoid, and of every activation whose argument is clipped; those of tanh and relu are in
bounds/test_step_bound.py."""

from __future__ import annotations

import numpy as np
import pytest

from reference.calculus.slopes import (
    RELU,
    SIGMOID,
    TANH,
    Activation,
    largest_logistic_slope,
    logistic,
    logistic_slope,
    logistic_slope_deviation,
    positive,
    within,
)
from reference.calculus.sums import EVALUATION_ERROR

A = np.array([0.0, 0.5, -0.5, 2.0, -2.0])
EDGES = np.array([-8.0, -1.0, -0.5, 0.0, 0.25, 1.0, 8.0])


def sigma(a: float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(a)))


def test_the_sigmoid_is_computed_where_it_is_told_to() -> None:
    out, given = np.empty(5), A.copy()
    assert np.array_equal(logistic(given), sigma(A))
    assert np.array_equal(given, A)
    assert logistic(given, out=out) is out
    assert np.array_equal(out, sigma(A))
    assert np.array_equal(given, A)
    assert logistic(given, out=given) is given
    assert np.array_equal(given, sigma(A))


def test_relu_is_computed_where_it_is_told_to() -> None:
    out = np.empty(5)
    assert positive(A, out=out) is out
    assert positive(A).tolist() == out.tolist() == [0, 0.5, 0, 2, 0]


def test_the_sigmoid_is_steepest_nearest_to_zero() -> None:
    radius, out = np.array([0.0, 1.0, 1.0, 0.5, 0.5]), np.empty(5)
    steepest = largest_logistic_slope(A, radius, out=out)
    assert steepest is out
    nearest = np.array([0, 0, 0, 1.5, 1.5])
    assert np.array_equal(steepest, sigma(nearest) * sigma(-nearest) * (1 + EVALUATION_ERROR))
    assert np.array_equal(logistic_slope(A), sigma(A) * sigma(-A))


def test_the_slope_of_the_sigmoid_deviates_to_either_side() -> None:
    """At 0 it only falls, far out it mostly rises; the roundings of evaluating it are added."""

    def slope(a: float) -> float:
        return float(sigma(a) * sigma(-a))

    at_zero, far = logistic_slope_deviation(np.array([0.0, -2.0]), np.array([1.0, 1.0]))
    assert at_zero == slope(0) - slope(1) + EVALUATION_ERROR
    assert far == slope(1) * (1 + EVALUATION_ERROR) - slope(2) + EVALUATION_ERROR
    (near,) = logistic_slope_deviation(np.array([0.25]), np.array([1.0]))
    assert near == slope(0.25) - slope(1.25) + EVALUATION_ERROR


@pytest.mark.parametrize("activation", [TANH, RELU, SIGMOID])
def test_a_clipped_activation_is_that_of_the_nearest_argument(activation: Activation) -> None:
    one, given, out = within(activation, 1.0), EDGES.copy(), np.empty(7)
    expected = activation.phi(np.array([-1.0, -1.0, -0.5, 0.0, 0.25, 1.0, 1.0]))
    assert np.array_equal(one.phi(given), expected)
    assert np.array_equal(given, EDGES)
    assert one.phi(given, out=out) is out
    assert np.array_equal(out, expected)
    assert one.phi(given, out=given) is given
    assert (one.name, one.bounded, one.flushes, one.limit) == (
        activation.name, activation.bounded, activation.flushes, 1.0)  # fmt: skip


@pytest.mark.parametrize("activation", [TANH, RELU, SIGMOID])
def test_beyond_its_limit_a_clipped_activation_is_flat(activation: Activation) -> None:
    """A limit is beyond itself for what rounds: an interval is flat where all of it is beyond by more than that."""
    one, radius, out = within(activation, 1.0), np.full(7, 0.25), np.empty(7)
    inside = np.abs(EDGES) <= 1
    assert np.array_equal(one.slope(EDGES), np.where(inside, activation.slope(EDGES), 0))
    steepest = one.largest_slope(EDGES, radius, out=out)
    assert steepest is out
    assert np.array_equal(steepest, np.where(inside, activation.largest_slope(EDGES, radius), 0))
    a = np.array([1.25 + EVALUATION_ERROR, 1.25 + 2 * EVALUATION_ERROR, 1.5, -1.5])
    reached = one.largest_slope(a, np.full(4, 0.25))
    assert np.array_equal(reached, activation.largest_slope(a, np.full(4, 0.25)) * [1, 0, 0, 0])
    wide = within(activation, 4.0)
    a = np.array([4.25 + 3 * EVALUATION_ERROR, 4.25 + 8 * EVALUATION_ERROR])
    assert np.array_equal(
        wide.largest_slope(a, np.full(2, 0.25)), activation.largest_slope(a, np.full(2, 0.25)) * [1, 0]
    )


@pytest.mark.parametrize("activation", [TANH, RELU, SIGMOID])
def test_near_its_limit_a_slope_deviates_by_all_of_itself(activation: Activation) -> None:
    """It is 0 beyond. Well inside it deviates as without a limit."""
    one, a = within(activation, 4.0), np.array([0.25, -3.5, 3.5, -3.75, 3.75, 4.0, 8.0])
    radius = np.full(7, 0.25)
    inside, flat = np.array([True] * 3 + [False] * 4), np.array([False] * 6 + [True])
    expected = np.where(inside, activation.deviation(a, radius), activation.largest_slope(a, radius))
    assert np.array_equal(one.deviation(a, radius), np.where(flat, 0, expected))
    near = np.array([3.75 - 8 * EVALUATION_ERROR, 3.75 - 2 * EVALUATION_ERROR])
    given = near, np.full(2, 0.25)
    assert np.array_equal(one.deviation(*given), [activation.deviation(*given)[0], activation.largest_slope(*given)[1]])


def test_a_scale_is_the_range_or_that_of_the_sum() -> None:
    """Where the argument is clipped it is no more than the limit."""
    of_sum = np.array([0.125, 3.0])
    assert (TANH.scale(None), within(TANH, 0.5).scale(None), within(TANH, 2.0).scale(None)) == (1, 0.5, 1)
    assert RELU.scale(of_sum).tolist() == [0.125, 3]
    assert within(RELU, 0.5).scale(of_sum).tolist() == [0.125, 0.5]
