"""torch's part of a stand-alone script: torch.nn.RNN as its own user writes it. It imports no torch here."""

from __future__ import annotations

from pathlib import Path

from reference import Case

from ..scripts.script import cell_suffix, script

TEMPLATE = Path(__file__).with_suffix(".txt")


def torch_script(case: Case, device: str = "cpu") -> str:
    """The script of a case for torch.nn.RNN on a device, here or not; ValueError for what is no name of one.

    Sequences are packed where there are lengths, but for an empty batch, which torch does not pack; packed sequences
    are batched.
    """
    first = case.layout == "batch_first"
    places = {"axis": 1, "row": "row, :length"} if first else {"axis": 0, "row": ":length, row"}
    return script(case, TEMPLATE, "torch.nn.RNN", "torch", device, copies=copies(case), **places)


def copies(case: Case) -> str:
    """The lines that copy a case's weights into rnn, a torch.nn.RNN."""
    cells = enumerate(case.parameters)
    names = [f"{name}_{cell_suffix(case, index)}" for index, cell in cells for name in cell.arrays()]
    native = [name.replace("w_", "weight_").replace("b_", "bias_") for name in names]
    return "\n".join(f"rnn.{there}.copy_(torch.from_numpy({here}))" for there, here in zip(native, names, strict=True))
