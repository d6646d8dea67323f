"""What a third party may believe of a file: that it is unchanged, that its counts are those of its lines, that it holds
what this suite asks, and that its verdicts on the frozen corpus follow from cases, answers and declarations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..compatible import expect_compatible
from ..record import counts
from ..record.environment import suite
from ..record.ledger import Ledger
from ..record.reading import Evidence, Run, Unusable
from ..record.schema import VerdictLine
from . import declarations
from .check import Finding, few
from .ci_questions import redraw
from .questions import Tally
from .run_checks import header_problems, test_problems, unfilled
from .target_checks import Target


def verify(evidence: Evidence) -> list[Finding]:
    """Everything that can be checked. Hashes and the schema were checked on reading; frameworks are asked only for what
    they refused or crashed on in their own words, and only where they are installed."""
    findings = [Finding(f"{len(evidence.runs)} run(s): every line has the form that docs/evidence.md describes")]
    for run in evidence.runs:
        findings += (found := _findings(run))
        if not any(one.problems for one in found) and (redrawn := redraw(run)):
            findings.append(redrawn)
    if len(evidence.runs) > 1:
        findings.append(_together(evidence))
    if not any(run.header.targets for run in evidence.runs):
        findings.append(Finding("some target was judged", ["there is none"]))
    return findings


def _together(evidence: Evidence) -> Finding:
    checked = f"its {len(evidence.runs)} runs are different ones of one suite, and do not contradict each other"
    try:
        expect_compatible([(evidence, run) for run in evidence.runs])
    except Unusable as error:
        return Finding(checked, [str(error)])
    return Finding(checked)


def _findings(run: Run) -> list[Finding]:
    end = [run.incomplete] if run.incomplete else []
    checks = {target.label: Target(run, target) for target in run.header.targets}
    ledger, tally, lines = Ledger(), Tally(run), list[str]()
    for line in run.verdicts:
        count(ledger, line)
        tally.add(line)
        lines += [f"{_name(line)}: {wrong}" for wrong in checks[line.target].problems(line, checks)]
        lines = few(lines)
    return [
        Finding(f"{run.name}: it came to its end, and its lines have its SHA-256", end),
        Finding(f"{run.name}: its header is of this suite, and agrees with itself", list(header_problems(run))),
        Finding(f"{run.name}: its counts are those of its {len(run.verdicts)} verdicts", list(sums(run, ledger))),
        Finding(f"{run.name}: each line agrees with itself and with what was declared", lines),
        Finding(
            f"{run.name}: each test asked what this suite asks in it",
            few([*test_problems(run, tally), *unfilled(run, ledger), *tally.problems(), *tally.missing()]),
        ),
        *(check.finding() for check in checks.values()),
    ]


def _name(line: VerdictLine) -> str:
    return f"{line.target}, {line.property}, {line.corpus or line.case}"


def count(ledger: Ledger, line: VerdictLine) -> None:
    """Count a verdict: a relation fills no cell."""
    if line.relation:
        ledger.record_relation(line.target, line.property, line.outcome)
    else:
        ledger.record(line.target, line.property, line.features, line.outcome)


def miscounts(run: Run) -> Iterator[str]:
    """Where the last line says something else than the lines before it."""
    ledger = Ledger()
    for line in run.verdicts:
        count(ledger, line)
    yield from sums(run, ledger)


def sums(run: Run, ledger: Ledger) -> Iterator[str]:
    """The same, of verdicts that were counted before."""
    if run.end is None:
        return
    header = run.header.model_dump()
    if run.end.lines != len(run.verdicts) + len(run.tests) + 2:
        yield f"the last line speaks of {run.end.lines} lines, there are {len(run.verdicts) + len(run.tests) + 2}"
    for target, outcomes in counts.outcomes(ledger, header).items():
        if run.end.outcomes.get(target) != outcomes:
            yield f"{target}: the last line says {run.end.outcomes.get(target)}, its verdicts add up to {outcomes}"
    if others := sorted(run.end.outcomes.keys() - {target.label for target in run.header.targets}):
        yield f"the last line counts verdicts of {', '.join(others)}, which the header does not know"
    if [cell.model_dump() for cell in run.end.cells] != counts.cells(ledger, header):
        yield "the cells of the last line are not those that its verdicts fill"
    tests = Counter(line.outcome for line in run.tests)
    for word in ("failed", "error", "skipped", "xfailed"):
        if tests[word] != run.end.tests.get(word, 0):
            yield f"the last line speaks of {run.end.tests.get(word, 0)} tests with {word}, there are {tests[word]}"
    fails = any("fails: " in line.problem for line in run.header.absent)
    if run.end.exit_status == 1 and run.end.selection and not (tests["failed"] or tests["error"] or fails):
        yield "pytest ended with status 1, and no test failed"
    if run.end.exit_status == 0 and (tests["failed"] or tests["error"]):
        yield "pytest ended with status 0, and tests failed"


def conclusion(evidence: Evidence, findings: Sequence[Finding]) -> str:
    """What a third party may conclude, in words."""
    if any(finding.problems for finding in findings):
        return "Do not cite this file: what is marked above is wrong with it, or missing."
    return "\n".join(
        [
            "The file is as it was written, its counts are those of its verdicts, it holds what this suite asks, and "
            "its verdicts on the frozen corpus follow from the answers kept, by this suite's reference, bounds and "
            "declarations. That these answers came from the frameworks and versions it names, and the verdicts on "
            "other cases, it cannot show: replay its cases, or record a run of your own and compare them (python -m "
            "evidence diff). Who wrote it, only a SHA-256 published elsewhere can tell: " + evidence.sha256,
            *_notes(evidence, findings),
        ]
    )


def _notes(evidence: Evidence, findings: Sequence[Finding]) -> Iterator[str]:
    """What must be read beside it: what is not shown, and whose word it is."""
    for words, number in sum((finding.unshown for finding in findings), Counter()).items():
        yield f"Not shown: {number} verdicts: {words}."
    for run in evidence.runs:
        for target in declarations.foreign(run.header.targets):
            said = [*target.unsupported, *target.emulated, *target.arithmetics]
            words = "; ".join(f"{one.words}: {one.reason}" for one in said) or "nothing"
            yield f"{target.label} is {target.source!r}, code of its author's own, who claims of it: {words}."
        for target in run.header.targets:
            varies = [one for one in target.unsupported if one.features in declarations.of(target).varies]
            for one in varies:
                yield f"That {target.label} has {one.words} unsupported, only its version tells: {one.reason}."
        here, there = suite(), run.header.suite
        if (there.version, there.commit) != (here["version"], here["commit"]) or there.modified:
            changed = ", whose files differed from it" if there.modified else ""
            yield f"By its own word, {run.name} was made by version {there.version}, commit {there.commit}{changed}."
