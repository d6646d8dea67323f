"""GRU and LSTM against the frameworks' own layers, which nobody of ours wrote, and what a spec says of them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from meta_tests.common.frameworks import framework_adapter
from reference import Case, RNNSpec, judge
from reference.draws import draw_case
from reference.layout import from_state_tuple, state_tuple

NATIVE = {"w_ih": "weight_ih", "w_hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh", "w_hr": "weight_hr"}


def torch_answer(case: Case) -> tuple[np.ndarray, Any]:
    """torch.nn.GRU or torch.nn.LSTM of a batch-first case without lengths."""
    torch, spec = framework_adapter("torch").framework, case.spec
    kind = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[spec.cell]
    more = {"proj_size": spec.projection_size} if spec.projection_size else {}
    layer = kind(spec.input_size, spec.hidden_size, spec.num_layers, bias=spec.bias, batch_first=True,
                 bidirectional=spec.num_directions == 2, dtype=getattr(torch, case.dtype), **more)  # fmt: skip
    with torch.no_grad():
        for index, track in enumerate(case.parameters):
            number, direction = divmod(index, spec.num_directions)
            for name, array in track.arrays().items():
                suffix = f"_l{number}{'_reverse' if direction else ''}"
                getattr(layer, NATIVE[name] + suffix).copy_(torch.from_numpy(array))
        states = tuple(map(torch.from_numpy, state_tuple(case.h0)))
        output, h_n = layer(torch.from_numpy(case.x), states if spec.cell == "lstm" else states[0])
    finals = h_n if spec.cell == "lstm" else (h_n,)
    return output.numpy(), from_state_tuple([one.numpy() for one in finals])


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize(("cell", "more"), [("gru", {}), ("lstm", {}), ("lstm", {"projection_size": 3})])
@pytest.mark.parametrize("bias", [True, False])
def test_torch_agrees(cell: str, more: dict[str, Any], direction: str, dtype: str, bias: bool) -> None:
    spec = RNNSpec(3, 5, 1, direction, bias=bias, cell=cell, **more)
    for seed, scale in enumerate((0.3, 1.0, 4.0)):
        case = draw_case(spec, batch=3, time=7, dtype=dtype, h0=True, seed=seed, weight_scale=scale)
        verdict = judge(case, *torch_answer(case))
        assert verdict.outcome == "agrees", verdict
        wrong = judge(draw_case(spec, batch=3, time=7, dtype=dtype, h0=True, seed=seed + 9), *torch_answer(case))
        assert wrong.outcome == "disagrees"


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(("cell", "more"), [("gru", {}), ("lstm", {}), ("lstm", {"projection_size": 3})])
def test_stacks_of_torch_are_those_of_the_reference(cell: str, more: dict[str, Any]) -> None:
    case = draw_case(RNNSpec(3, 5, 3, "bidirectional", cell=cell, **more), batch=2, time=6, dtype="float64", h0=True)
    verdict = judge(case, *torch_answer(case))
    assert verdict.bound == "trajectory"
    assert verdict.outcome == "agrees", verdict


# ONNX' own operator, of one direction: gates in the order i o f c, peepholes i o f; GRU z r h.
ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "gru_reset_before": (1, 0, 2)}


def onnx_answer(case: Case) -> tuple[np.ndarray, Any]:
    """ONNX Runtime's LSTM or GRU, of a time-first float32 case of one forward layer."""
    session = framework_adapter("onnxruntime").framework.InferenceSession
    helper = framework_adapter("onnx").framework.helper
    spec, arrays = case.spec, case.parameters[0].arrays()
    order = ORDER[spec.cell]

    def stacked(name: str) -> np.ndarray:
        rows = np.split(arrays[name], len(order))
        return np.concatenate([rows[gate] for gate in order])

    inputs = {"X": case.x, "W": stacked("w_ih")[None], "R": stacked("w_hh")[None],
              "B": np.concatenate([stacked("b_ih"), stacked("b_hh")])[None]}  # fmt: skip
    names = ["X", "W", "R", "B", "", "H"]
    states = state_tuple(case.h0)
    inputs["H"] = states[0]
    words: dict[str, Any] = {"hidden_size": spec.hidden_size}
    if spec.cell == "lstm":
        inputs["C"], names, words["input_forget"] = states[1], [*names, "C"], int(spec.input_forget)
        if spec.peepholes:
            i, f, o = np.split(arrays["w_peephole"], 3)
            inputs["P"], names = np.concatenate([i, o, f])[None], [*names, "P"]
        if spec.clip is not None:
            words["clip"] = spec.clip
    else:
        words["linear_before_reset"] = int(spec.cell == "gru")
    outputs = ["Y", "Y_h", "Y_c"][: 2 + (spec.cell == "lstm")]
    node = helper.make_node("LSTM" if spec.cell == "lstm" else "GRU", names, outputs, **words)
    graph = helper.make_graph(
        [node], "layer", [helper.make_tensor_value_info(name, 1, None) for name in inputs],
        [helper.make_tensor_value_info(name, 1, None) for name in outputs],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    y, *finals = session(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, inputs)
    return np.ascontiguousarray(y[:, 0]), from_state_tuple(finals)


@pytest.mark.parametrize(
    ("cell", "more"),
    [
        ("gru", {}),
        ("gru_reset_before", {}),
        ("lstm", {}),
        ("lstm", {"peepholes": True}),
        ("lstm", {"input_forget": True}),
        ("lstm", {"clip": 0.2}),
    ],
)
def test_onnx_runtime_agrees_to_its_absolute_sigmoid(cell: str, more: dict[str, Any]) -> None:
    """Its sigmoid and tanh are accurate to a few u of 1; with gates that are not shut that is what the bound allows."""
    case = draw_case(RNNSpec(3, 5, cell=cell, **more), batch=3, time=7, h0=True, layout="time_first", seed=2)
    output, h_n = onnx_answer(case)
    verdict = judge(case, output, h_n)
    assert verdict.outcome == "agrees", verdict
    other = RNNSpec(3, 5, cell={"gru": "gru_reset_before", "gru_reset_before": "gru", "lstm": "lstm"}[cell],
                    **{} if more else {"input_forget": True} if cell == "lstm" else {})  # fmt: skip
    parameters = case.parameters
    if more.get("peepholes"):
        return  # its weights fit no other
    assert judge(Case(other, parameters, case.x, case.h0, layout="time_first"), output, h_n).outcome == "disagrees"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"cell": "gru", "nonlinearity": "relu"}, "nonlinearity: got 'relu', expected tanh, as the cell gru has no"),
        ({"cell": "gru", "peepholes": True}, "peepholes: got True, expected False, as the cell gru has none"),
        ({"cell": "gru", "clip": 1.0}, "clip: got 1.0, expected None, as the cell gru has none"),
        ({"clip": -1.0}, "clip: got -1.0, expected a finite number above 0, or None"),
        ({"projection_size": 1}, "projection_size: got 1, expected 0, as the cell elman has none"),
        ({"cell": "lstm", "clip": 0}, "clip: got 0, expected a finite number above 0, or None"),
        ({"cell": "lstm", "clip": "1"}, "clip: got '1', expected a number above 0, or None"),
        ({"cell": "lstm", "projection_size": 5}, "projection_size: got 5, expected 0, or less than hidden_size 5"),
        ({"cell": "lstm", "projection_size": True}, "projection_size: got True, expected an integer of at least 0"),
        ({"cell": "lstm", "input_forget": 1}, "input_forget: got 1, expected True or False"),
        ({"cell": "peephole"}, "cell: got 'peephole', expected one of elman, gru, gru_reset_before, lstm"),
    ],
)
def test_a_word_that_does_not_fit_the_cell_is_refused(words: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}"):
        RNNSpec(3, 5, **words)


def test_a_case_of_a_gated_cell_is_the_same_when_it_is_read_again() -> None:
    spec = RNNSpec(3, 5, 2, "bidirectional", cell="lstm", peepholes=True, projection_size=2, clip=3)
    case = draw_case(spec, batch=2, time=3, h0=True, lengths=[3, 1])
    again = Case.from_json(case.to_json())
    assert (again.spec, again.id) == (spec, case.id)
    assert [state.shape for state in again.h0] == [(4, 2, 2), (4, 2, 5)]
    assert RNNSpec(3, 5).to_dict().keys() == RNNSpec(3, 5, cell="elman", clip=None).to_dict().keys()


@pytest.mark.parametrize("cell", ["gru", "gru_reset_before", "lstm"])
def test_layouts_lengths_and_masks_ask_the_same(cell: str) -> None:
    """A length is a mask whose steps count up to it, and an axis is where it is."""
    case = draw_case(RNNSpec(3, 5, 2, "bidirectional", cell=cell), batch=3, time=4, h0=True, lengths=[4, 2, 0])
    steps = np.arange(4) < np.array([[4], [2], [0]])
    masked = Case(case.spec, case.parameters, case.x, case.h0, mask=steps)
    one, other = case.answer(), masked.answer()
    assert np.array_equal(one.output, other.output)
    assert all(np.array_equal(*pair) for pair in zip(state_tuple(one.h_n), state_tuple(other.h_n), strict=True))
    assert all(np.array_equal(end[:, 2], start[:, 2]) for end, start in
               zip(state_tuple(one.h_n), state_tuple(case.h0), strict=True))  # fmt: skip
    assert not one.output[1, 2:].any()
