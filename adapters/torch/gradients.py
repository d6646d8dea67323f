"""Gradients of a torch layer, by autograd, in a copy of it: the user's module and its .grad stay as they are.

In a mode, they are those of what the mode makes of the copy.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from reference import CellParameters, Gradients, RNNSpec
from reference.layout import from_state_tuple, state_tuple

from ..inputs import Inputs, Known
from .differentiation import Answered, at_once
from .models import padded
from .modes import MODES, Answer
from .read import array_of, suffix
from .tensors import tensor

# torch's prefix of each weight; rows, and the gates in them, are in torch's order here and there
NAMES = {"w_ih": "weight_ih", "w_hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh", "w_hr": "weight_hr"}

Call = Callable[[torch.Tensor, Any], Answer]


class Asked(NamedTuple):
    """Tensors of which gradients are asked.  lengths: on the CPU, or None."""

    x: torch.Tensor
    states: tuple[torch.Tensor, ...]
    lengths: torch.Tensor | None


def gradients_of(
    module: torch.nn.RNNBase, known: Known, inputs: Inputs, cotangents: tuple[np.ndarray | None, Any]
) -> Gradients:
    """By x, the initial states and every weight, of a layer that torch calls itself, without dropout.

    known: of the module: its spec, mode and device.  inputs: in a layout that torch takes.  cotangents: of the same
    layout.
    """
    spec, device = known.spec, known.device
    layer: Any = copy.deepcopy(module)
    layer.requires_grad_(True)
    layer.batch_first, layer.dropout = inputs.layout == "batch_first", 0.0
    layer.train()  # cuDNN has no backward pass in eval(); without dropout they are the same
    asked = asked_of(spec, inputs, device)

    def call(x: torch.Tensor, hx: Any) -> Answer:
        if known.mode == "eager":
            return _called(layer, x, hx, asked.lengths)
        return MODES[known.mode](padded(layer), (x, hx, asked.lengths))(x, hx, asked.lengths)

    with torch.enable_grad():
        return differentiated(spec, asked, layer, call, cotangents)


class Called(torch.nn.Module):
    """A call of a layer as a module, whose weights are the layer's: x and each initial state are its arguments."""

    def __init__(self, layer: torch.nn.Module, call: Call, pair: bool) -> None:
        super().__init__()
        self.layer, self.call, self.pair = layer, call, pair

    def forward(self, x: torch.Tensor, *states: torch.Tensor) -> list[torch.Tensor]:
        output, finals = self.call(x, states if self.pair else states[0])
        return [output, *state_tuple(finals)]


def differentiated(
    spec: RNNSpec, asked: Asked, layer: Any, call: Call, cotangents: Any, by: Callable[..., Answered] = at_once
) -> Gradients:
    """The gradients of what a call of a layer with these tensors answers.

    call: of x and the initial states, of LSTM a pair, to output and final states.  cotangents: in the axes of both.
    by: a function of differentiation.py.
    """
    g_output, g_h_n = cotangents
    count, weights = len(asked.states), dict(layer.named_parameters())
    leaves = [asked.x, *asked.states, *weights.values()]
    g = [g_output, *(state_tuple(g_h_n) if g_h_n is not None else [None] * count)]
    given = [None if one is None else tensor(one).to(asked.x.device) for one in g]
    answers, found = by(Called(layer, call, count > 1), leaves, given)
    output, *finals = [array_of(one.detach()) for one in answers]
    x, *rest = [array_of(one.detach()) for one in found]
    by_name = dict(zip(weights, rest[count:], strict=True))
    tracks = [{name: by_name[prefix + suffix(spec, index)] for name, prefix in NAMES.items()
               if prefix + suffix(spec, index) in by_name} for index in range(spec.num_cells)]  # fmt: skip
    return Gradients(x, from_state_tuple(rest[:count]), [CellParameters.of(track) for track in tracks], output,
                     from_state_tuple(finals))  # fmt: skip


def asked_of(spec: RNNSpec, inputs: Inputs, device: str) -> Asked:
    def leaf(array: np.ndarray) -> torch.Tensor:
        return tensor(array).to(device).detach().clone().requires_grad_(True)

    states = tuple(map(leaf, state_tuple(inputs.start(spec))))
    # torch packs no empty batch, and there is nothing to pack
    steps = None if inputs.some_lengths is None else torch.from_numpy(inputs.some_lengths)
    return Asked(leaf(inputs.x), states, steps)


def _called(layer: Any, x: torch.Tensor, hx: Any, lengths: torch.Tensor | None) -> Answer:
    if lengths is None:
        return layer(x, hx)
    packed = pack_padded_sequence(x, lengths, layer.batch_first, enforce_sorted=False)
    answer, finals = layer(packed, hx)
    output, _ = pad_packed_sequence(answer, layer.batch_first, 0.0, x.shape[1 if layer.batch_first else 0])
    return output, finals
