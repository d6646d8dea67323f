"""First of all: does the adapter keep the contract? What fails here speaks to its author."""

from __future__ import annotations

import pytest

from adapters.conformance.self_check import CHECKS, ask
from harness.target import Target


@pytest.mark.parametrize("check", CHECKS)
def test_the_adapter_keeps_the_contract(target: Target, check: str) -> None:
    if target.isolate:
        command = f"python -m rnn_equivalence adapters {target.source} --check"
        pytest.skip(f"{target.label}: --isolate; this runs in one process: {command}")
    excused = lambda features: bool(target.present(features))  # noqa: E731 (what a finding says is no fault of the adapter)
    finding = ask(check, target.adapter, target.device, target.source, excused=excused)
    if finding.unchecked:
        pytest.skip(f"{target.label}: {finding.unchecked}")
    assert not finding.problems, f"{target.label}: {finding}"
