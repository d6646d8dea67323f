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
    old, time_major = asked.layers == "tf_keras", bool(asked.built.get("time_major"))
    flip = f"tf.reverse(below, [{int(not time_major)}])" if old else "keras.ops.flip(below, axis=1)"
    words = {
        "layer": kind,
        "keras": asked.layers,
        "time_major": time_major,
        "flip": flip,
        "shown": "tf.transpose(below, (1, 0, 2))" if time_major else "below",
        "reset": bool(more),
        "reset_after": more.get("reset_after"),
        "each": len(MAPPING[case.spec.cell].states),
        **arrays_of(case.spec),
        "sizes": ", ".join(sizes),
        "unrolled": "unroll" in asked.built,
        "convert": asked.convert.__name__,
        "ask": asked.ask.__name__,
        "return_state": asked.built.get("return_state", True),
        "output_shown": asked.view.output != "none",
        "h_n_shown": asked.view.states != "none",
        "sources": source(SOURCE, asked.convert.__name__, asked.ask.__name__),
    }
    title = f"{asked.layers}.layers.{kind} in LiteRT"
    package = f"{asked.layers}, tensorflow, ai-edge-litert"
    return script(case, TEMPLATE, title, package, device, ON_CPU, asked.view, cells=tuple(MAPPING), **words)
