"""Flax modules: how the layers of one are called, and what can be read out of a user's own.

A subclass may compute anything, so types are exact; so may a function that is only called "tanh", so functions are
compared, not names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype
from jax.core import Tracer

from reference import CellParameters, RNNSpec

from ..readers import one_for_all, refuse, spec_and_parameters

ACTIVATIONS: dict[str, tuple[Any, ...]] = {"tanh": (nnx.tanh, jnp.tanh, jax.lax.tanh), "relu": (nnx.relu, jax.nn.relu)}

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

    A carry (batch, hidden_features) for each track, layer by layer, forward before reverse. Beyond seq_lengths an
    output is what Flax computes there.
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
    """The recurrent layers of a module, in order: a SimpleCell alone, one layer, or a stack of them."""
    kind = type(module)
    if kind in (nnx.SimpleCell, nnx.RNN, nnx.Bidirectional):
        return [module]
    known = kind in (list, tuple, nnx.List, nnx.Sequential)
    refuse("module", {f"got {kind.__name__}, expected nnx.RNN, nnx.Bidirectional or a stack of them": not known})
    layers = list(module.layers if kind is nnx.Sequential else module)
    refuse("module", {
        "got no layers, expected at least one nnx.RNN": not layers,
        "got a SimpleCell in nnx.Sequential, which gives it no carry, expected nnx.RNN": (
            kind is nnx.Sequential and nnx.SimpleCell in map(type, layers)
        ),
    })  # fmt: skip
    return layers


def tracks(layer: Any) -> list[Any]:
    """The nnx.RNN of each direction of a layer, forward first; a SimpleCell is in none, and stands for one."""
    return [layer.forward_rnn, layer.backward_rnn] if type(layer) is nnx.Bidirectional else [layer]


def simple_cells(layer: Any) -> list[Any]:
    """The SimpleCell of each track of a layer."""
    return [track.cell if type(track) is nnx.RNN else track for track in tracks(layer)]


def read(module: Any) -> tuple[RNNSpec, list[CellParameters]]:
    """Of what build returns, a SimpleCell, an RNN, a Bidirectional one, or a list or Sequential of these.

    spec.layout is time_first where the layers are time_major. A SimpleCell is read as a layer of that cell.
    NotOffered where RNNSpec cannot say what a module computes.
    """
    layers, facts, weights = recurrent_layers(module), [], []
    for index, layer in enumerate(layers):
        name = f"layer {index}"
        shared = _layer_facts(name, layer)
        for cell in simple_cells(layer):
            facts.append(shared | _cell_facts(name, cell))
            weights.append(_weights(name, cell))
    words = one_for_all(facts)
    layout = "time_first" if words.pop("time_major") else "batch_first"
    size = simple_cells(layers[0])[0].in_features
    return spec_and_parameters(weights, input_size=size, num_layers=len(layers), layout=layout, **words)


def _layer_facts(name: str, layer: Any) -> dict[str, Any]:
    """What all tracks of a layer have in common, by name."""
    _expect_plain(name, "", layer, nnx.RNN, nnx.Bidirectional, nnx.SimpleCell)
    if type(layer) is nnx.SimpleCell:
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
    _expect_plain(name, "a ", cell, nnx.SimpleCell)
    known = [word for word, functions in ACTIVATIONS.items() if cell.activation_fn in functions]
    activation = getattr(cell.activation_fn, "__name__", cell.activation_fn)
    zeros = cell.carry_init in (None, nnx.initializers.zeros)  # up to Flax 0.12.0 the usual one is zeros
    refuse(name, {
        f"got activation_fn {activation!r}, expected Flax's own tanh or relu": not known,
        "got residual=True, which adds the carry; expected False": cell.residual,
        "got a carry_init of its own, expected zeros: a state that is not given is zero": not zeros,
    })  # fmt: skip
    for part in ("dense_i", "dense_h"):
        dense = getattr(cell, part)
        _expect_plain(f"{name}, {part}", "", dense, nnx.Linear)
        bias = dense.bias is not None
        refuse(f"{name}, {part}", {
            f"got use_bias={dense.use_bias}, expected that of whether there is a bias": bool(dense.use_bias) != bias,
            **{f"got a {option} of its own, expected Flax's default": getattr(dense, option) is not default
               for option, default in DEFAULTS.items()},
        })  # fmt: skip
    refuse(name, {"got a dense_h with a bias, expected the one of dense_i alone": cell.dense_h.use_bias})
    return {"hidden_size": cell.hidden_features, "nonlinearity": known[0], "bias": bool(cell.dense_i.use_bias)}


def _weights(name: str, cell: Any) -> tuple[np.ndarray, ...]:
    """A SimpleCell's kernels, of x and of the carry, and its bias, if it has one."""
    held = {"dense_i kernel": cell.dense_i.kernel, "dense_h kernel": cell.dense_h.kernel}
    held |= {"dense_i bias": cell.dense_i.bias} if cell.dense_i.use_bias else {}
    arrays = tuple(np.array(array_in(variable, f"{name}, {part}")) for part, variable in held.items())
    dtypes = {array.dtype.name for array in arrays} | {np.dtype(cell.param_dtype).name}  # of the carry it starts with
    computes = {np.dtype(dense.dtype).name for dense in (cell.dense_i, cell.dense_h) if dense.dtype is not None}
    both = f"{', '.join(sorted(computes))} on {', '.join(sorted(dtypes))} weights"
    refuse(name, {f"computes in {both}, expected one dtype": len(dtypes | computes) > 1})
    return arrays


def device_of(module: Any) -> Any:
    """The JAX device that holds a module's parameters."""
    kernel = array_in(simple_cells(recurrent_layers(module)[0])[0].dense_h.kernel, "kernel")
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
    expected = " or ".join(f"nnx.{one.__name__}" for one in kinds[:2])
    refuse(name, {f"got {article}{kind.__name__}, expected {expected}": kind not in kinds})
    own = [method for method in vars(part) if method != "merge_fn" and callable(getattr(kind, method, None))]
    refuse(name, {f"got a {method} of its own, expected that of {kind.__name__}": True for method in own})
