"""The conventions of Keras GRU and LSTM, each by its plain name: gates, biases, reset and states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from adapters import Adapter
from reference import Case, CellParameters, RNNSpec, judge
from reference.draws import draw_case
from tests.frameworks import array_of, framework_adapter

GRU, BEFORE, LSTM = (RNNSpec(3, 5, cell=cell) for cell in ("gru", "gru_reset_before", "lstm"))
# our gates, by the names and in the order of torch -> where they stand in Keras' columns
ORDER = {"gru": "zrn", "gru_reset_before": "zrn", "lstm": "ifgo"}
OURS = {"gru": "rzn", "gru_reset_before": "rzn", "lstm": "ifgo"}


@pytest.fixture
def adapter() -> Adapter:
    return framework_adapter("keras")


@pytest.fixture
def keras() -> Any:
    return framework_adapter("keras").framework


def native(keras: Any, case: Case, order: str | None = None, **words: Any) -> Any:
    """A GRU or LSTM as a user writes it, with the weights of a case of one layer; order: of Keras' gates."""
    cell = case.spec.cell
    kind, more = (keras.layers.LSTM, {}) if cell == "lstm" else (keras.layers.GRU, {"reset_after": cell == "gru"})
    layer = kind(5, **{"return_sequences": True, "return_state": True, **more, **words})
    if case.spec.direction == "bidirectional":
        layer = keras.layers.Bidirectional(layer)
    layer.build((*case.x.shape[:2], 3))
    layer.set_weights([w for track in case.parameters for w in weights(track, cell, order or ORDER[cell])])
    return layer


def weights(track: CellParameters, cell: str, order: str) -> list[np.ndarray]:
    """kernel and recurrent_kernel, columns are units; bias (2, 3 * units) of gru, (gates * units,) of the others."""
    w_ih, w_hh, b_ih, b_hh = (in_order(array, cell, order) for array in track.arrays().values())
    return [w_ih.T, w_hh.T, np.stack([b_ih, b_hh]) if cell == "gru" else b_ih + b_hh]


def in_order(rows: np.ndarray, cell: str, order: str) -> np.ndarray:
    gates = dict(zip(OURS[cell], np.split(rows, len(OURS[cell])), strict=True))
    return np.concatenate([gates[gate] for gate in order])


def answer(layer: Any, case: Case, **words: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """The output and the states, as Keras orders them."""
    output, *states = layer(case.x, **words)
    return array_of(output), [array_of(state) for state in states]


def verdict(case: Case, output: np.ndarray, states: list[np.ndarray]) -> str:
    """How the answer is judged, where states are h, or h and c, of each direction in turn."""
    number = 2 if case.spec.cell == "lstm" else 1
    several = tuple(np.stack(states[n::number]) for n in range(number))
    return judge(case, output, several if number > 1 else several[0]).outcome


@pytest.mark.parametrize("spec", [GRU, BEFORE, LSTM], ids=lambda spec: spec.cell)
def test_gates_stand_in_columns(keras: Any, adapter: Adapter, spec: RNNSpec):
    """Those of a GRU as z, r, h, where torch has r, z, n; those of an LSTM as i, f, c, o, which is torch's order."""
    case = draw_case(spec, batch=2, time=4)
    layer = native(keras, case)
    kernel = array_of(keras.ops.convert_to_tensor(layer.cell.kernel))
    assert kernel.shape == (3, len(ORDER[spec.cell]) * 5)
    assert np.array_equal(adapter.read(layer)[1][0].w_ih, case.parameters[0].w_ih)
    assert verdict(case, *answer(layer, case)) == "agrees"
    other = {"gru": "rzn", "gru_reset_before": "rzn", "lstm": "figo"}[spec.cell]
    assert verdict(case, *answer(native(keras, case, other), case)) == "disagrees"


def test_a_gru_keeps_both_biases(keras: Any, adapter: Adapter):
    """In the two rows of one array; the second of the new gate is multiplied by the reset gate."""
    case = draw_case(GRU, batch=2, time=4)
    layer = native(keras, case)
    bias = array_of(keras.ops.convert_to_tensor(layer.cell.bias))
    assert bias.shape == (2, 15)
    (track,) = adapter.read(layer)[1]
    for read, drawn in zip(track.arrays().values(), case.parameters[0].arrays().values(), strict=True):
        assert np.array_equal(read, drawn)
    kernels = weights(case.parameters[0], "gru", "zrn")[:2]
    layer.set_weights([*kernels, np.stack([bias.sum(axis=0), np.zeros(15, "float32")])])
    assert verdict(case, *answer(layer, case)) == "disagrees"


@pytest.mark.parametrize("spec", [BEFORE, LSTM], ids=lambda spec: spec.cell)
def test_the_one_bias_of_other_cells_is_the_sum_of_both(keras: Any, adapter: Adapter, spec: RNNSpec):
    case = draw_case(spec, batch=2, time=4)
    layer = native(keras, case)
    drawn, (read,) = case.parameters[0], adapter.read(layer)[1]
    assert layer.cell.bias.shape == (len(ORDER[spec.cell]) * 5,)
    assert drawn.b_ih is not None
    assert np.array_equal(read.b_ih, drawn.b_ih + drawn.b_hh)
    assert not np.any(read.b_hh)
    assert verdict(case, *answer(layer, case)) == "agrees"


@pytest.mark.parametrize(("words", "cell"), [({}, "gru"), ({"reset_after": False}, "gru_reset_before")])
def test_the_reset_gate_comes_after_the_product_by_default(
    keras: Any, adapter: Adapter, words: Mapping[str, Any], cell: str
):
    """reset_after=True, as torch has it; without biases the two have the same weights, and other answers."""
    layer = keras.layers.GRU(5, use_bias=False, return_sequences=True, return_state=True, **words)
    layer.build((2, 4, 3))
    spec, parameters = adapter.read(layer)
    assert spec.cell == cell
    for other in ("gru", "gru_reset_before"):
        drawn = draw_case(RNNSpec(3, 5, bias=False, cell=other), batch=2, time=4)
        case = Case(drawn.spec, parameters, drawn.x)
        assert verdict(case, *answer(layer, case)) == ("agrees" if other == cell else "disagrees")


def test_a_new_lstm_forgets_little(keras: Any, adapter: Adapter):
    """unit_forget_bias: the bias of the forget gate begins at 1, that of all others at 0."""
    layer = keras.layers.LSTM(5)
    layer.build((2, 4, 3))
    ((track),) = adapter.read(layer)[1]
    assert track.b_ih is not None
    assert track.b_ih.reshape(4, 5).tolist() == [[0.0] * 5, [1.0] * 5, [0.0] * 5, [0.0] * 5]


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_the_states_of_an_lstm_are_h_and_c_of_each_direction(keras: Any, direction: str):
    """Given and answered in this order: h, c forward, then h, c in reverse. torch has all h, then all c."""
    case = draw_case(RNNSpec(3, 5, direction=direction, cell="lstm"), batch=2, time=4, h0=True)
    h0, c0 = case.h0
    start = [state for pair in zip(h0, c0, strict=True) for state in pair]
    layer = native(keras, case)
    assert verdict(case, *answer(layer, case, initial_state=start)) == "agrees"
    output, states = answer(layer, case, initial_state=start)
    assert np.array_equal(states[0], output[:, -1, :5])
    exchanged = [*start[1::-1], *start[3:1:-1]]
    assert verdict(case, *answer(layer, case, initial_state=exchanged)) == "disagrees"
    assert verdict(case, output, [*states[1::-1], *states[3:1:-1]]) == "disagrees"


def test_stacked_cells_take_the_states_of_each_cell_together(keras: Any):
    """[[h, c], [h, c]] of RNN([LSTMCell, LSTMCell])."""
    case = draw_case(RNNSpec(3, 5, 2, cell="lstm"), batch=2, time=4, h0=True)
    cells = [keras.layers.LSTMCell(5) for _ in case.parameters]
    layer = keras.layers.RNN(cells, return_sequences=True, return_state=True)
    layer.build((2, 4, 3))
    layer.set_weights([w for track in case.parameters for w in weights(track, "lstm", "ifgo")])
    h0, c0 = case.h0
    output, *states = layer(case.x, initial_state=[[h, c] for h, c in zip(h0, c0, strict=True)])
    assert verdict(case, array_of(output), [array_of(state) for pair in states for state in pair]) == "agrees"
