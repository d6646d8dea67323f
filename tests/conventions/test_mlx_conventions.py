"""MLX' own conventions, each by its plain name: what to know when weights or answers cross a border."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from adapters import Adapter
from reference import RNNSpec
from reference.draws import draw_case
from tests.frameworks import framework_adapter


@pytest.fixture
def adapter() -> Adapter:
    return framework_adapter("mlx")


def test_a_gru_has_one_bias_and_one_that_the_reset_gate_multiplies(adapter: Any):
    case = draw_case(RNNSpec(3, 5, cell="gru"), batch=2, time=4)
    (layer,) = adapter.build(case.spec, case.parameters).tracks
    track = case.parameters[0]
    assert track.b_ih is not None
    assert np.array_equal(np.array(layer.b)[:10], (track.b_ih + track.b_hh)[:10])
    assert np.array_equal(np.array(layer.b)[10:], track.b_ih[10:])
    assert np.array_equal(np.array(layer.bhn), track.b_hh[10:])


def test_an_lstm_answers_h_and_c_of_every_step_and_no_layer_a_final_state(adapter: Any):
    nn, mx = import_module("mlx.nn"), adapter.framework
    x = mx.zeros((2, 4, 3))
    assert [one.shape for one in nn.LSTM(3, 5)(x)] == [(2, 4, 5)] * 2
    assert nn.GRU(3, 5)(x).shape == nn.RNN(3, 5)(x).shape == (2, 4, 5)
    assert nn.RNN(3, 5)(x[0]).shape == (4, 5)


def test_what_is_float64_in_numpy_is_float32_unless_it_is_said(adapter: Any):
    mx, numbers = adapter.framework, np.array([0.1])
    assert mx.array(numbers).dtype == mx.float32
    assert np.array(mx.array(numbers, dtype=mx.float64))[0] == 0.1


def test_a_sequence_without_steps_is_refused(adapter: Any):
    case = draw_case(RNNSpec(3, 5), batch=2, time=0)
    with pytest.raises(ValueError, match="No arrays provided for stacking"):
        adapter.run(adapter.build(case.spec, case.parameters), case.x)
