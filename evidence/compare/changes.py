"""What became of each question from one run to another, whether that is a go, and all of it in words."""

from __future__ import annotations

import heapq
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ..markdown import escaped, table
from ..record import corpus
from ..record.lines import dump
from ..words import cut, one_line

# what may become of a case, from the worst to the best, and what it means
KINDS = {
    "now outside": "agreed or was refused; now it disagrees or crashes",
    "outside, not asked before": "disagrees or crashes in the new run; the old one was not asked",
    "now refused": "was answered, now the framework or its adapter refuses",
    "now vacuous": "was judged, now the bound says nothing",
    "missing": "in the old run only",
    "still outside": "disagrees or crashes in both",
    "moved": "agrees in both, with other bits",
    "now inside": "did not agree, now it does",
    "still vacuous": "the bound says nothing in both",
    "still refused": "refused in both",
    "new": "in the new run only",
    "same bits": "agrees in both, bit for bit the same",
}
NO_GO = ("now outside", "outside, not asked before", "now refused", "now vacuous", "missing")
BAD = ("disagrees", "crashed")
ALONE = ("missing", "new", "outside, not asked before")
UNCHANGED = ("same bits", "still refused", "still vacuous", "new")
MOST_LISTED = 10


class Place(NamedTuple):
    """What many questions have in common.  compared: whether both runs were to be asked it: a case of a corpus that
    both have, judged by the reference."""

    target: str
    property: str
    corpus: str | None
    compared: bool
    combination: tuple[str, ...]
    direction: str
    dtype: str
    mode: str


class Said(NamedTuple):
    """What one run said of a question.

    answer_id: 0 where there is none.  kept: whether the answer is.  fraction: None where there is no verdict.
    """

    outcome: str
    answer_id: int
    kept: bool
    fraction: float | None


@dataclass(slots=True)
class Change:
    """What became of one question.

    key: the case's id, and a digest of the rest.  old, new: None where the run was not asked.
    ulps: how far the answer moved, in units in the last place of the old one, at the element that moved farthest;
        None where an answer was not kept, or is of another form.  message: why the new run has no verdict.
    """

    key: bytes
    place: Place
    old: Said | None = None
    new: Said | None = None
    ulps: float | None = None
    message: str = ""

    @property
    def kind(self) -> str:
        """One of KINDS; empty for a drawn question that one run alone was asked, unless it fails in the new one."""
        old, new = self.old, self.new
        if new is not None and new.outcome in BAD:
            if old is None:
                return "outside, not asked before"
            return "still outside" if old.outcome in BAD else "now outside"
        if old is None or new is None:
            alone = "new" if old is None else "missing"
            return alone if self.place.compared else ""
        if new.outcome != "agrees":
            return f"{'still' if new.outcome == old.outcome else 'now'} {new.outcome}"
        if old.outcome != "agrees":
            return "now inside"
        return "same bits" if old.answer_id == new.answer_id != 0 else "moved"

    @property
    def case(self) -> str:
        return self.key[:8].hex()

    @property
    def fractions(self) -> tuple[float | None, float | None]:
        """The largest error as a fraction of its bound, old and new."""
        return self.old and self.old.fraction, self.new and self.new.fraction

    @property
    def size(self) -> float:
        """How large it is, among its kind: by how far it moved; where it is outside, by how far it is outside."""
        size = (self.ulps if self.kind == "moved" else self.fractions[1]) or 0.0
        return size if size == size else float("inf")  # noqa: PLR0124 (NaN, which has no order)


@dataclass(frozen=True)
class Difference:
    """All changes between two runs, the versions compared, and what else differs between the two environments.

    questions: by key; drawn ones that one run alone was asked are among them.
    failed: tests of the new run.  left_out: of the corpora, what only one was asked, in words.
    """

    questions: Mapping[bytes, Change]
    versions: dict[str, tuple[str | None, str | None]]
    environment: dict[str, tuple[Any, Any]]
    failed: int
    left_out: Sequence[str]

    @property
    def changes(self) -> Iterator[Change]:
        return (change for change in self.questions.values() if change.kind)

    @cached_property
    def places(self) -> dict[tuple[str, str, str], tuple[Counter[str], float | None]]:
        """(target, direction, dtype) -> kind -> changes; and by how many ulps an answer moved at most."""
        found: dict[tuple[str, str, str], tuple[Counter[str], float | None]] = {}
        for change in self.changes:
            place = change.place.target, change.place.direction, change.place.dtype
            kinds, most = found.get(place, (Counter[str](), None))
            kinds[change.kind] += 1
            moved = [ulps for ulps in (most, change.ulps) if ulps is not None]
            found[place] = kinds, max(moved, default=None)
        return found

    @cached_property
    def not_compared(self) -> tuple[int, int]:
        """Questions that only the old, and only the new run was asked, and that are not compared."""
        alone = [change for change in self.questions.values() if not change.place.compared]
        return sum(change.new is None for change in alone), sum(change.old is None for change in alone)

    @cached_property
    def compared(self) -> int:
        """How many cases of the corpus both runs were asked."""
        return len({change.place.corpus for change in self.changes if change.kind not in ALONE} - {None})

    @property
    def go(self) -> bool:
        return not any(self.counts()[kind] for kind in NO_GO)

    def counts(self, target: str | None = None) -> Counter[str]:
        """Kind -> changes, of one target or of all."""
        return sum((kinds for place, (kinds, _) in self.places.items() if target in (None, place[0])), Counter())

    def worst(self, most: int = MOST_LISTED) -> list[Change]:
        """The changes that matter most: the worst kinds first, then by how far they moved."""
        order = list(KINDS)
        changed = (change for change in self.changes if change.kind not in UNCHANGED)
        return heapq.nsmallest(most, changed, key=lambda change: (order.index(change.kind), -change.size))


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


def _tables(found: Difference) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, head and rows of each table that has any."""
    present = [kind for kind in KINDS if found.counts()[kind]]
    of = {label: found.counts(label) for label in found.versions}
    tables = [
        ("The versions", ["target", "old", "new"],
         [[label, old or "absent", new or "absent"] for label, (old, new) in found.versions.items()]),
        ("What became of the cases", ["what became of the cases", *of, ""],
         [[kind + " (no-go)" * (kind in NO_GO), *(str(counts[kind]) for counts in of.values()), KINDS[kind]]
          for kind in present]),
        ("Where", ["target", "direction", "dtype", *present, "moved by at most (ulp)"],
         [[*where, *(str(counts[kind]) for kind in present), _number(moved)]
          for where, (counts, moved) in sorted(found.places.items())]),
        ("The ten cases that changed most",
         ["case", "target", "what became of it", "moved by (ulp)", "error / bound, old", "new", "why not"],
         [[_name(c), c.place.target, c.kind, _number(c.ulps), *map(_number, c.fractions), cut(c.message, 200)]
          for c in found.worst()]),
        ("What else differs between the two environments", ["what else differs", "old", "new"],
         [[name, str(old), str(new)] for name, (old, new) in found.environment.items()]),
    ]  # fmt: skip
    return [(title, head, rows) for title, head, rows in tables if rows]


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
    tables = (
        f"### {title}\n\n{table([*map(escaped, head)], [[*map(escaped, row)] for row in rows])}"
        for title, head, rows in _tables(found)
    )
    return "\n\n".join([f"**{escaped(conclusion(found))}**", *tables, *_notes(found)]) + "\n"


def show(found: Difference) -> None:
    """Print it, as wide as the terminal, or as the tables where there is none."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    for title, head, rows in _tables(found):
        printed = Table(*(Column(Text(one_line(cell))) for cell in head), title=title, title_justify="left")
        for row in rows:
            printed.add_row(*(Text(one_line(cell)) for cell in row))
        console.print(printed)
    for note in _notes(found):
        console.print(note, highlight=False)
    console.print(Text(conclusion(found), style="bold green" if found.go else "bold red"))
