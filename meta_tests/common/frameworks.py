"""Frameworks, for the suite's own tests: what the tests of tests/ have of them, and their parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import adapters
from adapters.capabilities import MODES
from adapters.running.guard import told
from findings.finding import Finding
from findings.states import findings_of, states_of
from meta_tests.common.features import USUAL
from reference import CellParameters, RNNSpec
from tests.frameworks import array_of, framework_adapter, judge_last

__all__ = ["activation_of", "array_of", "built", "framework_adapter", "judge_last"]


def activation_of(adapter: adapters.Adapter, a: np.ndarray, nonlinearity: str) -> np.ndarray:
    """The adapter's activation; skips the test where it is refused or in another dtype, which is declared."""
    with skipped_where_declared(adapter, {"dtype": a.dtype.name}):
        answer = adapter.activation(a, nonlinearity)
        if answer.dtype != a.dtype:
            raise adapters.NotOffered(f"an activation of {a.dtype.name} is {answer.dtype}")
        return answer


def built(adapter: adapters.Adapter, spec: RNNSpec, parameters: Sequence[CellParameters]) -> Any:
    """The adapter's module; skips the test where its dtype is refused or not offered, which is declared."""
    with skipped_where_declared(adapter, {"dtype": parameters[0].dtype.name}):
        return adapter.build(spec, parameters)


@contextmanager
def skipped_where_declared(adapter: adapters.Adapter, features: Mapping[str, Any]) -> Iterator[None]:
    """Skip the test where what is raised is declared of these features, or is what a finding says.

    features: in some mode, where they name none.
    """
    try:
        yield
    except Exception as error:
        said, can = told(error), adapter.capabilities
        if isinstance(error, adapters.Unsupported):
            declared = bool(can.not_offered(features))
        else:
            refused = any(can.refusal({"mode": mode, **features}, said) for mode in MODES)
            raised = (one.what.exception for one in present_of(adapter, **features))
            declared = refused or any(one.fits(said) for one in raised if one)
        if not declared:
            raise
        pytest.skip(f"{adapter.name} {adapter.version}: {said}")


def present_of(adapter: adapters.Adapter, **features: Any) -> list[Finding]:
    """The findings that the version at hand has and that hold of a call with these features, all others usual."""
    asked = USUAL.features() | features
    inside = [one for one in findings_of(adapter) if one.holds(asked, "")]
    return [state.finding for state in states_of(adapter, adapter.name, inside) if state.present] if inside else []


def skip_where_it_has_no_answer(adapter: adapters.Adapter, **features: Any) -> None:
    """Skip a test where a finding that is present leaves nothing to expect of an answer, or raises."""
    for finding in present_of(adapter, **features):
        if finding.what.not_expressible or finding.what.exception:
            pytest.skip(f"{adapter.name} {adapter.version}: {finding}")


def arithmetic_of(adapter: adapters.Adapter, dtype: str) -> str:
    """What the version at hand computes a dtype in: a narrower one, as a finding that is present says; else itself."""
    found = (one.what.arithmetic for one in present_of(adapter, dtype=dtype))
    return next((name for name in found if name and name.startswith(f"{dtype}_of_")), dtype)


def infinity_of(adapter: adapters.Adapter, dtype: str) -> float:
    """What the version at hand takes infinity for: the largest float32 where a finding that is present says so.

    The test is skipped where one says that this cannot be told.
    """
    skip_where_it_has_no_answer(adapter, dtype=dtype, values="not finite")
    faults = (one.what.fault for one in present_of(adapter, dtype=dtype, values="not finite"))
    taken = any(fault is not None and fault.name == "infinity_is_largest_float32" for fault in faults)
    return float(np.finfo(np.float32).max) if taken else np.inf


def with_elman(adapter: Any) -> Any:
    """The adapter, of a test that asks an Elman cell; the test is skipped where there is none."""
    if why := adapter.capabilities.not_offered({"cell": "elman"}):
        pytest.skip(f"{adapter.name}: {why}")
    return adapter
