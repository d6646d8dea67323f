"""What can be read out of MLX' layers, a user's own too. A subclass may compute anything, so types are exact."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.nn.layers import activations

from reference import CellParameters, RNNSpec

from ..mapping import spec_and_parameters
from ..readers import one_for_all, refuse
from .mapping import MAPPING
from .ways import Layers

KINDS: dict[Any, str] = {nn.RNN: "elman", nn.GRU: "gru", nn.LSTM: "lstm"}
NONLINEARITIES: dict[str, tuple[Any, ...]] = {"tanh": (mx.tanh, activations.tanh), "relu": (nn.relu,)}
DTYPES = {name: getattr(mx, name) for name in ("float16", "bfloat16", "float32", "float64")}


def tensor(array: Any) -> Any:
    """An MLX array of the same values and dtype."""
    array = np.array(array, order="C")
    numbers = array.astype(np.float32) if array.dtype.name == "bfloat16" else array
    return mx.array(numbers, dtype=DTYPES.get(array.dtype.name, mx.int32))


def array_of(tensor: Any) -> np.ndarray:
    """A NumPy copy: of bfloat16 by way of float32, which holds it."""
    name = str(tensor.dtype).rpartition(".")[2]
    tensor = tensor.astype(mx.float32) if name == "bfloat16" else tensor
    mx.eval(tensor)  # what fails in it raises; in np.array it would end the process
    return np.array(tensor).astype(name)


def layers_of(module: Any) -> Layers:
    """Of what build returns, a layer, or a list of layers, each forward. NotOffered for anything else."""
    if type(module) is Layers:
        return module
    tracks = list(module) if type(module) in (list, tuple) else [module]
    refuse("module", {f"got {type(one).__name__}, expected mlx.nn.RNN, GRU, LSTM, or a list of them":
                      type(one) not in KINDS for one in tracks} | {"got no layers": not tracks})  # fmt: skip
    return Layers(tracks, "forward")


def read(module: Any) -> tuple[RNNSpec, list[CellParameters]]:
    """NotOffered where RNNSpec cannot say what a module computes."""
    layers, facts, weights = layers_of(module), [], []
    for index, layer in enumerate(layers.tracks):
        name, cell = f"layer {index}", KINDS[type(layer)]
        used = getattr(layer, "nonlinearity", mx.tanh)
        known = [word for word, several in NONLINEARITIES.items() if used in several]
        refuse(name, {f"got nonlinearity {used}, expected MLX' own tanh or relu": not known})
        weights.append({held: array_of(array) for held, array in arrays_of(layer).items()})
        dtypes = sorted({array.dtype.name for array in weights[-1].values()})
        refuse(name, {f"got weights of {', '.join(dtypes)}, expected one dtype": len(dtypes) > 1})
        facts.append({"cell": cell, "hidden_size": layer.hidden_size, "nonlinearity": known[0],
                      "bias": len(weights[-1]) > 2})  # fmt: skip
    tracks, size = 2 if layers.direction == "bidirectional" else 1, next(iter(weights[0].values())).shape[1]
    return spec_and_parameters(MAPPING, weights, input_size=size, num_layers=len(facts) // tracks,
                               direction=layers.direction, **one_for_all(facts))  # fmt: skip


def arrays_of(layer: Any) -> dict[str, Any]:
    """The arrays that a layer holds, by their names in the mapping."""
    held = {name: getattr(layer, name) for name in MAPPING[KINDS[type(layer)]].arrays}
    return {name: array for name, array in held.items() if array is not None}
