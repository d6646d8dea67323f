"""The matrix of a report: which idioms of a framework were asked of which target, and what came of each."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from .columns import OUTCOMES, Column, Entry, state_of


class IdiomRow(NamedTuple):
    """An idiom of a framework: its word, what it is and shows, and its entries."""

    word: str
    says: str
    view: str
    entries: list[Entry]


def tables(found: list[Column]) -> list[tuple[str, list[Column], list[IdiomRow]]]:
    """For each framework that declares idioms, or was asked in some: its name, its targets, and a row for each."""
    made: list[tuple[str, list[Column], list[IdiomRow]]] = []
    for adapter in dict.fromkeys(column.target.adapter for column in found):
        of = [column for column in found if column.target.adapter == adapter]
        words = dict.fromkeys(word for one in of for word in (*(i.word for i in one.target.idioms), *one.idioms))
        if words:
            made.append((adapter, of, [_row(word, of) for word in words]))
    return made


def _row(word: str, of: list[Column]) -> IdiomRow:
    said = next((idiom for column in of if (idiom := column.idiom(word))), None)
    told = (said.says, said.called) if said else ("not declared", "not known")
    return IdiomRow(word, *told, [_entry(column, word) for column in of])


def _entry(column: Column, word: str) -> Entry:
    """The state of an idiom, and the counts of all outcomes of its cases."""
    declared, outcomes = column.idiom(word), column.idioms.get(word, Counter[str]())
    if declared is not None and declared.absent and not outcomes:
        return Entry("absent", f"absent: {declared.absent}", declared.absent)
    if declared is None and not outcomes:
        return Entry("not offered", "no such idiom", f"{column.label} declares no such idiom")
    counts = ", ".join(f"{outcomes[name]:,} {name}" for name in (*OUTCOMES, "undeclared") if outcomes[name])
    return state_of(outcomes, {})._replace(number=counts or "not asked")
