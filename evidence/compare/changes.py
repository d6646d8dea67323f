"""What became of each case from one run to another, and whether that is a go."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one question.

    ulps: how far the answer moved, in units in the last place of the old one, at the element that moved farthest;
        None where an answer was not kept, or is of another form.
    fractions: the largest error as a fraction of its bound, old and new; None where there is no verdict.
    message: why the new run has no verdict.  mode: in which it was asked.
    """

    kind: str
    target: str
    property: str
    case: str
    corpus: str | None
    cell: tuple[str, ...]
    ulps: float | None = None
    fractions: tuple[float | None, float | None] = (None, None)
    message: str = ""
    mode: str = "eager"


@dataclass
class Summary:
    """What all changes add up to, in one pass over them.

    of_target: (target, kind) -> changes.  of_place: (target, direction, dtype) -> kind -> changes.
    moved: the same -> by how many ulps at most.  cases: of the corpus, which both runs were asked.  worst: first.
    """

    of_target: Counter[tuple[str, str]] = field(default_factory=Counter)
    of_place: dict[tuple[str, str, str], Counter[str]] = field(default_factory=dict)
    moved: dict[tuple[str, str, str], float] = field(default_factory=dict)
    cases: set[str] = field(default_factory=set)

    def add(self, change: Change) -> None:
        place = change.target, change.cell[0], change.cell[3]
        self.of_target[change.target, change.kind] += 1
        self.of_place.setdefault(place, Counter())[change.kind] += 1
        if change.ulps is not None:
            self.moved[place] = max(change.ulps, self.moved.get(place, change.ulps))
        if change.corpus and change.kind not in ALONE:
            self.cases.add(change.corpus)


@dataclass(frozen=True)
class Difference:
    """All changes between two runs, the versions compared, and what else differs between the two environments.

    changes: can be iterated over again and again.
    not_compared: drawn cases that only the old, and only the new run was asked.  failed: tests of the new run.
    """

    changes: Iterable[Change]
    versions: dict[str, tuple[str | None, str | None]]
    environment: dict[str, tuple[Any, Any]]
    not_compared: tuple[int, int]
    failed: int

    @cached_property
    def summary(self) -> Summary:
        summary = Summary()
        for change in self.changes:
            summary.add(change)
        return summary

    @property
    def compared(self) -> int:
        """How many cases of the corpus both runs were asked."""
        return len(self.summary.cases)

    @property
    def go(self) -> bool:
        return not any(self.counts()[kind] for kind in NO_GO)

    def counts(self, target: str | None = None) -> Counter[str]:
        """Kind -> changes, of one target or of all."""
        found: Counter[str] = Counter()
        for (label, kind), number in self.summary.of_target.items():
            found[kind] += number if target in (None, label) else 0
        return +found

    def worst(self, most: int = MOST_LISTED) -> list[Change]:
        """The changes that matter most: the worst kinds first, then by how far they moved."""
        order = {kind: index for index, kind in enumerate(KINDS)}
        changed = (change for change in self.changes if change.kind not in UNCHANGED)
        return heapq.nsmallest(most, changed, key=lambda c: (order[c.kind], -_size(c)))


def _size(change: Change) -> float:
    """How large a change is, among its kind: by how far it moved; where it is outside, by how far it is outside."""
    size = (change.ulps if change.kind == "moved" else change.fractions[1]) or 0.0
    return size if size == size else float("inf")  # noqa: PLR0124 (NaN, which has no order)
