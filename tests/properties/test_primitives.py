"""Each framework's product and activation by themselves: where these are right and a layer is not, it is the loop.

Where a finding says that the framework computes in another arithmetic, they may be right in that one.
"""

from __future__ import annotations

import numpy as np
import pytest

from adapters.contract import features_of_case
from adapters.running.primitives import primitive_verdicts
from harness.relations import answer
from harness.target import Target
from reference import DTYPES, NONLINEARITIES, Case, CellParameters, RNNSpec
from reference.bounds.arithmetic import arithmetic
from reference.draws import draw_case
from reference.judging.primitives import PrimitiveVerdict, judge_activation
from reference.layout import state_tuple
from reference.spec import GATED


@pytest.mark.own_key
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 5, 33, 256])
def test_primitives_agree(target: Target, dtype: str, nonlinearity: str, size: int) -> None:
    case = draw_case(RNNSpec(size + 1, size, nonlinearity=nonlinearity), batch=4, time=5, dtype=dtype, seed=size)
    present = target.present(features_of_case(case, target.kept))
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


SMALL = np.geomspace(1e-6, 80, 200)
# exact in float32: a finding may say that a product is computed in it
ARGUMENTS = np.concatenate([np.linspace(-20, 20, 401), SMALL, -SMALL]).astype("float32")


def asked_inside(cell: str, word: str, dtype: str) -> Case:
    """A layer of one unit whose final state is the activation of x, whatever else the step does: exactly, but for what
    a sigmoid that is declared to be off leaves of the gate that is shut.

    GRU: h = z h0 with n = 0 and h0 = 1; h = n with z = 0. LSTM: c = f c0 with g = 0 and c0 = 1; c = g with i = 1.
    """
    of_sigmoid, of_tanh, other, far = (1, 2, 0, 100.0) if cell == "lstm" else (1, 2, 1, -100.0)
    held, zero = word == "sigmoid", np.zeros(4 if cell == "lstm" else 3, dtype)
    w_ih, bias = zero.copy(), zero.copy()
    w_ih[of_sigmoid if held else of_tanh] = 1
    if not held:
        bias[other] = far
    track = CellParameters(w_ih[:, None], zero[:, None], bias, zero)
    x = ARGUMENTS.astype(dtype)[:, None, None]
    state = np.full((1, len(x), 1), held, dtype)
    return Case(RNNSpec(1, 1, cell=cell), [track], x, (np.zeros_like(state), state) if cell == "lstm" else state)


@pytest.mark.own_key
@pytest.mark.parametrize("word", ["sigmoid", "tanh"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", GATED)
def test_activations_inside_a_layer(target: Target, cell: str, dtype: str, word: str) -> None:
    """A fused kernel has activations of its own: they are judged by what a layer makes of them alone."""
    case = asked_inside(cell, word, dtype)
    result, features = answer(target, case), target.features(case)
    declared = [*(one.what.arithmetic for one in target.present(features) if one.what.arithmetic),
                target.capabilities.arithmetic(features)]  # fmt: skip
    state = state_tuple(result.h_n)[-1][0, :, 0]
    # of a tanh, which is at most 1, the other gate takes as much as it is off by
    left = [arithmetic(name).sigmoid_floor if word == "tanh" else 0.0 for name in declared]
    verdicts = [judge_activation(case.x[:, 0, 0], word, state, *one) for one in zip(declared, left, strict=True)]
    verdict = next((one for one in verdicts if one.agrees), verdicts[-1])
    target.ledger.figure(target.label, f"error / bound, {word} inside {cell}, {dtype}", verdict.max_fraction)
    assert verdict.agrees, verdict
