"""Where a run's time went: frameworks, judging, drawing, the rest, in seconds of all processes that judge."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from evidence.record.ledger import Ledger

from .table import Table

OUTSIDE = ""  # whose time is that before, between and after the tests
# what of the ledger makes a part, and what it is in the table
PARTS = {"framework": ("build", "run"), "judging": ("judge",), "drawing": ("draw",)}
SPENT = {"build": "building modules", "run": "running them", "judge": "reference and judging", "draw": "drawing cases"}


class Times:
    """The clock of a process: "test" and "draw" of each target. The rest of the ledger's seconds a target adds itself.

    What another target is asked in a test is time of the other's tests.  started: when the process began, of
    time.perf_counter.
    """

    def __init__(self, ledger: Ledger, started: float) -> None:
        self.ledger, self.started, self.in_tests = ledger, started, 0.0

    @contextmanager
    def test(self, target: str | None) -> Iterator[None]:
        """A test, with its setup, teardown and reports.  target: the label of the one that it judges, if any."""
        before, started = self._asked(), time.perf_counter()
        yield
        spent = time.perf_counter() - started
        self.in_tests += spent
        if target is not None:
            others = {label: now - before[label] for label, now in self._asked().items() if label != target}
            for label, seconds in {**others, target: spent - sum(others.values())}.items():
                self.ledger.spend(label, {"test": seconds})

    @contextmanager
    def draws(self, target: str) -> Iterator[None]:
        """The body of a test that draws its cases: all that does not ask a target is drawing."""
        before, started = self._asked().total(), time.perf_counter()
        try:
            yield
        finally:
            asked = self._asked().total() - before
            self.ledger.spend(target, {"draw": time.perf_counter() - started - asked})

    def close(self) -> None:
        """At the end of a process that ran tests, before its ledger is merged into another."""
        if self.in_tests:
            self.ledger.spend(OUTSIDE, {"test": time.perf_counter() - self.started - self.in_tests})

    def _asked(self) -> Counter[str]:
        return Counter({label: seconds for (label, what), seconds in self.ledger.seconds.items() if what == "ask"})


def line(ledger: Ledger, labels: Sequence[str]) -> str:
    """The shares of the time of each target's tests; empty where none was judged."""
    told = []
    for label in labels:
        if whole := ledger.seconds[label, "test"]:
            parts = [sum(ledger.seconds[label, what] for what in whats) / whole for whats in PARTS.values()]
            told.append(f"{label} {' '.join(f'{share:.2f}' for share in (*parts, 1 - sum(parts)))} of {whole:.0f} s")
    outside = f"outside of the tests {ledger.seconds[OUTSIDE, 'test']:.0f} s"
    return f"Time in {', '.join(PARTS)}, the rest: {'; '.join([*told, outside])}" if told else ""


def table(ledger: Ledger, labels: Sequence[str]) -> Table:
    """The same in seconds."""
    rows = []
    for label in labels:
        spent = [ledger.seconds[label, what] for what in SPENT]
        rest = ledger.seconds[label, "test"] - sum(spent)
        rows.append((label, *(f"{seconds:.1f}" for seconds in (*spent, rest))))
    columns = (f"{words} (s)" for words in (*SPENT.values(), "the rest"))
    return Table("Where the time went", ("target", *columns), rows)
