"""Flax's part of a stand-alone script: layers as their own user writes them. It imports no Flax here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reference import Case
from reference.judging.view import View

from ..contract import IN_THREADS, NotOffered
from ..jax.script import Way, way_script
from ..scripts.script import script

CELLS = {"elman": "SimpleCell", "gru": "GRUCell", "lstm": "OptimizedLSTMCell"}
TEMPLATE, FUNCTIONS = Path(__file__).with_suffix(".txt"), Path(__file__).with_name("ways.py")
THREADS = "import sys\nfrom concurrent.futures import ThreadPoolExecutor\nfrom itertools import chain"
IMPORTS = "import flax\nfrom flax import linen, nnx"


CARRIES, SUM, ALONE = View(output="none"), View(states="none", halves="sum"), View(states="none")
WAYS: Mapping[str, Way] = {
    "as it comes": Way("of a cell with its own initialisers, whose weights are set then", "as_it_comes"),
    "without dtype": Way("of a cell that is given param_dtype, and no dtype", "without_dtype"),
    "without param_dtype": Way("of a cell that is given dtype, and no param_dtype", "without_param_dtype"),
    "without x64": Way("with none of JAX's settings touched: jax_enable_x64 is off", "layers", bare=True),
    "merged": Way("by nnx.Bidirectional with a merge_fn that adds; unrolled; without carries", "merged", SUM),
    "carry alone": Way("for its carry, by nnx.RNN without keep_order in nnx.jit", "carry_alone", CARRIES),
    "newest first": Way("by nnx.RNN with reverse=True and without keep_order", "newest_first"),
    "axes of batch": Way("of x with two axes of batch", "axes_of_batch"),
    "Sequential": Way("by nnx.Sequential in nnx.jit, called before its weights are set", "sequential", ALONE),
    "ensemble": Way("by nnx.vmap over cells of other weights", "ensemble"),
    "vmap": Way("of one sequence, by jax.vmap over the batch", "vmapped"),
    "loop": Way("by the cell in a loop of Python", "loop"),
    IN_THREADS: Way("by nnx.jit of one module, which eight threads call at the same time", "in_threads"),
    "jacfwd": Way("for gradients by jax.jacfwd, in forward mode", "layers", View(differentiation="forward")),
    "differentiated twice": Way("for second derivatives, by jax.grad of a sum of gradients", "layers",
                        View(differentiation="twice")),
    "lax.scan": Way("by the cell, taken apart and put together, in jax.lax.scan", "lax_scan"),
    "nnx.scan": Way("by the cell in nnx.scan", "nnx_scan"),
    "linen": Way("by flax.linen.RNN and Bidirectional", "linen_layers"),
    "linen merged": Way("by a linen module whose last layer adds; unrolled; without carries",
                        "linen_merged", SUM),
}  # fmt: skip


def flax_script(case: Case, device: str = "cpu", way: str = "eager") -> str:
    """The script of a case for nnx.RNN or nnx.Bidirectional layers, called one after another, or in a way of WAYS.

    device: named as the adapter's are, here or not; ValueError for another name.  way: "eager", or one of WAYS.
    """
    kind = "Bidirectional" if case.spec.direction == "bidirectional" else "RNN"
    title = f"flax.linen.{kind}" if way.startswith("linen") else f"flax.nnx.{kind}"
    words = {"title": title, "package": "Flax", "device": device, "cells": tuple(CELLS)}
    if way in WAYS:
        imports = f"{THREADS}\n\n{IMPORTS}" if way == IN_THREADS else IMPORTS
        return way_script(case, WAYS[way], FUNCTIONS, imports, **words, module="flax", h_at=1, c_at=0)
    if way != "eager":
        raise NotOffered(f"way {way}: of Flax a script is written of eager, {', '.join(WAYS)}")
    native = {"cell": case.spec.cell, "native_cell": CELLS.get(case.spec.cell), "x64": case.dtype == "float64"}
    return script(case, TEMPLATE, **words, **native)
