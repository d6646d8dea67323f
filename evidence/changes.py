"""What became of each case from one run to another, and whether that is a go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Change:
    """What became of one case.

    ulps: how far the answer moved, in units in the last place of the old one, at the element that moved farthest;
        None where an answer was not kept, or is of another form.
    fractions: the largest error as a fraction of its bound, old and new; None where there is no verdict.
    message: why the new run has no verdict.
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


@dataclass(frozen=True)
class Difference:
    """All changes between two runs, the versions compared, and what else differs between the two environments.

    not_compared: drawn cases that only the old, and only the new run was asked.  failed: tests of the new run.
    """

    changes: tuple[Change, ...]
    versions: dict[str, tuple[str | None, str | None]]
    environment: dict[str, tuple[Any, Any]]
    not_compared: tuple[int, int]
    failed: int

    @property
    def compared(self) -> int:
        """How many cases of the corpus both runs were asked."""
        return len({c.corpus for c in self.changes if c.corpus and c.kind not in ALONE})

    @property
    def go(self) -> bool:
        return not any(change.kind in NO_GO for change in self.changes)

    def counts(self, changes: Iterable[Change] | None = None) -> Counter[str]:
        return Counter(change.kind for change in (self.changes if changes is None else changes))

    def worst(self, most: int = 10) -> list[Change]:
        """The changes that matter most: the worst kinds first, then by how far they moved."""
        order = list(KINDS)
        changed = [change for change in self.changes if change.kind not in UNCHANGED]
        return sorted(changed, key=lambda c: (order.index(c.kind), -_size(c)))[:most]


def _size(change: Change) -> float:
    """How large a change is, among its kind: by how far it moved; where it is outside, by how far it is outside."""
    return (change.ulps if change.kind == "moved" else change.fractions[1]) or 0.0
