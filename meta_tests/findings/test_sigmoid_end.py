"""A finding by which a sigmoid may be NaN explains NaN, where it may be, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from adapters import Result
from adapters.numpy.adapter import ReferenceAdapter
from adapters.running.trial import examine
from findings import all_findings, explained


class Spoilt(ReferenceAdapter):
    """The last step of a sequence is a number that it ought not to be."""

    def __init__(self, sequence: int, number: float) -> None:
        super().__init__()
        self.place = sequence, number

    def run(self, *given: Any, **words: Any) -> Result:
        output, h_n = (np.array(one) for one in super().run(*given, **words)[:2])
        sequence, number = self.place
        output[sequence, -1] = h_n[-1, sequence] = number
        return Result(output, h_n)


PLACES = pytest.mark.parametrize(("sequence", "number", "outcome"), [
    (1, np.nan, "finding"),
    (1, 0.5, "vacuous"),
    (0, np.nan, "disagrees"),
    (0, 0.5, "disagrees"),
])  # fmt: skip


@PLACES
def test_it_explains_nan_of_huge_arguments_alone(sequence: int, number: float, outcome: str) -> None:
    (finding,) = (one for one in all_findings() if one.id == "F-394")
    trial = examine(Spoilt(sequence, number), finding.case.case(), "cpu")
    assert trial.outcome == "disagrees"
    assert explained(trial, [finding], finding.case.features()).outcome == outcome


@PLACES
def test_verify_says_the_same_of_the_answer_that_a_record_keeps(sequence: int, number: float, outcome: str) -> None:
    pytest.importorskip("pydantic")
    from evidence.verify.explanations import Findings

    (finding,) = (one for one in all_findings() if one.id == "F-394")
    trial: Any = examine(Spoilt(sequence, number), finding.case.case(), "cpu")
    known: Any = Findings.__new__(Findings)
    known.run = SimpleNamespace(state=lambda label, finding: "present")
    known.target = SimpleNamespace(adapter="litert", version="2.3.0", device="cpu", label="litert cpu")
    known.known, known.mode = {finding.id: finding}, "eager"
    line: Any = SimpleNamespace(outcome="finding", findings=[finding.id], features=finding.case.features(), idiom="",
                                relation=False, view={})  # fmt: skip
    problems = known.planted(trial.case, line, trial.answer, trial.verdict, "float32", "step")
    assert (problems == []) == (outcome == "finding"), problems
