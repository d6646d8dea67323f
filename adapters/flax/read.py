"""Flax modules: how the layers of one are called, and what can be read out of a user's own."""

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
from reference.arguments import check_parameters

from ..contract import NotOffered

# A user's function that is only called "tanh" is not one of these, so functions are compared, not names.
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

# x, initial carries or None, lengths or None, whether time comes first -> each layer's output, and all final carries
Answer = tuple[list[Any], list[Any]]


def stack_of(layers: Sequence[Any]) -> Any:
    """One layer as it is, several in nnx.Sequential."""
    return layers[0] if len(layers) == 1 else nnx.Sequential(*layers)


def every_layer(module: Any, x: Any, initial_carry: Sequence[Any] | None, seq_lengths: Any, time_major: bool) -> Answer:
    """Each layer's output, and all final carries, of what stack_of makes: its layers, called one after another.

    A carry (batch, hidden_features) for each cell, layer by layer, forward before reverse. Beyond seq_lengths an
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
    """The recurrent layers of a module, in order: a SimpleCell alone, one layer, or a stack of them.

    A subclass may compute anything, so types are exact.
    """
    if type(module) is nnx.Sequential:
        if any(type(layer) is nnx.SimpleCell for layer in module.layers):
            raise NotOffered("module: got a SimpleCell in nnx.Sequential, which gives it no carry, expected nnx.RNN")
        return list(module.layers)
    if type(module) in (list, tuple, nnx.List):
        return list(module)
    if type(module) in (nnx.SimpleCell, nnx.RNN, nnx.Bidirectional):
        return [module]
    raise NotOffered(f"module: got {type(module).__name__}, expected nnx.RNN, nnx.Bidirectional or a stack of them")


def simple_cells(layer: Any) -> list[Any]:
    """The cells of a layer: two in Bidirectional, forward first."""
    if type(layer) is nnx.Bidirectional:
        halves: list[Any] = [layer.forward_rnn, layer.backward_rnn]
        return [half.cell for half in halves]
    return [layer.cell if type(layer) is nnx.RNN else layer]


def read(module: Any) -> tuple[RNNSpec, list[CellParameters]]:
    """What a module computes, and of what; NotOffered, with the reason, where RNNSpec cannot say it."""
    spec = spec_of(module)
    cells = [cell for layer in recurrent_layers(module) for cell in simple_cells(layer)]
    parameters = [parameters_of(cell) for cell in cells]
    try:
        check_parameters(spec, parameters)
    except ValueError as error:
        raise NotOffered(str(error)) from error
    return spec, parameters


def spec_of(module: Any) -> RNNSpec:
    """What a module computes, by its settings, and in which layout it is called; NotOffered for anything else."""
    layers = recurrent_layers(module)
    if not layers:
        raise NotOffered("module: got no layers, expected at least one nnx.RNN")
    facts = [_facts(f"layer {index}", layer) for index, layer in enumerate(layers)]
    for name in facts[0]:
        values = [fact[name] for fact in facts]
        if len(set(values)) > 1:
            raise NotOffered(f"module: got layers with {name} {values}, expected one value: RNNSpec has one for all")
    words = {name: value for name, value in facts[0].items() if name not in ("dtype", "time_major")}
    layout = "time_first" if facts[0]["time_major"] else "batch_first"
    try:
        return RNNSpec(simple_cells(layers[0])[0].in_features, num_layers=len(layers), layout=layout, **words)
    except (TypeError, ValueError) as error:
        raise NotOffered(str(error)) from error


def dtype_of(module: Any) -> np.dtype:
    """The dtype of a stack's parameters."""
    return _first_kernel(module).dtype


def device_of(module: Any) -> Any:
    """The JAX device that holds a stack's parameters."""
    kernel = _first_kernel(module)
    return next(iter(kernel.devices() if isinstance(kernel, jax.Array) else jax.devices()))


def _first_kernel(module: Any) -> Any:
    return array_in(simple_cells(recurrent_layers(module)[0])[0].dense_h.kernel, "kernel")


def parameters_of(cell: Any) -> CellParameters:
    """A SimpleCell's weights: its bias becomes b_ih, and b_hh is zero."""
    kernels = (np.asarray(array_in(dense.kernel, "kernel")).T for dense in (cell.dense_i, cell.dense_h))
    w_ih, w_hh = (np.array(kernel, order="C") for kernel in kernels)
    b_ih = np.array(array_in(cell.dense_i.bias, "bias")) if cell.dense_i.use_bias else None
    try:
        return CellParameters(w_ih, w_hh, b_ih, None if b_ih is None else np.zeros_like(b_ih))
    except (TypeError, ValueError) as error:
        raise NotOffered(str(error)) from error


def array_in(variable: Any, name: str) -> Any:
    """The numbers that a Linear holds, as they are: an index would round them where x64 is off."""
    value = variable.get_value() if isinstance(variable, nnx.Variable) else variable
    if not isinstance(value, jax.Array | np.ndarray) or isinstance(value, Tracer):
        raise NotOffered(f"{name}: got {type(value).__name__}, expected an array with numbers in it")
    return value


def _facts(name: str, layer: Any) -> dict[str, Any]:
    """What a layer is, by name."""
    if type(layer) not in (nnx.RNN, nnx.SimpleCell, nnx.Bidirectional):
        raise NotOffered(f"{name}: got {type(layer).__name__}, expected nnx.RNN or nnx.Bidirectional")
    expect_own_methods(name, layer)
    if type(layer) is nnx.SimpleCell:
        return _cell_facts(name, layer) | {"direction": "forward", "time_major": False}
    if layer.return_carry:
        raise NotOffered(f"{name}: got return_carry=True, expected False: what build returns answers its output alone")
    time_major = {"time_major": bool(layer.time_major)}
    if type(layer) is nnx.RNN:
        _expect_scan(name, layer)
        if layer.reverse and not layer.keep_order:
            raise NotOffered(f"{name}: got reverse=True without keep_order: its output is in reverse time order")
        return _cell_facts(name, layer.cell) | {"direction": "reverse" if layer.reverse else "forward"} | time_major
    if layer.merge_fn is not nnx.Bidirectional.merge_fn:
        raise NotOffered(f"{name}: got Bidirectional with a merge_fn of its own, expected concatenation")
    for half in (layer.forward_rnn, layer.backward_rnn):
        if type(half) is not nnx.RNN:
            raise NotOffered(f"{name}: got a half that is {type(half).__name__}, expected nnx.RNN")
        expect_own_methods(name, half)
        _expect_scan(name, half)
    facts = [_cell_facts(name, cell) for cell in simple_cells(layer)]
    if facts[0] != facts[1]:
        raise NotOffered(f"{name}: got halves {facts}, expected the same in both directions")
    return facts[0] | {"direction": "bidirectional"} | time_major


def _expect_scan(name: str, rnn: Any) -> None:
    """Raise NotOffered for what is scanned in another way than the carry alone."""
    if rnn.state_axes != SCANNED:
        raise NotOffered(f"{name}: got state_axes {rnn.state_axes}, expected {SCANNED}")


def expect_own_methods(name: str, module: Any) -> None:
    """Raise NotOffered for a method that was set on the module itself, in place of its class's."""
    for method in vars(module):
        if method != "merge_fn" and callable(getattr(type(module), method, None)):
            raise NotOffered(f"{name}: got a {method} of its own, expected that of {type(module).__name__}")


def _cell_facts(name: str, cell: Any) -> dict[str, Any]:
    if type(cell) is not nnx.SimpleCell:
        raise NotOffered(f"{name}: got a {type(cell).__name__}, expected nnx.SimpleCell")
    known = [word for word, functions in ACTIVATIONS.items() if cell.activation_fn in functions]
    if not known:
        activation = getattr(cell.activation_fn, "__name__", cell.activation_fn)
        raise NotOffered(f"{name}: got activation_fn {activation!r}, expected Flax's own tanh or relu")
    if cell.residual:
        raise NotOffered(f"{name}: got residual=True, which adds the carry; expected False")
    expect_own_methods(name, cell)
    if cell.carry_init is not None:
        raise NotOffered(f"{name}: got a carry_init of its own, expected None: a state that is not given is zero")
    for part in ("dense_i", "dense_h"):
        _expect_plain(f"{name}, {part}", getattr(cell, part))
    if cell.dense_h.use_bias:
        raise NotOffered(f"{name}: got a dense_h with a bias, expected the one of dense_i alone")
    held = {"dense_i kernel": cell.dense_i.kernel, "dense_h kernel": cell.dense_h.kernel}
    held |= {"dense_i bias": cell.dense_i.bias} if cell.dense_i.use_bias else {}
    dtypes = {str(array_in(variable, f"{name}, {part}").dtype) for part, variable in held.items()}
    dtypes.add(str(np.dtype(cell.param_dtype)))  # of the carry that a layer starts with
    computes = {str(np.dtype(dense.dtype)) for dense in (cell.dense_i, cell.dense_h) if dense.dtype is not None}
    if len(dtypes | computes) > 1:
        raise NotOffered(f"{name}: computes in {', '.join(sorted(computes))} on {', '.join(sorted(dtypes))} weights, "
                          "expected one dtype")  # fmt: skip
    return {"hidden_size": cell.hidden_features, "nonlinearity": known[0], "bias": cell.dense_i.use_bias,
            "dtype": dtypes.pop()}  # fmt: skip


def _expect_plain(name: str, dense: Any) -> None:
    """Raise NotOffered for what is not a Linear, or has functions of a user's own."""
    if type(dense) is not nnx.Linear:
        raise NotOffered(f"{name}: got {type(dense).__name__}, expected nnx.Linear")
    expect_own_methods(name, dense)
    if bool(dense.use_bias) != (dense.bias is not None):
        raise NotOffered(f"{name}: got use_bias={dense.use_bias}, expected that of whether there is a bias")
    for option, default in DEFAULTS.items():
        if getattr(dense, option) is not default:
            raise NotOffered(f"{name}: got a {option} of its own, expected Flax's default")
