"""The numbers of the figures: errors as fractions of their bounds, and errors as time steps or layers are added."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from reference.bounds.arithmetic import arithmetic

from ..record.schema import VerdictLine
from .columns import GROWING, Column

WHOLE, STEPS = "corpus, whole trajectory", "corpus"  # properties that ask the growing cases


def margins(found: list[Column]) -> list[tuple[Column, list[tuple[str, tuple[str, ...]]]]]:
    """For each target and bound: answers; largest and median fraction; without error; not finite. As text."""
    return [(column, [(bound, some.row) for bound, some in column.fractions.items()]) for column in found]


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
    for line in column.growing:
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
