"""A dense head over a recurrent layer, on every step and on the last one, as models have it."""

from __future__ import annotations

import numpy as np
import pytest

import adapters
from adapters.contract import features_of_case
from findings.states import findings_of
from meta_tests.common.frameworks import arithmetic_of, framework_adapter, skipped_where_declared, with_elman
from reference import Case, RNNSpec
from reference.bounds.arithmetic import arithmetic
from reference.bounds.dense import dense_bound
from reference.bounds.step import Enclosure
from reference.bounds.trajectory import trajectory_bound
from reference.draws import Draw, draw_case

OUTPUTS = 5  # as many as the forward layer has units: a transposed weight fits
SPECS = {
    "forward": RNNSpec(3, 5),
    "two layers, relu": RNNSpec(3, 5, 2, nonlinearity="relu"),
    "bidirectional": RNNSpec(3, 5, direction="bidirectional"),
}


@pytest.fixture(params=adapters.KNOWN)
def adapter(request: pytest.FixtureRequest) -> adapters.Adapter:
    return with_elman(framework_adapter(request.param))


def states_of(case: Case, computed_in: str) -> Enclosure:
    """The top layer's output and its bound, batch first: (batch, time, num_directions * hidden_size)."""
    x = case.x.swapaxes(0, 1)
    cells = trajectory_bound(case.spec, case.parameters, x, case.h0, None, arithmetic(computed_in))
    halves = [cell.output for cell in cells[-case.spec.num_directions :]]
    parts = zip(*(half.each(lambda a: a.swapaxes(0, 1)) for half in halves), strict=True)
    return Enclosure(*(np.concatenate(part, axis=-1) for part in parts))


def head_reference(case: Case, weight: np.ndarray, bias: np.ndarray, steps: slice, computed_in: str) -> Enclosure:
    """head(forward(x)) at these steps, and its bound: the recurrent layer's error goes through the head."""
    states = states_of(case, computed_in).each(lambda a: a[:, steps])
    return dense_bound(weight, bias, states.value, states.bound, arithmetic(computed_in))


def agrees(actual: np.ndarray, expected: Enclosure) -> bool:
    assert np.all(expected.bound < expected.scale), "the bound says nothing"
    assert actual.shape == expected.value.shape
    return np.allclose(actual, expected.value, rtol=0, atol=expected.bound)


def drawn(spec: RNNSpec, dtype: str) -> tuple[Case, np.ndarray, np.ndarray]:
    """A case, and the weight (outputs, features) and bias (outputs,) of a head over it."""
    draw = Draw(11)
    weight, bias = draw.uniform((OUTPUTS, spec.output_size), 0.5), draw.uniform((OUTPUTS,), 0.5)
    return draw_case(spec, batch=3, time=6, dtype=dtype, h0=True), weight.astype(dtype), bias.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("steps", [slice(None), slice(-1, None)], ids=["every step", "the last step"])
@pytest.mark.parametrize("name", SPECS)
def test_a_head_agrees(adapter: adapters.Adapter, name: str, steps: slice, dtype: str):
    case, weight, bias = drawn(SPECS[name], dtype)
    features = features_of_case(case)
    if wrong := [one.id for one in findings_of(adapter) if one.what.fault and not one.idiom and one.holds(features)]:
        pytest.skip(f"{adapter.name} computes another layer: {', '.join(wrong)}")
    expected = head_reference(case, weight, bias, steps, arithmetic_of(adapter, dtype))
    for device in adapter.devices():
        with skipped_where_declared(adapter, features):
            output = adapter.run(adapter.build(case.spec, case.parameters, device), **case.inputs).output
        actual = adapter.dense(weight, bias, np.ascontiguousarray(output[:, steps]), device)
        assert actual.dtype == dtype
        assert agrees(actual, expected), f"{adapter.name} {adapter.version} on {device}"


@pytest.mark.parametrize("steps", [slice(None), slice(-1, None)], ids=["every step", "the last step"])
def test_planted_faults_of_a_head_are_caught(adapter: adapters.Adapter, steps: slice):
    case, weight, bias = drawn(SPECS["forward"], "float32")
    expected = head_reference(case, weight, bias, steps, case.dtype)
    every = adapter.run(adapter.build(case.spec, case.parameters), **case.inputs).output
    output, before = every[:, steps].copy(), np.roll(every, 1, axis=1)[:, steps].copy()
    faults = {
        "the weight transposed": adapter.dense(weight.T.copy(), bias, output),
        "the bias dropped": adapter.dense(weight, np.zeros_like(bias), output),
        "the bias added twice": adapter.dense(weight, 2 * bias, output),
        "the steps before": adapter.dense(weight, bias, before),
        "one weight off by 1e-4 of itself": adapter.dense(weight * np.float32(1 + 1e-4), bias, output),
    }
    caught = {fault: not agrees(actual, expected) for fault, actual in faults.items()}
    assert all(caught.values()), caught


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bound_of_a_head_holds_for_the_worst_input_it_allows(dtype: str):
    """The input at the end of its interval that moves each output most: the bound is reached, and is not passed."""
    draw = Draw(12)
    weight, bias, x = draw.uniform((4, 7)), draw.uniform((4,)), draw.uniform((3, 7))
    x_bound = np.abs(draw.uniform((3, 7))) * 2.0**-10
    weight, bias = weight.astype(dtype), bias.astype(dtype)
    expected = dense_bound(weight, bias, x, x_bound, arithmetic(dtype))
    for unit in range(4):
        worst = x + np.sign(weight[unit]) * x_bound
        error = worst @ weight[unit].astype(np.float64) + bias[unit] - expected.value[:, unit]
        carried = x_bound @ np.abs(weight[unit].astype(np.float64))
        assert np.all(error <= expected.bound[:, unit])
        roundings = arithmetic(dtype).gain(100)  # 8 on either side, and those of evaluating the bound
        assert np.all(expected.bound[:, unit] - carried < roundings * expected.scale[:, unit])
