"""What a layer answers to a question, and its gradients, in a copy of it in training: the user's own stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import paddle

from reference import Gradients

from ..contract import Result
from ..inputs import Inputs, Known
from ..mapping import ours, parameters_of, theirs
from .differentiation import at_once
from .mapping import MAPPING
from .tensors import array_of, tensor
from .ways import called, cells_of

Several = Sequence[Any]
Way = Callable[[Any, Any, Any, Any], tuple[Any, Several]]  # a function of ways.py


def answer_of(layer: Any, known: Known, inputs: Inputs, way: Way = called) -> Result:
    """What a layer answers, called in a way.  layer: in the layout of inputs, batch first where that is unbatched."""
    inputs, spec = batched(inputs), known.spec
    states = [tensor(state) for state in theirs(spec, MAPPING[spec.cell], inputs.h0)]
    with paddle.no_grad():
        output, finals = way(layer, tensor(inputs.x), states, lengths_of(inputs))
    h_n = ours(spec, MAPPING[spec.cell], [array_of(state) for state in finals])
    return inputs.result([array_of(output)], h_n, zero_padding=spec.direction == "reverse")


def batched(inputs: Inputs) -> Inputs:
    return inputs.to("batch_first") if inputs.layout == "unbatched" else inputs


def lengths_of(inputs: Inputs) -> Any:
    return None if inputs.some_lengths is None else tensor(inputs.some_lengths)


def gradients_of(
    layer: Any,
    known: Known,
    inputs: Inputs,
    cotangents: tuple[Any, Any],
    way: Way = called,
    by: Any = at_once,
    padding: float | None = None,
) -> Gradients:
    """By x, the initial states and every weight.  by: how gradients are asked for, a function of differentiation.py.
    padding: what stands in that of the output's cotangents instead; of a layer that sets its output to zero there."""
    asked, spec, native = batched(inputs), known.spec, MAPPING[known.spec.cell]
    layer = copy.deepcopy(layer)
    layer.train()
    x, *states = [_leaf(array) for array in (asked.x, *theirs(spec, native, asked.start(spec)))]
    weights = [{name: getattr(cell, name) for name in native.arrays if hasattr(cell, name)} for cell in cells_of(layer)]
    leaves = [x, *states, *(weight for track in weights for weight in track.values())]
    g_output, g_h_n = asked.cotangents(cotangents)
    g_output = _countable(spec.direction, asked, g_output, padding)
    given = (g_output, *(theirs(spec, native, g_h_n) or [None] * len(states)))

    def call() -> Several:
        output, finals = way(layer, x, states, lengths_of(asked))
        return [output, *finals]

    answers, found = by(layer, call, leaves, [None if one is None else tensor(one) for one in given])
    output, *finals = map(array_of, answers)
    by_x, *rest = (np.zeros_like(array_of(leaf)) if one is None else array_of(one)
                   for leaf, one in zip(leaves, found, strict=True))  # fmt: skip
    numbers = iter(rest[len(states) :])
    tracks = [{name: next(numbers) for name in track} for track in weights]
    parameters = [parameters_of(spec, native, {n: a for n, a in track.items() if spec.bias or "bias" not in n}, True)
                  for track in tracks]  # fmt: skip
    output = asked.zeroed(output) if spec.direction == "reverse" else output
    h0, h_n = ours(spec, native, rest[: len(states)]), ours(spec, native, finals)
    return asked.gradients(Gradients(by_x, h0, parameters, output, h_n))


def _countable(direction: str, asked: Inputs, g_output: Any, padding: float | None) -> Any:
    """The cotangents of the output: zeros in the padding, where they are not finite, or where the output goes on."""
    if g_output is None or direction == "reverse":
        return None if g_output is None else asked.zeroed(g_output)
    if padding is None:
        return np.where(np.isfinite(g_output), g_output, asked.zeroed(g_output))
    return np.where(asked.zeroed(np.ones_like(g_output)), g_output, np.full_like(g_output, padding))


def _leaf(array: np.ndarray) -> Any:
    made = tensor(array)
    made.stop_gradient = False
    return made
