"""Frameworks, for the suite's own tests: what the tests of tests/ have of them, and their parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import adapters
from reference import CellParameters, RNNSpec
from tests.frameworks import array_of, framework_adapter, judge_last

__all__ = ["activation_of", "array_of", "built", "framework_adapter", "judge_last"]


def activation_of(adapter: adapters.Adapter, a: np.ndarray, nonlinearity: str) -> np.ndarray:
    """The adapter's activation; skips the test where it is refused or in another dtype, which is declared."""
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
