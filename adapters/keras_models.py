"""Keras models: the stack that the adapter builds, and what can be read out of a user's own model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from reference import RNNSpec

from .contract import Unsupported

# A user's function that is only called "tanh" is not one of these, so functions are compared, not names.
ACTIVATIONS = {
    "tanh": (keras.activations.tanh, keras.ops.tanh),
    "relu": (keras.activations.relu, keras.ops.relu),
}

# Layers without an effect at inference, which is what is compared.
TRANSPARENT = (keras.layers.InputLayer, keras.layers.Dropout, keras.layers.SpatialDropout1D)


@keras.saving.register_keras_serializable(package="rnn_equivalence")
class RNNStack(keras.Model):
    """SimpleRNN layers, or Bidirectional ones, on top of each other, with every state going in and coming out.

    Called as a Keras recurrent layer is: model(x, initial_state=[...], mask=...) with x (batch, time, features)
    and a state (batch, units) for each cell. Answers (output, *states). A layer that goes backwards has its output
    put back into time order, which Bidirectional does and SimpleRNN does not.
    """

    def __init__(self, stack: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stack = list(stack)

    def call(self, x: Any, initial_state: Any = None, mask: Any = None) -> Any:
        outputs, states = self.every_layer(x, initial_state, mask)
        return (outputs[-1], *states)

    def every_layer(
        self, x: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> tuple[list[Any], list[Any]]:
        """Each layer's output, and all final states."""
        per_layer = 2 if isinstance(self.stack[0], keras.layers.Bidirectional) else 1
        outputs, states = [], []
        for index, layer in enumerate(self.stack):
            start = None if initial_state is None else list(initial_state[index * per_layer : (index + 1) * per_layer])
            x, *h = layer(x, initial_state=start, mask=mask, training=training)
            if getattr(layer, "go_backwards", False):
                x = keras.ops.flip(x, axis=1)
            outputs.append(x)
            states += h
        return outputs, states

    def get_config(self) -> dict[str, Any]:
        stack = [keras.saving.serialize_keras_object(layer) for layer in self.stack]
        return {**super().get_config(), "stack": stack}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> RNNStack:
        stack = [keras.saving.deserialize_keras_object(layer) for layer in config.pop("stack")]
        return cls(stack, **config)


def recurrent_layers(module: Any) -> list[Any]:
    """The recurrent layers of a model, in order; Unsupported for anything beside them that has an effect."""
    if isinstance(module, RNNStack):
        return module.stack
    if not isinstance(module, keras.Layer):
        raise Unsupported(f"module: got {type(module).__name__}, expected SimpleRNN, Bidirectional or a stack of them")
    if not isinstance(module, keras.Model):
        found = [module]
    elif not type(module).call.__module__.startswith("keras."):
        raise Unsupported(f"module: got {type(module).__name__}, whose call is its own: it may compute anything")
    else:  # a functional model knows its operations; it has no layer for keras.ops.multiply and the like
        found = _chain(module) if hasattr(module, "operations") else module.layers
    layers = [layer for layer in found if not isinstance(layer, TRANSPARENT)]
    if not layers:
        raise Unsupported("module: got a model without layers, expected at least one SimpleRNN")
    return layers


def simple_rnns(layer: Any) -> list[Any]:
    """The layers that hold the cells: two in Bidirectional, forward first."""
    return [layer.forward_layer, layer.backward_layer] if isinstance(layer, keras.layers.Bidirectional) else [layer]


def spec_of(module: Any) -> RNNSpec:
    """What a model computes; Unsupported, with the reason, where RNNSpec cannot say it."""
    layers = recurrent_layers(module)
    facts = [_facts(layer) for layer in layers]
    if not isinstance(module, RNNStack):
        _in_time(facts)
    for name in ("hidden_size", "direction", "nonlinearity", "bias", "dtype"):
        values = [fact[name] for fact in facts]
        if len(set(values)) > 1:
            raise Unsupported(f"module: got layers with {name} {values}, expected one value: RNNSpec has one for all")
    for layer in layers[:-1]:
        if not simple_rnns(layer)[0].return_sequences:
            raise Unsupported(f"module: {layer.name} has return_sequences=False below another layer")
    kernel = simple_rnns(layers[0])[0].cell.kernel
    words = {name: value for name, value in facts[0].items() if name != "dtype"}
    return RNNSpec(input_size=int(kernel.shape[0]), num_layers=len(layers), **words)


def _in_time(facts: list[dict[str, Any]]) -> None:
    """Say each layer's direction in time, where it is given relative to what the layer reads.

    A SimpleRNN that goes backwards hands its output on in processing order: the layers above it read time reversed.
    """
    reversed_ = False
    for fact in facts:
        if fact["direction"] == "bidirectional":
            if reversed_:
                raise Unsupported("module: got Bidirectional above a layer whose output is in reverse time order")
            continue
        reversed_ ^= fact["direction"] == "reverse"
        fact["direction"] = "reverse" if reversed_ else "forward"


def _chain(module: Any) -> list[Any]:
    """The operations of a functional model, where each reads the output of the one before and nothing else.

    Inputs may enter anywhere, as initial states or masks.
    """
    operations = [o for o in module.operations if not isinstance(o, keras.layers.InputLayer)]
    for before, after in zip([None, *operations], operations, strict=False):
        nodes = after._inbound_nodes
        tensors = [t for node in nodes for t in node.input_tensors]
        sources = [t._keras_history for t in tensors]
        read = [s for s in sources if not isinstance(s.operation, keras.layers.InputLayer)]
        expected = [] if before is None else [(before, 0)]  # 0 is the output; a state comes after it
        if len(nodes) != 1 or [(s.operation, s.tensor_index) for s in read] != expected:
            what = "the input" if before is None else f"{before.name}'s output"
            raise Unsupported(f"module: got a graph in which {after.name} does not read {what} alone, expected a stack")
    return operations


def _facts(layer: Any) -> dict[str, Any]:
    bidirectional = isinstance(layer, keras.layers.Bidirectional)
    if bidirectional and (type(layer) is not keras.layers.Bidirectional or layer.merge_mode != "concat"):
        raise Unsupported(f"{layer.name}: got {type(layer).__name__} with merge_mode={layer.merge_mode!r}, "
                          "expected Bidirectional with 'concat'")  # fmt: skip
    facts = [_simple_facts(simple) for simple in simple_rnns(layer)]
    if bidirectional:
        if [fact["direction"] for fact in facts] != ["forward", "reverse"]:
            raise Unsupported(f"{layer.name}: got a first half that goes backwards, expected forward first")
        facts = [fact | {"direction": "bidirectional"} for fact in facts]
    if facts[0] != facts[-1]:
        raise Unsupported(f"{layer.name}: got halves {facts}, expected the same in both directions")
    return facts[0]


def _simple_facts(simple: Any) -> dict[str, Any]:
    """A subclass may compute anything, so the types are exact; RNN(SimpleRNNCell(...)) is SimpleRNN."""
    if type(simple) not in (keras.layers.SimpleRNN, keras.layers.RNN):
        raise Unsupported(f"{simple.name}: got {type(simple).__name__}, expected SimpleRNN")
    cell = simple.cell
    if type(cell) is not keras.layers.SimpleRNNCell:
        raise Unsupported(f"{simple.name}: got a {type(cell).__name__}, expected SimpleRNNCell")
    if not cell.built:
        raise Unsupported(f"{simple.name}: it has no weights yet; call it, or build it, first")
    known = [name for name, functions in ACTIVATIONS.items() if cell.activation in functions]
    if not known:
        activation = getattr(cell.activation, "__name__", cell.activation)
        raise Unsupported(f"{simple.name}: got activation {activation!r}, expected Keras' own 'tanh' or 'relu'")
    if cell.compute_dtype != cell.variable_dtype:
        raise Unsupported(f"{simple.name}: computes in {cell.compute_dtype} on {cell.variable_dtype} weights, "
                          "expected one dtype")  # fmt: skip
    return {
        "hidden_size": cell.units,
        "direction": "reverse" if simple.go_backwards else "forward",
        "nonlinearity": known[0],
        "bias": cell.use_bias,
        "dtype": cell.variable_dtype,
    }
