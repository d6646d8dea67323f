"""The conventions of ONNX's recurrent operators, by plain names, as ONNX Runtime, OpenVINO and onnx have them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from adapters import NotOffered
from reference import LAYOUTS, Case, CellParameters, RNNSpec, judge
from reference.draws import draw_case, draw_parameters
from reference.judging.partial import judge_view
from reference.judging.view import View
from reference.layout import from_state_tuple, state_tuple
from tests.frameworks import framework_adapter

BOTH = RNNSpec(3, 5, 2, "bidirectional")
RUNTIMES = {"onnxruntime": "onnxruntime", "onnx": "reference_evaluator", "openvino": "openvino", "tract": "tract"}


def load_in(name: str) -> Any:
    """What makes a model callable in a runtime: its inputs by name, to its outputs by name."""
    framework_adapter(name)
    return getattr(import_module("adapters.onnx.runtimes"), RUNTIMES[name])().load


@pytest.fixture(params=RUNTIMES)
def load(request: pytest.FixtureRequest) -> Any:
    return load_in(request.param)


@pytest.fixture
def models() -> Any:
    framework_adapter("onnx")
    return import_module("adapters.onnx.models")


def tensors(model: Any) -> dict[str, np.ndarray]:
    """A model's weights, by name."""
    onnx = framework_adapter("onnx").framework
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def with_y(model: Any) -> Any:
    """The model with the first layer's own Y as an output too: (time, num_directions, batch, hidden_size)."""
    onnx = framework_adapter("onnx").framework
    model.graph.output.append(onnx.helper.make_tensor_value_info("Y_0", onnx.TensorProto.FLOAT, [None] * 4))
    return model


def named(states: Any, ending: str) -> dict[str, np.ndarray]:
    """States by the names of a model's inputs or outputs: h0, c0; h_n, c_n."""
    return {f"{name}{ending}": state for name, state in zip("hc", state_tuple(states), strict=False)}


def asked(models: Any, load: Any, case: Case) -> tuple[np.ndarray, Any]:
    """The answer to a time-first case without lengths, as judge takes it."""
    given = named(case.h0, "0") if case.h0 is not None else {}
    answer = load(models.stack_model(case.spec, case.parameters, h0=bool(given)))({"x": case.x, **given})
    return answer["output"], from_state_tuple([answer[name] for name in ("h_n", "c_n") if name in answer])


def one_layer(models: Any, load: Any, case: Case, h0: bool = False) -> dict[str, np.ndarray]:
    """The outputs of a model of one layer, and its Y, on a time-first case without lengths."""
    model = with_y(models.stack_model(case.spec, case.parameters, h0=h0))
    feeds = {"x": case.x} | ({"h0": case.h0} if h0 else {})
    return load(model)(feeds)


def test_weights_are_stacked_by_direction_and_rows_are_units(models: Any):
    case = draw_case(BOTH, batch=2, time=4)
    stored = tensors(models.stack_model(case.spec, case.parameters))
    forward, reverse = case.parameters[:2]
    assert stored["W_0"].shape == (2, 5, 3)
    assert np.array_equal(stored["W_0"], np.stack([forward.w_ih, reverse.w_ih]))
    assert np.array_equal(stored["R_0"], np.stack([forward.w_hh, reverse.w_hh]))
    assert stored["W_1"].shape == (2, 5, 2 * 5), "the upper layer reads both halves"


def test_b_is_the_input_bias_and_then_the_recurrent_one(models: Any):
    """Both are kept, so that a model can be read back to the last bit."""
    case = draw_case(RNNSpec(3, 5), batch=2, time=4)
    (cell,) = case.parameters
    assert cell.b_ih is not None
    assert cell.b_hh is not None
    stored = tensors(models.stack_model(case.spec, case.parameters))
    assert np.array_equal(stored["B_0"], np.concatenate([cell.b_ih, cell.b_hh])[None])
    assert "B_0" not in tensors(models.stack_model(RNNSpec(3, 5, bias=False), [CellParameters(cell.w_ih, cell.w_hh)]))


def test_both_biases_are_added(models: Any, load: Any):
    case = draw_case(RNNSpec(3, 5), batch=2, time=4, layout="time_first")
    cell = case.parameters[0].arrays()
    answer = one_layer(models, load, case)
    for dropped, outcome in ((None, "agrees"), ("b_ih", "disagrees"), ("b_hh", "disagrees")):
        arrays = cell | ({} if dropped is None else {dropped: np.zeros_like(cell[dropped])})
        asked = Case(case.spec, [CellParameters(**arrays)], case.x, layout="time_first")
        verdict = judge(asked, answer["output"], answer["h_n"])
        assert verdict.outcome == outcome, verdict


def test_y_has_the_directions_between_time_and_batch(models: Any, load: Any):
    """An array (time, num_directions, batch, hidden_size); where all sizes are equal nothing shows a mix-up."""
    case = draw_case(RNNSpec(3, 5, direction="bidirectional"), batch=2, time=4, layout="time_first")
    answer = one_layer(models, load, case)
    assert answer["Y_0"].shape == (4, 2, 2, 5)
    assert np.array_equal(answer["output"], np.concatenate([answer["Y_0"][:, 0], answer["Y_0"][:, 1]], axis=-1))
    mixed = answer["Y_0"].reshape(4, 2, 10)  # has the right shape, and halves of two sequences in a row
    assert judge(case, mixed, answer["h_n"]).outcome == "disagrees"


def test_the_reverse_half_stands_at_the_step_it_belongs_to(models: Any, load: Any):
    case = draw_case(RNNSpec(3, 5, direction="bidirectional"), batch=2, time=4, layout="time_first")
    y, y_h = (one_layer(models, load, case)[name] for name in ("Y_0", "h_n"))
    assert np.array_equal(y_h[0], y[-1, 0])
    assert np.array_equal(y_h[1], y[0, 1])
    assert not np.array_equal(y_h[1], y[-1, 1])


def test_states_are_by_direction_then_batch(models: Any, load: Any):
    case = draw_case(RNNSpec(3, 5, direction="bidirectional"), batch=2, time=4, layout="time_first", h0=True)
    answer = one_layer(models, load, case, h0=True)
    assert answer["h_n"].shape == (2, 2, 5)
    verdict = judge(case, answer["output"], answer["h_n"])
    assert verdict.outcome == "agrees", verdict
    swapped = Case(case.spec, case.parameters, case.x, case.h0[::-1].copy(), layout="time_first")
    assert judge(swapped, answer["output"], answer["h_n"]).outcome == "disagrees"


BLOCKS = {"gru": {"z": 1, "r": 0, "h": 2}, "lstm": {"i": 0, "o": 3, "f": 1, "c": 2}}  # ONNX's order -> place in ours


@pytest.mark.parametrize("cell", BLOCKS)
def test_gates_are_stacked_in_the_operators_order(models: Any, cell: str):
    """GRU z r h, LSTM i o f c, P i o f; B is all of b_ih, and then all of b_hh."""
    case = draw_case(replace(BOTH, cell=cell, peepholes=cell == "lstm"), batch=2, time=4)
    stored, (track, *_) = tensors(models.stack_model(case.spec, case.parameters)), case.parameters
    for name, array in (("W_0", track.w_ih), ("R_0", track.w_hh)):
        rows = np.concatenate([array[5 * n : 5 * n + 5] for n in BLOCKS[cell].values()])
        assert np.array_equal(stored[name][0], rows)
    biases = [np.concatenate([b[5 * n : 5 * n + 5] for n in BLOCKS[cell].values()]) for b in (track.b_ih, track.b_hh)]
    assert np.array_equal(stored["B_0"][0], np.concatenate(biases))
    if cell == "lstm":
        i, f, o = np.split(track.more["w_peephole"], 3)
        assert np.array_equal(stored["P_0"][0], np.concatenate([i, o, f]))


@pytest.mark.parametrize("cell", ["gru", "gru_reset_before"])
def test_linear_before_reset_says_what_the_reset_gate_multiplies(models: Any, load: Any, cell: str):
    """1: U_n h + b_hn, as torch and cuDNN. 0, the default: h, before the product; Keras calls it reset_after=False."""
    case = draw_case(replace(BOTH, cell=cell), batch=2, time=4, layout="time_first", h0=True)
    (node, *_) = (node for node in models.stack_model(case.spec, case.parameters).graph.node if node.op_type == "GRU")
    assert [one.i for one in node.attribute if one.name == "linear_before_reset"] == [int(cell == "gru")]
    answer = asked(models, load, case)
    assert judge(case, *answer, bound="trajectory").outcome == "agrees"
    other = replace(case.spec, cell={"gru": "gru_reset_before", "gru_reset_before": "gru"}[cell])
    assert judge(replace(case, spec=other), *answer, bound="trajectory").outcome == "disagrees"


@pytest.mark.parametrize(("name", "peepholes"), [*((name, False) for name in RUNTIMES), ("onnxruntime", True)])
def test_an_lstm_has_h_first_and_then_c(models: Any, name: str, peepholes: bool):
    """initial_h, initial_c; Y_h, Y_c. Both start where they are told to."""
    load = load_in(name)
    spec = replace(BOTH, cell="lstm", peepholes=peepholes)
    case = draw_case(spec, batch=2, time=4, layout="time_first", h0=True)
    output, states = asked(models, load, case)
    assert judge(case, output, states, bound="trajectory").outcome == "agrees"
    assert judge(case, output, states[::-1], bound="trajectory").outcome == "disagrees"
    swapped = replace(case, h0=state_tuple(case.h0)[::-1])
    assert judge(swapped, output, states, bound="trajectory").outcome == "disagrees"


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_the_clip_of_an_lstm_is_of_its_gates_alone(models: Any, name: str):
    """The standard clips what activations are taken of. That of h is c, which no runtime clips: c grows to 4 here."""
    spec = RNNSpec(1, 1, cell="lstm", clip=1.0)
    zero, bias = np.zeros((4, 1), "float32"), np.array([9, 9, 9, 9], "float32")
    case = Case(spec, [CellParameters(zero, zero, bias, 0 * bias)], np.zeros((30, 1, 1), "float32"),
                layout="time_first")  # fmt: skip
    output, states = asked(models, load_in(name), case)
    verdict = judge(case, output, states)
    assert verdict.outcome == "agrees", verdict
    of_one = 1 / (1 + np.exp(-1.0))  # i, f and o
    assert states[1] > 2
    unclipped, clipped = (np.abs(output[-1] - of_one * np.tanh(c)).max() for c in (states[1], 1.0))
    assert unclipped < clipped / 1000


@pytest.mark.parametrize("kept", ["output", "h_n"])
def test_y_or_y_h_may_be_the_only_output(models: Any, load: Any, kept: str):
    """Y_h is the last output of each direction, and the state; of Y each layer's halves stand beside each other."""
    case = draw_case(RNNSpec(3, 5, direction="bidirectional"), batch=2, time=4, layout="time_first")
    model = models.stack_model(case.spec, case.parameters)
    (other,) = [one for one in model.graph.output if one.name != kept]
    model.graph.output.remove(other)
    answer = load(model)({"x": case.x})
    assert set(answer) == {kept}
    if kept == "output":
        verdict = judge_view(case, View(states="none"), answer["output"], None)
    else:
        last = np.concatenate(list(answer["h_n"]), axis=-1)
        verdict = judge_view(case, View(output="last step"), last, answer["h_n"])
    assert verdict.outcome == "agrees", verdict


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_clip_bounds_what_the_activation_is_taken_of(name: str, nonlinearity: str):
    """In every layer and direction; neither x nor the state is clipped."""
    adapter: Any = framework_adapter(name)
    spec = replace(BOTH, nonlinearity=nonlinearity, clip=0.5)
    case = draw_case(spec, batch=3, time=4, h0=True, input_scale=2.0)
    stack = adapter.build(case.spec, case.parameters)
    result = adapter.run(stack, **case.inputs)
    verdict = judge(case, result.output, result.h_n, result.prefixes)
    assert verdict.outcome == "agrees", verdict
    for clip in (None, 0.25):
        assert judge(replace(case, spec=replace(spec, clip=clip)), result.output, result.h_n).outcome == "disagrees"
    assert adapter.read(stack)[0] == spec


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_beyond_a_sequence_y_is_zero_and_y_h_is_the_last_valid_state(name: str, direction: str):
    """The operator's text leaves this open; a reverse sequence starts at its own last step, not the longest's."""
    adapter = framework_adapter(name)
    case = draw_case(RNNSpec(3, 5, direction=direction), batch=3, time=4, h0=True, lengths=[2, 4, 3])
    result = adapter.run(adapter.build(case.spec, case.parameters), **case.inputs)
    verdict = judge(case, result.output, result.h_n)
    assert verdict.outcome == "agrees", verdict
    assert not result.output[0, 2:].any()
    assert not result.output[2, 3:].any()


def test_onnx_runtime_computes_float16_in_float32_states_and_all():
    """It has a float32 kernel alone: only what goes in and comes out is rounded, not the state between two steps."""
    adapter = framework_adapter("onnxruntime")
    case = draw_case(RNNSpec(3, 5), batch=2, time=40, dtype="float16", layout="time_first", seed=3)
    answer = adapter.run(adapter.build(case.spec, case.parameters), **case.inputs).output
    wide = Case(case.spec, [cell.astype("float32") for cell in case.parameters], case.x.astype("float32"),
                layout="time_first")  # fmt: skip
    same = adapter.run(adapter.build(wide.spec, wide.parameters), **wide.inputs).output
    assert np.array_equal(answer, same.astype("float16"))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("h0", [False, True])
@pytest.mark.parametrize("name", RUNTIMES)
def test_a_port_is_called_in_its_layout(name: str, layout: str, h0: bool):
    adapter: Any = framework_adapter(name)
    case = draw_case(BOTH, batch=1 if layout == "unbatched" else 2, time=4, layout=layout, h0=h0)
    stack = adapter.build(case.spec, case.parameters, layout=layout)
    model = stack.native(h0=True) if h0 else stack.model
    answer = load_in(name)(model)({"x": case.x} | ({"h0": case.h0} if h0 else {}))
    verdict = judge(case, answer["output"], answer["h_n"], bound="trajectory")
    assert verdict.outcome == "agrees", verdict
    framework_adapter("onnx").framework.checker.check_model(model, full_check=True)
    assert adapter.read(stack)[0].layout == layout


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_port_takes_lengths_by_their_own_name(layout: str):
    adapter: Any = framework_adapter("onnxruntime")
    case = draw_case(BOTH, batch=2, time=4, layout=layout, lengths=[2, 4])
    stack = adapter.build(case.spec, case.parameters, layout=layout)
    feeds = {"x": case.x, "sequence_lens": np.atleast_1d(case.lengths).astype("int32")}
    answer = load_in("onnxruntime")(stack.native(lengths=True))(feeds)
    verdict = judge(case, answer["output"], answer["h_n"], bound="trajectory")
    assert verdict.outcome == "agrees", verdict


ARGUMENTS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no device": ({"device": None}, ValueError, "device: got None, expected one of cpu"),
    "no dtype": ({"dtype": ""}, ValueError, "dtype: got '', expected one of"),
    "a generator": ({"parameters": iter(())}, TypeError, "parameters: got"),
    "no layout": ({"layout": "sideways"}, ValueError, "layout: got 'sideways', expected one of"),
}


@pytest.mark.parametrize("name", [*RUNTIMES, "flax"])
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_a_bad_argument_of_build_is_named(name: str, argument: str):
    words, kind, message = ARGUMENTS[argument]
    with pytest.raises(kind, match=rf"\A{message}[^\n]*\Z"):
        framework_adapter(name).build(**{"spec": BOTH, "parameters": draw_parameters(BOTH)} | words)


@pytest.mark.parametrize("name", RUNTIMES)
def test_what_the_operator_has_no_word_for_is_not_offered(name: str):
    adapter: Any = framework_adapter(name)
    case = draw_case(RNNSpec(3, 5), batch=2, time=4, mask=True)
    with pytest.raises(NotOffered, match=r"^mask True: the RNN operator takes lengths \(sequence_lens\) and no mask$"):
        adapter.run(adapter.build(case.spec, case.parameters), **case.inputs)


@pytest.mark.parametrize(
    ("name", "asked"), [("onnxruntime", "lengths"), ("onnxruntime", "time"), ("openvino", "lengths")]
)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_the_final_state_of_no_steps_is_0_where_a_layer_starts_at_0(name: str, asked: str, direction: str):
    """Y_h of a sequence without steps, of which the standard says nothing."""
    adapter: Any = framework_adapter(name)
    sizes: dict[str, Any] = {"time": 4, "lengths": [3, 0]} if asked == "lengths" else {"time": 0}
    case = draw_case(RNNSpec(3, 5, 2, direction), batch=2, **sizes)
    module = adapter.build(case.spec, case.parameters)
    verdict = judge(case, *adapter.run(module, **case.inputs)[:2], bound="trajectory")
    assert verdict.outcome == "agrees", verdict


def test_a_model_is_valid_by_the_standards_own_checker(models: Any):
    onnx = framework_adapter("onnx").framework
    case = draw_case(BOTH, batch=2, time=4)
    for layout in LAYOUTS:
        for h0 in (True, False):
            for lengths in (True, False):
                made = models.stack_model(case.spec, case.parameters, layout, h0, lengths, layout == "time_first")
                onnx.checker.check_model(made, full_check=True)
                given = {"x", *["h0"] * h0, *["sequence_lens"] * lengths}
                assert {value.name for value in made.graph.input} == given


def test_a_runtime_is_imported_alone():
    """Each is imported when its adapter is made, and no other then: two in one process may not get along."""
    there = "import sys, adapters; adapters.load({!r}); print(*({{'onnxruntime', 'openvino'}} & {{*sys.modules}}))"
    for name, expected in (("onnxruntime", "onnxruntime"), ("onnx", ""), ("openvino", "openvino")):
        framework_adapter(name)
        run = subprocess.run([sys.executable, "-c", there.format(name)], capture_output=True, text=True, check=True)
        assert run.stdout.split() == expected.split()
