"""ONNX's GRU and LSTM: planted faults are seen, scripts ask what the adapter asks, and what is built is read again."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from adapters import NotOffered
from adapters.running.trial import examine
from meta_tests.adapters.scripts.test_script import execute
from meta_tests.adapters.test_adapters import bits
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.property_cases import faulty_answer, visible_in
from meta_tests.common.scale import at_night
from reference import LAYOUTS, Case, Result, RNNSpec, diagnose, judge
from reference.draws import draw_case, draw_parameters
from reference.faults import FAULTS, GATED_FAULTS
from reference.layout import state_tuple

RUNTIMES = ("onnxruntime", "onnx", "openvino", "tract")
CATALOGUE = FAULTS | GATED_FAULTS
EVERY = {"peepholes": True, "input_forget": True, "clip": 0.5}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "gru": ("gru", {}), "gru_reset_before": ("gru_reset_before", {}), "lstm": ("lstm", {}),
    "lstm with all": ("lstm", EVERY),
}  # fmt: skip


def case_of(kind: str, direction: str = "bidirectional", layers: int = 2, **more: Any) -> Case:
    cell, variants = KINDS[kind]
    spec = RNNSpec(4, 5, layers, direction, bias=more.pop("bias", True), cell=cell, **variants)
    return draw_case(spec, **{"batch": 3, "time": 5, "h0": True, "weight_scale": 2.0, "seed": 7, **more})


def run(case: Case) -> Result:
    adapter = framework_adapter("onnxruntime")
    answer = adapter.run(adapter.build(case.spec, case.parameters), **case.inputs)
    return Result(answer.output, answer.h_n)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_of_faults_is_seen_and_named(kind: str) -> None:
    """Every fault that shows in one of two cases, one in fourteen by day; a diagnosis is slow, and made of few."""
    cases = [case_of(kind, lengths=(2, 5, 4)), case_of(kind, "forward", 1)]
    assert all(judge(case, *faulty_answer([], case, run)).outcome == "agrees" for case in cases)
    shown = [(fault, case) for fault in CATALOGUE.values()
             for case in [case for case in cases if visible_in(fault, case)][:1]]  # fmt: skip
    assert len(shown) > 50
    unseen, unnamed, sample = [], [], shown[:: at_night(40, 1)]
    for number, (fault, case) in enumerate(sample):
        with np.errstate(all="ignore"):
            answer = faulty_answer([fault], case, run, framework_adapter("onnxruntime"))
        if judge(case, *answer).outcome != "disagrees":
            unseen.append(fault.name)
        elif number % at_night(6, 1) == 0 and fault.says not in str(diagnose(case, *answer).explanations):
            unnamed.append(fault.name)
    assert not unseen
    assert len(unnamed) <= 0.05 * len(sample) + 1, unnamed


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_read_bit_for_bit(kind: str, layout: str) -> None:
    adapter: Any = framework_adapter("onnx")
    for dtype in ("float32", "bfloat16"):
        spec = case_of(kind, bias=layout != "unbatched").spec
        stack = adapter.build(spec, draw_parameters(spec, dtype), layout=layout)
        for model in (stack.model, stack.native(h0=True, lengths=True)):
            read, parameters = adapter.read(model)
            assert (read, read.layout) == (spec, layout)
            assert bits(parameters) == bits(draw_parameters(spec, dtype))


@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layer", ["GRU", "LSTM"])
def test_what_torch_exports_is_read(layer: str, bidirectional: bool, states: bool) -> None:
    """By the older exporter."""
    adapter, torch = framework_adapter("onnx"), framework_adapter("torch-onnx").framework
    rnn = getattr(torch.nn, layer)(3, 5, 2, bidirectional=bidirectional).eval()
    start = torch.zeros(4 if bidirectional else 2, 4, 5)
    given = {"x": torch.zeros(2, 4, 3)} | ({"hx": (start, start) if layer == "LSTM" else start} if states else {})
    padded = import_module("adapters.torch.models").padded(rnn)
    spec, parameters = adapter.read(import_module("adapters.torch_onnx.modes").traced(padded, given))
    expected = framework_adapter("torch").read(rnn)
    assert spec == expected[0]
    assert bits(parameters) == bits(expected[1])


def edited(kind: str, op_type: str, **attributes: Any) -> Any:
    """A model of one layer whose node has other attributes."""
    helper = framework_adapter("onnx").framework.helper
    model = framework_adapter("onnx").build(case_of(kind, layers=1).spec, case_of(kind, layers=1).parameters).model
    (node,) = (node for node in model.graph.node if node.op_type == op_type)
    kept = [one for one in node.attribute if one.name not in attributes]
    del node.attribute[:]
    node.attribute.extend([*kept, *(helper.make_attribute(*one) for one in attributes.items())])
    return model


@pytest.mark.parametrize(
    ("kind", "attributes", "words"),
    [
        ("gru", {"activations": ["Sigmoid", "Relu"] * 2}, "activations: got Sigmoid, Relu, Sigmoid, Relu, expected"),
        ("gru", {"clip": 0.5}, "clip: got 0.5, expected None, as the cell gru has none"),
        ("lstm", {"activations": ["Sigmoid", "Tanh", "Tanh"]}, "activations: got Sigmoid, Tanh, Tanh, expected"),
        ("lstm", {"activation_alpha": [0.5]}, "activation_alpha: got"),
    ],
)
def test_what_no_spec_expresses_is_refused(kind: str, attributes: dict[str, Any], words: str) -> None:
    with pytest.raises(NotOffered, match=words):
        framework_adapter("onnx").read(edited(kind, kind.upper(), **attributes))


def test_states_that_are_given_to_the_other_are_refused() -> None:
    model = framework_adapter("onnx").build(case_of("lstm").spec, case_of("lstm").parameters).native(h0=True)
    for node in (node for node in model.graph.node if node.op_type == "LSTM"):
        node.input[6] = node.input[5]
    with pytest.raises(NotOffered, match=r"^initial_c of lstm_0: got 'h0_0', expected an input or none"):
        framework_adapter("onnx").read(model)


def as_the_adapter(runtime: str, case: Case, word: str = "") -> None:
    """The script of a case asks what the adapter asks."""
    adapter: Any = framework_adapter(runtime)
    trial = examine(adapter, case, idiom=word)
    if trial.answer is None:
        with pytest.raises(Exception):  # noqa: B017, PT011 (what is raised here is raised there)
            execute(adapter.script(case, "cpu", word or "eager"))
        return
    names, code, printed = execute(adapter.script(case, "cpu", word or "eager"))
    assert code == 0 or trial.outcome == "disagrees", printed
    output, h_n = trial.answer[:2]
    given = {"output": output, **dict(zip(("h_n", "c_n"), () if h_n is None else state_tuple(h_n), strict=False))}
    given = {name: array for name, array in given.items() if array is not None}
    assert given.keys() == names["actual"].keys()
    for name, array in given.items():
        assert np.array_equal(names["actual"][name], array.astype(np.float64), equal_nan=True)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_script_asks_what_the_adapter_asks(runtime: str, kind: str, layout: str) -> None:
    more = {"batch": 1, "bias": False} if layout == "unbatched" else {}
    as_the_adapter(runtime, case_of(kind, layout=layout, **more))


@pytest.mark.parametrize("kind", ["gru_reset_before", "lstm"])
@pytest.mark.parametrize("runtime", RUNTIMES[:2])
def test_the_script_of_an_idiom_asks_what_the_adapter_asks(runtime: str, kind: str) -> None:
    adapter: Any = framework_adapter(runtime)
    for word, idiom in adapter.idioms.items():
        if not idiom.absent:
            as_the_adapter(runtime, case_of(kind, bias=False), word)


def test_planted_gates_in_another_order_are_seen() -> None:
    framework_adapter("onnxruntime")
    text = import_module("adapters.onnx.script").onnx_script(case_of("gru"), "onnxruntime")
    assert "[1, 0, 2]" in text
    assert execute(text)[1] == 0
    assert execute(text.replace("[1, 0, 2]", "[0, 1, 2]"))[1] == 1
