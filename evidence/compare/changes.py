"""What became of each question from one run to another, whether that is a go, and all of it in words."""

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
from .fates import FATES, Fate

# what may become of a case, from the worst to the best, and what it means: first what is against a go
NO_GO = {
    "now outside": "agreed, was refused, or wrong as a finding says; now it disagrees or crashes",
    "outside, not asked before": "disagrees or crashes in the new run; the old one was not asked",
    "now a finding": "agreed, or had no answer; now it is wrong, as a finding says",
    "now refused": "was answered, now the framework refuses",
    "now not offered": "was answered, now the adapter has no way to ask",
    "now left out": "was asked, now a finding says that nothing can be expected",
    "now vacuous": "was judged, now the bound says nothing",
    "missing": "in the old run only",
}
KINDS = NO_GO | {
    "still outside": "disagrees or crashes in the old run, and is wrong in the new one",
    "still a finding": "wrong in both, as a finding says",
    "a finding, left out before": "nothing could be expected of it; now it is wrong, as a finding says",
    "moved": "agrees in both, with other bits",
    "now inside": "did not agree, now it does",
    "still vacuous": "the bound says nothing in both",
    "still refused": "had no answer in the old run, refused in the new one",
    "still not offered": "had no answer in the old run, not offered in the new one",
    "still left out": "left out in both, for a finding",
    "new": "in the new run only",
    "same bits": "agrees in both, bit for bit the same",
}
BAD = ("disagrees", "crashed")
NO_ANSWER = ("refused", "not offered", "left out")
ANSWERED = ("agrees", "disagrees", "finding")  # and the bound says something of it
ALONE = ("missing", "new", "outside, not asked before")
NOT_ANSWERED = ("still refused", "still not offered", "still left out", "still vacuous", "new")
UNCHANGED = ("same bits", *NOT_ANSWERED)
MOST_LISTED = 10


class Place(NamedTuple):
    """What many questions have in common.  compared: whether both runs were to be asked it: a case of a corpus, or a
    fixed one of an idiom, that both have, judged by the reference.  idiom: the word; empty for run's own way."""

    target: str
    property: str
    corpus: str | None
    compared: bool
    combination: tuple[str, ...]
    direction: str
    dtype: str
    mode: str
    idiom: str = ""


class Said(NamedTuple):
    """What one run said of a question.

    answer_id: 0 where there is none.  kept: whether the answer is.  fraction: None where there is no verdict.
    left_out: the finding's id, of a case that was left out.
    """

    outcome: str
    answer_id: int
    kept: bool
    fraction: float | None
    left_out: str = ""


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
        if old is None or new is None:
            if new is not None and new.outcome in BAD:
                return "outside, not asked before"
            alone = "new" if old is None else "missing"
            return alone if self.place.compared else ""
        if new.outcome in (*BAD, "finding"):
            return _wrong(old.outcome, new.outcome)
        if new.outcome != "agrees":
            lost = old.outcome not in NO_ANSWER if new.outcome in NO_ANSWER[:2] else old.outcome != new.outcome
            return f"{'now' if lost else 'still'} {new.outcome}"
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


def _wrong(old: str, new: str) -> str:
    """What became of a question whose answer is wrong now, in one way or another."""
    if old in BAD:
        return "still outside"
    known = {"finding": "still a finding", "left out": "a finding, left out before"}
    return "now outside" if new in BAD else known.get(old, "now a finding")


@dataclass(frozen=True)
class Difference:
    """All changes between two runs, the versions compared, and what else differs between the two environments.

    questions: by key; drawn ones that one run alone was asked are among them.
    failed: tests of the new run.  left_out: of the corpora, what only one was asked, in words.
    fates: what became of the findings.
    """

    questions: Mapping[bytes, Change]
    versions: dict[str, tuple[str | None, str | None]]
    environment: dict[str, tuple[Any, Any]]
    failed: int
    left_out: Sequence[str]
    fates: Sequence[Fate] = ()

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

    @cached_property
    def idioms(self) -> Counter[tuple[str, str]]:
        """(target, word) of the idioms that are compared -> how many cases both runs were asked."""
        places = (change.place for change in self.changes if change.kind not in ALONE and change.place.compared)
        return Counter((place.target, place.idiom) for place in places if place.idiom)

    @cached_property
    def basis(self) -> tuple[int, int, Counter[str]]:
        """How many cases of the corpus, in all modes, and of idioms, were answered in both runs; of how many that the
        new run has; and what came of the others, in words."""
        answered, of, others = 0, 0, Counter[str]()
        for change in self.questions.values():
            old, new = change.old, change.new
            if new is None or not change.place.compared:
                continue
            of += 1
            if new.outcome not in ANSWERED:
                others[f"left out by {new.left_out}" if new.left_out else new.outcome] += 1
            elif old is None or old.outcome not in ANSWERED:
                others[f"{old.outcome if old else 'not asked'} before"] += 1
            else:
                answered += 1
        return answered, of, others

    @property
    def go(self) -> bool:
        return not any(self.counts()[kind] for kind in NO_GO) and all(FATES[fate.kind] for fate in self.fates)

    def counts(self, target: str | None = None) -> Counter[str]:
        """Kind -> changes, of one target or of all."""
        return sum((kinds for place, (kinds, _) in self.places.items() if target in (None, place[0])), Counter())

    def worst(self, most: int = MOST_LISTED) -> list[Change]:
        """The changes that matter most: the worst kinds first, then by how far they moved."""
        order = list(KINDS)
        changed = (change for change in self.changes if change.kind not in UNCHANGED)
        return heapq.nsmallest(most, changed, key=lambda change: (order.index(change.kind), -change.size))


def conclusion(found: Difference) -> str:
    """Go or no-go, in a sentence: against it is what is listed, by name where it is a finding."""
    counts = found.counts()
    against = [f"{fate.finding.id} {fate.kind} in {fate.target}" for fate in found.fates if not FATES[fate.kind]]
    against += [f"{counts[kind]} {kind}" for kind in NO_GO if counts[kind]]
    if against:
        return f"NO-GO: {', '.join(against)}"
    answered, of, others = found.basis
    rest = [f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]]
    left = "".join(f"; {', '.join(f'{count:,} {words}' for words, count in others.most_common())}" if others else "")
    share = f" ({100 * answered / of:.0f} %)" if of else ""
    modes = "in all modes, and of idioms," if found.idioms else "in all modes,"
    sentence = f"{answered:,} of {of:,} cases of the corpus, {modes} were answered in both{share}{left}"
    return f"GO: {sentence}; no case is lost or now outside its bound ({', '.join(rest)})"


def json_parts(found: Difference) -> Iterator[str]:
    """Everything, one object, piece by piece: there may be very many changes, of which each has a line."""
    content = {
        "format": "rnn-equivalence difference 1",
        "go": found.go,
        "conclusion": conclusion(found),
        "versions": {label: list(pair) for label, pair in found.versions.items()},
        "counts": {kind: found.counts()[kind] for kind in KINDS},
        "findings": [*map(_fate, found.fates)],
        "answered in both": {"cases": found.basis[0], "of": found.basis[1], "others": dict(found.basis[2])},
        "environment": {name: list(pair) for name, pair in found.environment.items()},
        "corpus cases compared": found.compared,
        "idioms compared": [[*of, count] for of, count in sorted(found.idioms.items())],
        "drawn cases not compared": list(found.not_compared),
        "left out": list(found.left_out),
        "failed tests of the new run": found.failed,
    }
    whole = json.dumps(json.loads(dump(content)), indent=1)
    yield whole.removesuffix("\n}") + ',\n "changes": ['
    for number, c in enumerate(found.changes):
        change = {"kind": c.kind, "target": c.place.target, "property": c.place.property, "case": c.case,
                  "corpus": c.place.corpus, "cell": list(c.place.combination), "ulps": c.ulps,
                  "fractions": list(c.fractions), "message": c.message, "mode": c.place.mode,
                  "idiom": c.place.idiom}  # fmt: skip
        yield f"{',' if number else ''}\n  {dump(change).decode().rstrip()}"
    yield "\n ]\n}\n"


def _fate(fate: Fate) -> dict[str, str]:
    of = fate.finding
    return {"id": of.id, "target": fate.target, "what became of it": fate.kind, "old": fate.old, "new": fate.new,
            "kind": of.kind, "title": of.title, "link": of.link, "avoid": of.avoid}  # fmt: skip


def _tables(found: Difference) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, head and rows of each table that has any."""
    present = [kind for kind in KINDS if found.counts()[kind]]
    of = {label: found.counts(label) for label in found.versions}
    tables = [
        ("The versions", ["target", "old", "new"],
         [[label, old or "absent", new or "absent"] for label, (old, new) in found.versions.items()]),
        ("What became of the findings",
         ["finding", "target", "what became of it", "old", "new", "title"],
         [[fate.finding.id, fate.target, fate.kind + " (no-go)" * (not FATES[fate.kind]), fate.old, fate.new,
           fate.finding.title] for fate in found.fates]),
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
    mode, idiom = change.place.mode, change.place.idiom
    return case + ("" if mode == "eager" else f", {mode}") + (f", in the idiom {idiom!r}" if idiom else "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _notes(found: Difference) -> list[str]:
    """What the tables do not show."""
    old, new = found.not_compared
    notes = [
        f"{found.compared} of the {len(corpus.cases())} cases of the corpus were compared.",
        f"Drawn cases that only one of the runs was asked, and that are not compared: {old} old, {new} new.",
    ]
    if found.idioms:
        cases, number = found.idioms.total(), len(found.idioms)
        notes.insert(1, f"{cases:,} fixed cases of {number} idioms were compared, as those of the corpus.")
    notes += [f"Left out: {words}." for words in found.left_out]
    return [*notes, f"{found.failed} tests of the new run failed."] if found.failed else notes


def _news(found: Difference) -> list[str]:
    """What is new of findings, with where it is reported, and how to avoid it."""
    return [f"{fate}. To avoid it: {fate.finding.avoid}" for fate in found.fates if "present" not in fate.kind]


def to_markdown(found: Difference) -> str:
    tables = (
        f"### {title}\n\n{table([*map(escaped, head)], [[*map(escaped, row)] for row in rows])}"
        for title, head, rows in _tables(found)
    )
    news = map(escaped, _news(found))
    return "\n\n".join([f"**{escaped(conclusion(found))}**", *news, *tables, *_notes(found)]) + "\n"


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
    for words in _news(found):
        console.print(Text(one_line(words)))
    console.print(Text(conclusion(found), style="bold green" if found.go else "bold red"))
