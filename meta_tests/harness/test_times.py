"""Where the time goes: who asks, who draws, what another target is asked; one line of it, and a table on request."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace
from typing import Any

import pytest

from evidence.record.ledger import Ledger
from harness.relations import answer, check_pair
from harness.target import Target
from harness.times import Times, line, table
from meta_tests.common.process import suite
from meta_tests.common.references import Mirror
from meta_tests.common.usual_case import usual

MIRROR = ("--adapter", "meta_tests.common.references:Mirror", "--device", "cpu")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The time of every module of the harness: it stands still, until a test sets it."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    return clock


def test_what_asks_no_target_is_drawing_and_another_target_pays_for_itself(clock: Any) -> None:
    ledger = Ledger()
    times = Times(ledger, started=90.0)
    with times.test("a"):
        clock.now += 1.0  # setup
        with times.draws("a"):
            clock.now += 8.0
            ledger.spend("a", {"ask": 3.0, "run": 2.0, "judge": 1.0})
            ledger.spend("b", {"ask": 1.0, "run": 1.0})
    with times.test(None):
        clock.now += 5.0
    times.close()
    spent = {(label, what): seconds for (label, what), seconds in ledger.seconds.items() if what in ("test", "draw")}
    assert spent == {("a", "test"): 8.0, ("b", "test"): 1.0, ("a", "draw"): 4.0, ("", "test"): 10.0}
    shares = "a 0.25 0.12 0.50 0.12 of 8 s; b 1.00 0.00 0.00 0.00 of 1 s; outside of the tests 10 s"
    assert line(ledger, ["a", "b", "c"]) == f"Time in framework, judging, drawing, the rest: {shares}"
    assert table(ledger, ["a"]).rows == [("a", "0.0", "2.0", "1.0", "4.0", "1.0")]
    assert line(ledger, ["c"]) == ""


def test_a_process_that_runs_no_test_has_no_time() -> None:
    """The one that controls the workers of pytest-xdist, above all."""
    ledger = Ledger()
    Times(ledger, started=0.0).close()
    assert not ledger.seconds


def test_a_target_adds_up_what_it_is_asked() -> None:
    ledger = Ledger()
    target = Target(Mirror(), "cpu", ledger, "mirror")
    target.check("x", usual())
    checked = ledger.seconds[target.label, "ask"]
    first, second = answer(target, usual()), answer(target, usual())
    answered = ledger.seconds[target.label, "ask"]
    check_pair(target, "y", usual(), first, second)
    assert 0 < checked < answered < ledger.seconds[target.label, "ask"]
    parts = sum(ledger.seconds[target.label, what] for what in ("build", "run", "judge"))
    assert 0 < parts < ledger.seconds[target.label, "ask"]


@pytest.mark.parametrize("more", [["-n2"], ["-vv"]])
def test_a_run_tells_it_in_one_line_and_on_request_in_a_table(more: list[str]) -> None:
    """The process of a run that only controls others is not among those that it tells of."""
    asked = "forward and float32 and (test_answers or test_permuting)"
    run = suite("tests/properties", "-k", asked, *MIRROR, *more)
    assert run.returncode == 0, run.stdout + run.stderr
    shares = re.findall(
        r"^Time in .*: mirror cpu ([\d. ]+) of \d+ s; outside of the tests \d+ s$", run.stdout, re.MULTILINE
    )
    assert len(shares) == 1
    framework, judging, drawing, rest = map(float, shares[0].split())
    assert min(framework, judging, drawing) > 0
    assert round(framework + judging + drawing + rest, 1) == 1, "each has two digits"
    assert ("Where the time went" in run.stdout) == (more == ["-vv"])
