"""The diagnosis of an answer that is wrong after other calls alone: what of an earlier call was taken for its own."""

from __future__ import annotations

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
    """explanations: each the end of "agrees with the reference if ...".  after: how many calls there were before.
    alone: whether a new module answers the question rightly, so that it must be the calls."""

    explanations: tuple[str, ...]
    after: int
    alone: bool = True

    def __str__(self) -> str:
        before = f"the {self.after} calls before" if self.after > 1 else "what was asked before"
        lines = [f"a new module answers rightly: it depends on {before}"] if self.alone else []
        lines += [f"{'  or' if at else 'agrees with the reference'} if {one}"
                  for at, one in enumerate(self.explanations[:MOST_NAMED])]  # fmt: skip
        return "\n  ".join(lines if self.explanations else [*lines, "no known fault in sequences of calls explains it"])


def diagnose_calls(
    case: Case, output: np.ndarray, h_n: Any, calls: Sequence[Call], declared: str | None = None
) -> CallDiagnosis:
    """Which faults in sequences of calls explain an answer; of each the latest call with which it does.

    output, h_n, declared: as in judge.  calls: those before, or beside it, the last one last.
    """
    found = []
    if judge(case, output, h_n, None, declared).outcome == "disagrees":  # of a stack by the whole trajectory
        for fault in CALL_FAULTS.values():
            fits = (call.name for call in reversed(calls)
                    if (asked := fault.asked(case, call)) and asked.dtype == case.dtype
                    and judge(asked, output, h_n, None, declared).outcome == "agrees")  # fmt: skip
            found += [fault.says.format(call=name) for name in (next(fits, None),) if name]
    return CallDiagnosis(tuple(found), len(calls))
