"""pytest --known-failures FILE: tests that are expected to fail, and why. What is listed must be there, and fail.

Properties whose cases are drawn cannot be listed: which of them fail differs from run to run, and shrinking a failure
down to what is expected would hide another.
"""

import functools
import tomllib
from collections import Counter
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from findings.fields import table
from reference import limits
from reference.files import read_text

from .target import Target, target_of

INDEX = "known failure"  # the name under which a test's reports hold the number of its entry
PASSED = "[XPASS(strict)]"  # how pytest's report of an expected failure that passes begins


@dataclass(frozen=True)
class KnownFailure:
    """An entry: a target's label, a test's name, what pytest shows in brackets without the target; why, and where
    that is told. The first three may hold *, ? and [...] as in a shell."""

    target: str
    property: str
    case: str
    reason: str
    link: str

    def fits(self, target: str, tested: str, case: str) -> bool:
        return all(map(fnmatchcase, (target, tested, case), (self.target, self.property, self.case)))

    def __str__(self) -> str:
        return f"{self.target}, {self.property} [{self.case}]"


FIELDS = dict.fromkeys((field.name for field in fields(KnownFailure)), str)


def read(path: Path) -> list[KnownFailure]:
    """The entries of a file. Raises UsageError, naming the field, for anything that is not one."""
    try:
        text = read_text("file", path, limits.LIST_BYTES)
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > limits.LIST_LINE:
                raise ValueError(f"line {number}: got {len(line)} characters, expected at most {limits.LIST_LINE}")
        return _entries(tomllib.loads(text))
    except (OSError, ValueError) as error:  # not there, not text, not TOML, not a list of failures
        raise pytest.UsageError(f"--known-failures: {path.name}: {error}") from error
    except RecursionError:
        words = "got lists nested too deeply, expected [[failure]] entries"
        raise pytest.UsageError(f"--known-failures: {path.name}: {words}") from None


def _entries(content: dict[str, Any]) -> list[KnownFailure]:
    entries = content.get("failure")
    if set(content) != {"failure"} or not isinstance(entries, list):
        raise ValueError(f"got {sorted(content)}, expected [[failure]] entries only")
    asked: dict[tuple[str, str, str], int] = {}
    found = []
    for number, given in enumerate(entries, 1):
        entry = KnownFailure(**table(f"failure {number}", given, FIELDS))
        if (first := asked.setdefault((entry.target, entry.property, entry.case), number)) != number:
            raise ValueError(f"failure {number}: target, property and case are those of failure {first}")
        found.append(entry)
    return found


class KnownFailures:
    """The list of a run: it marks the tests that are listed, and counts what came of them. Under pytest-xdist the
    workers mark and the controller counts."""

    def __init__(self, path: Path) -> None:
        self.name, self.failures = path.name, read(path)
        self.came = [Counter[str]() for _ in self.failures]

    def mark(self, items: list[pytest.Item]) -> None:
        for item in items:
            if (target := target_of(item)) and isinstance(item, pytest.Function):
                self._mark(item, target)

    def _mark(self, item: pytest.Function, target: Target) -> None:
        tested = item.originalname
        case = item.callspec.id.removeprefix(target.id).removesuffix(target.id).strip("-")
        fitting = [index for index, entry in enumerate(self.failures) if entry.fits(target.label, tested, case)]
        if not fitting:
            return
        entry = self.failures[fitting[0]]
        if len(fitting) > 1:
            self._refuse(item, f"{item.name} is meant by two entries: {entry}; {self.failures[fitting[1]]}")
        if getattr(item.obj, "is_hypothesis_test", False):
            instead = "narrow what the adapter declares that it supports, or name a test of fixed cases"
            why = f"the cases of {tested} are drawn, so it cannot be expected to fail"
            self._refuse(item, f"{entry}: {why}: {instead}")
        item.user_properties.append((INDEX, fitting[0]))
        reason = f"{entry.reason} ({entry.link})"
        item.add_marker(pytest.mark.xfail(strict=True, raises=AssertionError, reason=reason))

    def _refuse(self, item: pytest.Item, words: str) -> None:
        """End the run; in a worker of pytest-xdist, whose words would be lost, fail the test."""
        words = f"--known-failures: {self.name}: {words}"
        if not hasattr(item.config, "workerinput"):
            raise pytest.UsageError(words)
        item.runtest = functools.partial(_refused, words)

    def count(self, report: pytest.TestReport) -> None:
        index = dict(report.user_properties).get(INDEX)
        if isinstance(index, int) and (report.when == "call" or report.outcome != "passed"):
            passed = str(report.longrepr).startswith(PASSED)
            self.came[index]["passed" if passed else outcome_of(report)] += 1

    def stale(self) -> list[KnownFailure]:
        """Entries that fit no test that was run: they fail a run of everything that judges."""
        return [entry for entry, came in zip(self.failures, self.came, strict=True) if came.total() == came["skipped"]]

    def tell(self, terminal: pytest.TerminalReporter, part: str) -> None:
        """What came of each entry.  part: why not everything was run; empty where it was."""
        terminal.section("known failures")
        stale = self.stale()
        for entry, came in zip(self.failures, self.came, strict=True):
            if passed := came["passed"]:
                wrong = f"{passed} passed: take it out of {self.name}, or narrow it"
                terminal.write_line(f"FAILED: {entry}: {wrong}", red=True)
            if failed := came["xfailed"]:
                terminal.write_line(f"{entry}: {failed} failed as expected: {entry.reason} ({entry.link})")
            if entry in stale and part:
                terminal.write_line(f"{entry}: fits no test that was run ({part})")
            elif entry in stale:
                terminal.write_line(f"FAILED: {entry}: stale: it fits no test that was run", red=True)


def _refused(words: str) -> None:
    raise RuntimeError(words)  # no AssertionError, which an entry expects


def outcome_of(report: pytest.TestReport) -> str:
    """A test's outcome, in which an expected failure, that pytest reports as skipped, has a word of its own."""
    return "xfailed" if report.outcome == "skipped" and hasattr(report, "wasxfail") else report.outcome


def of_file(config: pytest.Config) -> KnownFailures | None:
    """The list in the file that --known-failures names; None without the option."""
    named = config.getoption("--known-failures")
    if named is None:
        return None
    path = (config.invocation_params.dir / named).resolve()
    config.option.known_failures = str(path)  # for pytest-xdist's workers, which may be elsewhere
    return KnownFailures(path)
