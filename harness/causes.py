"""Many failures, few causes: the tests of a target that failed, by what tells their cases from those that agree, or
else by what was found wrong."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from evidence.record.ledger import Ledger
from evidence.words import many

from .failures import UNKNOWN, Failure
from .relations import PairFailure
from .rules import Row, Rule, rule_of
from .target import Target, target_of

MOST_NAMED = 12  # failing tests that pytest names one by one; of more, how many of each property


class Failed(NamedTuple):
    """What failed in a test.  outcome: of its case.  causes: each of what may be wrong, in words.  size: of its case.
    text: what is said of it."""

    test: str
    outcome: str
    target: str
    causes: Sequence[str]
    size: int
    text: str


def failed(item: pytest.Item, target: Target, errors: Sequence[BaseException]) -> Iterator[Failed]:
    """Each failure of which the suite speaks."""
    for error in errors:
        said = error.args[0] if error.args else None
        if isinstance(said, Failure | PairFailure):
            trial = said.trial
            yield Failed(item.nodeid, trial.outcome, target.label, said.causes(), trial.case.x.size, str(said))


def errors_of(error: BaseException) -> list[BaseException]:
    """Of several failures that Hypothesis found, each."""
    several = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [one for inner in several for one in errors_of(inner)] or [error]


class Causes:
    """The failures of all processes of a run."""

    def __init__(self, config: pytest.Config, ledger: Ledger) -> None:
        self.ledger, self.failed = ledger, list[Failed]()
        # whether a failure is told by its message alone: where no other way of telling it was asked for
        self.short = config.option.tbstyle == "auto" and not config.option.fulltrace
        self.once = self.short and config.option.verbose <= 0  # whether it is told for its group alone

    def tell_of(self, report: pytest.TestReport, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Put into a report what its test says; where that is short, in the place of the traceback."""
        target = target_of(item)
        if not report.failed or call.excinfo is None or target is None:
            return
        errors = errors_of(call.excinfo.value)
        if said := [*failed(item, target, errors)]:
            report.failed_as = [*map(tuple, said)]  # type: ignore[attr-defined] (what pytest-xdist can send)
        if self.short and all(isinstance(error, AssertionError) for error in errors):
            for error in errors:
                error.__notes__ = []  # what Hypothesis drew: the case is in a file
            one: Any = call.excinfo.getrepr(style="value", chain=False)  # of several pytest knows the traceback alone
            if one.reprcrash is not None:  # in CI pytest's own summary has all of it
                one.reprcrash.message = one.reprcrash.message.partition("\n")[0]
            report.longrepr = one if errors == [call.excinfo.value] else "\n".join(map(str, errors))

    def count(self, report: pytest.TestReport) -> None:
        said = getattr(report, "failed_as", ())
        self.failed += [Failed(*one) for one in said]
        if said and self.once:
            report._pdbshown = True  # type: ignore[attr-defined] (pytest does not show it again)

    def tell(self, terminal: pytest.TerminalReporter) -> None:
        """Of each group how many failed, what they have in common, and what the smallest case says."""
        if groups := [*self.groups()]:
            terminal.section(f"{many(len(self.failed), 'failure')}, {many(len(groups), 'cause')}")
        for number, (rule, several) in enumerate(groups, 1):
            common = f": {rule}" if rule.wrong > 1 else ""
            said = f"{number}. {several[0].target}, {many(len(several), 'failure')}{common}"
            terminal.write_line(said, red=True)
            properties = Counter(one.test.rpartition("::")[2].partition("[")[0] for one in several)
            terminal.write_line(f"   {', '.join(f'{count} of {name}' for name, count in properties.most_common())}")
            causes = Counter(one.causes[0] for one in several).most_common()
            if len(causes) > 1:
                terminal.write_line(f"   {'; '.join(f'{count}: {cause}' for cause, count in causes)}")
            terminal.write_line(textwrap.indent(min(several, key=_place).text, "   "))
        if (
            len(self.failed) > MOST_NAMED and self.once and terminal.config.option.reportchars == "fE"
        ):  # no -r was given
            terminal.reportchars = "E"

    def groups(self) -> Iterator[tuple[Rule, list[Failed]]]:
        """Of each target one group, where one rule separates all its wrong cases from the others; else one a cause."""
        for label in sorted({one.target for one in self.failed}):
            left, right = [one for one in self.failed if one.target == label], Counter[Row]()
            wrong = {one[:2]: Counter[Row]() for one in left}
            for said, count in self.ledger.noted(label, "wrong").items():
                test, outcome, *features = said.split("\t")
                wrong.get((test, outcome), Counter[Row]())[frozenset(features)] += count
            for said, count in self.ledger.noted(label, "agrees").items():
                right[frozenset(said.split("\t"))] += count
            whole = rule_of(sum(wrong.values(), Counter()), right)
            if whole.separates:
                seen = {cause for one in left if wrong[one[:2]] for cause in one.causes}
                yield whole, [one for one in left if seen & {*one.causes}]
                left = [one for one in left if not seen & {*one.causes}]
            for group in by_causes(left):
                yield rule_of(sum((wrong[one[:2]] for one in group), Counter()), right), group


def _place(one: Failed) -> tuple[int, ...]:
    """The smallest case comes first, of those that have a diagnosis and can be asked again, where some do."""
    return UNKNOWN in one.causes, *(words not in one.text for words in ("diagnosis: ", "replay: ")), one.size


def by_causes(left: Sequence[Failed]) -> Iterator[list[Failed]]:
    """The fewest groups: those with the cause that most have, then those with the one that most of the others have."""
    while left:
        (cause, _), *_ = Counter(cause for one in left for cause in one.causes).most_common(1)
        yield [one._replace(causes=[cause]) for one in left if cause in one.causes]
        left = [one for one in left if cause not in one.causes]
