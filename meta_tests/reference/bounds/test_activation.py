"""Assumption A3: every installed framework's tanh, and NumPy's, is as accurate as the bounds take it to be."""

from __future__ import annotations

from fractions import Fraction

import flint
import numpy as np
import pytest
from flint import arb

import adapters
from meta_tests.common.frameworks import activation_of, arithmetic_of, framework_adapter, infinity_of
from meta_tests.common.scale import at_night
from meta_tests.tables.activation import SATURATED, accurate_tanh, arguments, measure, numpy_tanh
from reference import DTYPES
from reference.bounds.arithmetic import ACTIVATION_UNITS, EARLY_TANH, arithmetic

COUNT = at_night(1_000_000, 12_000_000)
needs_long_double = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than float64: float64 cannot be measured here"
)
WIDE = ["float32", pytest.param("float64", marks=needs_long_double)]
EVERY = ["float16", "bfloat16", *WIDE]
# What is lost below the smallest normal number, in such numbers, beside the one that A4 allows: F-388.
LOST = {("tract", "float32"): EARLY_TANH}


@pytest.mark.parametrize("dtype", EVERY)
def test_numpys_tanh_is_within_the_assumption(dtype, ledger):
    row = measure("NumPy", numpy_tanh, dtype, COUNT)
    ledger.figure("NumPy", f"error of tanh in u (allowed {row.allowed:g}), {dtype}", row.worst)
    assert row.within, row


@pytest.mark.parametrize("dtype", EVERY)
@pytest.mark.parametrize("name", adapters.KNOWN)
def test_every_frameworks_tanh_is_within_the_assumption(name, dtype, ledger):
    """Where a finding says that a dtype is computed in a narrower one, it is asked of that one's numbers, and exact."""
    adapter = framework_adapter(name)
    narrow = arithmetic_of(adapter, dtype).rpartition("_of_")[2]
    row = measure(name, lambda a: narrowed(activation_of(adapter, a.astype(dtype), "tanh"), narrow), narrow, COUNT)
    ledger.figure(name, f"error of tanh in u (allowed {row.allowed:g}), {dtype}", row.worst)
    assert row.worst <= row.allowed, row
    assert row.below <= LOST.get((name, dtype), 1), row


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", adapters.KNOWN)
def test_every_frameworks_relu_is_exact(name, dtype):
    """It copies or gives 0; a subnormal number may become 0 (A4). What findings say of a dtype is all that is else."""
    adapter = framework_adapter(name)
    narrow = arithmetic_of(adapter, dtype).rpartition("_of_")[2]
    a = arguments(narrow, 60_000).astype(dtype)
    actual = activation_of(adapter, a, "relu")
    assert actual.dtype == a.dtype
    actual, expected = actual.astype(np.float64), np.maximum(a.astype(np.float64), 0)
    expected[expected == np.inf] = infinity_of(adapter, dtype)
    normal = np.abs(a.astype(np.float64)) >= arithmetic(narrow).smallest_normal
    np.testing.assert_array_equal(actual[normal], expected[normal])
    assert ((actual[~normal] == expected[~normal]) | (actual[~normal] == 0)).all()


def narrowed(answer: np.ndarray, dtype: str) -> np.ndarray:
    """The answer in a dtype that holds all of it."""
    narrow = answer.astype(dtype)
    assert np.array_equal(narrow.astype(answer.dtype), answer)
    return narrow


def pade(a: np.ndarray) -> np.ndarray:
    """A rational approximation that is good near 0 only."""
    return (a * (27 + a * a) / (27 + 9 * a * a)).clip(-1, 1)


def too_steep(a: np.ndarray) -> np.ndarray:
    return np.tanh(a.astype(np.float64)) * (1 + 1e-5)


def just_too_wide(a: np.ndarray) -> np.ndarray:
    """One unit more than is allowed, somewhere."""
    units = ACTIVATION_UNITS[a.dtype.name] + 1
    return np.tanh(a.astype(np.float64)) * np.where(a > 1, 1 + units * arithmetic(a.dtype.name).unit_roundoff, 1)


@pytest.mark.parametrize("dtype", EVERY)
@pytest.mark.parametrize("wrong", [pade, just_too_wide])
def test_planted_a_wrong_tanh_is_outside(wrong, dtype):
    with np.errstate(all="ignore"):
        row = measure(wrong.__name__, lambda a: np.nan_to_num(wrong(a)), dtype, 60_000)
    assert not row.within, row


@pytest.mark.parametrize("dtype", WIDE)
def test_planted_a_tanh_off_by_one_in_a_hundred_thousand_is_outside(dtype):
    assert not measure("too steep", too_steep, dtype, 60_000).within


def test_planted_a_nan_is_outside():
    assert not measure("NaN", lambda a: np.where(a == 0, np.nan, np.tanh(a)), "float32", 60_000).within


@needs_long_double
def test_long_double_is_accurate_enough_to_measure_float64():
    """Against ball arithmetic on a sample: off by less than a hundredth of float64's unit roundoff."""
    sample = arguments("float64", 3_000)
    sample = sample[np.isfinite(sample) & (np.abs(sample) > 1e-290)]
    worst = 0.0
    with flint.ctx.workprec(200):
        for a, measured in zip(sample, accurate_tanh(sample), strict=True):
            exact = arb(float(a)).tanh()
            high = float(measured)
            computed = arb(high) + arb(float(measured - np.longdouble(high)))
            worst = max(worst, float((abs(computed - exact) / abs(exact)).upper()))
    assert worst < Fraction(1, 100) * Fraction(2) ** -53


@pytest.mark.parametrize("dtype", WIDE)
def test_the_sweep_reaches_everything(dtype):
    """Subnormals, both zeros, infinities, the range where tanh saturates, and both signs of everything."""
    a = arguments(dtype, 60_000)
    low = arithmetic(dtype).smallest_normal
    assert ((a > 0) & (a < low)).sum() >= 5
    assert np.isinf(a).sum() == 2
    assert (np.signbit(a) & (a == 0)).any()
    assert ((a > 0.75 * SATURATED[dtype]) & (a < SATURATED[dtype])).sum() > 5_000
    np.testing.assert_array_equal(np.sort(a[a > 0]), np.sort(-a[a < 0]))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_sweep_of_a_16_bit_dtype_is_complete(dtype):
    """Every bit pattern but NaN's: an exponent of ones, and any fraction but 0, in either sign."""
    fraction_bits = {"float16": 10, "bfloat16": 7}[dtype]
    a = arguments(dtype, 0)
    assert len(np.unique(a.view(np.uint16))) == len(a) == 2**16 - 2 * (2**fraction_bits - 1)
