"""The numbers of the figures: errors as fractions of their bounds, and errors as time steps or layers are added."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from reference.bounds.arithmetic import arithmetic

from ..schema import VerdictLine
from ..words import figure
from .columns import Column

WHOLE, STEPS = "corpus, whole trajectory", "corpus"  # properties that ask the growing cases
GROWING = {"time": "time", "depth": "num_layers"}  # second word of a corpus case's name -> the size that grows


@dataclass
class Fractions:
    """Largest error / bound of each judged answer of one target under one bound.

    values: those above 0 and finite.  exact: answers without any error.  strange: answers of which it is no number.
    """

    values: list[float] = field(default_factory=list)
    exact: int = 0
    strange: int = 0

    def add(self, fraction: float) -> None:
        if not math.isfinite(fraction) or fraction < 0:
            self.strange += 1
        elif fraction == 0:
            self.exact += 1
        else:
            self.values.append(fraction)

    @property
    def answers(self) -> int:
        return len(self.values) + self.exact + self.strange

    @property
    def row(self) -> tuple[str, ...]:
        """Answers, largest and median fraction, answers without error, and those of which it is no number."""
        shown = (figure(max(self.values)), figure(median(self.values))) if self.values else ("none", "none")
        return f"{self.answers:,}", *shown, f"{self.exact:,}", f"{self.strange:,}"


def fractions(column: Column) -> dict[str, Fractions]:
    """Bound -> the fractions of a target's answers. A vacuous answer has none."""
    found: dict[str, Fractions] = {}
    for line in column.verdicts:
        said = line.verdict
        if said is not None and said.bound and line.outcome in ("agrees", "disagrees"):
            found.setdefault(said.bound, Fractions()).add(said.max_fraction)
    return found


def margins(found: list[Column]) -> list[tuple[Column, list[tuple[str, tuple[str, ...]]]]]:
    """For each target and bound: answers; largest and median fraction; without error; not finite. As text."""
    return [(column, [(bound, some.row) for bound, some in fractions(column).items()]) for column in found]


@dataclass
class Growth:
    """One panel: how errors grow in one dtype, in units of its u.

    errors: for each column, size -> largest error.  reach: size -> what the bound allowed at the worst elements.
    strange: answers that have no finite error, or whose bound says nothing.
    """

    grows: str
    tested: str
    dtype: str
    errors: list[dict[int, float]]
    reach: dict[int, list[float]] = field(default_factory=dict)
    strange: int = 0

    @property
    def empty(self) -> bool:
        return not any(self.errors)


def growths(found: list[Column], tested: str) -> list[Growth]:
    """A panel for each growing size and dtype of the corpus that a property asked for."""
    panels: dict[tuple[str, str], Growth] = {}
    for index, column in enumerate(found):
        for line, grows, dtype in _growing(column, tested):
            panel = panels.setdefault((grows, dtype), Growth(grows, tested, dtype, [{} for _ in found]))
            _add(panel, index, line)
    return sorted(panels.values(), key=lambda panel: list(GROWING).index(panel.grows))


def _growing(column: Column, tested: str) -> Iterator[tuple[VerdictLine, str, str]]:
    """The lines of growing cases: with what grows, and their dtype."""
    for line in column.verdicts:
        words = (line.corpus or "").split()
        dtype = line.features.get("dtype")
        if line.property == tested and len(words) > 1 and words[1] in GROWING and isinstance(dtype, str):
            yield line, words[1], dtype


def _add(panel: Growth, index: int, line: VerdictLine) -> None:
    said, roundoff = line.verdict, unit_roundoff(panel.dtype)
    error = math.nan if said is None or roundoff is None or line.outcome == "vacuous" else said.max_error / roundoff
    if said is None or roundoff is None or not math.isfinite(error) or error < 0:
        panel.strange += 1
        return
    size = getattr(line.sizes, GROWING[panel.grows])
    panel.errors[index][size] = max(error, panel.errors[index].get(size, 0.0))
    bound = math.nan if said.worst is None else said.worst.bound / roundoff
    if math.isfinite(bound) and bound > 0:
        panel.reach.setdefault(size, []).append(bound)


def unit_roundoff(dtype: str) -> float | None:
    """u of a dtype; None where it is not known."""
    try:
        return arithmetic(dtype).unit_roundoff
    except (KeyError, ValueError):
        return None
