"""Campaigns of adapters of the reference, right and wrong: --adapter meta_tests.common.campaigns:NAME."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from adapters.contract import Result
from adapters.numpy.adapter import ReferenceAdapter
from evidence.campaign.cases import BLOCK, case_of, pieces
from evidence.campaign.record import Campaign, begin, finish, header_line
from harness.campaign.block import about, ask_block

NAMED = "meta_tests.common.campaigns:{}"
ODD = 1_013  # the seed whose case is answered wrongly, or not
ONCE, MARK = 977, "RNN_EQUIVALENCE_MARK"  # the seed whose case kills its first process; a file that says that it did


x_of = cache(lambda seed: case_of(seed).x)
told = cache(about)


def is_case(seed: int, x: np.ndarray) -> bool:
    return np.array_equal(x, x_of(seed))


class Right(ReferenceAdapter):
    name = "right"

    def run(self, module: Any, x: np.ndarray, *given: Any, **named: Any) -> Result:
        return self.changed(x, super().run(module, x, *given, **named))

    def changed(self, x: np.ndarray, result: Result) -> Result:
        return result


class Wrong(Right):
    """One element of the answer to one case is wrong by a part in a thousand."""

    def changed(self, x: np.ndarray, result: Result) -> Result:
        if is_case(ODD, x):
            result.output.flat[0] += result.output.dtype.type(2.0**-10)
        return result


class Moved(Right):
    """One element of the answer to one case is the next number."""

    def changed(self, x: np.ndarray, result: Result) -> Result:
        if is_case(ODD, x):
            result.output.flat[0] = np.nextafter(result.output.flat[0], result.output.dtype.type(2))
        return result


class Raising(Right):
    def changed(self, x: np.ndarray, result: Result) -> Result:
        if is_case(ODD, x):
            raise RuntimeError("of all cases this one")
        return result


class Deadly(Right):
    """One case kills its process, always; another one does once."""

    def changed(self, x: np.ndarray, result: Result) -> Result:
        if is_case(ODD, x):
            os.kill(os.getpid(), signal.SIGKILL)
        if is_case(ONCE, x) and not (mark := Path(os.environ[MARK])).exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def campaign(path: Path, source: str, start: int, stop: int, change: Callable[[dict], Any] = dict) -> Campaign:
    """A whole campaign, made in this process.  change: of its header."""
    header = header_line(deepcopy(told(source, "cpu")), (start, stop))
    change(header)
    journal, _ = begin(path, header, resume=False)
    for piece in pieces(start, stop, BLOCK):
        line = ask_block(source, "cpu", *piece)
        line.pop("by")
        journal.write(line)
    return finish(path)
