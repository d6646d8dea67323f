"""Keras models with inputs of their own for all that is asked, as the LiteRT converter takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from reference import CellParameters, RNNSpec

from ..inputs import Inputs
from ..keras.mapping import start_of
from ..keras.modes import ModeRunner, fill, layer_of
from ..keras.settings import on


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


def model_of(stack: ModeRunner, sizes: tuple[int | None, int | None], names: Sequence[str]) -> Any:
    """A functional model of these inputs, of feeds_of, to each layer's output and all final states.

    sizes: of the batch and of the time; any when None, where the converter takes that.
    """
    spec = stack.spec
    shapes = {"x": (*sizes, spec.input_size), "mask": sizes}

    def entry(name: str) -> Any:
        shape = shapes.get(name, (sizes[0], spec.hidden_size))
        return keras.Input(batch_shape=shape, dtype="bool" if name == "mask" else stack.dtype, name=name)

    entries = {name: entry(name) for name in names}
    start = [entries[name] for name in names if name.startswith("start")]
    outputs, states = stack.every_layer(entries["x"], start or None, entries.get("mask"))
    return keras.Model([*entries.values()], [*outputs, *states])
