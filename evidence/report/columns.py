"""The columns of the report: each target of each run, with what its verdicts add up to; and adapters that were absent.

No verdict is kept but those that a page shows by itself: a record may hold millions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from statistics import median

from ..record.ledger import CELL
from ..record.reader import Evidence, Run
from ..record.schema import Absent, TargetLine, VerdictLine
from ..words import figure

OUTCOMES = ("agrees", "disagrees", "vacuous", "refused", "crashed")
WRONG = ("disagrees", "crashed")
GROWING = {"time": "time", "depth": "num_layers"}  # second word of a corpus case's name -> the size that grows
Asked = tuple[tuple[str, str | bool], ...]  # features and their values


@dataclass
class Fractions:
    """Largest error / bound of each judged answer of one target under one bound.

    values: those above 0 and finite.  exact: answers without any error.  strange: answers of which it is no number.
    """

    values: list[float] = field(default_factory=list)
    exact: int = 0
    strange: int = 0

    def add(self, fraction: float) -> None:
        if not math.isfinite(fraction) or fraction < 0:
            self.strange += 1
        elif fraction == 0:
            self.exact += 1
        else:
            self.values.append(fraction)

    @property
    def answers(self) -> int:
        return len(self.values) + self.exact + self.strange

    @property
    def row(self) -> tuple[str, ...]:
        """Answers, largest and median fraction, answers without error, and those of which it is no number."""
        shown = (figure(max(self.values)), figure(median(self.values))) if self.values else ("none", "none")
        return f"{self.answers:,}", *shown, f"{self.exact:,}", f"{self.strange:,}"


@dataclass
class Wrong:
    """The wrong answers of one test to one target.

    count: how many.  shown: the last one that was kept, which is smaller than those before it; the last of all where
    none was.  cases: the ids of those that were kept, in their order.
    """

    shown: VerdictLine
    count: int = 0
    cases: dict[str, None] = field(default_factory=dict)

    def add(self, line: VerdictLine) -> None:
        self.count += 1
        if line.content is not None or line.corpus is not None:
            self.cases[line.case] = None
            self.shown = light(line)
        elif not self.cases:
            self.shown = light(line)


@dataclass
class Column:
    """One target of one run.

    number: of the run, from 1; 0 where the file holds one run alone.  outcomes: of cases and relations.
    asked: cases compared with the reference: for each feature's value, and for each cell, their outcomes.
    undeclared: how many cases were refused undeclared.  fractions: by bound; a vacuous answer has none.
    growing: verdicts on the corpus' growing cases.  wrong: by test, then by target and outcome.
    """

    number: int
    run: Run
    target: TargetLine
    outcomes: Counter[str] = field(default_factory=Counter)
    asked: dict[Asked, Counter[str]] = field(default_factory=dict)
    undeclared: int = 0
    fractions: dict[str, Fractions] = field(default_factory=dict)
    growing: list[VerdictLine] = field(default_factory=list)
    wrong: dict[str, dict[tuple[str, str], Wrong]] = field(default_factory=dict)

    def add(self, line: VerdictLine) -> None:
        """Count one verdict."""
        self.outcomes[line.outcome] += 1
        undeclared = self.refused_undeclared(line)
        self.undeclared += undeclared
        if not line.relation:
            for key in (*((item,) for item in line.features.items()), cell_of(line)):
                self.asked.setdefault(key, Counter())["undeclared" if undeclared else line.outcome] += 1
        said = line.verdict
        if said is not None and said.bound and line.outcome in ("agrees", "disagrees"):
            self.fractions.setdefault(said.bound, Fractions()).add(said.max_fraction)
        if any(word in GROWING for word in (line.corpus or "").split()[1:2]):
            self.growing.append(light(line))
        if line.outcome in WRONG or undeclared:
            of_test = self.wrong.setdefault(line.test, {})
            of_test.setdefault((line.target, line.outcome), Wrong(line)).add(line)

    @property
    def label(self) -> str:
        return self.target.label + (f" (run {self.number})" if self.number else "")

    @property
    def name(self) -> str:
        return f"{self.label}, {self.target.version}"

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


def light(line: VerdictLine) -> VerdictLine:
    """A verdict without the arrays that were kept with it."""
    return line.model_copy(update={"answer": None, "content": None})


def columns(evidence: Evidence) -> list[Column]:
    """Every target of every run, in the order of the file, of one reading of it."""
    several = len(evidence.runs) > 1
    return [column for number, run in enumerate(evidence.runs, 1) for column in _of_run(number * several, run)]


def _of_run(number: int, run: Run) -> list[Column]:
    found = {target.label: Column(number, run, target) for target in run.header.targets}
    for line in run.verdicts:
        found[line.target].add(line)
    return list(found.values())


def absent(evidence: Evidence) -> list[Absent]:
    """Adapters that no run of the file could load, each once."""
    loaded = {target.adapter for run in evidence.runs for target in run.header.targets}
    found = {line.name: line for run in evidence.runs for line in run.header.absent}
    return [line for name, line in found.items() if name not in loaded]
