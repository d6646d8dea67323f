"""A block of seeds, asked and judged in this process: what comes of it is one line of a campaign's record."""

from __future__ import annotations

import base64
import functools
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from adapters import Result, keep_few_shapes
from adapters.running.trial import Trial, attempt
from evidence.campaign.cases import OF_A_MODULE, Group, asked, group_of, pieces
from evidence.campaign.record import MOST_KEPT, PROPERTY, WRONG, digest_of, tag_of
from evidence.record.environment import cpu, environment, suite
from evidence.record.ledger import Ledger
from evidence.record.lines import Line, Unusable, answer_id, comparable, verdict_line
from findings import explained
from reference import Case, Verdict, judge
from reference.encoding import encode_answer
from reference.judging.judge import wrong_form
from reference.layout import from_state_tuple, sequence_to_time_first, state_to_batched, state_tuple

from ..recording import target_line
from ..target import Target
from ..targets import devices, load


@functools.lru_cache(maxsize=4)
def target_of(source: str, device: str, isolate: bool) -> Target:
    """Raises Unusable, in a sentence, for an adapter that cannot be used, or lacks the device."""
    keep_few_shapes()
    try:
        adapter = load(source)
        devices(adapter, [device], source)
    except pytest.UsageError as error:
        raise Unusable(str(error)) from error
    return Target(adapter, device, Ledger(), source, isolate=isolate)


def about(source: str, device: str) -> Line:
    """What the header of a record says of the machine that asks."""
    return {"suite": suite(), "environment": environment(), "target": target_line(target_of(source, device, False))}


@functools.cache
def worker() -> Line:
    """What may differ from worker to worker: each line is held against its header by it."""
    return {"cpu": cpu(), "suite": suite()}


def ask_block(source: str, device: str, start: int, stop: int, isolate: bool = False) -> Line:
    """The line of the seeds from start up to stop; "by" says who asked, and is no part of a record.

    isolate: whether each case runs in a process of its own, which it may take down.
    """
    target = target_of(source, device, isolate)
    with warnings.catch_warnings(record=True):  # a framework's warnings, the same a thousand times
        line = _Block(target).line(start, stop)
    return {**line, "by": {**worker(), "version": str(target.adapter.version)}}


def died(start: int, stop: int, message: str) -> Line:
    """The line of a block whose worker died each time, also when each case ran in a process of its own."""
    counts = {"crashed": {str(number): count for number, count in asked(start, stop).items()}}
    return {**_line(start, stop, counts, [tag_of("crashed")] * (stop - start)), "message": message}


def of_seeds(source: str, device: str, several: Iterator[tuple[int, int]], isolate: bool) -> Iterator[Line]:
    """The lines of several blocks, one after another."""
    return (ask_block(source, device, *seeds, isolate) for seeds in several)


def _line(start: int, stop: int, counts: Line, tags: Sequence[bytes]) -> Line:
    return {"kind": "block", "seeds": [start, stop], "counts": counts, "worst": None, "findings": {},
            "digest": digest_of(tags), "tags": base64.b64encode(b"".join(tags)).decode(), "wrong": []}  # fmt: skip


class _Block:
    """What came of the cases of a block so far."""

    def __init__(self, target: Target) -> None:
        self.target, self.worst = target, (-1.0, 0)
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.findings, self.tags, self.wrong = Counter[str](), list[bytes](), list[Line]()

    def line(self, start: int, stop: int) -> Line:
        for first, end in pieces(start, stop, OF_A_MODULE):
            self.group(group_of(first), first, end)
        fraction, seed = self.worst
        worst = {"fraction": float(f"{fraction:.3g}"), "seed": seed} if fraction != -1 else None
        line = _line(start, stop, {name: {**count} for name, count in self.counts.items()}, self.tags)
        return {**line, "worst": worst, "findings": {**self.findings}, "wrong": self.wrong}

    def group(self, group: Group, start: int, stop: int) -> None:
        """Ask the cases of a module's seeds, each by a call of its own; judge them beside each other, or, where one
        does not agree, each by itself."""
        cases = [group.case(start)]
        features, (outcome, _) = self.target.features(cases[0]), self.target.not_asked(cases[0])
        if outcome in ("not offered", "left out"):
            self.count(group, outcome, *[tag_of(outcome)] * (stop - start))
            return
        cases += [group.case(seed) for seed in range(start + 1, stop)]
        stack, declared = self.target.stack(cases[0]), self.target.capabilities.arithmetic(features)
        answers = [attempt(stack, case, True, features) for case in cases]
        verdict = together(group.part(start, stop), cases, answers, declared)
        if verdict is not None and verdict.outcome == "agrees":
            given = (answer for answer in answers if isinstance(answer, Result))
            self.count(group, "agrees", *(tag_of("agrees", answer_id(one.output, one.h_n)) for one in given))
            self.see(verdict, start, group.key.batch)
            return
        for seed, case, answer in zip(range(start, stop), cases, answers, strict=True):
            self.single(group, seed, judged(self.target, case, answer, declared), features)

    def count(self, group: Group, outcome: str, *tags: bytes) -> None:
        self.counts[outcome][str(group.key.combination)] += len(tags)
        self.tags += tags

    def see(self, verdict: Verdict, seed: int, rows: int = 0) -> None:
        """Remember the worst error.  rows: of each case, where the verdict is of several beside each other."""
        if verdict.worst is not None and not verdict.max_fraction <= self.worst[0]:
            self.worst = verdict.max_fraction, seed + (verdict.worst.batch // rows if rows else 0)

    def single(self, group: Group, seed: int, trial: Trial, features: Line) -> None:
        outcome, verdict = trial.outcome, trial.verdict
        answer = trial.answer if comparable(verdict) else None
        self.count(group, outcome, tag_of(outcome, answer and answer_id(answer.output, answer.h_n)))
        self.findings.update(trial.findings)
        if verdict is not None and outcome in ("agrees", "disagrees"):
            self.see(verdict, seed)
        declared = outcome == "refused" and self.target.capabilities.refusal(features)
        if outcome in (*WRONG, "not offered", "refused") and not declared and len(self.wrong) < MOST_KEPT:
            said = verdict_line(target=self.target.label, test=f"seed {seed}", tested=PROPERTY, relation=False,
                                case=trial.case, features=features, outcome=outcome, verdict=verdict,
                                message=trial.message, answer=trial.answer)  # fmt: skip
            kept = {"answer": answer and encode_answer(*answer), "content": trial.case.to_json()}
            self.wrong.append({"seed": seed, "said": {**said, **kept}})


def together(whole: Case, cases: Sequence[Case], answers: Sequence[Result | Trial], declared: str) -> Verdict | None:
    """The verdict on answers that stand beside each other; None where one of them cannot stand there.

    whole: the cases beside each other, time first. The bound of an element depends on its own sequence alone.
    """
    given, layout = [answer for answer in answers if isinstance(answer, Result)], cases[0].layout
    if len(given) < len(cases) or any(wrong_form(case, *answer[:2], answer.prefixes or ())
                                      for case, answer in zip(cases, given, strict=True)):  # fmt: skip
        return None

    def beside(several: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([sequence_to_time_first(one, layout) for one in several], axis=1)

    states = zip(*(state_tuple(answer.h_n) for answer in given), strict=True)
    h_n = [np.concatenate([state_to_batched(one, layout) for one in each], axis=1) for each in states]
    lower = [answer.prefixes for answer in given if answer.prefixes is not None]
    prefixes = [beside(each) for each in zip(*lower, strict=True)] if len(lower) == len(given) else None
    return judge(whole, beside([answer.output for answer in given]), from_state_tuple(h_n), prefixes, declared)


def judged(target: Target, case: Case, answer: Result | Trial, declared: str) -> Trial:
    """What came of one case, by the findings that the version at hand has."""
    trial, features = answer, target.features(case)
    if isinstance(trial, Result):
        verdict = judge(case, *trial[:2], trial.prefixes, declared)
        trial = Trial(target.adapter.name, target.adapter.version, target.device, case, verdict.outcome, verdict,
                      answer=trial, arithmetic=declared, mode=target.kept)  # fmt: skip
    return explained(trial, target.present(features), features) if trial.outcome in WRONG else trial
