"""Flax's part of a stand-alone script: nnx layers as their own user writes them. It imports no Flax here."""

from __future__ import annotations

from pathlib import Path

from reference import Case

from ..contract import NotOffered
from ..scripts.script import script

TEMPLATE = Path(__file__).with_suffix(".txt")
WAYS = ("eager", "as it comes")


def flax_script(case: Case, device: str = "cpu", way: str = "eager") -> str:
    """The script of a case for nnx.RNN or nnx.Bidirectional layers, called one after another.

    device: named as the adapter's are, here or not; ValueError for another name.  way: one of WAYS.
    """
    if way not in WAYS:
        raise NotOffered(f"way {way}: of Flax a script is written of {', '.join(WAYS)}")
    title = "flax.nnx.Bidirectional" if case.spec.direction == "bidirectional" else "flax.nnx.RNN"
    return script(case, TEMPLATE, title, "Flax", device, default=way == "as it comes")
