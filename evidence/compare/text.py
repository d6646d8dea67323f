"""A difference in words: tables for a terminal, Markdown, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..markdown import escaped, table
from ..record import corpus
from ..record.lines import dump
from ..record.reader import read
from ..words import cut, one_line
from .changes import KINDS, NO_GO, Change, Difference
from .difference import difference

Rows = list[list[str]]


def command(old: Path, new: Path, as_json: bool = False, as_markdown: bool = False) -> int:
    """Print what became of each case from one record to another: 0 is go, 1 no-go."""
    found = difference(read(old), read(new))
    if as_json:
        sys.stdout.writelines(json_parts(found))
    elif as_markdown:
        print(to_markdown(found), end="")
    else:
        show(found)
    return 0 if found.go else 1


def conclusion(found: Difference) -> str:
    """Go or no-go, in a sentence."""
    counts = found.counts()
    against = [f"{counts[kind]} {kind}" for kind in NO_GO if counts[kind]]
    if against:
        return f"NO-GO: {', '.join(against)}"
    rest = [f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]]
    return f"GO: no case is lost or now outside its bound ({', '.join(rest)})"


def json_parts(found: Difference) -> Iterator[str]:
    """Everything, one object, piece by piece: there may be very many changes, of which each has a line."""
    content = {
        "format": "rnn-equivalence difference 1",
        "go": found.go,
        "conclusion": conclusion(found),
        "versions": {label: list(pair) for label, pair in found.versions.items()},
        "counts": {kind: found.counts()[kind] for kind in KINDS},
        "environment": {name: list(pair) for name, pair in found.environment.items()},
        "corpus cases compared": found.compared,
        "drawn cases not compared": list(found.not_compared),
        "left out": list(found.left_out),
        "failed tests of the new run": found.failed,
    }
    whole = json.dumps(json.loads(dump(content)), indent=1)
    yield whole.removesuffix("\n}") + ',\n "changes": ['
    for number, c in enumerate(found.changes):
        change = {"kind": c.kind, "target": c.place.target, "property": c.place.property, "case": c.case,
                  "corpus": c.place.corpus, "cell": list(c.place.combination), "ulps": c.ulps,
                  "fractions": list(c.fractions), "message": c.message, "mode": c.place.mode}  # fmt: skip
        yield f"{',' if number else ''}\n  {dump(change).decode().rstrip()}"
    yield "\n ]\n}\n"


def _tables(found: Difference) -> Iterator[tuple[str, Rows]]:
    """Title, and rows of which the first is the head."""
    labels, present = list(found.versions), [kind for kind in KINDS if found.counts()[kind]]
    of = {label: found.counts(label) for label in labels}
    yield "The versions", [["target", "old", "new"],
        *([label, old or "absent", new or "absent"] for label, (old, new) in found.versions.items())]  # fmt: skip
    yield "What became of the cases", [["what became of the cases", *labels, ""],
        *([kind + " (no-go)" * (kind in NO_GO), *(str(of[label][kind]) for label in labels), KINDS[kind]]
          for kind in present)]  # fmt: skip
    yield "Where", [["target", "direction", "dtype", *present, "moved by at most (ulp)"],
        *([*where, *(str(counts[kind]) for kind in present), _number(moved)]
          for where, (counts, moved) in sorted(found.places.items()))]  # fmt: skip
    yield "The ten cases that changed most", [
        ["case", "target", "what became of it", "moved by (ulp)", "error / bound, old", "new", "why not"],
        *([_name(c), c.place.target, c.kind, _number(c.ulps), *map(_number, c.fractions), cut(c.message, 200)]
          for c in found.worst())]  # fmt: skip
    yield "What else differs between the two environments", [["what else differs", "old", "new"],
        *([name, str(old), str(new)] for name, (old, new) in found.environment.items())]  # fmt: skip


def _name(change: Change) -> str:
    case = change.place.corpus or f"{change.place.property} {change.case}"
    return case + ("" if change.place.mode == "eager" else f", {change.place.mode}")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _notes(found: Difference) -> list[str]:
    """What the tables do not show."""
    old, new = found.not_compared
    notes = [
        f"{found.compared} of the {len(corpus.cases())} cases of the corpus were compared.",
        f"Drawn cases that only one of the runs was asked, and that are not compared: {old} old, {new} new.",
    ]
    notes += [f"Left out: {words}." for words in found.left_out]
    return [*notes, f"{found.failed} tests of the new run failed."] if found.failed else notes


def to_markdown(found: Difference) -> str:
    parts = [f"**{escaped(conclusion(found))}**"]
    for title, rows in _tables(found):
        if len(rows) > 1:
            head, *body = ([escaped(cell) for cell in row] for row in rows)
            parts.append(f"### {title}\n\n{table(head, body)}")
    return "\n\n".join([*parts, *_notes(found)]) + "\n"


def show(found: Difference) -> None:
    """Print it, as wide as the terminal, or as the tables where there is none."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    for title, rows in _tables(found):
        if len(rows) > 1:
            printed = Table(title=title, title_justify="left")
            for head in rows[0]:
                printed.add_column(Text(one_line(head)))
            for row in rows[1:]:
                printed.add_row(*(Text(one_line(cell)) for cell in row))
            console.print(printed)
    for note in _notes(found):
        console.print(note, highlight=False)
    console.print(Text(conclusion(found), style="bold green" if found.go else "bold red"))
