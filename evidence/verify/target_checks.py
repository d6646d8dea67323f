"""What one target of a run was asked: every line is checked, every case of the corpus asked once, and judged again.

The reference judges each kept answer to the corpus again, as anyone may who has NumPy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from adapters import Result
from adapters.running.trial import Trial
from findings import Finding, explained
from reference import Case, Verdict, judge
from reference.judging.verdict import OWN_STEPS

from ..record.corpus import PROPERTY, Corpus
from ..record.lines import PINNED, answer_id, arrays
from ..record.runs import Run
from ..record.schema import Answer, Judgement, Place, TargetLine, VerdictLine
from . import declarations
from .again import ask_again
from .check import Check, few, those
from .consistency import CHANGED, UNCOMPARED, close, inconsistencies, ordinary
from .declarations import Declared
from .questions import PORT, asked_by, misplaced

DRAWN = "on cases that were drawn, or of two answers compared: no answers of them are kept"
NOT_REACHED = "of the corpus in a mode, or by their whole trajectory: their test had failed before it asked them"
FIGURES = ("max_error", "max_ulps", "max_fraction", "mean_signed_residual", "worst", "first")
UNSHOWN = "the answer was not kept, and no kept answer has its bits"
COMPACT = "a compact record keeps no answers: they are in the record in full"
LAST_BITS = "float64, with figures (of the mean signed residual: sums of many) that are others by the last bits of sums"
NO_ELEMENTS = "an answer of another shape or dtype is not kept"
OWN_WORDS = "refused or crashed in the framework's own words, of a case that was drawn or compared"


class Target:
    """What one target of a run was asked, as its lines come by.  asked: the corpus that the run was asked."""

    def __init__(self, run: Run, target: TargetLine, asked: Corpus) -> None:
        self.run, self.target, self.asked, self.declared = run, target, asked, declarations.of(target)
        self.failed = run.failed
        self.findings = declarations.findings_of(target)
        self.kept_mode = target.compiles.mode if target.compiles else "eager"
        # answers of the corpus serve for other properties too, where the bits are the same
        self.needed = {name for tested, one in asked.asked.items() if tested != PROPERTY for name in one.names}
        self.kept: dict[str, tuple[str | None, Answer]] = {}
        self.shown = 0  # verdicts that were made anew
        self.unshown: Counter[str] = Counter()
        self.times: Counter[tuple[str, str]] = Counter()  # property and name, of the corpus
        self.stopped: set[tuple[str, str]] = set()  # the same, where a test failed: it asks no more
        self.again: list[VerdictLine] = []
        self.declined = 0

    def problems(self, line: VerdictLine, others: Mapping[str, Target]) -> Iterator[str]:
        """What is wrong with a line of this target."""
        test = asked_by(line)
        if test is None:
            yield f"{line.test[:200]!r}: this suite has no such test"
            return
        if elsewhere := misplaced(line, test, others, self.kept_mode):
            yield elsewhere
            return
        pinned = self.findings.get(line.property.removeprefix(PINNED)) if test.tested == PINNED else None
        if test.tested == PINNED and pinned is None:
            yield f"{line.property!r}: this suite knows no such finding of {self.target.label}"
            return
        port = others.get(line.property.removeprefix(PORT)) if test.tested == PORT else None
        first = line.verdict is not None and line.verdict.bound == OWN_STEPS[0]  # a port's answer is the second
        declared, asked = (self if first or port is None else port).declared, self.asked.asked.get(line.property)
        case = pinned.case.case() if pinned else self.asked.cases.get(line.corpus or "")
        wrong = list(inconsistencies(line, declared, test.bound, self.asked, case if pinned else None))
        yield from wrong
        yield from self._outcome(line, declared, port is not None, pinned)
        yield from self._explained(line, (self, port) if port else (self,), pinned)
        if asked and line.corpus not in asked.names:
            yield f"{line.corpus or line.case}: it is not in this suite's corpus, or not asked there"
        if case is not None and not line.relation:
            if line.corpus is not None:
                self.times[line.property, line.corpus] += asked is not None
            if not wrong and line.verdict is not None:
                yield from self._rejudge(case, line, line.verdict, test.bound, pinned)
        elif line.verdict is not None:
            self.unshown[DRAWN] += 1

    def _outcome(self, line: VerdictLine, declared: Declared, port: bool, pinned: Finding | None) -> Iterator[str]:
        """Whether the outcome is what was declared, or the test that saw it failed."""
        lacks, refusals = declared.not_offered(line.features), declared.refusals(line.features)
        fits, failed = any(one.fits(line.message) for one in refusals), line.test in self.failed
        expected: dict[str, bool] = {
            "not offered": bool(lacks), "refused": bool(refusals), "left out": True, "disagrees": False,
            "crashed": False, **dict.fromkeys(("agrees", "vacuous", "finding"), not lacks),
        }  # fmt: skip
        passed = line.outcome in ("finding", "agrees") if pinned else expected[line.outcome]
        if not passed and self.run.end is not None and not failed:
            why = f"it is recorded as {line.outcome}{', and declared unsupported' if lacks else ''}"
            if line.outcome in ("refused", "not offered"):
                why = f"it was {line.outcome}, and nothing that it asks for is declared so"
            yield f"{why}; its test did not fail"
        if not passed and failed and line.corpus in self.asked.cases and line.property in self.asked.asked:
            self.stopped.add((line.property, str(line.corpus)))
        if (line.outcome == "not offered" and line.message in lacks) or line.outcome == "left out":
            self.declined += 1
        elif line.outcome == "refused" and refusals and not fits:
            yield f"it was refused in the words {line.message[:200]!r}, which are not those that were declared"
        elif line.relation and port and lacks:
            yield f"it was not offered in the words {line.message[:200]!r}, the port's target declares others"
        elif line.verdict is not None:
            return
        elif (line.corpus is None and pinned is None) or line.relation or line.message.startswith(CHANGED):
            self.unshown[OWN_WORDS] += 1
        elif pinned is None or not pinned.what.not_expressible:  # what can be told is to be asked again, if it can be
            self.again.append(line)

    def _explained(self, line: VerdictLine, targets: Sequence[Target], pinned: Finding | None) -> Iterator[str]:
        """Whether the findings that a line names are known, present, and of such a case."""
        explained = line.outcome == "finding"
        named = [line.message] if line.outcome == "left out" else line.findings
        yield from those(
            (explained != bool(line.findings), f"{line.outcome}, and it names {len(line.findings)} findings"),
            (len(set(line.findings)) < len(line.findings), "it names a finding twice"),
            (explained and pinned and line.findings != [pinned.id], f"it names others than {line.property!r}"),
            (line.idiom != (pinned.idiom if pinned else ""), f"it was asked in the idiom {line.idiom!r}"),
        )
        present = [(one, of) for of in targets for one in of.present(line, pinned)]
        for name in named:
            if name not in {one.id for one, _ in present}:
                yield f"it names {name[:80]!r}, no finding that is present, and of such a case"
        kinds = [one.what for one, _ in present if one.id in named]
        if line.outcome == "left out" and not all(what.not_expressible for what in kinds):
            yield f"left out, and what {line.message} says can be told"
        if explained and not (pinned and pinned.what.not_expressible):
            raised = [what.exception for what in kinds if what.exception]
            if line.verdict is None and not any(one.fits(line.message) for one in raised):
                yield f"it raised {line.message[:200]!r}, which is not what {', '.join(named)} says"
            if line.verdict is not None and not all(what.fault or what.arithmetic for what in kinds):
                yield f"it was answered, and {', '.join(named)} explains no answer"
        if line.outcome == "vacuous" and ordinary(line) != "vacuous" and not present:
            yield "recorded as vacuous, with another outcome than its own figures"

    def present(self, line: VerdictLine, pinned: Finding | None = None) -> list[Finding]:
        """The findings that this version has, by the record, with a line's case in their trigger.

        Of two answers compared, the features are those of an eager call, and the answers of the usual one.
        """
        features = line.features | ({"mode": self.kept_mode} if line.relation else {})
        idiom = pinned.idiom if pinned else ""
        return [one for one in self.findings.values()
                if one.holds(features, idiom) and self.target.device.startswith(one.device)
                and self.run.state(self.target.label, one.id) == "present"]  # fmt: skip

    def _rejudge(
        self, case: Case, line: VerdictLine, said: Judgement, bound: str, pinned: Finding | None
    ) -> Iterator[str]:
        """What is wrong with a verdict on a case of the corpus, or of a finding, made anew.  bound: of its property."""
        name = str(line.corpus)
        if line.answer is not None and line.property == PROPERTY and name in self.needed:
            self.kept[name] = line.answer_id, line.answer
        given, same = self.kept.get(name, (None, None))
        answer = line.answer or (same if given == line.answer_id else None)
        if said.reason in UNCOMPARED:
            self.unshown[NO_ELEMENTS] += 1
        elif answer is not None:
            declared = self.declared.arithmetic(line.features)
            try:
                found, unshown = _again(case, line, said, answer, declared, bound)
                if not found and ordinary(line) != line.outcome and not (pinned and pinned.what.not_expressible):
                    found = self._planted(case, line, answer, declared, bound)
            except (TypeError, ValueError) as error:
                found, unshown = [str(error)], ""
            else:
                if found and line.answer is None and case.spec.num_layers > 1 and bound == "step":
                    found, unshown = [], UNSHOWN  # the lower layers' outputs may differ
            yield from found
            self.shown += not (found or unshown)
            if unshown:
                self.unshown[unshown] += 1
        elif self.run.header.compact or (line.property != PROPERTY and pinned is None):
            self.unshown[COMPACT if self.run.header.compact else UNSHOWN] += 1
        else:
            yield f"recorded as {line.outcome}, and no answer is kept that shows it"

    def _planted(self, case: Case, line: VerdictLine, answer: Answer, declared: str, bound: str) -> list[str]:
        """Whether the findings that a line names explain its answer, with none too many."""
        present = self.present(line, self.findings.get(line.property.removeprefix(PINNED)))
        named = [one for one in present if one.id in line.findings or line.outcome == "vacuous"]
        about = self.target.adapter, self.target.version, self.target.device
        trial = Trial(*about, case, "disagrees", answer=Result(*arrays(answer.model_dump())), arithmetic=declared,
                      mode=str(line.features["mode"]), idiom=line.idiom)  # fmt: skip
        told = explained(trial, named, line.features, bound)
        if (told.outcome, list(told.findings)) == (line.outcome, line.findings):
            return []
        came = f"{told.outcome} {', '.join(told.findings)}".rstrip()
        return [f"recorded as {line.outcome} {', '.join(line.findings)}, by the answer kept it is {came}"]

    def check(self) -> Check:
        """Whether every case of the corpus was asked once, and what could be made anew of its verdicts."""
        checked = f"{self.run.name}: {self.target.label} was asked the corpus, {len(self.asked.cases)} cases"
        if self.asked.wrong:
            return Check(checked, self.asked.wrong)
        cases = {case.id: case for case in (*self.asked.cases.values(), *self._pinned_cases())}
        found, unshown = ask_again(self.target, self.again, cases)
        again = len(self.again) - sum(unshown.values())
        by = "; ".join(f"{entry.asked} by the arithmetic {entry.reason}" for entry in self.declared.arithmetics)
        checked += (
            f"; {self.shown} kept answers were judged again, with the verdicts recorded"
            f"{f' ({by}, as declared)' if by else ''}; {self.declined} were not asked, as declared or left out"
            f"{f'; {again} that refused or crashed were asked again here' if again else ''}"
        )
        return Check(checked, few([*self._not_once(), *found]), self.unshown + Counter(unshown))

    def _pinned_cases(self) -> Iterator[Case]:
        """The cases of findings that are to be asked again."""
        names = {line.property.removeprefix(PINNED) for line in self.again if line.property.startswith(PINNED)}
        return (self.findings[name].case.case() for name in names)

    def _not_once(self) -> Iterator[str]:
        """Cases of the corpus that were not asked once: by the property that asks it whole, and by the others."""
        unreached: set[tuple[str, str]] = set()  # by a test that asks several cases, after the one that it failed on
        for tested, name in self.stopped:
            direction = self.asked.cases[name].spec.direction
            names = [n for n in self.asked.asked[tested].names if self.asked.cases[n].spec.direction == direction]
            if tested != PROPERTY and name in names:
                unreached |= {(tested, n) for n in names[names.index(name) + 1 :] if not self.times[tested, n]}
        if unreached:
            self.unshown[NOT_REACHED] += len(unreached)
        keys = [(tested, name) for tested, one in self.asked.asked.items() for name in one.names]
        wrong = [key for key in keys if self.times[key] != 1 and key not in unreached]
        for whole in (True, False):
            other = [key for key in wrong if (key[0] == PROPERTY) == whole]
            if other:
                where = "" if whole else " in a mode, or by their whole trajectory"
                (tested, name), count = other[0], self.times[other[0]]
                yield f"{len(other)} cases were not asked once{where}: {name!r} {count} times by {tested!r}"


def _again(
    case: Case, line: VerdictLine, said: Judgement, answer: Answer, declared: str, bound: str
) -> tuple[list[str], str]:
    output, h_n, prefixes = arrays(answer.model_dump())
    given = answer_id(output, h_n)
    verdict = judge(case, output, h_n, prefixes=prefixes if bound == "step" else None, declared=declared, bound=bound)
    problems = [f"the answer is {given}, the line says {line.answer_id}"] if given != line.answer_id else []
    other = [name for name in vars(said) if not _same(name, getattr(said, name), getattr(verdict, name))]
    exact = ["outcome"] * (ordinary(line) != verdict.outcome) + [name for name in other if name not in FIGURES]
    if case.dtype == "float64" and not exact and other and _plausible(case, said, verdict, output, h_n):
        return problems, LAST_BITS
    if differs := [*exact, *(name for name in other if name in FIGURES)]:
        problems.append(f"recorded as {line.outcome}, with another {', '.join(differs)} than the answer's: {verdict}")
    return problems, ""


def _same(name: str, one: Any, other: Any) -> bool:
    """Whether what a field says is the same, figures but for the last bits of sums."""
    if isinstance(one, Place):
        return other is not None and all(_same(key, value, getattr(other, key)) for key, value in vars(one).items())
    if name == "mean_signed_residual" and not close(one, other):  # small differences of large sums
        one, other = (value + np.copysign(1.0, one) for value in (one, other))
    return close(one, other) if isinstance(one, float) else one == other


def _plausible(case: Case, said: Judgement, verdict: Verdict, output: np.ndarray, h_n: np.ndarray) -> bool:
    """Whether float64 figures could be those of another BLAS: the bound covers either's own sums, so a fraction of it
    is 1 apart at most, and what the answer was at the places named is in it."""
    near = abs(said.max_fraction - verdict.max_fraction) <= 1 or not np.isfinite(verdict.max_fraction)
    near = near and abs(said.mean_signed_residual - verdict.mean_signed_residual) <= max(said.elements, 1)
    for place in (said.worst, said.first):
        if place is None or (place.array == "output" and place.layer != case.spec.num_layers - 1):
            continue
        answer = output if place.array == "output" else h_n
        near = near and bool((answer == place.actual).any() or np.isnan(place.actual))
    return near
