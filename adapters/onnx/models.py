"""Recurrent stacks as ONNX models, one RNN, GRU or LSTM node for each layer, and models of single operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from reference import CellParameters, RNNSpec
from reference.layout import sequence_axes

from ..mapping import native
from .mapping import INPUTS, LENGTHS, MAPPING, OPERATORS, STATES, WEIGHTS
from .script import IR_VERSION, OPSET, attributes_of


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
    batch axis when unbatched, and, of a cell that has it, c0; with lengths, sequence_lens (batch,) of int32. It starts
    at zero, and runs to the end, where it takes none. Its outputs are output, in `layout`, and h_n and c_n, with the
    axes of h0; with every_layer, also output_0, output_1, ... of the layers below the last, time first.
    """
    element, unbatched, steps = element_type(parameters[0].dtype), layout == "unbatched", sequence_axes(layout)[:-1]
    sizes = [spec.num_cells, *["batch"] * (not unbatched), spec.hidden_size]
    inputs, states = [_value("x", element, [*steps, spec.input_size])], MAPPING[spec.cell].states
    outputs = [_value("output", element, [*steps, spec.output_size])]
    outputs += [_value(f"{state}_n", element, sizes) for state in states]
    tensors = [_tensor("halves_together", np.array([0, 0, spec.output_size]))]
    nodes = _moved("x", "steps", layout)
    names = [*(f"output_{layer}" for layer in range(spec.num_layers - 1)), "last" if nodes else "output"]
    below, given = "steps" if nodes else "x", dict[int, str]()
    if unbatched:
        tensors.append(_tensor("batch_axis", np.array([1])))
    if lengths:
        inputs.append(_value("sequence_lens", TensorProto.INT32, ["batch"]))
        given[LENGTHS] = "sequence_lens"
    for state in states * h0:
        inputs.append(_value(f"{state}0", element, sizes))
        nodes += _moved(f"{state}0", f"starts_{state}", layout) * unbatched
        parts = [f"{state}0_{layer}" for layer in range(spec.num_layers)]
        whole = f"starts_{state}" if unbatched else f"{state}0"
        nodes.append(_node("Split", [whole], parts, axis=0, num_outputs=len(parts)))
    for layer, output in enumerate(names):
        weights = _weights(spec, layer, parameters[layer * spec.num_directions :][: spec.num_directions])
        tensors += weights.values()
        given |= {WEIGHTS[name]: tensor.name for name, tensor in weights.items()}
        given |= {STATES[state]: f"{state}0_{layer}" for state in states * h0}
        nodes += _layer(spec, layer, [below, *(given.get(index, "") for index in range(1, INPUTS[states]))], output)
        below = output
    nodes += _moved("last", "output", layout, back=True)
    for state in states:
        final, whole = [f"{state}_n_{layer}" for layer in range(spec.num_layers)], f"{state}_n"
        nodes.append(_node("Concat", final, [f"cells_{state}" if unbatched else whole], axis=0))
        nodes += _moved(f"cells_{state}", whole, layout, back=True) * unbatched
    lower = [_value(name, element, ["time", "batch", spec.output_size]) for name in names[:-1] if every_layer]
    return _model(nodes, inputs, [*outputs, *lower], tensors)


def _layer(spec: RNNSpec, layer: int, inputs: list[str], output: str) -> list[Any]:
    """A layer's nodes: the operator, whose Y is (time, num_directions, batch, hidden_size), and its halves side by
    side."""
    operator = _node(
        OPERATORS[spec.cell],
        inputs,
        [f"Y_{layer}", *(f"{state}_n_{layer}" for state in MAPPING[spec.cell].states)],
        name=f"{OPERATORS[spec.cell].lower()}_{layer}",
        hidden_size=spec.hidden_size,
        direction=spec.direction,
        clip=spec.clip,
        **attributes_of(spec),
    )
    moved = _node("Transpose", [f"Y_{layer}"], [f"halves_{layer}"], perm=[0, 2, 1, 3])
    return [operator, moved, _node("Reshape", [f"halves_{layer}", "halves_together"], [output])]


def _weights(spec: RNNSpec, layer: int, tracks: Sequence[CellParameters]) -> dict[str, Any]:
    """A layer's arrays by the operator's names, with its directions in front, as tensors."""
    arrays = [native(spec, MAPPING[spec.cell], track) for track in tracks]
    return {name: _tensor(f"{name}_{layer}", np.stack([one[name] for one in arrays])) for name in arrays[0]}


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
