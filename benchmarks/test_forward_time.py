"""The reference's forward pass and torch's, side by side in one group for each case."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from .questions import DTYPES, FORWARD_SIZES, STACKS, Size, forward_pair
from .ratios import keep_memory


@pytest.mark.parametrize("size", FORWARD_SIZES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("side", ["reference", "torch"])
def test_forward(benchmark: BenchmarkFixture, size: Size, dtype: str, stack: str, side: str) -> None:
    pair = forward_pair(size, dtype, stack)
    benchmark.group = f"forward, ({size}), {dtype}, {stack}"
    keep_memory()
    benchmark(pair.subject if side == "reference" else pair.yardstick)
