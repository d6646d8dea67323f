"""Frameworks and their own modules, for the tests that need more than an adapter's answer."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import adapters
from reference import Case, CellParameters, RNNSpec, Verdict, judge


@functools.cache
def framework_adapter(name: str) -> adapters.Adapter:
    """The adapter of that name; skips the test, naming the framework and how to install it, where it is absent."""
    try:
        return adapters.load(name)
    except adapters.LoadError as error:
        if not error.absent:
            raise
        pytest.skip(f"{name} is absent: {error}")


def activation_of(adapter: adapters.Adapter, a: np.ndarray, nonlinearity: str) -> np.ndarray:
    """The adapter's activation; skips the test where it is refused or narrowed, and the dtype declared unsupported."""
    with skipped_where_declared(adapter, a.dtype.name):
        answer = adapter.activation(a, nonlinearity)
        if answer.dtype != a.dtype:
            raise adapters.Refused(f"an activation of {a.dtype.name} is {answer.dtype}")
        return answer


def built(adapter: adapters.Adapter, spec: RNNSpec, parameters: Sequence[CellParameters]) -> Any:
    """The adapter's module; skips the test where it is refused, and the dtype is declared unsupported."""
    with skipped_where_declared(adapter, parameters[0].dtype.name):
        return adapter.build(spec, parameters)


@contextmanager
def skipped_where_declared(adapter: adapters.Adapter, dtype: str) -> Iterator[None]:
    try:
        yield
    except adapters.Unsupported as error:
        if ("dtype", dtype) not in adapter.capabilities.unsupported:
            raise
        pytest.skip(f"{adapter.name} {adapter.version}: {error}")


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
