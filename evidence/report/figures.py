"""The report's figures: small panels, drawn by matplotlib as SVG that stands inside the page.

No text of the evidence is drawn: names and captions stand in the page around the panels. A figure's colours are
variables of the page, which differ in light and dark.
"""

import io
import math
import re
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from reference.bounds.arithmetic import arithmetic

from ..record.schema import VerdictLine
from ..words import many
from .columns import GROWING, Column, Spread

WHOLE, STEPS = "corpus, whole trajectory", "corpus"  # properties that ask the growing cases
UNITS = {"time": "time steps", "depth": "layers"}
EDGES = np.logspace(-5, 2, 7 * 6 + 1).tolist()  # of the histograms' bars; what lies beyond stands at an end
MARKERS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "X": "✖", "P": "✚", "*": "★", "p": "⬟", "h": "⬢", "<": "◀",
           ">": "▶"}  # matplotlib's, and the legend's  # fmt: skip
# what is drawn in these colours takes the value of the page's variable
INK, QUIET, GRID, BAND, BAD, *TARGETS = COLOURS = [f"#0102{number:02x}" for number in range(11)]
VARIABLES = ("ink", "quiet", "rule", "band", "bad", *(f"target-{number}" for number in range(1, 7)))
STYLE: dict[Any, Any] = {"svg.fonttype": "none", "text.parse_math": False, "font.size": 11.0, "path.simplify": False}


class Panel(NamedTuple):
    """A drawing, its heading, and what one sees in it, in words."""

    heading: str
    says: str
    svg: str | None = None


def style(index: int) -> tuple[int, str]:
    """A target's colour, by its number, and its marker, by which twelve are told apart without any colour."""
    return index % len(TARGETS), list(MARKERS)[(index + index // len(MARKERS)) % len(MARKERS)]


def legend(found: list[Column]) -> list[tuple[int, str, str]]:
    """For each target the number of its colour in the page, its marker and its name."""
    styles = (style(index) for index in range(len(found)))
    return [(colour + 1, MARKERS[marker], column.name) for column, (colour, marker) in zip(found, styles, strict=True)]


def fraction_panels(found: list[Column]) -> list[tuple[Column, list[Panel]]]:
    """For each target a panel for each bound that judged it, all with the same axis."""
    rows = [
        (column, [_fractions(index, *item) for item in column.spreads.items()]) for index, column in enumerate(found)
    ]
    return [(column, panels) for column, panels in rows if panels]


def _fractions(index: int, bound: str, some: Spread) -> Panel:
    """How many answers had which error, as a fraction of the bound."""
    counted = {
        "outside the bound": sum(value > 1 for value in some.values),
        "without any error, not drawn": some.exact,
        "whose error is not finite, not drawn": some.strange,
    }
    spread = [f"largest {some.largest} of the bound, median {some.median}"] if some.values else []
    parts = [many(some.answers, "answer"), *spread, *(f"{count:,} {what}" for what, count in counted.items() if count)]
    heading, says = f"{bound} bound", "; ".join(parts) + "."
    if not some.values:
        return Panel(heading, says)
    figure, axes = _empty(360, 128)
    values = np.clip(some.values, EDGES[0], math.nextafter(EDGES[-1], 0))
    values = np.where(values == 1, math.nextafter(1, 0), values)  # 1 itself is within
    axes.axvspan(1, EDGES[-1], color=BAND, linewidth=0, zorder=0)
    for drawn, colour in ((values, TARGETS[style(index)[0]]), (values[values > 1], BAD)):
        if drawn.size:
            axes.hist(drawn, EDGES, color=colour, histtype="stepfilled", log=True)
    axes.axvline(1, color=INK, linewidth=1.4)
    axes.annotate("bound", (1, 1), (4, -2), ("data", "axes fraction"), "offset points", va="top", color=INK)
    axes.set(xscale="log", xlim=(EDGES[0], EDGES[-1]), ylim=(0.5, None), xlabel="largest error / bound")
    return Panel(heading, says, _svg(figure, f"fractions {index} {bound}"))


def growth_panels(found: list[Column], tested: str) -> list[Panel]:
    """How the error grows: a panel for each growing size and dtype, with a line for each target."""
    panels: dict[tuple[str, str], list[tuple[int, VerdictLine]]] = {}
    for index, column in enumerate(found):
        for line in column.growing:
            if line.property == tested:
                of = str(line.corpus).split()[1], str(line.features.get("dtype"))
                panels.setdefault(of, []).append((index, line))
    in_order = sorted(panels.items(), key=lambda panel: list(GROWING).index(panel[0][0]))
    return [_growth(*of, asked, f"growth {tested} {of}") for of, asked in in_order]


def _growth(grows: str, dtype: str, asked: list[tuple[int, VerdictLine]], salt: str) -> Panel:
    """errors: target -> size -> largest error.  reach: size -> bounds at the worst elements.  Both in units of u."""
    errors: dict[int, dict[int, float]] = {}
    reach: dict[int, list[float]] = {}
    roundoff, strange = _unit_roundoff(dtype), 0
    for index, line in asked:
        said, size = line.verdict, getattr(line.sizes, GROWING[grows])
        if said is None or line.outcome == "vacuous" or not 0 <= said.max_error / roundoff < math.inf:
            strange += 1
            continue
        of = errors.setdefault(index, {})
        of[size] = max(said.max_error / roundoff, of.get(size, 0.0))
        if said.worst is not None and 0 < said.worst.bound / roundoff < math.inf:
            reach.setdefault(size, []).append(said.worst.bound / roundoff)
    what = UNITS[grows]
    heading = f"{dtype}: error against {what}"
    if not errors:
        return Panel(heading, f"No finite error among {many(strange, 'answer')}.")
    low, high = min(map(min, errors.values())), max(map(max, errors.values()))
    first, last = (max(of[size] for of in errors.values() if size in of) for size in (low, high))
    says = [f"From {low} to {high} {what} the largest error of any target goes from {first:.3g} u to {last:.3g} u"]
    if reach:
        every = [bound for bounds in reach.values() for bound in bounds]
        says.append(f"the bounds at the worst elements lie between {min(every):.3g} u and {max(every):.3g} u")
    if strange:
        says.append(f"{many(strange, 'answer')} vacuous or not finite, not drawn")
    return Panel(heading, "; ".join(says) + ".", _lines(errors, reach, what, salt))


def _lines(errors: dict[int, dict[int, float]], reach: dict[int, list[float]], what: str, salt: str) -> str:
    figure, axes = _empty(400, 235, top=24)
    shaded = "; shaded: the bound at the worst elements" if reach else ""
    axes.annotate(f"error / u{shaded}", (0, 1), (0, 8), "axes fraction", "offset points", color=QUIET)
    axes.set(yscale="log", xscale="log" if what == "time steps" else "linear", xlabel=what)
    sizes, bounds = sorted(reach), [reach[size] for size in sorted(reach)]
    axes.fill_between(sizes, [*map(min, bounds)], [*map(max, bounds)], color=BAND, linewidth=0)
    for index, of in errors.items():
        colour, marker = style(index)
        drawn = np.array([point for point in sorted(of.items()) if min(point) > 0]).reshape(-1, 2)
        axes.plot(*drawn.T, color=TARGETS[colour], linewidth=1.4, marker=marker, markersize=4.5)
    short = np.diff(np.log10(axes.get_ylim())) < 3  # decades: with so few, more numbers stand on the axis
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if short else (1,)))
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    return _svg(figure, salt)


def _unit_roundoff(dtype: str) -> float:
    """u of a dtype; NaN where it is not known."""
    try:
        return arithmetic(dtype).unit_roundoff
    except (KeyError, ValueError):
        return math.nan


def _empty(width: float, height: float, top: float = 10) -> tuple[Figure, Axes]:
    """An empty figure in CSS pixels, with one pair of quiet axes; top: room above them."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="none")
    axes = figure.add_axes((42 / width, 42 / height, 1 - 54 / width, 1 - (42 + top) / height), facecolor="none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(which="both", colors=QUIET, labelcolor=QUIET, length=3, width=0.8)
    axes.xaxis.label.set_color(QUIET)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Figure, salt: str) -> str:
    """The figure's drawing alone, with plain numbers on its axes; salt: keeps its ids apart from other figures'."""
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        axis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:g}"))
        axis.set_minor_formatter(NullFormatter())
        axis.set_minor_locator(NullLocator())
    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", transparent=True)
    text = re.sub(r"^.*?(?=<svg)|<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"| version="1.1"| (width|height)="[\d.]+pt"', "", text)
    for colour, name in zip(COLOURS, VARIABLES, strict=True):
        text = text.replace(colour, f"var(--{name})")
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))  # the other ids are the same in every figure
    text = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", text)
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1).strip()
