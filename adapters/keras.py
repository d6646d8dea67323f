"""Keras SimpleRNN, alone, stacked and in Bidirectional; written against `keras` alone, on whatever backend it has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow prints its start-up banner on stderr otherwise

import keras
import numpy as np

from reference import CellParameters, RNNSpec
from reference.arguments import check_inputs, check_parameters

from .contract import Capabilities, Result, Unsupported, cast_exactly, features_of


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

    def every_layer(self, x: Any, initial_state: Any = None, mask: Any = None) -> tuple[list[Any], list[Any]]:
        """Each layer's output, and all final states."""
        per_layer = 2 if isinstance(self.stack[0], keras.layers.Bidirectional) else 1
        outputs, states = [], []
        for index, layer in enumerate(self.stack):
            start = None if initial_state is None else list(initial_state[index * per_layer : (index + 1) * per_layer])
            x, *h = layer(x, initial_state=start, mask=mask)
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


class KerasAdapter:
    """keras SimpleRNN on the backend that KERAS_BACKEND names."""

    name = "keras"
    framework: Any = keras
    version = f"{keras.__version__} on {keras.backend.backend()}"
    capabilities = Capabilities(
        unsupported={("time", "0"): "SimpleRNN reads the first step before it starts (slice index 0 out of bounds)"},
        emulated={
            ("layout", "time_first"): "Keras 3 has batch-first layers only; the adapter transposes",
            ("layout", "unbatched"): "Keras layers are batched; the adapter adds and removes a batch of 1",
            ("direction", "reverse"): "go_backwards answers in processing order; the adapter puts it in time order",
        },
    )

    def devices(self) -> tuple[str, ...]:
        gpus = [d for d in keras.distribution.list_devices() if d.startswith(("gpu", "cuda"))]
        return ("cpu", *(f"cuda:{index}" for index in range(len(gpus))))

    def build(
        self, spec: RNNSpec, parameters: Sequence[CellParameters], device: str = "cpu", dtype: str | None = None
    ) -> RNNStack:
        check_parameters(spec, parameters)
        parameters = cast_exactly(parameters, dtype)
        dtype = parameters[0].dtype.name
        with on(device):
            stack = [_layer(spec, layer, dtype) for layer in range(spec.num_layers)]
            cells = [simple for layer in stack for simple in _simple_rnns(layer)]
            for simple, cell in zip(cells, parameters, strict=True):
                simple.cell.set_weights(_to_keras(cell))
            model = RNNStack(stack, dtype=dtype)
        model.device = device
        return model

    def run(
        self,
        module: Any,
        x: np.ndarray,
        h0: np.ndarray | None = None,
        lengths: Sequence[int] | np.ndarray | None = None,
        layout: str = "batch_first",
    ) -> Result:
        if not isinstance(module, RNNStack):
            raise Unsupported(f"module: got {type(module).__name__}, expected what build returns: build(*read(module))")
        spec = _spec(module)
        check_inputs(spec, x, h0, lengths, layout, np.dtype(module.compute_dtype))
        self.capabilities.require(features_of(spec, x, h0, lengths, layout))
        x, h0 = _batch_first(x, h0, layout)
        mask = None if lengths is None else np.arange(x.shape[1]) < np.atleast_1d(np.asarray(lengths))[:, None]
        with on(getattr(module, "device", "cpu")):
            outputs, states = module.every_layer(
                keras.ops.convert_to_tensor(x),
                None if h0 is None else [keras.ops.convert_to_tensor(h) for h in h0],
                None if mask is None else keras.ops.convert_to_tensor(mask),
            )
        arrays = [_from_batch_first(keras.ops.convert_to_numpy(o), layout) for o in outputs]
        h_n = np.stack([keras.ops.convert_to_numpy(state) for state in states])
        return Result(arrays[-1], h_n[:, 0] if layout == "unbatched" else h_n, arrays[:-1])

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        spec = _spec(module)
        return spec, [_from_keras(simple.cell) for layer in _layers(module) for simple in _simple_rnns(layer)]


def on(device: str) -> AbstractContextManager[Any]:
    """Keras' scope for a device: "cuda" and "cuda:1" are its "gpu:0" and "gpu:1"."""
    kind, _, index = device.partition(":")
    return keras.device("cpu:0" if kind == "cpu" else f"gpu:{index or 0}")


def _layer(spec: RNNSpec, layer: int, dtype: str) -> Any:
    simple = keras.layers.SimpleRNN(
        spec.hidden_size,
        activation=spec.nonlinearity,
        use_bias=spec.bias,
        recurrent_initializer="zeros",  # as all weights, replaced at once; the default's QR lacks bfloat16
        return_sequences=True,
        return_state=True,
        zero_output_for_mask=True,
        go_backwards=spec.direction == "reverse",
        dtype=dtype,
    )
    built = keras.layers.Bidirectional(simple, dtype=dtype) if spec.direction == "bidirectional" else simple
    built.build((None, None, spec.layer_input_size(layer)))
    return built


def _to_keras(cell: CellParameters) -> list[np.ndarray]:
    """[kernel, recurrent_kernel, bias]: columns are units, and the one bias is the sum of both."""
    weights = [cell.w_ih.T, cell.w_hh.T]
    return weights if cell.b_ih is None else [*weights, cell.b_ih + cell.b_hh]


def _from_keras(cell: Any) -> CellParameters:
    """A SimpleRNNCell's weights: its bias becomes b_ih, and b_hh is zero."""
    kernel, recurrent_kernel, *bias = cell.get_weights()
    b_ih = np.array(bias[0]) if bias else None
    b_hh = None if b_ih is None else np.zeros_like(b_ih)
    return CellParameters(np.array(kernel.T, order="C"), np.array(recurrent_kernel.T, order="C"), b_ih, b_hh)


def _layers(module: Any) -> list[Any]:
    """The recurrent layers of a model, in order; Unsupported for any other layer that has an effect."""
    if isinstance(module, RNNStack):
        return module.stack
    if isinstance(module, keras.layers.SimpleRNN | keras.layers.Bidirectional):
        return [module]
    if not isinstance(module, keras.Sequential | keras.Model):
        raise Unsupported(f"module: got {type(module).__name__}, expected SimpleRNN, Bidirectional or a stack of them")
    layers = [layer for layer in module.layers if not isinstance(layer, keras.layers.InputLayer)]
    for before, after in zip(layers, layers[1:], strict=False):
        if isinstance(module, keras.Sequential) or _follows(after, before):
            continue
        raise Unsupported(f"module: got a graph in which {after.name} does not read {before.name} alone, expected a stack")
    return layers


def _follows(after: Any, before: Any) -> bool:
    """Whether a layer of a functional model is called once, on the output of the one before."""
    nodes = after._inbound_nodes
    return len(nodes) == 1 and [node.operation for node in nodes[0].parent_nodes] == [before]


def _simple_rnns(layer: Any) -> list[Any]:
    return [layer.forward_layer, layer.backward_layer] if isinstance(layer, keras.layers.Bidirectional) else [layer]


def _spec(module: Any) -> RNNSpec:
    """What a model computes; Unsupported, with the reason, where RNNSpec cannot say it."""
    layers = _layers(module)
    if not layers:
        raise Unsupported("module: got a model without layers, expected at least one SimpleRNN")
    facts = [_facts(layer) for layer in layers]
    for name in ("hidden_size", "direction", "nonlinearity", "bias"):
        values = [fact[name] for fact in facts]
        if len(set(values)) > 1:
            raise Unsupported(f"module: got layers with {name} {values}, expected one value: RNNSpec has one for all")
    for layer in layers[:-1]:
        if not _simple_rnns(layer)[0].return_sequences:
            raise Unsupported(f"module: {layer.name} has return_sequences=False below another layer")
    kernel = _simple_rnns(layers[0])[0].cell.kernel
    return RNNSpec(input_size=int(kernel.shape[0]), num_layers=len(layers), **facts[0])


def _facts(layer: Any) -> dict[str, Any]:
    bidirectional = isinstance(layer, keras.layers.Bidirectional)
    if bidirectional and layer.merge_mode != "concat":
        raise Unsupported(f"{layer.name}: got merge_mode={layer.merge_mode!r}, expected 'concat'")
    facts = [_simple_facts(simple) for simple in _simple_rnns(layer)]
    if bidirectional:
        if [fact["direction"] for fact in facts] != ["forward", "reverse"]:
            raise Unsupported(f"{layer.name}: its halves run {[fact['direction'] for fact in facts]}, expected forward first")
        facts = [fact | {"direction": "bidirectional"} for fact in facts]
    if facts[0] != facts[-1]:
        raise Unsupported(f"{layer.name}: got halves {facts}, expected the same in both directions")
    return facts[0]


def _simple_facts(simple: Any) -> dict[str, Any]:
    if not isinstance(simple, keras.layers.SimpleRNN):
        raise Unsupported(f"{simple.name}: got {type(simple).__name__}, expected SimpleRNN")
    if not simple.built:
        raise Unsupported(f"{simple.name}: it has no weights yet; call it, or build it, first")
    activation = keras.activations.serialize(simple.activation)
    if activation not in ("tanh", "relu"):
        raise Unsupported(f"{simple.name}: got activation {activation!r}, expected 'tanh' or 'relu'")
    return {
        "hidden_size": simple.units,
        "direction": "reverse" if simple.go_backwards else "forward",
        "nonlinearity": activation,
        "bias": simple.use_bias,
    }


def _batch_first(x: np.ndarray, h0: np.ndarray | None, layout: str) -> tuple[np.ndarray, np.ndarray | None]:
    if layout == "unbatched":
        return x[None], None if h0 is None else h0[:, None]
    return (x.transpose(1, 0, 2) if layout == "time_first" else x), h0


def _from_batch_first(output: np.ndarray, layout: str) -> np.ndarray:
    if layout == "unbatched":
        return output[0]
    return output.transpose(1, 0, 2) if layout == "time_first" else output
