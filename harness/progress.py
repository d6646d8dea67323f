"""What is going on in a long run, and whose test each one is: their order, their properties, a line now and then."""

import time

import pytest

from .target import Target, target_of

# what is asked first: an adapter that breaks the contract, or a product that is off, explains much of what follows
FIRST = ("test_self_check.py", "test_primitives.py")


def in_order(items: list[pytest.Item]) -> None:
    """Sort the tests: those of FIRST, where they judge a target, before all others."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(FIRST)) if target_of(item) else len(FIRST))


def about(target: Target) -> dict[str, str]:
    """What JUnit XML shows of a test's target."""
    return {"adapter": target.adapter.name, "version": str(target.adapter.version), "device": target.device}


class Progress:
    """Every some seconds a line: what is done, the cases so far and their rate, the adapter and the property."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.seconds = float(config.getoption("--progress"))  # 0: never
        self.tests = self.cases = 0
        self.total = 0  # as long as it is not known
        self.started = self.said = time.monotonic()

    def count(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self.tests += 1
            self.cases += int(dict(report.user_properties).get("cases", 0))
            if 0 < self.seconds <= time.monotonic() - self.said:
                self.say(report)

    def say(self, report: pytest.TestReport) -> None:
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        self.said = time.monotonic()
        rate = self.cases / (self.said - self.started)
        test = dict(report.user_properties)
        name = report.nodeid.split("::")[-1].split("[")[0]
        of = f" of {self.total}" if self.total else ""
        whose = f"{test['adapter']} {test['version']} on {test['device']}, " if "adapter" in test else ""
        terminal.ensure_newline()
        terminal.write_line(f"{self.tests}{of} tests, {self.cases} cases, {rate:.0f} a second: {whose}{name}")
