"""Sequences of calls: which of them a target is asked, and calls that are answered at the same time."""

from __future__ import annotations

import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from adapters import Result
from adapters.running.guard import warnings_shown
from adapters.running.trial import Stack, Trial
from reference import Case

from .target import Target

FEW_KEYS = 3  # of a sequence, where each is compiled
LEAST, MOST, SECONDS = 12, 1000, 0.05  # calls of a thread, and the time in which they are repeated
SWITCH = 1e-6  # seconds after which another Python thread may go on: as soon as can be


def few(target: Target, cases: Sequence[Case]) -> list[Case]:
    """The cases of a sequence: all; of a target that compiles those of a few keys, which the pool's seed decides."""
    if target.compiles is None or target.journal is not None:
        return [*cases]
    keys = [(case.spec, case.x.shape, case.layout, *(part is None for part in (case.h0, case.lengths, case.mask)))
            for case in cases]  # fmt: skip
    ranked = sorted({*keys}, key=lambda key: zlib.crc32(f"{target.pool} {key}".encode()))[:FEW_KEYS]
    return [case for case, key in zip(cases, keys, strict=True) if key in ranked]


class Heard(Stack):
    """A stack whose module has answered, or raised, already: in a thread."""

    def __init__(self, stack: Stack, case: Case, said: Result | Exception) -> None:
        super().__init__(stack.adapter, case, stack.device, stack.mode)
        self._said = said

    def answer(self, case: Case) -> Result:
        if isinstance(self._said, Exception):
            raise self._said
        return self._said


def check_together(target: Target, tested: str, cases: Sequence[Case]) -> None:
    """Fail unless each case is answered rightly alone, and in a thread of its own while the others are answered too.

    Cases that share their parameters share their module. One answer of each thread is judged: the first that has other
    bits than the one that was given alone, or the last.
    """
    __tracebackhide__ = True
    stacks: dict[tuple[Any, int], Stack] = {}
    for case in cases:
        key = case.spec, id(case.parameters)
        stacks[key] = stacks.get(key) or Stack(target.adapter, case, target.device, target.kept)
    own = [stacks[case.spec, id(case.parameters)] for case in cases]
    alone = [target.ask(tested, case, None, stack) for case, stack in zip(cases, own, strict=True)]
    if any(trial.answer is None for trial in alone):
        return  # refused, not offered, left out, or crashed as a finding says
    asks = [lambda stack=stack, case=case: stack.answer(case) for case, stack in zip(cases, own, strict=True)]
    for at, answers in enumerate(together(asks)):
        others = [trial for trial in alone if trial is not alone[at]]
        said = next((one for one in answers if _other(one, alone[at])), answers[-1])
        target.ask(tested, cases[at], None, Heard(own[at], cases[at], said), others)


def _other(said: Result | Exception, alone: Trial) -> bool:
    """Whether an answer has other bits than the one that was given alone."""
    return isinstance(said, Exception) or replace(alone, given=said).overwritten


def together(asks: Sequence[Callable[[], Result]]) -> list[list[Result | Exception]]:
    """What each answers, or raises, again and again, in a thread of its own; all begin when the last is ready."""
    ready, said = [False] * len(asks), [[] for _ in asks]

    def run(at: int) -> None:
        ready[at] = True
        while not all(ready):  # a thread that waits for a lock wakes when the others are done
            pass
        end = time.perf_counter() + SECONDS
        while len(said[at]) < LEAST or (len(said[at]) < MOST and time.perf_counter() < end):
            try:
                said[at].append(asks[at]())
            except Exception as error:  # whatever a framework throws: it is judged as a crash
                said[at].append(error)

    with _switching(), warnings_shown():
        threads = [threading.Thread(target=run, args=(at,)) for at in range(len(asks))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return said


@contextmanager
def _switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
