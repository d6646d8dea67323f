"""The part of a stand-alone script that builds an ONNX model and runs it. It imports no framework here."""

from __future__ import annotations

from pathlib import Path

from reference import Case
from reference.spec import expect_word

from ..scripts.script import ON_CPU, script

TEMPLATE = Path(__file__).with_suffix(".txt")
# Opset and IR version are those of models.py, which a test compares.
OPSET, IR_VERSION = 22, 10
ELEMENTS = {"float16": "FLOAT16", "bfloat16": "BFLOAT16", "float32": "FLOAT", "float64": "DOUBLE"}
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
        "element": ELEMENTS.get(case.dtype),
        "operator": {"tanh": "Tanh", "relu": "Relu"}.get(case.spec.nonlinearity),
        "opset": OPSET,
        "ir_version": IR_VERSION,
    }
    return script(case, TEMPLATE, *RUNTIMES[runtime], device, ON_CPU, **more)
