"""Runs on which a fixed tolerance fails or says nothing; none of them is a special case here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.target import Target
from reference import DIRECTIONS, NONLINEARITIES, RNNSpec
from reference.draws import draw_case

from .test_sizes import most_steps

DTYPES = ("float32", "float64")


@pytest.mark.parametrize("dtype", DTYPES)
def test_chaotic(target: Target, dtype: str) -> None:
    """500 steps of a chaotic recurrence: after some fifty steps, any two correct answers have nothing in common."""
    case = draw_case(RNNSpec(8, 32), batch=2, time=most_steps(target, 500), dtype=dtype, weight_scale=4.0)
    target.check("chaotic", case)


def test_long(target: Target) -> None:
    target.check("long", draw_case(RNNSpec(2, 4), batch=2, time=most_steps(target, 10_000)))


@pytest.mark.own_key
@pytest.mark.parametrize("dtype", [*DTYPES, "float16", "bfloat16"])
def test_wide(target: Target, dtype: str) -> None:
    """1,024 units: more than a tile of any kernel holds. Of a narrow dtype with narrow sums the bound says nothing
    there, but it does of 16 units."""
    target.check("wide", *(draw_case(RNNSpec(16, n), batch=2, time=3, dtype=dtype, h0=True) for n in (16, 1024)))


LENGTHS = {"ties": (5, 3, 5, 3), "all equal": (3, 3, 3, 3), "one each": (1, 1, 1, 1), "unsorted": (2, 5, 1, 4)}


@pytest.mark.own_key
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_lengths(target: Target, lengths: tuple[int, ...], direction: str) -> None:
    target.check("lengths", draw_case(RNNSpec(3, 4, 2, direction), batch=4, time=5, h0=True, lengths=lengths))


MASKS = {
    "a hole": [[1, 1, 0, 1, 1], [1, 0, 0, 0, 1]],
    "in front": [[0, 1, 1, 1, 1], [0, 0, 0, 1, 1]],
    "every other": [[1, 0, 1, 0, 1], [0, 1, 0, 1, 0]],
    "all": [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1]],
}


@pytest.mark.own_key
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("rows", MASKS.values(), ids=MASKS)
def test_masks(target: Target, rows: list[list[int]], direction: str) -> None:
    """A masked step changes nothing: the state is held over it, and the output there is zero."""
    case = draw_case(RNNSpec(3, 4, 2, direction), batch=2, time=5, h0=True)
    target.check("masks", replace(case, mask=np.array(rows, dtype=bool)))


@pytest.mark.own_key
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_deep(target: Target, direction: str, dtype: str) -> None:
    target.check("deep", draw_case(RNNSpec(5, 7, 10, direction), batch=3, time=6, dtype=dtype, h0=True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_saturated(target: Target, dtype: str) -> None:
    """Preactivations in the hundreds: tanh is 1 to the last bit, and must be."""
    target.check("saturated", draw_case(RNNSpec(6, 9), batch=3, time=7, dtype=dtype, input_scale=1e3))


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_tiny(target: Target, dtype: str, nonlinearity: str) -> None:
    """Inputs and states among the subnormal numbers, which a framework may flush to zero."""
    tiny = float(np.finfo(dtype).tiny)
    spec = RNNSpec(6, 9, nonlinearity=nonlinearity, bias=False)
    case = draw_case(spec, batch=3, time=7, dtype=dtype, input_scale=tiny / 4)
    target.check("tiny", case)
