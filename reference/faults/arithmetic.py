"""Faults in the arithmetic of a step: another activation, an approximate one, or a narrower format somewhere."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .changes import Change, in_dtype, same, significant, times
from .rows import table
from .step import Step, StepChange
from .where import BIAS, FINER, FLOAT32, FLOAT64, RELU, STEPS, TANH, WIDE

TABLE = np.linspace(-8.0, 8.0, 1025)  # arguments of a table of tanh, 64 for each unit; beyond it tanh is 1 to 3e-7
FAR = 4.0  # where a series for tanh gives way to 1


def of_step(activation: Callable[[Step], np.ndarray], arithmetic: str | None = None) -> dict[str, Any]:
    return {"step": StepChange(activation), "arithmetic": arithmetic}


def of_activation(change: Change) -> dict[str, Any]:
    """The change in place of the activation."""
    return of_step(lambda s: change(s.sum()))


def of_activated(change: Change) -> dict[str, Any]:
    """The change after the activation."""
    return of_step(lambda s: change(s.right()))


def of_sum(change: Change) -> dict[str, Any]:
    """The change before the activation."""
    return of_step(lambda s: s.activate(change(s.sum())))


def of_operands(change: Change) -> dict[str, Any]:
    """The change of weights and operands before they are multiplied."""
    return of_step(lambda s: s.activate(s.sum(change)))


def of_state(change: Change) -> dict[str, Any]:
    """The change of each state after the step."""
    return {"step": StepChange(state=change)}


def series(a: np.ndarray) -> np.ndarray:
    a = a.astype(np.float64)
    inside = np.clip(a, -1.2, 1.2)
    square = inside * inside
    value = inside * (1 + square * (-1 / 3 + square * (2 / 15 - square * 17 / 315)))
    return np.where(np.abs(a) > 1.2, np.sign(a), value)


def fraction(a: np.ndarray) -> np.ndarray:
    a = np.clip(a.astype(np.float64), -FAR, FAR)
    square = a * a
    return np.clip(a * (15 + square) / (15 + 6 * square), -1, 1)


def from_table(a: np.ndarray) -> np.ndarray:
    return np.interp(a.astype(np.float64), TABLE, np.tanh(TABLE))


def bias_after_activation(s: Step) -> np.ndarray:
    return replace(s, biases=()).right() + sum(s.biases)


def linear_near_zero(s: Step) -> np.ndarray:
    a = s.sum()
    return np.where(np.abs(a) < 0.03, a, s.activate(a))


FAULTS = table(
    "arithmetic",
    ("tanh_for_relu", "relu is computed as tanh", RELU & STEPS,
     of_step(lambda s: s.kernel.activation(s.sum(), "tanh"))),
    ("relu_for_tanh", "tanh is computed as relu", TANH & STEPS,
     of_step(lambda s: s.kernel.activation(s.sum(), "relu"))),
    ("no_activation", "there is no activation", STEPS, of_activation(same)),
    ("sigmoid_for_tanh", "tanh is computed as the logistic sigmoid", TANH & STEPS,
     of_activation(lambda a: 1 / (1 + np.exp(-a)))),
    ("clipped_for_tanh", "tanh is computed as the identity clipped to [-1, 1]", TANH & STEPS,
     of_activation(lambda a: np.clip(a, -1, 1))),
    ("softsign_for_tanh", "tanh is computed as a / (1 + |a|)", TANH & STEPS,
     of_activation(lambda a: a / (1 + np.abs(a)))),
    ("scaled_tanh", "tanh is computed as 1.7159 tanh(2 a / 3)", TANH & STEPS,
     of_step(lambda s: times(1.7159)(s.activate(s.sum() * 2 / 3)))),
    ("hard_sigmoid_for_tanh", "tanh is computed as the hard sigmoid 0.2 a + 0.5, from 0 to 1", TANH & STEPS,
     of_activation(lambda a: np.clip(a / 5 + a.dtype.type(0.5), 0, 1))),
    ("leaky_relu", "relu lets 1 % of negative numbers through", RELU & STEPS,
     of_activation(lambda a: np.where(a > 0, a, a / 100))),
    ("relu6", "relu is clipped at 6", RELU & STEPS, of_activation(lambda a: np.clip(a, 0, 6))),
    ("softplus_for_relu", "relu is computed as ln(1 + exp(a))", RELU & STEPS,
     of_activation(lambda a: np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a))))),
    ("swish_for_relu", "relu is computed as a times the logistic sigmoid of a", RELU & STEPS,
     of_activation(lambda a: a / (1 + np.exp(-a)))),
    ("absolute_for_relu", "relu is computed as the absolute value", RELU & STEPS, of_activation(np.abs)),
    ("activated_twice", "the activation is applied twice", TANH & STEPS, of_step(lambda s: s.activate(s.right()))),
    ("bias_after_activation", "the biases are added after the activation", BIAS & STEPS,
     of_step(bias_after_activation)),
    *((f"tanh_off_by_1e_minus_{digits}", f"tanh is too large by {10.0**-digits:.0e} of itself", TANH & where,
       of_activated(times(1 + 10.0**-digits)))
      for digits, where in ((2, FINER), (3, WIDE), (4, WIDE), (5, WIDE), (9, FLOAT64))),
    ("tanh_by_series", "tanh is computed by its Taylor series to degree 7, and 1 beyond 1.2", TANH & WIDE & STEPS,
     of_activation(series)),
    ("tanh_by_fraction", "tanh is computed by a continued fraction of three terms", TANH & WIDE & STEPS,
     of_activation(fraction)),
    ("tanh_by_table", "tanh is read from a table of 1025 values, interpolated", TANH & WIDE & STEPS,
     of_activation(from_table)),
    ("tanh_cut_off", "tanh is cut off at 0.999", TANH & WIDE & STEPS,
     of_activated(lambda h: np.clip(h, -0.999, 0.999))),
    ("tanh_linear_near_zero", "tanh is taken for its argument where that is below 0.03", TANH & WIDE & STEPS,
     of_step(linear_near_zero)),
    ("tanh_in_float16", "tanh is computed in float16", TANH & WIDE & STEPS,
     of_activation(lambda a: np.tanh(a.astype(np.float16)))),
    ("everything_in_float32", "all arithmetic is in float32", FLOAT64 & STEPS,
     of_step(lambda s: s.astype("float32").right(), "float32")),
    ("products_in_float32", "the products are taken in float32", FLOAT64 & STEPS,
     of_step(lambda s: s.activate(s.astype("float32").sum().astype(s.dtype)), "float32")),
    ("products_in_tf32", "the products are taken in TF32 (11 significant bits)", FLOAT32 & STEPS,
     of_operands(significant(11))),
    ("products_in_float16", "the products are taken in float16", WIDE & STEPS, of_operands(in_dtype(np.float16))),
    ("products_in_bfloat16", "the products are taken in bfloat16", FINER & STEPS, of_operands(significant(8))),
    ("sum_in_bfloat16", "the sum is rounded to bfloat16 before the activation", FINER & STEPS,
     of_sum(significant(8))),
    ("state_in_float32", "the state is rounded to float32 between steps", FLOAT64 & STEPS,
     of_state(in_dtype(np.float32))),
    ("state_in_float16", "the state is rounded to float16 between steps", WIDE & STEPS,
     of_state(in_dtype(np.float16))),
    ("state_in_bfloat16", "the state is rounded to bfloat16 between steps", FINER & STEPS,
     of_state(significant(8))),
    ("state_in_int8", "the state is rounded to 8-bit integers times 1/127", TANH & STEPS,
     of_state(lambda h: np.rint(h * 127) / 127)),
    ("sum_clipped", "the sum is clipped to [-1, 1] before the activation", STEPS,
     of_sum(lambda a: np.clip(a, -1, 1).astype(a.dtype))),
    ("state_fades", "each state fades by 1e-5 of itself", WIDE & STEPS, of_state(times(1 - 1e-5))),
    ("small_states_flushed", "states below 1e-3 are flushed to zero", STEPS,
     of_state(lambda h: np.where(np.abs(h) < 1e-3, np.zeros_like(h), h))),
)  # fmt: skip
