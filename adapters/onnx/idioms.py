"""Other ways in which users make or load ONNX models than run's, in which findings have their cases asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from onnx import helper, numpy_helper

from reference.spec import DTYPES

from ..contract import NotOffered

# a model's inputs by name, to its outputs by name
Call = Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]
Load = Callable[[Any], Call]  # of the time-first onnx.ModelProto of a stack


class Way(NamedTuple):
    """says, isolate: as an Idiom's.  load: what makes a callable of a stack's time-first model, in this way.

    dtypes: of the cases that are asked so.
    """

    says: str
    load: Load
    isolate: bool = False
    dtypes: tuple[str, ...] = DTYPES


def batch_first(load: Load) -> Load:
    """Loads the RNN node alone, with layout=1, and reads Y and Y_h."""

    def loaded(model: Any) -> Call:
        node = only_rnn(model)
        node.attribute.append(helper.make_attribute("layout", 1))
        node.input[5] = "h0" if node.input[5] else ""
        for value in model.graph.input:
            for size in value.type.tensor_type.shape.dim[:2]:
                size.Clear()
        element = model.graph.input[0].type.tensor_type.elem_type
        outputs = [
            helper.make_tensor_value_info(name, element, [None] * rank)
            for name, rank in zip(node.output, (4, 3), strict=True)
        ]
        alone = helper.make_graph([node], "layer", model.graph.input, outputs, model.graph.initializer)
        model.graph.CopyFrom(alone)
        call, names = load(model), [*node.output]

        def ask(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            given = {name: np.ascontiguousarray(a.swapaxes(0, 1)) if a.ndim == 3 else a for name, a in feeds.items()}
            answers = call(given)
            return _read(answers[names[0]], answers[names[1]], feeds["x"].shape)

        return ask

    return loaded


def _read(y: np.ndarray, y_h: np.ndarray, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """output and h_n, time first, of a layer of layout 1. Where Y has the axes of layout 0, and the first two of x are
    exchanged in it, it is read as its shape says.

    shape: of x, time first.
    """
    steps, batch, _ = shape
    as_said = y.shape[:2] == (batch, steps) and len(y_h) == batch
    y = y.transpose((1, 0, 2, 3) if as_said else (2, 0, 1, 3))
    return {"output": y.reshape(*y.shape[:2], -1), "h_n": y_h.swapaxes(0, 1) if as_said else y_h}


def affine_forward(load: Load) -> Load:
    """Loads a bidirectional layer with activations=["Affine", "Tanh"].

    NotOffered unless the weights of its forward half are all zeros: Affine(a) = a is tanh(a) there.
    """

    def loaded(model: Any) -> Call:
        node = only_rnn(model)
        given = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        forward = [weights[name][0] for name in node.input[1:4] if name]
        if given["activations"] != [b"Tanh", b"Tanh"] or any(map(np.any, forward)):
            raise NotOffered("two activations: asked of two directions of tanh, the forward one of zero weights alone")
        given |= {"activations": ["Affine", "Tanh"], "activation_alpha": [1.0, 1.0], "activation_beta": [0.0, 0.0]}
        del node.attribute[:]
        node.attribute.extend(helper.make_attribute(*one) for one in given.items())
        return load(model)

    return loaded


def only_rnn(model: Any) -> Any:
    """The RNN node of a model of one layer; NotOffered of another."""
    nodes = [node for node in model.graph.node if node.op_type == "RNN"]
    if len(nodes) > 1:
        raise NotOffered(f"num_layers: got {len(nodes)}, asked of one layer alone")
    return nodes[0]
