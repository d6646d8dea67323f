"""Frameworks and their own modules, for the tests that need more than an adapter's answer."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import adapters
from reference import Case, Verdict, judge


@functools.cache
def framework_adapter(name: str) -> adapters.Adapter:
    """The adapter of that name; skips the test, naming the framework and how to install it, where it is absent."""
    try:
        return adapters.load(name)
    except adapters.LoadError as error:
        if not error.absent:
            raise
        pytest.skip(f"{name} is absent: {error}")


def array_of(tensor: Any) -> np.ndarray:
    """A NumPy copy of a float32 or float64 tensor of any framework."""
    tensor = tensor.detach().cpu() if hasattr(tensor, "detach") else tensor
    return np.array(tensor.numpy() if hasattr(tensor, "numpy") else tensor)


def judge_last(case: Case, last: np.ndarray) -> Verdict:
    """The verdict on a layer's last output alone: (batch, num_directions * hidden_size), forward half first.

    It is the final state of the top layer in each direction; all else is filled in from the reference.
    """
    expected = case.answer()
    directions = case.spec.num_directions
    h_n = expected.h_n.copy()
    h_n[-directions:] = np.stack(np.split(last, directions, axis=-1))
    return judge(case, expected.output, h_n, bound="trajectory")
