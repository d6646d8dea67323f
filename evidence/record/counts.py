"""What the lines of a run add up to."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

from .ledger import CELL, Ledger
from .lines import Line


def ledger_of(verdicts: Iterable[Line]) -> Ledger:
    """The ledger of verdict lines: a relation fills no cell."""
    ledger = Ledger()
    for line in verdicts:
        add(ledger, line)
    return ledger


def add(ledger: Ledger, line: Line) -> None:
    """Count a verdict line."""
    if line["relation"]:
        ledger.record_relation(line["target"], line["property"], line["outcome"])
    else:
        ledger.record(line["target"], line["property"], line["features"], line["outcome"])


def outcomes(ledger: Ledger, header: Line) -> dict[str, dict[str, int]]:
    """Target -> outcome -> cases and relations."""
    return {target["label"]: dict(sorted(ledger.outcomes(target["label"]).items())) for target in header["targets"]}


def cells(ledger: Ledger, header: Line) -> list[Line]:
    """Every cell of every target: cases by outcome, and why it is unsupported, where it is."""
    came = ledger.by_cell()
    return [
        {
            "target": target["label"],
            "cell": list(cell),
            "unsupported": _reasons(target, cell),
            "outcomes": dict(sorted(came[target["label"], *map(str, cell)].items())),
        }
        for target in header["targets"]
        for cell in product(*(header["features"][name] for name in CELL))
    ]


def _reasons(target: Line, cell: tuple[Any, ...]) -> str:
    asked = dict(zip(CELL, cell, strict=True))
    return "; ".join(
        f"{', '.join(f'{name} {value}' for name, value in declared['features'].items())}: {declared['reason']}"
        for declared in target["unsupported"]
        if declared["features"].items() <= asked.items()
    )
