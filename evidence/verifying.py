"""What a third party may believe of a file: that it is unchanged, that its counts are those of its lines, and that
its verdicts follow from the answers that it kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from reference import judge
from reference.encoding import decode

from . import corpus, counts
from .lines import answer_id
from .reading import Evidence, Run
from .schema import Answer, VerdictLine


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.  problems: what is wrong with it; empty where nothing is."""

    checked: str
    problems: Sequence[str] = field(default=())


def verify(evidence: Evidence) -> list[Finding]:
    """Everything that can be checked without the frameworks. Hashes and the schema were checked on reading."""
    findings = [Finding(f"{len(evidence.runs)} run(s): every line has the form that docs/evidence.md describes")]
    for run in evidence.runs:
        findings += [
            Finding(f"{run.name}: it came to its end, and its lines have its SHA-256", _lines(run.incomplete)),
            Finding(f"{run.name}: its counts are those of its {len(run.verdicts)} verdicts", list(miscounts(run))),
            Finding(f"{run.name}: every target was asked the whole corpus", list(_not_asked(run))),
            _judged_again(run),
        ]
    return findings


def _lines(problem: str) -> list[str]:
    return [problem] if problem else []


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


def _not_asked(run: Run) -> Iterator[str]:
    """Corpus cases without a verdict; a run of a part of the suite says so itself."""
    if run.header.corpus != corpus.digest():
        yield f"the corpus of the run is {run.header.corpus[:16]}..., this suite's is {corpus.digest()[:16]}..."
        return
    for target in run.header.targets:
        asked = {line.corpus for line in run.verdicts if line.target == target.label and not line.relation}
        missing = [name for name in corpus.cases() if name not in asked]
        if missing:
            yield f"{target.label}: {len(missing)} cases were not asked, the first of them {missing[0]!r}"


def _judged_again(run: Run) -> Finding:
    """The reference judges the kept answers, as anyone may who has NumPy."""
    kept = [line for line in run.verdicts if line.answer is not None]
    problems = [problem for line in kept for problem in _other_verdict(line)]
    return Finding(f"{run.name}: {len(kept)} kept answers were judged again, with the verdicts recorded", problems)


def _other_verdict(line: VerdictLine) -> Iterator[str]:
    """What is wrong with a line that keeps its answer."""
    where = f"{line.target}, {line.corpus or line.case}"
    case = corpus.cases().get(line.corpus or "")
    if line.answer is None or line.verdict is None or case is None or case.id != line.case:
        yield f"{where}: an answer is kept of a case that is not in this suite's corpus"
        return
    try:
        output, h_n, prefixes = arrays(line.answer)
        given = answer_id(output, h_n)
        verdict = judge(case, output, h_n, prefixes=prefixes, declared=line.verdict.arithmetic)
    except (TypeError, ValueError) as error:
        yield f"{where}: {error}"
        return
    if given != line.answer_id:
        yield f"{where}: the answer is {given}, the line says {line.answer_id}"
    if verdict.outcome != line.outcome or verdict.outside != line.verdict.outside:
        yield f"{where}: recorded as {line.outcome}, the answer {verdict.outcome}: {verdict}"


def arrays(answer: Answer) -> tuple[np.ndarray, np.ndarray, list[np.ndarray] | None]:
    """Output, h_n and prefixes of a kept answer. Raises TypeError or ValueError where they are no arrays."""
    lower = None if answer.prefixes is None else [decode("prefixes", array.model_dump()) for array in answer.prefixes]
    return decode("output", answer.output.model_dump()), decode("h_n", answer.h_n.model_dump()), lower


def conclusion(evidence: Evidence, findings: Sequence[Finding]) -> str:
    """What a third party may conclude, in words."""
    if any(finding.problems for finding in findings):
        return "Do not cite this file: what is marked above is wrong with it."
    return (
        "The file is as it was written, its counts are those of its verdicts, and its verdicts on the frozen corpus "
        "follow from the answers kept, by this suite's reference and bounds. That these answers came from the "
        "frameworks and versions it names, it cannot show: replay its cases, or record a run of your own and compare "
        "(python -m evidence diff). Who wrote it, only a SHA-256 published elsewhere can tell: "
        f"{evidence.sha256}"
    )
