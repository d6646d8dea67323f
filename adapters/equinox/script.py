"""Equinox' part of a stand-alone script: cells as their own user calls them. It imports no Equinox here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reference import Case
from reference.judging.view import View

from ..contract import NotOffered
from ..jax.script import Way, way_script

CELLS = {"gru": "GRUCell", "lstm": "LSTMCell"}
FUNCTIONS = Path(__file__).with_name("ways.py")
USUAL = Way("by jax.vmap of a module whose cells are in jax.lax.scan", "vmapped")
WAYS: Mapping[str, Way] = {
    "without x64": Way("with none of JAX's settings touched: jax_enable_x64 is off", "vmapped", bare=True),
    "filter_vmap": Way("by eqx.filter_vmap in eqx.filter_jit", "filter_vmapped"),
    "partition": Way("by jax.jit of what eqx.partition gives and eqx.combine puts together", "partitioned"),
    "final state": Way("for its final state, by a scan without outputs", "final_state", View(output="none")),
    "jacfwd": Way("for gradients by jax.jacfwd, in forward mode", "vmapped", View(differentiation="forward")),
    "differentiated twice": Way(
        "for second derivatives, by jax.grad of a sum of gradients", "vmapped", View(differentiation="twice")
    ),
    "loop": Way("by the cell in a loop of Python", "looped"),
    "jitted step": Way("by the cell in eqx.filter_jit, step by step", "looped_jit"),
    "checkpoint": Way("by the cell in eqx.filter_checkpoint", "checkpointed"),
    "ensemble": Way("by eqx.filter_vmap over models of other weights", "ensemble"),
    "over layers": Way("by a scan over the layers", "over_layers"),
}


def equinox_script(case: Case, device: str = "cpu", way: str = "eager") -> str:
    """The script of a case in run's own way, or in one of WAYS.

    device: named as the adapter's are, here or not; ValueError for another name.  way: "eager", or one of WAYS.
    """
    if way not in ("eager", *WAYS):
        raise NotOffered(f"way {way}: of Equinox a script is written of eager, {', '.join(WAYS)}")
    words = {"title": f"equinox.nn.{CELLS.get(case.spec.cell)}", "package": "Equinox", "device": device}
    words |= {"cells": tuple(CELLS), "module": "eqx", "h_at": 0, "c_at": 1}
    imports = "import equinox as eqx\nimport functools"
    return way_script(case, WAYS.get(way, USUAL), FUNCTIONS, imports, **words)
