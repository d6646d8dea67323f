"""The modes of torch's layers: what its users do to a module before they call it, or around the call."""

from __future__ import annotations

import copy
import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reference.layout import each_state

from .models import PaddedRNN, padded, with_layout

# output and h_n; of an LSTM the pair (h_n, c_n)
Answer = tuple[Tensor, Any]
# modes that change nothing of the module itself
SETTINGS = ("inference", "autograd", "tf32", "bfloat16_products", "deterministic", "fallback")
# x, hx (a pair of an LSTM) or None, lengths or None
Arguments = tuple[Tensor, Any, Tensor | None]


class ModeRunner:
    """What build returns for a mode: a module, and how run calls it. What is made for a layout is called for any shape.

    rnn: the module itself, whose batch_first says nothing: the layout is that of the call.  dtype: of the case, and of
    its answer; in the mode "mixed" the module's parameters are float32.
    """

    reverse = False

    def __init__(self, rnn: torch.nn.RNNBase, mode: str, dtype: np.dtype) -> None:
        self.rnn, self.mode, self.dtype = rnn, mode, dtype
        self._made: dict[Any, Callable[..., Any]] = {}
        self._lock = threading.Lock()

    def __call__(self, batch_first: bool, arguments: Arguments) -> Any:
        x, hx, lengths = arguments
        shape = x.shape if self.mode in ("traced", "exported") else x.dim()  # those two are of one shape
        # what torch refuses is asked anew: what was made of other arguments may not refuse it
        none = x.numel() == 0, lengths is not None and not lengths.all()
        key = batch_first, shape, hx is None, lengths is None, none
        gradients = torch.inference_mode if self.mode == "inference" else torch.set_grad_enabled
        mixed = self.mode == "mixed"
        narrow = torch.autocast(x.device.type, getattr(torch, self.dtype.name)) if mixed else nullcontext()
        with gradients(self.mode in ("inference", "autograd")), narrow, self._lock:
            if key not in self._made:
                module = padded(with_layout(self.rnn, batch_first), self.reverse)
                self._made[key] = self.made(module, arguments)
            output, h_n = self._made[key](x, hx, lengths)
        if mixed and not isinstance(self.rnn, torch.nn.RNN):  # torch keeps their states in float32 on a CPU
            to = getattr(torch, self.dtype.name)
            return output.to(to), each_state(lambda state: state.to(to), h_n)
        return output, h_n

    def made(self, padded: PaddedRNN, arguments: Arguments) -> Callable[..., Any]:
        """What the mode makes of the module, for arguments like these."""
        return MODES[self.mode](padded, arguments)


@contextmanager
def _known_warnings() -> Iterator[None]:
    """torch.jit is deprecated, and a trace is of one shape: both are known, and said for every call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Converting a tensor to a Python")
        yield


def named(called: Any) -> dict[str, Tensor]:
    """Those of Arguments that are given, by the names that PaddedRNN has for them."""
    return {name: given for name, given in zip(("x", "hx", "lengths"), called, strict=True) if given is not None}


def _dropout(padded: PaddedRNN, arguments: Arguments) -> Callable[..., Answer]:
    """A dropout of one half, which must do nothing in eval."""
    padded.rnn.dropout = 0.5
    return padded.eval()


def _saved(padded: PaddedRNN, arguments: Arguments) -> Callable[..., Answer]:
    """The state_dict written by torch.save, and read with weights_only into a module of other weights."""
    file = io.BytesIO()
    torch.save(padded.rnn.state_dict(), file)
    file.seek(0)
    other = copy.deepcopy(padded)
    for parameter in other.parameters():
        parameter.fill_(0.5)
    other.rnn.load_state_dict(torch.load(file, weights_only=True))
    return other


def _moved(padded: PaddedRNN, arguments: Arguments) -> Callable[..., Answer]:
    """From its device to the CPU and back, after the weights were copied into it."""
    other = copy.deepcopy(padded).cpu().to(arguments[0].device)
    other.rnn.flatten_parameters()
    return other


def _mixed(padded: PaddedRNN, arguments: Arguments) -> Callable[..., Answer]:
    """Under autocast, on inputs of float32, as its users have them."""
    return lambda x, hx, lengths: padded(x.float(), each_state(torch.Tensor.float, hx), lengths)


def _scripted(padded: PaddedRNN, arguments: Arguments) -> Any:
    with _known_warnings():
        return torch.jit.script(padded)


def _traced(padded: PaddedRNN, arguments: Arguments) -> Callable[..., Answer]:
    with _known_warnings():
        traced: Any = torch.jit.trace(padded, example_kwarg_inputs=named(arguments))
    return lambda *called: traced(**named(called))


def _exported(padded: PaddedRNN, arguments: Arguments) -> Any:
    """torch.export, with the layer taken apart into its operations."""
    return torch.export.export(padded, arguments).run_decompositions().module()


# mode -> what it makes of a module, for arguments like these; the other modes are settings around the call
MODES: dict[str, Callable[[PaddedRNN, Arguments], Callable[..., Answer]]] = {
    **dict.fromkeys(SETTINGS, lambda padded, arguments: padded),
    "train": lambda padded, arguments: padded.train(),
    "dropout": _dropout,
    "saved": _saved,
    "scripted": _scripted,
    "traced": _traced,
    "exported": _exported,
    "compiled": lambda padded, arguments: torch.compile(padded),
    "mixed": _mixed,
    "moved": _moved,
}
