"""Sequences of calls: which of them a target is asked, and calls that are answered at the same time."""

from __future__ import annotations

import sys
import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from adapters import Result
from adapters.contract import IN_THREADS, features_of_case
from adapters.running.guard import warnings_shown
from adapters.running.trial import Stack, Trial
from findings.states import left_out
from reference import Case
from reference.diagnosis.explanation import apart
from reference.faults.calls import Call

from .target import Target

FEW_KEYS = 3  # of a sequence, where each is compiled
LEAST, SECONDS = 12, 0.25  # calls of a thread, and the time in which they are repeated
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

    def __init__(self, stack: Stack, case: Case, said: Result | Exception, idiom: str = "") -> None:
        super().__init__(stack.adapter, case, stack.device, stack.mode, idiom=idiom)
        self._said = said

    def answer(self, case: Case) -> Result:
        if isinstance(self._said, Exception):
            raise self._said
        return self._said


def check_together(target: Target, tested: str, cases: Sequence[Case]) -> None:
    """Fail unless each case is answered rightly alone, and in a thread of its own while the others are answered too.

    Cases that share their parameters share their module: then what findings say of the idiom IN_THREADS holds, and what
    one of them leaves out is not asked, as it may end the process. One answer of each thread is judged.
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
    idiom = IN_THREADS if IN_THREADS in target.idioms and len(stacks) < len(cases) else ""
    features = [features_of_case(case, target.kept) for case in cases]
    silent = any(left_out(target.present(some, idiom), some, idiom) for some in features)
    for at, said in enumerate([Result(None, None)] * len(cases) if silent else together(cases, own, alone)):
        others = [Call("the call in the other thread", trial.case, *trial.answer[:2])
                  for trial in alone if trial is not alone[at] and trial.answer]  # fmt: skip
        target.ask(tested, cases[at], None, Heard(own[at], cases[at], said, idiom), others)


def together(cases: Sequence[Case], stacks: Sequence[Stack], alone: Sequence[Trial]) -> list[Result | Exception]:
    """What each stack answers to its case, or raises; of many answers the one farthest from what was answered alone.

    Each is asked again and again in a thread of its own. All begin when the last is ready.
    """
    ready = [False] * len(cases)
    said: list[Result | Exception] = [Result(None, None)] * len(cases)

    def run(at: int) -> None:
        ready[at] = True
        while not all(ready):  # a thread that waits for a lock wakes when the others are done
            pass
        end, asked, farthest = time.perf_counter() + SECONDS, 0, 0.0
        while asked < LEAST or time.perf_counter() < end:
            asked += 1
            try:
                now = stacks[at].answer(cases[at])
            except Exception as error:  # whatever a framework throws: it is judged as a crash
                said[at] = error
                return
            distance = _distance(alone[at], now)
            if distance >= farthest:
                said[at], farthest = now, distance

    threads, before = [threading.Thread(target=run, args=(at,)) for at in range(len(cases))], sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        with warnings_shown():
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(before)
    return said


def _distance(alone: Trial, answer: Result) -> float:
    """How far an answer lies from the one that was given alone; infinitely where the form is another."""
    if alone.answer is None or not replace(alone, given=answer).overwritten:
        return 0.0
    try:
        return apart(alone.answer[:2], answer[:2])
    except (TypeError, ValueError):
        return np.inf
