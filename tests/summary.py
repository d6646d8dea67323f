"""The count at the end of a run: a table of cells, what is unsupported and why, and what is missing."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import product

from rich.console import Console
from rich.table import Table

from adapters import FEATURES, Availability
from adapters.trial import OUTCOMES
from evidence.ledger import CELL, Ledger

from .target import Target


def missing_cells(targets: Sequence[Target], ledger: Ledger) -> list[str]:
    """Cells and features that an adapter declares supported and that got no case that agrees."""
    missing = []
    for target in targets:
        supported = target.adapter.capabilities.supported
        if not all(supported(name) for name in FEATURES):
            missing.append(f"{target.label}: some feature has no supported value, so nothing can be judged")
        missing += [
            f"{target.label}: {', '.join(cell)}"
            for cell in product(*(supported(name) for name in CELL))
            if not ledger.cell_cases(target.label, cell, "agrees")
        ]
        missing += [
            f"{target.label}: {name} {value}"
            for name in FEATURES
            for value in supported(name)
            if not ledger.cases(target.label, name, value, "agrees")
        ]
    return missing


def render(targets: Sequence[Target], found: Sequence[Availability], ledger: Ledger) -> str:
    """All tables as text."""
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    console.print(_outcomes(targets, found, ledger))
    for target in targets:
        console.print(_cells(target, ledger))
    console.print(_features(targets, ledger))
    if ledger.figures:
        console.print(_figures(ledger))
    for adapter in found:
        if not adapter.installed:
            console.print(f"{adapter.name} is absent: {adapter.problem}", highlight=False, soft_wrap=True)
    for target in targets:
        for several, reason in target.adapter.capabilities.together.items():
            what = " with ".join(f"{name} {value}" for name, value in several)
            console.print(f"{target.label}: {what} is unsupported: {reason}", highlight=False, soft_wrap=True)
        for kind in ("unsupported", "emulated"):
            for (name, value), reason in getattr(target.adapter.capabilities, kind).items():
                console.print(f"{target.label}: {name} {value} is {kind}: {reason}", highlight=False, soft_wrap=True)
    return console.file.getvalue()  # type: ignore[attr-defined]


def _outcomes(targets: Sequence[Target], found: Sequence[Availability], ledger: Ledger) -> Table:
    table = Table("target", "version", *OUTCOMES, "absent", title="What came of the cases")
    for target in targets:
        outcomes = ledger.outcomes(target.label)
        table.add_row(target.label, target.adapter.version, *(str(outcomes[outcome]) for outcome in OUTCOMES), "")
    for adapter in found:
        if not adapter.installed:
            table.add_row(adapter.name, adapter.version or "", *[""] * len(OUTCOMES), "absent")
    return table


def _cells(target: Target, ledger: Ledger) -> Table:
    """One target: rows are direction and layout, columns dtypes, with a count for each nonlinearity."""
    columns = (f"{dtype}\n{' / '.join(FEATURES['nonlinearity'])}" for dtype in FEATURES["dtype"])
    table = Table("direction", "layout", *columns, title=f"Cases: {target.label}")
    for direction, layout in product(FEATURES["direction"], FEATURES["layout"]):
        counts = (
            " / ".join(_count(target, ledger, (direction, layout, phi, dtype)) for phi in FEATURES["nonlinearity"])
            for dtype in FEATURES["dtype"]
        )
        table.add_row(direction, layout, *counts)
    return table


def _count(target: Target, ledger: Ledger, cell: tuple[str, ...]) -> str:
    """A cell's cases; a dash where the adapter declares one of its features unsupported."""
    declared = all(_supports(target, name, value) for name, value in zip(CELL, cell, strict=True))
    return str(ledger.cell_cases(target.label, cell)) if declared else "-"


def _figures(ledger: Ledger) -> Table:
    """The largest figures of this run, a row for each figure, a column for whatever it was measured of."""
    columns = sorted({of for of, _ in ledger.figures})
    table = Table("largest", *columns, title="Figures")
    for name in sorted({name for _, name in ledger.figures}):
        values = (ledger.figures.get((of, name)) for of in columns)
        table.add_row(name, *("" if value is None else f"{value:.3g}" for value in values))
    return table


def _supports(target: Target, name: str, value: object) -> bool:
    return (name, value) not in target.adapter.capabilities.unsupported


def _features(targets: Sequence[Target], ledger: Ledger) -> Table:
    """All targets: rows are the values of each feature."""
    table = Table("feature", "value", *(target.label for target in targets), title="Cases by feature")
    for name, values in FEATURES.items():
        for value in values:
            counts = [
                str(ledger.cases(target.label, name, value)) if _supports(target, name, value) else "unsupported"
                for target in targets
            ]
            table.add_row(name, str(value), *counts)
    return table
