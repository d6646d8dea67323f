"""What LiteRT makes of Keras layers: loops, constants, and which sizes must be known, by plain names."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from reference import Case, RNNSpec, judge
from reference.draws import draw_case
from tests.frameworks import framework_adapter


@pytest.fixture
def case() -> Case:
    framework_adapter("litert")
    return draw_case(RNNSpec(3, 5, cell="lstm"), batch=2, time=4)


def converted(case: Case, batch: int | None = 2, time: int | None = 4, **words: Any) -> bytes:
    models, ways = (import_module(f"adapters.litert.{name}") for name in ("models", "ways"))
    stack = models.stack_of(case.spec, case.parameters, batch, **words)
    return ways.from_a_function_alone(models.model_of(stack, (batch, time), ["x"]))


def operators(content: bytes) -> set[str]:
    interpreter = import_module("ai_edge_litert.interpreter").Interpreter(model_content=content)
    return {one["op_name"] for one in interpreter._get_ops_details()}


def test_a_layer_is_a_loop_and_never_the_fused_operator(case: Case) -> None:
    """Keras 2 marked its LSTM for the converter; Keras 3 does not."""
    assert "WHILE" in operators(converted(case))
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" not in operators(converted(case))


def test_an_unrolled_layer_has_no_loop(case: Case) -> None:
    assert "WHILE" not in operators(converted(case, unroll=True))


def test_the_number_of_sequences_must_be_known_and_that_of_steps_need_not(case: Case) -> None:
    ways = import_module("adapters.litert.ways")
    output, h, c = ways.resized(converted(case, time=None), {"x": case.x})
    assert judge(case, output, (h[None], c[None])).outcome == "agrees"
    with pytest.raises(Exception, match="Lowering tensor list ops is failed"):
        converted(case, batch=None)


def test_weights_are_constants_of_what_is_converted(case: Case) -> None:
    """Rows are units, gates i, f, g, o: as the suite has them, and not as Keras does."""
    assert case.parameters[0].w_ih.tobytes() in converted(case)
