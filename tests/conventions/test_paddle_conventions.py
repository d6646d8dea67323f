"""Paddle's own conventions, each by its plain name: what to know when weights or answers cross a border."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adapters import Adapter
from reference import Case, RNNSpec, judge
from reference.draws import draw_case
from tests.frameworks import array_of, framework_adapter


@pytest.fixture
def adapter() -> Adapter:
    return framework_adapter("paddle")


@pytest.fixture
def paddle() -> Any:
    return framework_adapter("paddle").framework


def test_weights_lie_as_torchs_and_the_projection_the_other_way(adapter: Adapter):
    case = draw_case(RNNSpec(3, 5, cell="lstm", projection_size=2), batch=2, time=4)
    cell = adapter.build(case.spec, case.parameters)[0].cell
    assert np.array_equal(array_of(cell.weight_ih), case.parameters[0].w_ih)
    assert np.array_equal(array_of(cell.bias_hh), case.parameters[0].b_hh)
    assert np.array_equal(array_of(cell.weight_ho), case.parameters[0].arrays()["w_hr"].T)


def test_the_layout_is_batch_first_unless_time_major(paddle: Any, adapter: Adapter):
    x = draw_case(RNNSpec(3, 5), batch=4, time=4).x  # as many sequences as steps: no shape gives it away
    for time_major, layout in ((False, "batch_first"), (True, "time_first")):
        layer = paddle.nn.SimpleRNN(3, 5, time_major=time_major)
        output, h_n = (array_of(one) for one in layer(paddle.to_tensor(x)))
        spec, parameters = adapter.read(layer)
        for asked in ("batch_first", "time_first"):
            verdict = judge(Case(spec, parameters, x, layout=asked), output, h_n)
            assert verdict.outcome == ("agrees" if asked == layout else "disagrees"), verdict


def test_the_states_of_an_lstm_are_a_pair_h_first_and_batch_second(adapter: Adapter):
    case = draw_case(RNNSpec(3, 5, 2, "bidirectional", cell="lstm"), batch=2, time=4, h0=True)
    paddle: Any = adapter.framework
    layer = adapter.build(case.spec, case.parameters)
    output, (h_n, c_n) = layer(paddle.to_tensor(case.x), tuple(paddle.to_tensor(state) for state in case.h0))
    assert h_n.shape == c_n.shape == [4, 2, 5]
    verdict = judge(case, array_of(output), (array_of(h_n), array_of(c_n)), bound="trajectory")
    assert verdict.outcome == "agrees", verdict


def test_a_stack_is_layers_of_cells_one_above_the_other(adapter: Adapter):
    case = draw_case(RNNSpec(3, 5, 2, "bidirectional", cell="gru"), batch=2, time=4)
    paddle: Any = adapter.framework
    layer, x, finals = adapter.build(case.spec, case.parameters), paddle.to_tensor(case.x), []
    for inner in layer:
        x, both = paddle.nn.BiRNN(inner.cell_fw, inner.cell_bw)(x)
        finals += both
    for output, h_n in (layer(paddle.to_tensor(case.x)), (x, paddle.stack(finals))):
        verdict = judge(case, array_of(output), array_of(h_n), bound="trajectory")
        assert verdict.outcome == "agrees", verdict


@pytest.mark.filterwarnings("ignore:")  # it calls a function of its own that it says is deprecated
def test_beyond_a_length_the_output_is_zero_and_of_rnn_it_goes_on(adapter: Adapter):
    case = draw_case(RNNSpec(3, 5), batch=3, time=4, lengths=[2, 4, 3])
    paddle: Any = adapter.framework
    layer, given = adapter.build(case.spec, case.parameters), paddle.to_tensor([2, 4, 3])
    output, h_n = layer(paddle.to_tensor(case.x), None, given)
    assert judge(case, array_of(output), array_of(h_n)).outcome == "agrees"
    goes_on, final = paddle.nn.RNN(layer[0].cell)(paddle.to_tensor(case.x), None, given)
    assert np.all(array_of(goes_on)[0, 2:] != 0)
    assert np.array_equal(array_of(final)[0], array_of(goes_on)[0, 1])


def test_a_reverse_layer_answers_in_time_order(adapter: Adapter):
    case = draw_case(RNNSpec(3, 5, direction="reverse", cell="gru"), batch=2, time=4)
    paddle: Any = adapter.framework
    layer = adapter.build(case.spec, case.parameters)
    assert type(layer) is paddle.nn.RNN
    output, final = layer(paddle.to_tensor(case.x))
    assert np.array_equal(array_of(output)[:, 0], array_of(final))
    assert judge(case, array_of(output), array_of(final)[None]).outcome == "agrees"


def test_a_layer_has_the_dtype_that_was_the_default(paddle: Any):
    paddle.set_default_dtype("float64")
    try:
        layer = paddle.nn.GRU(3, 5)
    finally:
        paddle.set_default_dtype("float32")
    assert layer.weight_ih_l0.dtype == paddle.float64
    assert paddle.nn.GRU(3, 5).weight_ih_l0.dtype == paddle.float32
