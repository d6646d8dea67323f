"""A process of its own for what may take one down: it dies, hangs, refuses and crashes, and each is told apart."""

from __future__ import annotations

import re
import time
import warnings

import numpy as np
import pytest

import adapters
from adapters.running.child import Child, ChildStack, Died
from adapters.running.trial import Trial, attempt, examine
from meta_tests.evidence.record.test_record import suite
from reference import Case, RNNSpec
from reference.draws import draw_case

CASE = draw_case(RNNSpec(3, 4, 2, "bidirectional"), batch=3, time=5, h0=True, lengths=(5, 1, 3))


def asked(name: str, case: Case = CASE, patience: float = 120.0) -> adapters.Result:
    child = Child(f"meta_tests.common.references:{name}", patience)
    try:
        return child.answer(case, "cpu", "eager")
    finally:
        child.close()


def test_the_answer_is_the_adapters_own_bit_for_bit() -> None:
    for a, b in zip(asked("Mirror")[:2], CASE.answer(), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def test_what_the_adapter_prints_is_no_answer() -> None:
    assert asked("Talking").output.shape == (3, 5, 8)


def test_lower_layers_come_through() -> None:
    assert [p.shape for p in asked("Showing").prefixes or ()] == [(3, 5, 8)]


@pytest.mark.parametrize("how", ["Segfaulting", "Exiting", "Gasping"])
def test_a_process_that_dies_is_a_crash_and_the_next_case_gets_a_new_one(how: str) -> None:
    child = Child(f"meta_tests.common.references:{how}")
    adapter = adapters.load(f"meta_tests.common.references:{how}")
    try:
        trial = examine(adapter, CASE, stack=ChildStack(child, adapter, CASE, "cpu", "eager"))
        said = {"Segfaulting": "SIGSEGV", "Exiting": "exit status 3", "Gasping": "exit status 4: out of tape"}[how]
        assert (trial.outcome, trial.message) == (
            "crashed",
            f"Died: the process of meta_tests.common.references:{how} died: {said}",
        )
        small = draw_case(RNNSpec(2, 2), batch=1, time=1)
        stack = ChildStack(child, adapter, small, "cpu", "eager")
        assert examine(adapter, small, stack=stack).outcome == "agrees"
        assert stack.seconds["run"] > 0
    finally:
        child.close()


def test_a_process_that_dies_is_not_waited_for_where_another_holds_its_pipe() -> None:
    started = time.monotonic()
    with pytest.raises(Died, match="exit status 5"):
        asked("Outlived")
    assert time.monotonic() - started < 25


def test_a_process_that_hangs_is_ended() -> None:
    with pytest.raises(Died, match=r"no answer within 2 s"):
        asked("Hanging", patience=2.0)


@pytest.mark.parametrize(
    ("name", "outcome", "message"),
    [
        ("Refusing", "not offered", "not on a Sunday"),
        ("Declining", "not offered", "nobody can ask"),
        ("Forbidding", "refused", "BufferError: there is no state here"),
        ("Crashing", "crashed", "ZeroDivisionError: no units"),
    ],
)
def test_refusals_and_crashes_keep_their_words(name: str, outcome: str, message: str) -> None:
    child = Child(f"meta_tests.common.references:{name}")
    adapter = adapters.load(f"meta_tests.common.references:{name}")
    try:
        trial = attempt(ChildStack(child, adapter, CASE, "cpu", "eager"), CASE)
        assert isinstance(trial, Trial)
        assert (trial.outcome, trial.message) == (outcome, message)
    finally:
        child.close()


def test_what_was_raised_in_the_process_is_raised_here() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError: no units"):
        asked("Crashing")
    with pytest.raises(adapters.NotOffered, match="nobody can ask"):
        asked("Declining")


def test_an_adapter_that_cannot_be_loaded_says_why() -> None:
    module = r"meta_tests\.common\.references"
    words = rf"the process of \S+ died: exit status 1: adapter {module}:NoSuch: {module} has no 'NoSuch'$"
    with pytest.raises(Died, match=words):
        asked("NoSuch")


def test_what_the_process_warns_of_is_a_warning_here() -> None:
    """Of importing and of running, whatever the filters are; a category that is not Python's by its name."""
    child = Child("meta_tests.common.warner:Alarmist")
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("error")
            child.answer(CASE, "cpu", "eager")
    finally:
        child.close()
    told = {(warning.category.__name__, str(warning.message)) for warning in heard}
    assert {
        ("DeprecationWarning", "imported"),
        ("PendingDeprecationWarning", "made"),
        ("RuntimeWarning", "run"),
    } <= told


def test_isolated_a_framework_that_dies_loses_its_case_and_not_the_run() -> None:
    """With --isolate every case runs in a process of its own: six die, twelve others are answered."""
    few = "(step or (vectors and 16)) and not gru and not lstm and not gradients"
    run = suite("tests/properties/test_corpus.py", "-k", few, "--device", "cpu",
                "--adapter", "meta_tests.common.references:Segfaulting", "--isolate", "--no-shrink")  # fmt: skip
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stderr
    assert "6 failed, 12 passed" in run.stdout
    assert "crashed: Died: the process of meta_tests.common.references:Segfaulting died: SIGSEGV" in run.stdout
    head, row = (
        next(line for line in run.stdout.splitlines() if line.startswith(start))
        for start in ("┃ target", "│ mirror cpu")
    )
    columns = zip(head.split("┃")[2:-1], row.split("│")[2:-1], strict=True)
    assert {name.strip(): cell.strip() for name, cell in columns} == {
        "agrees": "12", "disagrees": "0", "crashed": "6"
    }  # fmt: skip


def test_where_the_time_went_is_told() -> None:
    run = suite("tests/properties/test_corpus.py", "-v", "-v", "-k", "one and step", "--device", "cpu", "--adapter",
                "meta_tests.common.references:Slow")  # fmt: skip
    assert run.returncode == 0, run.stdout
    table = run.stdout[run.stdout.index("Where the time went") :]
    built, ran, judged, drawn, rest = (float(word) for word in re.findall(r"\d+\.\d", table)[:5])
    assert ran >= 6 * 0.1 > built
    assert judged < ran
    assert drawn == 0.0
    assert rest < 6 * 0.1
