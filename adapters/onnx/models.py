"""Recurrent stacks as ONNX models, one RNN node for each layer, and models of single operators.

The inputs of a stack are x (time, batch, input_size), sequence_lens (batch,) of int32 and, for each layer l, h0_l
(num_directions, batch, hidden_size). Its outputs are output_l (time, batch, num_directions * hidden_size), forward half
first, of the last layer l; then h_n_l (num_directions, batch, hidden_size) of each; then output_l of those below, if
asked for. native_model makes of it what a user calls.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from reference import CellParameters, RNNSpec
from reference.layout import sequence_axes

OPSET = 22  # the first in which RNN takes bfloat16
IR_VERSION = 10  # onnx 1.16's, which came with this opset's runtimes; a newer one only locks older ones out
ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu"}


def expect_onnx(least: tuple[int, int]) -> None:
    """Raise ImportError where an older onnx is installed."""
    installed = tuple(int(part) for part in re.findall(r"[0-9]+", onnx.__version__)[:2])
    if installed < least:
        raise ImportError(f"got onnx {onnx.__version__}, expected {least[0]}.{least[1]} or later")


expect_onnx((1, 19))  # older ones have no name for NumPy's bfloat16


def stack_model(spec: RNNSpec, parameters: Sequence[CellParameters], every_layer: bool = False) -> Any:
    """The model of a stack, with all inputs: an onnx.ModelProto whose weights are the parameters, bit for bit.

    every_layer: whether the outputs of the layers below the last are outputs of the model, too.
    """
    dtype, directions, hidden = element_type(parameters[0].dtype), spec.num_directions, spec.hidden_size
    inputs = [_value("x", dtype, ["time", "batch", spec.input_size])]
    inputs.append(_value("sequence_lens", TensorProto.INT32, ["batch"]))
    nodes, outputs, states, tensors = [], [], [], [_tensor("halves_together", np.array([0, 0, spec.output_size]))]
    below = "x"
    for layer in range(spec.num_layers):
        weights = _weights(layer, parameters[layer * directions :][:directions])
        tensors += weights
        given = [tensor.name for tensor in weights] + [""] * (3 - len(weights))
        nodes += _layer(spec, layer, [below, *given, "sequence_lens", f"h0_{layer}"])
        below = f"output_{layer}"
        inputs.append(_value(f"h0_{layer}", dtype, [directions, "batch", hidden]))
        outputs.append(_value(below, dtype, ["time", "batch", spec.output_size]))
        states.append(_value(f"h_n_{layer}", dtype, [directions, "batch", hidden]))
    return _model(nodes, inputs, [outputs[-1], *states, *outputs[: -1 if every_layer else 0]], tensors)


def _layer(spec: RNNSpec, layer: int, inputs: list[str]) -> list[Any]:
    """A layer's nodes: the RNN, whose Y is (time, num_directions, batch, hidden_size), and its halves side by side."""
    rnn = helper.make_node(
        "RNN",
        inputs,
        [f"Y_{layer}", f"h_n_{layer}"],
        name=f"rnn_{layer}",
        hidden_size=spec.hidden_size,
        direction=spec.direction,
        activations=[ACTIVATIONS[spec.nonlinearity]] * spec.num_directions,
    )
    moved = helper.make_node("Transpose", [f"Y_{layer}"], [f"halves_{layer}"], perm=[0, 2, 1, 3])
    joined = helper.make_node("Reshape", [f"halves_{layer}", "halves_together"], [f"output_{layer}"])
    return [rnn, moved, joined]


def _weights(layer: int, cells: Sequence[CellParameters]) -> list[Any]:
    """W (num_directions, hidden_size, inputs), R (num_directions, hidden_size, hidden_size) and, with biases, B
    (num_directions, 2 * hidden_size), in which b_ih comes before b_hh."""
    stacked = {"W": [cell.w_ih for cell in cells], "R": [cell.w_hh for cell in cells]}
    pairs = [(cell.b_ih, cell.b_hh) for cell in cells if cell.b_ih is not None and cell.b_hh is not None]
    stacked |= {"B": [np.concatenate(pair) for pair in pairs]} if pairs else {}
    return [_tensor(f"{name}_{layer}", np.stack(arrays)) for name, arrays in stacked.items()]


def variant(model: Any, h0: bool, lengths: bool) -> Any:
    """A copy of a stack's model that takes h0 and lengths, or starts at zero and runs to the end."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        if node.op_type == "RNN":
            node.input[4] = node.input[4] if lengths else ""
            node.input[5] = node.input[5] if h0 else ""
    taken = {name for node in copy.graph.node for name in node.input}
    for value in [value for value in copy.graph.input if value.name not in taken]:
        copy.graph.input.remove(value)
    return copy


def native_model(spec: RNNSpec, stack: Any, layout: str, h0: bool, lengths: bool) -> Any:
    """What a user calls, made of a stack's model: x to output, both in `layout`, and h_n. Axes: reference.layout.

    h0, lengths: whether the model takes h0 (num_cells, batch, hidden_size), without the batch axis when unbatched, and
    sequence_lens (batch,) of int32; it starts at zero, and runs to the end, where it does not.
    """
    graph = variant(stack, h0, lengths).graph
    element, steps = graph.output[0].type.tensor_type.elem_type, sequence_axes(layout)[:-1]
    unbatched, parts = layout == "unbatched", range(spec.num_layers)
    states = [spec.num_cells, *["batch"] * (not unbatched), spec.hidden_size]
    inputs = [_value("x", element, [*steps, spec.input_size])]
    outputs = [_value("output", element, [*steps, spec.output_size]), _value("h_n", element, states)]
    before, after = _moved("x", "steps", layout), _moved("last", "output", layout, back=True)
    graph.node[0].input[0] = "steps" if before else "x"
    graph.node[-1].output[0] = "last" if after else "output"
    after.append(
        helper.make_node("Concat", [f"h_n_{part}" for part in parts], ["cells" if unbatched else "h_n"], axis=0)
    )
    after += _moved("cells", "h_n", layout, back=True) * unbatched
    if h0:
        inputs.append(_value("h0", element, states))
        given = [f"h0_{part}" for part in parts]
        split = helper.make_node("Split", ["starts" if unbatched else "h0"], given, axis=0, num_outputs=len(given))
        before += [*_moved("h0", "starts", layout) * unbatched, split]
    inputs += [value for value in graph.input if value.name == "sequence_lens"]
    tensors = [*graph.initializer, *[_tensor("batch_axis", np.array([1]))] * unbatched]
    return _model([*before, *graph.node, *after], inputs, outputs, tensors)


def _moved(source: str, target: str, layout: str, back: bool = False) -> list[Any]:
    """The node, if any, that takes an array of a layout to time first and batched, or back."""
    if layout == "batch_first":
        return [helper.make_node("Transpose", [source], [target], perm=[1, 0, 2])]
    if layout == "unbatched":
        return [helper.make_node("Squeeze" if back else "Unsqueeze", [source, "batch_axis"], [target])]
    return []


def operator_model(op_type: str, dtype: np.dtype, *ranks: int, **attributes: Any) -> Any:
    """A model of one operator, whose inputs a, b, ... have these numbers of axes, and whose output is y."""
    names = "abc"[: len(ranks)]
    inputs = [_value(name, element_type(dtype), [None] * rank) for name, rank in zip(names, ranks, strict=True)]
    output = _value("y", element_type(dtype), [None] * ranks[0])
    return _model([helper.make_node(op_type, [*names], ["y"], **attributes)], inputs, [output], [])


def element_type(dtype: np.dtype) -> int:
    """ONNX's number of a dtype."""
    return helper.np_dtype_to_tensor_dtype(dtype)


def _value(name: str, element: int, shape: list[Any]) -> Any:
    return helper.make_tensor_value_info(name, element, shape)


def _tensor(name: str, array: np.ndarray) -> Any:
    return numpy_helper.from_array(np.ascontiguousarray(array), name)


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], tensors: list[Any]) -> Any:
    graph = helper.make_graph(nodes, "stack", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
