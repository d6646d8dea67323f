"""Keras' part of a stand-alone script: recurrent layers as their own user writes them. It imports no Keras here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reference import Case, RNNSpec
from reference.judging.view import WHOLE, View
from reference.spec import expect_word

from ..readers import refuse
from ..scripts.literals import text_literal
from ..scripts.script import ON_CPU_AND_CUDA, expect_device, script
from ..scripts.source import definitions, source
from .mapping import KINDS, MAPPING

# What layers are given: the default has no bfloat16, and on torch leaves another memory layout, so other bits.
WORDS = {"recurrent_initializer": "zeros"}
TEMPLATE = Path(__file__).with_suffix(".txt")
WAYS, EXPORTS = (Path(__file__).with_name(name) for name in ("ways.py", "exports.py"))
BACKENDS = ("tensorflow", "jax", "torch", "numpy", "openvino")
# the first word of an idiom -> of each backend on which it is asked, the packages that it needs beside; jax2onnx is of
# older packages than Flax is
BESIDE = {
    "SavedModel": {"tensorflow": (), "jax": ("tensorflow",)},
    "ONNX": {"tensorflow": ("tf2onnx", "onnxruntime"), "torch": ("onnxscript", "onnxruntime")},
    "OpenVINO": {"tensorflow": ("openvino",), "jax": ("openvino", "tensorflow"), "openvino": ()},
    "exported": {"torch": ()},
}  # fmt: skip
# mode -> the words for what its script does
MODES = {
    "eager": {"called"}, "unrolled": {"called", "unrolled"}, "predict": {"predict"}, "compiled": {"called", "compiled"},
}  # fmt: skip


def keras_script(case: Case, device: str, backend: str, way: str = "eager", view: View = WHOLE) -> str:
    """The script of a case for a stack of layers, called one after another.

    device: named as the adapter's are, here or not.  backend: one of BACKENDS, what KERAS_BACKEND is to be, where it is
    not set.  way: one of MODES, or an idiom, which shows `view`. Raises ValueError for another device or backend,
    NotOffered for another way.
    """
    expect_device(device, ON_CPU_AND_CUDA)
    expect_word("backend", backend, BACKENDS)
    expect_word("cell", case.spec.cell, tuple(KINDS))
    name = way_of(way)
    trains = case.cotangents is not None
    lacks = (way == "compiled" and (not trains or backend != "tensorflow")) or (trains and way not in MODES)
    lacks = lacks or (way not in MODES and name not in definitions(WAYS, EXPORTS))
    refuse("script", {f"{way}: the adapter writes none of it": lacks})
    kind, more = KINDS[case.spec.cell]
    functions = "" if way in MODES else source(EXPORTS, "Given", name, beside=(WAYS,))
    words: dict[str, Any] = {
        "layer": kind,
        "reset": bool(more),
        "reset_after": more.get("reset_after"),
        "each": len(MAPPING[case.spec.cell].states),
        **arrays_of(case.spec),
        "x64": backend == "jax" and case.dtype == "float64" and way != "as it comes",
        "backend": text_literal(backend),
        "aside": trains and case.spec.direction == "forward" and (case.lengths is not None or case.mask is not None),
        **{f"on_{one}": one == backend for one in BACKENDS},
        "native_device": text_literal(keras_device(device, backend)),
        **{word: word in MODES.get(way, ()) for word in set().union(*MODES.values())},
        "idiom": way not in MODES,
        "layered": way in MODES,
        "way": name,
        "ways": functions,
        "exports": "tempfile." in functions,
        "h_n_shown": view.states != "none",
        "every_step": view.output == "every step",
    }
    title = "Bidirectional" if case.spec.direction == "bidirectional" else kind
    packages = BESIDE.get(way.split()[0], {}).get(backend, ())
    needed = f"Keras on {backend}{', with ' if packages else ''}{' and '.join(packages)}"
    return script(case, TEMPLATE, f"keras.layers.{title}", needed, device, view=view,
                  cells=tuple(MAPPING), **words)  # fmt: skip


def arrays_of(spec: RNNSpec) -> dict[str, str]:
    """What the template says of a cell's arrays: the expressions of what set_weights takes, and of its biases."""
    gates = "turned({})" if KINDS[spec.cell][1] else "{}"
    w_ih, w_hh, b_ih, b_hh, both = map(gates.format, ("w_ih", "w_hh", "b_ih", "b_hh", "b_ih + b_hh"))
    kernels = f"{w_ih}.T.copy(), {w_hh}.T.copy()"
    if not spec.bias:
        return {"arrays": kernels, "biases": ""}
    if spec.cell == "gru":
        return {"arrays": f"{kernels}, np.stack([{b_ih}, {b_hh}])", "biases": ", and both biases are kept"}
    return {"arrays": f"{kernels}, {both}", "biases": ", and there is one bias"}


def way_of(idiom: str) -> str:
    """The name of the function in ways.py or exports.py that calls layers in an idiom."""
    return idiom.lower().replace(" ", "_")


def keras_device(device: str, backend: str) -> str:
    """Keras' own name of a device: "cuda" and "cuda:1" are its "gpu:0" and "gpu:1"."""
    kind, _, index = device.partition(":")
    if kind == "cuda":
        return f"gpu:{index or 0}"
    # Keras 3.10 knows no "cpu" on JAX; on torch "cpu:0" makes a copy of every new weight, which is then no Parameter
    return "cpu:0" if backend == "jax" and device == "cpu" else device
