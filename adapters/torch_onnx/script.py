"""The part of a stand-alone script that exports a layer of torch and runs the export. It imports no torch here."""

from __future__ import annotations

from pathlib import Path

from reference import Case

from ..contract import NotOffered
from ..scripts.script import ON_CPU, script
from ..torch.script import LAYERS, copies, function

TEMPLATE = Path(__file__).with_suffix(".txt")
SOURCE = Path(__file__).with_name("ways.py")
# mode or idiom -> the function of ways.py by which it exports
EXPORTED_BY = {"eager": "traced", "exported": "exported"} | {
    word: word.replace(" ", "_")
    for word in ("fixed shapes", "other sizes", "oldest opset", "dynamic batch", "newest opset", "dynamic steps")
}
AXES = {
    "batch_first": ('{0: "batch", 1: "time"}', '{1: "batch"}'),
    "time_first": ('{0: "time", 1: "batch"}', '{1: "batch"}'),
    "unbatched": ('{0: "time"}', "{}"),
}


def torch_onnx_script(case: Case, device: str = "cpu", way: str = "eager") -> str:
    """The script of a case; NotOffered for one that torch's layer alone does not take, and for another way."""
    if way not in EXPORTED_BY:
        raise NotOffered(f"way: got {way!r}, expected {', '.join(EXPORTED_BY)}")
    if case.lengths is not None or case.mask is not None or case.spec.direction == "reverse":
        raise NotOffered(
            "a script is written of torch's layer alone, without lengths, masks and a single reverse direction"
        )
    text, axes = function(SOURCE, EXPORTED_BY[way]), AXES[case.layout]
    layer = LAYERS.get(case.spec.cell, "torch.nn.RNN")
    title, package = f"{layer} exported to ONNX, in ONNX Runtime", "torch, onnx, onnxscript, onnxruntime"
    return script(case, TEMPLATE, title, package, device, ON_CPU, cells=tuple(LAYERS), layer=layer, copies=copies(case),
                  way=text, called=EXPORTED_BY[way], io="io." in text, of_x=axes[0], of_h0=axes[1])  # fmt: skip
