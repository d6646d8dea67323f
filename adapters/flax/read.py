"""Flax modules: how the layers of one are called, and what can be read out of a user's own.

A subclass may compute anything, so types are exact; so may a function that is only called "tanh", so functions are
compared, not names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype
from jax.core import Tracer

from reference import NONLINEARITIES, CellParameters, RNNSpec

from ..mapping import Array, Native, spec_and_parameters
from ..readers import one_for_all, refuse
from .mapping import MAPPING, OF_GATES

ACTIVATIONS: dict[str, tuple[Any, ...]] = {
    "tanh": (nnx.tanh, jnp.tanh, jax.lax.tanh),
    "relu": (nnx.relu, jax.nn.relu),
    "sigmoid": (nnx.sigmoid, jax.nn.sigmoid, jax.lax.logistic),
}

# a Flax cell -> the word of ours, and the arrays that it may hold
CELLS: dict[Any, tuple[str, Mapping[str, Array]]] = {
    nnx.SimpleCell: ("elman", MAPPING["elman"].arrays),
    nnx.GRUCell: ("gru", MAPPING["gru"].arrays),
    nnx.OptimizedLSTMCell: ("lstm", MAPPING["lstm"].arrays),
    nnx.LSTMCell: ("lstm", OF_GATES),
}
# cell -> all arrays in which a Flax cell of that kind may hold its weights
EITHER = {**MAPPING, "lstm": Native({**MAPPING["lstm"].arrays, **OF_GATES})}

# What a Linear has unless its user gives another.
DEFAULTS = {
    "promote_dtype": promote_dtype,
    "dot_general": jax.lax.dot_general,
    "preferred_element_type": None,
    "precision": None,
}

# What nnx.RNN carries from step to step, unless its user says otherwise.
SCANNED = nnx.StateAxes({...: nnx.Carry})
AXES = SCANNED, {...: nnx.Carry}  # up to Flax 0.12.0 a dict

# x, initial carries or None, lengths or None, whether time comes first -> each layer's output, and all final carries
Answer = tuple[list[Any], list[Any]]


def every_layer(module: Any, x: Any, initial_carry: Sequence[Any] | None, seq_lengths: Any, time_major: bool) -> Answer:
    """Each layer's output, and all final carries, of a layer or nnx.Sequential: its layers, called one after another.

    A carry for each track, (batch, hidden_features) or a pair of these, layer by layer, forward before reverse. Beyond
    seq_lengths an output is what Flax computes there.
    """
    outputs, carries = [], []
    for layer in recurrent_layers(module):
        start, both = None, type(layer) is nnx.Bidirectional
        if initial_carry is not None:
            start = initial_carry[len(carries)]
            start = (start, initial_carry[len(carries) + 1]) if both else start
        carry, x = layer(x, initial_carry=start, seq_lengths=seq_lengths, return_carry=True, time_major=time_major)
        outputs.append(x)
        carries += carry if both else [carry]
    return outputs, carries


def recurrent_layers(module: Any) -> list[Any]:
    """The recurrent layers of a module, in order: a cell alone, one layer, or a stack of them."""
    kind = type(module)
    if kind in (*CELLS, nnx.RNN, nnx.Bidirectional):
        return [module]
    known = kind in (list, tuple, nnx.List, nnx.Sequential)
    refuse("module", {f"got {kind.__name__}, expected nnx.RNN, nnx.Bidirectional or a stack of them": not known})
    layers = list(module.layers if kind is nnx.Sequential else module)
    refuse("module", {
        "got no layers, expected at least one nnx.RNN": not layers,
        **{f"got a {type(layer).__name__} in nnx.Sequential, which gives it no carry, expected nnx.RNN": (
            kind is nnx.Sequential and type(layer) in CELLS) for layer in layers},
    })  # fmt: skip
    return layers


def tracks(layer: Any) -> list[Any]:
    """The nnx.RNN of each direction of a layer, forward first; a cell is in none, and stands for one."""
    return [layer.forward_rnn, layer.backward_rnn] if type(layer) is nnx.Bidirectional else [layer]


def cells_of(layer: Any) -> list[Any]:
    """The cell of each track of a layer."""
    return [track.cell if type(track) is nnx.RNN else track for track in tracks(layer)]


def read(module: Any) -> tuple[RNNSpec, list[CellParameters]]:
    """Of what build returns, a cell, an RNN, a Bidirectional one, or a list or Sequential of these.

    spec.layout is time_first where the layers are time_major. A cell is read as a layer of it.
    NotOffered where RNNSpec cannot say what a module computes.
    """
    layers, facts, weights = recurrent_layers(module), [], []
    for index, layer in enumerate(layers):
        name = f"layer {index}"
        shared = _layer_facts(name, layer)
        for cell in cells_of(layer):
            facts.append(shared | _cell_facts(name, cell))
            weights.append(_weights(name, cell, facts[-1]["bias"]))
    words = one_for_all(facts)
    layout = "time_first" if words.pop("time_major") else "batch_first"
    size = cells_of(layers[0])[0].in_features
    return spec_and_parameters(EITHER, weights, input_size=size, num_layers=len(layers), layout=layout, **words)


def _layer_facts(name: str, layer: Any) -> dict[str, Any]:
    """What all tracks of a layer have in common, by name."""
    _expect_plain(name, "", layer, nnx.RNN, nnx.Bidirectional, *CELLS)
    if type(layer) in CELLS:
        return {"direction": "forward", "time_major": False}
    both = type(layer) is nnx.Bidirectional
    reverse, ordered = (False, True) if both else (bool(layer.reverse), bool(layer.keep_order))
    for half in tracks(layer):
        _expect_plain(name, "a half that is ", half, nnx.RNN)
    refuse(name, {
        "got return_carry=True, expected False: what build returns answers its output alone": layer.return_carry,
        "got reverse=True without keep_order: its output is in reverse time order": reverse and not ordered,
        "got Bidirectional with a merge_fn of its own, expected concatenation": (
            both and layer.merge_fn is not nnx.Bidirectional.merge_fn
        ),
        **{f"got state_axes {track.state_axes}, expected {SCANNED}": track.state_axes not in AXES
           for track in tracks(layer)},
    })  # fmt: skip
    direction = "bidirectional" if both else "reverse" if reverse else "forward"
    return {"direction": direction, "time_major": bool(layer.time_major)}


def _cell_facts(name: str, cell: Any) -> dict[str, Any]:
    _expect_plain(name, "a ", cell, *CELLS)
    known = [word for word in NONLINEARITIES if cell.activation_fn in ACTIVATIONS[word]]
    activation = getattr(cell.activation_fn, "__name__", cell.activation_fn)
    zeros = cell.carry_init in (None, nnx.initializers.zeros)  # up to Flax 0.12.0 the usual one is zeros
    refuse(name, {
        f"got activation_fn {activation!r}, expected Flax's own tanh or relu": not known,
        "got a gate_fn of its own, expected Flax's sigmoid": (
            getattr(cell, "gate_fn", nnx.sigmoid) not in ACTIVATIONS["sigmoid"]
        ),
        "got residual=True, which adds the carry; expected False": getattr(cell, "residual", False),
        "got a carry_init of its own, expected zeros: a state that is not given is zero": not zeros,
    })  # fmt: skip
    word, arrays = CELLS[type(cell)]
    parts = {part: getattr(cell, part) for part in dict.fromkeys(held.partition(".")[0] for held in arrays)}
    for part, dense in parts.items():
        _expect_plain(f"{name}, {part}", "", dense, nnx.Linear)
        bias = dense.bias is not None
        refuse(f"{name}, {part}", {
            f"got use_bias={dense.use_bias}, expected that of whether there is a bias": bool(dense.use_bias) != bias,
            "got a bias, expected none there: its kind of cell has none": bias and f"{part}.bias" not in arrays,
            **{f"got a {option} of its own, expected Flax's default": getattr(dense, option) is not default
               for option, default in DEFAULTS.items()},
        })  # fmt: skip
    bias = any(dense.use_bias for dense in parts.values())
    return {"cell": word, "hidden_size": cell.hidden_features, "nonlinearity": known[0], "bias": bias}


def _weights(name: str, cell: Any, bias: bool) -> dict[str, np.ndarray]:
    """What arrays_of answers, of one dtype. Where the cell has a bias, one that it lacks is 0."""
    arrays, parts = arrays_of(cell, name), {held: held.split(".") for held in CELLS[type(cell)][1]}
    dtypes = {array.dtype.name for array in arrays.values()} | {np.dtype(cell.param_dtype).name}  # of its first carry
    denses = [getattr(cell, part) for part, _ in parts.values()]
    computes = {np.dtype(dense.dtype).name for dense in denses if dense.dtype is not None}
    both = f"{', '.join(sorted(computes))} on {', '.join(sorted(dtypes))} weights"
    refuse(name, {f"computes in {both}, expected one dtype": len(dtypes | computes) > 1})
    for one in parts.keys() - arrays.keys() if bias else ():
        kernel = arrays[one.replace("bias", "kernel")]
        arrays[one] = np.zeros(kernel.shape[1:], kernel.dtype)
    return arrays


def arrays_of(cell: Any, name: str) -> dict[str, np.ndarray]:
    """Copies of the arrays that a cell holds, by their names in the mapping."""
    parts = {held: held.split(".") for held in CELLS[type(cell)][1]}
    held = {one: getattr(getattr(cell, part), kind) for one, (part, kind) in parts.items()}
    return {one: np.array(array_in(variable, f"{name}, {one.replace('.', ' ')}"))
            for one, variable in held.items() if variable is not None}  # fmt: skip


def device_of(module: Any) -> Any:
    """The JAX device that holds a module's parameters."""
    cell = cells_of(recurrent_layers(module)[0])[0]
    kernel = array_in((cell.hi if type(cell) is nnx.LSTMCell else cell.dense_h).kernel, "kernel")
    return next(iter(kernel.devices() if isinstance(kernel, jax.Array) else jax.devices()))


def array_in(variable: Any, name: str) -> Any:
    """The numbers that a Linear holds, as they are: an index would round them where x64 is off."""
    value = variable
    if isinstance(variable, nnx.Variable):  # up to Flax 0.12.0 without get_value
        value = variable.get_value() if hasattr(variable, "get_value") else variable.value
    numbers = isinstance(value, jax.Array | np.ndarray) and not isinstance(value, Tracer)
    refuse(name, {f"got {type(value).__name__}, expected an array with numbers in it": not numbers})
    return value


def _expect_plain(name: str, article: str, part: Any, *kinds: type) -> None:
    """Raise NotOffered unless a part is of exactly one of these kinds, with no method in place of its class's."""
    kind = type(part)
    expected = " or ".join(f"nnx.{one.__name__}" for one in kinds)
    refuse(name, {f"got {article}{kind.__name__}, expected {expected}": kind not in kinds})
    own = [method for method in vars(part) if method != "merge_fn" and callable(getattr(kind, method, None))]
    refuse(name, {f"got a {method} of its own, expected that of {kind.__name__}": True for method in own})
