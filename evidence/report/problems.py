"""What did not agree or did not pass: one entry for each test, with its cases and how to run them again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from reference.judging.verdict import Location, Verdict

from ..record.reader import Evidence, Run
from ..record.schema import Judgement, Place, VerdictLine
from ..words import cut, value
from .columns import Column, Wrong, columns


@dataclass(frozen=True)
class Group:
    """Cases of one target and outcome in one test.

    case: the smallest that was kept.  words: what was said of it.  asked: what it is.
    command: runs it again; empty where it was not kept.
    count: how many there were; shrinking asks for many.  others: the other cases that were kept.
    """

    target: str
    outcome: str
    tested: str
    case: str
    words: str
    asked: str
    command: str
    count: int
    others: tuple[str, ...]


@dataclass(frozen=True)
class Problem:
    """A test that did not pass, or that holds an answer which is wrong.  message: what pytest said."""

    run: int
    test: str
    outcome: str
    message: str
    groups: tuple[Group, ...]


def problems(evidence: Evidence) -> list[Problem]:
    """Disagreements, crashes, undeclared refusals and tests that failed, in the order of the file."""
    several = len(evidence.runs) > 1
    found = columns(evidence)
    return [
        problem
        for number, run in enumerate(evidence.runs, 1)
        for problem in _of_run(evidence, number * several, run, [column for column in found if column.run is run])
    ]


def skipped(evidence: Evidence) -> dict[str, list[str]]:
    """Why tests were skipped -> their names."""
    reasons: dict[str, list[str]] = {}
    for run in evidence.runs:
        for line in run.tests:
            if line.outcome == "skipped":
                reasons.setdefault(cut(line.message), []).append(line.test)
    return reasons


def _of_run(evidence: Evidence, number: int, run: Run, found: list[Column]) -> list[Problem]:
    said = {line.test: line for line in run.tests if line.outcome != "skipped"}
    wrong: dict[str, list[Wrong]] = {}
    for column in found:
        for test, of_test in column.wrong.items():
            wrong.setdefault(test, []).extend(of_test.values())
    return [
        Problem(
            number,
            test,
            said[test].outcome if test in said else "not known",
            cut(said[test].message) if test in said else "",
            tuple(_group(evidence, some) for some in wrong.get(test, ())),
        )
        for test in dict.fromkeys([*wrong, *said])
    ]


def _group(evidence: Evidence, some: Wrong) -> Group:
    line = some.shown
    command = _command(evidence, line) if some.cases else ""
    others = tuple(case for case in some.cases if case != line.case)
    asked = _asked(line)
    return Group(line.target, line.outcome, line.property, line.case, _words(line), asked, command, some.count, others)


def _command(evidence: Evidence, line: VerdictLine) -> str:
    """What runs a case again: it names the target where the file holds several, and an adapter of the user's own."""
    targets = {target.label: target for run in evidence.runs for target in run.header.targets}
    command = ["python", "-m", "evidence", "replay", evidence.path.name, line.case]
    command += ["--target", line.target] if len(targets) > 1 else []
    command += [f"--mode={mode}"] if (mode := str(line.features.get("mode", "eager"))) != "eager" else []
    source = targets[line.target].source
    return shlex.join([*command, *(["--adapter", source] if ":" in source else [])])


def _words(line: VerdictLine) -> str:
    """What the judge said, in its own words; else why there is no verdict."""
    said = line.verdict
    return cut("\n".join(filter(None, ("" if said is None else str(verdict(line.outcome, said)), line.message))))


def verdict(outcome: str, said: Judgement) -> Verdict:
    """The verdict that a line holds."""
    places = {name: _location(getattr(said, name)) for name in ("worst", "first")}
    return Verdict(outcome, **{**said.model_dump(exclude=set(places)), **places})


def _location(place: Place | None) -> Location | None:
    return None if place is None else Location(**place.model_dump())


def _asked(line: VerdictLine) -> str:
    """The case in one line."""
    return ", ".join(_pairs([*line.features.items(), *line.sizes.model_dump().items()]))


def _pairs(items: Iterable[tuple[str, str | bool | int]]) -> list[str]:
    """Each name once: a size is said as a number, not as the feature that it falls under."""
    return [f"{name} {value(given)}" for name, given in dict(items).items()]
