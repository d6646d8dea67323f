"""An adapter in the place of the reference's, which has findings: one of each kind, made here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from adapters import Result
from adapters.contract import Idiom, features_of_case
from adapters.numpy.adapter import ReferenceAdapter
from evidence.record import seeded
from evidence.record.lines import idiom_lines
from evidence.verify import declarations
from evidence.verify.questions import FOLDER
from findings.finding import Finding, parse
from harness.target import Target
from reference import Case
from reference.faults import implementation
from reference.judging.view import View, answer_of

FILE = """
id = "{id}"
title = "{title}"
kind = "{kind}"
framework = "reference"
link = "https://example.org/issues/{id}"
avoid = "Use another version."
[versions]
wrong = ["1"]
right = []
[trigger]
{trigger}
[what]
{what}
[case]
input_size = 3
hidden_size = 5
batch = {batch}
time = 4
{case}
"""


def made(named: str, title: str, trigger: str, what: str, case: str = "", **others: object) -> Finding:
    """others: kind and batch, where they are not the usual ones."""
    told = {"kind": "fault", "batch": 2, "id": named, "title": title, "trigger": trigger, "what": what, "case": case}
    return parse(tomllib.loads(FILE.format(**(told | others))))


RELU = 'nonlinearity = ["relu"]\ndtype = ["float32"]'
FINDINGS = {
    finding.id: finding
    for finding in (
        made("F-901", "Biases are ignored", RELU, 'fault = "biases_ignored"', 'nonlinearity = "relu"'),
        made("F-902", "Float32 is multiplied in TF32", 'nonlinearity = ["tanh"]\ndtype = ["float32"]',
             'arithmetic = "tf32"'),
        made("F-903", "A batch of one is no batch", 'batch = ["1"]\nlayout = ["batch_first"]',
             'exception = "IndexError"\nwords = "no batch"', 'dtype = "float64"', batch=1),
        made("F-904", "What is in memory is added", 'layout = ["unbatched"]', 'not_expressible = "it is random"',
             'layout = "unbatched"', batch=1),
        made("F-905", "Initial states are ignored by default", 'h0 = [true]\ndtype = ["float64"]',
             'fault = "h0_ignored"', 'h0 = true\ndtype = "float64"', kind="documented"),
        made("F-906", "Called twice, it doubles its input", 'dtype = ["float64"]\nidiom = "twice"',
             'fault = "x_doubled"', 'dtype = "float64"\nidiom = "twice"'),
    )
}  # fmt: skip


LAST, HELD = View(output="last step", states="none"), View(masked="held")


class Wrong(ReferenceAdapter):
    """The reference, with some of FINDINGS in this version."""

    source = "reference"

    def __init__(self, *has: str) -> None:
        super().__init__()
        self.has = has
        self.idioms = {
            "twice": Idiom("by calling it twice", self.twice),
            "last output": Idiom("for its last output", self.showing(LAST), LAST),
            "held": Idiom("as it holds", self.showing(HELD), HELD, {(("h0", True),): "it is given no initial states"}),
            "elsewhere": Idiom("on another machine", Case.answer, absent="there is no other machine"),
        }

    def showing(self, view: View) -> Any:
        return lambda case, device: Result(*answer_of(view, case, *case.answer()))

    def twice(self, case: Case, device: str) -> Result:
        wrong = "F-906" in self.has and case.dtype == "float64"
        return self.answered(case, "F-906") if wrong else Result(*case.answer())

    def run(
        self,
        module: Any,
        x: np.ndarray,
        h0: Any = None,
        lengths: Any = None,
        layout: str = "batch_first",
        mask: Any = None,
    ) -> Result:
        case = Case(module.spec, tuple(module.parameters), x, h0, lengths, layout, mask=mask)
        asked = features_of_case(case)
        mine = [FINDINGS[one] for one in self.has if FINDINGS[one].holds(asked)]
        for finding in mine:
            if finding.what.exception:
                raise IndexError("there is no batch here")
        for finding in mine:
            return self.answered(case, finding.id)
        return super().run(module, x, h0, lengths, layout, mask)

    def answered(self, case: Case, finding: str) -> Result:
        """The answer that is as wrong as a finding says."""
        what = FINDINGS[finding].what
        if what.fault:
            return Result(*implementation((what.fault,), Case.answer)(case))
        output, h_n = case.answer()
        if what.arithmetic:
            return Result(output * np.float32(1 - 2.0**-14), h_n * np.float32(1 - 2.0**-14))
        return Result(output + 1, h_n)


class Fallen(Wrong):
    """In one idiom it is wrong: the last output is twice what it should be."""

    def __init__(self, *has: str) -> None:
        super().__init__(*has or ("F-906",))
        self.idioms["last output"] = self.idioms["last output"]._replace(answer=self.last)

    def last(self, case: Case, device: str) -> Result:
        output, _ = answer_of(LAST, case, *case.answer())
        return Result(2 * np.asarray(output), None)


@contextmanager
def known(*ids: str) -> Iterator[None]:
    """The suite knows these findings, and no others."""
    some = tuple(FINDINGS[one] for one in ids or FINDINGS)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("findings.states", "evidence.verify.declarations"):
            patch.setattr(f"{module}.all_findings", lambda: some)
        there, own = dict(declarations.known()), ("reference", "", "cpu")
        there[own] = there[own] | {"idioms": idiom_lines(Wrong().idioms)}
        patch.setattr(declarations, "known", lambda: there)
        yield


def ask_idioms(target: Target, *words: str) -> None:
    """What tests/properties/test_idioms.py asks of a target in these idioms, but for what is drawn."""
    for word in words:
        test = f"{FOLDER}test_idioms.py::test_every_feature_in_an_idiom[{target.id}-{word.replace(' ', '_')}]"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTEST_CURRENT_TEST", f"{test} (call)")
            try:
                target.check(seeded.PROPERTY, *seeded.cases_of(target.offered(word)), idiom=word)
            except AssertionError:
                target.failed.add(test)  # type: ignore[attr-defined]


def ask_findings(target: Target) -> None:
    """What tests/properties/test_findings.py asks of a target."""
    for finding in target.findings:
        test = f"{FOLDER}test_findings.py::test_the_pinned_case[{target.id}-{finding.id}]"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTEST_CURRENT_TEST", f"{test} (call)")
            try:
                target.check_finding(finding)
            except AssertionError:
                target.failed.add(test)  # type: ignore[attr-defined]
