"""Every fault in sequences of calls is seen by tests/properties/test_calls.py, and named where it can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evidence.record.ledger import Ledger
from harness import calls, failures
from harness.calls import together
from harness.failures import Folder
from harness.target import Target
from meta_tests.common.faulty_calls import PLANTED, InCalls
from meta_tests.common.wrong import Wrong, made
from reference import DIRECTIONS
from tests.properties import test_calls as asked

QUESTIONS: list[Callable[[Target], None]] = [
    *(lambda target, d=d: asked.test_one_module_asked_again_and_again(target, d) for d in DIRECTIONS),
    *(lambda target, d=d: asked.test_an_array_that_is_filled_anew_between_calls(target, d) for d in DIRECTIONS),
    asked.test_modules_that_differ_in_one_array,
    asked.test_modules_that_differ_in_one_word,
    *(lambda target, n=n: asked.test_threads_that_are_answered_at_the_same_time(target, n) for n in (1, 2)),
]


def failed(name: str) -> Iterator[str]:
    """What each failing test says of an adapter."""
    target = Target(InCalls(name), "cpu", Ledger(), f"meta_tests.common.faulty_calls:{name}", failures=Folder())
    for question in QUESTIONS:
        try:
            question(target)
        except AssertionError as error:
            yield str(error)


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(failures, "FAILURES", tmp_path)


def test_an_adapter_without_a_fault_passes() -> None:
    assert not [*failed("Healthy")]


@pytest.mark.parametrize("name", [name for name in PLANTED if name != "Healthy"])
def test_a_fault_in_sequences_of_calls_is_seen_and_named(name: str) -> None:
    said, told = [], PLANTED[name].told or "it depends on what else was asked"
    assert any(told in text for text in failed(name) if said.append(text) is None), said


def test_threads_that_a_finding_leaves_out_are_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may end the process. Where each has a module of its own they are."""
    target, started = Target(Wrong(), "cpu", Ledger(), "meta_tests.common.wrong:Wrong"), []
    shared = made("F-999", "A module is not shared", 'idiom = "twice"', 'not_expressible = "a race"', 'idiom = "twice"')
    monkeypatch.setattr(calls, "IN_THREADS", "twice")
    monkeypatch.setattr(calls, "together", lambda cases, *more: started.append(len(cases)) or together(cases, *more))
    monkeypatch.setattr(Target, "present", lambda target, features, idiom="": [shared] if idiom == "twice" else [])
    for modules, came in ((1, {"agrees": 2, "left out": 2}), (2, {"agrees": 6, "left out": 2})):
        asked.test_threads_that_are_answered_at_the_same_time(target, modules)
        assert dict(target.ledger.outcomes(target.label)) == came
    assert started == [2]
