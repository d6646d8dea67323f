"""A public notebook: "hello", "eolll" and "lleel" as one-hot letters through torch.nn.RNN and Keras SimpleRNN.

It shows a pitfall. The array is (3 words, 5 letters, 4 features). Keras reads 3 sequences of 5 steps, as was meant.
torch.nn.RNN is time-first by default and reads 3 steps of 5 sequences: a "sequence" is then the first letter
of each word, the second letter of each word, and so on. No shape gives it away: torch answers (3, 5, 2), too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import adapters
from reference import Case, CellParameters, RNNSpec, forward, judge
from reference.bounds.arithmetic import ARITHMETICS
from reference.bounds.trajectory import trajectory_bound
from tests.frameworks import array_of, framework_adapter

from .figures import Solved, notebook, printed_interval, solve

SPEC = RNNSpec(4, 2)
SINGLE = ARITHMETICS["float32"]
TERMS = SPEC.input_size + SPEC.hidden_size + 2  # of a preactivation: products, and two biases
FIGURES = notebook("003_torch_and_keras_hello")
WORDS = np.array([[FIGURES["alphabet"][letter] for letter in word] for word in FIGURES["words"]], "float32")
SEQUENCES = np.array(FIGURES["keras"]["sequences"])  # (3 words, 5 letters, 2 units)
LAST = np.array(FIGURES["keras"]["final_state"])  # (3 words, 2 units)


class Seeded(NamedTuple):
    """torch.nn.RNN(4, 2) after torch.manual_seed(0): its case, and its answer as its user gets it."""

    case: Case
    output: np.ndarray
    h_n: np.ndarray


@pytest.fixture(scope="module")
def seeded() -> Seeded:
    adapter = framework_adapter("torch")
    torch: Any = adapter.framework
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = torch.nn.RNN(4, 2)
    spec, parameters = adapter.read(module)
    output, h_n = module(torch.from_numpy(WORDS))
    return Seeded(Case(spec, parameters, WORDS, layout="time_first"), array_of(output), array_of(h_n))


def shown(name: str, actual: np.ndarray, bound: np.ndarray | float = 0.0) -> bool:
    """Whether `actual` is what was printed under that name, to 4 decimals, give or take `bound`."""
    printed = np.array(FIGURES["torch"][name])
    return np.allclose(actual, printed, rtol=0, atol=printed_interval(printed, 4) + bound)


def test_the_seed_still_gives_the_printed_weights(seeded: Seeded):
    """Seen with torch 2.13.0."""
    cell = seeded.case.parameters[0]
    assert shown("weight_ih_l0", cell.w_ih)
    assert shown("weight_hh_l0", cell.w_hh)
    assert not shown("weight_hh_l0", cell.w_hh.T), "a transposition goes unnoticed"


def test_the_seed_still_gives_the_printed_outputs(seeded: Seeded):
    """Both runs, the notebook's and ours, lie within the trajectory bound of the reference."""
    verdict = judge(seeded.case, seeded.output, seeded.h_n)
    assert verdict.outcome == "agrees", verdict
    (expected,) = trajectory_bound(SPEC, seeded.case.parameters, WORDS, None, None, SINGLE)
    for actual, bound in ((seeded.output, 2 * expected.output.bound), (expected.output.value, expected.output.bound)):
        assert shown("output", actual, bound)
        assert shown("h_n", actual[-1:], bound[-1:])


@pytest.mark.parametrize("name", adapters.KNOWN)
def test_every_framework_gives_the_printed_outputs_with_those_weights(seeded: Seeded, name: str):
    adapter = framework_adapter(name)
    (expected,) = trajectory_bound(SPEC, seeded.case.parameters, WORDS, None, None, SINGLE)
    for device in adapter.devices():
        result = adapter.run(adapter.build(SPEC, seeded.case.parameters, device), **seeded.case.inputs)
        assert shown("output", result.output, 2 * expected.output.bound)


def test_read_batch_first_the_same_array_gives_other_outputs(seeded: Seeded):
    """The pitfall: both readings are accepted and have the same shape; the notebook printed the unintended one."""
    meant = forward(SPEC, seeded.case.parameters, WORDS, layout="batch_first").output
    assert meant.shape == seeded.output.shape
    assert not shown("output", meant)
    assert judge(seeded.case, meant, seeded.h_n).reason == "value"
    assert seeded.h_n.shape == (1, 5, 2), "five sequences, where three words were meant"


def test_keras_prints_its_last_outputs_as_the_final_state():
    """(3, 2): three words. The notebook's own comment says [5, 2]."""
    assert LAST.shape == (3, 2)
    assert np.array_equal(LAST, SEQUENCES[:, -1])
    assert not np.array_equal(LAST, SEQUENCES[:, -2])


def previous(states: np.ndarray) -> np.ndarray:
    """The state before each step, zeros before the first: (words, letters, units)."""
    return np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)


def solved_weights(states: np.ndarray) -> Solved:
    """The Keras weights behind printed states: (4 + 2 unknowns, 2 units), the kernel above the recurrent kernel.

    arctanh(h_t) = W x_t + U h_{t-1} is linear: 15 equations a unit. The bias starts at zero; were it not, the
    one-hot letters would have it added to W. For the true weights, an equation is off by

    - the printed h_t and the activation's own error, over the smallest slope of tanh nearby, 1 - |h|^2;
    - |U| times what h_{t-1}'s figures are off; |U| <= 1, as Keras draws an orthogonal matrix;
    - the rounding of the preactivation, gain times |W| x_t + |U| |h_{t-1}|; |W| <= 1, for Keras' Glorot limit is
      sqrt(6 / (4 + 2)).
    """
    interval = printed_interval(states, 8)
    largest = np.abs(states) + interval
    off = interval + SINGLE.activation_error("tanh") * largest
    rounded = SINGLE.gain(TERMS) * (1 + previous(largest).sum(axis=-1, keepdims=True))
    error = off / (1 - (largest + off) ** 2) + previous(interval).sum(axis=-1, keepdims=True) + rounded
    known = np.concatenate([WORDS, previous(states)], axis=-1).reshape(15, 6)
    return solve(known, np.arctanh(states).reshape(15, 2), error.reshape(15, 2))


def test_the_printed_keras_states_come_of_one_linear_recurrence():
    """The residual, 8e-8 at most, is within what the printed digits explain: no other bias, activation or order."""
    solved = solved_weights(SEQUENCES)
    assert solved.consistent, np.abs(solved.residual / solved.allowed).max()
    assert np.all(solved.allowed < np.abs(np.arctanh(SEQUENCES)).min()), "the interval says nothing"


@pytest.mark.parametrize("fault", ["words permuted", "steps reversed", "one figure off by a unit of its 5th decimal"])
def test_planted_faults_in_the_printed_states_are_caught(fault: str):
    states = SEQUENCES.copy()
    if fault == "words permuted":
        states = states[::-1]
    elif fault == "steps reversed":
        states = states[:, ::-1]
    else:
        states[1, 2, 0] += 1e-5
    assert not solved_weights(states).consistent


def test_the_recurrent_kernel_is_orthogonal():
    """Keras' own initialiser. U = Q + D with |D| <= error, so U'U - I = Q'D + D'Q + D'D but for Q's own rounding.

    Q comes of a 2x2 Householder factorisation in float32: two reflections, each of fewer than 6 n roundings to
    an entry, so Q'Q is off by less than the gain of 6 n^2 roundings times |Q|'|Q|, which is at most n.
    """
    solved = solved_weights(SEQUENCES)
    u, d = solved.weights[4:], solved.error[4:]
    largest = np.abs(u) + d
    allowed = largest.T @ d + d.T @ largest + SINGLE.gain(6 * 2**2) * 2
    assert np.all(np.abs(u.T @ u - np.eye(2)) <= allowed)
    w = solved.weights[:2]
    assert not np.all(np.abs(w.T @ w - np.eye(2)) <= allowed), "any matrix would pass"


def sequence_bound(solved: Solved, weights: np.ndarray) -> np.ndarray:
    """How far two float32 runs may lie apart, one on the true weights, one on `weights`: (3, 5, 2).

    tanh is 1-Lipschitz, so a step adds at most |dW| x_t + |dU| |h_{t-1}| + |U| e_{t-1} before it, and both runs
    round the preactivation and the activation. |h| <= 1, and a printed h is off by at most its interval.
    """
    d = solved.error + np.abs(weights - solved.weights)
    u = np.abs(weights[4:]) + d[4:]
    largest = np.abs(SEQUENCES) + printed_interval(SEQUENCES, 8)
    before, error = previous(largest), np.zeros((3, 2))
    bound = np.empty_like(SEQUENCES)
    for t in range(5):
        magnitude = WORDS[:, t] @ (np.abs(weights[:4]) + d[:4]) + (before[:, t] + error) @ u
        rounded = 2 * (SINGLE.gain(TERMS) * magnitude + SINGLE.activation_error("tanh"))
        error = bound[:, t] = WORDS[:, t] @ d[:4] + before[:, t] @ d[4:] + error @ u + rounded
    return bound


def keras_case() -> Case:
    """The solved weights, rounded to float32, on the words as Keras reads them."""
    weights = solved_weights(SEQUENCES).weights.astype("float32")
    w_ih, w_hh = (np.ascontiguousarray(part.T) for part in (weights[:4], weights[4:]))
    return Case(SPEC, [CellParameters(w_ih, w_hh, np.zeros(2, "float32"), np.zeros(2, "float32"))], WORDS)


def gives_the_printed_sequences(output: np.ndarray, case: Case) -> bool:
    cell = case.parameters[0]
    weights = np.concatenate([cell.w_ih.T, cell.w_hh.T]).astype("float64")
    bound = sequence_bound(solved_weights(SEQUENCES), weights) + printed_interval(SEQUENCES, 8)
    return np.allclose(output, SEQUENCES, rtol=0, atol=bound)


def test_the_reference_gives_the_printed_sequences():
    case = keras_case()
    assert gives_the_printed_sequences(case.answer().output, case)
    transposed = [CellParameters(c.w_ih, c.w_hh.T, c.b_ih, c.b_hh) for c in case.parameters]
    assert not gives_the_printed_sequences(forward(SPEC, transposed, WORDS).output, case)
    assert not gives_the_printed_sequences(forward(SPEC, case.parameters, WORDS, layout="time_first").output, case)


@pytest.mark.parametrize("name", adapters.KNOWN)
def test_frameworks_give_the_printed_sequences(name: str):
    adapter, case = framework_adapter(name), keras_case()
    for device in adapter.devices():
        result = adapter.run(adapter.build(SPEC, case.parameters, device), WORDS)
        assert gives_the_printed_sequences(result.output, case)
        verdict = judge(case, result.output, result.h_n)
        assert verdict.outcome == "agrees", verdict
