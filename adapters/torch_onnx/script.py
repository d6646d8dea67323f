"""The part of a stand-alone script that exports a torch.nn.RNN and runs the export. It imports no torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reference import Case

from ..contract import NotOffered
from ..scripts.script import ON_CPU, script
from ..torch.script import copies

TEMPLATE = Path(__file__).with_suffix(".txt")
TITLE = "torch.nn.RNN exported to ONNX, in ONNX Runtime"
WAYS = ("eager", "exported", "dynamic steps")


def torch_onnx_script(case: Case, device: str = "cpu", way: str = "eager") -> str:
    """The script of a case; NotOffered for one that torch.nn.RNN alone does not take, and for another way."""
    if way not in WAYS:
        raise NotOffered(f"way: got {way!r}, expected {', '.join(WAYS)}")
    if case.lengths is not None or case.mask is not None or case.spec.direction == "reverse":
        raise NotOffered(
            "a script is written of torch.nn.RNN alone, without lengths, masks and a single reverse direction"
        )
    ways: dict[str, Any] = {name.replace(" ", "_"): name == way for name in WAYS}
    return script(case, TEMPLATE, TITLE, "torch, onnx, onnxscript, onnxruntime", device, ON_CPU,
                  copies=copies(case), **ways)  # fmt: skip
