"""A trial and a whole small case, and the framework's own calls, side by side in one group for each case."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from .questions import CASE_SIZES, DTYPES, JUDGED_STACKS, TRIAL_SIZES, Size, case_pair, trial_pair
from .ratios import keep_memory

PAIRS = {"case": case_pair, "trial": trial_pair}
ASKED = [("case", size) for size in CASE_SIZES] + [("trial", size) for size in TRIAL_SIZES]


@pytest.mark.parametrize(("what", "size"), ASKED, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stack", JUDGED_STACKS)
@pytest.mark.parametrize("side", ["the suite", "torch"])
def test_case(benchmark: BenchmarkFixture, what: str, size: Size, dtype: str, stack: str, side: str) -> None:
    pair = PAIRS[what](size, dtype, stack)
    benchmark.group = f"{what}, ({size}), {dtype}, {stack}"
    keep_memory()
    benchmark(pair.subject if side == "the suite" else pair.yardstick)
