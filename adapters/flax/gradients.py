"""Gradients of Flax layers, by jax.vjp through nnx.split and nnx.merge: of copies, so a user's module stays as it is.

In the mode "compiled" one function is compiled, differentiation and all, and kept with what build returned. Training
calls nnx.RNN as inference does. Where one bias stands for b_ih + b_hh, each of these has its gradient, by the chain
rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from reference import Gradients, RNNSpec

from ..contract import NotOffered
from ..inputs import Inputs
from ..jax.idioms import carries_of, states_of
from ..jax.settings import tensor
from ..mapping import parameters_of
from .mapping import MAPPING
from .modes import ModeRunner
from .read import EITHER, arrays_of, cells_of, every_layer, recurrent_layers


def gradients_of(
    runner: ModeRunner, spec: RNNSpec, inputs: Inputs, asked: tuple[Any, ...], cotangents: tuple[Any, Any], device: Any
) -> Gradients:
    """By x, the initial carries and every weight.

    asked: x, carries, lengths and whether time comes first, as every_layer takes them.  cotangents: of the same layout.
    Beyond a length, where a layer goes on and the suite's answer is zero, an output is handed nothing.
    """
    _expect_biases(runner.stack, spec)
    graph, weights, others = nnx.split(runner.stack, nnx.Param, ...)
    x, carries, lengths, time_first = asked
    g_output, g_h_n = cotangents
    g = None if g_output is None else tensor(inputs.zeroed(g_output), device)
    g_final = jax.tree.map(lambda a: tensor(a, device), carries_of(MAPPING, spec, g_h_n))
    function = _differentiated(graph, time_first)
    if runner.mode == "compiled":
        function = runner.differentiated.setdefault(time_first, jax.jit(function))
    (output, final), by = function(weights, others, x, carries, lengths, g, g_final)
    by_weights, by_x, by_carries = by
    cells = _cells(nnx.merge(graph, by_weights, others))
    return Gradients(
        np.array(by_x),
        states_of(MAPPING, spec, by_carries),
        [parameters_of(spec, EITHER[spec.cell], arrays_of(cell, "gradient"), gradients=True) for cell in cells],
        inputs.zeroed(np.array(output)),
        states_of(MAPPING, spec, final),
    )


def _differentiated(graph: Any, time_first: bool) -> Callable[..., Any]:
    """A function of a module's parts, what it is asked and cotangents (None: none) that answers, with gradients by the
    weights, x and the carries."""

    def both(weights: Any, others: Any, x: Any, carries: Any, lengths: Any, g: Any, g_final: Any) -> Any:
        def answers(weights: Any, x: Any, carries: Any) -> tuple[Any, Any]:
            outputs, final = every_layer(nnx.merge(graph, weights, others), x, carries, lengths, time_first)
            return outputs[-1], final

        (output, final), back = jax.vjp(answers, weights, x, carries)
        g = jnp.zeros_like(output) if g is None else g
        return (output, final), back((g, jax.tree.map(jnp.zeros_like, final) if g_final is None else g_final))

    return both


def _cells(stack: Any) -> list[Any]:
    return [cell for layer in recurrent_layers(stack) for cell in cells_of(layer)]


def _expect_biases(stack: Any, spec: RNNSpec) -> None:
    """Raise NotOffered for a user's own GRUCell: it has no bias of h, by which a gradient could be asked."""
    if spec.cell == "gru" and spec.bias and any(cell.dense_h.bias is None for cell in _cells(stack)):
        raise NotOffered(
            "gradients: a GRUCell has no bias of h, whose gradient is asked; build(*read(module)) gives it one"
        )
