"""What a user's own layer of paddle.nn computes, from what Paddle's forward uses; or why that is not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import paddle
from paddle import nn
from paddle.nn import functional

from reference import CellParameters, RNNSpec

from ..contract import NotOffered
from ..mapping import spec_and_parameters
from ..readers import one_for_all, refuse
from .layers import CELLS, LAYERS
from .mapping import MAPPING
from .tensors import array_of
from .ways import cells_of, parts_of

NAMES = {kind: name for name, kind in CELLS.items()}
HOOKS = ("_forward_pre_hooks", "_forward_post_hooks")
ACTIVATIONS = {"tanh": paddle.tanh, "relu": functional.relu}


def read(layer: Any) -> tuple[RNNSpec, list[CellParameters]]:
    """The spec, and copies of the parameters, of a SimpleRNN, GRU or LSTM, an RNN or BiRNN, or a LayerList of these.

    spec.layout is the layer's own. NotOffered for one of which something may change what Paddle's own code computes.
    """
    if type(layer) not in (*LAYERS.values(), nn.RNN, nn.BiRNN, nn.LayerList):
        raise NotOffered(
            f"module: got {type(layer).__name__}, expected SimpleRNN, GRU, LSTM, RNN, BiRNN or a LayerList"
        )
    parts = parts_of(layer)
    strangers = [type(part).__name__ for part in parts if type(part) not in (nn.RNN, nn.BiRNN)]
    if strangers or not parts:
        raise NotOffered(f"module: got a LayerList of {strangers or 'nothing'}, expected paddle.nn.RNN or BiRNN")
    cells = cells_of(layer)
    for one in (layer, *parts, *cells):
        _expect_paddles_code(one)
    facts = one_for_all([_facts(cell) for cell in cells])
    arrays = [_arrays(cell, facts["bias"]) for cell in cells]
    _expect_one_set_of_weights(layer, cells)
    both = one_for_all([_of_part(part) for part in parts])
    spec, parameters = spec_and_parameters(
        MAPPING, arrays, **facts, **both, input_size=cells[0].input_size, num_layers=len(parts), held=False
    )
    return spec, parameters


def _expect_paddles_code(layer: Any) -> None:
    own = [name for name in ("forward", "call", "__call__") if name in vars(layer)]
    bound = own == ["call"] and vars(layer)["call"] == layer.forward  # paddle.nn.RNN sets this one itself
    refuse(f"module {type(layer).__name__}", {
        "got one whose forward is its own, or what paddle.jit.to_static made: it may compute anything":
            bool(own) and not bound,
        "got hooks, which may change the answer; remove them first": any(vars(layer)[name] for name in HOOKS),
        "got dropout in training, expected eval(): its answer is random":
            bool(getattr(layer, "dropout", 0)) and layer.training and layer.num_layers > 1,
    })  # fmt: skip


def _facts(cell: Any) -> dict[str, Any]:
    """Fields of RNNSpec, of one cell."""
    kind = NAMES.get(type(cell))
    if kind is None:
        raise NotOffered(f"module: got a {type(cell).__name__}, expected {', '.join(one.__name__ for one in NAMES)}")
    word = cell.activation if kind == "elman" else "tanh"
    activation = cell._activation_fn if kind == "elman" else cell._activation
    gates = getattr(cell, "_gate_activation", functional.sigmoid)
    if activation is not ACTIVATIONS[word] or gates is not functional.sigmoid:
        raise NotOffered(f"module {kind}: got other activations than Paddle's own, expected {word} and sigmoid")
    biases = cell.bias_ih, cell.bias_hh
    # with bias_ih_attr=False a cell keeps a bias of zeros, which takes no gradient
    bias = any(one is not None and (not one.stop_gradient or bool(paddle.any(one != 0))) for one in biases)
    return {"cell": kind, "nonlinearity": word, "hidden_size": cell.hidden_size, "bias": bias,
            "projection_size": getattr(cell, "proj_size", 0)}  # fmt: skip


def _of_part(part: Any) -> dict[str, Any]:
    both = isinstance(part, nn.BiRNN)
    direction = "bidirectional" if both else "reverse" if part.is_reverse else "forward"
    return {"direction": direction, "layout": "time_first" if part.time_major else "batch_first"}


def _arrays(cell: Any, bias: bool) -> Mapping[str, Any]:
    names = [name for name in MAPPING[NAMES[type(cell)]].arrays if bias or not name.startswith("bias")]
    return {name: array_of(getattr(cell, name)) for name in names if getattr(cell, name, None) is not None}


def _expect_one_set_of_weights(layer: Any, cells: list[Any]) -> None:
    """Refuse a layer whose own list of weights, with which its kernel computes, is not that of its cells."""
    if not getattr(layer, "could_use_cudnn", False):
        return
    own = {id(weight) for cell in cells for weight in cell.parameters()}
    if any(id(weight) not in own for weight in layer._all_weights) or layer.time_major != parts_of(layer)[0].time_major:
        raise NotOffered(f"module {type(layer).__name__}: got weights or a layout that are not those of its cells")
