"""Sizes that the drawn questions do not reach: where vector units, blocks and tiles begin, and where all are equal.

One fixed case each; what shrinks is drawn in test_equivalence.
"""

from __future__ import annotations

import pytest

from harness.strategies import in_layout
from harness.target import Target
from reference import DIRECTIONS, LAYOUTS, NONLINEARITIES, Case, RNNSpec
from reference.draws import draw_case

# beside the widths of vector registers and tiles, and past them
SIZES = (16, 17, 33, 65)


@pytest.mark.own_key
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("axis", ["batch", "time", "input_size", "hidden_size"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_one_large_axis(target: Target, direction: str, axis: str, size: int) -> None:
    """Two layers, with initial states and lengths, so that every path sees the large axis."""
    sizes = {"batch": 3, "time": 4, "input_size": 5, "hidden_size": 6, axis: size}
    lengths = [1 + (7 * row) % sizes["time"] for row in range(sizes["batch"])]
    lengths[0] = sizes["time"]
    cases = []
    for nonlinearity in NONLINEARITIES:
        spec = RNNSpec(sizes["input_size"], sizes["hidden_size"], 2, direction, nonlinearity)
        cases.append(draw_case(spec, batch=sizes["batch"], time=sizes["time"], seed=size, h0=True, lengths=lengths))
    target.check("one large axis", *cases)


@pytest.mark.own_key
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_axes_large(target: Target, direction: str, dtype: str, size: int) -> None:
    case = draw_case(RNNSpec(size + 1, size, 1, direction), batch=size - 1, time=size // 4, dtype=dtype, seed=size)
    target.check("all axes large", case)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_dtypes_in_a_deep_and_longer_run(target: Target, dtype: str) -> None:
    target.check("narrow and deep", draw_case(RNNSpec(3, 5, 4), batch=2, time=12, dtype=dtype, h0=True))


def equal_sizes(direction: str, layout: str) -> list[Case]:
    """With lengths, and without. No shape can tell one axis from another: only the values can."""
    spec = RNNSpec(4, 4, 2 if direction == "bidirectional" else 4, direction)
    case = draw_case(spec, batch=4, time=4, seed=4, h0=True, lengths=(4, 2, 3, 1))
    full = draw_case(spec, batch=4, time=4, seed=5, h0=True)
    return [in_layout(asked, layout, "contiguous") for asked in (case, full)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_all_sizes_equal(target: Target, direction: str, layout: str) -> None:
    target.check("all sizes equal", *equal_sizes(direction, layout))
