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
    note: what else there is to say."""

    explanations: tuple[str, ...]
    after: int
    note: str = ""

    def __str__(self) -> str:
        calls = f"{self.after} other call{'s' if self.after != 1 else ''}"
        lines = [f"a new module answers rightly: it depends on the {calls}" if self.after else
                 "a new module answers rightly: it depends on what was asked before"]  # fmt: skip
        named = self.explanations[:MOST_NAMED]
        lines += [f"  {'or' if at else 'agrees with the reference'} if {one}" for at, one in enumerate(named)]
        lines += [] if named else ["  agrees with none of the known faults in sequences of calls"]
        return "\n".join([*lines, *([f"  {self.note}"] if self.note else [])])


def diagnose_calls(
    case: Case, output: np.ndarray, h_n: Any, calls: Sequence[Call], declared: str | None = None, note: str = ""
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
    return CallDiagnosis(tuple(found), len(calls), note)
