"""Where each array of an ONNX graph comes from: its axes by name, followed through the nodes that move numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from reference import RNNSpec

from ..contract import NotOffered
from .mapping import MAPPING, OPERATORS, WEIGHTS

LAYERS = {*OPERATORS.values()}
# What may stand beside the recurrent nodes: it moves numbers, and computes none.
MOVED = {"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Split", "Identity"}
SHAPES = {"Shape", "Gather", "Expand", "ConstantOfShape"}  # of which exporters make initial states of zeros
NODES = MOVED | SHAPES | LAYERS | {"Constant", "Concat"}
ONE = "one"  # an axis of one direction, or of the one sequence of a model that takes no batch
FLOATING = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE)
LONGEST_CONSTANT = 16  # numbers of a shape, a permutation, a range: a longer one is none


@dataclass(frozen=True)
class Array:
    """An array of a graph.

    source: the name of the input that it is a part of; or "Y", "Y_h" or "Y_c", of the recurrent nodes `layers`.
    axes: by name; those of an input are its own, 0, 1, ...  rows: which of an input's first axis; all when None.
    """

    source: str
    axes: tuple[Any, ...]
    layers: tuple[int, ...] = ()
    rows: tuple[int, int] | None = None


ZEROS = Array("", ())  # of whatever shape; no input has an empty name


class Graph:
    """A graph's arrays, as far as they have been followed.

    spec: what its recurrent nodes compute.  tensors: its constants.
    """

    def __init__(self, graph: Any, spec: RNNSpec, tensors: dict[str, Any]) -> None:
        self._spec, self._tensors = spec, tensors
        constant = {*tensors, *(sparse.values.name for sparse in graph.sparse_initializer)}
        inputs = {value.name: value.type.tensor_type for value in graph.input if value.name not in constant}
        # 3 axes, as x and the states have, where an input does not say
        ranks = {name: len(kind.shape.dim) if kind.HasField("shape") else 3 for name, kind in inputs.items()}
        self.arrays = {name: Array(name, tuple(range(rank))) for name, rank in ranks.items()}

    def follow(self, node: Any) -> None:
        """Say what a node's answers are. What is not said is not known, and refused where it is needed."""
        array = self.arrays.get(node.input[0]) if node.input else None
        for index, name in enumerate(node.output):
            if node.op_type == "Concat":
                answer = self._concat(node)
            elif self._answers_zeros(node):
                answer = ZEROS
            else:
                answer = None if array is None else self._moved(node, array, index)
            if name and answer is not None:
                self.arrays[name] = answer

    def zeros(self, name: str) -> bool:
        """Whether an array holds floating zeros alone, whatever the inputs are."""
        return _is_zero(self._tensors[name]) if name in self._tensors else self.arrays.get(name) == ZEROS

    def _answers_zeros(self, node: Any) -> bool:
        if node.op_type == "ConstantOfShape":
            value = attributes(node).get("value")
            return value is None or _is_zero(value)
        return node.op_type in (*MOVED, "Expand") and self.zeros(node.input[0])

    def _concat(self, node: Any) -> Array | None:
        """States of layers, one after another."""
        parts = [self.arrays.get(name, ZEROS) for name in node.input]
        layers = tuple(layer for part in parts for layer in part.layers)
        one = replace(parts[0], layers=layers)
        alike = all(replace(part, layers=layers) == one for part in parts)
        return one if alike and one.axes[:1] == ("cell",) and attributes(node)["axis"] == 0 else None

    def _moved(self, node: Any, array: Array, index: int) -> Array | None:
        """Answer `index` of a node that moves an array; None where it is none that a stack of layers has."""
        if node.op_type in ("Slice", "Split"):
            rows = self._rows(node, index) if array.axes[:1] == (0,) and array.rows is None else None
            return replace(array, rows=rows) if rows else None
        axes = self._moved_axes(node, array.axes)
        return None if axes is None else replace(array, axes=axes)

    def _moved_axes(self, node: Any, axes: tuple[Any, ...]) -> tuple[Any, ...] | None:
        given, rank, known = attributes(node), len(axes), False
        match node.op_type:
            case "Identity":
                known = True
            case "Transpose":
                order = given.get("perm", range(rank)[::-1])
                known = sorted(order) == [*range(rank)]
                axes = tuple(axes[axis] for axis in order if known)
            case "Squeeze":
                dropped = self._axes(node, rank)
                known = bool(dropped) and all(axes[axis] == ONE for axis in dropped)
                axes = tuple(name for axis, name in enumerate(axes) if axis not in dropped)
            case "Unsqueeze":
                added = self._axes(node, rank + 1)
                known = len(added) == 1
                axes = (*axes[: added[0]], ONE, *axes[added[0] :]) if known else axes
            case "Reshape":  # the halves side by side: the last two axes in one, the others as they are
                shape = self._numbers(node, "shape", 1) or [0]
                halves = axes[-2:] in (("direction", "unit"), (ONE, "feature")) and not given.get("allowzero")
                known = halves and shape[:-1] == [0] * (rank - 2) and shape[-1] in (-1, self._spec.output_size)
                axes = (*axes[:-2], "feature")
        return axes if known else None

    def _rows(self, node: Any, index: int) -> tuple[int, int] | None:
        """Which rows of an input answer `index` of a node has."""
        if node.op_type == "Slice":
            starts, ends = self._numbers(node, "starts", 1), self._numbers(node, "ends", 2)
            along = self._numbers(node, "axes", 3, [0]), self._numbers(node, "steps", 4, [1])
            if not starts or not ends or along != ([0], [1]) or not 0 <= starts[0] < ends[0]:
                return None
            return starts[0], min(ends[0], self._spec.num_cells)
        sizes = self._numbers(node, "split", 1)
        if sizes is None and len(node.input) < 2 and len(node.output) == self._spec.num_layers:
            sizes = [self._spec.num_directions] * self._spec.num_layers  # as many for each layer
        if not sizes or attributes(node).get("axis", 0):
            return None
        return sum(sizes[:index]), sum(sizes[: index + 1])

    def _axes(self, node: Any, rank: int) -> list[int]:
        axes = self._numbers(node, "axes", 1) or []
        return [axis % rank for axis in axes] if all(-rank <= axis < rank for axis in axes) else []

    def _numbers(self, node: Any, attribute: str, index: int, default: list[int] | None = None) -> list[int] | None:
        """The whole numbers that a node takes as an attribute, or, in later opsets, as a constant input.

        default: where it takes none. None where they are no constant.
        """
        given = attributes(node).get(attribute)
        if given is not None or not has_input(node, index):
            return default if given is None else list(given)
        tensor = self._tensors.get(node.input[index])
        if tensor is None or tensor.data_type not in (TensorProto.INT64, TensorProto.INT32):
            return None
        whole = len(tensor.dims) == 1 and tensor.dims[0] <= LONGEST_CONSTANT
        return numpy_helper.to_array(tensor).tolist() if whole else None


def _is_zero(tensor: Any) -> bool:
    return tensor.data_type in FLOATING and not numpy_helper.to_array(tensor).any()


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes by name, texts as str."""
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: a.decode(errors="replace") if isinstance(a, bytes) else a for name, a in given.items()}


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


def weights_of(node: Any, tensors: dict[str, Any], cell: str, directions: int) -> list[dict[str, np.ndarray]]:
    """A layer's weights by the operator's names, forward before reverse."""
    there = [name for name in MAPPING[cell].arrays if name in "WR" or has_input(node, WEIGHTS[name])]
    arrays = {name: _weights(node, tensors, name, directions) for name in there}
    return [{name: array[d] for name, array in arrays.items()} for d in range(directions)]


def _weights(node: Any, tensors: dict[str, Any], name: str, directions: int) -> np.ndarray:
    """An array of a layer's weights, with its directions in front."""
    given, rank = node.input[WEIGHTS[name]], 3 if name in "WR" else 2
    what, tensor = f"{name} of {node.name or node.op_type}", tensors.get(given)
    if tensor is None:
        raise NotOffered(f"{what}: got {given!r}, which is no constant")
    if tensor.data_type not in FLOATING:
        got = f"got numbers of ONNX's type {tensor.data_type}"
        raise NotOffered(f"{what}: {got}, expected floating ones of 16 bits or more")
    shape = (*tensor.dims,)
    if len(shape) != rank:
        raise NotOffered(f"{what}: got shape {shape}, expected {rank} axes")
    if shape[0] != directions:
        raise NotOffered(f"{what}: got shape {shape}, expected {directions} in front")
    return np.array(numpy_helper.to_array(tensor))


def has_input(node: Any, index: int) -> bool:
    """Whether a node is given an input at this index: an empty name is none."""
    return len(node.input) > index and bool(node.input[index])
