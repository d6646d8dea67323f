"""Where each array of an ONNX graph comes from: its axes by name, followed through the nodes that move numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from reference import CellParameters, RNNSpec

from ..contract import NotOffered

# What may stand beside the RNN nodes: it moves numbers, and computes none.
MOVES = {"Constant", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Split", "Concat", "Identity"}
SHAPES = {"Shape", "Gather", "Expand", "ConstantOfShape"}  # of which exporters make initial states of zeros
ONE = "one"  # an axis of one direction, or of the one sequence of a model that takes no batch
FLOATING = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE)
LONGEST_CONSTANT = 16  # numbers of a shape, a permutation, a range: a longer one is none


@dataclass(frozen=True)
class Array:
    """An array of a graph.

    source: the name of the input that it is a part of; or "Y" or "Y_h", of the RNN nodes `layers`.
    axes: by name; those of an input are its own, 0, 1, ...  rows: which of an input's first axis; all when None.
    """

    source: str
    axes: tuple[Any, ...]
    layers: tuple[int, ...] = ()
    rows: tuple[int, int] | None = None


ZEROS = Array("zeros", ())  # of whatever shape


class Graph:
    """A graph's arrays, as far as they have been followed.

    spec: what its RNN nodes compute.  tensors: its constants.
    """

    def __init__(self, graph: Any, spec: RNNSpec, tensors: dict[str, Any]) -> None:
        self._spec, self._tensors = spec, tensors
        constant = {*tensors, *(sparse.values.name for sparse in graph.sparse_initializer)}
        self.arrays = {
            value.name: Array(value.name, tuple(range(_rank(value.type.tensor_type))))
            for value in graph.input
            if value.name not in constant
        }

    def follow(self, node: Any) -> None:
        """Say what a node's answers are. What is not said is not known, and refused where it is needed."""
        array = self.arrays.get(node.input[0]) if node.input else None
        if node.op_type == "Concat":
            self._concat(node)
        elif self._answers_zeros(node):
            self.arrays.update(dict.fromkeys(node.output, ZEROS))
        elif array is not None and node.op_type in _MOVED:
            for index, name in enumerate(node.output):
                moved = _MOVED[node.op_type](self, node, array, index)
                if name and moved is not None:
                    self.arrays[name] = moved

    def zeros(self, name: str) -> bool:
        """Whether an array holds floating zeros alone, whatever the inputs are."""
        tensor = self._tensors.get(name)
        if tensor is not None and tensor.data_type in FLOATING:
            return not numpy_helper.to_array(tensor).any()
        return self.arrays.get(name) == ZEROS

    def _answers_zeros(self, node: Any) -> bool:
        if node.op_type == "ConstantOfShape":
            value = attributes(node).get("value")
            return value is None or (value.data_type in FLOATING and not numpy_helper.to_array(value).any())
        return node.op_type in (*_MOVED, "Expand") and self.zeros(node.input[0])

    def numbers(self, node: Any, attribute: str, index: int, default: list[int] | None = None) -> list[int] | None:
        """The whole numbers that a node takes as an attribute, or, in later opsets, as a constant input.

        default: where it takes none. None where they are no constant.
        """
        given = attributes(node).get(attribute)
        if given is not None:
            return list(given)
        if not has_input(node, index):
            return default
        tensor = self._tensors.get(node.input[index])
        if tensor is None or tensor.data_type not in (TensorProto.INT64, TensorProto.INT32):
            return None
        if len(tensor.dims) != 1 or tensor.dims[0] > LONGEST_CONSTANT:
            return None
        return numpy_helper.to_array(tensor).tolist()

    def _concat(self, node: Any) -> None:
        """States of layers, one after another."""
        parts = [self.arrays.get(name) for name in node.input]
        known = [part for part in parts if part is not None and part.source == "Y_h" and part.axes[0] == "cell"]
        if len(known) == len(parts) and attributes(node)["axis"] == 0 and len({part.axes for part in known}) == 1:
            layers = tuple(layer for part in known for layer in part.layers)
            self.arrays[node.output[0]] = replace(known[0], layers=layers)

    def _transpose(self, node: Any, array: Array, _index: int) -> Array | None:
        places = range(len(array.axes))
        order = attributes(node).get("perm", places[::-1])
        return replace(array, axes=tuple(array.axes[axis] for axis in order)) if sorted(order) == [*places] else None

    def _squeeze(self, node: Any, array: Array, _index: int) -> Array | None:
        axes = self._axes(node, len(array.axes))
        if not axes or any(array.axes[axis] != ONE for axis in axes):
            return None
        return replace(array, axes=tuple(name for axis, name in enumerate(array.axes) if axis not in axes))

    def _unsqueeze(self, node: Any, array: Array, _index: int) -> Array | None:
        axes = self._axes(node, len(array.axes) + 1)
        if len(axes) != 1:
            return None
        return replace(array, axes=(*array.axes[: axes[0]], ONE, *array.axes[axes[0] :]))

    def _axes(self, node: Any, rank: int) -> list[int]:
        axes = self.numbers(node, "axes", 1) or []
        return [axis % rank for axis in axes] if all(-rank <= axis < rank for axis in axes) else []

    def _reshape(self, node: Any, array: Array, _index: int) -> Array | None:
        """The halves side by side: the last two axes in one, the others as they are."""
        shape = self.numbers(node, "shape", 1)
        halves = array.source == "Y" and array.axes[-2:] in (("direction", "unit"), (ONE, "unit"))
        if not shape or attributes(node).get("allowzero") or not halves:
            return None
        if shape[:-1] != [0] * (len(array.axes) - 2) or shape[-1] not in (-1, self._spec.output_size):
            return None
        return replace(array, axes=(*array.axes[:-2], "feature"))

    def _slice(self, node: Any, array: Array, _index: int) -> Array | None:
        """Rows of an input."""
        starts, ends = self.numbers(node, "starts", 1), self.numbers(node, "ends", 2)
        along = self.numbers(node, "axes", 3, [0]), self.numbers(node, "steps", 4, [1])
        if array.rows or array.axes[:1] != (0,) or along != ([0], [1]) or not (starts and ends):
            return None
        return replace(array, rows=(starts[0], ends[0])) if 0 <= starts[0] < ends[0] else None

    def _split(self, node: Any, array: Array, index: int) -> Array | None:
        """Rows of an input: as many for each layer, unless their numbers are given."""
        sizes = self.numbers(node, "split", 1)
        if sizes is None and len(node.input) < 2 and len(node.output) == self._spec.num_layers:
            sizes = [self._spec.num_directions] * self._spec.num_layers
        if array.rows or array.axes[:1] != (0,) or attributes(node).get("axis", 0) or not sizes:
            return None
        return replace(array, rows=(sum(sizes[:index]), sum(sizes[: index + 1])))

    def _identity(self, _node: Any, array: Array, _index: int) -> Array:
        return array


_MOVED: dict[str, Callable[[Graph, Any, Array, int], Array | None]] = {
    "Transpose": Graph._transpose,
    "Reshape": Graph._reshape,
    "Squeeze": Graph._squeeze,
    "Unsqueeze": Graph._unsqueeze,
    "Slice": Graph._slice,
    "Split": Graph._split,
    "Identity": Graph._identity,
}


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes by name, texts as str."""
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: a.decode(errors="replace") if isinstance(a, bytes) else a for name, a in given.items()}


def _rank(kind: Any) -> int:
    """The number of an input's axes: 3, as x and the states have, where it does not say."""
    return len(kind.shape.dim) if kind.HasField("shape") else 3


def constants(graph: Any) -> dict[str, Any]:
    """A graph's constant tensors by name. One whose name is an input's too is what that is by default."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        given = attributes(node) if node.op_type == "Constant" else {}
        if "value" in given:
            tensors[node.output[0]] = given["value"]
        elif "value_ints" in given:
            tensors[node.output[0]] = numpy_helper.from_array(np.array(given["value_ints"], np.int64))
        elif node.op_type == "Identity" and node.input[0] in tensors:
            tensors[node.output[0]] = tensors[node.input[0]]
    return tensors


def cells(node: Any, tensors: dict[str, Any], directions: int) -> list[CellParameters]:
    """A layer's parameters, forward before reverse."""
    given = [("W", 3), ("R", 3), *[("B", 2)] * has_input(node, 3)]
    arrays = [_weights(node, tensors, index, *named) for index, named in enumerate(given, start=1)]
    for (name, _), array in zip(given, arrays, strict=True):
        if len(array) != directions or (name == "B" and array.shape[1] % 2):
            words = f"{directions} in front" + ", and two biases" * (name == "B")
            raise NotOffered(f"{name} of {node.name or 'RNN'}: got shape {array.shape}, expected {words}")
    pairs = [np.split(b, 2) for b in arrays[2]] if len(arrays) > 2 else [()] * directions
    return [CellParameters(w, r, *pair) for w, r, pair in zip(arrays[0], arrays[1], pairs, strict=True)]


def _weights(node: Any, tensors: dict[str, Any], index: int, name: str, rank: int) -> np.ndarray:
    tensor = tensors.get(node.input[index])
    if tensor is None:
        raise NotOffered(f"{name} of {node.name or 'RNN'}: got {node.input[index]!r}, which is no constant")
    if tensor.data_type not in FLOATING:
        got = f"{name} of {node.name or 'RNN'}: got numbers of ONNX's type {tensor.data_type}"
        raise NotOffered(f"{got}, expected floating ones of 16 bits or more")
    if len(tensor.dims) != rank:
        raise NotOffered(f"{name} of {node.name or 'RNN'}: got shape {(*tensor.dims,)}, expected {rank} axes")
    return np.array(numpy_helper.to_array(tensor))


def has_input(node: Any, index: int) -> bool:
    """Whether a node is given an input at this index: an empty name is none."""
    return len(node.input) > index and bool(node.input[index])
