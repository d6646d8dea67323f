"""A difference in words: tables for a terminal, Markdown, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..markdown import escaped, table
from ..record import corpus
from ..record.lines import dump
from ..words import cut, one_line
from .changes import KINDS, NO_GO, Difference

Rows = list[list[str]]


def conclusion(found: Difference) -> str:
    """Go or no-go, in a sentence."""
    counts = found.counts()
    against = [f"{counts[kind]} {kind}" for kind in NO_GO if counts[kind]]
    if against:
        return f"NO-GO: {', '.join(against)}"
    rest = [f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]]
    return f"GO: no case is lost or now outside its bound ({', '.join(rest)})"


def to_json(found: Difference) -> str:
    """Everything, one object."""
    return "".join(json_parts(found))


def json_parts(found: Difference) -> Iterator[str]:
    """The same, piece by piece: there may be very many changes, of which each has a line."""
    content = {
        "format": "rnn-equivalence difference 1",
        "go": found.go,
        "conclusion": conclusion(found),
        "versions": {label: list(pair) for label, pair in found.versions.items()},
        "counts": {kind: found.counts()[kind] for kind in KINDS},
        "environment": {name: list(pair) for name, pair in found.environment.items()},
        "corpus cases compared": found.compared,
        "drawn cases not compared": list(found.not_compared),
        "failed tests of the new run": found.failed,
    }
    whole = json.dumps(json.loads(dump(content)), indent=1)
    yield whole.removesuffix("\n}") + ',\n "changes": ['
    for number, c in enumerate(found.changes):
        change = {"kind": c.kind, "target": c.target, "property": c.property, "case": c.case, "corpus": c.corpus,
                  "cell": list(c.cell), "ulps": c.ulps, "fractions": list(c.fractions), "message": c.message,
                  "mode": c.mode}  # fmt: skip
        yield f"{',' if number else ''}\n  {dump(change).decode().rstrip()}"
    yield "\n ]\n}\n"


def versions(found: Difference) -> Rows:
    rows = [[label, old or "absent", new or "absent"] for label, (old, new) in found.versions.items()]
    return [["target", "old", "new"], *rows]


def kinds(found: Difference) -> Rows:
    """Every kind of change that there is, for each target."""
    labels = list(found.versions)
    rows = [["what became of the cases", *labels, ""]]
    for kind, meaning in KINDS.items():
        counts = [found.counts(label)[kind] for label in labels]
        if any(counts):
            rows.append([kind + (" (no-go)" if kind in NO_GO else ""), *(str(count) for count in counts), meaning])
    return rows


def cells(found: Difference) -> Rows:
    """Direction and dtype, the layouts and nonlinearities taken together: how many cases of each kind."""
    present = [kind for kind in KINDS if found.counts()[kind]]
    rows = [["target", "direction", "dtype", *present, "moved by at most (ulp)"]]

    for where, counts in sorted(found.summary.of_place.items()):
        moved = found.summary.moved.get(where)
        rows.append([*where, *(str(counts[kind]) for kind in present), _number(moved)])
    return rows


def worst(found: Difference) -> Rows:
    rows = [["case", "target", "what became of it", "moved by (ulp)", "error / bound, old", "new", "why not"]]
    for c in found.worst():
        rows.append(
            [
                (c.corpus or f"{c.property} {c.case}") + ("" if c.mode == "eager" else f", {c.mode}"),
                c.target,
                c.kind,
                _number(c.ulps),
                *map(_number, c.fractions),
                cut(c.message, 200),
            ]
        )
    return rows


def environment(found: Difference) -> Rows:
    rows = [[name, str(old), str(new)] for name, (old, new) in found.environment.items()]
    return [["what else differs", "old", "new"], *rows]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _tables(found: Difference) -> Iterator[tuple[str, Rows]]:
    yield "The versions", versions(found)
    yield "What became of the cases", kinds(found)
    yield "Where", cells(found)
    yield "The ten cases that changed most", worst(found)
    yield "What else differs between the two environments", environment(found)


def _notes(found: Difference) -> list[str]:
    """What the tables do not show."""
    old, new = found.not_compared
    notes = [
        f"{found.compared} of the {len(corpus.cases())} cases of the corpus were compared.",
        f"Drawn cases that only one of the runs was asked, and that are not compared: {old} old, {new} new.",
    ]
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
