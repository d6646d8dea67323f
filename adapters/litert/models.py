"""Keras models with inputs of their own for all that is asked, as the LiteRT converter takes them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import keras
import numpy as np

from reference import CellParameters, RNNSpec

from ..inputs import Inputs
from ..keras.mapping import KINDS, MAPPING, start_of
from ..keras.modes import ModeRunner, fill, layer_of
from ..keras.settings import on
from ..mapping import native
from .settings import tensorflow as tf

Sizes = tuple[int | None, int | None]  # of the batch and of the time; any when None, where the converter takes that


def feeds_of(spec: RNNSpec, inputs: Inputs) -> dict[str, np.ndarray]:
    """What is asked, by the names of a model's inputs.  inputs: batch first."""
    feeds = {"x": np.ascontiguousarray(inputs.x)}
    if inputs.valid is not None:
        feeds["mask"] = np.ascontiguousarray(inputs.valid)
    starts = enumerate(start_of(spec, inputs.h0) or [])
    return feeds | {f"start_{number}": np.ascontiguousarray(state) for number, state in starts}


def stack_of(spec: RNNSpec, parameters: Sequence[CellParameters], batch: int | None = None, **words: Any) -> ModeRunner:
    """The layers of a stack, with their weights.  batch: how many sequences there will be.  words: of each layer."""
    dtype = parameters[0].dtype.name
    with on("cpu", parameters[0].dtype):
        layers = [layer_of(spec, layer, dtype, batch=batch, **words) for layer in range(spec.num_layers)]
        fill(spec, layers, parameters)
    return ModeRunner(layers, "eager", spec, "cpu")


def shapes_of(spec: RNNSpec, sizes: Sizes, names: Sequence[str]) -> dict[str, tuple[int | None, ...]]:
    """The shapes of a model's inputs, by their names, which are of feeds_of."""
    shapes = {"x": (*sizes, spec.input_size), "mask": sizes}
    return {name: shapes.get(name, (sizes[0], spec.hidden_size)) for name in names}


def model_of(stack: ModeRunner, sizes: Sizes, names: Sequence[str]) -> Any:
    """A functional model of these inputs to each layer's output and all final states."""

    def entry(name: str, shape: tuple[int | None, ...]) -> Any:
        return keras.Input(batch_shape=shape, dtype="bool" if name == "mask" else stack.dtype, name=name)

    entries = {name: entry(name, shape) for name, shape in shapes_of(stack.spec, sizes, names).items()}
    start = [entries[name] for name in names if name.startswith("start")]
    outputs, states = stack.every_layer(entries["x"], start or None, entries.get("mask"))
    return keras.Model([*entries.values()], [*outputs, *states])


def in_keras(
    spec: RNNSpec, parameters: Sequence[CellParameters], sizes: Sizes, names: Sequence[str], **words: Any
) -> Any:
    """The model of a stack.  words: of each layer."""
    return model_of(stack_of(spec, parameters, sizes[0], **words), sizes, names)


def in_tf_keras(
    spec: RNNSpec, parameters: Sequence[CellParameters], sizes: Sizes, names: Sequence[str], **words: Any
) -> Any:
    """The same of Keras 2, which goes by this name. Without return_state it has each layer's output alone."""
    tf_keras: Any = import_module("tf_keras")
    dtype, (kind, more), left = parameters[0].dtype.name, KINDS[spec.cell], iter(parameters)
    axes, time = ((1, 0, 2), 0) if words.get("time_major") else (None, 1)
    usual = {"recurrent_initializer": "zeros", "return_sequences": True, "return_state": True,
             "zero_output_for_mask": True, "go_backwards": spec.direction == "reverse"}  # fmt: skip
    with on("cpu", parameters[0].dtype):
        entries = {
            name: tf_keras.Input(batch_shape=shape, dtype="bool" if name == "mask" else dtype, name=name)
            for name, shape in shapes_of(spec, sizes, names).items()
        }
        start = [entries[name] for name in names if name.startswith("start")]
        each = len(MAPPING[spec.cell].states) * spec.num_directions
        below, outputs, states = entries["x"] if axes is None else tf.transpose(entries["x"], axes), [], []
        for number in range(spec.num_layers):
            layer = getattr(tf_keras.layers, kind)(
                spec.hidden_size, activation=spec.nonlinearity, use_bias=spec.bias, dtype=dtype, **usual | more | words
            )
            if spec.direction == "bidirectional":
                layer = tf_keras.layers.Bidirectional(layer, dtype=dtype)
            given = start[number * each :][:each] or None
            below, *h = tf.nest.flatten(layer(below, initial_state=given, mask=entries.get("mask")))
            tracks = [native(spec, MAPPING[spec.cell], next(left)) for _ in spec.directions]
            layer.set_weights([array for track in tracks for array in track.values()])
            if spec.direction == "reverse":  # it came in the order of processing
                below = tf.reverse(below, [time])
            outputs.append(below if axes is None else tf.transpose(below, axes))
            states += h
        return tf_keras.Model([*entries.values()], [*outputs, *states])
