"""Keras' part of a stand-alone script: SimpleRNN layers as their own user writes them. It imports no Keras here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reference import Case
from reference.spec import expect_word

from ..readers import refuse
from ..scripts.literals import text_literal
from ..scripts.script import ON_CPU_AND_CUDA, expect_device, script

# Its recurrent_initializer: the default has no bfloat16, and on torch leaves another memory layout, so other bits.
TEMPLATE = Path(__file__).with_suffix(".txt")
BACKENDS = ("tensorflow", "jax", "torch", "numpy", "openvino")


# way -> the words for what its script does
WAYS = {
    "eager": {"called"},
    "unrolled": {"called", "unrolled"},
    "as it comes": {"called", "as_it_comes"},
    "without x64": {"called"},
    "stateful": {"called", "is_stateful"},
    "mask handed on": {"modelled", "mask_handed_on"},
    "turned once": {"modelled", "turned_once"},
    "predict": {"modelled", "predict"},
    "stateful predict": {"modelled", "stateful_predict", "is_stateful"},
    "sequential without input": {"sequential_without_input"},
    "list of cells": {"cells_in_a_list"},
    "last output": {"last_output"},
    "last output of cells": {"cells_in_a_list", "last_output_of_cells"},
}


def keras_script(case: Case, device: str, backend: str, way: str = "eager") -> str:
    """The script of a case for a stack of SimpleRNN layers, called one after another.

    device: named as the adapter's are, here or not.  backend: one of BACKENDS, what KERAS_BACKEND is to be, where it is
    not set.  way: one of WAYS. Raises ValueError for another device or backend, NotOffered for another way.
    """
    expect_device(device, ON_CPU_AND_CUDA)
    expect_word("backend", backend, BACKENDS)
    refuse("script", {f"{way}: the adapter writes none of it": way not in WAYS})
    simple = case.spec.num_layers == 1 and case.spec.direction == "forward" and case.lengths is case.mask is None
    refuse("script", {f"{way}: of one layer that runs forward, without a mask": way.startswith("seq") and not simple})
    title = "keras.layers.Bidirectional" if case.spec.direction == "bidirectional" else "keras.layers.SimpleRNN"
    words: dict[str, Any] = {
        "x64": backend == "jax" and case.dtype == "float64" and way != "without x64",
        "backend": text_literal(backend),
        "on_device": backend != "numpy",  # which has one device, and in Keras 3.5 no scope for it
        "native_device": text_literal(keras_device(device, backend)),
        **{word: word in WAYS[way] for word in set().union(*WAYS.values())},
    }
    return script(case, TEMPLATE, title, f"Keras on {backend}", device, **words)


def keras_device(device: str, backend: str) -> str:
    """Keras' own name of a device: "cuda" and "cuda:1" are its "gpu:0" and "gpu:1"."""
    kind, _, index = device.partition(":")
    if kind == "cuda":
        return f"gpu:{index or 0}"
    # Keras 3.10 knows no "cpu" on JAX; on torch "cpu:0" makes a copy of every new weight, which is then no Parameter
    return "cpu:0" if backend == "jax" and device == "cpu" else device
