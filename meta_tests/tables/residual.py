"""A systematic shift, far below any bound: how much larger or smaller a framework's states are than the exact steps.

Roundings to nearest leave a mean of nearly nothing; a mean that stands out of its scatter is a bias, as of an
accumulator that truncates or an approximate activation. It is reported, never judged by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adapters import Adapter
from adapters.running.trial import examine
from reference import DTYPES, RNNSpec
from reference.draws import draw_case

HIDDEN, BATCH, TIME = 32, 8, 20


@dataclass(frozen=True)
class Row:
    """Mean of (|actual| - |expected|) in units of u times the layer's largest output, over judged cases.

    scatter: standard deviation of the cases' means.  largest_fraction: of the step bound, in any case.
    """

    framework: str
    dtype: str
    cases: int
    mean: float
    scatter: float
    largest_fraction: float


def row(adapter: Adapter, dtype: str, cases: int) -> Row:
    """One layer drawn as torch initialises it for each seed, run and judged by its own states."""
    means, fractions = [], []
    for seed in range(cases):
        case = draw_case(RNNSpec(HIDDEN, HIDDEN), batch=BATCH, time=TIME, dtype=dtype, seed=seed)
        trial = examine(adapter, case, bound="step")
        if trial.verdict is None or trial.outcome == "disagrees":
            raise RuntimeError(f"only judged runs count, and this is none: {trial}")
        means.append(trial.verdict.mean_signed_residual)
        fractions.append(trial.verdict.max_fraction)
    return Row(f"{adapter.name} {adapter.version}", dtype, cases,
               float(np.mean(means)), float(np.std(means)), max(fractions))  # fmt: skip


def rows(adapters: Sequence[Adapter], cases: int) -> list[Row]:
    """Every framework in every dtype that it supports."""
    return [
        row(adapter, dtype, cases)
        for adapter in adapters
        for dtype in DTYPES
        if dtype in adapter.capabilities.supported("dtype")
    ]
