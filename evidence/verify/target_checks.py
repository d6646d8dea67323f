"""What one target of a run was asked: every line is checked, every case of the corpus asked once, and judged again.

The reference judges each kept answer to the corpus again, as anyone may who has NumPy.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np

from adapters import Result
from adapters.contract import IN_THREADS
from findings import Finding
from reference import Case, Verdict
from reference.cells import cell_of
from reference.encoding import arrays_of, decode_answer
from reference.judging.partial import judge_view
from reference.judging.verdict import OWN_STEPS
from reference.judging.view import View
from reference.layout import state_tuple

from ..record import seeded
from ..record.corpus import PROPERTY, Corpus
from ..record.lines import PINNED, answer_id
from ..record.runs import Run
from ..record.schema import Answer, Judgement, Place, TargetLine, VerdictLine
from . import declarations
from .again import ask_again
from .check import Check, few
from .consistency import CHANGED, UNCOMPARED, bounds_of, close, inconsistencies, ordinary
from .explanations import Findings, explanation_problems
from .questions import IDIOMS, PORT, TOGETHER, asked_by, misplaced

DRAWN = "on cases that were drawn, or of two answers compared: no answers of them are kept"
NOT_REACHED = "in a mode, in an idiom, or by their whole trajectory: their test had failed before it asked them"
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
        self.findings = Findings(run, target)
        # answers of the corpus serve for other properties too, where the bits are the same
        self.needed = {name for tested, one in asked.asked.items() if tested != PROPERTY for name in one.names}
        self.kept: dict[str, tuple[str | None, Answer]] = {}
        self.shown = 0  # verdicts that were made anew
        self.unshown: Counter[str] = Counter()
        self.times: Counter[tuple[str, str]] = Counter()  # property and name, of the corpus
        self.stopped: set[tuple[str, str]] = set()  # the same, where a test failed: it asks no more
        self.again: list[VerdictLine] = []
        self.declined: Counter[str] = Counter()  # what was not asked, and why
        there = [one for one in self.declared.idioms if not one.absent]
        self.seeded = {one.word: declarations.seeded_cases(self.declared, one) for one in there}
        self.idioms: Counter[str] = Counter()  # word -> lines, of drawn cases too

    def problems(self, line: VerdictLine, others: Mapping[str, Self]) -> Iterator[str]:
        test = asked_by(line)
        if test is None:
            yield f"{line.test[:200]!r}: this suite has no such test"
            return
        if elsewhere := misplaced(line, test, others, self.findings.mode):
            yield elsewhere
            return
        if line.idiom and (wrong := self._idiom(line, test.tested in IDIOMS)):
            yield wrong
            return
        pinned = self.findings.pinned(line) if test.tested == PINNED else None
        if test.tested == PINNED and pinned is None:
            yield f"{line.property!r}: this suite knows no such finding of {self.target.label}"
            return
        port = others.get(line.property.removeprefix(PORT)) if test.tested == PORT else None
        first = line.verdict is not None and line.verdict.bound == OWN_STEPS[0]  # a port's answer is the second
        declared, asked = (self if first or port is None else port).declared, self.asked.asked.get(line.property)
        declared, fixed = declared.narrowed(line.idiom), pinned.case.case() if pinned else None
        if test.tested == seeded.PROPERTY:
            fixed = self.seeded[line.idiom].get(line.case)
            self.times[f"{line.property} {line.idiom}", line.case] += 1
            if fixed is None:
                yield f"{line.case}: it is none of the cases that the idiom {line.idiom!r} is asked"
        case = fixed or self.asked.cases.get(line.corpus or "")
        bounds, compact = bounds_of(line, test.bound), self.run.header.compact is not None
        wrong = list(inconsistencies(line, declared, bounds, self.asked, fixed, compact))
        yield from wrong
        yield from self._outcome(line, declared, port is not None, pinned, fixed)
        own = test.tested in IDIOMS or (test.tested == TOGETHER and line.idiom == IN_THREADS)
        idiom = pinned.idiom if pinned else line.idiom if own else ""
        yield from explanation_problems(line, [of.findings for of in (self, port) if of], pinned, idiom)
        if asked and line.corpus not in asked.names:
            yield f"{line.corpus or line.case}: it is not in this suite's corpus, or not asked there"
        if case is not None and not line.relation:
            if line.corpus is not None:
                self.times[line.property, line.corpus] += asked is not None
            if not wrong and line.verdict is not None:
                yield from self._rejudge(case, line, line.verdict, None if line.idiom else test.bound, pinned)
        elif line.verdict is not None:
            self.unshown[DRAWN] += 1

    def _idiom(self, line: VerdictLine, asks: bool) -> str:
        """Why a line cannot be in its idiom; empty where it can. A record from before idioms were declared has those of
        findings' cases alone.  asks: whether the line's test asks idioms."""
        if not (self.run.header.knows_idioms or asks):
            return ""
        self.idioms[line.idiom] += 1
        if (idiom := self.declared.idiom(line.idiom)) is None:
            return f"it was asked in the idiom {line.idiom!r}, which {self.target.label} does not declare"
        if idiom.absent:
            return f"it was asked in the idiom {line.idiom!r}, which is absent: {idiom.absent[:200]}"
        views = View(**line.view), View(**idiom.view)
        return f"its view is {views[0]}, the idiom {line.idiom!r} shows {views[1]}" if views[0] != views[1] else ""

    def _outcome(
        self, line: VerdictLine, declared: TargetLine, port: bool, pinned: Finding | None, fixed: Case | None
    ) -> Iterator[str]:
        """Whether the outcome is what was declared, or the test that saw it failed.  fixed: its case, if it has one
        that is none of the corpus."""
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
        elif not passed and failed and line.property == seeded.PROPERTY:
            self.stopped.add((line.property, line.idiom))
        if line.outcome == "left out" or (line.outcome == "not offered" and line.message in lacks):
            self.declined["not offered, as declared" if lacks else f"left out, as {line.message[:80]} says"] += 1
        elif line.outcome == "refused" and refusals and not fits:
            yield f"it was refused in the words {line.message[:200]!r}, which are not those that were declared"
        elif line.relation and port and lacks:
            yield f"it was not offered in the words {line.message[:200]!r}, the port's target declares others"
        elif line.verdict is not None:
            return
        elif (line.corpus is None and fixed is None) or line.relation or line.message.startswith(CHANGED):
            self.unshown[OWN_WORDS] += 1
        elif pinned is None or not pinned.what.not_expressible:  # what can be told is to be asked again, if it can be
            self.again.append(line)

    def _rejudge(
        self, case: Case, line: VerdictLine, said: Judgement, bound: str | None, pinned: Finding | None
    ) -> Iterator[str]:
        """What is wrong with a verdict on a fixed case, made anew.  bound: of its property; None in an idiom."""
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
                shown = Result(*decode_answer(answer.model_dump()))
                lower, view = None if bound == "trajectory" else shown.prefixes, View(**line.view)
                verdict = judge_view(case, view, shown.output, shown.h_n, lower, declared, bound, shown.gradients)
                found, unshown = _differences(case, line, said, shown, verdict)
                if not found and ordinary(line) != line.outcome and not (pinned and pinned.what.not_expressible):
                    found = self.findings.planted(case, line, shown, verdict, declared, bound)
            except (TypeError, ValueError) as error:
                found, unshown = [str(error)], ""
            else:
                if found and line.answer is None and case.spec.num_layers > 1 and bound == "step":
                    found, unshown = [], UNSHOWN  # the lower layers' outputs may differ
            yield from found
            self.shown += not (found or unshown)
            if unshown:
                self.unshown[unshown] += 1
        elif self.run.header.compact or (line.property not in (PROPERTY, seeded.PROPERTY) and pinned is None):
            self.unshown[COMPACT if self.run.header.compact else UNSHOWN] += 1
        else:
            yield f"recorded as {line.outcome}, and no answer is kept that shows it"

    def check(self) -> Check:
        """Whether every case of the corpus was asked once, and what could be made anew of its verdicts."""
        checked = f"{self.run.name}: {self.target.label} was asked the corpus, {len(self.asked.cases)} cases"
        if self.asked.wrong:
            return Check(checked, self.asked.wrong)
        idioms = (case for cases in self.seeded.values() for case in cases.values())
        pinned = (one.case.case() for line in self.again if (one := self.findings.pinned(line)))
        cases = {case.id: case for case in (*self.asked.cases.values(), *pinned, *idioms)}
        found, unshown = ask_again(self.target, self.again, cases)
        again = len(self.again) - sum(unshown.values())
        by = "; ".join(f"{entry.asked} by the arithmetic {entry.reason}" for entry in self.declared.arithmetics)
        checked += (
            f"{f', and {len(self.idioms)} idioms' if self.idioms else ''}"
            f"; {self.shown} kept answers were judged again, with the verdicts recorded"
            f"{f' ({by}, as declared)' if by else ''}"
            f"{''.join(f'; {count} were {why}' for why, count in self.declined.items())}"
            f"{f'; {again} that refused or crashed were asked again here' if again else ''}"
        )
        problems = [*self._not_once(), *self._idioms_not_once(), *found]
        return Check(checked, few(problems), self.unshown + Counter(unshown))

    def _not_once(self) -> Iterator[str]:
        """Cases of the corpus that were not asked once: by the property that asks it whole, and by the others."""
        unreached: set[tuple[str, str]] = set()  # by a test that asks several cases, after the one that it failed on
        for tested, name in self.stopped:
            if tested == seeded.PROPERTY:
                continue
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

    def _idioms_not_once(self) -> Iterator[str]:
        """Idioms that are declared and there, and that were not asked each of their cases once. A run of a part of the
        suite may have asked none of an idiom's."""
        end = self.run.end
        whole = end is not None and not end.selection and not self.run.incomplete
        for word, cases in self.seeded.items() if self.run.header.knows_idioms else ():
            times = [self.times[f"{seeded.PROPERTY} {word}", one] for one in cases]
            missing = times.count(0)
            if missing and (seeded.PROPERTY, word) in self.stopped:
                self.unshown[NOT_REACHED] += missing
            elif missing and (whole or any(times)):
                yield f"the idiom {word!r} is declared, and {missing} of its {len(times)} cases were not asked"
            if max(times) > 1:
                yield f"the idiom {word!r} was asked one of its cases {max(times)} times"


def _differences(
    case: Case, line: VerdictLine, said: Judgement, shown: Result, verdict: Verdict
) -> tuple[list[str], str]:
    """What a line says otherwise than the verdict made anew of the answer shown; and why that shows nothing."""
    given = answer_id(shown.output, shown.h_n, shown.gradients)
    problems = [f"the answer is {given}, the line says {line.answer_id}"] if given != line.answer_id else []
    other = [name for name in vars(said) if not _same(name, getattr(said, name), getattr(verdict, name))]
    exact = ["outcome"] * (ordinary(line) != verdict.outcome) + [name for name in other if name not in FIGURES]
    if case.dtype == "float64" and not exact and other and _plausible(case, said, verdict, shown):
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


def _plausible(case: Case, said: Judgement, verdict: Verdict, shown: Result) -> bool:
    """Whether float64 figures could be those of another BLAS: the bound covers either's own sums, so a fraction of it
    is 1 apart at most, and what the answer was at the places named is in it."""
    near = abs(said.max_fraction - verdict.max_fraction) <= 1 or not np.isfinite(verdict.max_fraction)
    near = near and abs(said.mean_signed_residual - verdict.mean_signed_residual) <= max(said.elements, 1)
    for place in (said.worst, said.first):
        if place is None or (place.array == "output" and place.layer != case.spec.num_layers - 1):
            continue
        names = (f"{state.name}_n" for state in cell_of(case.spec).states)
        finals = dict(zip(names, state_tuple(shown.h_n), strict=True))
        named = finals.get(place.array, shown.output)
        arrays = arrays_of(shown.output, shown.h_n, shown.gradients) if shown.gradients else [named]
        near = near and bool(any((one == place.actual).any() for one in arrays) or np.isnan(place.actual))
    return near
