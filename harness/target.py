"""A target: one adapter on one device, as the properties see it. Every case that they ask is judged and recorded."""

from __future__ import annotations

import functools
import shlex
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import currently_in_test_context
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from adapters import Adapter, Capabilities, Result
from adapters.contract import Compiles, Idiom, capabilities_on, features_of_case, idioms_of
from adapters.running.child import ISOLATED, Child, ChildStack
from adapters.running.guard import warnings_shown
from adapters.running.primitives import primitive_verdicts
from adapters.running.trial import OUTCOMES, Modules, Stack, Trial, examine
from evidence.record import corpus, seeded
from evidence.record.journal import Journal
from evidence.record.ledger import Ledger
from evidence.record.lines import PINNED
from findings import Finding, State, explained
from findings.states import STATES, findings_of, left_out, state_of, unless_of_others
from reference import Case
from reference.faults.calls import Call
from reference.judging.view import WHOLE

from . import pool
from .failures import Failure, Folder
from .notes import note, running_test, something_was_seen, write
from .recent import Recent
from .strategies import Question, questions

FEW_ASKS = 12  # to find the sizes that decide, where each is compiled for seconds
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
    answered: list[tuple[str, Case, Result]] = field(default_factory=list)
    recent: Recent = field(default_factory=Recent)

    @functools.cached_property
    def capabilities(self) -> Capabilities:
        """What the adapter can do on this device."""
        with warnings_shown():
            return capabilities_on(self.adapter, self.device)

    def offered(self, idiom: str) -> Capabilities:
        """What can be asked on this device, in an idiom; in run's own way when empty."""
        return self.idioms[idiom].narrowed(self.capabilities) if idiom else self.capabilities

    def features(self, case: Case) -> dict[str, Any]:
        """Those of a case that is asked in the mode `kept`."""
        return features_of_case(case, self._kept(case))

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
    def corpus(self) -> frozenset[str]:
        """The names of the corpus' cases that a run without a record asks, where the target compiles."""
        return pool.of_each_combination(corpus.cases(), self)

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
        limits = {"with_cells": "elman" not in self.capabilities.supported("cell"), **limits}
        if idiom or self.compiles is None:
            return questions(self.offered(idiom).supported, **limits)
        limits["max_layers"] = min(limits.get("max_layers", pool.MOST_LAYERS), pool.MOST_LAYERS)
        drawn = questions(self.capabilities.supported, **limits)
        known = self._keys.setdefault(repr(limits), [])
        if not known:
            known += pool.keys(drawn.filter(self._answers), self.pool)
        key = pool.key_of(known, self.pool, running_test(), *words)
        return pool.values(key, limits.get("sane", False), self.compiles.weights)

    def _answers(self, question: Question) -> bool:
        """Whether an answer is expected of all together that a question asks in every test."""
        asked = self.features(question.case("forward", "tanh", "float32"))
        return not self.capabilities.no_answer({name: asked[name] for name in pool.OF_A_QUESTION})

    def draw(self, data: st.DataObject, several: Sequence[tuple[str, ...]], **limits: Any) -> list[Question]:
        """A question for each of several combinations: the same for all, or, where each is compiled, one of its own."""
        if self.compiles is None:
            return [data.draw(self.questions(**limits), "question")] * len(several)
        return [data.draw(self.questions(*words, **limits), " ".join(("question", *words))) for words in several]

    def not_asked(self, case: Case) -> tuple[str, str]:
        """The outcome of a case to which no answer is expected, "not offered", "refused" or "left out", and why: two
        empty words where one is."""
        features = self.features(case)
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
        stack = self._stack(case, mode, idiom, isolate or mode in ISOLATED)
        return examine(self.adapter, case, self.device, stack=stack)

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
        write(self, tested, features, told.trial)
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
        answered = self.capabilities.supported("dtype")
        no_answer = currently_in_test_context() and not {case.dtype for case in cases} & {*answered}
        if no_answer and running_test() in self._refused:
            return  # it is asked once, and not of every draw
        stacks: dict[tuple[Any, int, str], Stack] = {}
        trials: list[Trial] = []
        for case in cases:
            called = "eager" if idiom else mode or self._mode(case)
            key = case.spec, id(case.parameters), called
            if key not in stacks:
                stacks[key] = self.stack(case, called, idiom)
            trials.append(self.ask(tested, case, bound, stacks[key]))
        self._check_kept(tested, trials)
        something_was_seen([trial.outcome for trial in trials if not trial.clouded])
        if no_answer:
            self._refused.add(running_test())

    def stack(self, case: Case, mode: str | None = None, idiom: str = "") -> Stack:
        """The modules of a case's layers, which are built when they are first asked; in the mode `kept` when None.

        Of a target that compiles they are kept, and asked again by other tests; an idiom builds its own each time.
        """
        mode = mode or self._kept(case)
        isolated = self.idioms[idiom].isolate if idiom else mode in ISOLATED and mode != self.kept
        return self._stack(case, mode, idiom, isolated, None if idiom else self._modules)

    def _stack(self, case: Case, mode: str, idiom: str, isolated: bool, kept: Modules | None = None) -> Stack:
        if self.isolate or isolated:
            return ChildStack(self.child, self.adapter, case, self.device, mode, idiom)
        return Stack(self.adapter, case, self.device, mode, kept, idiom)

    @property
    def idioms(self) -> Mapping[str, Idiom]:
        """The other ways in which users call the layer."""
        return idioms_of(self.adapter)

    @functools.cached_property
    def _modules(self) -> Modules | None:
        return self.compiles and Modules(self.adapter, self.compiles, self.device)

    def _mode(self, case: Case) -> str:
        """How a case is asked: by what is kept, or, one in pool.EAGER of them, by an eager call."""
        return "eager" if not zlib.crc32(case.x.tobytes()) % pool.EAGER else self._kept(case)

    def _kept(self, case: Case) -> str:
        """The mode `kept`; eager for gradients that are not asked in it."""
        asked = case.cotangents is None or self.kept in self.capabilities.gradient_modes
        return self.kept if asked else "eager"

    def ask(
        self, tested: str, case: Case, bound: str | None, stack: Stack, beside: Sequence[Call] | None = None
    ) -> Trial:
        """One case, judged, counted and recorded; fails as check does.  beside: what is asked at the same time."""
        __tracebackhide__ = True
        started = time.perf_counter()
        features = features_of_case(case, stack.mode)
        present = self.present(features, stack.idiom)
        if reason := left_out(present, features, stack.idiom):
            trial = Trial(self.adapter.name, self.adapter.version, self.device, case, "left out", message=reason,
                          mode=stack.mode, idiom=stack.idiom, view=stack.view)  # fmt: skip
        else:
            trial = examine(self.adapter, case, self.device, bound, stack)
            trial = explained(trial, present, features, bound)
        self._record(tested, features, trial)
        self.recent.add(case, trial.answer if trial.view == WHOLE else None)
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
                before = self.recent.before(case, trial.answer) if beside is None else beside
                raise AssertionError(self.failure(tested, trial, bound, () if stack.apart else before))
            case _:
                raise ValueError(f"outcome: got {trial.outcome!r}, expected one of {', '.join(OUTCOMES)}")
        return trial

    def _record(self, tested: str, features: dict[str, Any], trial: Trial) -> None:
        self.ledger.record(self.label, tested, features, trial.outcome)
        note(self, trial, features)
        write(self, tested, features, trial)

    def _check_kept(self, tested: str, trials: Sequence[Trial]) -> None:
        """Fail where a later call has changed the arrays of an earlier answer."""
        __tracebackhide__ = True
        for trial in trials:
            if trial.overwritten:
                changed = replace(trial, outcome="disagrees", verdict=None, answer=None,
                                  message="this answer was right, and a later call wrote over it")  # fmt: skip
                self._record(tested, features_of_case(trial.case, trial.mode), changed)
                raise AssertionError(self.failure(tested, changed, None))

    def failure(self, tested: str, trial: Trial, bound: str | None, before: Sequence[Call] = ()) -> Failure:
        """The trial in words, and the command that runs its case again, from a file.  before: as in Failure."""
        command = ["python", "-m", "rnn_equivalence", "adapters", self.source, self.failures.save(trial.case)]
        command += ["--device", self.device, *(["--bound", bound] if bound else [])]
        command += ["--mode", trial.mode] if trial.mode != "eager" else []
        command += ["--idiom", trial.idiom] if trial.idiom else []
        ask = functools.partial(examine, self.adapter, device=self.device, mode=trial.mode, idiom=trial.idiom)
        primitives = functools.partial(primitive_verdicts, self.adapter, device=self.device)
        asks = FEW_ASKS if self.compiles else Failure.asks
        return Failure(tested, trial, shlex.join(command) + self.failures.note, ask, primitives, before, asks)


def target_of(item: pytest.Item) -> Target | None:
    """The target that a test judges; None where it judges none."""
    target = getattr(getattr(item, "callspec", None), "params", {}).get("target")
    return target if isinstance(target, Target) else None
