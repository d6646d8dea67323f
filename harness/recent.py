"""What a target was asked of late, and first of each spec: from there a wrong answer may have been taken."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from adapters import Result
from reference import Case
from reference.faults.calls import Call

LAST, FIRST = 24, 64  # calls, and specs, that are remembered
MOST_NUMBERS = 2**14  # of a call that is


@dataclass
class Recent:
    _last: deque[tuple[Case, Result]] = field(default_factory=lambda: deque(maxlen=LAST))
    _first: dict[Any, tuple[Case, Result]] = field(default_factory=dict)

    def add(self, case: Case, answer: Result | None) -> None:
        """A call, and a copy of the answer to it."""
        if answer is None or answer.output is None or case.x.size + case.spec.hidden_size**2 > MOST_NUMBERS:
            return
        self._last.append((case, answer))
        if len(self._first) < FIRST:
            self._first.setdefault((case.spec, case.dtype), (case, answer))

    def before(self, case: Case, answer: Result | None) -> list[Call]:
        """Those before a case and the answer to it, which may be the last one; the last one last."""
        every = self._first.values(), self._last
        first, last = ([call for call in calls if call[1] is not answer] for calls in every)
        named = [("the first call", *call) for call in first]
        named += [(f"the call {back} calls before" if back > 1 else "the call before", *call)
                  for back, call in zip(range(len(last), 0, -1), last, strict=True)]  # fmt: skip
        return [Call(f"{name}, of {_module(one, case)}", one, *its[:2]) for name, one, its in named]


def _module(one: Case, case: Case) -> str:
    if one.spec != case.spec:
        return "another spec"
    return "this module" if one.parameters is case.parameters else "another module"
