"""What each column says of each capability: one state, with its count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import product

from ..record.ledger import CELL
from ..record.reader import Evidence
from ..record.schema import Absent
from ..words import value
from .columns import Asked, Column

SIGNS = {
    "agree": "✓",
    "disagree": "✗",
    "vacuous": "≈",
    "refused": "!",
    "unsupported": "—",
    "absent": "∅",
    "not asked": "·",
}
LEGEND = {
    "agree": "so many cases agree with the reference; the others are vacuous, or refused as declared",
    "disagree": "some case disagrees, or crashes",
    "vacuous": "cases were judged, and the bound was too wide for each",
    "refused": "refused without being declared unsupported",
    "unsupported": "declared unsupported, and refused when asked",
    "absent": "the framework could not be loaded",
    "not asked": "no case asked for it",
}


@dataclass(frozen=True)
class Cell:
    """A state of SIGNS, how many cases are of it, how dark to paint it (0 to 4), and a sentence on all of them."""

    state: str
    count: str
    shade: int
    title: str

    @property
    def sign(self) -> str:
        return SIGNS[self.state]

    @property
    def css(self) -> str:
        return self.state.replace(" ", "-")


@dataclass(frozen=True)
class Rows:
    """The values of one feature: (value, a cell for each column)."""

    feature: str
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def cell(outcomes: Counter[str], declared: str) -> Cell:
    """The state of cases with these outcomes.  declared: why they are unsupported, where they are."""
    cases = outcomes.total()
    state = _state(outcomes, declared)
    wrong = outcomes["disagrees"] + outcomes["crashed"]
    count = {
        "disagree": f"{wrong:,} of {cases:,}",
        "refused": f"{outcomes['undeclared']:,} of {cases:,} refused",
        "unsupported": "unsupported",
        "not asked": "not asked",
        "agree": f"{outcomes['agrees']:,}",
    }.get(state, f"{cases:,}")
    parts = [f"{count:,} {'refused undeclared' if word == 'undeclared' else word}" for word, count in outcomes.items()]
    title = "; ".join([", ".join(sorted(parts)) or LEGEND["not asked"], *([declared] if declared else [])])
    return Cell(state, count, min(4, len(str(outcomes["agrees"]))) if state == "agree" else 0, title)


def _state(outcomes: Counter[str], declared: str) -> str:
    if outcomes["disagrees"] or outcomes["crashed"]:
        return "disagree"
    if outcomes["undeclared"]:
        return "refused"
    if outcomes["agrees"]:
        return "agree"
    if outcomes["vacuous"]:
        return "vacuous"
    return "unsupported" if declared or outcomes["refused"] else "not asked"


def heat_map(evidence: Evidence, found: list[Column], gone: list[Absent]) -> list[Rows]:
    """Rows: every feature's values, of all runs.  Columns: the targets, then the absent adapters."""
    features: dict[str, dict[str | bool, None]] = {}
    for run in evidence.runs:
        for name, values in run.header.features.items():
            features.setdefault(name, {}).update(dict.fromkeys(values))
    absent = tuple(Cell("absent", "absent", 0, f"{line.name}: {line.problem}") for line in gone)
    return [
        Rows(name, tuple((value(of), (*(_of(c, ((name, of),)) for c in found), *absent)) for of in values))
        for name, values in features.items()
    ]


@dataclass(frozen=True)
class Grid:
    """One target's cells: a row for each direction and layout, a column for each dtype and nonlinearity."""

    column: Column
    dtypes: tuple[str, ...]
    nonlinearities: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]


def grids(found: list[Column]) -> list[Grid]:
    """Each target's full grid, where its run's header names all that makes a cell."""
    return [_grid(column) for column in found if all(column.run.header.features.get(name) for name in CELL)]


def _grid(column: Column) -> Grid:
    features = column.run.header.features
    across = tuple(product(features["dtype"], features["nonlinearity"]))
    rows = tuple(
        (value(direction), value(layout), tuple(_of(column, _key(direction, layout, *of)) for of in across))
        for direction, layout in product(features["direction"], features["layout"])
    )
    dtypes, nonlinearities = (tuple(value(of) for of in features[name]) for name in ("dtype", "nonlinearity"))
    return Grid(column, dtypes, nonlinearities, rows)


def _key(direction: str | bool, layout: str | bool, dtype: str | bool, nonlinearity: str | bool) -> Asked:
    values = {"direction": direction, "layout": layout, "nonlinearity": nonlinearity, "dtype": dtype}
    return tuple((name, values[name]) for name in CELL)


def _of(column: Column, key: Asked) -> Cell:
    return cell(column.asked.get(key, Counter()), column.unsupported(key))
