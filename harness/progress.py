"""What is going on in a long run, and whose test each one is: their order, their properties, a line now and then."""

from __future__ import annotations

import time
from collections.abc import Generator

import pytest

from evidence.record.ledger import Ledger

from .target import Target

# what is asked first: an adapter that breaks the contract, or a product that is off, explains much of what follows
FIRST = ("test_self_check.py", "test_primitives.py")


class Properties:
    """Gives each test of a target its adapter, version, device and number of cases, which JUnit XML shows."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: _place(item) if target_of(item) else len(FIRST))
        for item in items:
            target = target_of(item)
            if target is not None:
                about = {
                    "adapter": target.adapter.name,
                    "version": str(target.adapter.version),
                    "device": target.device,
                }
                item.user_properties += about.items()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        before, started, target = self.ledger.total(), time.perf_counter(), target_of(item)
        try:
            return (yield)
        finally:
            if target is not None:
                item.user_properties.append(("cases", self.ledger.total() - before))
                self.ledger.spend(target.label, {"test": time.perf_counter() - started})


def _place(item: pytest.Item) -> int:
    return FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST)


def target_of(item: pytest.Item) -> Target | None:
    """The target that a test judges; None where it judges none."""
    callspec = getattr(item, "callspec", None)
    target = callspec.params.get("target") if callspec else None
    return target if isinstance(target, Target) else None


class Progress:
    """Every some seconds a line: what is done, the cases so far and their rate, the adapter and the property."""

    def __init__(self, config: pytest.Config, seconds: float) -> None:
        self.config, self.seconds = config, seconds
        self.tests = self.cases = 0
        self.total: int | None = None
        self.started = self.said = time.monotonic()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.total = len(session.items) or None  # under pytest-xdist its workers collect, and tell it

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: list[str]) -> None:
        self.total = len(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self.tests += 1
            self.cases += int(dict(report.user_properties).get("cases", 0))
            if time.monotonic() - self.said >= self.seconds:
                self.say(report)

    def say(self, report: pytest.TestReport) -> None:
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        self.said = time.monotonic()
        rate = self.cases / (self.said - self.started)
        about = dict(report.user_properties)
        name = report.nodeid.split("::")[-1].split("[")[0]
        of = f" of {self.total}" if self.total else ""
        whose = f"{about['adapter']} {about['version']} on {about['device']}, " if "adapter" in about else ""
        terminal.ensure_newline()
        terminal.write_line(f"{self.tests}{of} tests, {self.cases} cases, {rate:.0f} a second: {whose}{name}")
