"""What one target of a run was asked: every line is checked, every case of the corpus asked once, and judged again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..compare.second_try import Question, ask_again
from ..record import corpus
from ..record.reading import Run
from ..record.schema import TargetLine, VerdictLine
from . import declarations
from . import questions as asked
from .answers import Rejudged
from .check import FAILED, Finding, few
from .consistency import CHANGED, inconsistencies
from .declarations import Declared

DRAWN = "on cases that were drawn, or of two answers compared: no answers of them are kept"
NOT_REACHED = "of the corpus in a mode, or by their whole trajectory: their test had failed before it asked them"
OWN_WORDS = "refused or crashed in the framework's own words, of a case that was drawn or compared"


class Target:
    """What one target of a run was asked, as its lines come by."""

    def __init__(self, run: Run, target: TargetLine) -> None:
        self.run, self.target, self.declared = run, target, declarations.of(target)
        self.labels = {other.label for other in run.header.targets}
        self.failed = {line.test for line in run.tests if line.outcome in FAILED}
        self.rejudged = Rejudged()
        self.unshown: Counter[str] = Counter()
        self.asked: Counter[tuple[str, str]] = Counter()  # property and name, of the corpus
        self.stopped: set[tuple[str, str]] = set()  # the same, where a test failed: it asks no more
        self.again: list[Question] = []
        self.refused = 0

    def problems(self, line: VerdictLine, others: dict[str, Target]) -> Iterator[str]:
        """What is wrong with a line of this target."""
        if misplaced := asked.misplaced(line, self.labels):
            yield misplaced
            return
        test = asked.asked_by(line)
        assert test is not None
        port = others.get(line.property.removeprefix(asked.PORT)) if test.tested == asked.PORT else None
        declared = (port or self).declared
        wrong = list(inconsistencies(line, declared, test.bound))
        yield from wrong
        yield from self._outcome(line, declared, port is not None)
        if line.property in corpus.asked() and line.corpus not in corpus.asked()[line.property].names:
            yield f"{line.corpus or line.case}: it is not in this suite's corpus, or not asked there"
        if line.corpus is not None and not line.relation:
            self.asked[line.property, line.corpus] += line.property in corpus.asked()
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
        if not passed and self.run.end is not None and line.test not in self.failed:
            why = f"it is recorded as {line.outcome}{', and declared unsupported' if refusals else ''}"
            if line.outcome == "refused":
                why = "it was refused, and nothing that it asks for is declared unsupported"
            yield f"{why}; its test did not fail"
        if not passed and line.test in self.failed and line.property in corpus.asked() and line.corpus is not None:
            self.stopped.add((line.property, line.corpus))
        if line.outcome == "refused" and line.message in refusals:
            self.refused += 1
        elif line.relation and port and refusals:
            yield f"it was refused in the words {line.message[:200]!r}, the port's target declares others"
        elif line.verdict is None:
            self._without(line)

    def _without(self, line: VerdictLine) -> None:
        """A line without a verdict, in words that no declaration has: it is to be asked again, if it can be."""
        if line.corpus is None or line.relation or line.message.startswith(CHANGED):
            self.unshown[OWN_WORDS] += 1
        else:
            self.again.append(Question(line.corpus, str(line.features["mode"]), line.outcome, line.message))

    def finding(self) -> Finding:
        """Whether every case of the corpus was asked once, and what could be made anew of its verdicts."""
        cases, run, target = corpus.cases(), self.run, self.target
        checked = f"{run.name}: {target.label} was asked the corpus, {len(cases)} cases"
        if run.header.corpus != corpus.digest():
            problem = f"the corpus of the run is {run.header.corpus[:16]}..., this suite's is {corpus.digest()[:16]}..."
            return Finding(checked, [problem])
        found, unshown = ask_again(target, self.again)
        by = "; ".join(f"{entry.words} by the arithmetic {entry.reason}" for entry in self.declared.arithmetics)
        checked += (
            f"; {self.rejudged.shown} kept answers were judged again, with the verdicts recorded"
            f"{f' ({by}, as declared)' if by else ''}; {self.refused} were refused as declared"
        )
        asked_again = len(self.again) - sum(unshown.values())
        checked += f"; {asked_again} that refused or crashed were asked again here" if asked_again else ""
        del self.unshown[""]
        problems = few([*self._not_once(), *found])
        return Finding(checked, problems, self.unshown + Counter(unshown))

    def _not_reached(self) -> set[tuple[str, str]]:
        """What a test that asks several cases would have asked after the one that it failed on."""
        found: set[tuple[str, str]] = set()
        for tested, name in self.stopped - {(corpus.PROPERTY, name) for name in corpus.cases()}:
            direction = corpus.cases()[name].spec.direction
            names = [one for one in corpus.asked()[tested].names if corpus.cases()[one].spec.direction == direction]
            if name in names:
                found |= {(tested, one) for one in names[names.index(name) + 1 :]}
        return found

    def _not_once(self) -> Iterator[str]:
        """Cases of the corpus that were not asked once: by the property that asks it whole, and by the others."""
        times = {(tested, name): self.asked[tested, name]
                 for tested, one in corpus.asked().items() for name in one.names}  # fmt: skip
        for key in self._not_reached():
            if not times[key]:
                self.unshown[NOT_REACHED] += 1
                del times[key]
        for whole in (True, False):
            other = [key for key, count in times.items() if count != 1 and (key[0] == corpus.PROPERTY) == whole]
            if other:
                (tested, name), count = other[0], times[other[0]]
                where = "" if whole else " in a mode, or by their whole trajectory"
                yield f"{len(other)} cases were not asked once{where}: {name!r} {count} times by {tested!r}"
