"""Keras GRU and LSTM: faults planted in their answers are seen, and scripts ask what the adapter asks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adapters.contract import features_of_case
from meta_tests.adapters.scripts.test_script import execute
from meta_tests.common.frameworks import framework_adapter, skip_where_it_has_no_answer
from meta_tests.common.property_cases import faulty_answer, visible_in
from meta_tests.common.scale import at_night
from reference import DIRECTIONS, Case, Result, RNNSpec, judge
from reference.draws import draw_case
from reference.faults import FAULTS, GATED_FAULTS
from reference.layout import state_tuple

CELLS = ("gru", "gru_reset_before", "lstm")
CATALOGUE = FAULTS | GATED_FAULTS


def case_of(cell: str, direction: str = "bidirectional", layers: int = 2, **more: Any) -> Case:
    spec = RNNSpec(4, 5, layers, direction, cell=cell, bias=more.pop("bias", True))
    return draw_case(spec, **{"batch": 3, "time": 5, "h0": True, "weight_scale": 2.0, "seed": 7, **more})


def keras_adapter() -> Any:
    return framework_adapter("keras")


def kerases(case: Case) -> Result:
    adapter = framework_adapter("keras")
    answer = adapter.run(adapter.build(case.spec, case.parameters), **case.inputs)
    return Result(answer.output, answer.h_n)


@pytest.mark.parametrize("cell", CELLS)
def test_a_sample_of_faults_is_seen(cell: str) -> None:
    """Every fault that shows in one of two cases, one in five by day."""
    cases = [case_of(cell, lengths=(2, 5, 4)), case_of(cell, "forward", 1)]
    assert all(judge(case, *faulty_answer([], case, kerases)).outcome == "agrees" for case in cases)
    shown = [(fault, case) for fault in CATALOGUE.values()
             for case in [case for case in cases if visible_in(fault, case)][:1]]  # fmt: skip
    assert len(shown) > 50
    unseen = []
    for fault, case in shown[:: at_night(10, 1)]:
        with np.errstate(all="ignore"):
            answer = faulty_answer([fault], case, kerases, framework_adapter("keras"))
        if judge(case, *answer).outcome != "disagrees":
            unseen.append(fault.name)
    assert not unseen


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_script_asks_what_the_adapter_asks(cell: str, direction: str) -> None:
    case, adapter = case_of(cell, direction, lengths=(2, 5, 4)), keras_adapter()
    names, code, printed = execute(adapter.script(case))
    assert code == 0, printed
    assert_same(names["actual"], kerases(case))
    wrong = execute(adapter.script(case).replace("weights = [[", "weights = [[-"))
    assert wrong[1] == 1


@pytest.mark.parametrize(
    "way", ["RNN of a cell", "stacked cells", "list of cells", "stateful", "last output", "predict"]
)
@pytest.mark.parametrize("cell", CELLS)
def test_a_script_of_another_way(cell: str, way: str) -> None:
    direction = "forward" if way == "predict" else "reverse"
    case, adapter = case_of(cell, direction, bias=way == "stateful"), keras_adapter()
    if way == "predict":
        skip_where_it_has_no_answer(adapter, **features_of_case(case, way))
    names, code, printed = execute(adapter.script(case, "cpu", way))
    assert code == 0, printed
    if way == "predict":
        answer = adapter.run(adapter.build(case.spec, case.parameters, mode=way), **case.inputs)
    else:
        answer = adapter.idioms[way].answer(case, "cpu")
    assert_same(names["actual"], answer)


def assert_same(actual: dict[str, np.ndarray], answer: Any) -> None:
    """The script's answer, in float64, and the adapter's."""
    for one, other in zip(actual.values(), (answer.output, *state_tuple(answer.h_n)), strict=False):
        assert np.array_equal(one, other.astype(np.float64))


def test_a_model_of_several_cells_has_no_spec() -> None:
    """It is refused with the reason, and can be read layer by layer."""
    adapter = framework_adapter("keras")
    keras = adapter.framework
    layers = [keras.layers.GRU(5, return_sequences=True), keras.layers.LSTM(5)]
    model = keras.Sequential([keras.Input((4, 3)), *layers])
    with pytest.raises(ValueError, match=r"got layers with cell \['gru', 'lstm'\]"):
        adapter.read(model)
    assert [adapter.read(layer)[0].cell for layer in layers] == ["gru", "lstm"]


@pytest.mark.parametrize("words", [{"activation": "relu"}, {"recurrent_activation": "hard_sigmoid"}])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_another_activation_is_refused(kind: str, words: dict[str, str]) -> None:
    adapter = framework_adapter("keras")
    layer = getattr(adapter.framework.layers, kind)(5, **words)
    layer.build((2, 4, 3))
    with pytest.raises(ValueError, match=r"relu|hard_sigmoid"):
        adapter.read(layer)


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_bias_that_only_some_calls_add_is_refused(kind: str) -> None:
    adapter = framework_adapter("keras")
    layer = getattr(adapter.framework.layers, kind)(5)
    layer.build((2, 4, 3))
    layer.cell.use_bias = False
    with pytest.raises(ValueError, match="use_bias=False"):
        adapter.read(layer)
