"""The modes of torch.nn.RNN: what its users do to a module before they call it, or around the call."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

Answer = tuple[Tensor, Tensor]
# x, hx or None, lengths or None
Arguments = tuple[Tensor, Tensor | None, Tensor | None]


class Whole(torch.nn.Module):
    """An RNN as a module of x, hx and lengths: packing and unpacking are part of what is traced or compiled."""

    def __init__(self, rnn: torch.nn.RNN) -> None:
        super().__init__()
        self.rnn = rnn
        self.batch_first = rnn.batch_first

    def forward(self, x: Tensor, hx: Tensor | None = None, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if lengths is None:
            return self.rnn(x, hx)
        packed = pack_padded_sequence(x, lengths, self.batch_first, False)
        answer, h_n = self.rnn(packed, hx)
        output, _ = pad_packed_sequence(answer, self.batch_first, 0.0, x.shape[1 if self.batch_first else 0])
        return output, h_n


class InMode:
    """A module and the mode in which it is called. What is made for a layout is kept, and called for every shape.

    module: the RNN itself, whose batch_first says nothing: the layout is that of the call.  dtype: of the case, and of
    its answer; in the mode "mixed" the module's parameters are float32.
    """

    def __init__(self, module: torch.nn.RNN, mode: str, dtype: np.dtype) -> None:
        self.module, self.mode, self.dtype = module, mode, dtype
        self._made: dict[Any, Callable[..., Answer]] = {}

    def __call__(self, batch_first: bool, arguments: Arguments) -> Answer:
        x, hx, lengths = arguments
        key: tuple[Any, ...] = (batch_first, x.dim())
        if self.mode in ("traced", "exported"):  # which are of one shape, and know what is given
            key += (tuple(x.shape), hx is None, lengths is None)
        if key not in self._made:
            view = copy.copy(self.module)
            view.batch_first = batch_first
            with self._context(x.device):
                self._made[key] = MODES[self.mode](view, arguments)
        with self._context(x.device):
            return self._made[key](x, hx, lengths)

    @contextmanager
    def _context(self, device: torch.device) -> Iterator[None]:
        gradients = (
            torch.inference_mode() if self.mode == "inference" else torch.set_grad_enabled(self.mode == "autograd")
        )
        narrow = torch.autocast(device.type, getattr(torch, self.dtype.name)) if self.mode == "mixed" else nullcontext()
        with gradients, narrow:
            yield


@contextmanager
def _known_warnings() -> Iterator[None]:
    """torch.jit is deprecated, and a trace is of one shape: both are known, and said for every call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Converting a tensor to a Python")
        yield


def _plain(view: torch.nn.RNN, arguments: Arguments) -> Callable[..., Answer]:
    return Whole(view)


def _train(view: torch.nn.RNN, arguments: Arguments) -> Callable[..., Answer]:
    return Whole(view).train()


def _dropout(view: torch.nn.RNN, arguments: Arguments) -> Callable[..., Answer]:
    """A dropout of one half, which must do nothing in eval."""
    view.dropout = 0.5
    return Whole(view).eval()


def _saved(view: torch.nn.RNN, arguments: Arguments) -> Callable[..., Answer]:
    """The state_dict written by torch.save, and read with weights_only into a module of other weights."""
    file = io.BytesIO()
    torch.save(view.state_dict(), file)
    file.seek(0)
    other = copy.deepcopy(view)
    for parameter in other.parameters():
        parameter.fill_(0.5)
    other.load_state_dict(torch.load(file, weights_only=True))
    return Whole(other)


def _moved(view: torch.nn.RNN, arguments: Arguments) -> Callable[..., Answer]:
    """From its device to the CPU and back, after the weights were copied into it."""
    other = copy.deepcopy(view).cpu().to(arguments[0].device)
    other.flatten_parameters()
    return Whole(other)


def _mixed(view: torch.nn.RNN, arguments: Arguments) -> Callable[..., Answer]:
    """Under autocast, on inputs of float32, as its users have them."""
    whole = Whole(view)
    return lambda x, hx, lengths: whole(x.float(), None if hx is None else hx.float(), lengths)


def _scripted(view: torch.nn.RNN, arguments: Arguments) -> Callable[..., Answer]:
    with _known_warnings():
        scripted: Any = torch.jit.script(Whole(view))
    return scripted


def _traced(view: torch.nn.RNN, arguments: Arguments) -> Callable[..., Answer]:
    given = tuple(argument for argument in arguments if argument is not None)
    names = [name for name, argument in zip(("x", "hx", "lengths"), arguments, strict=True) if argument is not None]
    with _known_warnings():
        traced: Any = torch.jit.trace(Whole(view), example_kwarg_inputs=dict(zip(names, given, strict=True)))
    return lambda *called: traced(**{n: a for n, a in zip(("x", "hx", "lengths"), called, strict=True) if n in names})


def _exported(view: torch.nn.RNN, arguments: Arguments) -> Callable[..., Answer]:
    """torch.export, with the layer taken apart into its operations."""
    exported: Any = torch.export.export(Whole(view), arguments).run_decompositions().module()
    return exported


def _compiled(view: torch.nn.RNN, arguments: Arguments) -> Callable[..., Answer]:
    return torch.compile(Whole(view))


MODES: dict[str, Callable[[torch.nn.RNN, Arguments], Callable[..., Answer]]] = {
    "inference": _plain,
    "autograd": _plain,
    "train": _train,
    "dropout": _dropout,
    "saved": _saved,
    "scripted": _scripted,
    "traced": _traced,
    "exported": _exported,
    "compiled": _compiled,
    "mixed": _mixed,
    "tf32": _plain,
    "bfloat16_products": _plain,
    "deterministic": _plain,
    "moved": _moved,
    "fallback": _plain,
}
