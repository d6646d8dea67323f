"""The declared arithmetics: their parameters, and what a sum costs in each."""

from __future__ import annotations

import math
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from meta_tests.common.implementations import cut_weights
from reference import DTYPES, Case, CellParameters, RNNSpec, judge
from reference.bounds.arithmetic import ARITHMETICS, MATRIX_UNIT_UNITS, STORED_ROUNDINGS, _declare, arithmetic

U = {name: declared.unit_roundoff for name, declared in ARITHMETICS.items()}
TINY = {name: declared.smallest_normal for name, declared in ARITHMETICS.items()}
ACCUMULATED = 2.0**-22  # u of the additions inside a matrix unit: 4 units of float32
WIDE = "float16_accumulate_float32"


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


@pytest.mark.parametrize(
    ("name", "storage", "computed", "accumulated", "operand"),
    [
        ("float64_of_float32", "float64", "float32", 2.0**-24, 2.0**-24),
        ("float64_of_float32_products", "float64", "float32", 2.0**-24, 2.0**-24),
        ("float32_of_bfloat16", "float32", "bfloat16", ACCUMULATED, 1.5 * 2.0**-8),
    ],
)
def test_an_arithmetic_that_is_computed_in_a_narrower_format(
    name: str, storage: str, computed: str, accumulated: float, operand: float
) -> None:
    declared, format_ = arithmetic(name), arithmetic(computed)
    assert (declared.storage, declared.computed, declared.narrow, declared.wide) == (storage, computed, True, False)
    assert declared.unit_roundoff == U[storage]
    assert (declared.accumulator_roundoff, declared.operand_roundoff) == (accumulated, operand)
    assert (declared.smallest_normal, declared.largest) == (format_.smallest_normal, format_.largest)
    assert declared.activation_error("tanh") == format_.activation_error("tanh")
    assert declared.activation_error("relu") == (U["bfloat16"] if computed == "bfloat16" else 0)
    assert not format_.narrow


def test_weights_that_are_cut_are_off_by_no_more_than_is_declared() -> None:
    """Over every significand of 12 bits: a weight by up to 2 u, and the operand that it meets by u."""
    numbers = np.arange(2**11, 2**12) / 2.0**11
    cut = np.abs(cut_weights(numbers) / numbers - 1).max()
    assert cut > 1.7 * U["bfloat16"], "a rounding to nearest is off by u"
    assert (1 + 2 * U["bfloat16"]) * (1 + U["bfloat16"]) < (1 + arithmetic("float32_of_bfloat16").operand_roundoff) ** 2


@pytest.mark.parametrize("where", ["x", "w_ih", "b_ih"])
@pytest.mark.parametrize("name", ["float64_of_float32", "float64_of_float32_products"])
def test_an_operand_beyond_the_narrower_range_is_vacuous_and_not_wrong(name: str, where: str) -> None:
    """float32 makes infinity of 1e39, or 0 times infinity; beside an infinity as it is given it may make NaN of it."""
    arrays = {"x": np.full((1, 2, 2), 1e-5), "w_ih": np.full((1, 2), 1e-5), "b_ih": np.zeros(1)}
    arrays[where].flat[0] = 1e39
    cell = CellParameters(arrays["w_ih"], np.zeros((1, 1)), arrays["b_ih"], np.zeros(1))
    case = Case(RNNSpec(2, 1, nonlinearity="relu"), [cell], arrays["x"])
    answers = [case.answer(), replace(case, x=np.where(case.x > 1e38, np.inf, case.x)).answer()]
    for output, h_n in answers:
        for bound in ("step", "trajectory"):
            assert judge(case, output, h_n, declared=name, bound=bound).outcome == "vacuous"
    assert judge(case, *case.answer(), bound="step").outcome == "agrees"
    arrays["x"][0, 0, 1] = -np.inf
    infinite = replace(case, x=arrays["x"])
    nan = np.full((1, 2, 1), np.nan)
    assert judge(infinite, nan, nan[:, 1:], declared=name).outcome == "vacuous"


@pytest.mark.parametrize(("number", "outcome"), [(1e-50, "agrees"), (1e-30, "disagrees")])
def test_an_operand_below_the_narrower_range_may_be_flushed(number: float, outcome: str) -> None:
    cell = CellParameters(np.full((1, 1), 1e10), np.zeros((1, 1)))
    case = Case(RNNSpec(1, 1, bias=False), [cell], np.full((1, 1, 1), number))
    zero = np.zeros((1, 1, 1))
    assert judge(case, zero, zero, declared="float64_of_float32").outcome == outcome
    assert judge(case, zero, zero).outcome == "disagrees"
