"""What tests/properties asks of every target, as data: what a record holds too much or too little of is found by it.

Tests keep questions.json equal to what pytest collects, and to what a run records.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..record import corpus, seeded
from ..record.corpus import PROPERTY, Corpus
from ..record.lines import PINNED
from ..record.runs import Run
from ..record.schema import TargetLine, VerdictLine, question
from . import declarations

PATH = Path(__file__).with_name("questions.json")
FOLDER = "tests/properties/"
CORPUS = "test_corpus.py"
PINNED_TEST = "test_findings.py::test_the_pinned_case"
PORT = "port to "  # and the label of another target
IN_MODE = f"{PROPERTY}, "  # and the mode
GRADIENTS_IN = "gradients, "  # and the mode
STACKED = "gradients of stacks"
LAYER = f"{STACKED}, a layer"  # asked of what was answered, and of no adapter the same
TOGETHER = "at the same time"  # asked in the idiom IN_THREADS where one module is shared, and an adapter has it
IDIOMS = (seeded.PROPERTY, seeded.DRAWN)  # properties that ask in idioms, each of which has a test
ANSWER = "answer"  # a relation whose answer was refused or crashed, in any test of relations


@dataclass(frozen=True)
class Test:
    """One test of tests/properties, with all its parameters.

    tests: how many of it there are for each target.  tested: the property; empty where no verdict is recorded of it.
    lines: verdicts of one test, or of one drawn example; those of the corpus are held against its cases, one by one.
    examples: how many examples Hypothesis draws for a test, of N that the run asks for: N divided by this, upwards; 0
    where the cases are fixed. Of a covering design `lines` is more than it asks.
    bound: what the verdicts are by.  relation: whether two answers are compared.  again: whether a test asks one
    question several times, of the same module or of others beside it.
    """

    tests: int
    tested: str
    lines: int = 1
    examples: int = 0
    bound: str = "step"
    relation: bool = False
    again: bool = False

    def most(self, cases: int) -> int:
        """The most verdicts of one test that passed, vacuous ones apart: a vacuous example is drawn anew."""
        return self.lines * (-(-cases // self.examples) if self.examples else 1)


@cache
def all_tests(asked: Corpus | None = None) -> Mapping[str, Test]:
    """Name -> test, of a run that was asked this corpus; the suite's own when None."""
    found = {name: Test(**about) for name, about in json.loads(PATH.read_text(encoding="utf-8")).items()}
    whole, cases = f"{CORPUS}::test_the_corpus", corpus.cases() if asked is None else asked.cases
    return found | {whole: replace(found[whole], tests=len(cases))}


def number_for_a_target(asked: Corpus | None = None, target: Any = None) -> int:
    """How many tests of tests/properties there are for each target, of whose framework no finding is known.

    target: with its `findings` and `idioms`: each has a test, or each of IDIOMS, and where there is none there is one.
    """
    more = (max(len(target.findings) - 1, 0), len(IDIOMS) * max(len(target.idioms) - 1, 0)) if target else ()
    return sum(test.tests for test in all_tests(asked).values()) + sum(more)


def function(test: str) -> str:
    """The file and function of one of tests/properties' tests; empty for another."""
    return test.split("[")[0].removeprefix(FOLDER) if test.startswith(FOLDER) else ""


def asked_by(line: VerdictLine) -> Test | None:
    """The test that a verdict names; None for one that this suite has not."""
    return all_tests().get(function(line.test))


def misplaced(line: VerdictLine, test: Test, labels: Collection[str], kept: str = "eager") -> str:
    """Why the test that a line names leaves no such line of such a target; empty where it does.

    kept: the mode in which a target that compiles is asked most cases, but those of the corpus.
    """
    name = repr(line.test[:200])
    its, idiom = line.target.replace(" ", "-"), test.tested in IDIOMS
    if (f"[{its}-{line.idiom.replace(' ', '_')}]" if idiom else its) not in line.test:
        return f"{name} is no test of {line.target}{f' in the idiom {line.idiom!r}' if idiom else ''}"
    if line.property == ANSWER:
        of_relations = line.relation and (test.relation or not test.tested)
        fits = of_relations and line.verdict is None and line.outcome != "agrees"
        return "" if fits else f"{ANSWER!r} records the answers that are missing to a test of relations, and no others"
    several = test.tested in (PORT, IN_MODE, GRADIENTS_IN, STACKED, PINNED)  # properties that begin so
    mine = line.property.startswith(test.tested) if several else line.property == test.tested
    if not test.tested or not mine or line.relation != test.relation:
        return f"{name} does not ask {line.property!r}, with relation {line.relation}"
    if test.tested == PORT and line.property.removeprefix(PORT) not in labels:
        return f"{line.property!r}: the run has no such target"
    asked = corpus.asked().get(line.property)
    modes = (asked.mode,) if asked else ("eager",) if idiom else ("eager", kept)
    modes = (line.property.removeprefix(GRADIENTS_IN),) if test.tested == GRADIENTS_IN else modes
    if line.features["mode"] not in modes and test.tested not in ("features", PINNED):
        return f"asked in mode {line.features['mode']}, {line.property!r} asks in mode {modes[-1]}"
    return ""


class Tally:
    """How often each test of one run asked, and whether that is what this suite asks."""

    def __init__(self, run: Run, asked: Corpus) -> None:
        self.run, self.tests = run, all_tests(asked)
        self.number = sum(number_for_a_target(asked, target) for target in run.header.targets)
        if run.header.older:
            self.number -= len(run.header.targets)  # which had no test of findings
        if not run.header.knows_idioms:
            self.number -= len(run.header.targets) * len(IDIOMS)
        self.failed = run.failed
        self.asked: Counter[str] = Counter()  # test -> verdicts, without vacuous examples: others were drawn instead
        self.questions: set[int] = set()  # of fixed tests: each is asked once
        self.again: Counter[str] = Counter()
        self.ended: set[str] = set()  # tests that an exception ended, which a finding names

    def add(self, line: VerdictLine) -> None:
        ended = line.outcome == "finding" and line.verdict is None
        self.ended |= {line.test} if ended else set()
        test = asked_by(line)
        # what ends an answer leaves no relation to judge
        of_none = line.outcome == "vacuous" or (ended and line.relation)
        self.asked[line.test] += not (test is not None and test.examples and of_none)
        if test is not None and not (test.examples or test.relation or test.again):
            asked = hash((line.test, question(line)))
            self.again[line.test] += asked in self.questions
            self.questions.add(asked)

    def problems(self) -> Iterator[str]:
        """Tests with more or fewer verdicts than they ask for, and the same question asked again."""
        for name, number in (+self.again).items():
            yield f"{name}: {number} questions were asked again, and it asks each once"
        for name, seen in self.asked.items():
            test = self.tests.get(function(name))
            if test is None or test.tested.startswith(PROPERTY) or test.tested == seeded.PROPERTY:
                continue  # held against its cases, one by one
            failed = name in self.failed  # what is drawn shrinks then, and what is fixed ends
            most = test.most(self.run.header.run.cases) * (len(self.run.header.targets) if test.tested == PORT else 1)
            whole = not (
                failed or name in self.ended or test.examples or self.run.incomplete or self.run.header.compact
            )
            if (seen > most and not (failed and test.examples)) or (whole and seen < most):
                yield f"{name}: {seen} verdicts, and it asks for {most}"

    def missing(self) -> Iterator[str]:
        """Tests of which too few or too many left a verdict; what was selected, or skipped as declared, may lack."""
        of_target: Counter[tuple[str, str]] = Counter()
        targets = {target.label: target for target in self.run.header.targets}
        labels = sorted(targets, key=len, reverse=True)
        for name in {*self.asked, *self.failed}:
            label = next((label for label in labels if label.replace(" ", "-") in name), "")
            of_target[label, function(name)] += 1
        whole = self.run.end is not None and not self.run.end.selection and not self.run.incomplete
        for label in labels:
            for name, test in self.tests.items():
                there, number = of_target[label, name], test.tests
                kept = test.tested in (PINNED, seeded.PROPERTY) or name.startswith(CORPUS)
                if test.tested == PINNED:
                    number = sum(targets[label].device.startswith(one.device) for one in targets[label].findings)
                    number -= self._said_by_others(targets[label])
                elif test.tested in IDIOMS:
                    fixed = test.tested == seeded.PROPERTY
                    number = sum(not one.absent and (fixed or one.drawn) for one in targets[label].idioms)
                kept = kept or not self.run.header.compact
                fewer = there < number and whole and kept and test.tested and not test.relation
                if there > number or fewer:
                    yield f"{label}: {there} tests {name} left verdicts, this suite has {number}"

    def _said_by_others(self, target: TargetLine) -> int:
        """How many pinned cases were skipped, where another finding that is present says what comes of such a case."""
        known, test = declarations.findings_of(target), f"{FOLDER}{PINNED_TEST}[{target.label.replace(' ', '-')}-"
        skipped = {line.test for line in self.run.tests if line.outcome == "skipped"}
        present = [one for one in known.values() if self.run.state(target.label, one.id) == "present"]
        return sum(
            f"{test}{one.id}]" in skipped
            and any(other.holds(one.case.features(), one.case.idiom) for other in present if other is not one)
            for one in known.values()
        )
