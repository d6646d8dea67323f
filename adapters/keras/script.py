"""Keras' part of a stand-alone script: SimpleRNN layers as their own user writes them. It imports no Keras here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reference import Case
from reference.spec import expect_word

from ..scripts.literals import text_literal
from ..scripts.script import ON_CPU_AND_CUDA, expect_device, script

# Its recurrent_initializer: the default has no bfloat16, and on torch leaves another memory layout, so other bits.
TEMPLATE = Path(__file__).with_suffix(".txt")
BACKENDS = ("tensorflow", "jax", "torch", "numpy", "openvino")


def keras_script(case: Case, device: str, backend: str) -> str:
    """The script of a case for a stack of SimpleRNN layers, called one after another.

    device: named as the adapter's are, here or not.  backend: one of BACKENDS, what KERAS_BACKEND is to be, where it is
    not set. Raises ValueError for another device or backend.
    """
    expect_device(device, ON_CPU_AND_CUDA)
    expect_word("backend", backend, BACKENDS)
    title = "keras.layers.Bidirectional" if case.spec.direction == "bidirectional" else "keras.layers.SimpleRNN"
    words: dict[str, Any] = {
        "x64": backend == "jax" and case.dtype == "float64",
        "backend": text_literal(backend),
        "native_device": text_literal(keras_device(device, backend)),
    }
    return script(case, TEMPLATE, title, f"Keras on {backend}", device, **words)


def keras_device(device: str, backend: str) -> str:
    """Keras' own name of a device: "cuda" and "cuda:1" are its "gpu:0" and "gpu:1"."""
    kind, _, index = device.partition(":")
    if kind == "cuda":
        return f"gpu:{index or 0}"
    # Keras 3.10 knows no "cpu" on JAX; on torch "cpu:0" makes a copy of every new weight, which is then no Parameter
    return "cpu:0" if backend == "jax" and device == "cpu" else device
