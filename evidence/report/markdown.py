"""The report as Markdown: the same facts without pictures. Whatever the evidence holds is text in it, never markup."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..markdown import escaped, fenced, table
from ..record.reader import Evidence, Run
from ..words import many, value
from .cells import SIGNS, Cell
from .columns import OUTCOMES, Column
from .conclusion import Conclusion
from .page import facts
from .problems import Group, Problem

MARKS = {"good": "✅", "warn": "⚠️", "bad": "❌"}
LISTED = 40  # problems that are told in full


def summary(evidence: Evidence) -> str:
    """The verdict, the counts of each target and what was absent: for the summary of a CI job."""
    return "\n\n".join(_beginning(facts(evidence))) + "\n"


def render_markdown(evidence: Evidence) -> str:
    """The whole report."""
    shown = facts(evidence)
    return "\n\n".join([*_beginning(shown), *_runs(shown), *_capabilities(shown), *_margins(shown), *_problems(shown),
                        *_sharpness(shown), *_environment(shown), *_again(shown)]) + "\n"  # fmt: skip


def _beginning(shown: dict[str, Any]) -> Iterator[str]:
    conclusion: Conclusion = shown["conclusion"]
    yield f"# {MARKS[conclusion.level]} {escaped(conclusion.sentence)}"
    if conclusion.warnings or conclusion.notes:
        lines = [f"- **{escaped(warning)}**" for warning in conclusion.warnings]
        yield "\n".join([*lines, *(f"- {escaped(note)}" for note in conclusion.notes)])
    rows = [
        [escaped(column.label), escaped(column.target.version), *(f"{column.outcomes[name]:,}" for name in OUTCOMES)]
        for column in shown["columns"]
    ]
    yield table(["target", "version", *OUTCOMES], rows, len(OUTCOMES))
    if shown["absent"]:
        yield "\n".join(f"- {escaped(line.name)} is absent: {escaped(line.problem)}" for line in shown["absent"])
    lines = [
        f"- {escaped(_run(number * shown['several'], run))}" for number, run in enumerate(shown["evidence"].runs, 1)
    ]
    yield "\n".join([*lines, f"- the file {escaped(shown['evidence'].path.name)}: SHA-256 {shown['evidence'].sha256}"])


def _run(number: int, run: Run) -> str:
    suite, modified = run.header.suite, " modified" if run.header.suite.modified else ""
    tests = ", ".join(f"{count:,} {outcome}" for outcome, count in run.end.tests.items()) if run.end else "not counted"
    sha256 = run.end.sha256 if run.end else "none, it has no end"
    which = f"run {number}" if number else "the run"
    return f"{which}: SHA-256 {sha256}; suite {suite.version}, commit {suite.commit}{modified}; tests: {tests}"


def _runs(shown: dict[str, Any]) -> Iterator[str]:
    rows = []
    for number, run in enumerate(shown["evidence"].runs, 1):
        options = run.header.run
        seed = "the same every time" if options.seed is None else f"seed {options.seed}"
        scope = "not known" if run.end is None else run.end.selection or "the whole suite"
        words = (
            options.started,
            f"{options.profile}, {options.cases} cases, {seed}",
            scope,
            run.incomplete or "complete",
        )
        rows.append([str(number), *(escaped(word) for word in words)])
    yield table(["run", "started", "drawn", "scope", "state"], rows)


def _capabilities(shown: dict[str, Any]) -> Iterator[str]:
    yield "## What was asked, and what came of it"
    yield "; ".join(f"{sign} {state}" for state, sign in SIGNS.items()) + "."
    head = ["feature", "value", *(escaped(column.label) for column in shown["columns"])]
    rows = [
        [escaped(group.feature), escaped(name), *(_cell(cell) for cell in cells)]
        for group in shown["heat"]
        for name, cells in group.rows
    ]
    yield table([*head, *(escaped(line.name) for line in shown["absent"])], rows)


def _cell(cell: Cell) -> str:
    return f"{cell.sign} {cell.count}"


def _margins(shown: dict[str, Any]) -> Iterator[str]:
    yield "## How near the errors come to their bounds"
    rows = [
        [escaped(column.label), escaped(bound), *figures]
        for column, bounds in shown["margins"]
        for bound, figures in bounds
    ]
    head = ["target", "bound", "answers", "largest error / bound", "median", "no error", "not finite"]
    yield table(head, rows, 5) if rows else "No answer was judged by a bound."


def _problems(shown: dict[str, Any]) -> Iterator[str]:
    yield "## Disagreements, crashes, and tests that did not pass"
    found: list[Problem] = shown["problems"]
    for problem in found[:LISTED]:
        yield f"### {f'Run {problem.run}: ' if problem.run else ''}{escaped(problem.test or 'outside any test')}"
        for group in problem.groups:
            yield from _group(group)
        if problem.message:
            yield f"The test ended as {escaped(problem.outcome)}:"
            yield fenced(problem.message)
    if len(found) > LISTED:
        yield f"And {many(len(found) - LISTED, 'test')} more; the HTML report has them."
    if not found:
        yield "None is in the record."


def _group(group: Group) -> Iterator[str]:
    counted = f" (one of {group.count:,})" if group.count > 1 else ""
    yield f"**{escaped(group.target)}** {group.outcome}, {escaped(group.tested)}, case {group.case}{counted}:"
    yield fenced("\n".join(filter(None, (group.words, group.asked))))
    yield fenced(group.command) if group.command else "The case itself was not kept."


def _sharpness(shown: dict[str, Any]) -> Iterator[str]:
    yield "## Would this suite have seen a fault?"
    matrix = shown["matrix"]
    if matrix is None:
        yield escaped(shown["no_matrix"])
        return
    yield (
        f"{matrix.killed} of {matrix.faults} faults planted in a real adapter ({escaped(matrix.adapter)}) were seen; "
        f"of {many(matrix.spared, 'change')} that are no fault, {matrix.seen} were seen."
    )


def _environment(shown: dict[str, Any]) -> Iterator[str]:
    yield "## Where it ran"
    for number, run in enumerate(shown["evidence"].runs, 1):
        about = run.header.environment.model_dump(exclude={"packages", "variables"})
        settings = {name: value(given) for name, given in about.items()} | run.header.environment.variables
        yield _settings(f"run {number}" if shown["several"] else "the machine", settings)
    columns: list[Column] = shown["columns"]
    for column in columns:
        yield _settings(column.name, {name: value(given) for name, given in column.target.environment.items()})
    lines = [
        f"- {escaped(column.label)}: {escaped(line.words)} is {kind}: {escaped(line.reason)}"
        for column in columns
        for kind in ("unsupported", "emulated")
        for line in getattr(column.target, kind)
    ]
    lines += [
        f"- {escaped(column.label)}: {escaped(line.words)} is judged by the arithmetic {escaped(line.reason)}"
        for column in columns
        for line in column.target.arithmetics
    ]
    yield "\n".join(lines) or "Everything is supported, and nothing emulated."


def _settings(of: str, settings: dict[str, str]) -> str:
    return table([escaped(of), ""], ([escaped(name), escaped(text)] for name, text in settings.items()))


def _again(shown: dict[str, Any]) -> Iterator[str]:
    yield "## Run it again, and verify"
    yield from (fenced(commands) for commands in shown["reproduce"])
    yield fenced(shown["verify"])
    yield "## Cite it"
    yield escaped(shown["citation"].text)
    yield fenced(shown["citation"].bibtex)
