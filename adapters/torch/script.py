"""torch's part of a stand-alone script: its layers as their own user writes them. It imports no torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from reference import Case

from ..contract import NotOffered
from ..scripts.script import cell_suffix, script
from ..scripts.source import source

TEMPLATE = Path(__file__).with_suffix(".txt")
SOURCE = Path(__file__).with_name("ways.py")

LAYERS = {"elman": "torch.nn.RNN", "gru": "torch.nn.GRU", "lstm": "torch.nn.LSTM"}
SETTINGS = ("eager", "as it comes", "medium", "mixed")
# idiom -> the function of ways.py by which it calls
CALLED = {
    "cells": "loop_over_cells",
    "sorted": "sorted_by_length",
    "list": "list_of_sequences",
    "in parts": "in_parts",
    "strided": "strided",
    "functional call": "functional_call",
    "assigned": "assigned",
    "computed weights": "computed_weights",
    "vmap": "vmap",
    "dynamic batch": "dynamic_batch",
    "dynamic steps": "dynamic_steps",
    "compiled": "compiled",
}


def torch_script(case: Case, device: str = "cpu", way: str = "eager") -> str:
    """The script of a case for torch's layers on a device, here or not; ValueError for what is no name of one.

    Sequences are packed where there are lengths, but for an empty batch, which torch does not pack; packed sequences
    are batched.  way: "eager", "mixed" (under autocast), or an idiom of torch's.
    """
    if way not in (*SETTINGS, *CALLED):
        raise NotOffered(f"way {way}: of torch a script is written of {', '.join((*SETTINGS, *CALLED))}")
    first = case.layout == "batch_first"
    places = {"axis": 1, "row": "row, :length"} if first else {"axis": 0, "row": ":length, row"}
    exact = device != "cpu" and way not in ("as it comes", "mixed")
    mixed = {"mixed": way == "mixed", "native": "float32" if way == "mixed" else case.dtype}
    layer = LAYERS.get(case.spec.cell, "torch.nn.RNN")
    return script(case, TEMPLATE, layer, "torch", device, cells=tuple(LAYERS), layer=layer, copies=copies(case),
                  exact=exact, medium=way == "medium", **mixed, **_words(case, way), **places)  # fmt: skip


def _words(case: Case, way: str) -> dict[str, Any]:
    """What is true of a way, and its function's text."""
    text = function(SOURCE, CALLED[way]) if way in CALLED else ""
    takes = text.partition(f"def {CALLED[way]}(")[2].partition(")")[0] if text else ""
    ended, some = case.lengths is not None, case.lengths is not None and np.size(case.lengths) > 0
    runs, packs = "runs" in takes, "lengths" in takes
    told = ", None" if packs or runs else ""
    if (ended and packs) or (runs and (ended or case.mask is not None)):
        told = ", lengths" if packs else ", runs"
    by_length = some and not runs
    return {
        "way": text,
        "called": CALLED.get(way, ""),
        "told": f"{', start' if case.h0 is not None else ', None'}{told}",
        **{module: f"{module}." in text for module in ("copy", "io", "prune", "parametrize", "packing")},
        "runs": runs and told == ", runs",
        "masked": case.mask is not None,
        "packed": by_length and not packs,
        "of_one": by_length or packs or told == ", runs",
        "by_length": by_length,
    }


def function(file: Path, name: str) -> str:
    """The text of a function and of all that it uses of its file, without annotations."""
    return source(file, name).replace(": Any", "").replace(" -> Any", "")


def copies(case: Case) -> str:
    """The lines that copy a case's weights into rnn, a torch.nn.RNN."""
    cells = enumerate(case.parameters)
    names = [f"{name}_{cell_suffix(case, index)}" for index, cell in cells for name in cell.arrays()]
    native = [name.replace("w_", "weight_").replace("b_", "bias_") for name in names]
    return "\n".join(f"rnn.{there}.copy_(torch.from_numpy({here}))" for there, here in zip(native, names, strict=True))
