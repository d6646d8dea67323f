"""The ledger: how many cases each cell got, and what came of them. Nothing is skipped in silence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# The features whose combinations are the cells of the count.
CELL = ("direction", "layout", "nonlinearity", "dtype")
COUNTS = ("cells", "features", "relations", "seconds")


@dataclass
class Ledger:
    """Counts of (target, property, cell, outcome) and of (target, feature, value, outcome), and largest figures.

    A target is an adapter on a device, by its label: "torch cpu".
    relations: counts of (target, property, outcome) of answers that were compared with each other and not with
    the reference; they fill no cell.  seconds: (target, what) -> time spent on it.  figures: (of what, name) -> the
    largest value seen.
    """

    cells: Counter[tuple[str, ...]] = field(default_factory=Counter)
    features: Counter[tuple[str, ...]] = field(default_factory=Counter)
    relations: Counter[tuple[str, ...]] = field(default_factory=Counter)
    seconds: Counter[tuple[str, ...]] = field(default_factory=Counter)
    figures: dict[tuple[str, str], float] = field(default_factory=dict)

    def record(self, target: str, tested: str, features: Mapping[str, Any], outcome: str) -> None:
        """Count one case of the property `tested`, judged against the reference."""
        self.cells[(target, tested, *(str(features[name]) for name in CELL), outcome)] += 1
        for name, value in features.items():
            self.features[(target, name, str(value), outcome)] += 1

    def record_relation(self, target: str, tested: str, outcome: str) -> None:
        """Count one comparison of two answers."""
        self.relations[target, tested, outcome] += 1

    def spend(self, target: str, seconds: Mapping[str, float]) -> None:
        """Add what was spent on a target: "build", "run" and "judge", and "test", which holds them all."""
        for what, spent in seconds.items():
            self.seconds[target, what] += spent  # type: ignore[assignment] (a Counter of seconds)

    def figure(self, of: str, name: str, value: float) -> None:
        """Keep the largest value of a figure."""
        self.figures[of, name] = max(value, self.figures.get((of, name), value))

    def total(self) -> int:
        """All cases and relations, of all targets."""
        return self.cells.total() + self.relations.total()

    def merge(self, dumped: Mapping[str, Any]) -> None:
        """Add the counts of another process, as `dump` gave them."""
        for name in COUNTS:
            getattr(self, name).update({tuple(key): count for key, count in dumped[name]})
        for (of, name), value in dumped["figures"]:
            self.figure(of, name, value)

    def dump(self) -> dict[str, Any]:
        """Everything as plain lists, for another process."""
        return {
            name: [[list(key), value] for key, value in getattr(self, name).items()] for name in (*COUNTS, "figures")
        }

    def cases(self, target: str, feature: str, value: Any, outcome: str | None = None) -> int:
        """Cases of a target that asked for a feature's value, of one outcome or of all."""
        return sum(
            count
            for (of, name, given, came), count in self.features.items()
            if (of, name, given) == (target, feature, str(value)) and outcome in (None, came)
        )

    def cell_cases(self, target: str, cell: Iterable[Any], outcome: str | None = None) -> int:
        """Cases of a target in one cell, a value for each name of CELL."""
        outcomes = self.cell_outcomes(target, cell)
        return outcomes.total() if outcome is None else outcomes[outcome]

    def cell_outcomes(self, target: str, cell: Iterable[Any]) -> Counter[str]:
        """How many cases of a target in one cell ended in each outcome."""
        return self.by_cell()[(target, *(str(value) for value in cell))]

    def by_cell(self) -> defaultdict[tuple[str, ...], Counter[str]]:
        """(target, *cell) -> how many cases ended in each outcome."""
        total: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for (target, _, *cell, outcome), count in self.cells.items():
            total[target, *cell][outcome] += count
        return total

    def outcomes(self, target: str) -> Counter[str]:
        """How many cases and relations of a target ended in each outcome."""
        total: Counter[str] = Counter()
        for (of, *_, outcome), count in (*self.cells.items(), *self.relations.items()):
            if of == target:
                total[outcome] += count
        return total
