"""Specs and exact parameters out of ONNX models: the adapters' own, and a user's that stack RNN nodes alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import onnx
from onnx import TensorProto

from reference import DIRECTIONS, CellParameters, RNNSpec
from reference.arguments import check_parameters
from reference.layout import sequence_axes, state_axes
from reference.spec import short

from ..contract import NotOffered
from .graph import NODES, ONE, ZEROS, Array, Graph, attributes, cells, constants, has_input

NONLINEARITIES = {"Tanh": "tanh", "Relu": "relu"}  # a runtime may know other spellings; ONNX Runtime does not
OLDEST_OPSET = 7  # before it the RNN operator was another
DOMAINS = ("", "ai.onnx")
# the axes of a stack's input, by the names of the graph's input
LAYOUTS = {(0, 1, 2): "time_first", (1, 0, 2): "batch_first", (0, ONE, 1): "unbatched"}


def read_model(model: Any) -> tuple[RNNSpec, list[CellParameters]]:
    """What a stack of RNN nodes computes, given as an onnx.ModelProto.

    Layers are joined as exporters join them: by a Squeeze of the axis of one direction, or by the Transpose and the
    Reshape that put two halves side by side. The model answers the last layer's output, in the layout of its input or
    as the operator's own Y, and then the final states of all layers; either may be left out. Initial states of zeros,
    as exporters make them of the batch, are none. spec.layout is the
    input's. Raises NotOffered, with the reason, for anything else.
    """
    if not isinstance(model, onnx.ModelProto):
        raise NotOffered(f"module: got {type(model).__name__}, expected an onnx.ModelProto, or what build returns")
    _expect_nodes(model)
    try:
        onnx.checker.check_model(_typed(model))
        return _read(model.graph)
    except NotOffered:
        raise
    except (onnx.checker.ValidationError, TypeError, ValueError) as error:
        raise NotOffered(f"model: {str(error).strip().splitlines()[0]}") from error


def _expect_nodes(model: Any) -> None:
    """Raise NotOffered for what is beside a stack of RNN nodes, by what is there alone."""
    nodes = model.graph.node
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in nodes if node.domain not in DOMAINS})
    foreign += [f"function {function.name}" for function in model.functions]
    foreign += sorted({node.op_type for node in nodes} - NODES)
    if foreign or all(node.op_type != "RNN" for node in nodes):
        got = short(", ".join(foreign) or "no RNN").strip("'\"")
        raise NotOffered(f"nodes: got {got}, expected RNN nodes, one after another")
    opset = max((imported.version for imported in model.opset_import if imported.domain in DOMAINS), default=0)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise NotOffered(f"opset: got {opset}, expected {OLDEST_OPSET} to {newest}: the RNN operator may be another")
    given = [attribute.t for node in nodes for attribute in node.attribute if attribute.HasField("t")]
    for tensor in (*model.graph.initializer, *given):
        if tensor.data_location == TensorProto.EXTERNAL:
            got = f"{tensor.name or 'a constant'}: got a tensor whose numbers lie in another file"
            raise NotOffered(f"{got}, expected them in the model: onnx.load reads both")


def _typed(model: Any) -> Any:
    """The model with a type and a shape, whatever they be, where it names none: a runtime finds them out itself."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for value in (*copy.graph.input, *copy.graph.output, *copy.graph.value_info):
        if not value.HasField("type"):
            value.type.tensor_type.elem_type = TensorProto.FLOAT
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()
    return copy


def _read(graph: Any) -> tuple[RNNSpec, list[CellParameters]]:
    layers = [node for node in graph.node if node.op_type == "RNN"]
    words = [(*_words(node), has_input(node, 3)) for node in layers]
    if len(set(words)) > 1:
        raise NotOffered(f"layers: got {words}, expected all of one kind")
    direction, nonlinearity, activations, hidden, clip, bias = words[0]
    directions = 2 if direction == "bidirectional" else 1
    if activations not in (None, directions):
        raise NotOffered(f"activations: got {activations}, expected one for each of {directions} directions")
    tensors = constants(graph)
    parameters = [cell for node in layers for cell in cells(node, tensors, directions)]
    hidden = len(parameters[0].w_hh) if hidden is None else hidden
    spec = RNNSpec(parameters[0].w_ih.shape[1], hidden, len(layers), direction, nonlinearity, bias, clip=clip)
    check_parameters(spec, parameters)
    stack = _Stack(graph, layers, spec, tensors)
    given = next(value.type.tensor_type.elem_type for value in graph.input if value.name == stack.x)
    weights = onnx.helper.np_dtype_to_tensor_dtype(parameters[0].dtype)
    if given != weights:
        x, w = map(TensorProto.DataType.Name, (given, weights))
        raise NotOffered(f"{stack.x}: got {x} beside weights of {w}, expected one dtype")
    stack.expect_lengths()
    stack.expect_states()
    stack.expect_outputs()
    return replace(spec, layout=stack.layout), parameters


def _words(node: Any) -> tuple[str, str, int | None, int | None, float | None]:
    """The direction, the nonlinearity, how often that is named, the hidden size and the clip of a node."""
    given = attributes(node)
    direction = given.get("direction", "forward")
    if direction not in DIRECTIONS:
        raise NotOffered(f"direction: got {short(direction)}, expected one of {', '.join(DIRECTIONS)}")
    for name in ("activation_alpha", "activation_beta", *["layout"] * (given.get("layout") != 0)):
        if name in given:
            raise NotOffered(f"{name}: got {given[name]}, expected none: RNNSpec has no such thing")
    names = [name.decode(errors="replace") for name in given.get("activations", [b"Tanh"])]
    known = {NONLINEARITIES.get(name) for name in names}
    if len(known) != 1 or None in known:
        raise NotOffered(f"activations: got {', '.join(names)}, expected Tanh or Relu in every direction")
    named = len(names) if "activations" in given else None
    return direction, known.pop() or "", named, given.get("hidden_size"), given.get("clip")


class _Stack:
    """The RNN nodes of a graph, one after another, and what goes in and comes out. x, layout: its input's."""

    def __init__(self, graph: Any, layers: list[Any], spec: RNNSpec, tensors: dict[str, Any]) -> None:
        self._graph, self._layers, self._spec = graph, layers, spec
        self._followed = Graph(graph, spec, tensors)
        self.x, self.layout, self._batch = "", "", "batch"
        halves = ("direction", "unit") if spec.num_directions == 2 else (ONE, "feature")
        below = -1
        for node in graph.node:
            if node.op_type != "RNN":
                self._followed.follow(node)
                continue
            below += 1
            self._expect_fed(node, below)
            self._y = ("time", halves[0], self._batch, halves[1])
            answers = Array("Y", self._y, (below,)), Array("Y_h", ("cell", self._batch, "unit"), (below,))
            self._followed.arrays |= {name: array for name, array in zip(node.output, answers, strict=False) if name}

    def _expect_fed(self, node: Any, layer: int) -> None:
        """Raise NotOffered unless a layer reads the answer of the one below, or the model's input."""
        array = self._followed.arrays.get(node.input[0], ZEROS)
        if layer == 0 and array.axes in LAYOUTS and not (array.layers or array.rows):
            self.x, self.layout = array.source, LAYOUTS[array.axes]
            self._batch = ONE if self.layout == "unbatched" else "batch"
        elif array != Array("Y", ("time", self._batch, "feature"), (layer - 1,)):
            raise NotOffered(f"X of {node.name or 'RNN'}: got {node.input[0]!r}, expected the layer below, or an input")

    def _inputs(self, index: int, name: str) -> tuple[list[str | None], list[Array | None]]:
        """What of the model's inputs the layers are given, by name and as arrays; None for none, or zeros as states."""
        names = [node.input[index] if has_input(node, index) else None for node in self._layers]
        arrays: list[Array | None] = []
        for node, got in zip(self._layers, names, strict=True):
            none = got is None or (name == "initial_h" and self._followed.zeros(got))
            array = None if none else self._followed.arrays.get(got or "", ZEROS)
            if array is not None and (array == ZEROS or array.layers or array.source == self.x):
                raise NotOffered(f"{name} of {node.name or 'RNN'}: got {got!r}, expected an input or none")
            arrays.append(array)
        return names, arrays

    def expect_lengths(self) -> None:
        """Raise NotOffered unless every layer takes the same lengths, or none."""
        names, given = self._inputs(4, "sequence_lens")
        if len({*given}) > 1 or any(array is not None and (array.axes != (0,) or array.rows) for array in given):
            raise NotOffered(f"sequence_lens: got {names}, expected one input for all layers, or none")

    def expect_states(self) -> None:
        """Raise NotOffered unless every layer takes its own part of the initial states, or none does, or zeros."""
        names, given = self._inputs(5, "initial_h")
        sources = [array.source for array in given if array is not None]
        axes, size = (0, ONE, 1) if self.layout == "unbatched" else (0, 1, 2), self._spec.num_directions
        parts = [Array(source, axes, rows=(size * n, size * (n + 1))) for n, source in enumerate(sources)]
        whole = [Array(source, axes) for source in sources]
        right = [None] * len(given), *[parts] * (len({*sources}) == 1), *[whole] * (len({*sources}) == len(given))
        if given not in right:
            raise NotOffered(f"initial_h: got {names}, expected each layer's part of the states, in order, or none")

    def expect_outputs(self) -> None:
        """Raise NotOffered unless the model answers the last layer's output, and then all states, or one of the two."""
        last, names = len(self._layers) - 1, [value.name for value in self._graph.output]
        outputs = [sequence_axes(self.layout), *[self._y] * (self.layout == "time_first")]
        whole = [Array("Y", axes, (last,)) for axes in outputs]
        states: list[int] = []
        for index, name in enumerate(names):
            array = self._followed.arrays.get(name, ZEROS)
            if index == 0 and array in whole:
                continue
            if array != Array("Y_h", state_axes(self.layout), array.layers):
                raise NotOffered(f"output {name!r}: got another array, expected the last layer's output in the layout "
                                 "of the input, and then the final states of all layers")  # fmt: skip
            states += array.layers
        if states and states != [*range(last + 1)]:
            raise NotOffered(f"outputs: got {names}, expected the final states of all layers in their order, or none")
