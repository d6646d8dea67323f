"""A block of seeds, asked and judged in this process: what comes of it is one line of a campaign's record."""

from __future__ import annotations

import base64
import functools
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

import adapters
from adapters import Adapter, Result
from adapters.contract import Capabilities, capabilities_on, features_of_case
from adapters.running.child import Child, ChildStack
from adapters.running.guard import warnings_shown
from adapters.running.trial import Modules, Stack, Trial, attempt
from adapters.running.usable import devices_of, expect_capabilities_on, usable
from evidence.campaign.cases import OF_A_MODULE, Group, asked, group_of, pieces
from evidence.campaign.record import MOST_KEPT, PROPERTY, WRONG, digest_of, tag_of
from evidence.record.environment import cpu, environment, suite
from evidence.record.lines import Line, answer_id, comparable, verdict_line
from findings import explained
from findings.finding import Finding
from findings.states import findings_of, left_out, states_of
from reference import Case, Verdict, judge
from reference.encoding import encode_answer
from reference.judging.judge import wrong_form
from reference.layout import from_state_tuple, sequence_to_time_first, state_to_batched, state_tuple

SETTINGS = (type(None), str, bool, int, float)


@dataclass(frozen=True)
class Subject:
    """An adapter on a device.  source: what loads it.  isolate: whether each case runs in a process of its own, which
    it may take down."""

    adapter: Adapter
    source: str
    device: str
    isolate: bool = False
    _present: dict[tuple[str, ...], list[Finding]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        backend = getattr(self.adapter, "backend", "")
        return f"{self.adapter.name}{f'/{backend}' if backend else ''} {self.device}"

    @functools.cached_property
    def capabilities(self) -> Capabilities:
        with warnings_shown():
            return capabilities_on(self.adapter, self.device)

    @functools.cached_property
    def findings(self) -> list[Finding]:
        return [] if ":" in self.source else findings_of(self.adapter)

    @functools.cached_property
    def mode(self) -> str:
        """In which every case is asked: eager, or that of the functions which a compiler's target keeps."""
        compiles = getattr(self.adapter, "compiles", None)
        return compiles.mode if compiles else "eager"

    @functools.cached_property
    def modules(self) -> Modules | None:
        compiles = getattr(self.adapter, "compiles", None)
        return compiles and Modules(self.adapter, compiles, self.device)

    @functools.cached_property
    def child(self) -> Child:
        return Child(self.source)

    def stack(self, case: Case) -> Stack:
        if self.isolate:
            return ChildStack(self.child, self.adapter, case, self.device, self.mode)
        return Stack(self.adapter, case, self.device, self.mode, self.modules)

    def present(self, features: Line) -> list[Finding]:
        """The findings that this version has, of those with these features in their trigger; each is asked once."""
        inside = [one for one in self.findings if one.holds(features, "")]
        key = tuple(one.id for one in inside)
        if key not in self._present:
            states = states_of(self.adapter, self.source, inside) if inside else []
            self._present[key] = [state.finding for state in states if state.present]
        return self._present[key]

    def left_out(self, features: Line) -> str:
        """The finding for which cases are left out; empty where none is."""
        if not any(one.what.not_expressible and one.holds(features, "") for one in self.findings):
            return ""
        return left_out(self.present(features), features)

    def about(self) -> Line:
        """What the header of a record says of the target."""
        given = getattr(self.adapter, "environment", dict)()
        return {
            "label": self.label, "adapter": str(self.adapter.name), "source": self.source,
            "version": str(self.adapter.version), "backend": str(getattr(self.adapter, "backend", "")),
            "device": self.device,
            "environment": {str(name): one if type(one) in SETTINGS else str(one) for name, one in given.items()},
        }  # fmt: skip


@functools.lru_cache(maxsize=4)
def subject(source: str, device: str, isolate: bool) -> Subject:
    """Raises ImportError or ValueError, in a sentence, for an adapter that cannot be used, or lacks the device."""
    adapter = adapters.load(source)
    usable(adapter, source)
    there = devices_of(adapter, source)
    if device not in there:
        raise ValueError(f"--device: {adapter.name} has no {device!r}, only {', '.join(there)}")
    expect_capabilities_on(adapter, source, device)
    return Subject(adapter, source, device, isolate)


def about(source: str, device: str) -> Line:
    """What a header says of the machine that asks."""
    return {"suite": suite(), "environment": environment(), "target": subject(source, device, False).about()}


@functools.cache
def place() -> Line:
    """What decides bits, and may differ from worker to worker: each line is held against its header by it."""
    return {"cpu": cpu(), "suite": suite()}


def ask_block(source: str, device: str, start: int, stop: int, isolate: bool = False) -> Line:
    """The line of the seeds from start up to stop; "by" says who asked, and is no part of a record."""
    of = subject(source, device, isolate)
    with warnings.catch_warnings(record=True):  # a framework's warnings, the same a thousand times
        line = Tally(of).line(start, stop)
    return {**line, "by": {**place(), "version": str(of.adapter.version)}}


def died(source: str, device: str, start: int, stop: int, message: str) -> Line:
    """The line of a block whose worker died each time, and did so when each case ran in a process of its own too."""
    count = {str(number): many for number, many in asked(start, stop).items()}
    tags = [tag_of("crashed", None)] * (stop - start)
    return {"kind": "block", "seeds": [start, stop], "counts": {"crashed": count}, "worst": None, "findings": {},
            "digest": digest_of(tags), "tags": base64.b64encode(b"".join(tags)).decode(), "wrong": [],
            "message": message}  # fmt: skip


@dataclass
class Tally:
    """What came of the cases of a block so far."""

    of: Subject
    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    findings: Counter[str] = field(default_factory=Counter)
    tags: list[bytes] = field(default_factory=list)
    wrong: list[Line] = field(default_factory=list)
    worst: tuple[float, int] | None = None

    def line(self, start: int, stop: int) -> Line:
        for first, end in pieces(start, stop, OF_A_MODULE):
            self.group(group_of(first), first, end)
        worst = self.worst and {"fraction": float(f"{self.worst[0]:.3g}"), "seed": self.worst[1]}
        return {
            "kind": "block", "seeds": [start, stop], "counts": {name: {**count} for name, count in self.counts.items()},
            "worst": worst, "findings": dict(self.findings), "digest": digest_of(self.tags),
            "tags": base64.b64encode(b"".join(self.tags)).decode(), "wrong": self.wrong,
        }  # fmt: skip

    def count(self, group: Group, outcome: str, *tags: bytes) -> None:
        self.counts[outcome][str(group.key.combination)] += len(tags)
        self.tags += tags

    def group(self, group: Group, start: int, stop: int) -> None:
        """Ask the cases of a module's seeds, each by a call of its own; judge them beside each other, or, where one
        does not agree, each by itself."""
        one = group.case(start)
        features = features_of_case(one, self.of.mode)
        unasked = "not offered" if self.of.capabilities.not_offered(features) else ""
        unasked = unasked or ("left out" if self.of.left_out(features) else "")
        if unasked:
            self.count(group, unasked, *[tag_of(unasked, None)] * (stop - start))
            return
        cases = [one, *(group.case(seed) for seed in range(start + 1, stop))]
        stack = self.of.stack(one)
        answers = [attempt(stack, case, True, features) for case in cases]
        declared = self.of.capabilities.arithmetic(features)
        verdict = together(group.part(start, stop), cases, answers, declared)
        if verdict is not None and verdict.outcome == "agrees":
            given = (answer for answer in answers if isinstance(answer, Result))
            self.count(group, "agrees", *(tag_of("agrees", answer_id(one.output, one.h_n)) for one in given))
            self.see(verdict, start, group.key.batch)
            return
        for seed, case, answer in zip(range(start, stop), cases, answers, strict=True):
            self.single(group, seed, judged(self.of, case, answer, features, declared), features)

    def see(self, verdict: Verdict, seed: int, rows: int = 0) -> None:
        """Remember the worst error.  rows: of each case, where the verdict is of several beside each other."""
        if verdict.worst is not None and not verdict.max_fraction <= (self.worst[0] if self.worst else -1.0):
            self.worst = verdict.max_fraction, seed + (verdict.worst.batch // rows if rows else 0)

    def single(self, group: Group, seed: int, trial: Trial, features: Line) -> None:
        outcome, verdict = trial.outcome, trial.verdict
        answer = trial.answer if comparable(verdict) else None
        self.count(group, outcome, tag_of(outcome, answer and answer_id(answer.output, answer.h_n)))
        self.findings.update(trial.findings)
        if verdict is not None and outcome in ("agrees", "disagrees"):
            self.see(verdict, seed)
        declared = outcome == "refused" and self.of.capabilities.refusal(features)
        if (outcome in (*WRONG, "not offered", "refused") and not declared) and len(self.wrong) < MOST_KEPT:
            said = verdict_line(target=self.of.label, test=f"seed {seed}", tested=PROPERTY, relation=False,
                                case=trial.case, features=features, outcome=outcome, verdict=verdict,
                                message=trial.message, answer=trial.answer)  # fmt: skip
            kept = answer and encode_answer(*answer)
            self.wrong.append({"seed": seed, "said": {**said, "answer": kept, "content": trial.case.to_json()}})


def together(whole: Case, cases: Sequence[Case], answers: Sequence[Result | Trial], declared: str) -> Verdict | None:
    """The verdict on answers that stand beside each other; None where one of them cannot stand there.

    whole: the cases beside each other, time first. The bound of an element depends on its own sequence alone.
    """
    if not all(isinstance(answer, Result) and wrong_form(case, *answer[:2], answer.prefixes or ()) is None
               for case, answer in zip(cases, answers, strict=True)):  # fmt: skip
        return None
    given = [answer for answer in answers if isinstance(answer, Result)]
    layout = cases[0].layout

    def beside(several: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([sequence_to_time_first(one, layout) for one in several], axis=1)

    states = zip(*(state_tuple(answer.h_n) for answer in given), strict=True)
    h_n = [np.concatenate([state_to_batched(one, layout) for one in each], axis=1) for each in states]
    lower = [answer.prefixes for answer in given if answer.prefixes is not None]
    prefixes = [beside(each) for each in zip(*lower, strict=True)] if len(lower) == len(given) else None
    return judge(whole, beside([answer.output for answer in given]), from_state_tuple(h_n), prefixes, declared)


def judged(of: Subject, case: Case, answer: Result | Trial, features: Line, declared: str) -> Trial:
    """What came of one case, by the findings that the version at hand has."""
    trial = answer
    if isinstance(answer, Result):
        verdict = judge(case, *answer[:2], answer.prefixes, declared)
        trial = Trial(of.adapter.name, of.adapter.version, of.device, case, verdict.outcome, verdict, answer=answer,
                      arithmetic=declared, mode=of.mode)  # fmt: skip
    assert isinstance(trial, Trial)
    return explained(trial, of.present(features), features) if trial.outcome in WRONG else trial


def of_seeds(source: str, device: str, several: Iterator[tuple[int, int]], isolate: bool = False) -> Iterator[Line]:
    """The lines of several blocks, one after another."""
    for start, stop in several:
        yield ask_block(source, device, start, stop, isolate)
