"""Specs and exact parameters out of ONNX models: the adapters' own, and a user's that stack recurrent nodes alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import onnx
from onnx import TensorProto

from reference import DIRECTIONS, CellParameters, RNNSpec
from reference.layout import sequence_axes, state_axes
from reference.spec import short

from ..contract import NotOffered
from ..mapping import spec_and_parameters
from ..readers import one_for_all
from .graph import LAYERS, NODES, ONE, ZEROS, Array, Graph, attributes, constants, has_input, weights_of
from .mapping import LENGTHS, MAPPING, OF_GATES, OF_RNN, OPERATORS, STATES, WEIGHTS

# operator -> what its activations make of it, in one direction: fields of RNNSpec. A runtime may know other spellings.
OF_ACTIVATIONS: dict[str, dict[tuple[str, ...], dict[str, str]]] = {
    "RNN": {names: {"nonlinearity": word} for word, names in OF_RNN.items()},
    **{OPERATORS[cell]: {names: {}} for cell, names in OF_GATES.items()},
}
OLDEST_OPSET = 7  # before it the recurrent operators were others
DOMAINS = ("", "ai.onnx")
# the axes of a stack's input, by the names of the graph's input
LAYOUTS = {(0, 1, 2): "time_first", (1, 0, 2): "batch_first", (0, ONE, 1): "unbatched"}


def read_model(model: Any) -> tuple[RNNSpec, list[CellParameters]]:
    """What a stack of RNN, GRU or LSTM nodes computes, given as an onnx.ModelProto.

    Layers are joined as exporters join them: by a Squeeze of the axis of one direction, or by the Transpose and the
    Reshape that put two halves side by side. The model answers the last layer's output, in the layout of its input or
    as the operator's own Y, then the final states of all layers, and of an LSTM those of its cells; any may be left
    out. Initial states of zeros, as exporters make them of the batch, are none. spec.layout is the input's. Raises
    NotOffered, with the reason, for anything else.
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
    """Raise NotOffered for what is beside a stack of recurrent nodes, by what is there alone."""
    nodes = model.graph.node
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in nodes if node.domain not in DOMAINS})
    foreign += [f"function {function.name}" for function in model.functions]
    foreign += sorted({node.op_type for node in nodes} - NODES)
    if foreign or not LAYERS & {node.op_type for node in nodes}:
        got = short(", ".join(foreign) or "no RNN").strip("'\"")
        raise NotOffered(f"nodes: got {got}, expected RNN nodes, GRU or LSTM, one after another")
    opset = max((imported.version for imported in model.opset_import if imported.domain in DOMAINS), default=0)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise NotOffered(f"opset: got {opset}, expected {OLDEST_OPSET} to {newest}: the operator may be another")
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
    layers = [node for node in graph.node if node.op_type in LAYERS]
    one_for_all([{"operator": node.op_type} for node in layers])
    facts = [_words(node) for node in layers]
    if any(fact != facts[0] for fact in facts):
        raise NotOffered(f"layers: got {facts}, expected all of one kind")
    words, tensors = facts[0], constants(graph)
    directions = 2 if words["direction"] == "bidirectional" else 1
    tracks = [track for node in layers for track in weights_of(node, tensors, words["cell"], directions)]
    sizes = {"input_size": tracks[0]["W"].shape[1], "num_layers": len(layers)}
    hidden = words.pop("hidden_size") or tracks[0]["R"].shape[1]
    spec, parameters = spec_and_parameters(MAPPING, tracks, hidden_size=hidden, **words, **sizes)
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


def _words(node: Any) -> dict[str, Any]:
    """What a node says: the fields of RNNSpec but its sizes; and the hidden size, None where it says none."""
    given = attributes(node)
    direction = given.get("direction", "forward")
    if direction not in DIRECTIONS:
        raise NotOffered(f"direction: got {short(direction)}, expected one of {', '.join(DIRECTIONS)}")
    for name in ("activation_alpha", "activation_beta", *["layout"] * (given.get("layout") != 0)):
        if name in given:
            raise NotOffered(f"{name}: got {given[name]}, expected none: RNNSpec has no such thing")
    reset_before = node.op_type == "GRU" and not given.get("linear_before_reset", 0)
    cell = {"RNN": "elman", "GRU": "gru_reset_before" if reset_before else "gru", "LSTM": "lstm"}[node.op_type]
    own = {"peepholes": has_input(node, WEIGHTS["P"]), "input_forget": bool(given.get("input_forget", 0))}
    return {
        **_activations(node, 2 if direction == "bidirectional" else 1),
        "cell": cell,
        "direction": direction,
        "bias": has_input(node, WEIGHTS["B"]),
        "clip": given.get("clip"),
        "hidden_size": given.get("hidden_size"),
        **(own if cell == "lstm" else {}),
    }


def _activations(node: Any, directions: int) -> dict[str, str]:
    """What a node's activations say of the spec."""
    known = OF_ACTIVATIONS[node.op_type]
    first = next(iter(known))
    given = [name.decode(errors="replace") for name in attributes(node).get("activations", [])] or [*first] * directions
    for names, words in known.items():
        if given == [*names] * directions:
            return words
    expected = " or ".join(" ".join(names) for names in known)
    raise NotOffered(f"activations: got {', '.join(given)}, expected {expected} in every direction")


class _Stack:
    """The recurrent nodes of a graph, one after another, and what goes in and comes out. x, layout: its input's."""

    def __init__(self, graph: Any, layers: list[Any], spec: RNNSpec, tensors: dict[str, Any]) -> None:
        self._graph, self._layers, self._spec = graph, layers, spec
        self._followed = Graph(graph, spec, tensors)
        self.x, self.layout, self._batch = "", "", "batch"
        self._states, self._used = MAPPING[spec.cell].states, set[str]()
        halves = ("direction", "unit") if spec.num_directions == 2 else (ONE, "feature")
        below = -1
        for node in graph.node:
            if node.op_type not in LAYERS:
                self._followed.follow(node)
                continue
            below += 1
            self._expect_fed(node, below)
            self._y = ("time", halves[0], self._batch, halves[1])
            states = (Array(f"Y_{one}", ("cell", self._batch, "unit"), (below,)) for one in self._states)
            answers = Array("Y", self._y, (below,)), *states
            self._followed.arrays |= {name: array for name, array in zip(node.output, answers, strict=False) if name}

    def _expect_fed(self, node: Any, layer: int) -> None:
        """Raise NotOffered unless a layer reads the answer of the one below, or the model's input."""
        array = self._followed.arrays.get(node.input[0], ZEROS)
        if layer == 0 and array.axes in LAYOUTS and not (array.layers or array.rows):
            self.x, self.layout = array.source, LAYOUTS[array.axes]
            self._used.add(self.x)
            self._batch = ONE if self.layout == "unbatched" else "batch"
        elif array != Array("Y", ("time", self._batch, "feature"), (layer - 1,)):
            got = f"X of {node.name or node.op_type}: got {node.input[0]!r}"
            raise NotOffered(f"{got}, expected the layer below, or an input")

    def _inputs(self, index: int, name: str) -> tuple[list[str | None], list[Array | None]]:
        """What of the model's inputs the layers are given, by name and as arrays; None for none, or zeros as states."""
        names = [node.input[index] if has_input(node, index) else None for node in self._layers]
        arrays: list[Array | None] = []
        for node, got in zip(self._layers, names, strict=True):
            none = got is None or (index != LENGTHS and self._followed.zeros(got))
            array = None if none else self._followed.arrays.get(got or "", ZEROS)
            if array is not None and (array == ZEROS or array.layers or array.source in self._used):
                raise NotOffered(f"{name} of {node.name or node.op_type}: got {got!r}, expected an input or none")
            arrays.append(array)
        return names, arrays

    def expect_lengths(self) -> None:
        """Raise NotOffered unless every layer takes the same lengths, or none."""
        names, given = self._inputs(LENGTHS, "sequence_lens")
        if len({*given}) > 1 or any(array is not None and (array.axes != (0,) or array.rows) for array in given):
            raise NotOffered(f"sequence_lens: got {names}, expected one input for all layers, or none")

    def expect_states(self) -> None:
        """Raise NotOffered unless every layer takes its own part of the initial states, or none does, or zeros."""
        for state in self._states:
            self._expect_state(f"initial_{state}", STATES[state])

    def _expect_state(self, name: str, index: int) -> None:
        names, given = self._inputs(index, name)
        sources = [array.source for array in given if array is not None]
        axes, size = (0, ONE, 1) if self.layout == "unbatched" else (0, 1, 2), self._spec.num_directions
        parts = [Array(source, axes, rows=(size * n, size * (n + 1))) for n, source in enumerate(sources)]
        whole = [Array(source, axes) for source in sources]
        right = [None] * len(given), *[parts] * (len({*sources}) == 1), *[whole] * (len({*sources}) == len(given))
        if given not in right:
            raise NotOffered(f"{name}: got {names}, expected each layer's part of the states, in order, or none")
        self._used |= {*sources}

    def expect_outputs(self) -> None:
        """Raise NotOffered unless the model answers the last layer's output, and then all states, or some of these."""
        last, names = len(self._layers) - 1, [value.name for value in self._graph.output]
        outputs = [sequence_axes(self.layout), *[self._y] * (self.layout == "time_first")]
        whole = [Array("Y", axes, (last,)) for axes in outputs]
        states = {f"Y_{state}": list[int]() for state in self._states}
        seen: list[str] = []
        for index, name in enumerate(names):
            array = self._followed.arrays.get(name, ZEROS)
            if index == 0 and array in whole:
                continue
            if array.source not in states or array != Array(array.source, state_axes(self.layout), array.layers):
                raise NotOffered(f"output {name!r}: got another array, expected the last layer's output in the layout "
                                 "of the input, and then the final states of all layers")  # fmt: skip
            states[array.source] += array.layers
            seen.append(array.source)
        if any(layers and layers != [*range(last + 1)] for layers in states.values()) or seen != sorted(
            seen, key=[*states].index
        ):
            raise NotOffered(f"outputs: got {names}, expected the final states of all layers in their order, or none")
