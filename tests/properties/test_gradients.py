"""Training: are the gradients right that the framework's own differentiation gives, element by element?

A probe shows the gradient with respect to each gate's sum (reference/judging/gradients.py), so that each step back is
judged by itself. Only a target is asked whose adapter offers gradients.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.strategies import Question, in_layout
from harness.target import Target
from reference import DIRECTIONS, LAYOUTS, Case, CellParameters, RNNSpec
from reference.draws import COTANGENTS, draw_case, with_cotangents

PROPERTY = "gradients"
WIDE, NARROW = ("float32", "float64"), ("float16", "bfloat16")
STEPS = 150  # of more, what is added up step by step in bfloat16 may be off by all of it, and no bound says anything
CELLS = ("elman", "gru", "gru_reset_before", "lstm")
# those of adapters.capabilities.MODES in which some adapter is asked for gradients, beside eager
MODES = ("scripted", "traced", "exported", "compiled", "unrolled", "tf32", "bfloat16_products", "deterministic",
         "fallback")  # fmt: skip
LAYOUT_OF = dict(zip(COTANGENTS, (*LAYOUTS, "batch_first"), strict=True))
# a relu, which an Elman layer alone has, with cotangents of everything
COMBINATIONS = (*(("tanh", of) for of in COTANGENTS), ("relu", "all"))
# whose layout another one has: where each is compiled, they take seconds
IN_NARROW = tuple(pair for pair in COMBINATIONS if pair != ("tanh", "last step"))
Combinations = tuple[tuple[str, str], ...]
few = settings(max_examples=-(-settings.default.max_examples // 3))


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("direction", DIRECTIONS)
@few
@given(data=st.data())
def test_gradients_agree_with_the_reference(target: Target, direction: str, dtype: str, data: st.DataObject) -> None:
    """By x, by the initial states and by every weight, in every layout, of cotangents of every part of the answer."""
    check_drawn(target, direction, dtype, data, COMBINATIONS, max_time=6)


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("direction", DIRECTIONS)
@few
@given(data=st.data())
def test_narrow_gradients_agree_with_the_reference(
    target: Target, direction: str, dtype: str, data: st.DataObject
) -> None:
    """In fewer steps, as every one that is rounded to storage leaves less to say."""
    check_drawn(target, direction, dtype, data, IN_NARROW, max_time=3)


def check_drawn(
    target: Target, direction: str, dtype: str, data: st.DataObject, combinations: Combinations, max_time: int
) -> None:
    __tracebackhide__ = True
    questions = target.draw(data, combinations, with_all=True, max_layers=1, max_time=max_time)
    case = functools.cache(Question.case)
    target.check(PROPERTY, *(
        with_cotangents(in_layout(case(question, direction, nonlinearity, dtype), LAYOUT_OF[of], question.memory), of,
                        question.seed + 3, question.rounded)
        for (nonlinearity, of), question in zip(combinations, questions, strict=True)
    ))  # fmt: skip


@pytest.mark.own_key
@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_over_many_steps(target: Target, cell: str, direction: str, dtype: str) -> None:
    """Where truncation, and steps that are counted twice or not at all, are far from the cotangent that they carry."""
    spec = RNNSpec(3, 5, direction=direction, cell=cell)
    words = {"batch": 3, "dtype": dtype, "seed": 7, "gradients": "last step", "weight_scale": 2.0}
    target.check(PROPERTY, draw_case(spec, time=60, h0=True, lengths=(60, 41, 17), **words),
                 draw_case(RNNSpec(17, 33, direction=direction, cell=cell), time=9, **words))  # fmt: skip


@pytest.mark.own_key
@pytest.mark.parametrize("mode", MODES)
def test_gradients_in_a_mode(target: Target, mode: str) -> None:
    """As users train who compile, trace or unroll a layer, or change how products are computed."""
    several = zip(CELLS, ("forward", "bidirectional", "reverse", "bidirectional"), (None, (4, 2, 3)) * 2, strict=True)
    target.check(f"{PROPERTY}, {mode}", *(
        draw_case(RNNSpec(3, 5, direction=direction, cell=cell), batch=3, time=4, lengths=lengths, h0=True, seed=place,
                  gradients="all")
        for place, (cell, direction, lengths) in enumerate(several)
    ), mode=mode)  # fmt: skip


@pytest.mark.own_key
@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_narrow_gradients_of_one_sign_are_sums_over_many_steps(target: Target, direction: str, dtype: str) -> None:
    target.check(PROPERTY, of_one_sign(direction, dtype))


def of_one_sign(direction: str, dtype: str) -> Case:
    """A relu of positive numbers alone, so that every gradient is a sum of positive terms.

    Those of both ends are as large as a total to which the others add nothing, where it is kept in storage.
    """
    large = {"float16": 2.0**11, "bfloat16": 2.0**8}[dtype]
    case = draw_case(RNNSpec(3, 5, direction=direction, nonlinearity="relu"), batch=1, time=STEPS, dtype=dtype, seed=7,
                     weight_scale=0.5, h0=True, layout="time_first", gradients="output")  # fmt: skip
    g_output = np.abs(case.cotangents[0])
    g_output[[0, -1]] *= large
    parameters = [CellParameters.of({name: np.abs(a) for name, a in cell.arrays().items()}) for cell in case.parameters]
    return replace(case, parameters=parameters, x=np.abs(case.x), h0=np.abs(case.h0), cotangents=(g_output, None))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("of", ["x", "cotangents"])
def test_what_stands_in_the_padding_changes_no_gradient(target: Target, of: str, direction: str) -> None:
    """NaN and infinity, in x or in the cotangents of the output."""
    cases = []
    for cell, value in product(CELLS, (np.nan, np.inf)):
        case = draw_case(
            RNNSpec(3, 5, direction=direction, cell=cell), batch=3, time=5, lengths=(5, 2, 3), gradients="all"
        )
        {"x": case.x, "cotangents": case.cotangents[0]}[of][1, 3:] = value
        cases.append(case)
    target.check(PROPERTY, *cases)
