"""Recurrent stacks as ONNX models, one RNN node for each layer, and models of single operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from reference import CellParameters, RNNSpec
from reference.layout import sequence_axes

from .script import ACTIVATIONS, IR_VERSION, OPSET


def stack_model(
    spec: RNNSpec,
    parameters: Sequence[CellParameters],
    layout: str = "time_first",
    h0: bool = False,
    lengths: bool = False,
    every_layer: bool = False,
) -> Any:
    """The model of a stack: an onnx.ModelProto whose weights are the parameters, bit for bit.

    Its inputs are x, in `layout` (its axes: reference.layout); with h0, h0 (num_cells, batch, hidden_size), without the
    batch axis when unbatched; with lengths, sequence_lens (batch,) of int32. It starts at zero, and runs to the end,
    where it takes none. Its outputs are output, in `layout`, and h_n, with the axes of h0; with every_layer, also
    output_0, output_1, ... of the layers below the last, time first.
    """
    element, unbatched, steps = element_type(parameters[0].dtype), layout == "unbatched", sequence_axes(layout)[:-1]
    states = [spec.num_cells, *["batch"] * (not unbatched), spec.hidden_size]
    inputs = [_value("x", element, [*steps, spec.input_size])]
    outputs = [_value("output", element, [*steps, spec.output_size]), _value("h_n", element, states)]
    tensors = [_tensor("halves_together", np.array([0, 0, spec.output_size]))]
    nodes = _moved("x", "steps", layout)
    names = [*(f"output_{layer}" for layer in range(spec.num_layers - 1)), "last" if nodes else "output"]
    below, starts = "steps" if nodes else "x", [f"h0_{layer}" if h0 else "" for layer in range(spec.num_layers)]
    if unbatched:
        tensors.append(_tensor("batch_axis", np.array([1])))
    if lengths:
        inputs.append(_value("sequence_lens", TensorProto.INT32, ["batch"]))
    if h0:
        inputs.append(_value("h0", element, states))
        nodes += _moved("h0", "starts", layout) * unbatched
        nodes.append(_node("Split", ["starts" if unbatched else "h0"], starts, axis=0, num_outputs=len(starts)))
    for layer, (start, output) in enumerate(zip(starts, names, strict=True)):
        weights = _weights(layer, parameters[layer * spec.num_directions :][: spec.num_directions])
        tensors += weights
        given = [tensor.name for tensor in weights] + [""] * (3 - len(weights))
        nodes += _layer(spec, layer, [below, *given, "sequence_lens" if lengths else "", start], output)
        below = output
    nodes += _moved("last", "output", layout, back=True)
    final = [f"h_n_{layer}" for layer in range(spec.num_layers)]
    nodes.append(_node("Concat", final, ["cells" if unbatched else "h_n"], axis=0))
    nodes += _moved("cells", "h_n", layout, back=True) * unbatched
    lower = [_value(name, element, ["time", "batch", spec.output_size]) for name in names[:-1] if every_layer]
    return _model(nodes, inputs, [*outputs, *lower], tensors)


def _layer(spec: RNNSpec, layer: int, inputs: list[str], output: str) -> list[Any]:
    """A layer's nodes: the RNN, whose Y is (time, num_directions, batch, hidden_size), and its halves side by side."""
    rnn = _node(
        "RNN",
        inputs,
        [f"Y_{layer}", f"h_n_{layer}"],
        name=f"rnn_{layer}",
        hidden_size=spec.hidden_size,
        direction=spec.direction,
        clip=spec.clip,
        activations=[ACTIVATIONS[spec.nonlinearity]] * spec.num_directions,
    )
    moved = _node("Transpose", [f"Y_{layer}"], [f"halves_{layer}"], perm=[0, 2, 1, 3])
    return [rnn, moved, _node("Reshape", [f"halves_{layer}", "halves_together"], [output])]


def _weights(layer: int, cells: Sequence[CellParameters]) -> list[Any]:
    """W (num_directions, hidden_size, inputs), R (num_directions, hidden_size, hidden_size) and, with biases, B
    (num_directions, 2 * hidden_size), in which b_ih comes before b_hh."""
    stacked = {"W": [cell.w_ih for cell in cells], "R": [cell.w_hh for cell in cells]}
    pairs = [(cell.b_ih, cell.b_hh) for cell in cells if cell.b_ih is not None and cell.b_hh is not None]
    stacked |= {"B": [np.concatenate(pair) for pair in pairs]} if pairs else {}
    return [_tensor(f"{name}_{layer}", np.stack(arrays)) for name, arrays in stacked.items()]


def _moved(source: str, target: str, layout: str, back: bool = False) -> list[Any]:
    """The node, if any, that takes an array of a layout to time first and batched, or back."""
    match layout:
        case "time_first":
            return []
        case "batch_first":
            return [_node("Transpose", [source], [target], perm=[1, 0, 2])]
        case "unbatched":
            return [_node("Squeeze" if back else "Unsqueeze", [source, "batch_axis"], [target])]
    raise ValueError(f"layout: got {layout!r}, expected one of reference.LAYOUTS")


def operator_model(op_type: str, dtype: np.dtype, *ranks: int, **attributes: Any) -> Any:
    """A model of one operator, whose inputs a, b, ... have these numbers of axes, and whose output is y."""
    names = "abc"[: len(ranks)]
    inputs = [_value(name, element_type(dtype), [None] * rank) for name, rank in zip(names, ranks, strict=True)]
    output = _value("y", element_type(dtype), [None] * ranks[0])
    return _model([_node(op_type, [*names], ["y"], **attributes)], inputs, [output], [])


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], tensors: list[Any]) -> Any:
    graph = helper.make_graph(nodes, "stack", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def _tensor(name: str, array: np.ndarray) -> Any:
    return numpy_helper.from_array(np.ascontiguousarray(array), name)


element_type = helper.np_dtype_to_tensor_dtype
_node = helper.make_node
_value = helper.make_tensor_value_info
