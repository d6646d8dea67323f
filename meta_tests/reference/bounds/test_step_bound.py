"""The bound of one step. Three features and states, so five terms with both biases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reference import CellParameters, RNNSpec
from reference.bounds.arithmetic import ARITHMETICS, arithmetic
from reference.bounds.step import BLOCK_ELEMENTS, Enclosure, step_bound, time_blocks
from reference.calculus.balls import Balls, activation_errors
from reference.calculus.slopes import (
    largest_relu_slope,
    largest_tanh_slope,
    relu_slope,
    relu_slope_deviation,
    tanh_slope,
    tanh_slope_deviation,
)
from reference.calculus.sums import Sum, product
from reference.cells import cell_of
from reference.recurrence import Track

U = {name: declared.unit_roundoff for name, declared in ARITHMETICS.items()}
TINY = {name: declared.smallest_normal for name, declared in ARITHMETICS.items()}


# Five terms: a gain of six units, a spread of 3.5 and 2.5.


def model(judged: str | None, bias: bool = True, weight: float = 1.0) -> Sum:
    biases = ([32.0, -64.0], [-128.0, 256.0]) if bias else ()
    arrays = [np.array(array) * weight for array in ([[2.0], [-4.0]], [[1.0, -8.0], [0.5, 16.0]], *biases)]
    return Sum(arrays[:2], arrays[2:], judged and arithmetic(judged))


def test_a_model_takes_the_inputs_the_states_and_one() -> None:
    one = model("float64")
    assert one.weights.tolist() == [[2, -4], [1, 0.5], [-8, 16], [-96, 192]]
    assert one.magnitudes.tolist() == [[2, 4], [1, 0.5], [8, 16], [160, 320]]
    assert [b.tolist() for b in one.biases] == [[32, -64], [-128, 256]]
    assert (one.terms, one.rows) == (5, [slice(0, 1), slice(1, 3)])
    assert one.inputs([np.array([[3.0], [4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]])]).tolist() == [
        [3, 5, 6, 1], [4, 7, 8, 1]]  # fmt: skip
    assert model("float64", bias=False).weights[-1].tolist() == [0, 0]
    assert model("float64", bias=False).magnitudes[-1].tolist() == [0, 0]


def test_rows_at_once_are_the_product_of_each() -> None:
    inputs, matrix = np.arange(24.0).reshape(2, 3, 4), np.arange(20.0).reshape(4, 5)
    assert np.array_equal(product(inputs, matrix), np.einsum("tbi,ij->tbj", inputs, matrix))


@pytest.mark.parametrize("judged", [None, "float64"])
def test_a_model_of_float64_counts_both_sides(judged: str | None) -> None:
    """The exact answer does not round, but stands for float64: only its activation is free of error."""
    u, one = U["float64"], model(judged)
    assert (round(2 * one.alpha / u), one.beta / u) == (14, 5)
    assert round(one.underflow / TINY["float64"]) == 20
    assert round((one.growth - 1) / u) == 6
    assert one.largest_sum == arithmetic("float64").largest / one.growth
    both, its, floor = activation_errors(judged and arithmetic(judged), "tanh")
    assert (both / u, its / u, floor) == ((32, 16, 0) if judged else (16, 0, 0))
    assert round((one.evaluated - 1) / u) == 6 + 64
    assert one.smallest_normal == TINY["float64"]
    assert activation_errors(judged and arithmetic(judged), "relu") == (0, 0, 0)


@pytest.mark.parametrize("judged", ["float32", "float16"])
def test_a_model_of_a_narrow_dtype_adds_the_references_own(judged: str) -> None:
    u, own, one = U[judged], U["float64"], model(judged)
    assert one.beta == 2.5 * u + 2.5 * own
    assert round(2 * one.alpha / u) == 7
    assert one.alpha > arithmetic(judged).spread(5)[0]
    assert round(one.underflow / TINY[judged] / (1 + arithmetic(judged).gain(5))) == 10
    assert one.growth == 1 + arithmetic(judged).gain(5)
    assert one.largest_sum == arithmetic(judged).largest / one.growth
    both, its, _ = activation_errors(arithmetic(judged), "tanh")
    assert its == arithmetic(judged).activation_error("tanh")
    assert both == 16 * own + its
    assert round((one.evaluated - 1) / own) == 6 + 64


def test_a_models_alpha_counts_the_rounding_of_the_preactivation_itself() -> None:
    one, judged = model("bfloat16"), arithmetic("bfloat16")
    both = judged.spread(5)[0] + arithmetic("float64").spread(5)[0]
    assert round((one.alpha - both) / (one.beta * arithmetic("float64").gain(5))) == 1


def test_the_radius_of_zero_weights_is_what_underflows() -> None:
    """One for each operand that may be flushed, and in the last row the sums' ten on each side."""
    radii = model("float64", bias=False, weight=0.0).radii / TINY["float64"]
    assert np.round(radii).tolist() == [[1, 1], [1, 1], [1, 1], [1 + 20, 1 + 20]]
    radii = model("bfloat16", bias=False, weight=0.0).radii / TINY["bfloat16"]  # and ten more of float32's own
    assert np.round(radii).tolist() == [[1, 1], [1, 1], [1, 1], [21, 21]]


def test_the_radius_flushes_inputs_in_proportion_to_their_weights() -> None:
    one, tiny = model("float16", bias=False), TINY["float16"]
    units = one.radii[-1] / tiny
    assert np.round(units / one.growth).tolist() == [1 + 11 + 10, round(1 + 20.5 + 10)]
    assert round(math.log1p(float(units[0]) / 22 - 1) / math.log1p(U["float16"])) == 6
    flushed = (one.radii[:-1] - one.alpha * one.magnitudes[:-1]) / tiny
    assert np.round(flushed).tolist() == [[1, 1]] * 3


def test_the_radius_is_alpha_times_the_magnitudes() -> None:
    for judged in ("float64", None):
        one = model(judged)
        assert np.round(2 * one.radii / one.magnitudes / U["float64"]).tolist() == [[14, 14]] * 4
    one = model("float32")
    assert one.radii.dtype == np.float32
    rounded = one.radii / (one.alpha * one.magnitudes) - 1  # 70 roundings in float32, and that to float32 itself
    assert np.round(rounded / U["float32"] / 10).tolist() == [[7, 7]] * 4
    assert model("float64").radii.dtype == model(None).radii.dtype == np.float64


def test_a_radius_too_large_for_float32_stays_in_float64() -> None:
    """300 terms of bfloat16 round to more than their own size; near its largest number that is beyond float32."""
    radii = Sum([np.full((1, 300), 3e38), np.full((1, 1), 3e38)], [], arithmetic("bfloat16")).radii
    assert radii.dtype == np.float64
    assert np.isfinite(radii).all()


def test_a_radius_adds_up_absolute_values() -> None:
    one, inputs = model("float64"), np.array([[[-1.0, 2.0, -3.0, 1.0]]])
    assert np.array_equal(one.radius(inputs), np.abs(inputs) @ one.radii)
    assert inputs[0, 0, 0] == -1, "the inputs are left alone"
    assert model("float32").radius(inputs).dtype == np.float32


def test_a_sum_may_overflow_from_the_largest_sum_on() -> None:
    one = model("float32")
    limit = one.alpha * one.largest_sum
    radius = np.array([0.0, limit, np.nextafter(limit, np.inf), np.inf, np.nan])
    assert one.may_overflow(radius).tolist() == [False, False, True, True, True]


def test_an_activation_is_off_in_proportion_and_by_underflow() -> None:

    def bound(judged: str, phi: float) -> float:
        return float(Balls(arithmetic(judged)).activation_bound(np.array([phi]), "tanh", model(judged))[0])

    assert bound("float32", 0.0) == TINY["float32"]
    assert bound("float32", -0.5) == bound("float32", 0.5)
    assert round(bound("float32", 1.0) / U["float32"]) == 16
    assert bound("float64", 2.0**60) / 2.0**60 / U["float64"] == 32 * model("float64").evaluated


def test_a_scale_is_one_or_the_magnitudes() -> None:
    one, balls = model("float32"), Balls(arithmetic("float32"))
    weights = balls.weights(CellParameters(np.ones((2, 1)), np.ones((2, 2))))
    a = balls.affine([(weights["w_ih"], np.ones((1, 1)))])
    assert balls.tanh(a).scale == 1
    assert np.array_equal(balls.relu(a).scale, balls.model(a).radius(np.ones((1, 2))) / balls.model(a).alpha)
    assert np.array_equal(one.scale(np.array([3.0, 5.0])), np.array([3.0, 5.0]) / one.alpha)


# Slopes on an interval.


def test_relu_is_steepest_where_the_interval_reaches_above_zero() -> None:
    a, radius = np.array([-1.0, -1.0, -1.0, 1.0]), np.array([0.5, 1.0, 2.0, 2.0])
    assert largest_relu_slope(a, radius).tolist() == [0, 0, 1, 1]
    a, radius = np.array([1.0, 1.0, -1.0, -1.0, 0.0]), np.array([0.5, 1.0, 1.0, 0.5, 0.0])
    assert relu_slope_deviation(a, radius).tolist() == [0, 1, 1, 0, 1]


def test_a_slope_is_the_derivative_in_the_arguments_dtype() -> None:
    """Of relu at 0, the left one."""
    a = np.array([-2.0, 0.0, 2.0], "float32")
    assert relu_slope(a).tolist() == [0, 0, 1]
    assert tanh_slope(a).tolist() == (1 - np.tanh(a) ** 2).tolist()
    assert relu_slope(a).dtype == tanh_slope(a).dtype == np.float32


def test_tanh_is_steepest_nearest_to_zero() -> None:
    a, radius = np.array([0.0, 0.5, -0.5, 2.0, -2.0]), np.array([0.0, 1.0, 1.0, 0.5, 0.5])
    own = 64 * U["float64"]
    steep = 1 + own - np.tanh(1.5) ** 2
    assert largest_tanh_slope(a, radius).tolist() == [1 + own] * 3 + [steep] * 2
    out = np.empty(5)
    assert largest_tanh_slope(a, radius, out=out) is out


def test_the_slope_of_tanh_deviates_to_either_side() -> None:
    """At 0 it only falls, far out it mostly rises; the roundings of evaluating it are added."""
    own = 64 * U["float64"]
    at_zero, far = tanh_slope_deviation(np.array([0.0, -2.0]), np.array([1.0, 1.0]))
    assert at_zero == 1 - (1 - np.tanh(1.0) ** 2) + own
    assert far == (1 + own - np.tanh(1.0) ** 2) - (1 - np.tanh(2.0) ** 2) + own
    (near,) = tanh_slope_deviation(np.array([0.25]), np.array([1.0]))
    assert near == (1 - np.tanh(0.25) ** 2) - (1 - np.tanh(1.25) ** 2) + own


# The step bound.


def test_what_is_known_exactly_has_a_bound_of_zero() -> None:
    value = np.array([[1.0, np.inf], [-2.0, 0.0]])
    one = Enclosure.exactly(value)
    assert one.value is value
    assert one.bound.tolist() == [[0, 0], [0, 0]]
    assert one.scale.tolist() == [[1, 1], [1, 1]]
    assert one.bound.dtype == one.scale.dtype == np.float64


def test_blocks_cover_the_time_once() -> None:
    assert time_blocks(5, BLOCK_ELEMENTS // 4, 2) == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert time_blocks(2, BLOCK_ELEMENTS, 2) == [slice(0, 1), slice(1, 2)]
    assert time_blocks(3, 0, 2) == [slice(0, BLOCK_ELEMENTS)]
    assert time_blocks(0, 1, 1) == []


@pytest.mark.parametrize("judged", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_a_step_bound_is_the_radius_through_the_steepest_slope_and_the_activation(
    nonlinearity: str, judged: str
) -> None:
    arrays = ([[0.5], [-0.25]], [[0.5, -0.5], [0.25, 0.5]], [0.125, 0.0], [0.25, -0.5])
    cell = CellParameters(*(np.array(array, judged) for array in arrays))
    x, states = np.array([[[0.5]], [[-1.0]]], judged), np.array([[[0.5, -0.25]], [[0.25, 0.5]]], judged)
    h0 = np.array([[-0.5, 0.75]], judged)
    kind, balls = cell_of(RNNSpec(1, 2, nonlinearity=nonlinearity)), Balls(arithmetic(judged))
    expected = step_bound(Track(kind, cell, x, (h0,), None, "forward"), states, arithmetic(judged)).output
    one = Sum([cell.w_ih, cell.w_hh], [cell.b_ih, cell.b_hh], arithmetic(judged))
    steepest = {"tanh": largest_tanh_slope, "relu": largest_relu_slope}[nonlinearity]
    inputs = np.concatenate([x, [h0, states[0]], np.ones((2, 1, 1))], axis=-1).astype(np.float64)
    a = np.einsum("tbi,ij->tbj", inputs, one.weights)
    radius = np.abs(a) * one.beta + one.radius(inputs).astype(np.float64)
    bound = steepest(a, radius) * radius * (1 + activation_errors(balls.judged, nonlinearity)[1])
    phi = np.tanh(a) if nonlinearity == "tanh" else np.maximum(a, 0)
    assert np.array_equal(expected.value, phi)
    again = bound + balls.activation_bound(phi, nonlinearity, one)
    assert np.array_equal(np.round(expected.bound / again * 2.0**40), np.full(again.shape, 2.0**40))
    scale = np.ones(again.shape) if nonlinearity == "tanh" else one.radius(inputs) / one.alpha
    assert np.array_equal(np.round(expected.scale / scale * 2.0**20), np.full(again.shape, 2.0**20))
