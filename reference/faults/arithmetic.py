"""Faults in the arithmetic of a step: another activation, an approximate one, or a narrower format somewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .changes import Change, in_dtype, significant
from .fault import Fault, Where, step
from .step import Step, StepChange
from .where import BIAS, FLOAT32, FLOAT64, NOT_BFLOAT16, RELU, STEPS, TANH, WIDE

TABLE = np.linspace(-8.0, 8.0, 1025)  # arguments of a table of tanh, 64 for each unit; beyond it tanh is 1 to 3e-7
FAR = 4.0  # where a series for tanh gives way to 1


def table(kind: Callable[[Change], StepChange], *rows: tuple[str, str, Where, Change]) -> tuple[Fault, ...]:
    """A fault for each row: a name, the words, where it shows, and a change; kind: what of a step it changes."""
    return tuple(Fault(name, "arithmetic", says, where, step=kind(change)) for name, says, where, change in rows)


def of_activation(change: Change) -> StepChange:
    """The change in place of the activation."""
    return StepChange(lambda step: change(step.sum()))


def of_activated(change: Change) -> StepChange:
    """The change after the activation."""
    return StepChange(lambda step: change(step.right()))


def of_sum(change: Change) -> StepChange:
    """The change before the activation."""
    return StepChange(lambda step: step.activate(change(step.sum())))


def of_operands(change: Change) -> StepChange:
    """The change of weights and operands before they are multiplied."""
    return StepChange(lambda step: step.activate(step.sum(change)))


def of_state(change: Change) -> StepChange:
    """The change of each state after the step."""
    return StepChange(state=change)


def times(factor: float) -> Change:
    return lambda array: array * array.dtype.type(factor)


def by_series(a: np.ndarray) -> np.ndarray:
    a = a.astype(np.float64)
    inside = np.clip(a, -1.2, 1.2)
    square = inside * inside
    series = inside * (1 + square * (-1 / 3 + square * (2 / 15 - square * 17 / 315)))
    return np.where(np.abs(a) > 1.2, np.sign(a), series)


def by_fraction(a: np.ndarray) -> np.ndarray:
    a = np.clip(a.astype(np.float64), -FAR, FAR)
    square = a * a
    return np.clip(a * (15 + square) / (15 + 6 * square), -1, 1)


def by_table(a: np.ndarray) -> np.ndarray:
    return np.interp(a.astype(np.float64), TABLE, np.tanh(TABLE))


ACTIVATIONS = table(
    of_activation,
    ("no_activation", "there is no activation", STEPS, lambda a: a),
    ("sigmoid_for_tanh", "tanh is computed as the logistic sigmoid", TANH & STEPS, lambda a: 1 / (1 + np.exp(-a))),
    ("clipped_for_tanh", "tanh is computed as the identity clipped to [-1, 1]", TANH & STEPS,
     lambda a: np.clip(a, -1, 1)),
    ("softsign_for_tanh", "tanh is computed as a / (1 + |a|)", TANH & STEPS, lambda a: a / (1 + np.abs(a))),
    ("hard_sigmoid_for_tanh", "tanh is computed as the hard sigmoid 0.2 a + 0.5, from 0 to 1", TANH & STEPS,
     lambda a: np.clip(a / 5 + a.dtype.type(0.5), 0, 1)),
    ("leaky_relu", "relu lets 1 % of negative numbers through", RELU & STEPS, lambda a: np.where(a > 0, a, a / 100)),
    ("relu6", "relu is clipped at 6", RELU & STEPS, lambda a: np.clip(a, 0, 6)),
    ("softplus_for_relu", "relu is computed as ln(1 + exp(a))", RELU & STEPS,
     lambda a: np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a)))),
    ("swish_for_relu", "relu is computed as a times the logistic sigmoid of a", RELU & STEPS,
     lambda a: a / (1 + np.exp(-a))),
    ("absolute_for_relu", "relu is computed as the absolute value", RELU & STEPS, np.abs),
    ("tanh_by_series", "tanh is computed by its Taylor series to degree 7, and 1 beyond 1.2", TANH & WIDE & STEPS,
     by_series),
    ("tanh_by_fraction", "tanh is computed by a continued fraction of three terms", TANH & WIDE & STEPS, by_fraction),
    ("tanh_by_table", "tanh is read from a table of 1025 values, interpolated", TANH & WIDE & STEPS, by_table),
    ("tanh_in_float16", "tanh is computed in float16", TANH & WIDE & STEPS, lambda a: np.tanh(a.astype(np.float16))),
)  # fmt: skip
ACTIVATED = table(
    of_activated,
    *((f"tanh_off_by_1e_minus_{digits}", f"tanh is too large by {10.0**-digits:.0e} of itself", TANH & where,
       times(1 + 10.0**-digits))
      for digits, where in ((2, NOT_BFLOAT16), (3, WIDE), (4, WIDE), (5, WIDE), (9, FLOAT64))),
    ("tanh_cut_off", "tanh is cut off at 0.999", TANH & WIDE & STEPS, lambda h: np.clip(h, -0.999, 0.999)),
)  # fmt: skip
SUM = table(
    of_sum,
    ("sum_in_bfloat16", "the sum is rounded to bfloat16 before the activation", NOT_BFLOAT16 & STEPS, significant(8)),
    ("sum_clipped", "the sum is clipped to [-1, 1] before the activation", STEPS,
     lambda a: np.clip(a, -1, 1).astype(a.dtype)),
)  # fmt: skip
PRODUCTS = table(
    of_operands,
    ("products_in_tf32", "the products are taken in TF32 (11 significant bits)", FLOAT32 & STEPS, significant(11)),
    ("products_in_float16", "the products are taken in float16", WIDE & STEPS, in_dtype(np.float16)),
    ("products_in_bfloat16", "the products are taken in bfloat16", NOT_BFLOAT16 & STEPS, significant(8)),
)
STATE = table(
    of_state,
    ("state_in_float32", "the state is rounded to float32 between steps", FLOAT64 & STEPS, in_dtype(np.float32)),
    ("state_in_float16", "the state is rounded to float16 between steps", WIDE & STEPS, in_dtype(np.float16)),
    ("state_in_bfloat16", "the state is rounded to bfloat16 between steps", NOT_BFLOAT16 & STEPS, significant(8)),
    ("state_in_int8", "the state is rounded to 8-bit integers times 1/127", TANH & STEPS,
     lambda h: np.rint(h * 127) / 127),
    ("state_fades", "each state fades by 1e-5 of itself", WIDE & STEPS, times(1 - 1e-5)),
    ("small_states_flushed", "states below 1e-3 are flushed to zero", STEPS,
     lambda h: np.where(np.abs(h) < 1e-3, np.zeros_like(h), h)),
)  # fmt: skip


@step("relu is computed as tanh", RELU & STEPS)
def tanh_for_relu(s: Step) -> np.ndarray:
    return s.kernel.activation(s.sum(), "tanh")


@step("tanh is computed as relu", TANH & STEPS)
def relu_for_tanh(s: Step) -> np.ndarray:
    return s.kernel.activation(s.sum(), "relu")


@step("tanh is computed as 1.7159 tanh(2 a / 3)", TANH & STEPS)
def scaled_tanh(s: Step) -> np.ndarray:
    return s.activate(s.sum() * 2 / 3) * s.dtype.type(1.7159)


@step("the activation is applied twice", TANH & STEPS)
def activated_twice(s: Step) -> np.ndarray:
    return s.activate(s.right())


@step("the biases are added after the activation", BIAS & STEPS)
def bias_after_activation(s: Step) -> np.ndarray:
    return replace(s, biases=()).right() + sum(s.biases)


@step("tanh is taken for its argument where that is below 0.03", TANH & WIDE & STEPS)
def tanh_linear_near_zero(s: Step) -> np.ndarray:
    a = s.sum()
    return np.where(np.abs(a) < 0.03, a, s.activate(a))


@step("all arithmetic is in float32", FLOAT64 & STEPS, arithmetic="float32")
def everything_in_float32(s: Step) -> np.ndarray:
    return s.astype("float32").right()


@step("the products are taken in float32", FLOAT64 & STEPS, arithmetic="float32")
def products_in_float32(s: Step) -> np.ndarray:
    return s.activate(s.astype("float32").sum().astype(s.dtype))


@step(
    "x and h are one operand of one product", STEPS, equivalent="the same sum in another order, which the bound counts"
)
def one_product(s: Step) -> np.ndarray:
    weights, operands = zip(*s.products, strict=True)
    weight = np.concatenate(weights, axis=1)
    bias = sum(s.biases) if s.biases else np.zeros(len(weight), s.dtype)
    return s.activate(s.kernel.dense(weight, bias, np.concatenate(operands, axis=-1)))


@step("the products are taken in float64", STEPS, equivalent="more exact than promised, which no bound forbids")
def products_in_float64(s: Step) -> np.ndarray:
    return s.activate(s.astype("float64").sum().astype(s.dtype))
