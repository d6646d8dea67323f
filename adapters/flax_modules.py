"""Flax modules: the stack that the adapter builds, and what can be read out of a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype

from reference import CellParameters, RNNSpec

from .contract import Unsupported

# A user's function that is only called "tanh" is not one of these, so functions are compared, not names.
ACTIVATIONS: dict[str, tuple[Any, ...]] = {"tanh": (nnx.tanh, jnp.tanh, jax.lax.tanh), "relu": (nnx.relu, jax.nn.relu)}

# What a Linear has unless its user gives another.
DEFAULTS = {"promote_dtype": promote_dtype, "dot_general": jax.lax.dot_general, "preferred_element_type": None}

# x, initial carries or None, lengths or None, whether time comes first -> each layer's output, and all final carries
Answer = tuple[list[Any], list[Any]]


class RNNStack(nnx.Module):
    """nnx.RNN layers, or nnx.Bidirectional ones, on top of each other, with every carry going in and coming out."""

    def __init__(self, layers: Sequence[Any]) -> None:
        self.layers = nnx.List(layers)

    def __call__(
        self,
        inputs: Any,
        *,
        initial_carry: Sequence[Any] | None = None,
        seq_lengths: Any = None,
        time_major: bool = False,
    ) -> tuple[list[Any], Any]:
        """Called as a Flax recurrent layer is, with return_carry: the final carries, and the last layer's output.

        A carry (batch, hidden_features) for each cell, layer by layer, forward before reverse. Beyond seq_lengths
        an output is what Flax computes there.
        """
        outputs, carries = self.every_layer(inputs, initial_carry, seq_lengths, time_major)
        return carries, outputs[-1]

    def every_layer(
        self, x: Any, initial_carry: Sequence[Any] | None = None, seq_lengths: Any = None, time_major: bool = False
    ) -> Answer:
        """Each layer's output, and all final carries."""
        outputs, carries = [], []
        for layer in self.layers:
            start = None
            if initial_carry is not None:
                start = initial_carry[len(carries)]
                if isinstance(layer, nnx.Bidirectional):
                    start = start, initial_carry[len(carries) + 1]
            carry, x = layer(
                x, initial_carry=start, seq_lengths=seq_lengths, return_carry=True, time_major=time_major
            )  # fmt: skip
            outputs.append(x)
            carries += carry if isinstance(layer, nnx.Bidirectional) else [carry]
        return outputs, carries


def recurrent_layers(module: Any) -> list[Any]:
    """The recurrent layers of a module, in order: a SimpleCell alone, one layer, or a stack of them."""
    if isinstance(module, RNNStack | nnx.Sequential):
        return list(module.layers)
    if isinstance(module, list | tuple | nnx.List):
        return list(module)
    if isinstance(module, nnx.SimpleCell | nnx.RNN | nnx.Bidirectional):
        return [module]
    raise Unsupported(f"module: got {type(module).__name__}, expected nnx.RNN, nnx.Bidirectional or a stack of them")


def simple_cells(layer: Any) -> list[Any]:
    """The cells of a layer: two in Bidirectional, forward first."""
    if isinstance(layer, nnx.Bidirectional):
        halves: list[Any] = [layer.forward_rnn, layer.backward_rnn]
        return [half.cell for half in halves]
    return [layer.cell if isinstance(layer, nnx.RNN) else layer]


def spec_of(module: Any) -> RNNSpec:
    """What a module computes; Unsupported, with the reason, where RNNSpec cannot say it."""
    layers = recurrent_layers(module)
    if not layers:
        raise Unsupported("module: got no layers, expected at least one nnx.RNN")
    facts = [_facts(f"layer {index}", layer) for index, layer in enumerate(layers)]
    _in_time(layers, facts)
    for name in facts[0]:
        values = [fact[name] for fact in facts]
        if len(set(values)) > 1:
            raise Unsupported(f"module: got layers with {name} {values}, expected one value: RNNSpec has one for all")
    words = {name: value for name, value in facts[0].items() if name not in ("dtype", "time_major")}
    return RNNSpec(input_size=simple_cells(layers[0])[0].in_features, num_layers=len(layers), **words)


def dtype_of(stack: RNNStack) -> np.dtype:
    """The dtype of a stack's parameters."""
    return _kernel(simple_cells(stack.layers[0])[0].dense_h).dtype


def device_of(stack: RNNStack) -> Any:
    """The JAX device that holds a stack's parameters."""
    return next(iter(_kernel(simple_cells(stack.layers[0])[0].dense_h).devices()))


def parameters_of(cell: Any) -> CellParameters:
    """A SimpleCell's weights: its bias becomes b_ih, and b_hh is zero."""
    w_ih, w_hh = (np.array(np.asarray(_kernel(dense)).T, order="C") for dense in (cell.dense_i, cell.dense_h))
    b_ih = np.array(cell.dense_i.bias.get_value()) if cell.dense_i.use_bias else None
    return CellParameters(w_ih, w_hh, b_ih, None if b_ih is None else np.zeros_like(b_ih))


def _kernel(dense: Any) -> Any:
    """A Linear's kernel (in_features, out_features), as it is: an index would round it where x64 is off."""
    return dense.kernel.get_value()


def _in_time(layers: Sequence[Any], facts: list[dict[str, Any]]) -> None:
    """Say each layer's direction in time, where it is given relative to what the layer reads.

    An RNN with reverse and without keep_order hands its output on in processing order: the layers above it read time
    reversed.
    """
    reversed_ = False
    for layer, fact in zip(layers, facts, strict=True):
        if fact["direction"] == "bidirectional":
            if reversed_:
                raise Unsupported("module: got Bidirectional above a layer whose output is in reverse time order")
            continue
        turns = fact["direction"] == "reverse"
        fact["direction"] = "reverse" if reversed_ ^ turns else "forward"
        reversed_ ^= turns and not layer.keep_order


def _facts(name: str, layer: Any) -> dict[str, Any]:
    """A subclass may compute anything, so the types are exact."""
    if type(layer) is nnx.Bidirectional:
        if layer.merge_fn is not nnx.Bidirectional.merge_fn:
            raise Unsupported(f"{name}: got Bidirectional with a merge_fn of its own, expected concatenation")
        for half in (layer.forward_rnn, layer.backward_rnn):
            if type(half) is not nnx.RNN:
                raise Unsupported(f"{name}: got a half that is {type(half).__name__}, expected nnx.RNN")
        facts = [_cell_facts(name, cell) for cell in simple_cells(layer)]
        if facts[0] != facts[1]:
            raise Unsupported(f"{name}: got halves {facts}, expected the same in both directions")
        return facts[0] | {"direction": "bidirectional", "time_major": layer.time_major}
    if type(layer) not in (nnx.RNN, nnx.SimpleCell):
        raise Unsupported(f"{name}: got {type(layer).__name__}, expected nnx.RNN or nnx.Bidirectional")
    facts = _cell_facts(name, simple_cells(layer)[0])
    reverse = type(layer) is nnx.RNN and layer.reverse
    return facts | {
        "direction": "reverse" if reverse else "forward",
        "time_major": type(layer) is nnx.RNN and layer.time_major,
    }


def _cell_facts(name: str, cell: Any) -> dict[str, Any]:
    if type(cell) is not nnx.SimpleCell:
        raise Unsupported(f"{name}: got a {type(cell).__name__}, expected nnx.SimpleCell")
    known = [word for word, functions in ACTIVATIONS.items() if cell.activation_fn in functions]
    if not known:
        activation = getattr(cell.activation_fn, "__name__", cell.activation_fn)
        raise Unsupported(f"{name}: got activation_fn {activation!r}, expected Flax's own tanh or relu")
    if cell.residual:
        raise Unsupported(f"{name}: got residual=True, which adds the carry; expected False")
    if cell.carry_init is not None:
        raise Unsupported(f"{name}: got a carry_init of its own, expected None: a state that is not given is zero")
    for part in ("dense_i", "dense_h"):
        _expect_plain(f"{name}, {part}", getattr(cell, part))
    if cell.dense_h.use_bias:
        raise Unsupported(f"{name}: got a dense_h with a bias, expected the one of dense_i alone")
    dtypes = {str(_kernel(dense).dtype) for dense in (cell.dense_i, cell.dense_h)}
    computes = {str(np.dtype(dense.dtype)) for dense in (cell.dense_i, cell.dense_h) if dense.dtype is not None}
    if len(dtypes | computes) > 1:
        raise Unsupported(f"{name}: computes in {', '.join(sorted(computes))} on {', '.join(sorted(dtypes))} weights, "
                          "expected one dtype")  # fmt: skip
    return {"hidden_size": cell.hidden_features, "nonlinearity": known[0], "bias": cell.dense_i.use_bias,
            "dtype": dtypes.pop()}  # fmt: skip


def _expect_plain(name: str, dense: Any) -> None:
    """Raise Unsupported for what is not a Linear, or has functions of a user's own."""
    if type(dense) is not nnx.Linear:
        raise Unsupported(f"{name}: got {type(dense).__name__}, expected nnx.Linear")
    for option, default in DEFAULTS.items():
        if getattr(dense, option) is not default:
            raise Unsupported(f"{name}: got a {option} of its own, expected Flax's default")
