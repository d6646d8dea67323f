"""The pytest plugin: the options, and every hook of the suite. What a hook does is in the module that it calls."""

import functools
import gc
import os
import sys
import time
from collections.abc import Generator
from contextlib import nullcontext
from typing import Any

import pytest

STARTED = time.perf_counter()  # before all that takes long to be imported
try:
    from hypothesis import settings

    import adapters
    from evidence.record.environment import USER_FOLDER
    from evidence.record.ledger import Ledger

    from . import known_failures, pool, profiles, recording
    from .causes import Causes
    from .failures import Folder, new_run
    from .framework_warnings import FrameworkWarnings
    from .junit import JUnit, properties_of
    from .progress import Progress, about, in_order
    from .selection import Selection
    from .summary import Summary
    from .target import Target, target_of
    from .targets import named, targets
    from .times import Times
except ModuleNotFoundError as missing:
    if missing.name not in ("numpy", "ml_dtypes", "hypothesis"):
        raise
    sys.stderr.write(f"ERROR: {missing}; pip install -c constraints.txt numpy ml_dtypes hypothesis\n")
    raise SystemExit(pytest.ExitCode.USAGE_ERROR) from None

NAME = "rnn-equivalence"


def pytest_addoption(parser: pytest.Parser) -> None:
    option = parser.getgroup(NAME).addoption
    option("--framework", action="append", default=[], metavar="NAME",
           help=f"judge this framework only ({', '.join(adapters.KNOWN)}); may be repeated")  # fmt: skip
    option("--adapter", action="append", default=[], metavar="MODULE:CLASS",
           help="judge your own adapter; may be repeated")  # fmt: skip
    option("--device", action="append", default=[], metavar="DEVICE",
           help="judge on this device only: cpu, cuda, cuda:1, ...; may be repeated")  # fmt: skip
    option("--no-shrink", action="store_true",
           help="report the first failing case as it was drawn, not the smallest one")  # fmt: skip
    option("--isolate", action="store_true",
           help="run every case in a process of its own, which a framework may take down")  # fmt: skip
    option("--cases", type=int, metavar="N", help=f"Hypothesis examples for each property ({profiles.CASES})")
    option("--evidence", metavar="FILE", help="record every verdict in this file (python -m rnn_equivalence)")
    option("--known-failures", metavar="FILE", help="tests that are expected to fail, and why: docs/adapters.md")
    option("--strict-findings", action="store_true",
           help="fail where the version at hand has a finding: docs/findings.md")  # fmt: skip
    option("--any-version", action="store_true",
           help="judge older versions too than those that the adapters were run with")  # fmt: skip
    option("--pool", type=int, metavar="SEED",
           help="draw sizes, and the keys of what compiles, from this seed, as the run that named it")  # fmt: skip
    option("--progress", type=float, default=30.0, metavar="SECONDS",
           help="say what is going on so often (default 30; 0 for never)")  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    for name, value in getattr(config, "workerinput", {}).get("drawn", {}).items():
        setattr(config.option, name, value)
    if config.getoption("--any-version"):
        adapters.try_any_version()
    profiles.load(config)
    pool.choose(config)
    config.pluginmanager.register(Plugin(config), NAME)


@pytest.fixture(scope="session")
def every_target(request: pytest.FixtureRequest) -> list[Target]:
    """All targets of this run, for the properties that compare them with each other."""
    return request.config.pluginmanager.get_plugin(NAME).targets


@pytest.fixture(scope="session")
def ledger(request: pytest.FixtureRequest) -> Ledger:
    return request.config.pluginmanager.get_plugin(NAME).ledger


class Plugin:
    """One process of a run. Under pytest-xdist the workers judge; the controller counts, records and speaks."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.ledger, self.warnings = config, Ledger(), FrameworkWarnings()
        self.selection = Selection(config)
        self.worker = hasattr(config, "workerinput")
        self.run: str = getattr(config, "workerinput", {}).get("run") or new_run()  # the folder of its failures
        chosen = named(config, "--framework") + named(config, "--adapter")
        if chosen:
            self.selection.judge_only()
        journal = recording.journal_of(config)
        adapters.keep_compiled(USER_FOLDER / "out" / "compiled")
        with self.warnings.collected():
            self.found = [] if chosen else adapters.available()
            target = functools.partial(
                Target, ledger=self.ledger, journal=journal, isolate=bool(config.getoption("isolate")),
                failures=Folder(self.run), pool=config.getoption("--pool"),
                strict=bool(config.getoption("--strict-findings")),
            )  # fmt: skip
            self.targets = targets(config, self.found, target)
        self.times = Times(self.ledger, STARTED)
        gc.freeze()  # frameworks have made a million objects: they stay, and no collection need look at them again
        self.summary = Summary(self.targets, self.found, self.ledger)
        self.known = known_failures.of_file(config)
        self.progress, self.junit, self.causes = Progress(config), JUnit(), Causes(config, self.ledger)
        self.recording = None if self.worker or journal is None else recording.Recording(journal, config)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "target" not in metafunc.fixturenames:
            return
        of_each = {"finding": lambda target: target.findings, "idiom": lambda target: target.idioms}
        if of := next((name for name in of_each if name in metafunc.fixturenames), ""):
            pairs = [(target, one) for target in self.targets for one in of_each[of](target) or [None]]
            ids = [f"{target.id}-{getattr(one, 'id', one or 'none').replace(' ', '_')}" for target, one in pairs]
            metafunc.parametrize(("target", of), pairs, ids=ids)
        else:
            metafunc.parametrize("target", self.targets, ids=[target.id for target in self.targets])

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.known is not None:
            self.known.mark(items)
        in_order(items)
        for item in items:
            if target := target_of(item):
                item.user_properties += about(target).items()
            else:
                self.warnings.are_errors(item)
        if not self.whole:
            items[:] = [item for item in items if self._asked(item)]

    @property
    def whole(self) -> bool:
        """Whether every test is asked: a record is compared test by test, and a list of known failures names tests."""
        return self.known is not None or self.config.getoption("--evidence") is not None

    def _asked(self, item: pytest.Item) -> bool:
        target = target_of(item)
        return target is None or target.compiles is None or pool.asked(item, target)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.selection.deselected += len(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.progress.total = len(session.items)  # under pytest-xdist its workers collect, and tell it

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self.progress.total = len(ids)

    def pytest_sessionstart(self) -> None:
        if self.recording is not None:
            with self.warnings.collected():
                self.recording.begin(self.targets, self.found, os.environ["HYPOTHESIS_PROFILE"])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        target = target_of(item)
        with self.warnings.collected() if target else nullcontext(), self.times.test(target and target.label):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        before, target = self.ledger.total(), target_of(item)
        draws = target and hasattr(getattr(item, "obj", None), "hypothesis")  # what @given leaves on a function
        try:
            with self.times.draws(target.label) if target and draws else nullcontext():
                return (yield)
        finally:
            if target is not None:
                item.user_properties += [("cases", self.ledger.total() - before), *properties_of(item)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        self.causes.tell_of(report, item, call)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.recording is not None:
            self.recording.count(report)
        if self.known is not None:
            self.known.count(report)
        if not self.worker:
            for counting in (self.progress, self.junit, self.causes):
                counting.count(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """A worker of pytest-xdist begins: it leaves its failures where the others do, and draws of the same seeds.

        It reads the command line itself, which names none that was drawn here.
        """
        node.workerinput["run"] = self.run
        node.workerinput["drawn"] = {name: self.config.getoption(name) for name in ("pool", "hypothesis_seed")}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of pytest-xdist has finished: take over its counts."""
        output = getattr(node, "workeroutput", {})
        if "ledger" in output:
            self.ledger.merge(output["ledger"])
            self.warnings.seen.update(output["warnings"])
            # every worker collects all tests, and deselects the same
            self.selection.deselected = max(self.selection.deselected, output["deselected"])

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """After every other plugin, whatever it raises, and before the summary: the record is not lost with it."""
        self.selection.stopped = str(session.shouldstop or session.shouldfail or "")
        self.times.close()
        self.junit.finish(self.config)
        try:
            result = yield
            self.finish(session)
            return result
        except BaseException:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            raise
        finally:
            if self.recording is not None:
                self.recording.finish(session, self.selection.reason())

    def finish(self, session: pytest.Session) -> None:
        """Hand over the counts, or fail the run where something is missing in them."""
        if self.worker:
            self.config.workeroutput |= {  # type: ignore[attr-defined]
                "ledger": self.ledger.dump(), "deselected": self.selection.deselected,
                "warnings": dict(self.warnings.seen),
            }  # fmt: skip
            return
        whole = not self.selection.reason()
        missing = whole and self.summary.missing()
        stale = whole and self.known is not None and self.known.stale()
        if (missing or stale or self.summary.crashed) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_unconfigure(self) -> None:
        for target in self.targets:
            target.close()

    def pytest_report_header(self) -> list[str]:
        judged = [f"{t.adapter.name} {t.adapter.version} on {t.device}" for t in self.targets]
        absent = [f"{found.state}: {found.name} ({found.problem})" for found in self.found if not found.loads]
        asked = f"cases for each property: {settings().max_examples} (profile {os.environ['HYPOTHESIS_PROFILE']})"
        return [f"judged: {', '.join(judged)}", *absent, f"{asked}, sizes of --pool={self.config.getoption('--pool')}"]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        reason = self.selection.reason()
        if self.recording is not None:
            self.recording.tell(terminalreporter)
        if self.known is not None:
            self.known.tell(terminalreporter, reason)
        if terminalreporter.verbosity > 0:
            self.warnings.tell(terminalreporter)
        self.causes.tell(terminalreporter)
        self.summary.tell(terminalreporter, reason)
        if terminalreporter.verbosity <= 0:
            self.warnings.tell(terminalreporter)
        for words in pool.words(self.targets, self.whole) if self.summary.asked else []:
            terminalreporter.write_line(words)
