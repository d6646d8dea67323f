"""What a failing test says, and the file that it leaves."""

from __future__ import annotations

import os
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from adapters.trial import Trial
from reference import Case, Diagnosis
from reference.faults import Fault

from .draws import draw_case

ROOT = Path(__file__).parents[1]
FAILURES = ROOT / "out" / "failures"
# batch, time, input_size, hidden_size of the cases that confirm a diagnosis: all different, and all equal
CONFIRMING = ((3, 5, 4, 6), (4, 4, 4, 4))

MOST_UNEXPLAINED = 10  # failures of an adapter that were diagnosed in vain, after which no more are
# by adapter: the faults that explained its failures so far, and how many failures none did
_named: dict[str, list[Fault]] = {}
_unexplained: Counter[str] = Counter()
# by adapter and case
_diagnosed: dict[tuple[str, str], Diagnosis | None] = {}


class Failure:
    """The text of a failing test.

    The diagnosis is made when the text is read, not for every case that shrinking tries. The smallest case that
    shrinking leaves is the easiest to read and the hardest to tell faults apart by, so larger ones are asked too.
    """

    def __init__(self, tested: str, trial: Trial, replay: str, ask: Callable[[Case], Trial]) -> None:
        self.tested, self.trial, self.replay, self.ask = tested, trial, replay, ask

    def diagnosis(self) -> Diagnosis | None:
        """What is wrong, if it can be told. Hypothesis raises a failure twice: it is diagnosed once."""
        asked = self.trial.adapter, self.trial.case.id
        if asked not in _diagnosed:
            _diagnosed[asked] = self._diagnose()
        return _diagnosed[asked]

    def _diagnose(self) -> Diagnosis | None:
        """Faults that explained an earlier failure of the adapter are tried first."""
        named = _named.setdefault(self.trial.adapter, [])
        again = self.trial.diagnosis(named) if named else None
        if again is not None and again.explanations:
            return replace(again, note="as in an earlier failure")
        if _unexplained[self.trial.adapter] >= MOST_UNEXPLAINED:
            return Diagnosis(problem=f"{MOST_UNEXPLAINED} failures of this adapter were diagnosed in vain")
        own = self.trial.diagnosis()
        if own is None or not own.explanations:
            _unexplained[self.trial.adapter] += own is not None
            return own
        others = (self.ask(case).diagnosis() for case in confirming(self.trial.case))
        found = own.confirmed_by([other for other in others if other is not None])
        named += [fault for fault in found.explanations[0].faults if fault not in named]
        return found

    def __str__(self) -> str:
        diagnosis = self.diagnosis()
        said = textwrap.indent(f"diagnosis: {diagnosis}\n", "  ") if diagnosis else ""
        return f"{self.tested}: {self.trial}\n{said}  replay: {self.replay}"


def confirming(case: Case) -> Iterator[Case]:
    """Cases that ask for the same features, with sizes and numbers that tell faults apart."""
    for batch, time, input_size, hidden_size in CONFIRMING:
        spec = replace(case.spec, input_size=input_size, hidden_size=hidden_size)
        batch = 1 if case.layout == "unbatched" else batch
        lengths = None if case.lengths is None else [time - row % time for row in range(batch)]
        yield draw_case(spec, batch=batch, time=time, dtype=case.dtype, h0=case.h0 is not None, lengths=lengths,
                        layout=case.layout)  # fmt: skip


def save(case: Case) -> str:
    """The case in a file named after the running test: Hypothesis runs the smallest failing case last."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "case").split("::")[-1].split(" (")[0]
    path = FAILURES / f"{re.sub(r'[^A-Za-z0-9.]+', '-', test).strip('-')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    case.save(path)
    return str(path.relative_to(ROOT))
