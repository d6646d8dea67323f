"""The first question: does each framework answer what the equations define?

Every example goes through both nonlinearities and all three layouts, so every cell of the count is filled by
every example: no cell depends on luck.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference import DIRECTIONS, DTYPES, LAYOUTS, NONLINEARITIES, RNNSpec

from ..draws import draw_case
from ..strategies import in_layout, questions
from ..target import Target

WIDE, NARROW = ("float32", "float64"), ("float16", "bfloat16")
# torch takes 10 ms for a step in a narrow dtype on a CPU, so these are fewer and smaller
few = settings(max_examples=-(-settings.default.max_examples // 3))


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("direction", DIRECTIONS)
@given(data=st.data())
def test_answers_agree_with_the_reference(target: Target, direction: str, dtype: str, data: st.DataObject) -> None:
    """Sequence and final states, element by element, within the step bound, in every layout."""
    check_everywhere(target, direction, dtype, data)


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("direction", DIRECTIONS)
@few
@given(data=st.data())
def test_narrow_dtypes_agree_with_the_reference(
    target: Target, direction: str, dtype: str, data: st.DataObject
) -> None:
    check_everywhere(target, direction, dtype, data, max_layers=2, max_time=3)


def check_everywhere(target: Target, direction: str, dtype: str, data: st.DataObject, **limits: int) -> None:
    """One question, in every nonlinearity and layout that the target supports."""
    __tracebackhide__ = True
    if not (target.supports("direction", direction) and target.supports("dtype", dtype)):
        pytest.skip(f"{target.label}: declared unsupported")
    question = data.draw(questions(zero_lengths=target.supports("lengths", "with zeros"), **limits), "question")
    for nonlinearity in filter(lambda value: target.supports("nonlinearity", value), NONLINEARITIES):
        case = question.case(direction, nonlinearity, dtype)
        stack = target.stack(case)
        for layout in filter(lambda value: target.supports("layout", value), LAYOUTS):
            target.check(in_layout(case, layout, question.memory), "equivalence", stack=stack)


@pytest.mark.parametrize("direction", DIRECTIONS)
@given(question=questions(sane=True, zero_lengths=False))
def test_the_whole_trajectory_agrees(target: Target, direction: str, question) -> None:
    """The answer that a user sees against the float64 reference's own, within the trajectory bound."""
    for nonlinearity in NONLINEARITIES:
        target.check(question.case(direction, nonlinearity, "float32"), "trajectory", bound="trajectory")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_empty_batch_gives_empty_answers(target: Target, direction: str, dtype: str) -> None:
    if not target.supports("batch", "0"):
        pytest.skip(f"{target.label}: declared unsupported")
    target.check(draw_case(RNNSpec(3, 5, 2, direction), batch=0, time=4, dtype=dtype), "empty batch")


@pytest.mark.parametrize("layers", range(1, 11))
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_layer_count_to_ten(target: Target, direction: str, layers: int) -> None:
    case = draw_case(RNNSpec(4, 6, layers, direction), batch=3, time=5, seed=layers, h0=True, lengths=(5, 2, 3))
    target.check(case, "layer counts")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("where", ["x", "h0", "padding"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_come_out_where_the_equations_put_them(
    target: Target, direction: str, where: str, value: float
) -> None:
    """In x they poison one sequence from that step on, in h0 all of it, and beyond a sequence's end nothing."""
    for nonlinearity in NONLINEARITIES:
        spec = RNNSpec(3, 5, 1, direction, nonlinearity)
        case = draw_case(spec, batch=4, time=6, h0=True, lengths=(6, 4, 5, 3))
        assert case.h0 is not None
        if where == "h0":
            case.h0[0, 1, 2] = value
        else:
            case.x[1, 2 if where == "x" else 5, 1] = value
        target.check(case, "NaN and infinity")
