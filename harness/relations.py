"""Answers of targets that are compared with each other: what one is asked, and what comes of two."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pytest
from hypothesis import currently_in_test_context, reject

from adapters import Result
from adapters.contract import features_of_case
from adapters.running.trial import Stack, Trial, asked_of, attempt
from findings import explained
from reference import Case, judge, judge_pair

from .failures import Failure
from .notes import note, running_test, something_was_seen, write
from .target import Target


def answer(target: Target, case: Case, stack: Stack | None = None) -> Result:
    """The adapter's answer, for a relation; skips the test where the adapter declares that it has none.

    stack: modules already built of these parameters.
    """
    __tracebackhide__ = True
    started = time.perf_counter()
    if reason := target.not_asked(case)[1]:
        target.answered.clear()
        alone = replace(target.capabilities, together={}).not_offered(features_of_case(case))
        if not alone and currently_in_test_context():
            reject()  # another case may not ask for these features together
        pytest.skip(f"{target.label}: no answer is expected: {reason}")
    stack = stack or target.stack(case)
    before = dict(stack.seconds)
    result = attempt(stack, case)
    spent = {what: stack.seconds[what] - before[what] for what in before}
    target.ledger.spend(target.label, {**spent, "ask": time.perf_counter() - started})
    if isinstance(result, Trial):
        target.answered.clear()
        features = target.features(case)
        result = explained(result, target.present(features), features)
        said = {"message": result.message, "findings": result.findings}
        record_relation(target, "answer", case, result.outcome, **said)
        if result.findings:
            pytest.skip(f"{target.label}: no answer, as {', '.join(result.findings)} says: {result.message}")
        raise AssertionError(target.failure("answer", result, None))
    target.answered.append((running_test(), case, result))
    return result


def check_pair(
    target: Target, tested: str, case: Case, expected: Result, actual: Result, other: Target | None = None
) -> None:
    """Fail unless two answers to the same question agree; the reference gives no answer, only the bound.

    Both may be put together from several answers: where each of those is right, or wrong just as findings say, the
    outcome is "finding".  other: the target that gave `actual`; this one when None.
    """
    __tracebackhide__ = True
    declared = tuple(asked_of(of.adapter, case, of.device, of.kept)[1] for of in (target, other or target))
    started = time.perf_counter()
    verdict = judge_pair(case, expected, actual, declared)
    judged = time.perf_counter()
    both = [(target, case, expected), (other or target, case, actual)]
    parts = [*_parts(target), *(_parts(other) if other else ())]
    tried = [[*map(_judged, several)] for several in (both, parts)] if verdict.outcome == "disagrees" else []
    ids = next(filter(None, map(_findings, tried)), ())
    outcome = "finding" if ids else verdict.outcome
    trial = record_relation(target, tested, case, outcome, verdict=verdict, answer=actual, findings=ids)
    target.ledger.spend(target.label, {"judge": judged - started, "ask": time.perf_counter() - started})
    if outcome == "disagrees":
        kept = f"{target.failures.save(case)}{target.failures.note}"
        raise AssertionError(PairFailure(tested, trial, kept, tried[1]))
    something_was_seen([outcome])


def record_relation(target: Target, tested: str, case: Case, outcome: str, **what: Any) -> Trial:
    """Count, and record, what came of an answer that is compared with another answer.

    what: the verdict, the message and the answer, as in a Trial, which is made of them.
    """
    trial = Trial(target.adapter.name, target.adapter.version, target.device, case, outcome, **what)
    target.ledger.record_relation(target.label, tested, outcome)
    note(target, trial)
    write(target, tested, features_of_case(case), trial, relation=True)
    return trial


def _parts(target: Target) -> Sequence[tuple[Target, Case, Result]]:
    """The cases that it was asked since the last relation of the test that is running, and its answers."""
    parts = [(target, case, answer) for test, case, answer in target.answered if test == running_test()]
    target.answered.clear()
    return parts


class Judged(NamedTuple):
    """A target's answer to one of the questions of a relation, judged by itself."""

    target: Target
    trial: Trial


def _judged(asked: tuple[Target, Case, Result]) -> Judged:
    target, case, answer = asked
    features = target.features(case)
    declared = target.capabilities.arithmetic(features)
    verdict = judge(case, *answer[:2], prefixes=answer.prefixes, declared=declared)
    trial = Trial(target.adapter.name, target.adapter.version, target.device, case, verdict.outcome, verdict,
                  answer=answer, arithmetic=declared)  # fmt: skip
    return Judged(target, explained(trial, target.present(features), features))


def _findings(answers: Sequence[Judged]) -> tuple[str, ...]:
    """The findings that answers show; none where one of them is wrong otherwise."""
    if any(one.trial.outcome not in ("agrees", "vacuous", "finding") for one in answers):
        return ()
    return tuple(dict.fromkeys(found for one in answers for found in one.trial.findings))


@dataclass(frozen=True)
class PairFailure:
    """What is said of two answers that disagree; the diagnosis is made when the text is read.

    kept: the file of the case.  parts: all that was asked for them.
    """

    tested: str
    trial: Trial
    kept: str
    parts: Sequence[Judged]

    def wrong(self) -> Iterator[tuple[str, Failure]]:
        """The answers that disagree with the reference by themselves: which each is, and its failure."""
        for at, (target, trial) in enumerate(self.parts, 1):
            if trial.outcome == "disagrees":
                yield f"answer {at} of {len(self.parts)}, by {target.label},", target.failure(self.tested, trial, None)

    def causes(self) -> list[str]:
        """As those of a failure."""
        alone = [f"{self.tested}: answers that agree with the reference disagree with each other"]
        return [cause for _, failure in self.wrong() for cause in failure.causes()] or alone

    def __str__(self) -> str:
        count, said = len(self.parts), []
        for which, failure in self.wrong():
            diagnosis = failure.diagnosis()
            said += [f"{which} disagrees with the reference: {failure.trial.verdict}",
                     *([f"diagnosis: {diagnosis}"] if diagnosis else [])]  # fmt: skip
        said = said or [f"each of the {count} answers agrees with the reference by itself, within its bound"]
        said.append(f"the case, of which two answers were compared: {self.kept}")
        return f"{self.tested}: {self.trial}\n" + textwrap.indent("\n".join(said), "  ")
