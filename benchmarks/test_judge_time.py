"""A judgement and the float64 forward pass of its case, side by side in one group for each case."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from .questions import DTYPES, JUDGE_SIZES, JUDGED_STACKS, TRAJECTORY_SIZES, Size, judgement_pair
from .ratios import keep_memory

BOUNDS_AND_SIZES = [("step", size) for size in JUDGE_SIZES] + [("trajectory", size) for size in TRAJECTORY_SIZES]


@pytest.mark.parametrize(("bound", "size"), BOUNDS_AND_SIZES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stack", JUDGED_STACKS)
@pytest.mark.parametrize("side", ["judge", "float64 forward"])
def test_judge(benchmark: BenchmarkFixture, bound: str, size: Size, dtype: str, stack: str, side: str) -> None:
    pair = judgement_pair(size, dtype, stack, bound=bound)
    benchmark.group = f"judge by the {bound} bound, ({size}), {dtype}, {stack}"
    keep_memory()
    benchmark(pair.subject if side == "judge" else pair.yardstick)
