"""A user's own ONNX model is read exactly, and what RNNSpec cannot express is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import adapters
from meta_tests.adapters.test_adapters import bits
from meta_tests.common.frameworks import framework_adapter
from reference import RNNSpec
from reference.draws import draw_parameters


@pytest.fixture
def adapter() -> adapters.Adapter:
    return framework_adapter("onnx")


def model_of(spec: RNNSpec, dtype: str = "float32") -> Any:
    return import_module("adapters.onnx.models").stack_model(spec, draw_parameters(spec, dtype), h0=True, lengths=True)


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
    plain = import_module("adapters.onnx.models").stack_model(spec, draw_parameters(spec, dtype))
    for given in (model_of(spec, dtype), plain):
        read_spec, read = adapter.read(given)
        assert read_spec == spec
        assert bits(read) == bits(draw_parameters(spec, dtype))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_what_torch_exports_is_read(adapter: adapters.Adapter, batch_first: bool, bidirectional: bool):
    """By the older exporter, which makes RNN nodes: with its Squeeze or Reshape between layers, and its Slice of h0."""
    torch = framework_adapter("torch-onnx").framework
    export = import_module("adapters.torch_onnx.modes")
    rnn = torch.nn.RNN(3, 5, 2, batch_first=batch_first, bidirectional=bidirectional).eval()
    arguments = {"x": torch.zeros(2, 4, 3), "hx": torch.zeros(4 if bidirectional else 2, 2 if batch_first else 4, 5)}
    model = export.traced(import_module("adapters.torch.models").PaddedRNN(rnn), arguments)
    spec, parameters = adapter.read(model)
    assert spec == RNNSpec(3, 5, 2, "bidirectional" if bidirectional else "forward")
    assert bits(parameters) == bits(framework_adapter("torch").read(rnn)[1])


def node_of(model: Any, op_type: str) -> Any:
    return next(node for node in model.graph.node if node.op_type == op_type)


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
    node_of(model, "Reshape").input[0] = "Y_0"


def constant_states(model: Any) -> None:
    """An initial state that the model was trained with."""
    onnx = framework_adapter("onnx").framework
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((2, 1, 5), "float32"), "learnt"))
    fed(0, 5, "learnt")(model)


def elsewhere(model: Any) -> None:
    """As onnx.load leaves it with load_external_data=False; the file is not there."""
    tensor = model.graph.initializer[-1]
    tensor.ClearField("raw_data")
    tensor.data_location = tensor.EXTERNAL
    tensor.external_data.add(key="location", value="absent.bin")


def sparse(model: Any) -> None:
    onnx = framework_adapter("onnx").framework
    dense = next(tensor for tensor in model.graph.initializer if tensor.name == "R_1")
    values = onnx.numpy_helper.from_array(np.ones(1, "float32"), "R_1")
    indices = onnx.numpy_helper.from_array(np.zeros(1, "int64"))
    model.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, indices, [*dense.dims]))
    model.graph.initializer.remove(dense)


def stored_as(name: str) -> Callable[[Any], None]:
    """Weights of a type that no runtime computes an RNN in."""

    def change(model: Any) -> None:
        onnx = framework_adapter("onnx").framework
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "W_0")
        zeros = [0] * int(np.prod(tensor.dims))
        tensor.CopyFrom(onnx.helper.make_tensor("W_0", onnx.TensorProto.DataType.Value(name), tensor.dims, zeros))

    return change


def opset(version: int) -> Callable[[Any], None]:
    return lambda model: setattr(model.opset_import[0], "version", version)


def own_function(model: Any) -> None:
    """A function of the model's own that bears the operator's name."""
    helper = framework_adapter("onnx").framework.helper
    body = [helper.make_node("Identity", ["x"], ["y"])]
    model.functions.append(helper.make_function("", "RNN", ["x"], ["y"], body, [helper.make_opsetid("", 22)]))


def default_states(model: Any) -> None:
    """An input that is something else than zero where it is not given."""
    onnx = framework_adapter("onnx").framework
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((4, 1, 5), "float32"), "h0"))


def branch(model: Any) -> None:
    """A part of the graph that is not always computed."""
    helper = framework_adapter("onnx").framework.helper
    then = helper.make_graph([helper.make_node("Identity", ["x"], ["a"])], "then", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["b"], then_branch=then, else_branch=then))


def of_input(element: int) -> Callable[[Any], None]:
    return lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", element)


def no_text(model: Any) -> None:
    next(a for a in node_of(model, "RNN").attribute if a.name == "direction").s = b"\xff\xfe"


def twice(model: Any) -> None:
    node_of(model, "RNN").attribute.append(node_of(model, "RNN").attribute[0])


def every_hidden_size(model: Any) -> None:
    for layer in (0, 1):
        attribute("hidden_size", 6, layer)(model)


REFUSED: dict[str, tuple[Callable[[Any], None], str]] = {
    "another activation": (attribute("activations", ["Sigmoid"] * 2), "activations: got Sigmoid, Sigmoid, expected"),
    "one for each direction": (attribute("activations", ["Tanh", "Relu"]), "activations: got Tanh, Relu, expected"),
    "one for each layer": (attribute("activations", ["Relu", "Relu"]), "layers: got .* expected all of one kind"),
    "alpha": (attribute("activation_alpha", [0.5, 0.5]), r"activation_alpha: got \[0.5, 0.5\], expected none"),
    "beta": (attribute("activation_beta", [0.5, 0.5]), r"activation_beta: got \[0.5, 0.5\], expected none"),
    "clip of one layer": (attribute("clip", 3.0), "layers: got .* expected all of one kind"),
    "layout": (attribute("layout", 1), "layout: got 1, expected none"),
    "hidden_size": (attribute("hidden_size", 6), "layers: got"),
    "both hidden sizes": (every_hidden_size, r"b_hh: got \(5,\), expected \(6,\)"),
    "directions of layers": (attribute("direction", "reverse", 1), "activations: got Tanh, Tanh, expected"),
    "another node": (another_node("Sigmoid"), "nodes: got Sigmoid, expected RNN nodes"),
    "a head": (another_node("Gemm"), "nodes: got Gemm, expected RNN nodes"),
    "halves mixed": (no_transpose, "X of rnn_1: got 'output_0', expected the layer below"),
    "layers side by side": (fed(1, 0, "x"), "X of rnn_1: got 'x', expected the layer below"),
    "weights given": (fed(0, 1, "x"), "W of rnn_0: got 'x', which is no constant"),
    "states that are constant": (constant_states, "initial_h of rnn_0: got 'learnt', expected an input or none"),
    "numbers in another file": (elsewhere, "B_1: got a tensor whose numbers lie in another file"),
    "sparse weights": (sparse, "R of rnn_1: got 'R_1', which is no constant"),
    "float8": (stored_as("FLOAT8E4M3FN"), "W of rnn_0: got numbers of ONNX's type 17, expected floating"),
    "whole numbers": (stored_as("INT8"), "W of rnn_0: got numbers of ONNX's type 3, expected floating"),
    "two dtypes": (stored_as("DOUBLE"), "parameters: got .*float64.*expected one dtype"),
    "x of another dtype": (of_input(11), "x: got DOUBLE beside weights of FLOAT, expected one dtype"),
    "x of no dtype": (of_input(99), "model: .*99"),
    "quantised": (another_node("DynamicQuantizeLinear"), "nodes: got DynamicQuantizeLinear, expected RNN nodes"),
    "opset 1": (opset(1), "opset: got 1, expected 7 to .*: the operator may be another"),
    "an opset to come": (opset(99), "opset: got 99, expected 7 to"),
    "a function": (own_function, "nodes: got function RNN, expected RNN nodes"),
    "a default that is constant": (default_states, "initial_h of rnn_0: got 'h0_0', expected an input or none"),
    "a part that is chosen": (branch, "nodes: got If, expected RNN nodes"),
    "a direction that is no text": (no_text, "direction: got .*, expected one of forward, reverse, bidirectional"),
    "an attribute twice": (twice, "model: "),
    "another shape to join halves": (
        lambda model: setattr(node_of(model, "Reshape").attribute.add(), "name", "allowzero"),
        "model: ",
    ),
    "states of the layer below": (fed(1, 5, "h_n_0"), "initial_h of rnn_1: got 'h_n_0', expected an input or none"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_expressed_is_refused(adapter: adapters.Adapter, name: str):
    change, words = REFUSED[name]
    model = model_of(RNNSpec(3, 5, 2, "bidirectional"))
    change(model)
    with pytest.raises(adapters.NotOffered, match=words):
        adapter.read(model)


def test_a_model_without_an_rnn_is_refused(adapter: adapters.Adapter):
    operator = import_module("adapters.onnx.models").operator_model("Identity", np.dtype("float32"), 2)
    with pytest.raises(adapters.Unsupported, match="nodes: got no RNN, expected RNN nodes"):
        adapter.read(operator)
