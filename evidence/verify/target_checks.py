"""What one target of a run was asked: every line is checked, every case of the corpus asked once, and judged again.

The reference judges each kept answer to the corpus again, as anyone may who has NumPy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reference import Case, Verdict, judge
from reference.judging.verdict import OWN_STEPS

from ..record.corpus import PROPERTY, Corpus
from ..record.lines import answer_id, arrays
from ..record.runs import Run
from ..record.schema import Answer, Judgement, Place, TargetLine, VerdictLine
from . import declarations
from .again import ask_again
from .check import Check, few
from .consistency import CHANGED, UNCOMPARED, close, inconsistencies
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
        # answers of the corpus serve for other properties too, where the bits are the same
        self.needed = {name for tested, one in asked.asked.items() if tested != PROPERTY for name in one.names}
        self.kept: dict[str, tuple[str | None, Answer]] = {}
        self.shown = 0  # verdicts that were made anew
        self.unshown: Counter[str] = Counter()
        self.times: Counter[tuple[str, str]] = Counter()  # property and name, of the corpus
        self.stopped: set[tuple[str, str]] = set()  # the same, where a test failed: it asks no more
        self.again: list[VerdictLine] = []
        self.refused = 0

    def problems(self, line: VerdictLine, others: Mapping[str, Target]) -> Iterator[str]:
        """What is wrong with a line of this target."""
        test = asked_by(line)
        if test is None:
            yield f"{line.test[:200]!r}: this suite has no such test"
            return
        kept = self.target.compiles.mode if self.target.compiles else "eager"
        if elsewhere := misplaced(line, test, others, kept):
            yield elsewhere
            return
        port = others.get(line.property.removeprefix(PORT)) if test.tested == PORT else None
        first = line.verdict is not None and line.verdict.bound == OWN_STEPS[0]  # a port's answer is the second
        declared, asked = (self if first or port is None else port).declared, self.asked.asked.get(line.property)
        wrong = list(inconsistencies(line, declared, test.bound, self.asked))
        yield from wrong
        yield from self._outcome(line, declared, port is not None)
        if asked and line.corpus not in asked.names:
            yield f"{line.corpus or line.case}: it is not in this suite's corpus, or not asked there"
        if line.corpus is not None and not line.relation:
            self.times[line.property, line.corpus] += asked is not None
            if not wrong and line.verdict is not None:
                yield from self._rejudge(line, line.verdict, test.bound)
        elif line.verdict is not None:
            self.unshown[DRAWN] += 1

    def _outcome(self, line: VerdictLine, declared: Declared, port: bool) -> Iterator[str]:
        """Whether the outcome is what was declared, or the test that saw it failed."""
        refusals = declared.refusals(line.features)
        passed = line.outcome == "refused" if refusals else line.outcome in ("agrees", "vacuous")
        failed = line.test in self.failed
        if not passed and self.run.end is not None and not failed:
            why = f"it is recorded as {line.outcome}{', and declared unsupported' if refusals else ''}"
            if line.outcome == "refused":
                why = "it was refused, and nothing that it asks for is declared unsupported"
            yield f"{why}; its test did not fail"
        if not passed and failed and line.corpus in self.asked.cases and line.property in self.asked.asked:
            self.stopped.add((line.property, str(line.corpus)))
        if line.outcome == "refused" and line.message in refusals:
            self.refused += 1
        elif line.relation and port and refusals:
            yield f"it was refused in the words {line.message[:200]!r}, the port's target declares others"
        elif line.verdict is not None:
            return
        elif line.corpus is None or line.relation or line.message.startswith(CHANGED):
            self.unshown[OWN_WORDS] += 1
        else:  # in words that no declaration has: it is to be asked again, if it can be
            self.again.append(line)

    def _rejudge(self, line: VerdictLine, said: Judgement, bound: str) -> Iterator[str]:
        """What is wrong with a verdict on a case of the corpus, made anew.  bound: the one of its property."""
        name = str(line.corpus)
        if line.answer is not None and line.property == PROPERTY and name in self.needed:
            self.kept[name] = line.answer_id, line.answer
        given, same = self.kept.get(name, (None, None))
        answer = line.answer or (same if given == line.answer_id else None)
        if said.reason in UNCOMPARED:
            self.unshown[NO_ELEMENTS] += 1
        elif answer is not None:
            case, declared = self.asked.cases[name], self.declared.arithmetic(line.features)
            try:
                found, unshown = _again(case, line, said, answer, declared, bound)
            except (TypeError, ValueError) as error:
                found, unshown = [str(error)], ""
            else:
                if found and line.answer is None and case.spec.num_layers > 1 and bound == "step":
                    found, unshown = [], UNSHOWN  # the lower layers' outputs may differ
            yield from found
            self.shown += not (found or unshown)
            if unshown:
                self.unshown[unshown] += 1
        elif self.run.header.compact or line.property != PROPERTY:
            self.unshown[COMPACT if self.run.header.compact else UNSHOWN] += 1
        else:
            yield f"recorded as {line.outcome}, and no answer is kept that shows it"

    def check(self) -> Check:
        """Whether every case of the corpus was asked once, and what could be made anew of its verdicts."""
        checked = f"{self.run.name}: {self.target.label} was asked the corpus, {len(self.asked.cases)} cases"
        if self.asked.wrong:
            return Check(checked, self.asked.wrong)
        found, unshown = ask_again(self.target, self.again)
        again = len(self.again) - sum(unshown.values())
        by = "; ".join(f"{entry.words} by the arithmetic {entry.reason}" for entry in self.declared.arithmetics)
        checked += (
            f"; {self.shown} kept answers were judged again, with the verdicts recorded"
            f"{f' ({by}, as declared)' if by else ''}; {self.refused} were refused as declared"
            f"{f'; {again} that refused or crashed were asked again here' if again else ''}"
        )
        return Check(checked, few([*self._not_once(), *found]), self.unshown + Counter(unshown))

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
    exact = ["outcome"] * (line.outcome != verdict.outcome) + [name for name in other if name not in FIGURES]
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
