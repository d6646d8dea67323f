"""The part of a stand-alone script that builds an ONNX model and runs it. It imports no framework here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reference import Case, RNNSpec
from reference.cells import cell_of
from reference.judging.view import WHOLE
from reference.spec import expect_word

from ..contract import NotOffered
from ..scripts.script import MOVES, ON_CPU, checked, script
from .mapping import INPUTS, MAPPING, OF_GATES, OF_RNN, OPERATORS
from .ways import RUN, Way, source_of

TEMPLATE = Path(__file__).with_suffix(".txt")
OPSET = 22  # the first in which RNN takes bfloat16
IR_VERSION = 10  # onnx 1.16's, which came with this opset's runtimes; a newer one only locks older ones out
# name of the runtime -> what is called, and what it needs, in words
RUNTIMES = {
    "onnxruntime": ("The operator {} in ONNX Runtime", "onnx, onnxruntime"),
    "onnx": ("The operator {} in onnx.reference.ReferenceEvaluator", "onnx"),
    "openvino": ("The operator {} of ONNX in OpenVINO", "onnx, openvino"),
    "tract": ("The operator {} of ONNX in tract", "onnx, tract"),
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
    checked(case)
    known = ways or {}
    if way not in ("eager", *known):
        raise NotOffered(f"way: got {way!r}, expected {', '.join(('eager', *known))}")
    idiom = known.get(way, RUN)
    steps = [*idiom.changes, *([idiom.ask] if idiom.ask else [])]
    layer, finals = MAPPING[case.spec.cell], [f"{state.name}_n" for state in cell_of(case.spec).states]
    shown = {"output": idiom.view.output != "none", **dict.fromkeys(finals, idiom.view.states != "none")}
    move, back = MOVES[case.layout]["state"], MOVES[case.layout]["state_back"]
    title, package = RUNTIMES[runtime]
    more = {
        **{name: name == runtime for name in RUNTIMES},
        "sources": source_of(steps),
        "changes": "\n".join(step.call() for step in idiom.changes),
        "ask": idiom.ask.call() if idiom.ask else "",
        "as_it_comes": idiom.as_it_comes,
        "batch_first_model": idiom.layout == "batch_first",
        "fixed": (case.lengths is not None and np.size(case.lengths) > 0) or bool(idiom.changes),
        "output_shown": shown["output"],
        "whole": idiom.view == WHOLE,
        "states_shown": shown["h_n"],
        "actual": ", ".join(f'"{name}": {name}.astype("float64")' for name in ("output", *finals) if shown[name]),
        "operator": OPERATORS[case.spec.cell],
        "attributes": ", ".join(f"{name}={value!r}" for name, value in attributes_of(case.spec).items()),
        "state_names": ", ".join(f'"{state}"' for state in layer.states),
        "starts": "\n".join(f'feeds["{state}0"] = native({state}0{move})' for state in layer.states),
        "finals": "\n".join(f'{final} = answers["{final}"]{back}' for final in finals),
        "last_input": INPUTS[layer.states] - 1,
        "gates": ", ".join(f"{name!r}: {gates}" for name, gates in _rows(case).items()),
        "tracks": case.spec.num_cells,
        "opset": OPSET,
        "ir_version": IR_VERSION,
    }
    title = title.format(OPERATORS[case.spec.cell])
    return script(case, TEMPLATE, title, package, device, ON_CPU, idiom.view, tuple(MAPPING), **more)


def _rows(case: Case) -> dict[str, str]:
    """How each array of a node is made of one track's arrays, by its names, as Python."""
    kinds = {weight.name: weight.gates for weight in cell_of(case.spec).weights(case.spec)}
    places = {name: index for index, name in enumerate(case.parameters[0].arrays())}
    made = {}
    for name, array in MAPPING[case.spec.cell].arrays.items():
        if places.keys() >= {*array.of}:
            orders = [[kinds[of].index(gate) for gate in array.gates] for of in array.of]
            made[name] = [(places[of], order) for of, order in zip(array.of, orders, strict=True)]
    return {name: repr(parts) for name, parts in made.items()}
