"""A target: one adapter on one device, as the properties see it. Every case that they ask is judged and recorded."""

from __future__ import annotations

import functools
import os
import shlex
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import currently_in_test_context, reject
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from adapters import Adapter, Capabilities, Result
from adapters.contract import Compiles, Idiom, capabilities_on, features_of, idioms_of
from adapters.running.child import ISOLATED, Child, ChildStack
from adapters.running.guard import warnings_shown
from adapters.running.primitives import primitive_verdicts
from adapters.running.trial import OUTCOMES, Modules, Stack, Trial, asked_of, attempt, examine
from evidence.record import seeded
from evidence.record.journal import Journal
from evidence.record.ledger import Ledger
from evidence.record.lines import PINNED, comparable, kept_answer, verdict_line
from findings import Finding, State, explained
from findings.states import STATES, findings_of, left_out, state_of, unless_of_others
from reference import Case, judge, judge_pair

from . import pool
from .failures import Failure, Folder
from .strategies import Question, questions

REDRAWN = "harness.question_adapters:"  # adapters in the place of known ones: evidence.verify.again


@dataclass(frozen=True, repr=False)
class Target:
    """An adapter, a device, the ledger that counts what it is asked, and the journal that records it, if any.

    source: what loads the adapter: its name, or module:Class.  isolate: whether every case runs in a process of its
    own, and not only those in the modes of ISOLATED.  failures: where failing cases are kept.  pool: the seed of the
    keys that are asked where the adapter compiles.  strict: whether a finding that is present fails.
    """

    adapter: Adapter
    device: str
    ledger: Ledger
    source: str
    journal: Journal | None = None
    isolate: bool = False
    failures: Folder = field(default_factory=Folder)
    pool: int = 0
    strict: bool = False
    _states: dict[str, State] = field(default_factory=dict)
    _keys: dict[str, list[Question]] = field(default_factory=dict)
    # the tests in which a dtype that is refused, or not offered, was asked
    _refused: set[str] = field(default_factory=set)
    # what was answered for the relation that is being tested: the test, the case and the answer
    _answered: list[tuple[str, Case, Result]] = field(default_factory=list)

    @functools.cached_property
    def capabilities(self) -> Capabilities:
        """What the adapter can do on this device."""
        with warnings_shown():
            return capabilities_on(self.adapter, self.device)

    def offered(self, idiom: str) -> Capabilities:
        """What can be asked on this device, in an idiom."""
        return self.idioms[idiom].narrowed(self.capabilities)

    def fixed(self, idiom: str) -> list[Case]:
        """The fixed cases of an idiom. Where the target compiles a run asks the few that ask for several features at
        once; of an idiom that compiles for each, the one of its pool. A record has them all."""
        cases = seeded.cases_of(self.offered(idiom), self.idioms[idiom].refused)
        if self.journal is not None:
            return cases
        if self.idioms[idiom].compiles:
            return [cases[zlib.crc32(f"{self.pool} {idiom}".encode()) % len(cases)]]
        return cases[: seeded.ROWS] if self.compiles else cases

    @functools.cached_property
    def child(self) -> Child:
        """The process for what may take one down; it is started when it is first asked."""
        return Child(self.source)

    def close(self) -> None:
        """End the process, if it was started."""
        if "child" in vars(self):
            self.child.close()

    @property
    def label(self) -> str:
        """What tells this target from every other, whatever the version: "torch cpu", "keras/tensorflow cpu"."""
        backend = getattr(self.adapter, "backend", "")
        return f"{self.adapter.name}{f'/{backend}' if backend else ''} {self.device}"

    @property
    def id(self) -> str:
        """What stands for it in the name of a test: its label without spaces."""
        return self.label.replace(" ", "-")

    def __repr__(self) -> str:
        return f"Target({self.label})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What Hypothesis prints of a target in a failing example."""
        printer.text(repr(self))

    @property
    def compiles(self) -> Compiles | None:
        """What the adapter's framework compiles for; None where it does not."""
        return getattr(self.adapter, "compiles", None)

    @property
    def kept(self) -> str:
        """The mode in which most cases are asked: eager, or that of the functions which a compiler's target keeps."""
        return self.compiles.mode if self.compiles else "eager"

    @property
    def mode_of_corpus(self) -> str | None:
        """How the corpus is asked: eagerly where it is recorded, as it always was; else as any case."""
        return None if self.journal is None else "eager"

    def questions(self, *words: str, idiom: str = "", **limits: Any) -> SearchStrategy[Question]:
        """Questions that ask for nothing that the adapter declares unsupported; limits as in strategies.questions.

        words: what tells them from others of the same test. Where the target compiles, they are of one key.
        idiom: in which they are to be asked.
        """
        if idiom:
            return questions(self.offered(idiom).supported, **limits)
        if self.compiles is None:
            return questions(self.capabilities.supported, **limits)
        limits["max_layers"] = min(limits.get("max_layers", pool.MOST_LAYERS), pool.MOST_LAYERS)
        drawn = questions(self.capabilities.supported, **limits)
        known = self._keys.setdefault(repr(limits), [])
        if not known:
            known += pool.keys(drawn.filter(self._not_refused), self.pool)
        key = pool.key_of(known, self.pool, running_test(), *words)
        return pool.values(key, limits.get("sane", False), self.compiles.weights)

    def _not_refused(self, question: Question) -> bool:
        """Whether what a question asks in every test is not declared unsupported together."""
        case = question.case("forward", "tanh", "float32")
        asked = features_of(case.spec, **case.inputs, mode=self.kept)
        return not self.capabilities.no_answer({name: asked[name] for name in pool.OF_A_QUESTION})

    def draw(self, data: st.DataObject, several: Sequence[tuple[str, ...]], **limits: Any) -> list[Question]:
        """A question for each of several combinations: the same for all, or, where each is compiled, one of its own."""
        if self.compiles is None:
            return [data.draw(self.questions(**limits), "question")] * len(several)
        return [data.draw(self.questions(*words, **limits), " ".join(("question", *words))) for words in several]

    def no_answer(self, case: Case) -> str:
        """Why no answer to a case is expected; empty where one is."""
        return self.not_asked(case)[1]

    def not_asked(self, case: Case) -> tuple[str, str]:
        """The outcome of a case to which no answer is expected, "not offered", "refused" or "left out", and why: two
        empty words where one is."""
        features = features_of(case.spec, **case.inputs, mode=self.kept)
        if reason := self.capabilities.not_offered(features):
            return "not offered", reason
        if refusal := self.capabilities.refusal(features):
            return "refused", str(refusal)
        finding = left_out(self.present(features), features)
        return ("left out", finding) if finding else ("", "")

    @functools.cached_property
    def findings(self) -> list[Finding]:
        """What its framework was seen to get wrong, in whatever version; of a user's own adapter nothing is known."""
        with warnings_shown():
            known = ":" not in self.source or self.source.startswith(REDRAWN)
            return findings_of(self.adapter) if known else []

    def state(self, finding: Finding) -> State:
        """What the pinned case of a finding says of this version; it is asked once, and not recorded."""
        if finding.id not in self._states:
            hiding = [one for one in self.findings if one.hides(finding) and self.state(one).present]
            told = state_of(finding, self.adapter, self.device, self._ask_pinned, hiding)
            self._states[finding.id] = told  # before others are asked, which may ask for it
            if told.state == "changed":
                told = unless_of_others(told, self.present(finding.case.features(), finding.case.idiom))
                self._states[finding.id] = told
            self.ledger.note(self.label, "state", f"{finding.id} {told.state}")
        return self._states[finding.id]

    def _ask_pinned(self, case: Case, mode: str, idiom: str, isolate: bool) -> Trial:
        child = isolate or self.isolate or mode in ISOLATED
        kind = ChildStack(self.child, self.adapter, case, self.device, mode, idiom) if child else None
        return examine(self.adapter, case, self.device,
                       stack=kind or Stack(self.adapter, case, self.device, mode, idiom=idiom))  # fmt: skip

    def present(self, features: Mapping[str, Any], idiom: str = "") -> list[Finding]:
        """The findings that this version has, of those with these features, and the idiom, in their trigger."""
        return [one for one in self.findings if one.holds(features, idiom) and self.state(one).present]

    def check_finding(self, finding: Finding) -> None:
        """Fail where the pinned case of a finding is wrong in another way; where it is present too, if `strict`."""
        __tracebackhide__ = True
        told = self.state(finding)
        if told.trial is None:
            pytest.skip(f"{self.label}: {finding.id} is not asked: {STATES['not asked']}")
        tested, features = f"{PINNED}{finding.id}", finding.case.features()
        self.ledger.record(self.label, tested, features, told.trial.outcome)
        self._write(tested, features, told.trial)
        if told.state == "changed":
            words = f"{finding} has changed: its case is wrong in another way than it says ({finding.what})"
            raise AssertionError(f"{words}\n{told.trial}")
        if told.state == "present" and self.strict and finding.kind == "fault":
            raise AssertionError(f"--strict-findings: {finding} is present\n{told.trial}\n  avoid it: {finding.avoid}")

    def check(
        self, tested: str, *cases: Case, bound: str | None = None, mode: str | None = None, idiom: str = ""
    ) -> None:
        """Fail unless the adapter's answers agree with the reference, or refuse what it declares unsupported.

        Every case is asked and counted, until one fails; cases that share their parameters share their modules.
        Where all verdicts are vacuous the test has seen nothing: inside a property the cases are drawn anew.
        mode: how the modules are called, one of adapters.contract.MODES; by way of _mode when None.
        idiom: one of the adapter's, in which it is called; in run's own way when empty.
        """
        __tracebackhide__ = True
        no_answer = currently_in_test_context() and not {case.dtype for case in cases} & {*self._dtypes}
        if no_answer and running_test() in self._refused:
            return  # it is asked once, and not of every draw
        stacks: dict[tuple[Any, int, str], Stack] = {}
        outcomes = []
        for case in cases:
            called = "eager" if idiom else mode or self._mode(case)
            key = case.spec, id(case.parameters), called
            if key not in stacks:
                stacks[key] = self.stack(case, called, idiom)
            outcomes.append(self._check(tested, case, bound, stacks[key]))
        self._something_was_seen(outcomes)
        if no_answer:
            self._refused.add(running_test())

    @functools.cached_property
    def _dtypes(self) -> tuple[str, ...]:
        """Those in which an answer is expected."""
        return self.capabilities.supported("dtype")

    def check_pair(
        self, tested: str, case: Case, expected: Result, actual: Result, other: Target | None = None
    ) -> None:
        """Fail unless two answers to the same question agree; the reference gives no answer, only the bound.

        Both may be put together from several answers: where each of those is right, or wrong just as findings say, the
        outcome is "finding".  other: the target that gave `actual`; this one when None.
        """
        __tracebackhide__ = True
        declared = tuple(asked_of(of.adapter, case, of.device, of.kept)[1] for of in (self, other or self))
        started = time.perf_counter()
        verdict = judge_pair(case, expected, actual, declared)
        judged = time.perf_counter()
        both = [(self, case, expected), (other or self, case, actual)]
        parts = [*self._parts(), *(other._parts() if other else ())]
        tried = [both, parts] if verdict.outcome == "disagrees" else []
        ids = next(filter(None, map(_explained_by, tried)), ())
        outcome = "finding" if ids else verdict.outcome
        trial = self.record_relation(tested, case, outcome, verdict=verdict, answer=actual, findings=ids)
        self.ledger.spend(self.label, {"judge": judged - started, "ask": time.perf_counter() - started})
        if outcome == "disagrees":
            kept = f"{self.failures.save(case)}{self.failures.note}"
            raise AssertionError(f"{tested}: {trial}\n  the case, of which two answers were compared: {kept}")
        self._something_was_seen([outcome])

    def explain(self, case: Case, answer: Result) -> tuple[str, ...] | None:
        """The findings that an answer of this target shows: none where it agrees, None where it is wrong otherwise."""
        features = features_of(case.spec, **case.inputs, mode=self.kept)
        declared = self.capabilities.arithmetic(features)
        verdict = judge(case, *answer[:2], prefixes=answer.prefixes, declared=declared)
        trial = Trial(self.adapter.name, self.adapter.version, self.device, case, verdict.outcome, verdict,
                      answer=answer, arithmetic=declared)  # fmt: skip
        told = explained(trial, self.present(features), features)
        return told.findings if told.outcome in ("agrees", "vacuous", "finding") else None

    def answer(self, case: Case, stack: Stack | None = None) -> Result:
        """The adapter's answer, for a relation; skips the test where the adapter declares that it has none.

        stack: modules already built of these parameters.
        """
        __tracebackhide__ = True
        started = time.perf_counter()
        if reason := self.no_answer(case):
            self._answered.clear()
            alone = replace(self.capabilities, together={}).not_offered(features_of(case.spec, **case.inputs))
            if not alone and currently_in_test_context():
                reject()  # another case may not ask for these features together
            pytest.skip(f"{self.label}: no answer is expected: {reason}")
        stack = stack or self.stack(case)
        before = dict(stack.seconds)
        result = attempt(stack, case)
        spent = {what: stack.seconds[what] - before[what] for what in before}
        self.ledger.spend(self.label, {**spent, "ask": time.perf_counter() - started})
        if isinstance(result, Trial):
            self._answered.clear()
            features = features_of(case.spec, **case.inputs, mode=self.kept)
            result = explained(result, self.present(features), features)
            said = {"message": result.message, "findings": result.findings}
            self.record_relation("answer", case, result.outcome, **said)
            if result.findings:
                pytest.skip(f"{self.label}: no answer, as {', '.join(result.findings)} says: {result.message}")
            raise AssertionError(self._failure("answer", result, None))
        self._answered.append((running_test(), case, result))
        return result

    def _parts(self) -> Sequence[tuple[Target, Case, Result]]:
        """The cases that it was asked since the last relation of the test that is running, and its answers."""
        parts = [(self, case, answer) for test, case, answer in self._answered if test == running_test()]
        self._answered.clear()
        return parts

    def record_relation(self, tested: str, case: Case, outcome: str, **what: Any) -> Trial:
        """Count, and record, what came of an answer that is compared with another answer.

        what: the verdict, the message and the answer, as in a Trial, which is made of them.
        """
        trial = Trial(self.adapter.name, self.adapter.version, self.device, case, outcome, **what)
        self.ledger.record_relation(self.label, tested, outcome)
        self._note(trial)
        self._write(tested, features_of(case.spec, **case.inputs), trial, relation=True)
        return trial

    def stack(self, case: Case, mode: str | None = None, idiom: str = "") -> Stack:
        """The modules of a case's layers, which are built when they are first asked; in the mode `kept` when None.

        Of a target that compiles they are kept, and asked again by other tests; an idiom builds its own each time.
        """
        mode = mode or self.kept
        isolated = self.idioms[idiom].isolate if idiom else mode in ISOLATED and mode != self.kept
        if self.isolate or isolated:
            return ChildStack(self.child, self.adapter, case, self.device, mode, idiom)
        return Stack(self.adapter, case, self.device, mode, None if idiom else self._modules, idiom)

    @property
    def idioms(self) -> Mapping[str, Idiom]:
        """The other ways in which users call the layer."""
        return idioms_of(self.adapter)

    @functools.cached_property
    def _modules(self) -> Modules | None:
        return self.compiles and Modules(self.adapter, self.compiles, self.device)

    def _mode(self, case: Case) -> str:
        """How a case is asked: by what is kept, or, one in pool.EAGER of them, by an eager call."""
        if self.kept == "eager":
            return self.kept
        return self.kept if zlib.crc32(case.x.tobytes()) % pool.EAGER else "eager"

    def _check(self, tested: str, case: Case, bound: str | None, stack: Stack) -> str:
        __tracebackhide__ = True
        started = time.perf_counter()
        features = features_of(case.spec, **case.inputs, mode=stack.mode)
        present = self.present(features, stack.idiom)
        if reason := left_out(present, features, stack.idiom):
            trial = Trial(self.adapter.name, self.adapter.version, self.device, case, "left out", message=reason,
                          mode=stack.mode, idiom=stack.idiom, view=stack.view)  # fmt: skip
        else:
            trial = examine(self.adapter, case, self.device, bound, stack)
            trial = explained(trial, present, features, bound)
        self.ledger.record(self.label, tested, features, trial.outcome)
        self._note(trial, features)
        self._write(tested, features, trial)
        self.ledger.spend(self.label, {**trial.seconds, "ask": time.perf_counter() - started})
        not_offered, refusal = stack.capabilities.not_offered(features), stack.capabilities.refusal(features)
        match trial.outcome:
            case "agrees" | "vacuous" | "finding" if not_offered:
                raise AssertionError(f"{tested}: declared unsupported, but answered: {not_offered}\n{trial}")
            case "agrees" | "vacuous" | "finding" | "left out":
                pass
            case "not offered" if not_offered:
                pass
            case "refused" if refusal:
                pass
            case "disagrees" | "crashed" | "not offered" | "refused":
                raise AssertionError(self._failure(tested, trial, bound))
            case _:
                raise ValueError(f"outcome: got {trial.outcome!r}, expected one of {', '.join(OUTCOMES)}")
        return trial.outcome

    def _note(self, trial: Trial, features: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Of which findings a case tells, and that what the framework was to refuse is now answered."""
        for finding in trial.findings:
            self.ledger.note(self.label, "finding", finding)
        if trial.idiom:
            self.ledger.note(self.label, "idiom", f"{trial.idiom}: {trial.outcome}")
        if trial.outcome == "left out":
            self.ledger.note(self.label, "left out", trial.message)
        offered = self.offered(trial.idiom) if trial.idiom else self.capabilities
        for several in offered.refused if trial.outcome == "agrees" else ():
            if features.items() >= set(several):
                self.ledger.note(self.label, "now answers", " with ".join(f"{name} {value}" for name, value in several))

    def _write(self, tested: str, features: dict[str, Any], trial: Trial, relation: bool = False) -> None:
        """Into the journal, where there is one; the largest errors into the ledger. Answers to the corpus are kept."""
        case, verdict, answer = trial.case, trial.verdict, trial.answer
        if verdict is not None and verdict.bound and trial.outcome != "finding":
            self.ledger.figure(self.label, f"error / bound, {verdict.bound}, {case.dtype}", verdict.max_fraction)
        if self.journal is None:
            return
        line = verdict_line(target=self.label, test=running_test(), tested=tested, relation=relation, case=case,
                            features=features, outcome=trial.outcome, verdict=verdict, message=trial.message,
                            answer=answer, idiom=trial.idiom, findings=trial.findings,
                            view=trial.view)  # fmt: skip
        asked = line["corpus"] is not None or tested.startswith(PINNED) or tested == seeded.PROPERTY
        keep = asked and not relation and comparable(verdict)
        kept = kept_answer(*answer) if keep and answer is not None else None
        can = self.offered(trial.idiom) if trial.idiom else self.capabilities
        expected = {"refused": can.refusal, "not offered": can.not_offered}
        declared = trial.outcome == "left out" or bool(expected.get(trial.outcome, lambda _: None)(features))
        self.journal.verdict(line, case.to_json(), kept, declared)

    @staticmethod
    def _something_was_seen(outcomes: list[str]) -> None:
        if outcomes and all(outcome == "vacuous" for outcome in outcomes):
            if currently_in_test_context():
                reject()
            raise AssertionError("every verdict was vacuous: the bound says nothing of these cases")

    def _failure(self, tested: str, trial: Trial, bound: str | None) -> Failure:
        """The trial in words, and the command that runs its case again, from a file."""
        command = ["python", "-m", "rnn_equivalence", "adapters", self.source, self.failures.save(trial.case)]
        command += ["--device", self.device, *(["--bound", bound] if bound else [])]
        command += ["--mode", trial.mode] if trial.mode != "eager" else []
        command += ["--idiom", trial.idiom] if trial.idiom else []
        ask = functools.partial(examine, self.adapter, device=self.device, mode=trial.mode, idiom=trial.idiom)
        primitives = functools.partial(primitive_verdicts, self.adapter, device=self.device)
        return Failure(tested, trial, shlex.join(command) + self.failures.note, ask, primitives)


def _explained_by(answers: Sequence[tuple[Target, Case, Result]]) -> tuple[str, ...]:
    """The findings that answers show; none where one of them is wrong otherwise."""
    told = [target.explain(case, answer) for target, case, answer in answers]
    return () if None in told else tuple(dict.fromkeys(one for ids in told if ids for one in ids))


def running_test() -> str:
    """The name of the test that is running."""
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]


def target_of(item: pytest.Item) -> Target | None:
    """The target that a test judges; None where it judges none."""
    callspec = getattr(item, "callspec", None)
    target = callspec.params.get("target") if callspec else None
    return target if isinstance(target, Target) else None
