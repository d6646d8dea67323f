"""The checks of findings see what they are for: a framework that is wrong as said, and findings that say it amiss."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from adapters.contract import features_of_case
from adapters.numpy.adapter import ReferenceAdapter
from findings import Finding
from findings.finding import PLANTED, What
from meta_tests.common.features import USUAL
from reference import Case
from reference.faults import Fault

from . import checks
from .checks import Answers, Asked

FAULT = PLANTED["lengths_ignored"]
RIGHT = Finding(
    "F-900", "Lengths are ignored in reverse", "fault", "reference", "none known", "Run forward.", ("1",), (),
    trigger={"lengths": ("mixed", "with zeros"), "direction": ("reverse",), "dtype": ("float32", "float64")},
    what=What(fault=FAULT), case=replace(USUAL, direction="reverse", lengths=(4, 2, 3)),
)  # fmt: skip


def wrong(case: Case) -> list[Fault]:
    """Lengths are ignored where RIGHT says so."""
    return [FAULT] if RIGHT.holds(features_of_case(case)) else []


def said(check: Any, finding: Finding) -> str:
    asked = Asked(Answers(ReferenceAdapter(), wrong), "reference", [finding])
    return "\n".join(check(finding, asked))


def changed(**trigger: Any) -> Finding:
    return replace(RIGHT, trigger={**RIGHT.trigger, **trigger})


def every_check() -> Iterator[Any]:
    return iter((checks.too_narrow, checks.not_as_said, checks.taken_for_it))


def test_a_finding_that_says_what_is_wrong_passes_them_all() -> None:
    assert [said(check, RIGHT) for check in every_check()] == ["", "", ""]


@pytest.mark.parametrize(
    ("check", "finding", "words"),
    [
        (checks.too_narrow, changed(dtype=("float32",)), "outside the trigger of F-900, .*dtype='float64'"),
        (checks.too_narrow, changed(lengths=("mixed",)), r"outside the trigger of F-900, .*lengths=\(4, 0"),
        (checks.not_as_said, changed(direction=("forward", "reverse")), "no case of direction forward is wrong"),
        (checks.not_as_said, changed(dtype=("float32", "float16")), "no case of dtype float16 is wrong"),
        (checks.not_as_said, replace(RIGHT, what=What(fault=PLANTED["w_hh_transposed"])), "inside the trigger"),
    ],
)
def test_a_finding_that_says_it_amiss_does_not(check: Any, finding: Finding, words: str) -> None:
    assert re.search(words, said(check, finding))


def test_a_finding_that_would_explain_anything_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "explained", lambda trial, *_: replace(trial, outcome="finding", findings=("F-900",)))
    assert "takes for its own what comes of" in said(checks.taken_for_it, RIGHT)
