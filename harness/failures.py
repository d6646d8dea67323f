"""What a failing test says, and the file that it leaves."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import secrets
import tempfile
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from adapters.running.trial import Trial
from evidence.record.environment import USER_FOLDER
from reference import Case, Diagnosis
from reference.diagnosis.calls import CallDiagnosis, diagnose_calls
from reference.encoding import arrays_of
from reference.faults import Fault
from reference.faults.calls import Call
from reference.judging.primitives import PrimitiveVerdict
from reference.judging.view import WHOLE

from .sizes import Search, like, sizes_of

FAILURES = USER_FOLDER / "out" / "failures"
LONGEST = 150  # characters of a test in a file's name, which a file system limits to 255 bytes
# the cases that confirm a diagnosis: batch, time, input_size, hidden_size -> the scale of their inputs
CONFIRMING = {(3, 5, 4, 6): 1.0, (4, 4, 4, 4): 8.0}

UNKNOWN = "no known fault explains it"
MOST_SEARCHED = 5  # failures of an adapter for which the sizes that decide are looked for
MOST_UNEXPLAINED = 10  # failures of an adapter that were diagnosed in vain, after which no more are
# by adapter and device: the faults that explained its failures so far, and how many failures none did
_named: dict[tuple[str, str], list[Fault]] = {}
_unexplained: Counter[tuple[str, str]] = Counter()
_searched: Counter[tuple[str, str]] = Counter()
# by adapter, device, case and answer
_diagnosed: dict[tuple[str, ...], Diagnosis | CallDiagnosis | None] = {}


@dataclass
class Failure:
    """The text of a failing test.  ask: asks the same target another case, of a new module, and `primitives` its
    primitives alone.  before: what it was asked before, or, in a thread, beside it.  asks: how many
    cases it may be asked to find the sizes that decide.

    The diagnosis is made when the text is read, not for every case that shrinking tries. The smallest case that
    shrinking leaves is the easiest to read and the hardest to tell faults apart by, so larger ones are asked too.
    """

    tested: str
    trial: Trial
    replay: str
    ask: Callable[[Case], Trial]
    primitives: Callable[[Case], Sequence[PrimitiveVerdict]] = lambda case: ()
    before: Sequence[Call] = ()
    asks: int = 48

    def diagnosis(self) -> Diagnosis | CallDiagnosis | None:
        """What is wrong, if it can be told. Hypothesis raises a failure twice: it is diagnosed once."""
        trial = self.trial
        shown = arrays_of(trial.answer.output, trial.answer.h_n, trial.answer.gradients) if trial.answer else []
        answer = hashlib.sha256(b"".join(array.tobytes() for array in shown if array is not None)).hexdigest()
        asked = trial.adapter, trial.device, trial.idiom, trial.case.id, answer
        if asked not in _diagnosed:
            _diagnosed[asked] = self._diagnose((trial.adapter, trial.device))
        return _diagnosed[asked]

    def _diagnose(self, target: tuple[str, str]) -> Diagnosis | CallDiagnosis | None:
        """First whether it fails alone; then the faults that explained an earlier failure of the adapter, then all."""
        alone = self.ask(self.trial.case) if self.trial.answer or self.before else self.trial
        if alone.outcome in ("agrees", "finding"):
            return self._of_calls()
        named = _named.setdefault(target, [])
        again = self.trial.diagnosis(named) if named else None
        if again is not None and again.explanations:
            return again
        if _unexplained[target] >= MOST_UNEXPLAINED:
            return None
        own = self.trial.diagnosis()
        if own is None or own.explanations:
            return own and self._confirmed(own, target)
        if (calls := self._of_calls()).explanations:
            return replace(calls, alone=False)
        _unexplained[target] += not own.problem
        return replace(own, note=self._sizes(target)[1])

    def _confirmed(self, own: Diagnosis, target: tuple[str, str]) -> Diagnosis | CallDiagnosis:
        """What is found is asked of other cases, those that fail and those that agree. Where these put it in doubt, the
        sizes that decide are looked for."""
        trials = [self.ask(case) for case in confirming(self.trial.case)]
        failed = [found for trial in trials if (found := trial.diagnosis()) is not None and not found.problem]
        right = [trial.case for trial in trials if trial.outcome == "agrees"]
        found = own.confirmed_by(failed).not_refuted_by(right, self.trial.view)
        if found.confirmed and not found.unconfirmed and not found.right:
            _named[target] += [fault for fault in found.explanations[0].faults if fault not in _named[target]]
        if not found.right:
            return found
        if (calls := self._of_calls()).explanations:
            return replace(calls, alone=False)
        depends, note = self._sizes(target)
        return replace(found, depends=depends, note=note)

    def _of_calls(self) -> CallDiagnosis:
        """What explains the answer by the calls before."""
        trial = self.trial
        if trial.answer is None or trial.view != WHOLE or trial.answer.gradients:
            return CallDiagnosis()
        return diagnose_calls(trial.case, *trial.answer[:2], self.before, trial.arithmetic)

    def _sizes(self, target: tuple[str, str]) -> tuple[str, str]:
        """What decides whether a case fails, and the sizes that do."""
        if _searched[target] >= MOST_SEARCHED or not self.trial.case.x.size:
            return "the size", ""
        _searched[target] += 1
        search = Search(self.trial.case, self.ask, self.asks)
        if search.wrong() is False:
            return "the numbers", "another case of these sizes is answered rightly"
        return "the size", "; ".join(search.thresholds())

    def causes(self) -> list[str]:
        """What may be wrong, in words that other failures of the same cause share: what a framework says has no numbers
        there."""
        diagnosis, verdict = self.diagnosis(), self.trial.verdict
        if isinstance(diagnosis, Diagnosis) and diagnosis.explanations:
            return [" and ".join(fault.says for fault in one.faults) for one in diagnosis.explanations]
        message = f"{self.trial.outcome}: {self.trial.message}".partition("\n")[0]
        other = message if verdict is None else UNKNOWN if verdict.reason == "value" else f"wrong {verdict.reason}"
        said = diagnosis.explanations if isinstance(diagnosis, CallDiagnosis) else ()
        return [re.sub(r"\d+", "#", one) for one in said or [other]]

    @functools.cached_property
    def culprit(self) -> str:
        """Whether it is a primitive that is off, or what is made of it; empty where none can be asked."""
        if self.trial.outcome != "disagrees":
            return ""
        try:
            verdicts = self.primitives(self.trial.case)
        except Exception as error:  # the layer's own failure must still be told
            return f"could not be asked: {type(error).__name__}: {error}"
        wrong = [str(verdict) for verdict in verdicts if not verdict.agrees]
        right = "its products and its activation are right by themselves, so it is what is made of them"
        return "; ".join(wrong) or (right if verdicts else "")

    def __str__(self) -> str:
        diagnosis, replay = self.diagnosis(), f"replay: {self.replay}"
        said = textwrap.indent(f"diagnosis: {diagnosis}\n", "  ") if diagnosis else ""
        if isinstance(diagnosis, CallDiagnosis) and diagnosis.alone:
            replay = f"run this test again to see it; the case alone is answered rightly: {self.replay}"
        elif self.culprit:
            said += f"  primitives: {self.culprit}\n"
        return f"{self.tested}: {self.trial}\n{said}  {replay}"


def confirming(case: Case) -> Iterator[Case]:
    """Cases that ask for the same features, with sizes, lengths and numbers that tell faults apart."""
    for sizes, scale in CONFIRMING.items():
        axes = dict(zip(("batch", "time", "input_size", "hidden_size"), sizes, strict=True))
        yield like(case, sizes_of(case) | axes, scale)


def new_run() -> str:
    """A name for the failures of a run, which no other run has."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


class Folder:
    """Where the processes of a run leave its failing cases: out/failures/RUN, or, where that cannot be written, a
    temporary folder of each; then `note` says so."""

    def __init__(self, run: str | None = None) -> None:
        self.path, self.note = FAILURES / (run or new_run()), ""

    def save(self, case: Case) -> str:
        """The case in a file named after the running test: Hypothesis runs the smallest failing case last.

        Returns the file's path, from this repository's root where it lies there.
        """
        test = os.environ.get("PYTEST_CURRENT_TEST", "case (").rpartition(" (")[0]
        name = re.sub(r"[^A-Za-z0-9.]+", "-", test.split("::")[-1]).strip("-")[:LONGEST]
        name += f"-{hashlib.sha256(test.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}.json"
        try:
            return self._written(case, name)
        except OSError as error:  # a clone that is read-only, or a full disk
            self.note = f"\n  the case is not where failing cases are kept: {error}"
            self.path = Path(tempfile.mkdtemp(prefix="rnn-equivalence-"))
            return self._written(case, name)

    def _written(self, case: Case, name: str) -> str:
        self.path.mkdir(parents=True, exist_ok=True)
        file = self.path / name
        case.save(file)
        return str(file.relative_to(USER_FOLDER) if file.is_relative_to(USER_FOLDER) else file)
