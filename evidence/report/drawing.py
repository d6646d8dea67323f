"""Matplotlib figures as SVG that stands inside a page: its colours are the page's, its letters the page's font."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# what is drawn in these colours takes the value of the page's variable, which differs in light and dark
INK, QUIET, GRID, BAND, BAD = "#010201", "#010202", "#010203", "#010204", "#010205"
TARGETS = ("#010301", "#010302", "#010303", "#010304", "#010305", "#010306")
VARIABLES = {INK: "ink", QUIET: "quiet", GRID: "rule", BAND: "band", BAD: "bad"} | {
    colour: f"target-{number}" for number, colour in enumerate(TARGETS, 1)
}
STYLE: dict[Any, Any] = {"svg.fonttype": "none", "text.parse_math": False, "font.size": 11.0, "path.simplify": False}


def new(width: float, height: float, top: float = 10) -> tuple[Figure, Axes]:
    """An empty figure in CSS pixels, with one pair of quiet axes; top: room above them."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="none")
    axes = figure.add_axes((42 / width, 42 / height, 1 - 54 / width, 1 - (42 + top) / height), facecolor="none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    axes.tick_params(which="both", colors=QUIET, labelcolor=QUIET, length=3, width=0.8)
    axes.tick_params(which="minor", length=0)
    axes.set_axisbelow(True)
    return figure, axes


def svg(figure: Figure, salt: str) -> str:
    """The figure's drawing alone; salt: keeps its ids apart from those of the page's other figures."""
    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", transparent=True)
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"| version="1.1"', "", text)
    for colour, name in VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    return _without_idle_ids(text).replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1).strip()


def _without_idle_ids(text: str) -> str:
    """Only the ids that something refers to: the others are the same in every figure."""
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    return re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", text)
