"""A target: one adapter on one device, as the properties see it. Every case that they ask is judged and counted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import currently_in_test_context, reject

from adapters import Adapter, Result
from adapters.contract import features_of
from adapters.trial import Stack, Trial, examine
from evidence.ledger import Ledger
from reference import Case, Verdict, judge_pair

FAILURES = Path("out/failures")


@dataclass(frozen=True, repr=False)
class Target:
    """An adapter, a device, and the ledger that counts what it is asked.

    source: what loads the adapter: its name, or module:Class.
    """

    adapter: Adapter
    device: str
    ledger: Ledger
    source: str

    @property
    def label(self) -> str:
        return f"{self.adapter.name} {self.device}"

    def __repr__(self) -> str:
        return f"Target({self.label})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What Hypothesis prints of a target in a failing example."""
        printer.text(repr(self))

    def check(self, case: Case, tested: str, bound: str | None = None, stack: Stack | None = None) -> None:
        """Fail unless the adapter's answer agrees with the reference.

        A vacuous verdict is counted as such and says nothing: inside a property the case is drawn anew.
        stack: the modules, where several cases share their parameters.
        """
        __tracebackhide__ = True
        trial = examine(self.adapter, case, self.device, bound, stack)
        self._count(case, tested, trial.outcome, trial.verdict)
        if trial.outcome == "vacuous" and currently_in_test_context():
            reject()
        if trial.outcome != "agrees":
            raise AssertionError(self._explain(trial, tested))

    def check_pair(self, case: Case, expected: Result, actual: Result, tested: str) -> None:
        """Fail unless two answers to the same question agree; the reference gives no answer, only the bound."""
        __tracebackhide__ = True
        verdict = judge_pair(case, expected[:2], actual[:2])
        self._count(case, tested, verdict.outcome, verdict)
        if verdict.outcome == "vacuous" and currently_in_test_context():
            reject()
        if verdict.outcome != "agrees":
            raise AssertionError(self._explain(self._trial(case, verdict), tested))

    def answer(self, case: Case) -> Result:
        """The adapter's answer, not judged."""
        return self.stack(case).answer(case)

    def stack(self, case: Case) -> Stack:
        return Stack(self.adapter, case, self.device)

    def supports(self, name: str, value: object) -> bool:
        return (name, value) not in self.adapter.capabilities.unsupported

    def _trial(self, case: Case, verdict: Verdict) -> Trial:
        return Trial(self.adapter.name, self.adapter.version, self.device, case, verdict.outcome, verdict)

    def _count(self, case: Case, tested: str, outcome: str, verdict: Verdict | None) -> None:
        if verdict is not None and verdict.bound:
            self.ledger.figure(self.label, f"error / bound, {verdict.bound}, {case.dtype}", verdict.max_fraction)
        self.ledger.record(self.label, tested, features_of(case.spec, **case.inputs), outcome)

    def _explain(self, trial: Trial, tested: str) -> str:
        """The trial in words, with the case in a file: Hypothesis runs the smallest failing case last."""
        FAILURES.mkdir(parents=True, exist_ok=True)
        path = FAILURES / f"{tested}-{self.label.replace(' ', '-').replace(':', '')}.json"
        trial.case.save(path)
        return f"{tested}: {trial}\n  replay: python -m adapters {self.source} {path} --device {self.device}"


def in_memory(array: np.ndarray, kind: str) -> np.ndarray:
    """The same values laid out differently in memory: what users pass when they slice, transpose or freeze."""
    if kind == "every other":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if kind == "Fortran":
        return np.asfortranarray(array)
    if kind == "backwards":
        return np.ascontiguousarray(array[::-1])[::-1]
    if kind == "read-only":
        frozen = array.copy()
        frozen.flags.writeable = False
        return frozen
    return array


MEMORY = ("contiguous", "every other", "Fortran", "backwards", "read-only")
