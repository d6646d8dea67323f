"""Gradients of a torch layer, by autograd, in a copy of it: the user's module and its .grad stay as they are."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from reference import CellParameters, Gradients, RNNSpec
from reference.cells import cell_of
from reference.layout import from_state_tuple, state_tuple

from ..inputs import Inputs
from .read import array_of, suffix
from .tensors import tensor

# torch's prefix of each weight; rows, and the gates in them, are in torch's order here and there
NAMES = {"w_ih": "weight_ih", "w_hh": "weight_hh", "b_ih": "bias_ih", "b_hh": "bias_hh", "w_hr": "weight_hr"}


class Asked(NamedTuple):
    """Tensors of which gradients are asked.  lengths: on the CPU, or None."""

    x: torch.Tensor
    states: tuple[torch.Tensor, ...]
    lengths: torch.Tensor | None


def gradients_of(
    module: torch.nn.RNNBase, spec: RNNSpec, inputs: Inputs, cotangents: tuple[np.ndarray | None, Any], device: str
) -> Gradients:
    """By x, the initial states and every weight, of a layer that torch calls itself, without dropout.

    inputs: in a layout that torch takes.  cotangents: of the same layout.
    """
    layer: Any = copy.deepcopy(module)
    layer.requires_grad_(True)
    layer.batch_first, layer.dropout = inputs.layout == "batch_first", 0.0
    layer.train()  # cuDNN has no backward pass in eval(); without dropout they are the same
    asked = _asked(spec, inputs, device)
    with torch.enable_grad():
        output, finals = _called(layer, spec, asked)
    weights = dict(layer.named_parameters())
    g_output, g_h_n = cotangents
    pairs = [(output, g_output), *(zip(finals, state_tuple(g_h_n), strict=True) if g_h_n is not None else ())]
    given = [(answer, tensor(g).to(device)) for answer, g in pairs if g is not None]
    wanted = [asked.x, *asked.states, *weights.values()]
    outputs, g = map(list, zip(*given, strict=True))
    found = torch.autograd.grad(outputs, wanted, g, allow_unused=True)
    arrays = [array_of(torch.zeros_like(of) if one is None else one) for of, one in zip(wanted, found, strict=True)]
    states, count = asked.states, len(asked.states)
    by_name = dict(zip(weights, arrays[1 + count :], strict=True))
    tracks = [{name: by_name[prefix + suffix(spec, index)] for name, prefix in NAMES.items()
               if prefix + suffix(spec, index) in by_name} for index in range(spec.num_cells)]  # fmt: skip
    return Gradients(
        arrays[0],
        from_state_tuple(arrays[1 : 1 + len(states)]),
        [CellParameters.of(track) for track in tracks],
        array_of(output.detach()),
        from_state_tuple([array_of(one.detach()) for one in finals]),
    )


def _asked(spec: RNNSpec, inputs: Inputs, device: str) -> Asked:
    def leaf(array: np.ndarray) -> torch.Tensor:
        return tensor(array).to(device).detach().clone().requires_grad_(True)

    states = tuple(map(leaf, state_tuple(inputs.start(spec))))
    # torch packs no empty batch, and there is nothing to pack
    steps = None if inputs.lengths is None or not inputs.lengths.size else torch.from_numpy(inputs.lengths)
    return Asked(leaf(inputs.x), states, steps)


def _called(layer: Any, spec: RNNSpec, asked: Asked) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    hx = asked.states if len(cell_of(spec).states) > 1 else asked.states[0]
    if asked.lengths is None:
        output, finals = layer(asked.x, hx)
    else:
        packed = pack_padded_sequence(asked.x, asked.lengths, layer.batch_first, enforce_sorted=False)
        answer, finals = layer(packed, hx)
        time = asked.x.shape[1 if layer.batch_first else 0]
        output, _ = pad_packed_sequence(answer, layer.batch_first, 0.0, time)
    return output, finals if isinstance(finals, tuple) else (finals,)
