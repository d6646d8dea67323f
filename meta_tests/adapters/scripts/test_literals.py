"""Numbers as source: what a script holds of an array is read back bit for bit, and its bounds are rounded up."""

from __future__ import annotations

import decimal
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from adapters import FEATURES
from adapters.scripts.literals import DECODED, array_literal
from adapters.scripts.script import rounded_up


def evaluated(source: str) -> np.ndarray:
    names: dict[str, Any] = {"np": np}
    exec(f"import base64\n{DECODED}\nread = {source}", names)
    return names["read"]


def any_bits(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of every size, subnormal ones too; NaN only with the bits of NumPy's own."""
    kind = np.dtype(getattr(ml_dtypes, dtype) if dtype == "bfloat16" else dtype)
    words = np.random.PCG64(3).random_raw(int(np.prod(shape))).view(np.uint8)
    drawn = words.view(kind)[: int(np.prod(shape))].reshape(shape).copy()
    with np.errstate(invalid="ignore"):
        drawn[np.isnan(drawn)] = np.nan
    drawn.flat[:5] = [np.inf, -np.inf, np.nan, -0.0, 0.1]
    return drawn


@pytest.mark.parametrize("dtype", FEATURES["dtype"])
@pytest.mark.parametrize("shape", [(5,), (200,), (4, 9), (2, 3, 12), (3, 1, 1), (6000,), (20, 300)])
def test_an_array_is_read_back_bit_for_bit(dtype: str, shape: tuple[int, ...]) -> None:
    array = any_bits(dtype, shape)
    same = array.astype(np.float32) if dtype == "bfloat16" else array
    for limit in (200, np.inf):
        source = array_literal(array, limit)
        read = evaluated(source)
        assert (read.dtype, read.shape, read.tobytes()) == (same.dtype, same.shape, same.tobytes())
        assert ("decoded(" in source) == (array.size > limit)
        assert max(map(len, source.splitlines())) <= 120


def test_bits_that_no_word_says_are_written_as_bytes() -> None:
    array = np.array([1, 0x7FC00001, 0xFFC00000], np.uint32).view(np.float32)
    source = array_literal(array)
    assert "decoded(" in source
    assert evaluated(source).tobytes() == array.tobytes()


@pytest.mark.parametrize("shape", [(0,), (0, 4, 3), (3, 0, 3), (4, 0)])
def test_an_empty_array_keeps_its_shape(shape: tuple[int, ...]) -> None:
    read = evaluated(array_literal(np.zeros(shape, np.float16)))
    assert (read.shape, read.dtype) == (shape, np.float16)


def test_bounds_are_rounded_up_to_the_next_three_digits() -> None:
    given = np.abs(any_bits("float64", (500,)))
    given = given[np.isfinite(given) & (given < np.finfo(np.float64).max / 2)].reshape(2, -1)
    rounded = rounded_up(given)
    below = decimal.Context(prec=3)
    for value, up in zip(given.flat, rounded.flat, strict=True):
        digits = decimal.Decimal(repr(float(up)))
        assert up >= value
        assert len(digits.normalize().as_tuple().digits) <= 3
        assert not value or below.next_minus(digits) < decimal.Decimal(float(value))
    assert rounded_up(np.array([np.inf, 0.0, 1.0, 1.0000001])).tolist() == [np.inf, 0.0, 1.0, 1.01]
