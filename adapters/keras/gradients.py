"""Gradients of Keras layers, by the differentiation of their backend, as in training: layers called with training=True.

They are called eagerly, or, in the modes "traced" and "compiled", in one function, differentiation and all, as by
fit; with other tensors in place of their weights (keras.StatelessScope): a user's own stay as they
are. Where one bias stands for b_ih + b_hh, each of these has its gradient, by the chain rule.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import keras
import numpy as np

from reference import Gradients, RNNSpec
from reference.judging.view import WORDS

from ..inputs import Inputs
from ..mapping import parameters_of
from ..readers import refuse
from .mapping import MAPPING, h_n_of, start_of
from .modes import ModeRunner
from .read import cells_of, tracks
from .settings import BACKEND, array_of, tensor

Several = Sequence[Any]
Function = Callable[[Several, Any], list[Any]]
Differentiated = Callable[[Several, Any, Several], tuple[Any, Any]]
KEPT = ("traced", "compiled")  # modes in which a function is made once, and kept with what build returned


def gradients_of(stack: ModeRunner, inputs: Inputs, cotangents: tuple[Any, Any]) -> Gradients:
    """By x, the initial states and every weight.  inputs, cotangents: batch first."""
    held = _variables(stack)
    variables = [variable for cell in held for variable in cell.values()]

    def answers(x: Any, start: Several, mask: Any, weights: Several) -> list[Any]:
        with keras.StatelessScope(state_mapping=zip(variables, weights, strict=True)):
            outputs, final = stack.every_layer(x, start, mask, training=True)
        return [outputs[-1], *final]

    spec, (g_output, g_h_n) = stack.spec, cotangents
    if g_output is not None and spec.held:  # where the suite's answer is zero, whatever the layer's is
        g_output = inputs.zeroed(g_output)
    arrays = [{name: array_of(one) for name, one in cell.items()} for cell in held]
    found = differentiated(spec, inputs, (g_output, g_h_n), arrays, answers, stack.mode, stack.differentiated)
    return found._replace(output=inputs.zeroed(found.output)) if spec.held else found


def differentiated(
    spec: RNNSpec, inputs: Inputs, cotangents: tuple[Any, Any], held: Sequence[Mapping[str, np.ndarray]],
    answers: Callable[[Any, Several, Any, Several], list[Any]], mode: str = "eager", kept: Any = None,
    states: bool = True, differentiation: str = "reverse",
) -> Gradients:  # fmt: skip
    """The gradients of what a function of x, the states, a mask and all weights answers: the output, and final states.

    inputs, cotangents: batch first.  held: of each track its arrays, by Keras' names.  mode: in which it is called; of
    one of KEPT the function is kept in `kept`.  states: whether it answers final states.  differentiation: a word of a
    view; JAX alone knows forward mode.
    """
    start, (g_output, g_h_n) = start_of(spec, inputs.start(spec)) or [], cotangents
    mask = None if inputs.valid is None else tensor(inputs.valid)
    g = [g_output, *(start_of(spec, g_h_n) or [None] * (len(start) * states))]
    leaves = [tensor(one) for one in (inputs.x, *start, *(array for cell in held for array in cell.values()))]
    count = 1 + len(start)
    counted = [True] * count + [name != "bias" for cell in held for name in cell]
    function = _made(differentiation, counted)(
        lambda leaves, mask: answers(leaves[0], leaves[1:count], mask, leaves[count:]), mode
    )
    if mode in KEPT:
        function = kept.setdefault("function", function)
    answered, found = function(leaves, mask, [None if one is None else tensor(one) for one in g])
    output, *final = map(array_of, answered)
    x, *rest = map(array_of, found)
    by_weights = iter(rest[len(start) :])
    by_cell = [{name: next(by_weights) for name in cell} for cell in held]
    parameters = [parameters_of(spec, MAPPING[spec.cell], arrays, gradients=True) for arrays in by_cell]
    shown = h_n_of(spec, final) if final else None
    return Gradients(x, h_n_of(spec, rest[: len(start)]), parameters, output, shown)


def _variables(stack: ModeRunner) -> list[dict[str, Any]]:
    """The variables of each track's cell, by Keras' names. NotOffered where training computes something else."""
    found = []
    for cell in [cell for layer in stack.layers for track in tracks(layer) for cell in cells_of(track)]:
        held = {name: getattr(cell, name) for name in MAPPING[stack.spec.cell].arrays}
        found.append({name: one for name, one in held.items() if one is not None})
        refuse(cell.name, {
            "got a dropout, expected none: while training it is drawn anew in each call":
                cell.dropout or cell.recurrent_dropout,
            **{f"its {name} is no variable, and nothing can stand in its place": not isinstance(one, keras.Variable)
               for name, one in found[-1].items()},
        })  # fmt: skip
    return found


def _asked(answers: Several, g: Several) -> tuple[list[Any], list[Any]]:
    """The answers that have a cotangent, and these, of the answers' dtypes: an answer may be narrower than the case."""
    pairs = [(answer, one) for answer, one in zip(answers, g, strict=True) if one is not None]
    return [answer for answer, _ in pairs], [keras.ops.cast(one, answer.dtype) for answer, one in pairs]


def _by_tensorflow(function: Function, mode: str) -> Differentiated:
    tensorflow = import_module("tensorflow")

    def both(leaves: Several, mask: Any, g: Several) -> tuple[Any, Any]:
        with tensorflow.GradientTape() as tape:
            tape.watch(leaves)
            answers = function(leaves, mask)
        asked, given = _asked(answers, g)
        return answers, tape.gradient(asked, leaves, given, unconnected_gradients="zero")

    return tensorflow.function(both, jit_compile=mode == "compiled") if mode in KEPT else both


def _by_torch(function: Function, mode: str) -> Differentiated:
    torch = import_module("torch")

    def both(leaves: Several, mask: Any, g: Several) -> tuple[Any, Any]:
        again = any(one.requires_grad for one in leaves)  # what is answered here is differentiated once more
        leaves = leaves if again else [one.detach().clone().requires_grad_() for one in leaves]
        with torch.enable_grad():
            answers = function(leaves, mask)
        asked, given = _asked(answers, g)
        return answers, torch.autograd.grad(asked, leaves, given, create_graph=again, materialize_grads=True)

    return both


def _by_jax(function: Function, mode: str) -> Differentiated:
    jax = import_module("jax")

    def both(leaves: Several, mask: Any, g: Several) -> tuple[Any, Any]:
        def asked(leaves: Several) -> tuple[list[Any], list[Any]]:
            answers = function(leaves, mask)
            return _asked(answers, g)[0], answers

        _, back, answers = jax.vjp(asked, leaves, has_aux=True)
        return answers, back(_asked(answers, g)[1])[0]

    return jax.jit(both) if mode in KEPT else both


def _by_jacfwd(function: Function, _mode: str) -> Differentiated:
    """Of the sum of all that is answered, weighted by the cotangents."""
    jax = import_module("jax")

    def both(leaves: Several, mask: Any, g: Several) -> tuple[Any, Any]:
        def weighted(leaves: Several) -> tuple[Any, list[Any]]:
            answers = function(leaves, mask)
            pairs: Any = zip(*_asked(answers, g), strict=True)
            products: list[Any] = [keras.ops.sum(answer * one) for answer, one in pairs]
            return sum(products), answers

        found, answers = jax.jit(jax.jacfwd(weighted, has_aux=True))(leaves)
        return answers, found

    return both


# backend -> of a function of its leaves and a mask, and a mode: a function of these, and for each answer a cotangent or
# None, that gives the answers, and a gradient for each leaf
BY: dict[str, Callable[[Function, str], Differentiated]] = {
    "tensorflow": _by_tensorflow,
    "torch": _by_torch,
    "jax": _by_jax,
}


def _twice(counted: Sequence[bool], function: Function, mode: str) -> Differentiated:
    """Of the sum of those first gradients that are counted."""
    by = BY[BACKEND]

    def both(leaves: Several, mask: Any, g: Several) -> tuple[Any, Any]:
        def total(leaves: Several, mask: Any) -> list[Any]:
            answers, first = by(function, mode)(leaves, mask, g)
            sums: list[Any] = [keras.ops.sum(one) for one in itertools.compress(first, counted)]
            return [sum(sums), *answers]

        (_, *answers), found = by(total, mode)(leaves, mask, [keras.ops.ones(()), *([None] * len(g))])
        return answers, found

    return both


def _made(differentiation: str, counted: Sequence[bool]) -> Callable[[Function, str], Differentiated]:
    """What makes of a function one that differentiates it, by the word of a view."""
    match differentiation:
        case "reverse":
            return BY[BACKEND]
        case "forward":
            return _by_jacfwd
        case "twice":
            return functools.partial(_twice, counted)
    raise ValueError(f"differentiation: got {differentiation!r}, expected one of {', '.join(WORDS['differentiation'])}")
