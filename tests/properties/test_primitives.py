"""Each framework's product and activation by themselves: where these are right and a layer is not, it is the loop.

Where a finding says that the framework computes in another arithmetic, they may be right in that one.
"""

from __future__ import annotations

import pytest

from adapters.contract import features_of
from adapters.running.primitives import primitive_verdicts
from harness.target import Target
from reference import DTYPES, NONLINEARITIES, Case, RNNSpec
from reference.draws import draw_case
from reference.judging.primitives import PrimitiveVerdict


@pytest.mark.own_key
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 5, 33, 256])
def test_primitives_agree(target: Target, dtype: str, nonlinearity: str, size: int) -> None:
    case = draw_case(RNNSpec(size + 1, size, nonlinearity=nonlinearity), batch=4, time=5, dtype=dtype, seed=size)
    present = target.present(features_of(case.spec, **case.inputs, mode=target.kept))
    arithmetics = [finding.what.arithmetic for finding in present if finding.what.arithmetic]
    by_findings = (alone(target, case, name) for name in arithmetics)
    right = (verdicts for verdicts in by_findings if all(verdict.agrees for verdict in verdicts))
    verdicts = next(right, None) or alone(target, case)
    if not verdicts:
        pytest.skip(f"{target.label}: {target.not_asked(case)[1] or 'the adapter has no dense and activation to ask'}")
    for verdict in verdicts:
        target.ledger.figure(target.label, f"error / bound, {verdict.primitive} alone, {dtype}", verdict.max_fraction)
    assert all(verdict.agrees for verdict in verdicts), "; ".join(map(str, verdicts))


def alone(target: Target, case: Case, arithmetic: str | None = None) -> list[PrimitiveVerdict]:
    return primitive_verdicts(target.adapter, case, target.device, arithmetic)
