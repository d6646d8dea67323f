"""How often the diagnosis is right: faults planted in a real adapter, on cases as the properties draw them.

A diagnosis is right where it names the planted fault first, or one that gives the same answer to that case: so near
that two correct implementations may lie as far apart (judge_pair). To see what it makes of a fault that it does not
know, the planted one is left out of what it tries: then every name that is given is wrong, unless tied as above.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from adapters import Adapter, Unsupported
from adapters.running.trial import Stack, Trial, attempt
from meta_tests.common.property_cases import drawn_cases, faulty_answer, visible_in
from reference import Case, Diagnosis, diagnose, judge, judge_pair
from reference.faults import COMMONEST, FAULTS, Fault, implementation
from reference.recurrence import Result

PAIRS = "two at once"
MOST_WRONG = 1 / 20  # of the diagnoses: what the project promises


@dataclass(frozen=True)
class Row:
    """The disagreements that faults of one family caused, and what the diagnosis said of them.

    alone: the planted fault was the only one named.  first: it was named first, others fit too.  tied: the first one
    named gives the same answer.  wrong: another was named first.  missed: nothing was named.
    misnamed: what a diagnosis that does not know the fault names wrongly.
    """

    family: str
    faults: int
    disagreements: int
    alone: int
    first: int
    tied: int
    wrong: int
    missed: int
    misnamed: int

    @property
    def right(self) -> float:
        """The part of the disagreements whose diagnosis is right."""
        return (self.alone + self.first + self.tied) / self.disagreements


def rows(adapter: Adapter, cases_each: int, pairs: int) -> list[Row]:
    """A row for each family and one for pairs of the commonest, of which so many are tried; the last is the total.

    cases_each: drawn cases for each fault, fewer where fewer show it.
    """
    families: dict[str, list[tuple[Fault, ...]]] = {}
    for fault in FAULTS.values():
        families.setdefault(fault.family, []).append((fault,))
    every = list(itertools.permutations(COMMONEST, 2))  # either may be the outer one
    families[PAIRS] = every[:: max(1, len(every) // pairs)] if pairs else []
    found = [row(family, planted, adapter, cases_each) for family, planted in families.items() if planted]
    counts = {field.name: sum(getattr(each, field.name) for each in found) for field in fields(Row)[1:]}
    return [*found, Row("all", **counts)]


def row(family: str, planted: Sequence[tuple[Fault, ...]], adapter: Adapter, cases_each: int) -> Row:
    said: Counter[str] = Counter()
    for faults in planted:
        for case, answer in itertools.islice(disagreements(faults, adapter), cases_each):
            said["disagreements"] += 1
            said[verdict_on_diagnosis(faults, case, diagnose(case, *answer))] += 1
            if len(faults) == 1:
                blind = diagnose(case, *answer, faults=[f for f in FAULTS.values() if f not in faults], paired=())
                said["misnamed"] += verdict_on_diagnosis(faults, case, blind) == "wrong"
    kinds = ("disagreements", "alone", "first", "tied", "wrong", "missed", "misnamed")
    return Row(family, len(planted), *(said[kind] for kind in kinds))


def disagreements(faults: tuple[Fault, ...], adapter: Adapter) -> Iterator[tuple[Case, tuple]]:
    """Drawn cases to which an adapter with these faults gives an answer that the judge rejects, and that answer."""

    def run(case: Case) -> Result:
        answer = attempt(Stack(adapter, case), case)
        if isinstance(answer, Trial):
            raise Unsupported(answer.message) if answer.outcome in ("refused", "not offered") else RuntimeError(answer)
        return Result(*answer[:2])

    cases = [case for case in drawn_cases() if all(visible_in(fault, case) for fault in faults)]
    # neighbours share their question: every seventh in turn takes one of each question, in another layout each time
    for case in (case for start in range(7) for case in cases[start::7]):
        try:
            answer = faulty_answer(list(faults), case, run, adapter)
        except Unsupported:
            continue
        if judge(case, *answer).outcome == "disagrees" and not collapsed(faults, case):
            yield case, answer


def verdict_on_diagnosis(faults: tuple[Fault, ...], case: Case, diagnosis: Diagnosis) -> str:
    """One of alone, first, tied, wrong, missed."""
    named = [explanation.faults for explanation in diagnosis.explanations]
    if not named:
        return "missed"
    if set(named[0]) == set(faults):
        return "alone" if len(named) == 1 else "first"
    return "tied" if same_answer(faults, named[0], case) else "wrong"


def collapsed(faults: tuple[Fault, ...], case: Case) -> bool:
    """Whether of two faults one alone gives the same answer: then there is only that one to name."""
    return len(faults) > 1 and any(same_answer(faults, (fault,), case) for fault in faults)


def same_answer(one: tuple[Fault, ...], other: tuple[Fault, ...], case: Case) -> bool:
    """Whether the reference answers a case in the same way with either planted in it."""
    first, second = (implementation(faults, Case.answer)(case) for faults in (one, other))
    equal = all(np.array_equal(*pair, equal_nan=True) for pair in zip(first, second, strict=True))
    return equal or judge_pair(case, first, second).outcome == "agrees"
