"""Faults in the arithmetic of a step: another activation, an approximate one, or a narrower format somewhere."""

from __future__ import annotations

import numpy as np

from .fault import Fault, step
from .step import Step, significant
from .where import BIAS, FLOAT32, FLOAT64, NOT_BFLOAT16, RELU, STEPS, TANH, WIDE, Where

TABLE = np.linspace(-8.0, 8.0, 1025)  # arguments of a table of tanh, 64 for each unit; beyond it tanh is 1 to 3e-7
FAR = 4.0  # where a series for tanh gives way to 1


@step("relu is computed as tanh", RELU & STEPS)
def tanh_for_relu(s: Step) -> np.ndarray:
    return s.kernel.activation(s.sum(), "tanh")


@step("tanh is computed as relu", TANH & STEPS)
def relu_for_tanh(s: Step) -> np.ndarray:
    return s.kernel.activation(s.sum(), "relu")


@step("there is no activation", STEPS)
def no_activation(s: Step) -> np.ndarray:
    return s.sum()


@step("tanh is computed as the logistic sigmoid", TANH & STEPS)
def sigmoid_for_tanh(s: Step) -> np.ndarray:
    a = s.sum()
    return 1 / (1 + np.exp(-a))


@step("tanh is computed as the identity clipped to [-1, 1]", TANH & STEPS)
def clipped_for_tanh(s: Step) -> np.ndarray:
    return np.clip(s.sum(), -1, 1)


@step("tanh is computed as a / (1 + |a|)", TANH & STEPS)
def softsign_for_tanh(s: Step) -> np.ndarray:
    a = s.sum()
    return a / (1 + np.abs(a))


@step("tanh is computed as 1.7159 tanh(2 a / 3)", TANH & STEPS)
def scaled_tanh(s: Step) -> np.ndarray:
    return s.activate(s.sum() * 2 / 3) * s.x.dtype.type(1.7159)


@step("tanh is computed as the hard sigmoid 0.2 a + 0.5, from 0 to 1", TANH & STEPS)
def hard_sigmoid_for_tanh(s: Step) -> np.ndarray:
    return np.clip(s.sum() / 5 + s.x.dtype.type(0.5), 0, 1)


@step("relu lets 1 % of negative numbers through", RELU & STEPS)
def leaky_relu(s: Step) -> np.ndarray:
    a = s.sum()
    return np.where(a > 0, a, a / 100)


@step("relu is clipped at 6", RELU & STEPS)
def relu6(s: Step) -> np.ndarray:
    return np.clip(s.sum(), 0, 6)


@step("relu is computed as ln(1 + exp(a))", RELU & STEPS)
def softplus_for_relu(s: Step) -> np.ndarray:
    a = s.sum()
    return np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a)))


@step("relu is computed as a times the logistic sigmoid of a", RELU & STEPS)
def swish_for_relu(s: Step) -> np.ndarray:
    a = s.sum()
    return a / (1 + np.exp(-a))


@step("relu is computed as the absolute value", RELU & STEPS)
def absolute_for_relu(s: Step) -> np.ndarray:
    return np.abs(s.sum())


@step("the activation is applied twice", TANH & STEPS)
def activated_twice(s: Step) -> np.ndarray:
    return s.activate(s.activate(s.sum()))


@step("the biases are added after the activation", BIAS & STEPS)
def bias_after_activation(s: Step) -> np.ndarray:
    arrays = s.cell.arrays()
    return s.activate(s.without_bias().sum()) + (arrays["b_ih"] + arrays["b_hh"])


def _tanh_off_by(relative: float, where: Where) -> Fault:
    def tanh_off(s: Step) -> np.ndarray:
        return s.activate(s.sum()) * s.x.dtype.type(1 + relative)

    tanh_off.__name__ = f"tanh_off_by_1e{round(np.log10(relative)):d}".replace("-", "_minus_")
    return step(f"tanh is too large by {relative:.0e} of itself", TANH & where)(tanh_off)


tanh_off_by_1e_minus_2 = _tanh_off_by(1e-2, NOT_BFLOAT16)
tanh_off_by_1e_minus_3 = _tanh_off_by(1e-3, WIDE)
tanh_off_by_1e_minus_4 = _tanh_off_by(1e-4, WIDE)
tanh_off_by_1e_minus_5 = _tanh_off_by(1e-5, WIDE)
tanh_off_by_1e_minus_9 = _tanh_off_by(1e-9, FLOAT64)


@step("tanh is computed by its Taylor series to degree 7, and 1 beyond 1.2", TANH & WIDE & STEPS)
def tanh_by_series(s: Step) -> np.ndarray:
    a = s.sum().astype(np.float64)
    inside = np.clip(a, -1.2, 1.2)
    square = inside * inside
    series = inside * (1 + square * (-1 / 3 + square * (2 / 15 - square * 17 / 315)))
    return np.where(np.abs(a) > 1.2, np.sign(a), series)


@step("tanh is computed by a continued fraction of three terms", TANH & WIDE & STEPS)
def tanh_by_fraction(s: Step) -> np.ndarray:
    a = np.clip(s.sum().astype(np.float64), -FAR, FAR)
    square = a * a
    return np.clip(a * (15 + square) / (15 + 6 * square), -1, 1)


@step("tanh is read from a table of 1025 values, interpolated", TANH & WIDE & STEPS)
def tanh_by_table(s: Step) -> np.ndarray:
    return np.interp(s.sum().astype(np.float64), TABLE, np.tanh(TABLE))


@step("tanh is cut off at 0.999", TANH & WIDE & STEPS)
def tanh_cut_off(s: Step) -> np.ndarray:
    return np.clip(s.activate(s.sum()), -0.999, 0.999)


@step("tanh is taken for its argument where that is below 0.03", TANH & WIDE & STEPS)
def tanh_linear_near_zero(s: Step) -> np.ndarray:
    a = s.sum()
    return np.where(np.abs(a) < 0.03, a, s.activate(a))


@step("tanh is computed in float16", TANH & WIDE & STEPS)
def tanh_in_float16(s: Step) -> np.ndarray:
    return np.tanh(s.sum().astype(np.float16))


@step("all arithmetic is in float32", FLOAT64 & STEPS, arithmetic="float32")
def everything_in_float32(s: Step) -> np.ndarray:
    narrow = s.astype("float32")
    return narrow.activate(narrow.sum())


@step("the products are taken in float32", FLOAT64 & STEPS, arithmetic="float32")
def products_in_float32(s: Step) -> np.ndarray:
    return s.activate(s.astype("float32").sum().astype(s.x.dtype))


@step("the products are taken in TF32 (11 significant bits)", FLOAT32 & STEPS)
def products_in_tf32(s: Step) -> np.ndarray:
    return s.activate(s.sum(significant(11)))


@step("the products are taken in float16", WIDE & STEPS)
def products_in_float16(s: Step) -> np.ndarray:
    return s.activate(s.sum(lambda operand: operand.astype(np.float16).astype(operand.dtype)))


@step("the products are taken in bfloat16", NOT_BFLOAT16 & STEPS)
def products_in_bfloat16(s: Step) -> np.ndarray:
    return s.activate(s.sum(significant(8)))


@step("the sum is rounded to bfloat16 before the activation", NOT_BFLOAT16 & STEPS)
def sum_in_bfloat16(s: Step) -> np.ndarray:
    return s.activate(significant(8)(s.sum()))


@step("the state is rounded to float32 between steps", FLOAT64 & STEPS)
def state_in_float32(s: Step) -> np.ndarray:
    return s.activate(s.sum()).astype(np.float32)


@step("the state is rounded to float16 between steps", WIDE & STEPS)
def state_in_float16(s: Step) -> np.ndarray:
    return s.activate(s.sum()).astype(np.float16)


@step("the state is rounded to bfloat16 between steps", NOT_BFLOAT16 & STEPS)
def state_in_bfloat16(s: Step) -> np.ndarray:
    return significant(8)(s.activate(s.sum()))


@step("the state is rounded to 8-bit integers times 1/127", TANH & STEPS)
def state_in_int8(s: Step) -> np.ndarray:
    return np.rint(s.activate(s.sum()) * 127) / 127


@step("the sum is clipped to [-1, 1] before the activation", STEPS)
def sum_clipped(s: Step) -> np.ndarray:
    return s.activate(np.clip(s.sum(), -1, 1).astype(s.x.dtype))


@step("each state fades by 1e-5 of itself", WIDE & STEPS)
def state_fades(s: Step) -> np.ndarray:
    return s.activate(s.sum()) * s.x.dtype.type(1 - 1e-5)


@step("states below 1e-3 are flushed to zero", STEPS)
def small_states_flushed(s: Step) -> np.ndarray:
    h = s.activate(s.sum())
    return np.where(np.abs(h) < 1e-3, np.zeros_like(h), h)


@step(
    "x and h are one operand of one product", STEPS, equivalent="the same sum in another order, which the bound counts"
)
def one_product(s: Step) -> np.ndarray:
    weight = np.concatenate([s.cell.w_ih, s.cell.w_hh], axis=1)
    none = np.zeros(len(weight), s.x.dtype)
    bias = none if s.cell.b_ih is None or s.cell.b_hh is None else s.cell.b_ih + s.cell.b_hh
    return s.activate(s.kernel.dense(weight, bias, np.concatenate([s.x, s.h], axis=-1)))


@step("the products are taken in float64", STEPS, equivalent="more exact than promised, which no bound forbids")
def products_in_float64(s: Step) -> np.ndarray:
    return s.activate(s.astype("float64").sum().astype(s.x.dtype))
