"""What a third party may believe of a file: that it is unchanged, that its counts are those of its lines, and that
its verdicts on the frozen corpus follow from the answers that it kept."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from reference import Case, Verdict, judge
from reference.encoding import decode

from . import corpus, counts
from .lines import answer_id, sizes
from .reading import Evidence, Run
from .schema import Answer, TargetLine, VerdictLine

# the reference's float64 sums differ in their last bits from one BLAS to another; a float64 answer's error is no larger
REPEATABLE = 2.0**-20


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.  problems: what is wrong with it; empty where nothing is."""

    checked: str
    problems: Sequence[str] = field(default=())


def verify(evidence: Evidence) -> list[Finding]:
    """Everything that can be checked without the frameworks. Hashes and the schema were checked on reading."""
    findings = [Finding(f"{len(evidence.runs)} run(s): every line has the form that docs/evidence.md describes")]
    for run in evidence.runs:
        end = [run.incomplete] if run.incomplete else []
        findings += [
            Finding(f"{run.name}: it came to its end, and its lines have its SHA-256", end),
            Finding(f"{run.name}: its counts are those of its {len(run.verdicts)} verdicts", list(miscounts(run))),
        ]
        findings += [_corpus(run, target) for target in run.header.targets]
    if not any(run.header.targets for run in evidence.runs):
        findings.append(Finding("some target was judged", ["there is none"]))
    return findings


def miscounts(run: Run) -> Iterator[str]:
    """Where the last line says something else than the lines before it."""
    if run.end is None:
        return
    header = run.header.model_dump()
    ledger = counts.ledger_of(line.model_dump(exclude={"answer", "content"}) for line in run.verdicts)
    if run.end.lines != len(run.verdicts) + len(run.tests) + 2:
        yield f"the last line speaks of {run.end.lines} lines, there are {len(run.verdicts) + len(run.tests) + 2}"
    for target, outcomes in counts.outcomes(ledger, header).items():
        if run.end.outcomes.get(target) != outcomes:
            yield f"{target}: the last line says {run.end.outcomes.get(target)}, its verdicts add up to {outcomes}"
    if [cell.model_dump() for cell in run.end.cells] != counts.cells(ledger, header):
        yield "the cells of the last line are not those that its verdicts fill"
    tests = Counter(line.outcome for line in run.tests)
    for word in ("failed", "error", "skipped", "xfailed"):
        if tests[word] != run.end.tests.get(word, 0):
            yield f"the last line speaks of {run.end.tests.get(word, 0)} tests with {word}, there are {tests[word]}"
    if run.end.exit_status == 0 and (tests["failed"] or tests["error"]):
        yield "pytest ended with status 0, and tests failed"


def _corpus(run: Run, target: TargetLine) -> Finding:
    """Every case of the corpus was asked of a target once, and its kept answer gets the verdict recorded."""
    asked = f"{run.name}: {target.label} was asked the corpus, {len(corpus.cases())} cases"
    if run.header.corpus != corpus.digest():
        problem = f"the corpus of the run is {run.header.corpus[:16]}..., this suite's is {corpus.digest()[:16]}..."
        return Finding(asked, [problem])
    lines = [line for line in run.verdicts if line.target == target.label and line.property == corpus.PROPERTY]
    times = Counter(line.case for line in lines if not line.relation)
    other = [(name, times[case.id]) for name, case in corpus.cases().items() if times[case.id] != 1]
    problems = [f"{len(other)} cases were not asked once: {other[0][0]!r} {other[0][1]} times"] if other else []
    problems += [f"{line.corpus or line.case}: {wrong}" for line in lines for wrong in _wrong(line, target)]
    judged = sum(line.answer is not None for line in lines)
    by = "; ".join(f"{entry.words} by the arithmetic {entry.reason}" for entry in target.arithmetics)
    again = f"{judged} kept answers were judged again, with the verdicts recorded"
    return Finding(f"{asked}; {again}{f' ({by}, as declared)' if by else ''}", problems)


def _wrong(line: VerdictLine, target: TargetLine) -> Iterator[str]:
    """What is wrong with a line of the corpus."""
    case = corpus.cases().get(line.corpus or "")
    if case is None or case.id != line.case or line.relation:
        yield "it is not in this suite's corpus"
        return
    if line.sizes.model_dump() != sizes(case):
        yield f"its sizes are {sizes(case)}"
    if line.outcome in ("refused", "crashed"):
        declared = any(entry.holds(line.features) for entry in target.unsupported)
        if line.outcome == "refused" and not declared:
            yield "it was refused, and nothing that it asks for is declared unsupported"
    elif line.verdict is not None and line.verdict.reason in ("shape", "dtype"):
        if line.outcome != "disagrees":
            yield "an answer of another shape or dtype disagrees"
    else:
        declared = (entry.reason for entry in target.arithmetics if entry.holds(line.features))
        yield from _judged_again(case, line, next(declared, case.dtype))


def _judged_again(case: Case, line: VerdictLine, declared: str) -> Iterator[str]:
    """The reference judges a kept answer by the arithmetic that was declared, as anyone may who has NumPy."""
    if line.answer is None or line.verdict is None:
        yield f"recorded as {line.outcome}, and no answer is kept that shows it"
        return
    try:
        output, h_n, prefixes = arrays(line.answer)
        given = answer_id(output, h_n)
        verdict = judge(case, output, h_n, prefixes=prefixes, declared=declared, bound="step")
    except (TypeError, ValueError) as error:
        yield str(error)
        return
    if given != line.answer_id:
        yield f"the answer is {given}, the line says {line.answer_id}"
    differs = [name for name, same in _compared(case, line, verdict) if not same]
    if differs:
        yield f"recorded as {line.outcome}, with another {', '.join(differs)} than the answer's: {verdict}"


def _compared(case: Case, line: VerdictLine, verdict: Verdict) -> Iterator[tuple[str, bool]]:
    """What a recorded verdict has in common with the one made anew."""
    said = line.verdict
    assert said is not None
    yield "outcome", line.outcome == verdict.outcome
    for name in ("reason", "bound", "arithmetic", "elements", "outside", "vacuous"):
        yield name, getattr(said, name) == getattr(verdict, name)
    if case.dtype != "float64":
        for name in ("max_error", "max_ulps", "max_fraction"):
            yield name, math.isclose(getattr(said, name), getattr(verdict, name), rel_tol=REPEATABLE)


def arrays(answer: Answer) -> tuple[np.ndarray, np.ndarray, list[np.ndarray] | None]:
    """Output, h_n and prefixes of a kept answer. Raises TypeError or ValueError where they are no arrays."""
    lower = None if answer.prefixes is None else [decode("prefixes", array.model_dump()) for array in answer.prefixes]
    return decode("output", answer.output.model_dump()), decode("h_n", answer.h_n.model_dump()), lower


def conclusion(evidence: Evidence, findings: Sequence[Finding]) -> str:
    """What a third party may conclude, in words."""
    if any(finding.problems for finding in findings):
        return "Do not cite this file: what is marked above is wrong with it, or missing."
    return (
        "The file is as it was written, its counts are those of its verdicts, and its verdicts on the frozen corpus "
        "follow from the answers kept, by this suite's reference and bounds. That these answers came from the "
        "frameworks and versions it names, and the verdicts on other cases, it cannot show: replay its cases, or "
        "record a run of your own and compare them (python -m evidence diff). Who wrote it, only a SHA-256 published "
        f"elsewhere can tell: {evidence.sha256}"
    )
