"""The part of a stand-alone script that builds an ONNX model and runs it. It imports no framework here."""

from __future__ import annotations

from pathlib import Path

from reference import Case
from reference.spec import expect_word

from ..scripts.script import ON_CPU, script

TEMPLATE = Path(__file__).with_suffix(".txt")
OPSET = 22  # the first in which RNN takes bfloat16
IR_VERSION = 10  # onnx 1.16's, which came with this opset's runtimes; a newer one only locks older ones out
ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu"}
# name of the runtime -> what is called, and what it needs, in words
RUNTIMES = {
    "onnxruntime": ("The RNN operator in ONNX Runtime", "onnx, onnxruntime"),
    "onnx": ("The RNN operator in onnx.reference.ReferenceEvaluator", "onnx"),
    "openvino": ("The RNN operator of ONNX in OpenVINO", "onnx, openvino"),
}


def onnx_script(case: Case, runtime: str, device: str = "cpu") -> str:
    """The script of a case for one of RUNTIMES, on CPU; ValueError for another runtime or device."""
    expect_word("runtime", runtime, tuple(RUNTIMES))
    more = {
        **{name: name == runtime for name in RUNTIMES},
        "operator": ACTIVATIONS.get(case.spec.nonlinearity),
        "opset": OPSET,
        "ir_version": IR_VERSION,
    }
    return script(case, TEMPLATE, *RUNTIMES[runtime], device, ON_CPU, **more)
