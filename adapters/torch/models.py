"""What torch lacks around its layers: the single reverse direction, and padded sequences with their lengths."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

# cell -> torch's layer of it
LAYERS: dict[str, type[torch.nn.RNNBase]] = {"elman": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


class Reverse(torch.nn.Module):
    """A layer of torch from the last valid step to the first: each sequence is reversed within its length, and back.

    Its state_dict loads into torch's plain layer of the same sizes, which answers alike once its x and its output are
    flipped. The module itself, written by torch.save, loads only where this repository can be imported: torch has no
    class of its own for it.
    """

    batch_first: bool

    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002 (torch's own name)
        layer: Any = super()
        if isinstance(input, PackedSequence):
            output, h_n = layer.forward(_flipped_packed(input, self.batch_first), hx)
            return _flipped_packed(output, self.batch_first), h_n
        output, h_n = layer.forward(flipped(input, None, self.batch_first), hx)
        return flipped(output, None, self.batch_first), h_n


class ReverseRNN(Reverse, torch.nn.RNN):
    """torch.nn.RNN in reverse."""


class ReverseGRU(Reverse, torch.nn.GRU):
    """torch.nn.GRU in reverse."""


class ReverseLSTM(Reverse, torch.nn.LSTM):
    """torch.nn.LSTM in reverse."""


REVERSED: dict[str, type[torch.nn.RNNBase]] = {"elman": ReverseRNN, "gru": ReverseGRU, "lstm": ReverseLSTM}


class PaddedRNN(torch.nn.Module):
    """A torch.nn.RNN or GRU as a module of padded sequences x, states hx and lengths, for what traces, compiles or
    exports.

    Packing and unpacking are part of it.  reverse: whether each sequence is flipped within its length before and after.
    """

    def __init__(self, rnn: torch.nn.RNNBase, reverse: bool = False) -> None:
        super().__init__()
        self.rnn = rnn
        self.batch_first, self.reverse = rnn.batch_first, reverse

    def forward(self, x: Tensor, hx: Tensor | None = None, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self.turned(x, lengths)
        if lengths is None:
            output, h_n = self.rnn(x, hx)
        else:
            answer, h_n = self.rnn(pack_padded_sequence(x, lengths, self.batch_first, False), hx)
            output, _ = pad_packed_sequence(answer, self.batch_first, 0.0, x.shape[1 if self.batch_first else 0])
        return self.turned(output, lengths), h_n

    def turned(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """A sequence in the order in which the steps are taken, and back."""
        return flipped(x, lengths, self.batch_first) if self.reverse else x


class PaddedLSTM(PaddedRNN):
    """The same of a torch.nn.LSTM, whose states are a pair: torch.jit.script takes a method for one type."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Tensor, hx: tuple[Tensor, Tensor] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        x = self.turned(x, lengths)
        if lengths is None:
            output, h_n = self.rnn(x, hx)
        else:
            answer, h_n = self.rnn(pack_padded_sequence(x, lengths, self.batch_first, False), hx)
            output, _ = pad_packed_sequence(answer, self.batch_first, 0.0, x.shape[1 if self.batch_first else 0])
        return self.turned(output, lengths), h_n


def padded(rnn: torch.nn.RNNBase, reverse: bool = False) -> PaddedRNN:
    """A layer of torch as a module of padded sequences."""
    return (PaddedLSTM if isinstance(rnn, torch.nn.LSTM) else PaddedRNN)(rnn, reverse)


def with_layout(rnn: torch.nn.RNNBase, batch_first: bool) -> torch.nn.RNNBase:
    """A module of the same parameters and settings, but for its batch_first."""
    view = copy.copy(rnn)
    view.batch_first = batch_first
    return view


def flipped(x: Tensor, lengths: Tensor | None, batch_first: bool) -> Tensor:
    """Each sequence from its last step to its first; padding stays in its place."""
    time = 1 if batch_first and x.dim() == 3 else 0
    if lengths is None:
        return x.flip(time)
    step = torch.arange(x.shape[time], device=lengths.device)
    source = torch.where(step < lengths[:, None], lengths[:, None] - 1 - step, step).to(x.device)
    source = source if batch_first else source.transpose(0, 1)
    return x.gather(time, source[:, :, None].expand_as(x))


def _flipped_packed(packed: PackedSequence, batch_first: bool) -> PackedSequence:
    padded, lengths = pad_packed_sequence(packed, batch_first)
    return pack_padded_sequence(flipped(padded, lengths, batch_first), lengths, batch_first, enforce_sorted=False)
