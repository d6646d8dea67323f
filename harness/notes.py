"""What is kept of a case that a target was asked: counts in its ledger, and a line in its journal, if there is one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hypothesis import currently_in_test_context, reject

from adapters.running.trial import Trial
from evidence.record import seeded
from evidence.record.lines import PINNED, comparable, verdict_line
from reference.encoding import encode_answer

if TYPE_CHECKING:
    from .target import Target


def running_test() -> str:
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]


def note(target: Target, trial: Trial, features: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Of which findings a case tells, and that what the framework was to refuse is now answered; the features of what
    agrees, or in which test it is wrong, and how."""
    for finding in trial.findings:
        target.ledger.note(target.label, "finding", finding)
    if features and trial.outcome in ("agrees", "disagrees", "crashed"):
        said = [f"{name} {value}" for name, value in {**features, "idiom": trial.idiom or "none"}.items()]
        came, of = ("agrees", []) if trial.outcome == "agrees" else ("wrong", [running_test(), trial.outcome])
        target.ledger.note(target.label, came, "\t".join([*of, *said]))
    if trial.idiom:
        target.ledger.note(target.label, "idiom", f"{trial.idiom}: {trial.outcome}")
    if trial.outcome == "left out":
        target.ledger.note(target.label, "left out", trial.message)
    for several in target.offered(trial.idiom).refused if trial.outcome == "agrees" else ():
        if features.items() >= set(several):
            words = " with ".join(f"{name} {value}" for name, value in several)
            target.ledger.note(target.label, "now answers", words)


def write(target: Target, tested: str, features: dict[str, Any], trial: Trial, relation: bool = False) -> None:
    """Into the journal, where there is one; the largest errors into the ledger. Answers to the corpus are kept."""
    case, verdict, answer = trial.case, trial.verdict, trial.answer
    if verdict is not None and verdict.bound and trial.outcome != "finding":
        target.ledger.figure(target.label, f"error / bound, {verdict.bound}, {case.dtype}", verdict.max_fraction)
    if target.journal is None:
        return
    line = verdict_line(target=target.label, test=running_test(), tested=tested, relation=relation, case=case,
                        features=features, outcome=trial.outcome, verdict=verdict, message=trial.message,
                        answer=answer, idiom=trial.idiom, findings=trial.findings, view=trial.view)  # fmt: skip
    asked = line["corpus"] is not None or tested.startswith(PINNED) or tested == seeded.PROPERTY
    keep = asked and not relation and comparable(verdict)
    kept = encode_answer(*answer) if keep and answer is not None else None
    can = target.offered(trial.idiom)
    expected = {"refused": can.refusal, "not offered": can.not_offered}
    declared = trial.outcome == "left out" or bool(expected.get(trial.outcome, lambda _: None)(features))
    target.journal.verdict(line, case.to_json(), kept, declared)


def something_was_seen(outcomes: Sequence[str]) -> None:
    """Where all verdicts are vacuous the test has seen nothing: inside a property the case is drawn anew."""
    if outcomes and all(outcome == "vacuous" for outcome in outcomes):
        if currently_in_test_context():
            reject()
        raise AssertionError("every verdict was vacuous: the bound says nothing of these cases")
