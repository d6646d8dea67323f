"""What must hold between a framework's own answers, whatever the reference says.

The reference gives no answer here; its trajectory bound only says how far two correct answers may lie apart.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import Result
from harness.relations import answer, check_pair
from harness.target import Target
from reference import DIRECTIONS, NONLINEARITIES, Case, CellParameters, RNNSpec, judge_pair
from reference.draws import draw_case
from reference.layout import each_state, from_state_tuple, state_tuple

each_nonlinearity = pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
each_direction = pytest.mark.parametrize("direction", DIRECTIONS)


def check(target: Target, tested: str, case: Case, output: np.ndarray, h_n: Any) -> None:
    """The framework's answer to `case` agrees with output and h_n, put together from its other answers."""
    __tracebackhide__ = True
    actual = Result(np.ascontiguousarray(output), each_state(np.ascontiguousarray, h_n))
    check_pair(target, tested, case, answer(target, case), actual)


@each_nonlinearity
@given(data=st.data())
def test_split_in_time_with_the_state_carried_over(target: Target, nonlinearity: str, data: st.DataObject) -> None:
    """Running the first steps, then the rest from their final state, is running the whole."""
    question = data.draw(target.questions(max_layers=3, min_time=2, with_lengths=False, sane=True, with_cells=True),
                         "question")  # fmt: skip
    case = question.case("forward", nonlinearity, "float32")
    cut = question.time // 2
    first = answer(target, replace(case, x=case.x[:, :cut]))
    second = answer(target, replace(case, x=case.x[:, cut:], h0=first.h_n))
    check(target, "split in time", case, np.concatenate([first.output, second.output], axis=1), second.h_n)


@each_direction
@given(data=st.data())
def test_permuting_the_batch_permutes_the_answer(target: Target, direction: str, data: st.DataObject) -> None:
    question = data.draw(target.questions(max_layers=3, sane=True, with_cells=True), "question")
    case = question.case(direction, "tanh", "float32")
    order = np.roll(np.arange(question.batch), 1)
    h0 = each_state(lambda state: state[:, order], case.h0)
    lengths = None if case.lengths is None else np.asarray(case.lengths)[order]
    permuted = answer(target, replace(case, x=case.x[order], h0=h0, lengths=lengths))
    back = np.argsort(order)
    check(target, "batch permutation", case, permuted.output[back],
          each_state(lambda state: state[:, back], permuted.h_n))  # fmt: skip


@each_direction
@each_nonlinearity
@given(data=st.data())
def test_permuting_the_hidden_units_permutes_the_output(
    target: Target, direction: str, nonlinearity: str, data: st.DataObject
) -> None:
    only_of_elman(target)
    question = data.draw(target.questions(max_layers=1, with_lengths=False, sane=True), "question")
    case = question.case(direction, nonlinearity, "float32")
    order = np.roll(np.arange(question.hidden_size), 1)
    h0 = None if case.h0 is None else case.h0[..., order]
    permuted = answer(target, replace(case, parameters=[_permute(cell, order) for cell in case.parameters], h0=h0))
    back = np.argsort(order)
    halves = [half[..., back] for half in np.split(permuted.output, case.spec.num_directions, axis=-1)]
    check(target, "unit permutation", case, np.concatenate(halves, axis=-1), permuted.h_n[..., back])


def only_of_elman(target: Target) -> None:
    """Skip the test where the target has no Elman cell."""
    if "elman" not in target.capabilities.supported("cell"):
        pytest.skip(f"{target.label}: of cells with gates this relation is not asked")


def _permute(cell: CellParameters, order: np.ndarray) -> CellParameters:
    biases = [None if b is None else b[order] for b in (cell.b_ih, cell.b_hh)]
    return CellParameters(cell.w_ih[order], cell.w_hh[np.ix_(order, order)], *biases)


@each_nonlinearity
@given(data=st.data())
def test_reverse_is_forward_on_the_reversed_sequence(target: Target, nonlinearity: str, data: st.DataObject) -> None:
    """Each sequence is reversed within its own length, and its output put back."""
    question = data.draw(target.questions(max_layers=3, sane=True, with_cells=True), "question")
    case = question.case("reverse", nonlinearity, "float32")
    lengths = [question.time] * question.batch if case.lengths is None else case.lengths
    flipped = answer(target, replace(case, spec=replace(case.spec, direction="forward"), x=_reverse(case.x, lengths)))
    check(target, "reversal", case, _reverse(flipped.output, lengths), flipped.h_n)


def _reverse(sequences: np.ndarray, lengths) -> np.ndarray:
    reversed_ = sequences.copy()
    for row, length in enumerate(lengths):
        reversed_[row, :length] = sequences[row, :length][::-1]
    return reversed_


@each_direction
@given(data=st.data())
def test_a_stack_is_its_layers_one_after_another(target: Target, direction: str, data: st.DataObject) -> None:
    question = data.draw(target.questions(max_layers=4, sane=True, with_cells=True), "question")
    case = question.case(direction, "tanh", "float32")
    spec, below, states = case.spec, case.x, []
    for layer in range(spec.num_layers):
        cells = slice(layer * spec.num_directions, (layer + 1) * spec.num_directions)
        single = replace(spec, input_size=spec.layer_input_size(layer), num_layers=1)
        h0 = each_state(lambda state, rows=cells: state[rows], case.h0)
        result = answer(target, Case(single, case.parameters[cells], below, h0, case.lengths))
        below = result.output
        states.append(state_tuple(result.h_n))
    h_n = from_state_tuple([np.concatenate(several) for several in zip(*states, strict=True)])
    check(target, "layers chained", case, below, h_n)


@each_direction
@each_nonlinearity
@given(data=st.data())
def test_without_recurrent_weights_every_step_stands_alone(
    target: Target, direction: str, nonlinearity: str, data: st.DataObject
) -> None:
    """With w_hh = 0 the layer is a dense one: each step is a sequence of its own, in a batch of all steps."""
    only_of_elman(target)
    question = data.draw(target.questions(max_layers=1, with_lengths=False, sane=True), "question")
    case = question.case(direction, nonlinearity, "float32")
    parameters = [replace(cell, w_hh=np.zeros_like(cell.w_hh)) for cell in case.parameters]
    case = replace(case, parameters=parameters, h0=None)
    alone = answer(target, replace(case, x=case.x.reshape(-1, 1, question.input_size)))
    output = alone.output.reshape(question.batch, question.time, -1)
    last = [output[:, -1 if d == "forward" else 0] for d in case.spec.directions]
    halves = [half[..., i * question.hidden_size :][..., : question.hidden_size] for i, half in enumerate(last)]
    check(target, "no recurrence", case, output, np.stack(halves))


@pytest.mark.own_key
@each_direction
@given(data=st.data())
def test_a_layer_computes_the_same_bits_whatever_is_stacked_on_it(
    target: Target, direction: str, data: st.DataObject
) -> None:
    """Assumption A6 of the step bound: the first layers, as a module of their own, are those of the stack. Of a target
    that shows the layers below in the same call it is not assumed: there the two agree."""
    question = data.draw(target.questions(max_layers=4, with_cells=True), "question")
    case = question.case(direction, "tanh", "float32")
    whole = answer(target, case, target.stack(case, "eager"))
    for layers in range(1, case.spec.num_layers):
        prefix = answer(target, case.prefix(layers), target.stack(case.prefix(layers), "eager"))
        h_n = each_state(lambda state, tracks=layers * case.spec.num_directions: state[:tracks], whole.h_n)
        if whole.prefixes is not None:
            shown = Result(whole.prefixes[layers - 1], h_n)
            verdict = judge_pair(case.prefix(layers), prefix, shown)
            assert verdict.outcome in ("agrees", "vacuous"), f"layer {layers - 1}: {verdict}"
            continue
        for one, of_stack in zip(state_tuple(prefix.h_n), state_tuple(h_n), strict=True):
            assert np.array_equal(one, of_stack), f"h_n of layer {layers - 1}"


@each_direction
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_repeated_run_has_the_same_bits_or_is_counted(target: Target, direction: str, dtype: str) -> None:
    """Three runs of one module. Other bits are no fault where the answers agree; how many differ is a figure."""
    case = draw_case(RNNSpec(33, 64, 2, direction), batch=8, time=6, dtype=dtype, h0=True)
    stack = target.stack(case)
    answers = [answer(target, case, stack) for _ in range(3)]
    for again in answers[1:]:
        differ = sum(int((a != b).sum()) for a, b in zip(answers[0][:2], again[:2], strict=True))
        target.ledger.figure(target.label, f"elements with other bits when repeated, {dtype}", differ)
        check_pair(target, "repeated", case, answers[0], again)
