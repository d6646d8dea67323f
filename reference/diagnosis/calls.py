"""The diagnosis of an answer that is wrong after other calls alone: what of an earlier call was taken for its own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..faults.calls import CALL_FAULTS, Call
from ..judging.case import Case
from ..judging.judge import judge

MOST_NAMED = 3


@dataclass(frozen=True)
class CallDiagnosis:
    """explanations: each the end of "agrees with the reference if ...".
    alone: whether a new module answers the question rightly, so that it must be the calls."""

    explanations: tuple[str, ...] = ()
    alone: bool = True

    def __str__(self) -> str:
        lines = ["a new module answers rightly: it depends on what else was asked"] if self.alone else []
        lines += [f"{'  or' if at else 'agrees with the reference'} if {one}"
                  for at, one in enumerate(self.explanations[:MOST_NAMED])]  # fmt: skip
        return "\n  ".join(lines if self.explanations else [*lines, "no known fault in sequences of calls explains it"])


def diagnose_calls(
    case: Case, output: np.ndarray, h_n: Any, calls: Sequence[Call], declared: str | None = None
) -> CallDiagnosis:
    """Which faults in sequences of calls explain an answer, each with the latest call with which it does.

    output, h_n, declared: as in judge.  calls: those before, or beside it, the last one last.
    """
    if judge(case, output, h_n, None, declared).outcome != "disagrees":  # of a stack by the whole trajectory
        return CallDiagnosis()
    found = []
    for fault in CALL_FAULTS.values():
        asked = ((call, fault.asked(case, call)) for call in reversed(calls))
        # of a call in another dtype nothing is declared
        fits = (call for call, one in asked
                if one and _answers(one, output, h_n, declared if one.dtype == case.dtype else None))  # fmt: skip
        found += [fault.says.format(call=call.name) for call in itertools.islice(fits, 1)]
    return CallDiagnosis(tuple(found))


def _answers(asked: Case, output: np.ndarray, h_n: Any, declared: str | None) -> bool:
    """Whether an answer is right, if that was the question; quickly where its shape alone tells."""
    if ((*asked.x.shape[:-1], asked.spec.output_size), asked.x.dtype) != (output.shape, output.dtype):
        return False
    return judge(asked, output, h_n, None, declared).outcome == "agrees"
