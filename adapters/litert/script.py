"""LiteRT's part of a stand-alone script: Keras layers, converted and run. It imports no framework here."""

from __future__ import annotations

from pathlib import Path

from reference import Case

from ..contract import NotOffered
from ..keras.mapping import KINDS, MAPPING
from ..keras.script import arrays_of
from ..scripts.script import ON_CPU, script
from ..scripts.source import source
from .idioms import RUN, WAYS

TEMPLATE = Path(__file__).with_suffix(".txt")
SOURCE = Path(__file__).with_name("ways.py")


def litert_script(case: Case, device: str = "cpu", way: str = "eager") -> str:
    """The script of a case.  way: "eager", or one of WAYS; NotOffered for another."""
    if way not in ("eager", *WAYS):
        raise NotOffered(f"way: got {way!r}, expected {', '.join(('eager', *WAYS))}")
    asked, (kind, more) = WAYS.get(way, RUN), KINDS[case.spec.cell]
    sizes = ["None" if axis in asked.any_size else f'feeds["x"].shape[{n}]' for n, axis in enumerate(("batch", "time"))]
    words = {
        "layer": kind,
        "reset": bool(more),
        "reset_after": more.get("reset_after"),
        "each": len(MAPPING[case.spec.cell].states),
        **arrays_of(case.spec),
        "sizes": ", ".join(sizes),
        "unrolled": "unroll" in asked.built,
        "convert": asked.convert.__name__,
        "ask": asked.ask.__name__,
        "output_shown": asked.view.output != "none",
        "h_n_shown": asked.view.states != "none",
        "sources": source(SOURCE, asked.convert.__name__, asked.ask.__name__),
    }
    title = f"keras.layers.{kind} in LiteRT"
    package = "keras, tensorflow, ai-edge-litert"
    return script(case, TEMPLATE, title, package, device, ON_CPU, asked.view, cells=tuple(MAPPING), **words)
