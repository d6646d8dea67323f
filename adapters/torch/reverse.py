"""The single reverse direction, which torch lacks."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


class ReverseRNN(torch.nn.RNN):
    """torch.nn.RNN from the last valid step to the first: each sequence is reversed within its length, and back.

    Its state_dict loads into a plain torch.nn.RNN of the same sizes, which answers alike once its x and its output are
    flipped. The module itself, written by torch.save, loads only where this repository can be imported: torch has no
    class of its own for it.
    """

    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002 (torch's own name)
        if isinstance(input, PackedSequence):
            output, h_n = super().forward(_reverse_packed(input, self.batch_first), hx)
            return _reverse_packed(output, self.batch_first), h_n
        time = 1 if self.batch_first and input.dim() == 3 else 0
        output, h_n = super().forward(input.flip(time), hx)
        return output.flip(time), h_n


def _reverse_packed(packed: PackedSequence, batch_first: bool) -> PackedSequence:
    padded, lengths = pad_packed_sequence(packed, batch_first=True)
    step = torch.arange(padded.shape[1], device=lengths.device)
    source = torch.where(step < lengths[:, None], lengths[:, None] - 1 - step, step).to(padded.device)
    reversed_ = padded.gather(1, source[:, :, None].expand_as(padded))
    reversed_ = reversed_ if batch_first else reversed_.transpose(0, 1)
    return pack_padded_sequence(reversed_, lengths, batch_first=batch_first, enforce_sorted=False)
