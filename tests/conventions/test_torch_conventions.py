"""torch.nn.RNN's own conventions, each by its plain name: what to know when weights or answers cross a border."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from adapters import Adapter
from reference import Case, CellParameters, RNNSpec, forward, judge
from reference.draws import draw_case, draw_parameters
from reference.judging.partial import judge_view
from reference.judging.view import View
from tests.frameworks import array_of, framework_adapter

BOTH = RNNSpec(3, 5, 2, "bidirectional")


@pytest.fixture
def adapter() -> Adapter:
    return framework_adapter("torch")


@pytest.fixture
def torch() -> Any:
    return framework_adapter("torch").framework


def call(torch: Any, module: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The module as its user calls it."""
    output, h_n = module(torch.from_numpy(x))
    return array_of(output), array_of(h_n)


def test_weight_rows_are_units(adapter: Adapter):
    case = draw_case(BOTH, batch=2, time=4)
    module = adapter.build(case.spec, case.parameters)
    assert np.array_equal(array_of(module.weight_ih_l0), case.parameters[0].w_ih)
    assert np.array_equal(array_of(module.weight_hh_l0), case.parameters[0].w_hh)
    assert module.weight_ih_l0.shape == (5, 3)


def test_parameters_come_layer_by_layer_and_forward_before_reverse(adapter: Adapter):
    case = draw_case(BOTH, batch=2, time=4)
    module = adapter.build(case.spec, case.parameters)
    for index, suffix in enumerate(("l0", "l0_reverse", "l1", "l1_reverse")):
        assert np.array_equal(array_of(getattr(module, f"weight_hh_{suffix}")), case.parameters[index].w_hh)
    assert module.weight_ih_l1.shape == (5, 2 * 5), "the upper layer reads both halves"


def test_both_biases_are_kept_and_added(torch: Any, adapter: Adapter):
    case = draw_case(RNNSpec(3, 5), batch=2, time=4)
    module = adapter.build(case.spec, case.parameters)
    w_ih, w_hh, b_ih, b_hh = case.parameters[0].arrays().values()
    assert np.array_equal(array_of(module.bias_ih_l0), b_ih)
    assert np.array_equal(array_of(module.bias_hh_l0), b_hh)
    answer = call(torch, module, case.x)
    dropped = Case(case.spec, [CellParameters(w_ih, w_hh, b_ih, np.zeros_like(b_hh))], case.x)
    for asked, outcome in ((case, "agrees"), (dropped, "disagrees")):
        verdict = judge(asked, *answer)
        assert verdict.outcome == outcome, verdict


def test_the_default_layout_is_time_first(torch: Any, adapter: Adapter):
    """An array (batch, time, features) is read as (time, batch, features) without a word."""
    x = draw_case(RNNSpec(3, 5), batch=4, time=4).x  # as many sequences as steps: no shape gives it away
    module = torch.nn.RNN(3, 5)
    spec, parameters = adapter.read(module)
    output, h_n = call(torch, module, x)
    for layout, outcome in (("time_first", "agrees"), ("batch_first", "disagrees")):
        verdict = judge(Case(spec, parameters, x, layout=layout), output, h_n)
        assert verdict.outcome == outcome, verdict


def test_states_are_batch_second_even_when_x_is_batch_first(torch: Any):
    module = torch.nn.RNN(3, 5, 2, batch_first=True, bidirectional=True)
    output, h_n = call(torch, module, np.zeros((7, 4, 3), "float32"))
    assert output.shape == (7, 4, 10)
    assert h_n.shape == (4, 7, 5)


def test_states_come_layer_by_layer_and_forward_before_reverse(torch: Any, adapter: Adapter):
    """h_n[2 * layer + direction]: the last step of the forward half, the first step of the reverse half."""
    case = draw_case(BOTH, batch=2, time=4, layout="time_first")
    for layers in (1, 2):
        prefix = case.prefix(layers)
        module = adapter.build(prefix.spec, prefix.parameters, layout=case.layout)
        output, h_n = call(torch, module, case.x)
        assert np.array_equal(h_n[2 * layers - 2], output[-1, :, :5])
        assert np.array_equal(h_n[2 * layers - 1], output[0, :, 5:])
        assert not np.array_equal(h_n[2 * layers - 1], output[-1, :, 5:])


def test_the_reverse_half_stands_at_the_step_it_belongs_to(torch: Any, adapter: Adapter):
    case = draw_case(RNNSpec(3, 5, direction="bidirectional"), batch=2, time=4, layout="time_first")
    output, h_n = call(torch, adapter.build(case.spec, case.parameters, layout=case.layout), case.x)
    alone = RNNSpec(3, 5, direction="reverse")
    reverse = Case(alone, [case.parameters[1]], case.x, layout="time_first")
    for half, outcome in ((output[..., 5:], "agrees"), (output[::-1, :, 5:], "disagrees")):
        verdict = judge(reverse, np.ascontiguousarray(half), h_n[1:])
        assert verdict.outcome == outcome, verdict


def test_the_last_output_is_the_final_state_of_a_forward_layer_alone(torch: Any):
    """output[-1] of a bidirectional layer holds its reverse half after a single step."""
    x = draw_case(RNNSpec(3, 5), batch=2, time=4, layout="time_first").x
    output, h_n = call(torch, torch.nn.RNN(3, 5), x)
    assert np.array_equal(output[-1], h_n[0])
    output, h_n = call(torch, torch.nn.RNN(3, 5, bidirectional=True), x)
    assert np.array_equal(output[-1, :, :5], h_n[0])
    assert not np.array_equal(output[-1, :, 5:], h_n[1])


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_packed_sequences_end_at_their_lengths_and_are_padded_with_zeros(torch: Any, adapter: Adapter, direction: str):
    lengths = [2, 4, 3]
    case = draw_case(RNNSpec(3, 5, direction=direction), batch=3, time=4, lengths=lengths, layout="time_first")
    module = adapter.build(case.spec, case.parameters)
    pack, pad = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    packed, h_n = module(pack(torch.from_numpy(case.x), torch.tensor(lengths), enforce_sorted=False))
    output = array_of(pad(packed)[0])
    verdict = judge(case, output, array_of(h_n))
    assert verdict.outcome == "agrees", verdict
    assert not output[2:, 0].any()
    ignored = forward(case.spec, case.parameters, case.x, layout="time_first")
    assert judge(case, *ignored).reason == "value", "lengths had no effect, so nothing was tested"


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_the_last_output_of_packed_sequences_is_the_last_layers_h_n(torch: Any, adapter: Adapter, direction: str):
    """Padded again, output[:, -1] is zero of every shorter sequence."""
    case = draw_case(RNNSpec(3, 5, 2, direction), batch=3, time=4, lengths=[2, 4, 3])
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.from_numpy(case.x), torch.tensor(case.lengths), batch_first=True, enforce_sorted=False
    )
    output, h_n = adapter.build(case.spec, case.parameters)(packed)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
    states = array_of(h_n)
    last = np.concatenate(list(states[-case.spec.num_directions :]), axis=-1)
    for shown, outcome in ((last, "agrees"), (array_of(padded)[:, -1], "disagrees")):
        verdict = judge_view(case, View(output="last step"), np.ascontiguousarray(shown), states)
        assert verdict.outcome == outcome, verdict


def test_an_unbatched_sequence_has_no_batch_axis_anywhere(torch: Any, adapter: Adapter):
    case = draw_case(BOTH, batch=1, time=4, layout="unbatched")
    output, h_n = call(torch, adapter.build(case.spec, case.parameters, layout=case.layout), case.x)
    assert (output.shape, h_n.shape) == ((4, 10), (4, 5))
    verdict = judge(case, output, h_n)
    assert verdict.outcome == "agrees", verdict


def test_mode_decides_whatever_nonlinearity_says(torch: Any, adapter: Adapter):
    case = draw_case(RNNSpec(3, 5), batch=2, time=4, layout="time_first")
    module = adapter.build(case.spec, case.parameters, layout=case.layout)
    before = call(torch, module, case.x)[0]
    module.nonlinearity = "relu"
    assert np.array_equal(call(torch, module, case.x)[0], before)
    assert adapter.read(module)[0].nonlinearity == "tanh"
    module.mode = "RNN_RELU"
    assert call(torch, module, case.x)[0].min() == 0
    assert adapter.read(module)[0].nonlinearity == "relu"


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_an_old_weight_norm_is_stale_until_the_next_call(torch: Any):
    module = torch.nn.utils.weight_norm(torch.nn.RNN(3, 5), "weight_hh_l0")
    kept = array_of(module.weight_hh_l0)
    module.load_state_dict({name: 2 * value for name, value in module.state_dict().items()})
    assert np.array_equal(array_of(module.weight_hh_l0), kept)
    call(torch, module, np.zeros((1, 1, 3), "float32"))
    assert np.array_equal(array_of(module.weight_hh_l0), 2 * kept)


def test_building_leaves_the_users_random_numbers_as_they_are(torch: Any) -> None:
    """torch draws initial weights, which the adapter throws away."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    spec = RNNSpec(3, 4, 2)
    framework_adapter("torch").build(spec, draw_parameters(spec))
    assert torch.equal(torch.rand(3), expected)


def test_a_tensor_shares_memory_where_torch_may_write_and_is_a_copy_elsewhere():
    framework_adapter("torch")
    tensor = import_module("adapters.torch.adapter").tensor
    array = np.arange(6.0).reshape(2, 3)
    assert np.shares_memory(tensor(array).numpy(), array)
    frozen = np.asfortranarray(array)
    frozen.setflags(write=False)
    for one in (frozen, array[::-1]):  # torch warns of the first, which the suite's filter raises, and has no second
        copied = tensor(one)
        assert not np.shares_memory(copied.numpy(), one)
        assert np.array_equal(copied.numpy(), one)
    assert tensor(frozen).stride() == (1, 2), "in the same order"


def gates(torch: Any, layer: Any, x: np.ndarray) -> list[np.ndarray]:
    """The parts of a layer's two sums of one step from the states zero, gate by gate in the order of its rows."""
    w, b_ih, b_hh = (array_of(getattr(layer, name)) for name in ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0"))
    return [*np.split(x @ w.T + b_ih, len(w) // layer.hidden_size), *np.split(b_hh, len(w) // layer.hidden_size)]


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def settles(output: np.ndarray, right: np.ndarray, *wrong: np.ndarray) -> bool:
    """Whether an output of float64 is `right` but for roundings: a million times nearer to it than to any other."""
    return all(np.abs(output - right).max() * 2**20 < np.abs(output - other).max() for other in wrong)


def first_step(torch: Any, kind: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """A float64 layer, x of one step, and its output from states of zero."""
    torch.manual_seed(1)
    layer, x = getattr(torch.nn, kind)(3, 2, dtype=torch.float64), np.array([0.5, -2.0, 1.0])
    return layer, x, array_of(layer(torch.from_numpy(x[None]))[0])[0]


def test_the_gates_of_a_gru_are_r_z_n_and_the_inner_bias_is_inside_the_reset(torch: Any):
    layer, x, output = first_step(torch, "GRU")
    r, z, n, b_hr, b_hz, b_hn = gates(torch, layer, x)
    right = (1 - sigmoid(z + b_hz)) * np.tanh(n + sigmoid(r + b_hr) * b_hn)
    outside = (1 - sigmoid(z + b_hz)) * np.tanh(n + b_hn)
    exchanged = (1 - sigmoid(r + b_hr)) * np.tanh(n + sigmoid(z + b_hz) * b_hn)
    assert settles(output, right, outside, exchanged)


def test_the_gates_of_an_lstm_are_i_f_g_o(torch: Any):
    """The forget gate, which multiplies a state of zero here, is seen by a c that is given."""
    layer, x, output = first_step(torch, "LSTM")
    (i, f, g, o), biases = gates(torch, layer, x)[:4], gates(torch, layer, x)[4:]
    i, f, g, o = (one + bias for one, bias in zip((i, f, g, o), biases, strict=True))
    exchanged = sigmoid(i) * np.tanh(sigmoid(o) * np.tanh(g)), sigmoid(o) * np.tanh(sigmoid(f) * np.tanh(g))
    assert settles(output, sigmoid(o) * np.tanh(sigmoid(i) * np.tanh(g)), *exchanged)
    given = torch.zeros(1, 2, dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64)
    _, (h_n, c_n) = layer(torch.from_numpy(x[None]), given)
    c = sigmoid(f) + sigmoid(i) * np.tanh(g)
    assert settles(array_of(c_n), c, sigmoid(i) + sigmoid(f) * np.tanh(g))
    assert settles(array_of(h_n), sigmoid(o) * np.tanh(c), sigmoid(o) * c)


def test_the_states_of_an_lstm_are_a_pair_h_first(torch: Any, adapter: Adapter):
    case = draw_case(replace(BOTH, cell="lstm"), batch=2, time=4, h0=True)
    module = adapter.build(case.spec, case.parameters)
    output, (h_n, c_n) = module(torch.from_numpy(case.x), tuple(map(torch.from_numpy, case.h0)))
    finals = array_of(h_n), array_of(c_n)
    lower = [case.prefix(1).answer().output]
    assert judge(case, array_of(output), finals, bound="trajectory").outcome == "agrees"
    assert judge(case, array_of(output), finals[::-1], lower, bound="trajectory").outcome == "disagrees"


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_a_projected_lstm_has_states_of_two_sizes(torch: Any, adapter: Adapter):
    layer = torch.nn.LSTM(3, 5, 2, bidirectional=True, proj_size=2)
    output, (h_n, c_n) = layer(torch.zeros(7, 4, 3))
    assert (output.shape, h_n.shape, c_n.shape) == ((7, 4, 4), (4, 4, 2), (4, 4, 5))
    assert (layer.weight_hr_l0.shape, layer.weight_hh_l0.shape) == ((2, 5), (20, 2))
    assert adapter.read(layer)[0].projection_size == 2
