"""The part of a stand-alone script that builds an ONNX model and runs it. It imports no framework here."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reference import Case
from reference.spec import expect_word

from ..contract import NotOffered
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


# the idioms of a runtime, and what says so in the template
WAYS = {
    "onnxruntime": {"layout 1": "layout_1"},
    "onnx": {"layout 1": "layout_1", "two activations": "affine"},
    "openvino": {
        "layout 1": "layout_1",
        "dynamic shapes": "dynamic",
        "fixed shapes": "fixed",
        "default precision": "default",
        "arrays as they come": "as_it_comes",
    },
}


def onnx_script(case: Case, runtime: str, device: str = "cpu", way: str = "eager") -> str:
    """The script of a case for one of RUNTIMES, on CPU; ValueError for another runtime or device.

    way: "eager", or one of the runtime's idioms; NotOffered for another, and for what the idiom has no way to ask.
    """
    expect_word("runtime", runtime, tuple(RUNTIMES))
    if way not in ("eager", *WAYS[runtime]):
        raise NotOffered(f"way: got {way!r}, expected eager, {', '.join(WAYS[runtime])}")
    if way in ("layout 1", "two activations") and case.spec.num_layers > 1:
        raise NotOffered(f"num_layers: got {case.spec.num_layers}, asked of one layer alone")
    mentioned = {word for words in WAYS.values() for word in words.values()}
    fixed = way == "fixed shapes" or (
        way != "dynamic shapes" and case.lengths is not None and np.size(case.lengths) > 0
    )
    more = {
        **{name: name == runtime for name in RUNTIMES},
        **{word: WAYS[runtime].get(way) == word for word in mentioned},
        "fixed": fixed,
        "operator": ACTIVATIONS.get(case.spec.nonlinearity),
        "opset": OPSET,
        "ir_version": IR_VERSION,
    }
    return script(case, TEMPLATE, *RUNTIMES[runtime], device, ON_CPU, **more)
