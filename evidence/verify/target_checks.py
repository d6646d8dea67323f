"""What one target of a run was asked: every line is checked, every case of the corpus asked once, and judged again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from ..record.corpus import PROPERTY, Corpus
from ..record.runs import Run
from ..record.schema import TargetLine, VerdictLine
from . import declarations
from .answers import Rejudged
from .check import FAILED, Check, few
from .consistency import CHANGED, inconsistencies
from .declarations import Declared
from .questions import PORT, asked_by, misplaced
from .second_try import ask_again

DRAWN = "on cases that were drawn, or of two answers compared: no answers of them are kept"
NOT_REACHED = "of the corpus in a mode, or by their whole trajectory: their test had failed before it asked them"
OWN_WORDS = "refused or crashed in the framework's own words, of a case that was drawn or compared"


class Target:
    """What one target of a run was asked, as its lines come by.  asked: the corpus that the run was asked."""

    def __init__(self, run: Run, target: TargetLine, asked: Corpus) -> None:
        self.run, self.target, self.asked, self.declared = run, target, asked, declarations.of(target)
        self.labels = {other.label for other in run.header.targets}
        self.failed = {line.test for line in run.tests if line.outcome in FAILED}
        self.rejudged = Rejudged(asked, run.header.compact is not None)
        self.unshown: Counter[str] = Counter()
        self.times: Counter[tuple[str, str]] = Counter()  # property and name, of the corpus
        self.stopped: set[tuple[str, str]] = set()  # the same, where a test failed: it asks no more
        self.again: list[VerdictLine] = []
        self.refused = 0

    def problems(self, line: VerdictLine, others: Mapping[str, Target]) -> Iterator[str]:
        """What is wrong with a line of this target."""
        test, elsewhere = asked_by(line), misplaced(line, self.labels)
        if test is None or elsewhere:
            yield elsewhere
            return
        port = others.get(line.property.removeprefix(PORT)) if test.tested == PORT else None
        declared, asked = (port or self).declared, self.asked.asked.get(line.property)
        wrong = list(inconsistencies(line, declared, test.bound, self.asked))
        yield from wrong
        yield from self._outcome(line, declared, port is not None)
        if asked and line.corpus not in asked.names:
            yield f"{line.corpus or line.case}: it is not in this suite's corpus, or not asked there"
        if line.corpus is not None and not line.relation:
            self.times[line.property, line.corpus] += asked is not None
            if not wrong and line.verdict is not None:
                found, unshown = self.rejudged.problems(line, self.declared, test.bound)
                yield from found
                self.unshown[unshown] += 1
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

    def check(self) -> Check:
        """Whether every case of the corpus was asked once, and what could be made anew of its verdicts."""
        checked = f"{self.run.name}: {self.target.label} was asked the corpus, {len(self.asked.cases)} cases"
        if self.asked.wrong:
            return Check(checked, self.asked.wrong)
        found, unshown = ask_again(self.target, self.again)
        again = len(self.again) - sum(unshown.values())
        by = "; ".join(f"{entry.words} by the arithmetic {entry.reason}" for entry in self.declared.arithmetics)
        checked += (
            f"; {self.rejudged.shown} kept answers were judged again, with the verdicts recorded"
            f"{f' ({by}, as declared)' if by else ''}; {self.refused} were refused as declared"
            f"{f'; {again} that refused or crashed were asked again here' if again else ''}"
        )
        del self.unshown[""]
        problems = few([*self._not_once(), *found])
        return Check(checked, problems, self.unshown + Counter(unshown))

    def _not_reached(self) -> set[tuple[str, str]]:
        """What a test that asks several cases would have asked after the one that it failed on."""
        found: set[tuple[str, str]] = set()
        for tested, name in self.stopped:
            if tested == PROPERTY:
                continue
            direction = self.asked.cases[name].spec.direction
            names = [n for n in self.asked.asked[tested].names if self.asked.cases[n].spec.direction == direction]
            if name in names:
                found |= {(tested, one) for one in names[names.index(name) + 1 :]}
        return found

    def _not_once(self) -> Iterator[str]:
        """Cases of the corpus that were not asked once: by the property that asks it whole, and by the others."""
        unreached = {key for key in self._not_reached() if not self.times[key]}
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
