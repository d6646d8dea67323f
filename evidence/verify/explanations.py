"""Whether the findings that a line names explain it: by what the record says of them, and by the answer kept."""

from collections.abc import Iterator, Sequence

from adapters import Result
from adapters.running.trial import Trial
from findings import Finding, explained
from reference import Case, Verdict
from reference.judging.view import View

from ..record.lines import PINNED
from ..record.runs import Run
from ..record.schema import TargetLine, VerdictLine
from . import declarations
from .check import those
from .consistency import ordinary


class Findings:
    """What this suite knows a target's framework to get wrong, and which of it a run says is present.

    mode: in which most of its cases are asked.
    """

    def __init__(self, run: Run, target: TargetLine) -> None:
        self.run, self.target, self.known = run, target, declarations.findings_of(target)
        self.mode = target.compiles.mode if target.compiles else "eager"

    def pinned(self, line: VerdictLine) -> Finding | None:
        """The finding whose case a line asks."""
        return self.known.get(line.property.removeprefix(PINNED)) if line.property.startswith(PINNED) else None

    def present(self, line: VerdictLine) -> list[Finding]:
        """The findings that this version has, by the record, with a line's case in their trigger.

        Of two answers compared, the features are those of an eager call, and the answers of the usual one.
        """
        features = line.features | ({"mode": self.mode} if line.relation else {})
        return [one for one in self.known.values()
                if one.holds(features, line.idiom) and self.target.device.startswith(one.device)
                and self.run.state(self.target.label, one.id) == "present"]  # fmt: skip

    def planted(
        self, case: Case, line: VerdictLine, shown: Result, verdict: Verdict, declared: str, bound: str | None
    ) -> list[str]:
        """Whether the findings that a line names explain its answer, judged so, with none too many."""
        named = [one for one in self.present(line) if one.id in line.findings or line.outcome == "vacuous"]
        about = self.target.adapter, self.target.version, self.target.device
        trial = Trial(*about, case, "disagrees", verdict, answer=shown, arithmetic=declared,
                      mode=str(line.features["mode"]), idiom=line.idiom, view=View(**line.view))  # fmt: skip
        told = explained(trial, named, line.features, bound)
        if (told.outcome, list(told.findings)) == (line.outcome, line.findings):
            return []
        came = f"{told.outcome} {', '.join(told.findings)}".rstrip()
        return [f"recorded as {line.outcome} {', '.join(line.findings)}, by the answer kept it is {came}"]


def explanation_problems(
    line: VerdictLine, known: Sequence[Findings], pinned: Finding | None, idiom: str
) -> Iterator[str]:
    """What is wrong with the findings that a line names: each must be known, present, and of such a case.

    known: those of its target, and of the other target of a port.  pinned: the finding whose case it asks.
    idiom: the one in which its test asks.
    """
    is_finding = line.outcome == "finding"
    named = [line.message] if line.outcome == "left out" else line.findings
    yield from those(
        (is_finding != bool(line.findings), f"{line.outcome}, and it names {len(line.findings)} findings"),
        (len(set(line.findings)) < len(line.findings), "it names a finding twice"),
        (is_finding and pinned and line.findings != [pinned.id], f"it names others than {line.property!r}"),
        (line.idiom != idiom, f"it was asked in the idiom {line.idiom!r}"),
    )
    present = [one for of in known for one in of.present(line)]
    for name in named:
        if name not in {one.id for one in present}:
            yield f"it names {name[:80]!r}, no finding that is present, and of such a case"
    kinds = [one.what for one in present if one.id in named]
    if line.outcome == "left out" and not all(what.not_expressible for what in kinds):
        yield f"left out, and what {line.message} says can be told"
    if is_finding and not (pinned and pinned.what.not_expressible):
        raised = [what.exception for what in kinds if what.exception]
        if line.verdict is None and not any(one.fits(line.message) for one in raised):
            yield f"it raised {line.message[:200]!r}, which is not what {', '.join(named)} says"
        if line.verdict is not None and not all(what.fault or what.arithmetic for what in kinds):
            yield f"it was answered, and {', '.join(named)} explains no answer"
    if line.outcome == "vacuous" and ordinary(line) != "vacuous" and not present:
        yield "recorded as vacuous, with another outcome than its own figures"
