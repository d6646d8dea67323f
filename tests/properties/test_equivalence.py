"""The first question: does each framework answer what the equations define?

Every example goes through both nonlinearities and all three layouts, so every combination of the count is filled by
every example: none depends on luck.
"""

from __future__ import annotations

import functools
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import FEATURES
from adapters.capabilities import VARIANTS
from evidence.record.seeded import case_of
from harness.strategies import Question, in_layout
from harness.target import Target
from reference import DIRECTIONS, DTYPES, LAYOUTS, NONLINEARITIES, RNNSpec
from reference.draws import draw_case

WIDE, NARROW = ("float32", "float64"), ("float16", "bfloat16")
GATED = ("gru", "gru_reset_before", "lstm")
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
    """In every nonlinearity and layout, one question for all or for each; what is declared unsupported is refused."""
    __tracebackhide__ = True
    combinations = list(product(NONLINEARITIES, LAYOUTS))
    questions = target.draw(data, combinations, with_all=True, **limits)
    case = functools.cache(Question.case)  # the layouts of a question share its parameters
    target.check("equivalence", *(
        in_layout(case(question, direction, nonlinearity, dtype), layout, question.memory)
        for (nonlinearity, layout), question in zip(combinations, questions, strict=True)
    ))  # fmt: skip


@pytest.mark.own_key
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_cells_with_gates_in_every_layout(target: Target, direction: str, dtype: str) -> None:
    """Plain, with initial states: a target that refuses lengths, as the corpus asks most of them, fills each
    combination so."""
    target.check("plain cells", *(
        draw_case(RNNSpec(3, 5, direction=direction, cell=cell), batch=2, time=3, dtype=dtype, layout=layout, h0=True)
        for cell in GATED for layout in LAYOUTS
    ))  # fmt: skip


@pytest.mark.parametrize("direction", DIRECTIONS)
@given(data=st.data())
def test_the_whole_trajectory_agrees(target: Target, direction: str, data: st.DataObject) -> None:
    """The answer that a user sees against the float64 reference's own, within the trajectory bound."""
    question = data.draw(target.questions(sane=True, with_all=True), "question")
    cases = (question.case(direction, nonlinearity, "float32") for nonlinearity in NONLINEARITIES)
    target.check("trajectory", *cases, bound="trajectory")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_empty_batch_gives_empty_answers(target: Target, direction: str, dtype: str) -> None:
    target.check("empty batch", draw_case(RNNSpec(3, 5, 2, direction), batch=0, time=4, dtype=dtype))


@pytest.mark.own_key
@pytest.mark.parametrize("layers", range(1, 11))
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_layer_count_to_ten(target: Target, direction: str, layers: int) -> None:
    case = draw_case(RNNSpec(4, 6, layers, direction), batch=3, time=5, seed=layers, h0=True, lengths=(5, 2, 3))
    target.check("layer counts", case)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("where", ["x", "h0", "padding"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_come_out_where_the_equations_put_them(
    target: Target, direction: str, where: str, value: float
) -> None:
    """In x they poison one sequence from that step on, in h0 all of it, and beyond a sequence's end nothing."""
    cases = []
    for nonlinearity in NONLINEARITIES:
        spec = RNNSpec(3, 5, 1, direction, nonlinearity)
        case = draw_case(spec, batch=4, time=6, h0=True, lengths=(6, 4, 5, 3))
        assert case.h0 is not None
        if where == "h0":
            case.h0[0, 1, 2] = value
        else:
            case.x[1, 2 if where == "x" else 5, 1] = value
        cases.append(case)
    target.check("NaN and infinity", *cases)


EVERY_FEATURE = [(name, value) for name, values in FEATURES.items() for value in values]


@pytest.mark.parametrize("feature", EVERY_FEATURE, ids=lambda feature: f"{feature[0]}={feature[1]}")
def test_what_is_declared_unsupported_is_refused(target: Target, feature: tuple[str, object]) -> None:
    """And what is not declared so is answered: one case for each value of each feature, all others as usual."""
    asked: dict[str, object] = dict([feature])
    if asked.get("mode") == "mixed":  # which is of narrow dtypes alone
        asked["dtype"] = "float16"
    cells = target.capabilities.supported("cell")
    gated = "elman" not in cells and not {"nonlinearity", "clip", *VARIANTS} & {*asked}
    case = case_of({"cell": cells[0], **asked} if gated else asked)
    target.check("features", case, mode=asked["mode"] if feature[0] == "mode" else None)
