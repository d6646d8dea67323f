"""The columns of the report: each target of each run, with what was said of it; and the adapters that were absent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from ..ledger import CELL
from ..reading import Evidence, Run
from ..schema import Absent, TargetLine, VerdictLine

OUTCOMES = ("agrees", "disagrees", "vacuous", "refused", "crashed")
WRONG = ("disagrees", "crashed")
Asked = tuple[tuple[str, str | bool], ...]  # features and their values


@dataclass(frozen=True)
class Column:
    """One target of one run.  number: of the run, from 1; 0 where the file holds one run alone."""

    number: int
    run: Run
    target: TargetLine
    verdicts: tuple[VerdictLine, ...]

    @property
    def label(self) -> str:
        return self.target.label + (f" (run {self.number})" if self.number else "")

    @property
    def name(self) -> str:
        return f"{self.label}, {self.target.version}"

    @cached_property
    def outcomes(self) -> Counter[str]:
        """Outcome -> cases and relations."""
        return Counter(line.outcome for line in self.verdicts)

    @cached_property
    def asked(self) -> dict[Asked, Counter[str]]:
        """Cases compared with the reference: for each feature's value, and for each cell, their outcomes."""
        found: dict[Asked, Counter[str]] = {}
        for line in self.verdicts:
            if not line.relation:
                outcome = "undeclared" if self.refused_undeclared(line) else line.outcome
                for key in (*((item,) for item in line.features.items()), cell_of(line)):
                    found.setdefault(key, Counter())[outcome] += 1
        return found

    @cached_property
    def undeclared(self) -> int:
        """How many cases were refused undeclared."""
        return sum(self.refused_undeclared(line) for line in self.verdicts)

    def refused_undeclared(self, line: VerdictLine) -> bool:
        """Whether a case was refused although nothing that it asks for is declared unsupported.

        A relation may be refused by another target: weights that are ported to a framework that cannot hold them.
        """
        return line.outcome == "refused" and not line.relation and not self.declared(line)

    def declared(self, line: VerdictLine) -> str:
        """Why the adapter says that it cannot answer a case; empty where it says nothing."""
        return self.unsupported(line.features.items())

    def unsupported(self, asked: Iterable[tuple[str, str | bool]]) -> str:
        """Why features are declared unsupported; empty where they are not."""
        wanted = dict(asked)
        return "; ".join(f"{d.words}: {d.reason}" for d in self.target.unsupported if d.holds(wanted))

    @cached_property
    def missing(self) -> list[str]:
        """Cells and values that the adapter supports, and that got no case that agrees."""
        features = self.run.header.features
        keys: list[Asked] = list(product(*(tuple((name, value) for value in features.get(name, ())) for name in CELL)))
        keys += [((name, value),) for name, values in features.items() for value in values]
        return [
            ", ".join(f"{name} {value}" for name, value in key)
            for key in keys
            if not self.unsupported(key) and not self.asked.get(key, Counter())["agrees"]
        ]


def cell_of(line: VerdictLine) -> Asked:
    """The cell that a case counts for."""
    return tuple((name, line.features.get(name, "")) for name in CELL)


def columns(evidence: Evidence) -> list[Column]:
    """Every target of every run, in the order of the file."""
    several = len(evidence.runs) > 1
    return [
        Column(number * several, run, target, tuple(verdicts))
        for number, run in enumerate(evidence.runs, 1)
        for target, verdicts in _by_target(run)
    ]


def _by_target(run: Run) -> list[tuple[TargetLine, list[VerdictLine]]]:
    """Each target's verdicts, of one reading of the file."""
    found: dict[str, list[VerdictLine]] = {target.label: [] for target in run.header.targets}
    for line in run.verdicts:
        found[line.target].append(line)
    return [(target, found[target.label]) for target in run.header.targets]


def absent(evidence: Evidence) -> list[Absent]:
    """Adapters that no run of the file could load, each once."""
    loaded = {target.adapter for run in evidence.runs for target in run.header.targets}
    found = {line.name: line for run in evidence.runs for line in run.header.absent}
    return [line for name, line in found.items() if name not in loaded]
