"""Specs and exact parameters out of ONNX models: the adapters' own, and a user's that stack RNN nodes alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from reference import CellParameters, RNNSpec
from reference.arguments import check_parameters

from .contract import Unsupported
from .onnx_stack import OnnxStack

NONLINEARITIES = {"tanh": "tanh", "relu": "relu"}  # ONNX Runtime does not mind the case of a name
# What may stand beside the RNN nodes: it moves numbers, and computes none.
MOVES = {"Constant", "Transpose", "Reshape", "Squeeze", "Slice", "Split", "Concat", "Identity"}


def read_model(module: Any) -> tuple[RNNSpec, list[CellParameters]]:
    """What a stack of RNN nodes computes, given as an onnx.ModelProto or as what build returns.

    Layers are joined as exporters join them: by a Squeeze of the axis of one direction, or by the Transpose and the
    Reshape that put two halves side by side. Raises Unsupported, with the reason, for anything else.
    """
    model = module.model if isinstance(module, OnnxStack) else module
    if not isinstance(model, onnx.ModelProto):
        raise Unsupported(f"module: got {type(module).__name__}, expected an onnx.ModelProto, or what build returns")
    graph = _Graph(model.graph)
    layers = [node for node in model.graph.node if node.op_type == "RNN"]
    others = {node.op_type for node in model.graph.node} - MOVES - {"RNN"}
    if others or not layers:
        raise Unsupported(f"nodes: got {', '.join(sorted(others)) or 'no RNN'}, expected RNN nodes, one after another")
    words = [_words(node) for node in layers]
    cells, below = [], None
    for node, (direction, *_) in zip(layers, words, strict=True):
        graph.expect_fed_by(node, below, direction)
        cells.append(graph.cells(node))
        below = node
    biases = [layer[0].b_ih is not None for layer in cells]
    if len({*zip(words, biases, strict=True)}) > 1:
        raise Unsupported(f"layers: got {[*zip(words, biases, strict=True)]}, expected all of one kind")
    (direction, nonlinearity, hidden), bias = words[0], biases[0]
    return _checked(hidden, direction, nonlinearity, bias, cells)


def _checked(
    hidden: int | None, direction: str, nonlinearity: str, bias: bool, layers: list[list[CellParameters]]
) -> tuple[RNNSpec, list[CellParameters]]:
    """The spec, if the weights have its shapes."""
    first = layers[0][0]
    parameters = [cell for layer in layers for cell in layer]
    spec = RNNSpec(first.w_ih.shape[1], hidden or len(first.w_hh), len(layers), direction, nonlinearity, bias)
    try:
        check_parameters(spec, parameters)
    except ValueError as error:
        raise Unsupported(str(error)) from error
    return spec, parameters


def _words(node: Any) -> tuple[str, str, int | None]:
    """The direction, the nonlinearity and the hidden size that a node's attributes name."""
    given: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    direction = given.get("direction", b"forward").decode()
    for name in ("clip", "activation_alpha", "activation_beta", "layout"):
        if given.get(name):
            raise Unsupported(f"{name}: got {given[name]}, expected none: RNNSpec has no such thing")
    names = [name.decode() for name in given.get("activations", [b"Tanh"])]
    known = {NONLINEARITIES.get(name.lower()) for name in names}
    if len(known) != 1 or None in known:
        raise Unsupported(f"activations: got {', '.join(names)}, expected Tanh or Relu in every direction")
    return direction, known.pop() or "", given.get("hidden_size")


class _Graph:
    """A graph's tensors, and which node each array comes from."""

    def __init__(self, graph: Any) -> None:
        self._inputs = {value.name for value in graph.input}
        self._source = {name: node for node in graph.node for name in node.output}
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._tensors[node.output[0]] = node.attribute[0].t

    def cells(self, node: Any) -> list[CellParameters]:
        """A layer's parameters, forward before reverse."""
        w, r = (self._array(node, index, name, 3) for index, name in ((1, "W"), (2, "R")))
        if not _given(node, 3):
            return [CellParameters(*pair) for pair in zip(w, r, strict=True)]
        halves = (np.split(b, 2) for b in self._array(node, 3, "B", 2))
        return [CellParameters(w_ih, w_hh, *pair) for w_ih, w_hh, pair in zip(w, r, halves, strict=True)]

    def expect_fed_by(self, node: Any, below: Any, direction: str) -> None:
        """Raise Unsupported unless a layer reads what the one below answers, or the model's input."""
        source = self._source.get(node.input[0])
        if below is None:
            fed = node.input[0] in self._inputs or (
                source is not None and _perm(source) == [1, 0, 2] and source.input[0] in self._inputs
            )
        else:
            fed = self._halves_together(source, below.output[0], direction)
        if not fed:
            raise Unsupported(
                f"X of {node.name or 'RNN'}: got {node.input[0]!r}, expected the layer below, or an input"
            )
        for index, name in ((4, "sequence_lens"), (5, "initial_h")):
            if _given(node, index) and not self._is_given(node.input[index]):
                raise Unsupported(
                    f"{name} of {node.name or 'RNN'}: got {node.input[index]!r}, expected an input or none"
                )

    def _is_given(self, name: str) -> bool:
        """Whether an array is an input of the model, or a part of one."""
        source = self._source.get(name)
        part = source is not None and source.op_type in ("Slice", "Split") and source.input[0] in self._inputs
        return name in self._inputs or part

    def _halves_together(self, node: Any, output: str, direction: str) -> bool:
        """Whether a node's answer is the Y of a layer as (time, batch, num_directions * hidden_size)."""
        if node is None:
            return False
        if node.op_type == "Squeeze" and direction != "bidirectional":
            return node.input[0] == output and self._numbers(node) == [1]
        moved = self._source.get(node.input[0]) if node.op_type == "Reshape" else None
        shape = self._numbers(node)
        joined = moved is not None and _perm(moved) == [0, 2, 1, 3] and moved.input[0] == output
        return joined and len(shape) == 3 and shape[:2] == [0, 0]

    def _numbers(self, node: Any) -> list[int]:
        """The constant that a node takes as its second input; empty where it is none."""
        tensor = self._tensors.get(node.input[1]) if len(node.input) > 1 else None
        return [] if tensor is None else numpy_helper.to_array(tensor).tolist()

    def _array(self, node: Any, index: int, name: str, rank: int) -> np.ndarray:
        tensor = self._tensors.get(node.input[index])
        if tensor is None:
            raise Unsupported(f"{name} of {node.name or 'RNN'}: got {node.input[index]!r}, which is no constant")
        array = np.array(numpy_helper.to_array(tensor))
        if array.ndim != rank:
            raise Unsupported(f"{name} of {node.name or 'RNN'}: got shape {array.shape}, expected {rank} axes")
        return array


def _given(node: Any, index: int) -> bool:
    """Whether a node has an input at this index: an empty name is none."""
    return len(node.input) > index and bool(node.input[index])


def _perm(node: Any) -> list[int]:
    return list(node.attribute[0].ints) if node.op_type == "Transpose" else []
