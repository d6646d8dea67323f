"""Gradients of a torch layer, by autograd, in a copy of it: the user's module and its .grad stay as they are.

In a mode, they are those of what the mode makes of the copy.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from reference import CellParameters, Gradients, RNNSpec
from reference.cells import cell_of
from reference.layout import from_state_tuple, state_tuple

from ..inputs import Inputs, Known
from .models import padded
from .modes import MODES, Answer
from .read import array_of, suffix
from .tensors import tensor

# torch's prefix of each weight; rows, and the gates in them, are in torch's order here and there
NAMES = {"w_ih": "weight_ih", "w_hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh", "w_hr": "weight_hr"}


class Asked(NamedTuple):
    """Tensors of which gradients are asked.  lengths: on the CPU, or None."""

    x: torch.Tensor
    states: tuple[torch.Tensor, ...]
    lengths: torch.Tensor | None

    def hx(self, spec: RNNSpec) -> Any:
        """The initial states as torch takes them: of LSTM a pair."""
        return self.states if len(cell_of(spec).states) > 1 else self.states[0]


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
    with torch.enable_grad():
        eager = known.mode == "eager"
        output, finals = _called(layer, spec, asked) if eager else _in_mode(layer, spec, asked, known.mode)
    return differentiated(spec, asked, dict(layer.named_parameters()), output, finals, cotangents)


def differentiated(
    spec: RNNSpec, asked: Asked, weights: dict[str, torch.Tensor], output: torch.Tensor, finals: Any, cotangents: Any
) -> Gradients:
    """By autograd, of an answer that was computed from these tensors.

    weights: by torch's names.  finals: the final states, of LSTM a pair.  cotangents: in the axes of output and finals.
    """
    g_output, g_h_n = cotangents
    finals = state_tuple(finals)
    pairs = [(output, g_output), *(zip(finals, state_tuple(g_h_n), strict=True) if g_h_n is not None else ())]
    given = [(answer, tensor(g).to(output.device)) for answer, g in pairs if g is not None]
    wanted = [asked.x, *asked.states, *weights.values()]
    outputs, g = map(list, zip(*given, strict=True))
    found = torch.autograd.grad(outputs, wanted, g, allow_unused=True)
    arrays = [array_of(torch.zeros_like(of) if one is None else one) for of, one in zip(wanted, found, strict=True)]
    count = len(asked.states)
    by_name = dict(zip(weights, arrays[1 + count :], strict=True))
    tracks = [{name: by_name[prefix + suffix(spec, index)] for name, prefix in NAMES.items()
               if prefix + suffix(spec, index) in by_name} for index in range(spec.num_cells)]  # fmt: skip
    return Gradients(
        arrays[0],
        from_state_tuple(arrays[1 : 1 + count]),
        [CellParameters.of(track) for track in tracks],
        array_of(output.detach()),
        from_state_tuple([array_of(one.detach()) for one in finals]),
    )


def asked_of(spec: RNNSpec, inputs: Inputs, device: str) -> Asked:
    def leaf(array: np.ndarray) -> torch.Tensor:
        return tensor(array).to(device).detach().clone().requires_grad_(True)

    states = tuple(map(leaf, state_tuple(inputs.start(spec))))
    # torch packs no empty batch, and there is nothing to pack
    steps = None if inputs.lengths is None or not inputs.lengths.size else torch.from_numpy(inputs.lengths)
    return Asked(leaf(inputs.x), states, steps)


def _in_mode(layer: Any, spec: RNNSpec, asked: Asked, mode: str) -> Answer:
    arguments = asked.x, asked.hx(spec), asked.lengths
    return MODES[mode](padded(layer), arguments)(*arguments)


def _called(layer: Any, spec: RNNSpec, asked: Asked) -> Answer:
    hx = asked.hx(spec)
    if asked.lengths is None:
        output, finals = layer(asked.x, hx)
    else:
        packed = pack_padded_sequence(asked.x, asked.lengths, layer.batch_first, enforce_sorted=False)
        answer, finals = layer(packed, hx)
        time = asked.x.shape[1 if layer.batch_first else 0]
        output, _ = pad_packed_sequence(answer, layer.batch_first, 0.0, time)
    return output, finals
