"""Changes of an implementation that are no faults: they must stay invisible, and REASONS says why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reference import Case
from reference.faults import Fault, Run
from reference.faults.arithmetic import of_step
from reference.faults.directions import run_forward
from reference.faults.machine import by_layers, in_order, lengths_of, step_by_step
from reference.faults.rows import of_question, of_reverse, of_run, table
from reference.faults.step import Step
from reference.faults.weights import Arrays, of_arrays
from reference.faults.where import A_REVERSE, ALWAYS, BIAS, LAYERS, PADDING, ROWS, STEPS
from reference.recurrence import Result


def exchange_biases(arrays: Arrays) -> Arrays:
    return {"b_ih": arrays["b_hh"], "b_hh": arrays["b_ih"]}


def add_biases(arrays: Arrays) -> Arrays:
    return {"b_ih": arrays["b_ih"] + arrays["b_hh"], "b_hh": np.zeros_like(arrays["b_hh"])}


def change_padding(case: Case) -> Case:
    beyond = np.arange(len(case.x))[:, None] >= lengths_of(case)
    return replace(case, x=np.where(beyond[..., None], 1 - case.x, case.x).astype(case.x.dtype))


def copy_inputs(case: Case, run: Run) -> Result:
    return run(replace(case, x=case.x.copy(), h0=None if case.h0 is None else case.h0.copy()))


def reverse_rows(case: Case, run: Run) -> Result:
    h0 = None if case.h0 is None else np.ascontiguousarray(case.h0[:, ::-1])
    lengths = None if case.lengths is None else lengths_of(case)[::-1].copy()
    output, h_n = run(replace(case, x=np.ascontiguousarray(case.x[:, ::-1]), h0=h0, lengths=lengths))
    return Result(output[:, ::-1], h_n[:, ::-1])


def flip(track: Case, run: Run) -> Result:
    output, h_n = run_forward(replace(track, x=np.ascontiguousarray(in_order(track, track.x))), run)
    return Result(in_order(track, output), h_n)


def one_product(s: Step) -> np.ndarray:
    weights, operands = zip(*s.products, strict=True)
    weight = np.concatenate(weights, axis=1)
    bias = sum(s.biases) if s.biases else np.zeros(len(weight), s.dtype)
    return s.activate(s.kernel.dense(weight, bias, np.concatenate(operands, axis=-1)))


EQUIVALENT: dict[str, Fault] = {
    **table(
        "biases",
        ("biases_exchanged", "b_ih and b_hh are exchanged", BIAS & STEPS, of_question(of_arrays(exchange_biases))),
        ("biases_added_beforehand", "b_ih is the sum of both biases and b_hh is zero", BIAS & STEPS,
         of_question(of_arrays(add_biases))),
    ),
    **table("layers", ("called_layer_by_layer", "every layer is a call of its own", LAYERS, of_run(by_layers))),
    **table(
        "inputs",
        ("padding_of_x_changed", "x holds other numbers beyond a sequence's length", PADDING,
         of_question(change_padding)),
        ("inputs_copied", "x and h0 are copied before they are used", STEPS, of_run(copy_inputs, as_given=True)),
        ("rows_reversed_and_back", "the rows of the batch are reversed on the way in, and back on the way out", ROWS,
         of_run(reverse_rows)),
    ),
    **table(
        "states",
        ("called_step_by_step", "every step is a call of its own, the state handed over", ALWAYS,
         of_run(step_by_step)),
    ),
    **table(
        "directions",
        ("reverse_by_flipping", "reverse is forward on each sequence reversed within its length, and back", A_REVERSE,
         of_reverse(flip)),
    ),
    **table(
        "arithmetic",
        ("one_product", "x and h are one operand of one product", STEPS, of_step(one_product)),
        ("products_in_float64", "the products are taken in float64", STEPS,
         of_step(lambda s: s.activate(s.astype("float64").sum().astype(s.dtype)))),
    ),
}  # fmt: skip
REASONS = {
    "biases_exchanged": "they are only ever added, and addition is commutative",
    "biases_added_beforehand": "one rounding more, which the bound counts; Keras keeps one bias",
    "called_layer_by_layer": "a layer reads the output of the layer below and nothing else",
    "padding_of_x_changed": "no layer reads beyond a length",
    "inputs_copied": "a copy holds the same numbers",
    "rows_reversed_and_back": "the sequences of a batch do not know of each other",
    "called_step_by_step": "what a recurrent layer is: h_t depends on x_t and h_{t-1} alone",
    "reverse_by_flipping": "the definition of the reverse direction",
    "one_product": "the same sum in another order, which the bound counts",
    "products_in_float64": "more exact than promised, which no bound forbids",
}
