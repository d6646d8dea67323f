"""The reference against what shares no code with it, and against bad arguments."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from reference import (
    DIRECTIONS,
    DTYPES,
    LAYOUTS,
    NONLINEARITIES,
    Case,
    CellParameters,
    RNNSpec,
    elman,
    forward,
    judge,
    layout,
)
from reference.arguments import cell_shapes
from reference.bounds.arithmetic import ARITHMETICS
from reference.bounds.trajectory import trajectory_bound

from .draws import draw_case, draw_parameters
from .strategies import Question, questions

DOUBLE = ARITHMETICS["float64"]

each_direction = pytest.mark.parametrize("direction", DIRECTIONS)
each_nonlinearity = pytest.mark.parametrize("nonlinearity", NONLINEARITIES)


def by_hand(case: Case) -> tuple[list, list]:
    """The same stack, one scalar at a time: output[batch][time][feature] and h_n[cell][batch][unit].

    Batch first. Written from the equations, in Python numbers, with no array and nothing of `reference`.
    """
    spec, units = case.spec, range(case.spec.hidden_size)
    phi = math.tanh if spec.nonlinearity == "tanh" else lambda a: max(a, 0.0)
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
                    h = [phi(value) for value in a]
                    output[row][t] = output[row][t] + h
                for t in range(length, time):
                    output[row][t] = output[row][t] + [0.0 for _ in units]
                finals.append(h)
            h_n.append(finals)
        below = output
    return below, h_n


@each_direction
@each_nonlinearity
@given(question=questions(sane=True, max_layers=4))
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


@each_direction
def test_lengths_are_the_sequences_run_alone(direction: str) -> None:
    """Each sequence as if it were alone and unpadded; zeros beyond; h0 for a length of 0."""
    case = draw_case(RNNSpec(3, 4, 2, direction), batch=4, time=6, h0=True, lengths=(6, 0, 2, 5), dtype="float64")
    output, h_n = case.answer()
    assert case.h0 is not None
    for row, length in enumerate((6, 0, 2, 5)):
        alone = Case(case.spec, case.parameters, case.x[row, :length], case.h0[:, row], layout="unbatched")
        verdict = judge(alone, output[row, :length], h_n[:, row])
        assert verdict.outcome == "agrees", verdict
        assert np.all(output[row, length:] == 0)
    assert np.array_equal(h_n[:, 1], case.h0[:, 1])


def test_a_sequence_is_reversed_within_its_length_and_its_padding_stays() -> None:
    steps = np.arange(12).reshape(4, 3, 1)  # 0, 3, 6, 9 is the first sequence
    lengths = np.array([4, 2, 0])
    turned = layout.reverse_within_lengths(steps, lengths)
    assert turned[..., 0].T.tolist() == [[9, 6, 3, 0], [4, 1, 7, 10], [2, 5, 8, 11]]
    assert np.array_equal(layout.reverse_within_lengths(turned, lengths), steps)
    assert np.array_equal(layout.reverse_within_lengths(steps, None), steps[::-1])
    assert layout.valid_steps(lengths, 3).T.tolist() == [[True, True, True], [True, True, False], [False] * 3]
    last = layout.last_states(steps, np.full((3, 1), -1), lengths)
    assert last.tolist() == [[9], [4], [-1]]
    assert layout.last_states(steps[:0], np.full((3, 1), -1), lengths * 0).tolist() == [[-1]] * 3


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


@pytest.mark.parametrize(("lengths", "batch"), [(np.array([5, 0], "uint8"), 2), ([], 0)])
def test_lengths_of_any_integer_kind(lengths: np.ndarray, batch: int) -> None:
    case = draw_case(RNNSpec(3, 4, direction="reverse"), batch=batch, time=5, h0=True)
    answer = forward(case.spec, case.parameters, case.x, case.h0, lengths)
    expected = replace(case, lengths=[int(length) for length in lengths]).answer()
    assert np.array_equal(answer.output, expected.output)
    assert np.array_equal(answer.h_n, expected.h_n)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_arithmetic_is_that_of_x(dtype: str) -> None:
    output, h_n = draw_case(RNNSpec(3, 4), batch=2, time=3, dtype=dtype).answer()
    assert output.dtype.name == h_n.dtype.name == dtype


def test_the_arguments_are_left_alone() -> None:
    case = draw_case(RNNSpec(3, 4, 2, "bidirectional"), batch=2, time=5, h0=True, lengths=(5, 2))
    before = case.to_json()
    output, h_n = case.answer()
    output[:], h_n[:] = 7, 7
    assert case.to_json() == before


SPEC = RNNSpec(3, 4, 2, "bidirectional")
GOOD = draw_parameters(SPEC)
X = np.zeros((2, 5, 3), "float32")
FOREIGN = X.dtype.newbyteorder("S")


def _without_bias(cell: CellParameters) -> CellParameters:
    return CellParameters(cell.w_ih, cell.w_hh)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": X[0]}, "x rank: got 2, expected 3 axes"),
        ({"x": np.zeros((2, 5, 4), "float32")}, r"x .*got \(2, 5, 4\), expected input_size 3"),
        ({"x": X.astype("float64")}, "x dtype: got 'float64', expected float32"),
        ({"x": X.astype("int32")}, "x: got dtype int32, expected one of float16"),
        ({"x": X.tolist()}, "x: got list, expected a NumPy array"),
        ({"parameters": GOOD[:3]}, "parameters: got '3 cells', expected 4"),
        ({"parameters": GOOD[2:] + GOOD[:2]}, r"\(layer 0, forward\) w_ih: got \(4, 8\), expected \(4, 3\)"),
        ({"parameters": [*GOOD[:3], _without_bias(GOOD[3])]}, r"\(layer 1, reverse\) b_hh: got 'no array'"),
        ({"spec": replace(SPEC, bias=False)}, r"b_hh: got \(4,\), expected no array \(spec.bias is False\)"),
        ({"parameters": [*GOOD[:3], GOOD[3].astype("float64")]}, r"\[3\] .*dtype: got 'float64', expected float32"),
        ({"h0": np.zeros((4, 3, 4), "float32")}, r"h0 .*: got \(4, 3, 4\), expected \(4, 2, 4\)"),
        ({"h0": np.zeros((4, 2, 4))}, "h0 dtype: got 'float64', expected float32"),
        ({"lengths": [5, -1]}, "lengths: got .*-1.*, expected integers from 0 to 5"),
        ({"lengths": [6, 1]}, "lengths: got .*6.*, expected integers from 0 to 5"),
        ({"lengths": [5.0, 1.0]}, "lengths: got dtype float64, expected integers"),
        ({"lengths": [5]}, r"lengths shape: got \(1,\), expected \(2,\)"),
        ({"lengths": 5}, r"lengths shape: got \(\), expected \(2,\)"),
        ({"layout": "time_major"}, "layout: got 'time_major', expected one of batch_first"),
        ({"spec": "RNN"}, "spec: got str, expected RNNSpec"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named_before_any_arithmetic(change: dict, words: str) -> None:
    arguments = {"spec": SPEC, "parameters": GOOD, "x": X} | change
    with pytest.raises((TypeError, ValueError), match=words):
        forward(**arguments)
    with pytest.raises((TypeError, ValueError), match=words):
        Case(**arguments)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_size", 0), ("hidden_size", -1), ("num_layers", 0), ("hidden_size", 2.0), ("num_layers", True),
        ("direction", "backward"), ("nonlinearity", "sigmoid"), ("nonlinearity", None), ("bias", 1),
    ],
)  # fmt: skip
def test_a_bad_spec_names_the_field(field: str, value: object) -> None:
    with pytest.raises((TypeError, ValueError), match=f"{field}: got {value!r}"):
        RNNSpec(**{"input_size": 3, "hidden_size": 4, field: value})


def test_bad_cell_parameters_are_named() -> None:
    w, b = np.zeros((2, 2)), np.zeros(2)
    for arguments, words in (
        ((w, b), "w_hh rank: got 1"),
        ((w, w, b), "b_ih, b_hh: got 'b_ih given, b_hh absent', expected both or neither"),
        ((w, w.astype("float32")), "expected one dtype"),
        ((w.tolist(), w), "w_ih: got list"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            CellParameters(*arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((2, 5, 4), "float32")},
         "x ('batch', 'time', 'feature'): got (2, 5, 4), expected input_size 3 on the last axis"),
        ({"x": X[0]}, "x rank: got 2, expected 3 axes (its shape is (5, 3))"),
        ({"x": X.astype("float64")}, "x dtype: got 'float64', expected float32, the parameters'"),
        ({"x": X.astype("int32")}, "x: got dtype int32, expected one of float16, bfloat16, float32, float64"),
        ({"h0": np.zeros((4, 2, 4))}, "h0 dtype: got 'float64', expected float32, x's"),
        ({"h0": np.zeros((4, 3, 4), "float32")},
         "h0 ('cell', 'batch', 'unit'): got (4, 3, 4), expected (4, 2, 4)"),
        ({"x": X[0], "layout": "unbatched", "h0": np.zeros((3, 4), "float32")},
         "h0 ('cell', 'unit'): got (3, 4), expected (4, 4)"),
        ({"parameters": GOOD[:3]}, "parameters: got '3 cells', expected 4 (num_layers 2 x num_directions 2)"),
        ({"parameters": [*GOOD[:3], _without_bias(GOOD[3])]},
         "parameters[3] (layer 1, reverse) b_hh: got 'no array', expected (4,)"),
        ({"spec": replace(SPEC, bias=False)},
         "parameters[0] (layer 0, forward) b_hh: got (4,), expected no array (spec.bias is False)"),
        ({"parameters": [*GOOD[:3], GOOD[3].astype("float64")]},
         "parameters[3] (layer 1, reverse) dtype: got 'float64', expected float32, as in parameters[0]"),
        ({"lengths": [5, -1]}, "lengths: got [5, -1], expected integers from 0 to 5, the number of time steps"),
        ({"lengths": [5]}, "lengths shape: got (1,), expected (2,), one for each sequence"),
        ({"x": X[0], "layout": "unbatched", "lengths": [5]},
         "lengths shape: got (1,), expected a single integer, as the layout is unbatched"),
        ({"lengths": [[5], [2, 3]]}, "lengths: got [[5], [2, 3]], expected integers"),
        ({"lengths": 5.0}, "lengths: got float, expected an integer, integers or None"),
        ({"layout": "time_major"}, "layout: got 'time_major', expected one of batch_first, time_first, unbatched"),
    ],
)  # fmt: skip
def test_a_message_is_whole(change: dict, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        forward(**{"spec": SPEC, "parameters": GOOD, "x": X} | change)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RNNSpec(0, 4), "input_size: got 0, expected an integer of at least 1"),
        (lambda: RNNSpec(3, 4, True), "num_layers: got True, expected an integer of at least 1"),
        (lambda: RNNSpec(3, "4"), "hidden_size: got '4', expected an integer of at least 1"),
        (lambda: RNNSpec(3, 4, bias=1), "bias: got 1, expected True or False"),
        (lambda: RNNSpec(3, 4, direction="back"),
         "direction: got 'back', expected one of forward, reverse, bidirectional"),
        (lambda: RNNSpec(3, 4, nonlinearity=None), "nonlinearity: got None, expected one of tanh, relu"),
        (lambda: CellParameters(X[0, :2, :2], X[0, 0, :2]), "w_hh rank: got 1, expected 2 axes (its shape is (2,))"),
        (lambda: CellParameters(X, X[0]), "w_ih rank: got 3, expected 2 axes (its shape is (2, 5, 3))"),
        (lambda: CellParameters(X[0], X[0], X[0], X[0, 0]), "b_ih rank: got 2, expected 1 axes (its shape is (5, 3))"),
        (lambda: CellParameters(X[0], X[0], X[0, 0], X[0]), "b_hh rank: got 2, expected 1 axes (its shape is (5, 3))"),
        (lambda: CellParameters(X[0], X[0], None, X[0, 0]),
         "b_ih, b_hh: got 'b_ih absent, b_hh given', expected both or neither"),
        (lambda: CellParameters(X[0], X[0].astype("float64")),
         "parameters: got {'w_hh': 'float64', 'w_ih': 'float32'}, expected one dtype"),
        (lambda: CellParameters(X[0].astype(FOREIGN), X[0]),
         f"w_ih: got dtype float32 of foreign byte order ({FOREIGN.str}), expected native byte order"),
    ],
)  # fmt: skip
def test_a_layers_message_is_whole(make: Callable[[], object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        make()


def test_a_spec_holds_plain_integers_and_truths() -> None:
    spec = RNNSpec(np.int64(3), np.int32(4), np.int8(1), bias=np.False_)
    assert [type(n) for n in (spec.input_size, spec.hidden_size, spec.num_layers)] == [int] * 3
    assert spec.bias is False
    assert spec == RNNSpec(3, 4, bias=False)
    assert RNNSpec(3, 4) == RNNSpec(3, 4, 1, "forward", "tanh", True)
    assert RNNSpec(1, 1, 1).num_cells == 1


def test_the_cells_of_a_stack_have_names_and_inputs() -> None:
    assert [SPEC.cell_name(i) for i in range(4)] == [
        "layer 0, forward", "layer 0, reverse", "layer 1, forward", "layer 1, reverse"]  # fmt: skip
    assert RNNSpec(3, 4, 2, "reverse").cell_name(1) == "layer 1, reverse"
    assert [SPEC.layer_input_size(layer) for layer in (0, 1, 2)] == [3, 8, 8]
    assert cell_shapes(SPEC, 1) == {"w_ih": (4, 8), "w_hh": (4, 4), "b_ih": (4,), "b_hh": (4,)}
    assert cell_shapes(replace(SPEC, bias=False), 0) == {"w_ih": (4, 3), "w_hh": (4, 4)}


def test_an_unbatched_length_may_be_an_integer_of_numpy() -> None:
    for length in (2, np.int64(2), np.array(2)):
        case = Case(SPEC, GOOD, X[0], lengths=length, layout="unbatched")
        assert np.array_equal(case.lengths, 2)
    assert Case(SPEC, GOOD, X, lengths=[0, 5]).answer().output.shape == (2, 5, 8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_arithmetic_of_the_forward_pass_warns(dtype: str) -> None:
    """Not where a product underflows, overflows or has no answer, whatever the caller has NumPy do."""
    limits = np.finfo(dtype)
    for weight, value in ((limits.tiny, limits.tiny), (limits.max, limits.max), (0.0, np.inf), (1.0, limits.tiny / 3)):
        cell = CellParameters(*(np.full((2, 2), weight, dtype) for _ in range(2)))
        for nonlinearity in NONLINEARITIES:
            with np.errstate(all="raise"):
                forward(RNNSpec(2, 2, 1, "forward", nonlinearity, False), [cell], np.full((2, 3, 2), value, dtype))


def test_a_projection_is_in_the_dtype_of_x() -> None:
    (cell,) = draw_parameters(RNNSpec(3, 4))
    projected = elman.project(cell, X)
    assert (projected.shape, projected.dtype) == ((2, 5, 4), np.float32)
