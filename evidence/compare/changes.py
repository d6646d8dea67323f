"""What became of each question from one run to another, and whether that is a go."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

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
