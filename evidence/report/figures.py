"""The report's figures: small panels that share an axis, so that they can be laid out for any width.

No text of the evidence is drawn: names and captions stand in the page around the panels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from ..words import figure as digits
from ..words import many
from . import drawing
from .columns import GROWING, Column, Fractions
from .series import STEPS, Growth, growths

LOWEST, HIGHEST = -5, 6  # decades that an axis of fractions may reach; what lies beyond stands at its end
BINS_PER_DECADE = 6
DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (10, 3)), (0, (1, 1)))
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MARKERS = ("o", "s", "^", "D", "v", "X")


@dataclass(frozen=True)
class Panel:
    """A drawing, its heading, and what one sees in it, in words."""

    heading: str
    says: str
    svg: str | None


def style(index: int) -> tuple[str, str | tuple[float, tuple[float, ...]], str]:
    """A target's colour, line and marker; with more targets than colours the markers still differ."""
    count = len(drawing.TARGETS)
    return (
        drawing.TARGETS[index % count],
        DASHES[(index + index // count) % count],
        MARKERS[(index + index // count) % count],
    )


# fractions of the bound ------------------------------------------------------------------------------------------


def fraction_rows(found: list[Column]) -> list[tuple[Column, list[Panel]]]:
    """For each target a panel for each bound that judged it, all with the same axis."""
    of = [column.fractions for column in found]
    every = [value for bounds in of for some in bounds.values() for value in some.values]
    low, high = _decades(every)
    names = list(dict.fromkeys(name for name in ("step", "trajectory") for bounds in of if name in bounds))
    names += sorted({name for bounds in of for name in bounds} - set(names))
    return [
        (column, [_fraction_panel(index, name, bounds[name], low, high) for name in names if name in bounds])
        for index, (column, bounds) in enumerate(zip(found, of, strict=True))
    ]


def _decades(values: list[float]) -> tuple[int, int]:
    """The axis' ends as powers of ten: around all values, and around the bound at 1."""
    low = min([-2, *(math.floor(math.log10(value)) for value in values)])
    high = max([1, *(math.ceil(math.log10(value)) for value in values)])
    return max(low, LOWEST), min(high, HIGHEST)


def _fraction_panel(index: int, name: str, some: Fractions, low: int, high: int) -> Panel:
    parts = [many(some.answers, "answer")]
    if some.values:
        parts.append(f"largest {digits(max(some.values))} of the bound, median {digits(median(some.values))}")
    if outside := sum(value > 1 for value in some.values):
        parts.append(f"{outside:,} outside the bound")
    if some.exact:
        parts.append(f"{some.exact:,} without any error, not drawn")
    if some.strange:
        parts.append(f"{some.strange:,} whose error is not finite, not drawn")
    drawn = _histogram(index, some.values, low, high, f"fractions {index} {name}") if some.values else None
    return Panel(f"{name} bound", "; ".join(parts) + ".", drawn)


def _histogram(index: int, values: list[float], low: int, high: int, salt: str) -> str:
    figure, axes = drawing.new(360, 128)
    colour, _, _ = style(index)
    edges = np.logspace(low, high, (high - low) * BINS_PER_DECADE + 1)
    within = [min(value, math.nextafter(1, 0)) if value <= 1 else value for value in values]  # 1 itself is within
    inside = np.clip(within, edges[0], np.nextafter(edges[-1], 0))
    counts, _ = np.histogram(inside, edges)
    axes.set_xscale("log")
    heights = np.where(counts, np.maximum(counts, counts.max() / 20), 0)  # one answer alone can be seen too
    axes.axvspan(1, edges[-1], color=drawing.BAND, linewidth=0, zorder=0)
    axes.stairs(heights, edges, fill=True, color=colour, alpha=0.3, linewidth=0)
    axes.stairs(heights, edges, color=colour, linewidth=1.4)
    outside = edges[:-1] >= 1
    if counts[outside].any():
        axes.stairs(heights[outside], edges[-1 - outside.sum() :], fill=True, color=drawing.BAD, linewidth=0)
    axes.axvline(1, color=drawing.INK, linewidth=1.4)
    axes.annotate("bound", (1, 1), (-4, -2), ("data", "axes fraction"), "offset points",
                  ha="right", va="top", color=drawing.INK, fontsize=11)  # fmt: skip
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, counts.max() * 1.35)
    axes.set_yticks([0, int(counts.max())])
    every = max(1, math.ceil((high - low) / 6))
    axes.xaxis.set_major_locator(FixedLocator([10.0**power for power in range(low, high + 1) if power % every == 0]))
    _plain_logarithms(axes)
    axes.set_xlabel("largest error / bound", color=drawing.QUIET, fontsize=11)
    return drawing.svg(figure, salt)


def _plain_logarithms(axes: Axes) -> None:
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: tick(at)))
    axes.xaxis.set_minor_locator(NullLocator())


def tick(at: float) -> str:
    """A number on an axis; a power of ten where it would be long."""
    if at > 0 and not 1e-3 <= at < 1e5 and math.log10(at).is_integer():
        return "10" + f"{math.log10(at):.0f}".translate(RAISED)
    return f"{at:g}"


# growth with time and depth --------------------------------------------------------------------------------------


def growth_panels(found: list[Column], tested: str) -> list[Panel]:
    """How the error grows: a panel for each growing size and dtype, with a line for each target."""
    return [_growth_panel(panel) for panel in growths(found, tested)]


def _growth_panel(panel: Growth) -> Panel:
    what = "time steps" if GROWING[panel.grows] == "time" else "layers"
    heading = f"{panel.dtype}: error against {what}"
    if panel.empty:
        return Panel(heading, f"No finite error among {many(panel.strange, 'answer')}.", None)
    sizes = sorted({size for errors in panel.errors for size in errors})
    says = [f"From {sizes[0]} to {sizes[-1]} {what} the largest error of any target goes from "
            f"{digits(_largest(panel, sizes[0]))} u to {digits(_largest(panel, sizes[-1]))} u"]  # fmt: skip
    if panel.reach:
        reach = [bound for bounds in panel.reach.values() for bound in bounds]
        says.append(f"the bounds at the worst elements lie between {digits(min(reach))} u and {digits(max(reach))} u")
    if panel.strange:
        says.append(f"{many(panel.strange, 'answer')} vacuous or not finite, not drawn")
    salt = f"growth {panel.tested == STEPS} {panel.grows} {panel.dtype}"
    return Panel(heading, "; ".join(says) + ".", _lines(panel, sizes, what, salt))


def _largest(panel: Growth, size: int) -> float:
    return max(errors[size] for errors in panel.errors if size in errors)


def _lines(panel: Growth, sizes: list[int], what: str, salt: str) -> str:
    figure, axes = drawing.new(400, 235, top=24)
    axes.set_yscale("log")
    if what == "time steps" and sizes[0] > 0:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    reached = sorted(panel.reach)
    lowest, highest = [min(panel.reach[size]) for size in reached], [max(panel.reach[size]) for size in reached]
    axes.fill_between(reached, lowest, highest, color=drawing.BAND, linewidth=0)
    axes.plot(reached, lowest, color=drawing.QUIET, linewidth=1, linestyle=(0, (2, 2)))
    axes.plot(reached, highest, color=drawing.QUIET, linewidth=1, linestyle=(0, (2, 2)))
    for index, errors in enumerate(panel.errors):
        colour, dashes, marker = style(index)
        drawn = [(size, error) for size, error in sorted(errors.items()) if error > 0]
        axes.plot([size for size, _ in drawn], [error for _, error in drawn], color=colour, linestyle=dashes,
                  linewidth=1.4, marker=marker, markersize=4.5)  # fmt: skip
    axes.xaxis.set_major_locator(FixedLocator(sizes if len(sizes) < 12 else sizes[:: len(sizes) // 10]))
    _plain_logarithms(axes)
    _errors_axis(axes, bool(reached))
    axes.set_xlabel(what, color=drawing.QUIET, fontsize=11)
    return drawing.svg(figure, salt)


def _errors_axis(axes: Axes, band: bool) -> None:
    """A logarithmic axis, with more numbers on it where it is short; above it what the band is."""
    decades = float(np.diff(np.log10(axes.get_ylim()))[0])
    words = "error / u; shaded: the bound at the worst elements" if band else "error / u"
    axes.annotate(words, (0, 1), (0, 8), "axes fraction", "offset points", color=drawing.QUIET, fontsize=11)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: tick(at)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color=drawing.GRID, linewidth=0.7)


def key(index: int) -> str:
    """A target's line and marker, for the legend."""
    colour, dashes, marker = style(index)
    figure = drawing.Figure(figsize=(34 / 72, 14 / 72), dpi=72, facecolor="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.plot([0, 1, 2], [0, 0, 0], color=colour, linestyle=dashes, linewidth=1.8, marker=marker, markevery=[1],
              markersize=6)  # fmt: skip
    return drawing.svg(figure, f"key {index}")
