"""What a user's ONNX model answers natively, the model built of what was read of it answers too; or it is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adapters
from meta_tests.common.frameworks import framework_adapter
from reference import DIRECTIONS, NONLINEARITIES, RNNSpec
from reference.draws import Draw, draw_parameters

TIME, BATCH = 4, 2


@dataclass(frozen=True)
class Drawn:
    """A user's model, before it is made: how its layers are joined, what it takes and what it answers."""

    spec: RNNSpec
    layout: str = "time_first"
    opset: int = 22
    joined: str = "Reshape"
    states: str | None = None  # how initial_h is given
    lengths: bool = False
    outputs: str = "both"
    constants: bool = False  # weights as nodes
    identities: bool = False


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    direction = draw(st.sampled_from(DIRECTIONS))
    spec = RNNSpec(3, 5, draw(st.integers(1, 3)), direction, draw(st.sampled_from(NONLINEARITIES)), draw(st.booleans()))
    joins = ["Reshape"] if direction == "bidirectional" else ["Reshape", "Squeeze"]
    layout = draw(st.sampled_from(["time_first", "batch_first", "unbatched"]))
    outputs = ["both", "output", "states", *["Y"] * (layout == "time_first")]
    return Drawn(
        spec,
        layout,
        draw(st.sampled_from([7, 11, 13, 14, 18, 22])),
        draw(st.sampled_from(joins)),
        None if layout == "unbatched" else draw(st.sampled_from([None, "Split", "Slice", "each"])),
        draw(st.booleans()),
        draw(st.sampled_from(outputs)),
        draw(st.booleans()),
        draw(st.booleans()),
    )


class Writer:
    """Nodes and constants of a graph, in the form that an opset has."""

    def __init__(self, opset: int) -> None:
        self.onnx = framework_adapter("onnx").framework
        self.opset, self.nodes, self.tensors = opset, [], []
        self.outputs: list[str] = []

    def node(self, op_type: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        self.nodes.append(
            self.onnx.helper.make_node(op_type, inputs, [*outputs], name=f"n{len(self.nodes)}", **attributes)
        )
        return outputs[0]

    def constant(self, name: str, array: Any, as_node: bool = False) -> str:
        tensor = self.onnx.numpy_helper.from_array(np.asarray(array), name)
        if as_node:
            return self.node("Constant", [], name, value=tensor)
        self.tensors.append(tensor)
        return name

    def given(self, op_type: str, inputs: list[str], outputs: list[str], since: int, **numbers: list[int]) -> str:
        """Numbers as attributes, or since an opset as inputs."""
        if self.opset < since:
            return self.node(op_type, inputs, *outputs, **numbers)
        names = [self.constant(f"{outputs[0]}_{name}", np.array(value)) for name, value in numbers.items()]
        return self.node(op_type, inputs + names, *outputs)


def model_of(given: Drawn, change: Callable[[Writer], Any] = lambda w: None, **attributes: Any) -> Any:
    """The model. change: what else is done to its nodes.  attributes: of its last RNN node, more or others."""
    spec, writer = given.spec, Writer(given.opset)
    helper = writer.onnx.helper
    axes = {"time_first": [TIME, BATCH], "batch_first": [BATCH, TIME], "unbatched": [TIME]}[given.layout]
    inputs = [helper.make_tensor_value_info("x", 1, [*axes, spec.input_size])]
    inputs += [helper.make_tensor_value_info("lens", 6, [None])] * given.lengths
    starts = _starts(given, writer, inputs)
    below = _steps(given, writer)
    for layer in range(spec.num_layers):
        last = attributes if layer == spec.num_layers - 1 else {}
        below = _layer(given, writer, layer, below, starts[layer], last)
    if given.layout == "batch_first":
        below = writer.node("Transpose", [below], "last", perm=[1, 0, 2])
    states = writer.node("Concat", [f"Y_h{layer}" for layer in range(spec.num_layers)], "cells", axis=0)
    if given.layout == "unbatched":
        below = writer.given("Squeeze", [below], ["last"], 13, axes=[1])
        states = writer.given("Squeeze", [states], ["states"], 13, axes=[1])
    names = {"both": [below, states], "output": [below], "states": [states], "Y": [f"Y{spec.num_layers - 1}", states]}
    writer.outputs = names[given.outputs]
    change(writer)
    outputs = [helper.make_tensor_value_info(name, 1, None) for name in writer.outputs]
    graph = helper.make_graph(writer.nodes, "users", inputs, outputs, writer.tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", given.opset)], ir_version=8)


def _steps(given: Drawn, writer: Writer) -> str:
    """x, time first and batched."""
    if given.layout == "batch_first":
        return writer.node("Transpose", ["x"], "steps", perm=[1, 0, 2])
    return "x" if given.layout == "time_first" else writer.given("Unsqueeze", ["x"], ["steps"], 13, axes=[1])


def _starts(given: Drawn, writer: Writer, inputs: list[Any]) -> list[str]:
    """Each layer's initial state."""
    rows, layers = given.spec.num_directions, range(given.spec.num_layers)
    names, value = [f"start_{layer}" for layer in layers], writer.onnx.helper.make_tensor_value_info
    if given.states is None:
        return [""] * len(layers)
    if given.states == "each":
        inputs += [value(name, 1, [rows, None, 5]) for name in names]
        return names
    inputs.append(value("h0", 1, [given.spec.num_cells, None, 5]))
    if given.states == "Split":
        writer.given("Split", ["h0"], names, 13, split=[rows] * len(layers))
    else:
        for layer, name in enumerate(names):
            writer.given("Slice", ["h0"], [name], 10, starts=[layer * rows], ends=[(layer + 1) * rows], axes=[0])
    return names


def _layer(given: Drawn, writer: Writer, layer: int, below: str, start: str, more: dict[str, Any]) -> str:
    """An RNN node and what joins its halves; the name of its output."""
    spec, rows = given.spec, given.spec.num_directions
    cells = draw_parameters(spec)[layer * rows :][:rows]
    arrays = [np.stack([c.w_ih for c in cells]), np.stack([c.w_hh for c in cells])]
    if spec.bias:
        arrays.append(np.stack([np.concatenate([c.b_ih, c.b_hh]) for c in cells]))
    names = [writer.constant(f"{n}{layer}", a, given.constants) for n, a in zip("WRB", arrays, strict=False)]
    names += [""] * (3 - len(names))
    words = {"hidden_size": 5, "direction": spec.direction, "activations": [spec.nonlinearity.title()] * rows} | more
    y = writer.node("RNN", [below, *names, "lens" if given.lengths else "", start], f"Y{layer}", f"Y_h{layer}", **words)
    y = writer.node("Identity", [y], f"same{layer}") if given.identities else y
    if given.joined == "Squeeze":
        return writer.given("Squeeze", [y], [f"out{layer}"], 13, axes=[1])
    shape = writer.constant(f"shape{layer}", np.array([0, 0, -1]))
    halves = writer.node("Transpose", [y], f"halves{layer}", perm=[0, 2, 1, 3])
    return writer.node("Reshape", [halves, shape], f"out{layer}")


def feeds_of(model: Any, given: Drawn) -> dict[str, np.ndarray]:
    """Numbers for each of a model's inputs; the states of all layers are the same however they are given."""
    steps = {"time_first": (TIME, BATCH), "batch_first": (BATCH, TIME), "unbatched": (TIME,)}[given.layout]
    h0 = Draw(2).uniform((given.spec.num_cells, BATCH, 5)).astype("float32")
    feeds = {"x": Draw(1).uniform((*steps, given.spec.input_size)).astype("float32"), "h0": h0}
    feeds |= {f"start_{layer}": part for layer, part in enumerate(np.split(h0, given.spec.num_layers))}
    feeds["lens"] = feeds["sequence_lens"] = np.array([3] if given.layout == "unbatched" else [4, 2], "int32")
    return {value.name: feeds[value.name] for value in model.graph.input}


def answers(model: Any, given: Drawn) -> list[np.ndarray]:
    """What a model answers in ONNX Runtime, in the order of its outputs."""
    runtime = framework_adapter("onnxruntime").framework
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds_of(model, given))


def expect_the_same(model: Any, given: Drawn) -> None:
    """The model built of what is read of a user's answers the same bits."""
    adapter: Any = framework_adapter("onnxruntime")
    spec, parameters = adapter.read(model)
    assert spec.layout == given.layout
    ours = adapter.build(spec, parameters).native(h0=given.states is not None, lengths=given.lengths)
    native = answers(model, given)
    output, h_n = answers(ours, given)
    if given.outputs == "Y":
        native[0] = np.concatenate([native[0][:, half] for half in range(spec.num_directions)], axis=-1)
    expected = {"both": [output, h_n], "Y": [output, h_n], "output": [output], "states": [h_n]}[given.outputs]
    assert [array.shape for array in native] == [array.shape for array in expected]
    assert all(np.array_equal(a, b) for a, b in zip(native, expected, strict=True))


@settings(deadline=None)
@given(drawn())
def test_a_drawn_model_is_what_was_read_of_it(given: Drawn) -> None:
    expect_the_same(model_of(given), given)
    adapter = framework_adapter("onnx")
    spec, _ = adapter.read(adapter.build(*adapter.read(model_of(given))))
    assert (spec, spec.layout) == (given.spec, given.layout)


TWO, BOTH = RNNSpec(3, 5, 2), RNNSpec(3, 5, 2, "bidirectional")


def answer(op_type: str, *constants: list[int], **attributes: Any) -> Callable[[Writer], None]:
    """Something behind the last layer's output."""

    def change(writer: Writer) -> None:
        names = [writer.constant(f"c{index}", np.array(value)) for index, value in enumerate(constants)]
        writer.outputs[0] = writer.node(op_type, [writer.outputs[0], *names], "answer", **attributes)

    return change


def replaced(inputs: Callable[[Any], None], op_type: str = "RNN", which: int = -1) -> Callable[[Writer], None]:
    """Something done to one of the nodes of a kind."""
    return lambda writer: inputs([node for node in writer.nodes if node.op_type == op_type][which])


def number(name: str, value: list[int]) -> Callable[[Writer], None]:
    """Another constant of that name."""

    def change(writer: Writer) -> None:
        (tensor,) = [tensor for tensor in writer.tensors if tensor.name == name]
        tensor.CopyFrom(writer.onnx.numpy_helper.from_array(np.array(value), name))

    return change


def joined(names: list[str], axis: int) -> Callable[[Writer], None]:
    return lambda writer: writer.outputs.__setitem__(0, writer.node("Concat", names, "answer", axis=axis))


def set_input(index: int, name: str) -> Callable[[Any], None]:
    return lambda node: node.input.__setitem__(index, name)


def constant_input(index: int, array: np.ndarray) -> Callable[[Writer], None]:
    def change(writer: Writer) -> None:
        node = [node for node in writer.nodes if node.op_type == "RNN"][-1]
        node.input[index] = writer.constant("constant", array)

    return change


def made_input(index: int, op_type: str, shape: list[int], value: float) -> Callable[[Writer], None]:
    """A number in a shape that the graph makes, as exporters make initial states; as torch does, sliced for a layer."""

    def change(writer: Writer) -> None:
        node = [node for node in writer.nodes if node.op_type == "RNN"][-1]
        tensor = writer.onnx.numpy_helper.from_array(np.array([value], "int32" if index == 4 else "float32"), "number")
        sizes, before = writer.constant("sizes", np.array(shape)), len(writer.nodes)
        if op_type == "ConstantOfShape":
            writer.node(op_type, [sizes], "made", value=tensor)
        else:
            writer.tensors.append(tensor)
            writer.node(op_type, ["number", sizes], "made")
        writer.given("Slice", ["made"], ["part"], 10, starts=[0], ends=[shape[0]], axes=[0])
        node.input[index] = "part"
        writer.nodes[:] = writer.nodes[before:] + writer.nodes[:before]

    return change


def outputs(*names: str) -> Callable[[Writer], None]:
    return lambda writer: setattr(writer, "outputs", [*names])


def side_branch(writer: Writer) -> None:
    """The output and a layer beside, of the same input."""
    (first, _) = [node for node in writer.nodes if node.op_type == "RNN"]
    writer.node("RNN", [*first.input], "Y9", hidden_size=5)


def backwards(writer: Writer) -> None:
    names = [writer.constant(f"b{i}", np.array([n])) for i, n in enumerate((-1, -100, 0, -1))]
    writer.outputs[0] = writer.node("Slice", [writer.outputs[0], *names], "answer")


PLAIN, STATES = Drawn(TWO), Drawn(BOTH, states="Slice")
CHANGED: dict[str, tuple[Drawn, Callable[[Writer], Any], dict[str, Any]]] = {
    "clip 0": (PLAIN, lambda w: None, {"clip": 0.0}),
    "clip infinite": (PLAIN, lambda w: None, {"clip": float("inf")}),
    "alpha 0": (PLAIN, lambda w: None, {"activation_alpha": [0.0]}),
    "beta 0": (PLAIN, lambda w: None, {"activation_beta": [0.0]}),
    "hidden_size 0": (PLAIN, lambda w: None, {"hidden_size": 0}),
    "hidden_size 6": (Drawn(RNNSpec(3, 5)), lambda w: None, {"hidden_size": 6}),
    "layout 1": (PLAIN, lambda w: None, {"layout": 1}),
    "tanh": (PLAIN, lambda w: None, {"activations": ["tanh"]}),
    "RELU": (PLAIN, lambda w: None, {"activations": ["RELU"]}),
    "no activations": (PLAIN, lambda w: None, {"activations": ["Tanh", "Tanh"]}),
    "one activation of two": (Drawn(RNNSpec(3, 5, 1, "bidirectional")), lambda w: None, {"activations": ["Relu"]}),
    "backward": (PLAIN, lambda w: None, {"direction": "backward"}),
    "FORWARD": (PLAIN, lambda w: None, {"direction": "FORWARD"}),
    "weights of one direction": (Drawn(RNNSpec(3, 5)), lambda w: None, {"direction": "bidirectional"}),
    "Slice of steps": (PLAIN, answer("Slice", [0], [2], [0]), {}),
    "Slice of units": (PLAIN, answer("Slice", [0], [2], [2]), {}),
    "steps backwards": (PLAIN, backwards, {}),
    "Concat with itself": (PLAIN, joined(["out1", "out1"], 2), {}),
    "Concat with x": (PLAIN, joined(["out1", "x"], 2), {}),
    "Concat of lower layers": (PLAIN, joined(["out0", "out1"], 0), {}),
    "Transpose": (PLAIN, answer("Transpose", perm=[1, 0, 2]), {}),
    "Transpose of units": (PLAIN, answer("Transpose", perm=[0, 2, 1]), {}),
    "Reshape": (PLAIN, answer("Reshape", [BATCH, TIME, 5]), {}),
    "Reshape flat": (PLAIN, answer("Reshape", [-1]), {}),
    "Unsqueeze": (PLAIN, answer("Unsqueeze", [0]), {}),
    "batch first in, time first out": (Drawn(TWO, "batch_first"), outputs("out1", "cells"), {}),
    "outputs swapped": (PLAIN, outputs("cells", "out1"), {}),
    "states swapped": (PLAIN, outputs("out1", "Y_h1", "Y_h0"), {}),
    "states of one layer": (PLAIN, outputs("out1", "Y_h1"), {}),
    "states twice": (PLAIN, outputs("out1", "cells", "cells"), {}),
    "output twice": (PLAIN, outputs("out1", "out1"), {}),
    "the lower output": (PLAIN, outputs("out0", "cells"), {}),
    "the lower output too": (PLAIN, outputs("out1", "out0"), {}),
    "the input": (PLAIN, outputs("x"), {}),
    "a weight": (PLAIN, outputs("out1", "R0"), {}),
    "Y of a batch-first model": (Drawn(TWO, "batch_first"), outputs("Y1", "cells"), {}),
    "states in another order": (PLAIN, replaced(lambda n: n.input.reverse(), "Concat"), {}),
    "states side by side": (PLAIN, replaced(lambda n: setattr(n.attribute[0], "i", 2), "Concat"), {}),
    "a layer beside": (PLAIN, side_branch, {}),
    "x of both layers": (Drawn(RNNSpec(5, 5, 2)), replaced(set_input(0, "x")), {}),
    "a foreign domain": (PLAIN, replaced(lambda n: setattr(n, "domain", "com.microsoft")), {}),
    "weights shared by name": (PLAIN, lambda w: w.tensors.append(w.tensors[0]), {}),
    "a name twice": (PLAIN, lambda w: w.node("Identity", ["x"], "out1"), {}),
    "not in order": (PLAIN, lambda w: w.nodes.reverse(), {}),
    "lengths of one layer": (Drawn(TWO, lengths=True), replaced(set_input(4, "")), {}),
    "constant lengths": (PLAIN, constant_input(4, np.array([4, 2], "int32")), {}),
    "constant states": (PLAIN, constant_input(5, np.ones((1, 2, 5), "float32")), {}),
    "ones of a shape": (PLAIN, made_input(5, "ConstantOfShape", [1, 2, 5], value=1.0), {}),
    "ones, expanded": (PLAIN, made_input(5, "Expand", [1, 2, 5], value=1.0), {}),
    "zero lengths": (PLAIN, made_input(4, "Expand", [2], value=0), {}),
    "zeros as x": (Drawn(RNNSpec(3, 5)), made_input(0, "Expand", [TIME, BATCH, 3], value=0.0), {}),
    "states of the layer below": (PLAIN, replaced(set_input(5, "Y_h0")), {}),
    "x as states": (Drawn(RNNSpec(5, 5), states="each"), replaced(set_input(5, "x")), {}),
    "states of one layer given": (STATES, replaced(set_input(5, "")), {}),
    "the first states for both": (STATES, replaced(set_input(5, "start_0")), {}),
    "one input for both": (Drawn(TWO, states="each"), replaced(set_input(5, "start_0")), {}),
    "the wrong half of h0": (STATES, lambda w: [number("start_0_starts", [2])(w), number("start_0_ends", [4])(w)], {}),
    "halves of h0 swapped": (
        STATES,
        lambda w: [number(f"start_{i}_{n}", [v])(w) for i, n, v in
                   ((0, "starts", 2), (0, "ends", 4), (1, "starts", 0), (1, "ends", 2))],
        {},
    ),
    "h0 along the batch": (STATES, number("start_0_axes", [1]), {}),
    "sizes of a Split": (Drawn(BOTH, states="Split"), number("start_0_split", [1, 3]), {}),
    "a Split in another order": (Drawn(TWO, states="Split"), replaced(lambda n: n.output.reverse(), "Split"), {}),
    "Reshape of another shape": (PLAIN, number("shape1", [0, -1, 5]), {}),
    "Reshape that joins steps": (PLAIN, number("shape1", [-1, 0, 5]), {}),
    "halves mixed": (Drawn(BOTH), replaced(set_input(0, "Y1"), "Reshape"), {}),
    "halves transposed": (Drawn(BOTH), replaced(lambda n: n.attribute[0].ints.reverse(), "Transpose"), {}),
    "double weights": (PLAIN, number("W1", np.ones((1, 5, 5)).tolist()), {}),
    "whole weights": (PLAIN, number("W1", np.ones((1, 5, 5), int).tolist()), {}),
    "weights of three cells": (PLAIN, number("R1", np.ones((3, 5, 5)).tolist()), {}),
    "no weights": (PLAIN, replaced(set_input(1, "")), {}),
    "weights that are given": (PLAIN, replaced(set_input(1, "x")), {}),
    "an odd bias": (PLAIN, number("B1", np.ones((1, 9)).tolist()), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_what_answers_otherwise_is_refused(name: str) -> None:
    drawn_, change, attributes = CHANGED[name]
    expect_the_same(model_of(drawn_), drawn_)
    with pytest.raises(adapters.NotOffered) as raised:
        framework_adapter("onnxruntime").read(model_of(drawn_, change, **attributes))
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    "change",
    [
        constant_input(5, np.zeros((1, BATCH, 5), "float32")),
        made_input(5, "ConstantOfShape", [1, BATCH, 5], value=0.0),
        made_input(5, "Expand", [1, BATCH, 5], value=0.0),
    ],
    ids=["constant", "ConstantOfShape", "Expand"],
)
def test_states_of_zeros_are_none(change: Callable[[Writer], None]) -> None:
    expect_the_same(model_of(PLAIN, change), PLAIN)


def test_an_input_called_zeros_is_an_input() -> None:
    """Expanded, it would be an initial state of any numbers; and an input called Y_h is no state of a layer."""

    def expanded(writer: Writer) -> None:
        made_input(5, "Expand", [1, BATCH, 5], value=0.0)(writer)
        expand = next(node for node in writer.nodes if node.op_type == "Expand")
        expand.input[0] = "zeros"

    def concatenated(writer: Writer) -> None:
        writer.outputs[1] = writer.node("Concat", ["Y_h"], "answer", axis=0)

    for name, change in (("zeros", expanded), ("Y_h", concatenated)):
        model = model_of(PLAIN, change)
        helper = framework_adapter("onnx").framework.helper
        model.graph.input.append(helper.make_tensor_value_info(name, 1, []))
        with pytest.raises(adapters.NotOffered, match=r"initial_h of|output 'answer'"):
            framework_adapter("onnxruntime").read(model)


@pytest.mark.parametrize("layout", ["time_first", "batch_first"])
def test_what_torch_exports_without_states_is_read(layout: str) -> None:
    torch = framework_adapter("torch-onnx").framework
    export = import_module("adapters.torch_onnx.modes")
    rnn = torch.nn.RNN(3, 5, 2, bidirectional=True, batch_first=layout == "batch_first").eval()
    whole = import_module("adapters.torch.models").PaddedRNN(rnn)
    expect_the_same(export.traced(whole, {"x": torch.zeros(2, 4, 3)}), Drawn(BOTH, layout))
