"""A step in numbers, where float64 and narrower dtypes are exact; and what is written where."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from reference import DTYPES, CellParameters
from reference.calculus.numbers import Numbers, activation

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
W_IH, W_HH = np.array([[1.0, -2.0], [3.0, 0.5], [0.0, 4.0]]), np.array([[2.0, 0.0, 1.0]] * 3)


def started(dtype: Any = "float64", out: np.ndarray | None = None) -> tuple[Numbers, dict[str, np.ndarray]]:
    """Numbers that have been given the weights of a cell of two features and three units."""
    numbers = Numbers(out)
    arrays = (W_IH, W_HH, np.array([1.0, 2.0, 4.0]), np.array([8.0, 16.0, 32.0]))
    return numbers, numbers.weights(CellParameters(*(array.astype(dtype) for array in arrays)))


def test_all_weights_but_the_inputs_are_copied() -> None:
    cell = CellParameters(W_IH, W_HH)
    weights = Numbers().weights(cell)
    assert {name: one.tolist() for name, one in weights.items()} == {"w_ih": W_IH.T.tolist(), "w_hh": W_HH.T.tolist()}
    assert np.shares_memory(weights["w_ih"], cell.w_ih)
    assert not np.shares_memory(weights["w_hh"], cell.w_hh)
    assert weights["w_hh"].flags.c_contiguous


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 2), (2, 1, 2)])
def test_a_sum_has_all_of_its_products_and_biases(shape: tuple[int, ...], dtype: str) -> None:
    numbers, w = started(dtype)
    x, h = np.arange(1.0, 5.0).reshape(shape).astype(dtype), np.ones((*shape[:-1], 3), dtype)
    total = numbers.affine([(w["w_ih"], x), (w["w_hh"], h)], [w["b_ih"], w["b_hh"]])
    expected = x.astype(float) @ W_IH.T + 3 + [9, 18, 36]
    assert total.dtype == x.dtype
    assert total.tolist() == expected.tolist()
    more = numbers.affine([(w["w_hh"], h)], [w["b_ih"]], total)
    assert more is total, "what it is added to is used up"
    assert more.tolist() == (expected + 3 + [1, 2, 4]).tolist()
    assert numbers.affine([(w["w_ih"], x)]).tolist() == (x.astype(float) @ W_IH.T).tolist()


@pytest.mark.parametrize(("dtype", "large"), [("float16", 2048.0), (BFLOAT16, 256.0)])
def test_a_sum_of_a_narrow_dtype_is_rounded_once(dtype: Any, large: float) -> None:
    """Rounded after every product, it would stay at the large number."""
    numbers, cell = Numbers(), CellParameters(np.ones((1, 3), dtype), np.ones((1, 1), dtype))
    weights, x = numbers.weights(cell), np.array([[large, 1.0, 1.0]], dtype)
    assert numbers.affine([(weights["w_ih"], x)]).tolist() == [[large + 2]]
    assert numbers.affine([(weights["w_ih"], x)], start=np.zeros((1, 1), dtype)).tolist() == [[large + 2]]


def test_a_product_in_bfloat16_is_not_rounded_before_it_is_added() -> None:
    """257 would be 256 by itself; 257 and 1 are 258."""
    numbers, cell = Numbers(), CellParameters(np.ones((1, 3), BFLOAT16), np.ones((1, 1), BFLOAT16))
    weights, x = numbers.weights(cell), np.array([[256.0, 1.0, 0.0]], BFLOAT16)
    assert numbers.affine([(weights["w_ih"], x)], start=np.ones((1, 1), BFLOAT16)).tolist() == [[258]]


def test_the_first_sum_goes_where_it_is_told_to_if_it_fits() -> None:
    """Into a part of a wider array too; the second one does not, nor one of another shape."""
    x = np.arange(4.0).reshape(2, 1, 2)
    for given, out in ((x, np.full((2, 1, 5), np.nan)[..., 1:4]), (x[:, 0], np.full((2, 3), np.nan))):
        numbers, w = started(out=out)
        assert numbers.affine([(w["w_ih"], given)]) is out
        assert out.tolist() == (given @ W_IH.T).tolist()
        assert not np.shares_memory(numbers.affine([(w["w_ih"], given)]), out)
    out = np.full((2, 2, 3), np.nan)
    numbers, w = started(out=out)
    assert numbers.affine([(w["w_ih"], x)]).tolist() == (x @ W_IH.T).tolist()
    assert np.isnan(out).all()
    assert numbers.affine([(w["w_ih"], np.zeros((2, 2, 2)))]) is not out, "only the first sum"


def test_gates_are_views_of_the_last_axis() -> None:
    numbers, a = Numbers(), np.arange(12.0).reshape(2, 6)
    for gates, expected in (
        ((2, 1), [a[:, :4], a[:, 4:]]),
        ((1, 1), [a[:, :3], a[:, 3:]]),
        ((1, 2), [a[:, :2], a[:, 2:]]),
    ):
        for _ in range(2):
            parts = numbers.split(a, gates)
            assert [part.tolist() for part in parts] == [one.tolist() for one in expected]
            assert all(np.shares_memory(part, a) for part in parts)
    assert [part.tolist() for part in numbers.split(a[0, :3], (2, 1))] == [[0, 1], [2]]


def test_elementwise_operations_change_no_operand() -> None:
    numbers = Numbers()
    z, n, h = np.array([0.0, 0.25, 1.0]), np.array([8.0, 16.0, 3.0]), np.array([4.0, -8.0, 5.0])
    before = [one.copy() for one in (z, n, h)]
    assert numbers.mix(z, n, h).tolist() == [8, 10, 5]
    assert numbers.add(n, h).tolist() == [12, 8, 8]
    assert numbers.multiply(n, h).tolist() == [32, -128, 15]
    for one, was in zip((z, n, h), before, strict=True):
        assert np.array_equal(one, was)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_number_is_clipped_at_both_ends_in_its_own_dtype(dtype: str) -> None:
    a = np.array([-2.0, -0.5, 0.25, 0.5, 2.0], dtype)
    clipped = Numbers().clip(a, 0.5)
    assert clipped.dtype == a.dtype
    assert clipped.tolist() == [-0.5, -0.5, 0.25, 0.5, 0.5]


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_activation_is_that_of_its_name(dtype: str) -> None:
    """Of numbers at which all dtypes are exact; the argument is left alone."""
    a = np.array([-np.inf, 0.0, np.inf, np.nan], dtype)
    for name, expected in (("sigmoid", [0.0, 0.5, 1.0]), ("tanh", [-1.0, 0.0, 1.0]), ("relu", [0.0, 0.0, np.inf])):
        with np.errstate(over="ignore"):
            found = activation(a, name)
        assert found.dtype == a.dtype
        assert found[:3].tolist() == expected
        assert np.isnan(found[3])
        assert np.array_equal(a.astype(float), [-np.inf, 0.0, np.inf, np.nan], equal_nan=True)


def test_a_sigmoid_follows_the_dtype_of_each_argument() -> None:
    numbers, a = Numbers(), np.array([-1.5, 0.25])
    for dtype in ("float32", "float64", "float32"):
        given = a.astype(dtype)
        assert np.array_equal(numbers.sigmoid(given), np.reciprocal(np.exp(-given) + given.dtype.type(1)))


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_an_activation_takes_the_place_of_the_sum_alone(name: str) -> None:
    numbers, w = started()
    x = np.array([[0.25, -0.5]])
    first = numbers.affine([(w["w_ih"], x)])
    last = numbers.affine([(w["w_ih"], x)])
    before = first.copy()
    activated = getattr(numbers, name)
    assert activated(last) is last
    assert np.array_equal(activated(first), last)
    assert np.array_equal(first, before)


def test_an_activation_that_nobody_computes_is_named() -> None:
    with pytest.raises(ValueError, match=r"^nonlinearity: got 'softsign', expected one that the calculus computes: "
                                         r"tanh, relu, sigmoid$"):  # fmt: skip
        activation(np.zeros(1), "softsign")
