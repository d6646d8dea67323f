"""MLX' part of a stand-alone script: layers as their own user writes them. It imports no MLX here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reference import Case

from ..contract import NotOffered
from ..scripts.script import ON_CPU, script
from ..scripts.source import source

TEMPLATE, FUNCTIONS = Path(__file__).with_suffix(".txt"), Path(__file__).with_name("ways.py")
KINDS = {"elman": "RNN", "gru": "GRU", "lstm": "LSTM"}
# whether time comes first -> what is written behind x, and behind the output
MOVES = {first: dict.fromkeys(("to_batch", "from_batch"), ".swapaxes(0, 1)" * first) for first in (True, False)}
# idiom -> which, as the end of "asked ...", and the function of ways.py that asks so
WAYS: Mapping[str, tuple[str, str]] = {
    "as it comes": ("of NumPy's arrays as mx.array takes them", "as_it_is"),
    "step by step": ("one step after another, with the states handed on", "step_by_step"),
    "strided": ("of x, states and weights that are not contiguous", "strided"),
    "vmap": ("of one sequence, by mx.vmap over the batch", "vmapped"),
    "checkpoint": ("by mx.checkpoint around each layer", "checkpointed"),
}


def mlx_script(case: Case, device: str = "cpu", way: str = "eager") -> str:
    """The script of a case in run's own way, or in one of WAYS.  device: "cpu"; ValueError for another name."""
    if way not in ("eager", *WAYS):
        raise NotOffered(f"way {way}: of MLX a script is written of eager, {', '.join(WAYS)}")
    if way in WAYS and case.cotangents is not None:
        raise NotOffered(f"script: gradients, {way}: the adapter writes none of it")
    function, kind = WAYS[way][1] if way in WAYS else "as_it_is", KINDS.get(case.spec.cell, "")
    text = source(FUNCTIONS, "Layers", "directed", "whole", function)
    return script(case, TEMPLATE, f"mlx.nn.{kind}", "MLX", device, ON_CPU, cells=tuple(KINDS), native_kind=kind,
                  function=function, functions=text,
                  **MOVES[case.layout == "time_first"], plain=way == "as it comes")  # fmt: skip
