"""The columns of a report, each a target of a run, with what its verdicts add up to; and the tables made of them.

No verdict is kept but those that a page shows by itself: a record may hold millions.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import median
from typing import NamedTuple

from adapters.running.trial import OUTCOMES

from ..record.reader import Evidence, Run
from ..record.schema import Absent, Declaration, FindingLine, RefusalLine, TargetLine, VerdictLine
from ..words import value

WRONG = ("disagrees", "crashed", "undeclared")
GROWING = {"time": "time", "depth": "num_layers"}  # second word of a corpus case's name -> the size that grows
Asked = tuple[tuple[str, str | bool], ...]  # features and their values
# state of an entry -> its sign, and what it means
STATES = {
    "agree": ("✓", "so many cases agree with the reference; of the others none is wrong"),
    "disagree": ("✗", "some case disagrees, or crashes, and no finding covers it"),
    "finding": ("▲", "some case is wrong, exactly as a finding of that framework says"),
    "vacuous": ("≈", "cases were judged, and the bound was too wide for each"),
    "undeclared": ("!", "refused, or not offered, without being declared so"),
    "refused": ("⊘", "asked, and the framework said no, as the adapter had declared"),
    "not offered": ("—", "the adapter has no way to ask"),
    "left out": ("◌", "not asked: a finding that is present says that nothing can be expected of the answer"),
    "absent": ("∅", "the framework could not be loaded"),
    "not asked": ("·", "no case asked for it"),
}


class Spread(NamedTuple):
    """Largest error / bound of the judged answers of one target under one bound.

    values: those above 0 and finite.  exact: answers without any error.  strange: answers of which it is no number.
    largest, median: of the values, as text.
    """

    answers: int
    values: list[float]
    exact: int
    strange: int
    largest: str
    median: str


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
        kept = line.content is not None or line.corpus is not None
        self.count += 1
        if kept or not self.cases:
            self.shown = light(line)
        if kept:
            self.cases[line.case] = None


@dataclass
class Column:
    """One target of one run.

    number: of the run, from 1; 0 where the file holds one run alone.  outcomes: of cases and relations; "undeclared"
    counts those of "refused" and "not offered" that were not declared so.  explained: finding's id -> how many verdicts
    it explains, or leaves out.  asked: cases compared with the reference: for each
    feature's value, and for each combination of the axes, their outcomes.  fractions: bound -> largest error / bound
    of each answer.  idioms: word -> outcomes of what was asked in it.  growing: verdicts on the corpus' growing cases.
    wrong: by test, then by outcome.
    """

    number: int
    run: Run
    target: TargetLine
    outcomes: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    asked: dict[Asked, Counter[str]] = field(default_factory=dict)
    fractions: dict[str, "array[float]"] = field(default_factory=dict)
    idioms: dict[str, Counter[str]] = field(default_factory=dict)
    growing: list[VerdictLine] = field(default_factory=list)
    wrong: dict[str, dict[str, Wrong]] = field(default_factory=dict)

    def add(self, line: VerdictLine) -> None:
        """Count one verdict. Of a relation it may be the other target that refused: nothing of it is undeclared."""
        said = self.reasons(line.idiom).get(line.outcome)
        undeclared = said is not None and not line.relation and not any(one.holds(line.features) for one in said)
        outcome = "undeclared" if undeclared else line.outcome
        self.outcomes.update({line.outcome, outcome})
        self.explained.update([line.message] if line.outcome == "left out" else line.findings)
        if not line.relation:
            combination = tuple((name, line.features[name]) for name in self.axes)
            for key in (*((item,) for item in line.features.items()), combination):
                self.asked.setdefault(key, Counter())[outcome] += 1
        if line.idiom:
            self.idioms.setdefault(line.idiom, Counter())[outcome] += 1
        if line.verdict and line.verdict.bound and line.outcome in ("agrees", "disagrees"):
            self.fractions.setdefault(line.verdict.bound, array("d")).append(line.verdict.max_fraction)
        if any(word in GROWING for word in (line.corpus or "").split()[1:2]):
            self.growing.append(light(line))
        if outcome in WRONG:
            self.wrong.setdefault(line.test, {}).setdefault(line.outcome, Wrong(line)).add(line)

    def reasons(self, idiom: str = "") -> Mapping[str, Sequence[Declaration | RefusalLine]]:
        """Of what no answer is expected, in an idiom: "not offered" and "refused" -> what is declared of it."""
        declared = self.target.narrowed(idiom)
        return {"not offered": declared.unsupported, "refused": declared.refused}

    @property
    def label(self) -> str:
        return self.target.label + (f" (run {self.number})" if self.number else "")

    @property
    def name(self) -> str:
        return f"{self.label}, {self.target.version}"

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(self.run.header.axes)

    @property
    def spreads(self) -> dict[str, Spread]:
        return {bound: _spread(fractions) for bound, fractions in sorted(self.fractions.items())}

    def declared(self, asked: Mapping[str, str | bool]) -> dict[str, str]:
        """Why no answer is expected of what asks for these features: "refused" or "not offered" -> the reasons."""
        found = {kind: [f"{d.asked}: {d.reason}" for d in said if d.holds(asked)]
                 for kind, said in self.reasons().items()}  # fmt: skip
        return {kind: "; ".join(reasons) for kind, reasons in found.items() if reasons}

    @property
    def findings(self) -> dict[str, list[FindingLine]]:
        """State -> the findings that the framework's version is in."""
        found: dict[str, list[FindingLine]] = {}
        for one in self.target.findings:
            found.setdefault(self.run.state(self.target.label, one.id), []).append(one)
        return found

    def missing(self) -> int:
        """How many combinations and values of which an answer is expected got no case that agrees, or as FILLED has."""
        return sum(1 for _ in self.run.ledger.unfilled(self.target.label, self.run.header.features, self.declared))


def _spread(fractions: "array[float]") -> Spread:
    values = [fraction for fraction in fractions if 0 < fraction < math.inf]
    exact = fractions.count(0.0)
    shown = (f"{max(values):.3g}", f"{median(values):.3g}") if values else ("none", "none")
    return Spread(len(fractions), values, exact, len(fractions) - len(values) - exact, *shown)


def light(line: VerdictLine) -> VerdictLine:
    """A verdict without the arrays that were kept with it."""
    return line.model_copy(update={"answer": None, "content": None})


def columns(evidence: Evidence) -> list[Column]:
    """Every target of every run, in the order of the file, of one reading of it."""
    found: list[Column] = []
    for number, run in enumerate(evidence.runs, 1):
        of_run = {target.label: Column(number * (len(evidence.runs) > 1), run, target) for target in run.header.targets}
        for line in run.verdicts:
            of_run[line.target].add(line)
        found += of_run.values()
    return found


def judged(found: list[Column]) -> list[Column]:
    """Those that count: the reference judged against itself is no target, unless nothing else was asked."""
    return [column for column in found if column.target.source != "reference"] or found


class Entry(NamedTuple):
    """A state, how many cases are of it, a sentence on all of them, and how dark to paint it (0 to 4)."""

    state: str
    number: str
    title: str
    shade: int = 0


Rows = list[tuple[str, list[Entry]]]  # of a table: what each row is of, and its entries


def _entry(column: Column, key: Asked) -> Entry:
    """The state of the cases of a column that asked for these features."""
    return state_of(column.asked.get(key, Counter()), column.declared(dict(key)))


def state_of(outcomes: Counter[str], declared: Mapping[str, str]) -> Entry:
    """declared: why no answer is expected, by kind."""
    parts = [f"{count:,} {word}" for word, count in outcomes.items()]
    title = "; ".join([", ".join(sorted(parts)) or STATES["not asked"][1], *declared.values()])
    cases, agree, undeclared = outcomes.total(), outcomes["agrees"], outcomes["undeclared"]
    if wrong := outcomes["disagrees"] + outcomes["crashed"]:
        return Entry("disagree", f"{wrong:,} of {cases:,}", title)
    if undeclared:
        return Entry("undeclared", f"{undeclared:,} of {cases:,} undeclared", title)
    if found := outcomes["finding"]:
        return Entry("finding", f"{found:,} of {cases:,}", title)
    if agree:
        return Entry("agree", f"{agree:,}", title, min(4, len(str(agree))))
    if outcomes["vacuous"]:
        return Entry("vacuous", f"{cases:,}", title)
    states = (*declared, *(word for word in ("refused", "not offered", "left out") if outcomes[word]), "not asked")
    return Entry(states[0], states[0], title)


def features_table(evidence: Evidence, found: list[Column], gone: list[Absent]) -> dict[str, Rows]:
    """Feature -> a row for each of its values, of all runs.  Columns: the targets, then the absent adapters."""
    values: dict[str, dict[str | bool, None]] = {}
    for run in evidence.runs:
        for name, some in run.header.features.items():
            values.setdefault(name, {}).update(dict.fromkeys(some))
    absent = [Entry("absent", "absent", f"{line.name}: {line.problem}") for line in gone]
    return {
        name: [(value(of), [*(_entry(column, ((name, of),)) for column in found), *absent]) for of in some]
        for name, some in values.items()
    }


def combinations_tables(found: list[Column]) -> Iterator[tuple[Column, list[str], Rows]]:
    """Each target's combinations: the values of the first half of the axes down, those of the others across."""
    for column in found:
        pairs = [[(name, of) for of in column.run.header.features[name]] for name in column.axes]
        down, across = (list(product(*some)) for some in (pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]))
        rows = [(_words(key), [_entry(column, (*key, *of)) for of in across]) for key in down]
        yield column, [_words(key) for key in across], rows


def _words(asked: Asked) -> str:
    return ", ".join(value(of) for _, of in asked)


class IdiomRow(NamedTuple):
    """An idiom of a framework: its word, what it is and shows, and its entries."""

    word: str
    says: str
    view: str
    entries: list[Entry]


def idioms_tables(found: list[Column]) -> list[tuple[str, list[Column], list[IdiomRow]]]:
    """For each framework that declares idioms, or was asked in some: its name, its targets, and a row for each."""
    made: list[tuple[str, list[Column], list[IdiomRow]]] = []
    for adapter in dict.fromkeys(column.target.adapter for column in found):
        of = [column for column in found if column.target.adapter == adapter]
        words = dict.fromkeys(word for one in of for word in (*(i.word for i in one.target.idioms), *one.idioms))
        if words:
            made.append((adapter, of, [_row(word, of) for word in words]))
    return made


def _row(word: str, of: list[Column]) -> IdiomRow:
    said = next((idiom for column in of if (idiom := column.target.idiom(word))), None)
    told = (said.says, said.called) if said else ("not declared", "not known")
    return IdiomRow(word, *told, [_idiom_entry(column, word) for column in of])


def _idiom_entry(column: Column, word: str) -> Entry:
    """The state of an idiom, and the counts of all outcomes of its cases."""
    declared, outcomes = column.target.idiom(word), column.idioms.get(word, Counter[str]())
    if declared is not None and declared.absent and not outcomes:
        return Entry("absent", f"absent: {declared.absent}", declared.absent)
    if declared is None and not outcomes:
        return Entry("not offered", "no such idiom", f"{column.label} declares no such idiom")
    counts = ", ".join(f"{outcomes[name]:,} {name}" for name in (*OUTCOMES, "undeclared") if outcomes[name])
    return state_of(outcomes, {})._replace(number=counts or "not asked")


def declared(columns: Sequence[Column]) -> dict[str, list[str]]:
    """What targets declare of themselves, in words -> those that do."""
    found: dict[str, list[str]] = {}
    for column in columns:
        target, reasons = column.target, dict[tuple[str, str], list[str]]()
        kinds = {"not offered": target.unsupported, "refused": target.refused, "emulated": target.emulated,
                 "judged by the arithmetic": target.arithmetics}  # fmt: skip
        for word, line in ((word, line) for word, lines in kinds.items() for line in lines):
            reasons.setdefault((word, str(line.reason)), []).append(line.asked)
        if not (target.unsupported or target.refused or target.emulated):
            reasons["asked", "nothing is refused or emulated"] = ["everything"]
        for (word, reason), asked in sorted(reasons.items()):
            said = found.setdefault(f"{word}: {'; '.join(asked)} ({reason})", [])
            said += [] if target.label in said else [target.label]
    return found
