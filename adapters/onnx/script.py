"""The part of a stand-alone script that builds an ONNX model and runs it. It imports no framework here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reference import Case, RNNSpec
from reference.spec import expect_word

from ..contract import NotOffered
from ..scripts.script import ON_CPU, script
from .idioms import RUN, Way
from .mapping import OF_GATES, OF_RNN

TEMPLATE = Path(__file__).with_suffix(".txt")
OPSET = 22  # the first in which RNN takes bfloat16
IR_VERSION = 10  # onnx 1.16's, which came with this opset's runtimes; a newer one only locks older ones out
# name of the runtime -> what is called, and what it needs, in words
RUNTIMES = {
    "onnxruntime": ("The RNN operator in ONNX Runtime", "onnx, onnxruntime"),
    "onnx": ("The RNN operator in onnx.reference.ReferenceEvaluator", "onnx"),
    "openvino": ("The RNN operator of ONNX in OpenVINO", "onnx, openvino"),
}


def attributes_of(spec: RNNSpec) -> dict[str, Any]:
    """What a node says of a spec's cell: its attributes beside hidden_size, direction and clip."""
    activations = OF_RNN[spec.nonlinearity] if spec.cell == "elman" else OF_GATES[spec.cell]
    more = {"gru": {"linear_before_reset": 1}, "gru_reset_before": {"linear_before_reset": 0},
            "lstm": {"input_forget": int(spec.input_forget)}}  # fmt: skip
    return {"activations": [*activations] * spec.num_directions, **more.get(spec.cell, {})}


def onnx_script(
    case: Case, runtime: str, device: str = "cpu", way: str = "eager", ways: Mapping[str, Way] | None = None
) -> str:
    """The script of a case for one of RUNTIMES, on CPU; ValueError for another runtime or device.

    way: "eager", or one of `ways`, the runtime's idioms; NotOffered for another.
    """
    expect_word("runtime", runtime, tuple(RUNTIMES))
    known = ways or {}
    if way not in ("eager", *known):
        raise NotOffered(f"way: got {way!r}, expected {', '.join(('eager', *known))}")
    idiom = known.get(way, RUN)
    steps = [*idiom.changes, *([idiom.ask] if idiom.ask else [])]
    shown = {"output": idiom.view.output != "none", "h_n": idiom.view.states != "none"}
    more = {
        **{name: name == runtime for name in RUNTIMES},
        "sources": "\n\n\n".join(step.source() for step in steps),
        "changes": "\n".join(step.call() for step in idiom.changes),
        "ask": idiom.ask.call() if idiom.ask else "",
        "as_it_comes": idiom.as_it_comes,
        "batch_first_model": idiom.layout == "batch_first",
        "fixed": (case.lengths is not None and np.size(case.lengths) > 0) or bool(idiom.changes),
        "output_shown": shown["output"],
        "states_shown": shown["h_n"],
        "actual": ", ".join(f'"{name}": {name}.astype("float64")' for name in ALL if shown[name]),
        "operator": ACTIVATIONS.get(case.spec.nonlinearity),
        "tracks": case.spec.num_cells,
        "opset": OPSET,
        "ir_version": IR_VERSION,
    }
    return script(case, TEMPLATE, *RUNTIMES[runtime], device, ON_CPU, view=idiom.view, **more)
