"""Models in .onnx files, and their recurrent nodes, each as a model of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import helper, numpy_helper

from ..running.guard import one_line
from .graph import LAYERS, constants
from .mapping import WEIGHTS


def load(path: Path, layer: str) -> Any:
    """The onnx.ModelProto in a file. Raises ValueError, in a sentence, for anything else.  layer: empty."""
    if layer:
        raise ValueError("--layer: got one beside an .onnx file, expected it beside a state_dict")
    try:
        return onnx.load(path)
    except Exception as error:  # a file makes onnx, or protobuf, raise whatever it likes
        raise ValueError(f"{path}: {one_line(error)}; expected a model that onnx.save wrote") from error


def layers(model: Any) -> dict[str, Any]:
    """The recurrent nodes of a model, by name, as models that take x, time first, and answer Y."""
    nodes = [node for node in model.graph.node if node.op_type in LAYERS]
    tensors = constants(model.graph)
    return {node.name or f"{node.op_type} {index}": _alone(model, node, tensors) for index, node in enumerate(nodes)}


def _alone(model: Any, node: Any, tensors: dict[str, Any]) -> Any:
    """A model of one node, which takes its weights and no states or lengths."""
    names = [name if index in WEIGHTS.values() and name in tensors else "" for index, name in enumerate(node.input)]
    one = helper.make_node(node.op_type, ["x", *names[1:]], ["Y"], node.name)
    one.attribute.extend(node.attribute)
    arrays = [numpy_helper.from_array(numpy_helper.to_array(tensors[name]), name) for name in {*names} - {""}]
    kind = arrays[0].data_type if arrays else onnx.TensorProto.FLOAT
    x, output = (helper.make_tensor_value_info(name, kind, None) for name in ("x", "Y"))
    graph = helper.make_graph([one], "layer", [x], [output], arrays)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
