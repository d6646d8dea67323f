"""What can be read out of Equinox' cells, a user's own too. A subclass may compute anything, so types are exact."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

from reference import CellParameters, RNNSpec

from ..mapping import spec_and_parameters
from ..readers import one_for_all, refuse
from .mapping import MAPPING
from .ways import Layers

CELLS: dict[Any, str] = {eqx.nn.GRUCell: "gru", eqx.nn.LSTMCell: "lstm"}


def layers_of(module: Any) -> Layers:
    """Of what build returns, a cell, or a list of cells, each a forward layer. NotOffered for anything else."""
    if type(module) is Layers:
        return module
    cells = list(module) if type(module) in (list, tuple) else [module]
    refuse("module", {f"got {type(cell).__name__}, expected eqx.nn.GRUCell, LSTMCell, or a list of them":
                      type(cell) not in CELLS for cell in cells} | {"got no cells": not cells})  # fmt: skip
    return Layers(cells, "forward")


def read(module: Any) -> tuple[RNNSpec, list[CellParameters]]:
    """NotOffered where RNNSpec cannot say what a module computes."""
    layers, facts, weights = layers_of(module), [], []
    for index, cell in enumerate(layers.cells):
        name = f"cell {index}"
        refuse(name, {f"got {type(cell).__name__}, expected eqx.nn.GRUCell or LSTMCell": type(cell) not in CELLS})
        weights.append(_weights(name, cell))
        facts.append({"cell": CELLS[type(cell)], "hidden_size": cell.hidden_size, "bias": cell.use_bias})
    size, tracks = layers.cells[0].input_size, 2 if layers.direction == "bidirectional" else 1
    return spec_and_parameters(MAPPING, weights, input_size=size, num_layers=len(layers.cells) // tracks,
                               direction=layers.direction, **one_for_all(facts))  # fmt: skip


def arrays_of(cell: Any) -> dict[str, Any]:
    """The arrays that a cell holds, by their names in the mapping."""
    held = {name: getattr(cell, name) for name in MAPPING[CELLS[type(cell)]].arrays}
    return {name: array for name, array in held.items() if array is not None}


def _weights(name: str, cell: Any) -> dict[str, np.ndarray]:
    arrays = arrays_of(cell)
    refuse(name, {
        **{f"got a {word} that is no array with numbers in it": not isinstance(array, jax.Array | np.ndarray)
           or isinstance(array, Tracer) for word, array in arrays.items()},
        f"got use_bias={cell.use_bias}, expected that of whether there is a bias": cell.use_bias != ("bias" in arrays),
    })  # fmt: skip
    dtypes = sorted({array.dtype.name for array in arrays.values()})
    refuse(name, {f"got weights of {', '.join(dtypes)}, expected one dtype": len(dtypes) > 1})
    return {word: np.array(array) for word, array in arrays.items()}
