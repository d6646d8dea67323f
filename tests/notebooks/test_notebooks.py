"""Three public notebooks: what their printed figures show must hold of every implementation here.

000 and 001 run a NumPy loop on positive random numbers; 002 runs torch.nn.RNN with one layer, ten, and two directions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adapters
from reference import Case, CellParameters, RNNSpec, forward, judge
from reference.draws import Draw, draw_case
from tests.frameworks import framework_adapter

from .figures import notebook

NUMPY = RNNSpec(4, 8)
SHAPES = {
    "plain": RNNSpec(5, 8),
    "num_layers=2": RNNSpec(5, 8, 2),
    "num_layers=2,bidirectional": RNNSpec(5, 8, 2, "bidirectional"),
}
LAYERS = {
    "one_layer": RNNSpec(5, 8),
    "ten_layers": RNNSpec(5, 8, 10),
    "bidirectional": RNNSpec(5, 8, direction="bidirectional"),
}


@pytest.fixture(params=adapters.KNOWN)
def adapter(request: pytest.FixtureRequest) -> adapters.Adapter:
    return framework_adapter(request.param)


def positive_draws(seed: int, low: float = 0.0) -> Case:
    """What the notebooks draw: ten steps of four inputs, one bias, everything uniform in [low, 1), float64."""
    draw = Draw(seed)
    w_ih, w_hh, b, x = ((draw.uniform(s) + 1) / 2 * (1 - low) + low for s in ((8, 4), (8, 8), (8,), (10, 4)))
    return Case(NUMPY, [CellParameters(w_ih, w_hh, b, np.zeros(8))], x, layout="unbatched")


def loop(case: Case) -> np.ndarray:
    """The notebooks' own loop: h = tanh(W x + U h + b), one step after another."""
    cell, h, states = case.parameters[0], np.zeros(8), []
    for x in case.x:
        h = np.tanh(cell.w_ih @ x + cell.w_hh @ h + cell.b_ih)
        states.append(h)
    return np.stack(states)


def saturates(states: np.ndarray) -> dict[str, bool]:
    """What the printed states (time, units) show: positive, below 1, smallest at first, and settled after it."""
    changes = np.abs(np.diff(states, axis=0))
    return {
        "shape": states.shape == (10, 8),
        "positive": bool(np.all(states > 0)),
        "below 1": bool(np.all(states < 1)),
        "the first state is the smallest": bool(np.all(states.argmin(axis=0) == 0)),
        "the first change is the largest": bool(np.all(changes.argmax(axis=0) == 0)),
    }


@pytest.mark.parametrize("name", ["000_numpy_deep_bidirectional", "001_numpy"])
def test_000_and_001_printed_states_saturate(name: str):
    shown = saturates(np.array(notebook(name)["numpy_hidden_states"]))
    assert all(shown.values()), shown


@pytest.mark.parametrize("seed", range(5))
def test_000_and_001_the_reference_saturates_in_the_same_way(seed: int):
    case = positive_draws(seed)
    shown = saturates(case.answer().output)
    assert all(shown.values()), shown


@pytest.mark.parametrize("seed", range(5))
def test_000_and_001_weights_of_both_signs_do_not(seed: int):
    """Else the figures would show nothing."""
    shown = saturates(positive_draws(seed, low=-1.0).answer().output)
    assert shown["shape"]
    assert not all(shown.values()), shown


@pytest.mark.parametrize("seed", range(5))
def test_000_and_001_the_loop_is_the_reference(seed: int):
    case = positive_draws(seed)
    states = loop(case)
    verdict = judge(case, states, states[-1:])
    assert verdict.outcome == "agrees", verdict
    cell = case.parameters[0]
    transposed = Case(NUMPY, [CellParameters(cell.w_ih, cell.w_hh.T, cell.b_ih, cell.b_hh)], case.x, layout="unbatched")
    assert judge(transposed, states, states[-1:]).reason == "value"


def test_000_and_001_frameworks_agree(adapter: adapters.Adapter):
    drawn = positive_draws(0)
    cells = [cell.astype("float32") for cell in drawn.parameters]
    case = Case(NUMPY, cells, drawn.x.astype("float32"), layout="unbatched")
    result = adapter.run(adapter.build(case.spec, case.parameters), **case.inputs)
    verdict = judge(case, result.output, result.h_n)
    assert verdict.outcome == "agrees", verdict


@pytest.mark.parametrize("name", SHAPES)
def test_000_shapes_are_the_printed_ones(adapter: adapters.Adapter, name: str):
    case = draw_case(SHAPES[name], batch=1, time=10)
    printed = notebook("000_numpy_deep_bidirectional")["torch_shapes"][name]
    for result in (case.answer(), adapter.run(adapter.build(case.spec, case.parameters), **case.inputs)):
        assert list(result.output.shape) == printed["output"]
        assert list(result.h_n.shape) == printed["h_n"]


def final_states(output: np.ndarray, spec: RNNSpec, step: int = -1) -> np.ndarray:
    """The top layer's final states as its output (batch, time, ...) has them: (num_directions, batch, hidden_size)."""
    if spec.num_directions == 1:
        return output[None, :, step]
    return np.stack([output[:, step, : spec.hidden_size], output[:, -1 - step, spec.hidden_size :]])


def test_002_printed_hidden_is_the_printed_output_at_its_last_step():
    printed = notebook("002_torch_layers_direction")["one_layer"]
    output, h_n = np.array(printed["output"]), np.array(printed["h_n"])
    assert np.array_equal(h_n, final_states(output, LAYERS["one_layer"]))
    assert not np.array_equal(h_n, final_states(output, LAYERS["one_layer"], step=-2))


def test_002_printed_hidden_of_two_directions_is_at_either_end():
    """Five rows of the output were printed: all steps of the first sequence, the first step of the second."""
    printed = notebook("002_torch_layers_direction")["bidirectional"]
    rows, h_n = np.array(printed["output_rows_printed"]), np.array(printed["h_n"])
    assert (list(h_n.shape), rows.shape) == ([2, 2, 8], (5, 16))
    first, second = rows[:4], rows[4:]
    assert np.array_equal(h_n[0, 0], first[-1, :8])
    assert np.array_equal(h_n[1, :], np.stack([first[0, 8:], second[0, 8:]]))
    assert not np.array_equal(h_n[1, 0], first[-1, 8:]), "the backward state is not at the last step"


def test_002_printed_hidden_of_ten_layers_is_cut_before_the_top():
    """Ten rows are five of the ten layers; none of them is the printed output, which is the top layer's."""
    printed = notebook("002_torch_layers_direction")["ten_layers"]
    rows, output = np.array(printed["h_n_rows_printed"]), np.array(printed["output"])
    num_layers, batch, hidden = printed["h_n_shape"]
    assert (num_layers, batch, hidden) == (10, 2, 8)
    assert rows.shape == (5 * batch, hidden)
    assert output.shape == (2, 4, 8)
    assert not any(np.array_equal(row, last) for row in rows for last in output[:, -1])


@pytest.mark.parametrize("name", LAYERS)
def test_002_hidden_is_the_output_at_either_end(adapter: adapters.Adapter, name: str):
    """To the last bit: a framework reports the states that it feeds back."""
    spec = LAYERS[name]
    case = draw_case(spec, batch=2, time=4)
    runs: list[Any] = [forward(spec, case.parameters, case.x)]
    runs += [adapter.run(adapter.build(spec, case.parameters, device), case.x) for device in adapter.devices()]
    for result in runs:
        top = result.h_n[-spec.num_directions :]
        assert np.array_equal(top, final_states(result.output, spec))
        assert not np.array_equal(top, final_states(result.output, spec, step=-2))
        verdict = judge(case, result.output, result.h_n)
        assert verdict.outcome == "agrees", verdict
