"""Gradients of a layer, by paddle.grad, in a copy of it in training: the user's own stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import paddle

from reference import Gradients

from ..inputs import Inputs, Known
from ..mapping import ours, parameters_of, theirs
from .layers import Answer, called, cells_of
from .mapping import MAPPING
from .tensors import array_of, tensor

Several = Sequence[Any]
# of answers, leaves and cotangents, to a gradient of each leaf, None where the answers do not depend on it
By = Callable[[Callable[[], list[Any]], Several, Several], tuple[Several, Several]]


def by_grad(call: Callable[[], list[Any]], leaves: Several, g: Several) -> tuple[Several, Several]:
    """By paddle.grad."""
    answers = call()
    return answers, paddle.grad(answers, list(leaves), list(g), allow_unused=True)


def gradients_of(
    layer: Any, known: Known, inputs: Inputs, cotangents: tuple[Any, Any], way: Callable[..., Answer] = called,
    by: By = by_grad,
) -> Gradients:  # fmt: skip
    """By x, the initial states and every weight.  cotangents: in the axes of inputs.

    way: how the layer is called.  by: how gradients are asked for.
    """
    spec, native = known.spec, MAPPING[known.spec.cell]
    layer = copy.deepcopy(layer)
    layer.train()
    x, *states = [_leaf(array) for array in (inputs.x, *theirs(spec, native, inputs.start(spec)))]
    weights = [{name: getattr(cell, name) for name in native.arrays if hasattr(cell, name)} for cell in cells_of(layer)]
    leaves = [x, *states, *(weight for track in weights for weight in track.values())]
    lengths = None if inputs.lengths is None or not inputs.lengths.size else tensor(inputs.lengths)
    g_output, g_h_n = cotangents
    blank = way(layer, x, states, lengths)
    given = (g_output, *(theirs(spec, native, g_h_n) or [None] * len(states)))
    g = [paddle.zeros_like(one) if of is None else tensor(of)
         for one, of in zip((blank[0], *blank[1]), given, strict=True)]  # fmt: skip

    def call() -> list[Any]:
        output, finals = way(layer, x, states, lengths)
        return [output, *finals]

    answers, found = by(call, leaves, g)
    output, *finals = map(array_of, answers)
    by_x, *rest = (np.zeros_like(array_of(leaf)) if one is None else array_of(one)
                   for leaf, one in zip(leaves, found, strict=True))  # fmt: skip
    numbers = iter(rest[len(states) :])
    tracks = [{name: next(numbers) for name in track} for track in weights]
    parameters = [parameters_of(spec, native, {n: a for n, a in track.items() if spec.bias or "bias" not in n}, True)
                  for track in tracks]  # fmt: skip
    return Gradients(by_x, ours(spec, native, rest[: len(states)]), parameters, output, ours(spec, native, finals))


def _leaf(array: np.ndarray) -> Any:
    made = tensor(array)
    made.stop_gradient = False
    return made


