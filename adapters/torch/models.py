"""What torch lacks around its torch.nn.RNN: the single reverse direction, and padded sequences with their lengths."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


class ReverseRNN(torch.nn.RNN):
    """torch.nn.RNN from the last valid step to the first: each sequence is reversed within its length, and back.

    Its state_dict loads into a plain torch.nn.RNN of the same sizes, which answers alike once its x and its output are
    flipped. The module itself, written by torch.save, loads only where this repository can be imported: torch has no
    class of its own for it.
    """

    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002 (torch's own name)
        if isinstance(input, PackedSequence):
            output, h_n = super().forward(_flipped_packed(input, self.batch_first), hx)
            return _flipped_packed(output, self.batch_first), h_n
        output, h_n = super().forward(flipped(input, None, self.batch_first), hx)
        return flipped(output, None, self.batch_first), h_n


class PaddedRNN(torch.nn.Module):
    """A torch.nn.RNN as a module of padded sequences x, states hx and lengths, for what traces, compiles or exports.

    Packing and unpacking are part of it.  reverse: whether each sequence is flipped within its length before and after.
    """

    def __init__(self, rnn: torch.nn.RNN, reverse: bool = False) -> None:
        super().__init__()
        self.rnn = rnn
        self.batch_first, self.reverse = rnn.batch_first, reverse

    def forward(self, x: Tensor, hx: Tensor | None = None, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.reverse:
            x = flipped(x, lengths, self.batch_first)
        if lengths is None:
            output, h_n = self.rnn(x, hx)
        else:
            packed = pack_padded_sequence(x, lengths, self.batch_first, False)
            answer, h_n = self.rnn(packed, hx)
            output, _ = pad_packed_sequence(answer, self.batch_first, 0.0, x.shape[1 if self.batch_first else 0])
        if self.reverse:
            output = flipped(output, lengths, self.batch_first)
        return output, h_n


def with_layout(rnn: torch.nn.RNN, batch_first: bool) -> torch.nn.RNN:
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
