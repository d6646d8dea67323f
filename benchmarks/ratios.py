"""How two functions are timed against each other on a machine that also does other work."""

from __future__ import annotations

import statistics
from time import perf_counter

import numpy as np

from .questions import Pair

SECONDS = 1.0
FEWEST_ROUNDS = 7
MOST_ROUNDS = 400


def median_ratio(pair: Pair, seconds: float = SECONDS) -> float:
    """The median, over interleaved rounds, of the subject's time divided by the yardstick's.

    A round times one after the other, so that what else the machine does meets both alike.
    """
    keep_memory()
    for function in pair:
        function()  # the first call of anything pays for what later ones share
    ratios = []
    end = perf_counter() + seconds
    while len(ratios) < FEWEST_ROUNDS or (perf_counter() < end and len(ratios) < MOST_ROUNDS):
        start = perf_counter()
        pair.subject()
        middle = perf_counter()
        pair.yardstick()
        ratios.append((middle - start) / (perf_counter() - middle))
    return statistics.median(ratios)


def keep_memory() -> None:
    """Have the C library keep the memory that is freed, for both sides alike.

    Until an array this large has been freed, glibc hands arrays of 128 KiB and more straight back to the
    system, and fetching them again costs more than the arithmetic of a small case (mallopt(3), M_MMAP_THRESHOLD).
    """
    np.ones(2**21)
