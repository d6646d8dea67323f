"""A user's own ONNX model is read exactly, and what RNNSpec cannot express is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import adapters
from reference import RNNSpec

from .draws import draw_parameters
from .frameworks import framework_adapter
from .test_adapters import bits


@pytest.fixture
def adapter() -> adapters.Adapter:
    return framework_adapter("onnx")


def model_of(spec: RNNSpec, dtype: str = "float32") -> Any:
    return import_module("adapters.onnx_models").stack_model(spec, draw_parameters(spec, dtype))


@pytest.mark.parametrize(
    "spec",
    [
        RNNSpec(3, 5),
        RNNSpec(3, 5, 3, "reverse", "relu"),
        RNNSpec(3, 5, 2, "bidirectional"),
        RNNSpec(3, 5, 2, "bidirectional", bias=False),
        RNNSpec(1, 1),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_a_model_is_read_bit_for_bit(adapter: adapters.Adapter, spec: RNNSpec, dtype: str):
    variant = import_module("adapters.onnx_models").variant
    for given in (model_of(spec, dtype), variant(model_of(spec, dtype), False, False)):
        read_spec, read = adapter.read(given)
        assert read_spec == spec
        assert bits(read) == bits(draw_parameters(spec, dtype))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_what_torch_exports_is_read(adapter: adapters.Adapter, batch_first: bool, bidirectional: bool):
    """By the older exporter, which makes RNN nodes: with its Squeeze or Reshape between layers, and its Slice of h0."""
    torch = framework_adapter("torch-onnx").framework
    export = import_module("adapters.torch_export")
    rnn = torch.nn.RNN(3, 5, 2, batch_first=batch_first, bidirectional=bidirectional).eval()
    arguments = {"x": torch.zeros(2, 4, 3), "hx": torch.zeros(4 if bidirectional else 2, 2 if batch_first else 4, 5)}
    model = export.traced(export.Whole(rnn, batch_first, False), arguments)
    spec, parameters = adapter.read(model)
    assert spec == RNNSpec(3, 5, 2, "bidirectional" if bidirectional else "forward")
    assert bits(parameters) == bits(framework_adapter("torch").read(rnn)[1])


def attribute(name: str, value: Any, layer: int = 0) -> Callable[[Any], None]:
    """Gives a layer's node another attribute, or another value of it."""

    def change(model: Any) -> None:
        node = [node for node in model.graph.node if node.op_type == "RNN"][layer]
        kept = [given for given in node.attribute if given.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, framework_adapter("onnx").framework.helper.make_attribute(name, value)])

    return change


def fed(layer: int, index: int, name: str) -> Callable[[Any], None]:
    """Gives a layer's node another input."""

    def change(model: Any) -> None:
        [node for node in model.graph.node if node.op_type == "RNN"][layer].input[index] = name

    return change


def another_node(op_type: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        model.graph.node.append(framework_adapter("onnx").framework.helper.make_node(op_type, ["output_1"], ["more"]))

    return change


def no_transpose(model: Any) -> None:
    """The Reshape of Y as it comes, which mixes sequences and directions."""
    model.graph.node[2].input[0] = "Y_0"


def constant_states(model: Any) -> None:
    """An initial state that the model was trained with."""
    onnx = framework_adapter("onnx").framework
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((2, 1, 5), "float32"), "learnt"))
    fed(0, 5, "learnt")(model)


def every_hidden_size(model: Any) -> None:
    for layer in (0, 1):
        attribute("hidden_size", 6, layer)(model)


REFUSED: dict[str, tuple[Callable[[Any], None], str]] = {
    "another activation": (attribute("activations", ["Sigmoid"] * 2), "activations: got Sigmoid, Sigmoid, expected"),
    "one for each direction": (attribute("activations", ["Tanh", "Relu"]), "activations: got Tanh, Relu, expected"),
    "one for each layer": (attribute("activations", ["Relu", "Relu"]), "layers: got .* expected all of one kind"),
    "alpha": (attribute("activation_alpha", [0.5, 0.5]), r"activation_alpha: got \[0.5, 0.5\], expected none"),
    "beta": (attribute("activation_beta", [0.5, 0.5]), r"activation_beta: got \[0.5, 0.5\], expected none"),
    "clip": (attribute("clip", 3.0), "clip: got 3.0, expected none"),
    "layout": (attribute("layout", 1), "layout: got 1, expected none"),
    "hidden_size": (attribute("hidden_size", 6), "layers: got"),
    "both hidden sizes": (
        every_hidden_size,
        r"b_hh: got \(5,\), expected \(6,\)",
    ),
    "directions of layers": (attribute("direction", "reverse", 1), "layers: got"),
    "another node": (another_node("Sigmoid"), "nodes: got Sigmoid, expected RNN nodes"),
    "a head": (another_node("Gemm"), "nodes: got Gemm, expected RNN nodes"),
    "halves mixed": (no_transpose, "X of rnn_1: got 'output_0', expected the layer below"),
    "layers side by side": (fed(1, 0, "x"), "X of rnn_1: got 'x', expected the layer below"),
    "weights given": (fed(0, 1, "x"), "W of rnn_0: got 'x', which is no constant"),
    "states that are constant": (constant_states, "initial_h of rnn_0: got 'learnt', expected an input or none"),
    "states of the layer below": (fed(1, 5, "h_n_0"), "initial_h of rnn_1: got 'h_n_0', expected an input or none"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_expressed_is_refused(adapter: adapters.Adapter, name: str):
    change, words = REFUSED[name]
    model = model_of(RNNSpec(3, 5, 2, "bidirectional"))
    change(model)
    with pytest.raises(adapters.Unsupported, match=words):
        adapter.read(model)


def test_a_model_without_an_rnn_is_refused(adapter: adapters.Adapter):
    operator = import_module("adapters.onnx_models").operator_model("Identity", np.dtype("float32"), 2)
    with pytest.raises(adapters.Unsupported, match="nodes: got no RNN, expected RNN nodes"):
        adapter.read(operator)
