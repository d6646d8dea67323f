"""The bounds, term by term: each is counted in units of u, or of the smallest normal number, on numbers that show it.

That the bounds hold is the matter of test_ball.py; that each is no wider than its derivation, of this file.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from reference import DTYPES, Case, CellParameters, RNNSpec, elman
from reference.bounds.arithmetic import ARITHMETICS, MATRIX_UNIT_UNITS, STORED_ROUNDINGS, _declare, arithmetic
from reference.bounds.dense import dense_bound
from reference.bounds.interval import StepModel, largest_slope, product, slope_deviation
from reference.bounds.step import BLOCK_ELEMENTS, Enclosure, Expected, step_bound, time_blocks
from reference.bounds.trajectory import _carry, _Steps, trajectory_bound
from reference.layout import reverse_within_lengths

from .draws import draw_case

U = {name: declared.unit_roundoff for name, declared in ARITHMETICS.items()}
TINY = {name: declared.smallest_normal for name, declared in ARITHMETICS.items()}
DOUBLE = arithmetic("float64")
ACCUMULATED = 2.0**-22  # u of the additions inside a matrix unit: 4 units of float32
WIDE = "float16_accumulate_float32"


# Arithmetics.


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_arithmetic_has_the_parameters_of_its_format(dtype: str) -> None:
    declared, format_ = _declare(dtype, dtype), ml_dtypes.finfo(dtype)
    assert declared == arithmetic(dtype)
    assert declared.name == declared.storage == dtype
    assert declared.unit_roundoff == declared.accumulator_roundoff == float(format_.eps) / 2
    assert declared.smallest_normal == declared.accumulator_smallest_normal == float(format_.smallest_normal)
    assert declared.largest == float(format_.max)
    assert declared.operand_roundoff == 0
    assert not declared.wide


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_wide_accumulator_is_a_matrix_units(dtype: str) -> None:
    declared, own = _declare("wide", dtype, accumulator="float32"), arithmetic(dtype)
    assert declared.accumulator_roundoff == MATRIX_UNIT_UNITS * U["float32"] == ACCUMULATED
    assert declared.accumulator_smallest_normal == TINY["float32"]
    assert (declared.unit_roundoff, declared.smallest_normal, declared.largest) == (
        own.unit_roundoff, own.smallest_normal, own.largest)  # fmt: skip
    assert (declared.name, declared.storage, declared.operand_roundoff) == ("wide", dtype, 0)
    assert declared.wide
    assert arithmetic(f"{dtype}_accumulate_float32") == _declare(
        f"{dtype}_accumulate_float32", dtype, accumulator="float32"
    )


def test_tf32_rounds_its_operands_to_11_bits() -> None:
    declared = _declare("tf32", "float32", accumulator="float32", operand_bits=11)
    assert declared == arithmetic("tf32")
    assert declared.operand_roundoff == 2.0**-11
    assert declared.accumulator_roundoff == ACCUMULATED
    assert not declared.wide, "it adds up in no more digits than float32 stores"


def test_an_undeclared_arithmetic_is_named() -> None:
    with pytest.raises(ValueError, match=r"^arithmetic: got 'float8', expected one of float16, bfloat16, float32, "):
        arithmetic("float8")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("terms", [1, 3, 7])
def test_gain_counts_a_rounding_for_each_term_and_one_more(dtype: str, terms: int) -> None:
    assert round(math.log1p(arithmetic(dtype).gain(terms)) / math.log1p(U[dtype])) == terms + 1


def test_gain_of_a_wide_accumulator_adds_what_is_stored() -> None:
    gain = arithmetic(WIDE).gain(3)
    assert round(gain / U["float16"]) == STORED_ROUNDINGS
    assert round(((1 + gain) / (1 + U["float16"]) ** STORED_ROUNDINGS - 1) / ACCUMULATED) == 3 + 1


def test_gain_of_tf32_adds_two_rounded_operands() -> None:
    gain = arithmetic("tf32").gain(3)
    assert round(((1 + gain) / (1 + 2.0**-11) ** 2 - 1) / ACCUMULATED) == 3 + 1


def test_gain_stays_finite() -> None:
    """700 is where expm1 is near the largest number of float64; so wide a bound is vacuous anyway."""
    assert round(math.log1p(arithmetic("bfloat16").gain(2**40))) == 700


@pytest.mark.parametrize("dtype", DTYPES)
def test_spread_is_half_the_additions_and_the_product(dtype: str) -> None:
    """Three terms: one rounding of each product, three of additions and a conversion, half of them on either side."""
    alpha, beta = arithmetic(dtype).spread(3)
    assert round(2 * alpha / U[dtype]) == 2 + 3
    assert beta == 3 / 2 * U[dtype]


@pytest.mark.parametrize(("name", "exact"), [(WIDE, 0.0), ("tf32", (1 + 2.0**-11) ** 2 - 1)])
def test_spread_of_a_matrix_unit(name: str, exact: float) -> None:
    """Its additions in its own accumulator, each product's operands, and, where it is wide, what is stored."""
    judged = arithmetic(name)
    stored = STORED_ROUNDINGS * judged.unit_roundoff if judged.wide else 0.0
    alpha, beta = judged.spread(3)
    assert beta == (3 * ACCUMULATED + stored) / 2
    assert round(2 * (alpha - exact - stored * (0.5 + judged.gain(3))) / ACCUMULATED) == 2 + 3


def test_spread_counts_the_growth_of_its_own_error() -> None:
    """The partial sums are off themselves, by `gain`: with bfloat16's few digits that is most of it."""
    judged = arithmetic("bfloat16")
    alpha, _ = judged.spread(100)
    assert round((alpha / U["bfloat16"] - 1) / (0.5 + judged.gain(100))) == 100


def test_spread_is_never_wider_than_gain() -> None:
    judged = arithmetic("bfloat16")
    assert judged.spread(300) == (judged.gain(300), 0.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_underflow_is_two_for_each_term(dtype: str) -> None:
    lost = arithmetic(dtype).underflow(3) / TINY[dtype]
    assert round(math.log1p(lost / 6 - 1) / math.log1p(U[dtype])) == 3 + 1


def test_underflow_of_a_wide_accumulator_is_that_of_its_storage() -> None:
    judged = arithmetic(WIDE)
    assert judged.underflow(3) == (1 + judged.gain(3)) * (STORED_ROUNDINGS + 2) * TINY["float16"]
    judged = arithmetic("bfloat16_accumulate_float32")  # of one exponent range: both show
    assert judged.underflow(3) == (1 + judged.gain(3)) * (STORED_ROUNDINGS + 2 + 6) * TINY["bfloat16"]


@pytest.mark.parametrize(("dtype", "units"), [("float64", 16), ("float32", 16), ("float16", 2), ("bfloat16", 2)])
def test_an_activation_is_off_by_its_units(dtype: str, units: int) -> None:
    assert arithmetic(dtype).activation_error("tanh") == units * U[dtype]
    assert arithmetic(dtype).activation_error("relu") == 0


# A dense head. Two features: three terms, so a gain of four units.


def head(w: list, x: list, x_bound: list, b: float = 0.0, dtype: str = "float32") -> np.ndarray:
    """The bound of a head in units of the smallest normal number."""
    weight, x_, bound = (np.array(a, "float64") for a in (w, x, x_bound))
    enclosure = dense_bound(weight, np.full(len(w), b), x_, bound, arithmetic(dtype))
    return enclosure.bound / TINY[dtype]


def test_a_head_of_nothing_but_underflow() -> None:
    """With only zeros: one for each of three terms that the input's flushing may cost, two for each of the sum."""
    zero = [[0.0, 0.0]]
    for x, x_bound, expected in (
        ([0.0, 0.0], [0.0, 0.0], 3 + 6),
        ([1.0, -2.0], [0.0, 0.0], 3 + 3 + 6),
        ([1.0, -2.0], [0.5, 0.5], 4 + 3 + 6),
    ):
        assert np.round(head(zero, x, x_bound)).tolist() == [expected]
    assert round(float(np.log1p(head(zero, [0.0] * 2, [0.0] * 2)[0] / 9 - 1) / np.log1p(U["float32"]))) == 4


def test_a_head_flushes_each_output_and_each_step_for_itself() -> None:
    bound = head([[4.0, -5.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]])
    assert np.round(bound).tolist() == [[18, 9], [18, 9]]
    bound = head([[0.0, 0.0]], [[1.0, 2.0], [10.0, -20.0]], [[0.0, 0.0], [0.0, 0.0]])
    assert np.round(bound).tolist() == [[12], [39]]


def test_a_head_rounds_in_proportion_to_its_terms() -> None:
    """4 units of (1 * 2 + 3 * 4 + 5) from the judged side; the reference's own are 2**-29 of them."""
    bound = head([[1.0, 3.0]], [2.0, -4.0], [0.0, 0.0], b=-5.0) * TINY["float32"]
    assert round(bound[0] / U["float32"]) == 4 * 19


def test_a_head_carries_its_inputs_bound_and_the_rounding_of_its_own_evaluation() -> None:
    """1, and 4 units from each side, and 3 + 1 and the 64 roundings of evaluating the bound."""
    bound = head([[1.0, 0.0]], [0.0, 0.0], [1.0, 0.0], dtype="float64") * TINY["float64"]
    assert round((bound[0] - 1) / U["float64"]) == 4 + 4 + 4 + 64


# One step. Three features and states, so five terms with both biases: a gain of six units, a spread of 3.5 and 2.5.


def model(judged: str | None, nonlinearity: str = "tanh", bias: bool = True, weight: float = 1.0) -> StepModel:
    biases = ([32.0, -64.0], [-128.0, 256.0]) if bias else ()
    arrays = ([[2.0], [-4.0]], [[1.0, -8.0], [0.5, 16.0]], *biases)
    cell = CellParameters(*(np.array(array) * weight for array in arrays))
    return StepModel(cell, nonlinearity, judged and arithmetic(judged))


def test_a_model_takes_the_inputs_the_states_and_one() -> None:
    one = model("float64")
    assert one.weights.tolist() == [[2, -4], [1, 0.5], [-8, 16], [-96, 192]]
    assert one.magnitudes.tolist() == [[2, 4], [1, 0.5], [8, 16], [160, 320]]
    assert [b.tolist() for b in one.biases] == [[32, -64], [-128, 256]]
    assert (one.terms, one.input_size) == (5, 1)
    assert one.inputs(np.array([[3.0], [4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]])).tolist() == [
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
    assert (one.activation / u, one.judged_activation / u) == ((32, 16) if judged else (16, 0))
    assert round((one.evaluated - 1) / u) == 6 + 64
    assert one.smallest_normal == TINY["float64"]
    assert model(judged, "relu").activation == 0


@pytest.mark.parametrize("judged", ["float32", "float16"])
def test_a_model_of_a_narrow_dtype_adds_the_references_own(judged: str) -> None:
    u, own, one = U[judged], U["float64"], model(judged)
    assert one.beta == 2.5 * u + 2.5 * own
    assert round(2 * one.alpha / u) == 7
    assert one.alpha > arithmetic(judged).spread(5)[0]
    assert round(one.underflow / TINY[judged] / (1 + arithmetic(judged).gain(5))) == 10
    assert one.growth == 1 + arithmetic(judged).gain(5)
    assert one.largest_sum == arithmetic(judged).largest / one.growth
    assert one.judged_activation == arithmetic(judged).activation_error("tanh")
    assert one.activation == 16 * own + one.judged_activation
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
    cell = CellParameters(np.full((1, 300), 3e38), np.full((1, 1), 3e38))
    radii = StepModel(cell, "relu", arithmetic("bfloat16")).radii
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
    one, u = model("float32"), U["float32"]
    assert one.activation_bound(np.zeros(1)) == TINY["float32"]
    assert np.array_equal(one.activation_bound(np.array([-0.5])), one.activation_bound(np.array([0.5])))
    assert round(float(one.activation_bound(np.array([1.0]))[0] / u)) == 16
    wide = float(model("float64").activation_bound(np.array([2.0**60]))[0] / 2.0**60 / U["float64"])
    assert wide == 32 * model("float64").evaluated


def test_a_scale_is_one_or_the_magnitudes() -> None:
    radius = np.array([3.0, 5.0])
    assert model("float32").scale(radius) == 1
    one = model("float32", "relu")
    assert np.array_equal(one.scale(radius), radius / one.alpha)


# Slopes on an interval.


def test_relu_is_steepest_where_the_interval_reaches_above_zero() -> None:
    a, radius = np.array([-1.0, -1.0, -1.0, 1.0]), np.array([0.5, 1.0, 2.0, 2.0])
    assert largest_slope(a, radius, "relu").tolist() == [0, 0, 1, 1]
    a, radius = np.array([1.0, 1.0, -1.0, -1.0, 0.0]), np.array([0.5, 1.0, 1.0, 0.5, 0.0])
    assert slope_deviation(a, radius, "relu").tolist() == [0, 1, 1, 0, 1]


def test_a_slope_is_the_derivative_in_the_arguments_dtype() -> None:
    """Of relu at 0, the left one."""
    a = np.array([-2.0, 0.0, 2.0], "float32")
    assert elman.slope(a, "relu").tolist() == [0, 0, 1]
    assert elman.slope(a, "tanh").tolist() == (1 - np.tanh(a) ** 2).tolist()
    assert elman.slope(a, "relu").dtype == elman.slope(a, "tanh").dtype == np.float32


def test_tanh_is_steepest_nearest_to_zero() -> None:
    a, radius = np.array([0.0, 0.5, -0.5, 2.0, -2.0]), np.array([0.0, 1.0, 1.0, 0.5, 0.5])
    own = 64 * U["float64"]
    steep = 1 + own - np.tanh(1.5) ** 2
    assert largest_slope(a, radius, "tanh").tolist() == [1 + own] * 3 + [steep] * 2
    out = np.empty(5)
    assert largest_slope(a, radius, "tanh", out=out) is out


def test_the_slope_of_tanh_deviates_to_either_side() -> None:
    """At 0 it only falls, far out it mostly rises; the roundings of evaluating it are added."""
    own = 64 * U["float64"]
    at_zero, far = slope_deviation(np.array([0.0, -2.0]), np.array([1.0, 1.0]), "tanh")
    assert at_zero == 1 - (1 - np.tanh(1.0) ** 2) + own
    assert far == (1 + own - np.tanh(1.0) ** 2) - (1 - np.tanh(2.0) ** 2) + own
    (near,) = slope_deviation(np.array([0.25]), np.array([1.0]), "tanh")
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
    expected = step_bound(cell, x, h0, None, "forward", nonlinearity, states, arithmetic(judged)).output
    one = StepModel(cell, nonlinearity, arithmetic(judged))
    inputs = np.concatenate([x, [h0, states[0]], np.ones((2, 1, 1))], axis=-1).astype(np.float64)
    a = np.einsum("tbi,ij->tbj", inputs, one.weights)
    radius = np.abs(a) * one.beta + one.radius(inputs).astype(np.float64)
    bound = largest_slope(a, radius, nonlinearity) * radius * (1 + one.judged_activation)
    phi = np.tanh(a) if nonlinearity == "tanh" else np.maximum(a, 0)
    assert np.array_equal(expected.value, phi)
    again = bound + one.activation_bound(phi)
    assert np.array_equal(np.round(expected.bound / again * 2.0**40), np.full(again.shape, 2.0**40))
    scale = np.ones(again.shape) if nonlinearity == "tanh" else one.radius(inputs) / one.alpha
    assert np.array_equal(np.round(expected.scale / scale * 2.0**20), np.full(again.shape, 2.0**20))


# The trajectory bound.


def same(actual: np.ndarray, expected: np.ndarray) -> bool:
    """Equal but for some roundings of float64, which the order of a sum decides: 16 units, a 4th of what is allowed."""
    return np.array_equal(np.round(actual / expected * 2.0**48), np.full(expected.shape, 2.0**48))


def stack_of(direction: str = "forward", nonlinearity: str = "tanh", scale: float = 1.0, **changes: Any) -> Case:
    spec = RNNSpec(2, 3, 2, direction, nonlinearity)
    sizes = {"batch": 2, "time": 5, "h0": True, "layout": "time_first", "weight_scale": scale}
    return draw_case(spec, **sizes | changes)


def trajectory(case: Case, judged: str | None = "float32") -> list[Expected]:
    lengths = None if case.lengths is None else np.asarray(case.lengths)
    with np.errstate(all="ignore"):  # as the judge calls it
        return trajectory_bound(case.spec, case.parameters, case.x, case.h0, lengths, judged and arithmetic(judged))


def steps_of(case: Case, judged: str | None, x_error: float) -> _Steps:
    """The steps of the first cell, as if each of its inputs were known to within x_error."""
    cell = case.parameters[0].astype(np.float64)
    x, h0 = case.x.astype(np.float64), case.h0[0].astype(np.float64)
    output = case.prefix(1).answer().output.astype(np.float64)
    model = StepModel(cell, case.spec.nonlinearity, judged and arithmetic(judged))
    return _Steps.of(model, x, np.full_like(x, x_error), output, h0)


def own_error(steps: _Steps, t: int, h_error: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """delta_t as docs/error-bounds.md has it: the roundings of a step, and the remainder of its linearisation."""
    one, a, phi = steps.model, steps.a[t], steps.model.nonlinearity
    features = steps.x_error.shape[-1]
    w_ih, w_hh = one.magnitudes[:features], one.magnitudes[features:-1]
    below, before = steps.x_error[t] @ w_ih * one.evaluated, h_error @ w_hh * one.evaluated
    errors = np.concatenate([steps.x_error[t], h_error, np.zeros((2, 1))], axis=-1)
    rounded = one.radius(np.abs(steps.inputs[t]) + errors) + one.beta * (np.abs(a) + below + before)
    radius = below + before + rounded
    slope = 1 - np.tanh(a) ** 2 if phi == "tanh" else (a > 0) * 1.0
    deviation = slope_deviation(a, radius, phi)
    activated = np.tanh(a) if phi == "tanh" else np.maximum(a, 0)
    activation = (slope + deviation) * radius * one.activation + one.activation_bound(activated)
    products = arithmetic("float64").gain(3) * slope * (spread @ w_hh) + TINY["float64"]
    return slope * (below + rounded) + deviation * radius + activation + products


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("judged", [None, "float64", "float32", "bfloat16"])
def test_a_steps_own_error_is_what_the_document_says(judged: str | None, nonlinearity: str) -> None:
    steps = steps_of(stack_of(nonlinearity=nonlinearity), judged, 2.0**-6)
    h_error, spread = np.array([[1.0, 2.0, 3.0], [4.0, 0.0, 6.0]]) / 64, np.array([[8.0, 1.0, 2.0], [3.0, 9.0, 5.0]])
    for t in range(5):
        own, overflows = steps.own_error(t, h_error, spread)
        assert same(own, own_error(steps, t, h_error, spread))
        assert not overflows.any()


def test_the_products_own_roundings_show_where_nothing_else_does() -> None:
    """Saturated units and no error but a huge spread: what is left is the rounding of the Jacobian products."""
    steps = steps_of(stack_of(nonlinearity="relu"), None, 0.0)
    zero, spread = np.zeros((2, 3)), np.full((2, 3), 2.0**30)
    for t in range(5):
        assert same(steps.own_error(t, zero, spread)[0], own_error(steps, t, zero, spread))


def test_a_step_that_may_overflow_says_so() -> None:
    steps = steps_of(stack_of(nonlinearity="relu"), "float16", 2.0**40)
    assert steps.own_error(0, np.zeros((2, 3)), np.zeros((2, 3)))[1].all()


def carried(steps: _Steps, window: int) -> np.ndarray:
    """E_t, one product of Jacobians after the other; after `window` steps the last E is a source of its own."""
    time, batch, hidden = steps.a.shape
    w_hh, phi = steps.model.weights[steps.x_error.shape[-1] : -1].T, steps.model.nonlinearity
    slopes = 1 - np.tanh(steps.a) ** 2 if phi == "tanh" else (steps.a > 0) * 1.0
    summed = 1 + arithmetic("float64").gain(window * hidden + steps.model.terms + 64)
    error = spread = np.zeros((batch, hidden))
    bound = np.empty(steps.a.shape)
    sources, products = [], []
    for t in range(time):
        if t % window == 0:
            sources, products = [error], [np.stack([np.eye(hidden)] * batch)]
            spread = error
        products = [slopes[t][:, :, None] * (w_hh @ product) for product in products]
        own, _ = steps.own_error(t, error, spread)
        through = sum(np.einsum("bij,bj->bi", np.abs(p), s) for p, s in zip(products, sources, strict=True))
        spread = (through + own) * summed
        error = bound[t] = np.minimum(spread, steps.largest_error)
        sources, products = [*sources, own], [*products, np.stack([np.eye(hidden)] * batch)]
    return bound


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("window", [1, 2, 5, 64])
def test_errors_are_carried_by_products_of_jacobians(
    nonlinearity: str, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reference.bounds.trajectory.LONGEST_WINDOW", window)
    for scale in (1.0, 3.0):
        steps = steps_of(stack_of(nonlinearity=nonlinearity, scale=scale), "float32", 2.0**-20)
        assert same(_carry(steps), carried(steps, window))


@pytest.mark.parametrize(("elements", "window"), [(0, 1), (18, 1), (36, 2), (53, 2), (54, 3)])
def test_a_window_is_as_long_as_its_products_fit(elements: int, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One step's products are 2 sequences times 3 times 3 numbers."""
    steps = steps_of(stack_of(), "float32", 2.0**-20)
    monkeypatch.setattr("reference.bounds.trajectory.PRODUCT_ELEMENTS", elements)
    assert same(_carry(steps), carried(steps, window))


def test_tanh_limits_the_error_and_relu_does_not() -> None:
    """Neither tanh leaves [-1, 1] by more than its activation's own error."""
    limit = 2 + 2 * (16 * U["float64"] + 2 * U["bfloat16"])
    assert max(cell.output.bound.max() for cell in trajectory(stack_of(scale=5.0, time=12), "bfloat16")) == limit
    grown = trajectory(stack_of(nonlinearity="relu", scale=5.0, time=12), "bfloat16")[-1].output.bound
    assert grown.max() > limit
    assert np.isfinite(grown).all()


def test_the_layer_below_is_known_only_within_its_bound() -> None:
    """The upper layer's bound is that of the same layer alone, reading the lower one's answer, with its bound."""
    case = stack_of(dtype="float64")
    lower, upper = trajectory(case, "float64")
    spec = replace(case.spec, input_size=3, num_layers=1)
    alone = Case(spec, case.parameters[1:], lower.output.value, case.h0[1:], layout="time_first")
    (exact,) = trajectory(alone, "float64")
    assert np.array_equal(upper.output.value, exact.output.value)
    assert np.all(upper.output.bound > exact.output.bound)
    steps = steps_of(alone, "float64", 0.0)
    assert same(upper.output.bound, carried(_Steps(StepModel(alone.parameters[0], "tanh", DOUBLE), steps.inputs,
                                                   steps.a, lower.output.bound), 64))  # fmt: skip


@pytest.mark.parametrize("lengths", [None, (5, 3), (0, 4)])
def test_a_reverse_cells_bound_is_the_forward_ones_on_the_reversed_sequence(lengths: Any) -> None:
    case = stack_of("reverse", lengths=lengths)
    given = None if lengths is None else np.array(lengths)
    flipped = replace(case, spec=replace(case.spec, direction="forward"), x=reverse_within_lengths(case.x, given))
    for back, there in zip(trajectory(case), trajectory(flipped), strict=True):
        for a, b in zip(back.output, there.output, strict=True):
            assert np.array_equal(a, reverse_within_lengths(b, given))
        for a, b in zip(back.h_n, there.h_n, strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_a_trajectorys_scale_is_that_of_its_steps(nonlinearity: str) -> None:
    case = stack_of(nonlinearity=nonlinearity)
    steps = steps_of(case, "float32", 0.0)
    expected = np.ones((5, 2, 3)) if nonlinearity == "tanh" else np.abs(steps.inputs) @ steps.model.magnitudes
    scale = trajectory(case)[0].output.scale
    assert np.array_equal(np.round(scale / expected * 2.0**16), np.full((5, 2, 3), 2.0**16))


def test_an_infinity_makes_every_later_bound_infinite() -> None:
    case = stack_of(nonlinearity="relu", dtype="float16")
    case.x[2] = 60_000
    bound = trajectory(case, "float16")[0].output.bound
    assert np.isfinite(bound[:2]).all()
    assert np.isinf(bound[2]).any()
    assert np.isinf(bound[3:]).all()


def test_a_bound_that_grows_beyond_all_numbers_is_infinite_and_never_nan() -> None:
    """Jacobians of 1e200, on a trajectory that stays at 0: their products are infinite, and 0 times infinity is NaN."""
    weights = np.array([[1e200, 0.0], [0.0, 1e200]])
    spec = RNNSpec(1, 2, bias=False)
    case = Case(spec, [CellParameters(np.zeros((2, 1)), weights)], np.zeros((6, 1, 1)), layout="time_first")
    (cell,) = trajectory(case, "float64")
    assert np.isfinite(cell.output.bound[0]).all()
    assert not np.isnan(cell.output.bound).any()
    assert np.isinf(cell.output.bound[-1]).any()
