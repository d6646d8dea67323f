"""Flax's part of a stand-alone script: nnx layers as their own user writes them. It imports no Flax here."""

from __future__ import annotations

from pathlib import Path

from reference import Case

from ..scripts.script import script

TEMPLATE = Path(__file__).with_suffix(".txt")


def flax_script(case: Case, device: str = "cpu") -> str:
    """The script of a case for nnx.RNN or nnx.Bidirectional layers, called one after another.

    device: named as the adapter's are, here or not; ValueError for another name.
    """
    title = "flax.nnx.Bidirectional" if case.spec.direction == "bidirectional" else "flax.nnx.RNN"
    return script(case, TEMPLATE, title, "Flax", device)
