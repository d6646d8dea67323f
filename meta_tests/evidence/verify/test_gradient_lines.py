"""A line that was judged with gradients: what it says of their number and places must be possible."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pydantic")
from adapters import load
from adapters.capabilities import features_of_case
from adapters.running.trial import examine
from evidence.record import corpus
from evidence.record.lines import verdict_line
from evidence.record.schema import VerdictLine
from evidence.verify.consistency import bounds_of, inconsistencies

DECLARED: Any = SimpleNamespace(arithmetic=lambda features: features["dtype"])


def line_of(name: str) -> dict[str, Any]:
    case = corpus.cases()[name]
    trial = examine(load("reference"), case)
    return verdict_line(target="reference cpu", test="a test", tested=corpus.PROPERTY, relation=False, case=case,
                        features=features_of_case(case), outcome=trial.outcome, verdict=trial.verdict,
                        answer=trial.answer)  # fmt: skip


def problems(line: dict[str, Any]) -> list[str]:
    read = VerdictLine(**line)
    return list(inconsistencies(read, DECLARED, bounds_of(read, "step"), corpus.of(corpus.digests())))


@pytest.mark.parametrize("name", [name for name, case in corpus.cases().items() if case.cotangents is not None])
def test_what_a_run_records_is_consistent(name: str) -> None:
    assert problems(line_of(name)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda said: said.update(elements=said["elements"] + 1), "elements, a case of these sizes has"),
        (lambda said: said.update(bound="step"), "its property judges by 'gradient'"),
        (lambda said: said["worst"].update(array="dw_xx"), "'dw_xx' at time"),
        (lambda said: said["worst"].update(batch=999), "beyond the sizes of the case"),
        (lambda said: said["worst"].update(direction="sideways"), "direction 'sideways'"),
        (lambda said: said.update(detail="all is well"), "it has the detail"),
    ],
)
def test_planted_what_is_not_possible_is_found_out(change: Any, words: str) -> None:
    line = line_of(next(name for name, case in corpus.cases().items() if case.cotangents is not None))
    change(line["verdict"])
    assert any(words in problem for problem in problems(line)), problems(line)
