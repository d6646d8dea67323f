"""pytest --evidence=FILE: what the run is, what its tests came to, and the file's beginning and end."""

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import Phase, settings

from adapters import FEATURES, Availability
from adapters.running.guard import told, warnings_shown
from evidence.record import corpus
from evidence.record.environment import environment, suite
from evidence.record.journal import Journal, now, partial_path
from evidence.record.ledger import AXES, DRAWS
from evidence.record.lines import FORMAT, Line, declarations, finding_line, idiom_lines, refusals

from .known_failures import outcome_of
from .target import Target

SETTINGS = (type(None), str, bool, int, float)  # what stays as it is of what an adapter says of its environment


def header(targets: Sequence[Target], found: Sequence[Availability], run: Line) -> Line:
    """The first line of a run's record. run: profile, cases, seed, shrink."""
    return {
        "kind": "header",
        "format": FORMAT,
        "suite": suite(),
        "run": {"started": now(), **run},
        "environment": environment(),
        "features": {name: list(values) for name, values in FEATURES.items()},
        "axes": list(AXES),
        "corpora": corpus.digests(),
        "targets": [target_line(target) for target in targets],
        "absent": [{"name": f.name, "problem": f.problem} for f in found if not f.loads],
    }


def target_line(target: Target) -> Line:
    adapter, capabilities = target.adapter, target.capabilities
    return {
        "label": target.label,
        "adapter": str(adapter.name),
        "source": target.source,
        "version": str(adapter.version),
        "backend": str(getattr(adapter, "backend", "")),
        "device": target.device,
        "unsupported": declarations(
            {(one,): why for one, why in capabilities.unsupported.items()} | dict(capabilities.together)
        ),
        "refused": refusals(capabilities.refused),
        "findings": [finding_line(finding) for finding in target.findings],
        "idioms": idiom_lines(target.idioms),
        "emulated": declarations({(one,): how for one, how in capabilities.emulated.items()}),
        "arithmetics": declarations(capabilities.arithmetics),
        "environment": _environment(target),
        "compiles": target.compiles and target.compiles._asdict(),
    }


def _environment(target: Target) -> Line:
    """What else decides the numbers, in the adapter's words. That it cannot be told is recorded: it loses no run."""
    about: Callable[[], Any] = getattr(target.adapter, "environment", dict)
    try:
        with warnings_shown():
            given = about()
            if isinstance(given, dict):
                return {str(name): value if type(value) in SETTINGS else str(value) for name, value in given.items()}
    except Exception as error:
        return {"environment()": f"raised {told(error)}"}
    raise pytest.UsageError(f"{target.label}: environment() gave {type(given).__name__}, expected a dict")


class Recording:
    """The record of a run, in the process that controls it: the journal's beginning, its tests and its end."""

    def __init__(self, journal: Journal, config: pytest.Config) -> None:
        self.journal, self.config = journal, config
        self.tests: Counter[str] = Counter()
        self.begun = False
        self.said = f"Recorded in {config.getoption('--evidence')}."

    def begin(self, targets: Sequence[Target], found: Sequence[Availability], profile: str) -> None:
        seed = str(self.config.getoption("--hypothesis-seed") or "")
        run = {
            "profile": profile,
            "cases": settings().max_examples,
            "seed": int(seed) if seed.isdecimal() else None,
            "shrink": Phase.shrink in settings().phases,
            "pool": self.config.getoption("--pool"),
            "draws": DRAWS,
        }
        try:
            self.journal.begin(header(targets, found, run))
        except OSError as error:
            raise pytest.UsageError(f"--evidence: {error}") from error
        self.begun = True

    def count(self, report: pytest.TestReport) -> None:
        """Every test is counted by its outcome, as pytest counts it; what did not pass says why."""
        if report.when != "call" and report.outcome == "passed":
            return
        outcome = "error" if report.when != "call" and report.outcome == "failed" else outcome_of(report)
        self.tests[outcome] += 1
        if outcome != "passed":
            self.journal.write({"kind": "test", "test": report.nodeid, "outcome": outcome, "message": _words(report)})

    def finish(self, session: pytest.Session, part: str) -> None:
        """part: why not everything was run; empty where it was."""
        if not self.begun:
            return
        try:
            self.journal.finish(int(session.exitstatus), part, self.tests)
        except OSError as error:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            self.said = f"NOT recorded: {error}; what was reached is in {partial_path(self.journal.path)}"

    def tell(self, terminal: pytest.TerminalReporter) -> None:
        if self.begun:
            terminal.write_line(self.said)


def _words(report: pytest.TestReport) -> str:
    """Why a test did not pass, in its own words: no traceback, and no path but those in the words."""
    known = f"known failure: {report.wasxfail}\n" if outcome_of(report) == "xfailed" else ""
    if isinstance(report.longrepr, tuple):  # a skipped test: file, line, reason
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return known + str(crash.message if crash else report.longrepr)


def journal_of(config: pytest.Config) -> Journal | None:
    """The journal of the file that --evidence names; None without the option.

    Cases that are drawn anew in every run get a seed, so that they can be drawn again. Hypothesis reads the
    option after us, and the workers of pytest-xdist are told it (plugin.pytest_configure_node).
    """
    named = config.getoption("--evidence")
    if named is None:
        return None
    try:
        path = (config.invocation_params.dir / named).resolve()
        possible = path.parent.is_dir() and (path.is_file() or not path.exists())
    except (OSError, RuntimeError) as error:  # a name that is too long, links in a circle
        raise pytest.UsageError(f"--evidence: {error}") from error
    if not possible:
        raise pytest.UsageError(f"--evidence: got {named!r}, expected the name of a file in a folder that exists")
    if config.getoption("collectonly"):
        raise pytest.UsageError("--evidence: a run that only collects its tests has nothing to record")
    config.option.evidence = str(path)
    if not settings().derandomize and config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))
    return Journal(path)
