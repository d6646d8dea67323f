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
    """Keras 2 marks its LSTM for the converter; Keras 3 does not."""
    assert "WHILE" in operators(converted(case))
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" not in operators(converted(case))


@pytest.fixture
def keras_2() -> dict[str, Any]:
    """The idioms that ask layers of Keras 2; the test is skipped where it is absent."""
    framework_adapter("litert")
    pytest.importorskip("tf_keras")
    every = import_module("adapters.litert.idioms").WAYS
    return {word: way for word, way in every.items() if way.layers == "tf_keras"}


def operators_of(way: Any, *inputs: str, **asked: Any) -> set[str]:
    """Of an LSTM that is converted as an idiom does.  inputs: beside x."""
    spec = RNNSpec(3, 5, cell="lstm", **asked)
    cells = draw_case(spec, batch=2, time=4).parameters
    model = import_module("adapters.litert.models").in_tf_keras(spec, cells, (2, 4), ["x", *inputs], **way.built)
    return operators(way.convert(model))


@pytest.mark.parametrize(("direction", "starts"), [("forward", 0), ("reverse", 2), ("bidirectional", 4)])
def test_what_is_called_a_fused_lstm_is_one(keras_2: dict[str, Any], direction: str, starts: int) -> None:
    made = {(way.convert, *way.built): way for word, way in keras_2.items() if word.startswith("fused")}
    for way in made.values():
        found = operators_of(way, *(f"start_{number}" for number in range(starts)), direction=direction)
        assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in found
        assert "WHILE" not in found


@pytest.mark.parametrize("asked", [("fused LSTM again", True, True), ("fused LSTM again", False, False),
                                   ("Keras 2", False, True)])  # fmt: skip
def test_with_a_mask_or_states_and_without_a_bias_it_is_a_loop(
    keras_2: dict[str, Any], asked: tuple[str, bool, bool]
) -> None:
    word, mask, bias = asked
    found = operators_of(keras_2[word], *(["mask"] if mask else []), bias=bias)
    assert "WHILE" in found
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" not in found


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
