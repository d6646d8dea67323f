"""Primitives judged alone, and what a failing test says of them: whether they are off, or what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adapters
from adapters.running.primitives import primitive_verdicts
from adapters.running.trial import examine
from harness.failures import Failure
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.references import Mirror
from reference import DTYPES, NONLINEARITIES, Case, RNNSpec
from reference.draws import draw_case
from reference.judging.primitives import judge_activation, judge_product

CASE = draw_case(RNNSpec(6, 5), batch=3, time=4, h0=True)


class Whole(Mirror):
    """The reference, with primitives of its own."""

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        return (x @ weight.T + bias).astype(x.dtype)

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        return np.tanh(a) if nonlinearity == "tanh" else np.maximum(a, 0)


class NarrowProduct(Whole):
    """Operands of half the digits."""

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        return super().dense(weight.astype(np.float16).astype(x.dtype), bias, x)


class NoBias(Whole):
    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        return super().dense(weight, 0 * bias, x)


class RoughTanh(Whole):
    """tanh off by one part in 100,000."""

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        return super().activation(a, nonlinearity, device) * a.dtype.type(1 + 1e-5)


class NaNLost(Whole):
    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        return np.nan_to_num(super().activation(a, nonlinearity, device))


def wrong(adapter: Any, case: Case = CASE) -> list[str]:
    return [verdict.primitive for verdict in primitive_verdicts(adapter, case, "cpu") if not verdict.agrees]


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["batch_first", "unbatched"])
def test_right_primitives_agree(layout: str, dtype: str, nonlinearity: str) -> None:
    spec = RNNSpec(6, 5, 2, "bidirectional", nonlinearity)
    case = draw_case(spec, batch=1, time=4, dtype=dtype, h0=True, layout=layout)
    verdicts = primitive_verdicts(Whole(), case, "cpu")
    assert [verdict.primitive for verdict in verdicts] == ["product", "product", nonlinearity]
    assert all(verdict.agrees and "right by itself" in str(verdict) for verdict in verdicts)
    assert [verdict.elements for verdict in verdicts] == [20, 20, 20]


def test_each_wrong_primitive_is_seen() -> None:
    assert wrong(Whole()) == []
    assert wrong(NarrowProduct()) == ["product", "product"]
    assert wrong(NoBias()) == ["product", "product"]
    assert wrong(RoughTanh()) == ["tanh"]
    spoilt = draw_case(RNNSpec(6, 5), batch=3, time=4)
    spoilt.x[1, 2, 3] = np.nan
    assert wrong(Whole(), spoilt) == []
    assert wrong(NaNLost(), spoilt) == ["tanh"]


def test_the_declared_arithmetic_is_what_a_product_is_judged_by() -> None:
    cell, x = CASE.parameters[0], CASE.x.reshape(-1, 6)
    rough = cell.w_ih.astype(np.float16).astype(np.float32)
    actual = np.add(x @ rough.T, cell.b_ih)
    assert not judge_product(cell.w_ih, cell.b_ih, x, actual).agrees
    assert judge_product(cell.w_ih, cell.b_ih, x, actual, "tf32").agrees


def test_another_shape_or_dtype_is_an_error() -> None:
    a = np.zeros((2, 3), np.float32)
    for actual in (a[:1], a.astype(np.float64)):
        with pytest.raises(ValueError, match=r"tanh: got .* expected float32 \(2, 3\)"):
            judge_activation(a, "tanh", actual)


def test_an_adapter_without_primitives_is_not_asked() -> None:
    assert primitive_verdicts(Mirror(), CASE, "cpu") == []


def said(adapter: Any) -> str:
    trial = examine(adapter, CASE)
    return str(Failure("equivalence", trial, "", lambda case: examine(adapter, case),
                       lambda case: primitive_verdicts(adapter, case, "cpu")))  # fmt: skip


def test_a_failing_test_says_whether_a_primitive_is_off() -> None:
    class Recurrence(Whole):
        def run(self, module: Any, **inputs: Any) -> adapters.Result:
            output, h_n, *_ = super().run(module, **inputs)
            return adapters.Result(output * np.float32(1.001), h_n)

    class Primitive(RoughTanh, Recurrence):
        pass

    class Broken(Recurrence):
        def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
            raise MemoryError("no memory")

    assert "primitives: its products and its activation are right by themselves, so it is what is made of" in said(
        Recurrence()
    )
    assert "primitives: tanh in float32 is wrong by itself: 60 of 60 elements outside" in said(Primitive())
    assert "primitives: could not be asked: MemoryError: no memory" in said(Broken())
    assert "primitives:" not in said(type("Bare", (Recurrence,), {"dense": None})())


@pytest.mark.parametrize("framework", adapters.KNOWN)
def test_an_activation_on_a_device_that_is_not_there_is_refused(framework: str) -> None:
    adapter = framework_adapter(framework)
    with pytest.raises(ValueError, match="device: got 'cuda:7'"):
        adapter.activation(CASE.x, "tanh", "cuda:7")


WEIGHT, BIAS, X = np.ones((2, 3), "float32"), np.ones(2, "float32"), np.ones((4, 3), "float32")
BAD: dict[str, tuple[str, tuple[Any, ...], str]] = {
    "no weight": ("dense", (None, BIAS, X), "weight: got NoneType, expected a NumPy array"),
    "a list as bias": ("dense", (WEIGHT, [1.0, 1.0], X), "bias: got list, expected a NumPy array"),
    "whole numbers": ("dense", (WEIGHT, BIAS, X.astype(int)), "x: got dtype int64, expected one of"),
    "two dtypes": ("dense", (WEIGHT, BIAS, X.astype("float64")), "dtype: got .*'x': 'float64'.*, expected one for all"),
    "a short bias": ("dense", (WEIGHT, BIAS[:1], X), r"bias shape: got \(1,\), expected \(2,\)"),
    "weights turned": ("dense", (WEIGHT.T.copy(), np.ones(3, "float32"), X), r"x shape: got \(4, 3\), expected 2 fea"),
    "a number as x": ("dense", (WEIGHT, BIAS, np.array(1, "float32")), "x rank: got 0, expected 1 axes"),
    "no array": ("activation", (None, "tanh"), "a: got NoneType, expected a NumPy array"),
    "complex numbers": ("activation", (X.astype("complex64"), "tanh"), "a: got dtype complex64, expected one of"),
    "no word": ("activation", (X, None), "nonlinearity: got None, expected one of tanh, relu"),
    "another word": ("activation", (X, "selu"), "nonlinearity: got 'selu', expected one of tanh, relu, sigmoid"),
    "no device": ("activation", (X, "tanh", None), "device: got None, expected one of cpu"),
}


@pytest.mark.parametrize("framework", adapters.KNOWN)
@pytest.mark.parametrize("name", BAD)
def test_a_bad_argument_is_named(framework: str, name: str) -> None:
    method, arguments, words = BAD[name]
    with pytest.raises((TypeError, ValueError), match=rf"^{words}"):
        getattr(framework_adapter(framework), method)(*arguments)
