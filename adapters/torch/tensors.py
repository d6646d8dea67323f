"""What is asked, as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from reference.layout import each_state
from reference.spec import dtype_name

from ..inputs import Inputs
from .modes import Arguments


def packed(inputs: Inputs, device: str = "cpu") -> tuple[Inputs, Arguments]:
    """What is asked, in a layout that torch takes, and its tensors."""
    # torch packs no empty batch, and there is nothing to pack
    steps = None if inputs.some_lengths is None else torch.from_numpy(inputs.some_lengths)
    if steps is not None and inputs.layout == "unbatched":  # packed sequences are batched
        inputs = inputs.to("time_first")
    return inputs, (tensor(inputs.x).to(device), states(inputs.h0, device), steps)


def states(h0: Any, device: str) -> Any:
    """h0, or a pair of states, as tensors on a device; None of None."""
    return each_state(lambda state: tensor(state).to(device), h0)


def tensor(array: np.ndarray) -> torch.Tensor:
    """A tensor of the same values, dtype and, where torch can express them, strides."""
    if not array.flags.writeable or any(stride < 0 or stride % array.itemsize for stride in array.strides):
        array = array.copy(order="K")
    if dtype_name(array.dtype) == "bfloat16":
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array)
