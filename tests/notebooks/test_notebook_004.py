"""A public notebook: torch.nn.RNN(3, 5) with a linear head of 2 outputs on every step, replicated by a NumPy loop.

Printed: both runs' predictions, the loop's states, and W_xh; the inputs, W_hh, the biases and the head are not.
"""

from __future__ import annotations

import numpy as np
import pytest

import adapters
from reference import Case, CellParameters, RNNSpec, judge
from reference.bounds.arithmetic import ARITHMETICS
from reference.bounds.dense import dense_bound
from reference.bounds.trajectory import trajectory_bound
from reference.draws import draw_case
from tests.frameworks import framework_adapter

from .figures import Solved, notebook, printed_interval, solve

SPEC = RNNSpec(3, 5)
SINGLE = ARITHMETICS["float32"]
FIGURES = notebook("004_torch_with_linear_head")
W_IH = np.array(FIGURES["W_xh"])  # (5, 3)
STATES = np.array(FIGURES["numpy_hidden_values"])  # (10 steps, 5 units)
TORCH = np.array(FIGURES["torch_predictions"])[0]  # (10 steps, 2 outputs)
LOOP = np.array(FIGURES["numpy_predictions_printed"])  # (8 steps, 2 outputs): the others were cut
LARGEST = 1 / np.sqrt(5)  # of W_hh, the biases and the head: torch draws them in +-1 / sqrt(hidden_size)
LARGEST_INPUT = 8.0  # of 30 standard normal numbers; one in 10^13 times, a larger one is drawn


def torch_states_error() -> np.ndarray:
    """How far torch's float32 states may lie from the loop's: (10 steps, 5 units).

    The states are printed, so tanh's slopes are known: at most 1 - (|h| - e)^2 where the states are off by e. The
    weights are not, but have a largest size. Before its activation a step is off by at most LARGEST |e_{t-1}|_1 and
    by its rounding: gain(3 + 5 + 2) of |W_xh| |x| + |W_hh| |h| + |b_xh| + |b_hh|. |h| <= 1 is then off by the
    activation's error, too. e is on both sides, so the slope is 1, the largest of all, at first; then it is taken at e.
    """
    errors = [np.zeros(5)]
    for before, state in zip([np.zeros(5), *STATES[:-1]], STATES, strict=True):
        carried = LARGEST * errors[-1].sum()
        magnitude = np.abs(W_IH).sum(axis=1) * LARGEST_INPUT + LARGEST * (np.abs(before).sum() + errors[-1].sum() + 2)
        own = SINGLE.gain(10) * magnitude
        error = carried + own
        for _ in range(3):
            slope = 1 - np.maximum(np.abs(state) - error, 0) ** 2
            error = slope * (carried + own)
        errors.append(error + SINGLE.activation_error("tanh"))
    return np.stack(errors[1:])


def head_of(states: np.ndarray, predictions: np.ndarray, states_error: np.ndarray | float) -> Solved:
    """The head behind printed predictions: (5 weights and a bias, 2 outputs). An equation is off by

    - the printed prediction;
    - |head weight| <= LARGEST times what the states are off, printed or computed;
    - the rounding of the head, gain(5 + 1) of at most LARGEST (|h|_1 + 1).
    """
    interval = printed_interval(states, 8) + states_error
    size = LARGEST * ((np.abs(states) + interval).sum(axis=1, keepdims=True) + 1)
    carried = LARGEST * interval.sum(axis=1, keepdims=True) + SINGLE.gain(6) * size
    known = np.concatenate([states, np.ones((len(states), 1))], axis=1)
    return solve(known, predictions, printed_interval(predictions, 8) + carried)


def test_the_loops_predictions_come_of_its_states_by_one_head():
    """16 equations, 12 unknowns: the residual is within what the printed digits explain."""
    solved = head_of(STATES[:8], LOOP, 0.0)
    assert solved.consistent
    assert np.all(np.abs(solved.weights) <= LARGEST + solved.error), "not a head that torch draws"


def test_torchs_predictions_come_of_the_loops_states_by_the_same_head():
    """20 equations, 12 unknowns: the residual, 5e-8, is within the printed digits and float32 rounding."""
    solved, sharp = head_of(STATES, TORCH, torch_states_error()), head_of(STATES[:8], LOOP, 0.0)
    assert solved.consistent
    assert np.all(solved.allowed < np.ptp(TORCH, axis=0)), "the interval says nothing"
    assert np.all(np.abs(solved.weights - sharp.weights) <= solved.error + sharp.error)


@pytest.mark.parametrize("fault", ["the states of the step before", "two units swapped at one step", "one sign"])
def test_planted_faults_in_the_states_are_caught(fault: str):
    states = STATES.copy()
    if fault == "the states of the step before":
        states[1:] = STATES[:-1]
    elif fault == "two units swapped at one step":
        states[4, [0, 1]] = STATES[4, [1, 0]]
    else:
        states[7, 4] *= -1
    assert not head_of(states, TORCH, torch_states_error()).consistent
    assert not head_of(states[:8], LOOP, 0.0).consistent


def test_both_runs_printed_the_same_predictions():
    """The notebook's np.allclose was True; the figures of the eight steps that both printed bear it out."""
    assert FIGURES["allclose"] is True
    allowed = printed_interval(TORCH[:8], 8) + printed_interval(LOOP, 8)
    allowed = allowed + LARGEST * torch_states_error()[:8].sum(axis=1, keepdims=True) + SINGLE.gain(6) * LARGEST * 6
    assert np.allclose(TORCH[:8], LOOP, rtol=0, atol=allowed)
    assert not np.allclose(TORCH[1:9], LOOP, rtol=0, atol=allowed)


def model() -> tuple[Case, np.ndarray, np.ndarray]:
    """The notebook's model, as far as it is known, on drawn inputs: W_xh printed, the head solved, the rest drawn."""
    case = draw_case(SPEC, batch=1, time=10, input_scale=2.0)
    (cell,) = case.parameters
    solved = head_of(STATES[:8], LOOP, 0.0).weights.astype("float32")
    known = CellParameters(W_IH.astype("float32"), cell.w_hh, cell.b_ih, cell.b_hh)
    return Case(SPEC, [known], case.x), np.ascontiguousarray(solved[:5].T), solved[5]


@pytest.mark.parametrize("name", adapters.KNOWN)
def test_frameworks_agree_on_the_same_model(name: str):
    adapter = framework_adapter(name)
    case, weight, bias = model()
    (cell,) = trajectory_bound(SPEC, case.parameters, case.x.swapaxes(0, 1), None, None, SINGLE)
    states = cell.output.each(lambda a: a.swapaxes(0, 1))
    expected = dense_bound(weight, bias, states.value, states.bound, SINGLE)
    for device in adapter.devices():
        result = adapter.run(adapter.build(SPEC, case.parameters, device), case.x)
        verdict = judge(case, result.output, result.h_n)
        assert verdict.outcome == "agrees", verdict
        predictions = adapter.dense(weight, bias, result.output, device)
        assert predictions.shape == (1, 10, 2)
        assert np.allclose(predictions, expected.value, rtol=0, atol=expected.bound)
        without_bias = adapter.dense(weight, np.zeros_like(bias), result.output, device)
        assert not np.allclose(without_bias, expected.value, rtol=0, atol=expected.bound)
