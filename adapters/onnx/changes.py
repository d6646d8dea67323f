"""How users' ONNX models differ from the one that run makes: each function changes such a model, and what it is given.

They import onnx and NumPy alone, and stand in scripts as they are here. model: an onnx.ModelProto, time first, whose
inputs are x, and where they are given h0, c0 and sequence_lens, and whose outputs are output, h_n and c_n; of an
operator that has a state c. feeds: arrays by the names of its inputs. Both are changed in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def layers(model: Any) -> list[Any]:
    """Its recurrent nodes, from the first layer to the last."""
    return [node for node in model.graph.node if node.op_type in ("RNN", "GRU", "LSTM")]


def only_y(model: Any, feeds: dict[str, Any]) -> None:
    """No recurrent node has an output Y_h or Y_c, and the model none of states."""
    for node in layers(model):
        del node.output[1:]
    for value in list(model.graph.output):
        if value.name in ("h_n", "c_n"):
            model.graph.node.remove(next(node for node in model.graph.node if value.name in node.output))
            model.graph.output.remove(value)


def only_y_h(model: Any, feeds: dict[str, Any]) -> None:
    """The last recurrent node has no output Y, and the model the states alone."""
    last = layers(model)[-1]
    unread = [last.output[0]]
    for node in list(model.graph.node):
        if node.input[:1] == unread[-1:]:
            unread.append(node.output[0])
            model.graph.node.remove(node)
    last.output[0] = ""
    if len(unread) > 1 and not any(node.op_type == "Reshape" for node in model.graph.node):
        model.graph.initializer.remove(next(one for one in model.graph.initializer if one.name == "halves_together"))
    model.graph.output.remove(next(value for value in model.graph.output if value.name == "output"))


def in_opset(model: Any, feeds: dict[str, Any], version: int) -> None:
    """The model is of another version of the operator set, as another exporter writes it."""
    model.opset_import[0].version = version
    for node in model.graph.node:
        kept = [one for one in node.attribute if one.name != "num_outputs" or version >= 18]  # of Split
        del node.attribute[:]
        node.attribute.extend(kept)


def without_attributes(model: Any, feeds: dict[str, Any], names: tuple[str, ...]) -> None:
    """The recurrent nodes leave out attributes of these names where the standard says the same without them."""
    for node in layers(model):
        same = [b"forward", b"Tanh", *[b"Sigmoid"] * (node.op_type != "RNN")]
        kept = []
        for one in node.attribute:
            words = [*one.strings, *([one.s] if one.s else [])]
            if one.name not in names or any(word not in same for word in words) or (not words and one.i == 1):
                kept.append(one)
        del node.attribute[:]
        node.attribute.extend(kept)


def in_lower_case(model: Any, feeds: dict[str, Any]) -> None:
    """The activations of the recurrent nodes are named in lower case."""
    for node in layers(model):
        for one in node.attribute:
            if one.name == "activations":
                one.strings[:] = [name.lower() for name in one.strings]


def constant_inputs(model: Any, feeds: dict[str, Any], names: tuple[str, ...] = ("h0", "c0", "sequence_lens")) -> None:
    """h0, c0 and sequence_lens, or those of them that are named, are no inputs of the model, and constants in it."""
    for value in list(model.graph.input):
        if value.name in names:
            model.graph.input.remove(value)
            model.graph.initializer.append(numpy_helper.from_array(feeds.pop(value.name), value.name))


def weights_given(model: Any, feeds: dict[str, Any]) -> None:
    """The weights of the recurrent nodes are inputs of the model."""
    for tensor in list(model.graph.initializer):
        if tensor.name[:2] in ("W_", "R_", "B_", "P_"):
            feeds[tensor.name] = numpy_helper.to_array(tensor)
            model.graph.initializer.remove(tensor)
            model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))


def nothing_left_out(model: Any, feeds: dict[str, Any]) -> None:
    """Every recurrent node has all of its inputs: where there was none, biases, peepholes and states of zeros, and full
    lengths. Its weights are of Constant nodes."""
    (steps, batch), x = feeds["x"].shape[:2], model.graph.input[0].type.tensor_type
    if "sequence_lens" not in feeds:
        feeds["sequence_lens"] = np.full(batch, steps, np.int32)
        model.graph.input.append(helper.make_tensor_value_info("sequence_lens", TensorProto.INT32, ["batch"]))
    for layer, node in enumerate(layers(model)):
        hidden = next(one.i for one in node.attribute if one.name == "hidden_size")
        directions = 2 if any(one.s == b"bidirectional" for one in node.attribute) else 1
        gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[node.op_type]
        node.input[4] = "sequence_lens"
        for index, name, rows in ((3, "B", 2 * gates * hidden), (7, "P", 3 * hidden)):
            if index < len(node.input) and not node.input[index]:
                node.input[index] = f"{name}_{layer}"
                zeros = np.zeros((directions, rows), feeds["x"].dtype)
                model.graph.initializer.append(numpy_helper.from_array(zeros, node.input[index]))
        for index in (5, 6):
            if index < len(node.input) and not node.input[index]:
                node.input[index] = f"initial_{index}_{layer}"
                feeds[node.input[index]] = np.zeros((directions, batch, hidden), feeds["x"].dtype)
                shape = [directions, "batch", hidden]
                model.graph.input.append(helper.make_tensor_value_info(node.input[index], x.elem_type, shape))
    for tensor in list(model.graph.initializer):
        model.graph.initializer.remove(tensor)
        model.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))


def fixed_shapes(model: Any, feeds: dict[str, Any]) -> None:
    """The model says each size of its inputs."""
    for value in model.graph.input:
        for size, number in zip(value.type.tensor_type.shape.dim, feeds[value.name].shape, strict=True):
            size.dim_value = number


def in_a_branch(model: Any, feeds: dict[str, Any]) -> None:
    """The nodes stand in a branch of an If, and the weights outside of it; the other branch answers the negative."""
    nodes, names, branches = list(model.graph.node), {}, []
    inside = {name: f"{name}_inside" for node in nodes for name in node.output if name}
    for node in nodes:
        node.input[:] = [inside.get(name, name) for name in node.input]
        node.output[:] = [inside.get(name, name) for name in node.output]
    for operator in ("Identity", "Neg"):
        names = {one.name: f"{one.name}_{operator}" for one in model.graph.output}
        shown = [helper.make_value_info(names[one.name], one.type) for one in model.graph.output]
        ends = [helper.make_node(operator, [inside[name]], [names[name]]) for name in names]
        branches.append(helper.make_graph([*nodes, *ends], operator, [], shown))
    del model.graph.node[:]
    model.graph.initializer.append(numpy_helper.from_array(np.array(0), "zero"))
    model.graph.node.extend([
        helper.make_node("Size", ["x"], ["size"]),
        helper.make_node("GreaterOrEqual", ["size", "zero"], ["always"]),
        helper.make_node("If", ["always"], [*names], then_branch=branches[0], else_branch=branches[1]),
    ])  # fmt: skip


def layout_1(model: Any, feeds: dict[str, Any]) -> None:
    """The recurrent nodes are batch first; so are x, the states and the outputs of the model."""
    for node in layers(model):
        node.attribute.append(helper.make_attribute("layout", 1))
    for node in model.graph.node:
        for one in node.attribute:
            if node.op_type == "Transpose":  # Y is (batch, time, num_directions, hidden_size)
                one.ints[:] = [0, 1, 2, 3]
            elif node.op_type in ("Split", "Concat") and one.name == "axis":  # states are (batch, ..., hidden_size)
                one.i = 1
    for value in [*model.graph.input, *model.graph.output]:
        for size in value.type.tensor_type.shape.dim[:2]:
            size.Clear()
    feeds |= {name: np.ascontiguousarray(a.swapaxes(0, 1)) for name, a in feeds.items() if a.ndim == 3}


def two_activations(model: Any, feeds: dict[str, Any], others: dict[bytes, str]) -> None:
    """Each layer's halves are of two recurrent nodes, which have other activations in the other direction."""
    nodes, recurrent = list(model.graph.node), layers(model)
    del model.graph.node[:]
    for node in nodes:
        if node not in recurrent:
            model.graph.node.append(node)
            continue
        given = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        names = given.pop("activations")
        own, halves = names[: len(names) // 2], [[f"{name}_{half}" for name in node.output] for half in range(2)]
        other = [others[name] for name in own]
        unused = [0.0] * len(names) if "Affine" in other else []  # of an Affine they are its factor and its bias
        more: dict[str, Any] = {"activation_alpha": unused, "activation_beta": unused} if unused else {}
        for half, outputs in enumerate(halves):
            both = [*own, *other] if half == 0 else [*other, *own]
            model.graph.node.append(
                helper.make_node(node.op_type, node.input, outputs, activations=both, **given, **more)
            )
            model.graph.node.extend(
                helper.make_node("Split", [name], [f"{name}_{n}" for n in range(2)], axis=1 - bool(k), num_outputs=2)
                for k, name in enumerate(outputs)
            )
        model.graph.node.extend(
            helper.make_node("Concat", [f"{halves[n][k]}_{n}" for n in range(2)], [name], axis=1 - bool(k))
            for k, name in enumerate(node.output)
        )
