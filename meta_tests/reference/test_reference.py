"""The reference against what shares no code with it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from adapters import FEATURES
from harness.strategies import Question, questions
from meta_tests.common.arguments import X
from reference import DIRECTIONS, DTYPES, LAYOUTS, NONLINEARITIES, Case, CellParameters, RNNSpec, forward, layout
from reference.bounds.arithmetic import ARITHMETICS
from reference.bounds.trajectory import trajectory_bound
from reference.calculus.numbers import Numbers
from reference.cells import cell_of
from reference.draws import draw_case, draw_parameters

DOUBLE = ARITHMETICS["float64"]

each_direction = pytest.mark.parametrize("direction", DIRECTIONS)
each_nonlinearity = pytest.mark.parametrize("nonlinearity", NONLINEARITIES)


NO_MASK = {**FEATURES, "mask": (False,), "cell": ("elman",)}  # which is written by hand


def by_hand(case: Case) -> tuple[list, list]:
    """The same stack, one scalar at a time: output[batch][time][feature] and h_n[cell][batch][unit].

    Batch first. Written from the equations, in Python numbers, with no array and nothing of `reference`: the step must
    be independent here, or an error of reference/cells would be on both sides.
    """
    spec, units = case.spec, range(case.spec.hidden_size)
    phi = math.tanh if spec.nonlinearity == "tanh" else lambda a: max(a, 0.0)
    limit = math.inf if spec.clip is None else spec.clip
    batch, time = case.x.shape[:2]
    below = [[[float(v) for v in step] for step in row] for row in case.x]
    h_n: list[list] = []
    for layer in range(spec.num_layers):
        output = [[[] for _ in range(time)] for _ in range(batch)]
        for d, direction in enumerate(spec.directions):
            index = layer * spec.num_directions + d
            cell = {name: array.tolist() for name, array in case.parameters[index].arrays().items()}
            finals = []
            for row in range(batch):
                length = time if case.lengths is None else int(case.lengths[row])
                h = [0.0 if case.h0 is None else float(case.h0[index, row, j]) for j in units]
                steps = range(length) if direction == "forward" else range(length - 1, -1, -1)
                for t in steps:
                    a = [0.0 for _ in units]
                    for j in units:
                        for i, value in enumerate(below[row][t]):
                            a[j] += cell["w_ih"][j][i] * value
                        for i in units:
                            a[j] += cell["w_hh"][j][i] * h[i]
                        if spec.bias:
                            a[j] += cell["b_ih"][j] + cell["b_hh"][j]
                    h = [phi(min(max(value, -limit), limit)) for value in a]
                    output[row][t] = output[row][t] + h
                for t in range(length, time):
                    output[row][t] = output[row][t] + [0.0 for _ in units]
                finals.append(h)
            h_n.append(finals)
        below = output
    return below, h_n


@each_direction
@each_nonlinearity
@given(question=questions(sane=True, max_layers=4, with_all=True, supported=NO_MASK.__getitem__))
def test_forward_agrees_with_a_scalar_triple_loop(direction: str, nonlinearity: str, question: Question) -> None:
    case = question.case(direction, nonlinearity, "float64")
    output, h_n = forward(case.spec, case.parameters, **case.inputs)
    expected_output, expected_h_n = by_hand(case)
    lengths = None if case.lengths is None else np.asarray(case.lengths)
    cells = trajectory_bound(case.spec, case.parameters, case.x.transpose(1, 0, 2), case.h0, lengths, DOUBLE)
    top = cells[-case.spec.num_directions :]
    bound = np.concatenate([cell.output.bound for cell in top], axis=-1).transpose(1, 0, 2)
    assert np.allclose(output, np.reshape(expected_output, output.shape), rtol=0, atol=bound)
    assert np.allclose(h_n, np.reshape(expected_h_n, h_n.shape), rtol=0, atol=np.stack([c.h_n.bound for c in cells]))


@each_direction
@given(question=questions())
def test_layouts_are_views_of_one_answer(direction: str, question: Question) -> None:
    case = question.case(direction, "tanh", "float32")
    output, h_n = case.answer()
    time_first = replace(case, x=case.x.transpose(1, 0, 2), layout="time_first").answer()
    assert np.array_equal(time_first.output.transpose(1, 0, 2), output)
    assert np.array_equal(time_first.h_n, h_n)
    h0 = None if case.h0 is None else case.h0[:, 0]
    length = None if case.lengths is None else case.lengths[0]
    unbatched = replace(
        case, x=case.x[:1], h0=None if h0 is None else h0[:, None], lengths=None if length is None else [length]
    )
    alone = Case(case.spec, case.parameters, case.x[0], h0, length, "unbatched").answer()
    assert np.array_equal(alone.output, unbatched.answer().output[0])
    assert np.array_equal(alone.h_n, unbatched.answer().h_n[:, 0])


def test_closed_form_of_a_decaying_state() -> None:
    """relu, no input: h_t = w^t h_0, exactly, for w a power of two."""
    parameters = [CellParameters(np.zeros((1, 1)), np.full((1, 1), 0.5))]
    output, h_n = forward(
        RNNSpec(1, 1, nonlinearity="relu", bias=False), parameters, np.zeros((1, 5, 1)), h0=np.ones((1, 1, 1))
    )
    assert output[0, :, 0].tolist() == [0.5, 0.25, 0.125, 0.0625, 0.03125]
    assert h_n.tolist() == [[[0.03125]]]


def test_closed_form_of_a_running_sum() -> None:
    """relu with w_ih = w_hh = 1 adds up its inputs; in reverse, from the last one."""
    parameters = [CellParameters(np.ones((1, 1)), np.ones((1, 1)))] * 2
    spec = RNNSpec(1, 1, direction="bidirectional", nonlinearity="relu", bias=False)
    output, h_n = forward(spec, parameters, np.array([1.0, 2.0, 4.0]).reshape(3, 1), layout="unbatched")
    assert output.tolist() == [[1.0, 7.0], [3.0, 6.0], [7.0, 4.0]]
    assert h_n.tolist() == [[7.0], [7.0]]


def test_axes_have_names() -> None:
    assert [layout.sequence_axes(name) for name in LAYOUTS] == [
        ("batch", "time", "feature"), ("time", "batch", "feature"), ("time", "feature")]  # fmt: skip
    assert [layout.state_axes(name) for name in LAYOUTS] == [("cell", "batch", "unit")] * 2 + [("cell", "unit")]


@pytest.mark.parametrize("layout", LAYOUTS[:2])
@pytest.mark.parametrize(("batch", "time"), [(0, 5), (3, 0), (0, 0)])
def test_nothing_to_do(layout: str, batch: int, time: int) -> None:
    """An empty batch gives empty answers; without steps, h_n is h0."""
    case = draw_case(RNNSpec(2, 3, 2, "bidirectional"), batch=batch, time=time, layout=layout, h0=True)
    output, h_n = case.answer()
    assert output.shape == (*case.x.shape[:2], 6)
    assert h_n.shape == (4, batch, 3)
    if time == 0:
        assert np.array_equal(h_n, case.h0)
        assert np.all(replace(case, h0=None).answer().h_n == 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_arithmetic_is_that_of_x(dtype: str) -> None:
    output, h_n = draw_case(RNNSpec(3, 4), batch=2, time=3, dtype=dtype).answer()
    assert output.dtype.name == h_n.dtype.name == dtype


def test_a_projection_is_in_the_dtype_of_x() -> None:
    spec, numbers = RNNSpec(3, 4), Numbers()
    (cell,) = draw_parameters(spec)
    projected = cell_of(spec).project(numbers, numbers.weights(cell), X)
    assert (projected.shape, projected.dtype) == ((2, 5, 4), np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_arithmetic_of_the_forward_pass_warns(dtype: str) -> None:
    """Not where a product underflows, overflows or has no answer, whatever the caller has NumPy do."""
    limits = np.finfo(dtype)
    for weight, value in ((limits.tiny, limits.tiny), (limits.max, limits.max), (0.0, np.inf), (1.0, limits.tiny / 3)):
        cell = CellParameters(*(np.full((2, 2), weight, dtype) for _ in range(2)))
        x = np.full((2, 3, 2), value, dtype)
        for nonlinearity in NONLINEARITIES:
            with np.errstate(all="raise"):
                forward(RNNSpec(2, 2, 1, "forward", nonlinearity, False), [cell], x)


def test_the_arguments_are_left_alone() -> None:
    case = draw_case(RNNSpec(3, 4, 2, "bidirectional"), batch=2, time=5, h0=True, lengths=(5, 2))
    before = case.to_json()
    output, h_n = case.answer()
    output[:], h_n[:] = 7, 7
    assert case.to_json() == before
