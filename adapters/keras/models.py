"""Keras models: the recurrent layers that the adapter calls one by one, and the plain model that a user gets."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True, eq=False)
class Stack:
    """Keras layers on top of each other, each SimpleRNN, RNN(SimpleRNNCell) or Bidirectional of one of them.

    Each answers its whole sequence and its states.
    """

    layers: Sequence[Any]

    @property
    def compute_dtype(self) -> str:
        return self.layers[0].compute_dtype

    @property
    def reverse(self) -> bool:
        return bool(getattr(self.layers[0], "go_backwards", False))

    def every_layer(
        self, x: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> tuple[list[Any], list[Any]]:
        """Each layer's output, in time order, and all final states.

        x (batch, time, features), initial_state and the final states (batch, units) for each track, mask (batch, time).
        """
        outputs, states = [], []
        for layer in self.layers:
            start = None if initial_state is None else list(initial_state[len(states) :][: len(tracks(layer))])
            x, *h = layer(x, initial_state=start, mask=mask, training=training)
            x = keras.ops.flip(x, axis=1) if self.reverse else x
            outputs.append(x)
            states += keras.tree.flatten(h)
        return outputs, states


def plain(stack: Stack) -> Any:
    """A functional model of a stack's own layers: x to [output, *final states].

    Layers that go backwards answer in processing order, while the mask stays in time order: on top of each other they
    would read each other's masks the wrong way round. So the cells of several are stacked in one RNN layer, which
    takes them all through each step, and the output is put into time order once, at the end.
    """
    layers = stack.layers
    if stack.reverse and len(layers) > 1:
        layers = [_as_rnn([layer.cell for layer in layers], layers[0])]
    x = keras.Input((None, int(tracks(stack.layers[0])[0].cell.kernel.shape[0])), dtype=stack.compute_dtype)
    sequence, states = x, []
    for layer in layers:
        sequence, *h = layer(sequence)
        states += keras.tree.flatten(h)
    model = keras.Model(x, [keras.ops.flip(sequence, axis=1) if stack.reverse else sequence, *states])
    model.supports_masking = True  # or Keras warns that the mask is not handed on
    return model


def one_by_one(layers: Sequence[Any]) -> Stack:
    """The stack of these layers; of one with stacked cells, a layer for each cell, with the same weights."""
    found = []
    for layer in layers:
        cells = [] if isinstance(layer, keras.layers.Bidirectional) else cells_of(layer)
        found += [_as_rnn(cell, layer) for cell in cells] if len(cells) > 1 else [layer]
    return Stack(found)


def _as_rnn(cell: Any, like: Any) -> Any:
    """keras.layers.RNN of a cell or of several, with the other settings of a layer; the weights are not copied."""
    several = isinstance(cell, list)  # which RNN itself would stack in Keras' default dtype
    words = ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask")
    return keras.layers.RNN(
        keras.layers.StackedRNNCells(cell, dtype=like.dtype_policy) if several else cell,
        dtype=like.dtype_policy,
        **{word: getattr(like, word) for word in words},
    )


def tracks(layer: Any) -> list[Any]:
    """The layer of each direction: two in Bidirectional, forward first."""
    return [layer.forward_layer, layer.backward_layer] if isinstance(layer, keras.layers.Bidirectional) else [layer]


def cells_of(track: Any) -> list[Any]:
    """The cells of a layer that runs in one direction, from the one that reads x upwards."""
    cell = getattr(track, "cell", None)
    return list(cell.cells) if type(cell) is keras.layers.StackedRNNCells else [cell]


def array_of(value: Any) -> np.ndarray:
    """A NumPy copy of a tensor or variable on any device."""
    with warnings.catch_warnings():
        # TensorFlow's bfloat16 tensors and torch's do not know NumPy 2's copy keyword, and are copied all the same
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy keyword", DeprecationWarning)
        return np.array(keras.ops.convert_to_numpy(value))
