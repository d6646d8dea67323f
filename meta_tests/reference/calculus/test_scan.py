"""What a scan over all steps makes of a hidden state, and what a reported state says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reference import RNNSpec
from reference.bounds.arithmetic import arithmetic
from reference.calculus.balls import Ball, Balls, Matrix, Open, activation_errors
from reference.calculus.scan import BEFORE, Later, Scan, _gate, _within, waits
from reference.calculus.sums import EVALUATION_ERROR
from reference.draws import draw_case

INF = np.inf


def ball(value: Any, radius: Any, scale: Any = 1.0) -> Ball:
    return Ball(np.array(value), np.array(radius), scale)


def test_an_operation_waits_where_an_operand_does() -> None:
    scan, known = Scan(arithmetic("float32")), ball([1.0], [0.5])
    assert scan.tanh(BEFORE) == Later("tanh", (BEFORE,))
    assert scan.sigmoid(BEFORE) == Later("sigmoid", (BEFORE,))
    assert scan.add(known, BEFORE) == Later("add", (known, BEFORE))
    assert scan.multiply(BEFORE, known) == Later("multiply", (BEFORE, known))
    assert scan.mix(known, known, BEFORE) == Later("mix", (known, known, BEFORE))
    balls = Balls(arithmetic("float32"))
    for name, operands in (("add", 2), ("multiply", 2), ("mix", 3), ("tanh", 1), ("sigmoid", 1)):
        found, expected = (getattr(one, name)(*[known] * operands) for one in (scan, balls))
        assert (found.value, found.radius) == (expected.value, expected.radius)
    weight = Matrix(np.ones((1, 1)))
    assert not waits(Open(((weight, known),), (), (known,)))
    assert waits(Open(((weight, BEFORE),), ()))
    assert waits(Open((), (), (known, BEFORE)))
    assert not waits(known)
    total = scan.add(Open((), ()), BEFORE)
    assert total == Open((), (), (BEFORE,))
    assert scan.tanh(total) == Later("tanh", (total,))


def test_a_quantity_that_waited_is_computed_at_a_step() -> None:
    scan, before = Scan(arithmetic("float32")), ball([[4.0]], [[0.25]])
    known, weight = ball([[[1.0]], [[2.0]]], [[[0.5]], [[0.125]]]), Matrix(np.ones((1, 1)))
    later, states = Later("multiply", (known, BEFORE)), {id(BEFORE): before}
    expected = Balls(arithmetic("float32")).multiply(known.part(1), before)
    found = scan.at(later, 1, states)
    assert (found.value, found.radius) == (expected.value, expected.radius)
    assert scan.at(BEFORE, 1, states) is before
    assert scan.at(known, 0, states).value.tolist() == [[1]]
    assert scan.at(known.value, 1, states).tolist() == [[2]]
    assert scan.at(weight, 1, states) is weight
    total = scan.at(Open(((weight, BEFORE), (weight, known.value)), (weight,), (known, BEFORE), 0.5), 1, states)
    assert total.products[0] == (weight, before)
    assert total.products[1][1].tolist() == [[2]]
    assert (total.biases, total.terms[1], total.limit) == ((weight,), before, 0.5)
    assert total.terms[0].radius.tolist() == [[0.125]]


def test_a_gate_is_known_by_how_the_state_was_made() -> None:
    c, gate = Later("add"), ball([1.0], [0.0])
    assert _gate(Later("multiply", (gate, Later("tanh", (c,)))), c) is gate
    for other in (gate, Later("add", (gate, Later("tanh", (c,)))), Later("multiply", (gate, gate)),
                  Later("multiply", (gate, Later("sigmoid", (c,)))),
                  Later("multiply", (gate, Later("tanh", (Later("mix"),))))):  # fmt: skip
        assert _gate(other, c) is None


def test_a_state_is_narrowed_to_the_part_between_two_ends() -> None:
    """Where there is one, and where it is narrower."""
    c = ball([1.0] * 6, [0.5] * 6, 7.0)
    below, above = np.array([0.75, -INF, 1.25, 2.0, -INF, -1.0]), np.array([1.0, 1.0, INF, 3.0, INF, 0.0])
    found = _within(c, below, above)
    assert found.value.tolist() == [0.875, 0.75, 1.375, 1, 1, 1]
    widths = [0.25, 0.5, 0.25]
    middles = [0.875, 0.75, 1.375]
    assert found.radius[:3].tolist() == [
        w / 2 + EVALUATION_ERROR * (m + w) for w, m in zip(widths, middles, strict=True)]  # fmt: skip
    assert found.radius[3:].tolist() == [0.5] * 3
    assert found.scale == 7
    (one,) = _within(ball([-1.0], [0.5]), np.array([-1.0]), np.array([-1.0])).radius
    assert one == EVALUATION_ERROR
    assert _within(ball([-1.0], [0.5]), np.array([-1.25]), np.array([-1.0])).value.tolist() == [-1.125]


@pytest.mark.parametrize("judged", ["float32", "float16_of_float32", "float16_activations"])
def test_a_reported_state_says_between_which_ends_the_hidden_one_lies(judged: str) -> None:
    """As derived in docs/error-bounds.md: of its magnitude, of the gate's ends, and of what both sides round."""
    declared = arithmetic(judged)
    scan, (_, own, floor) = Scan(declared), activation_errors(declared, "tanh")
    gate, reported = ball([0.5, 0.5, 0.75, 0.5, 0.5], [0, 0.125, 0.25, 0, 0]), np.array([0.25, -0.25, 0.125, 0, 2**-10])
    low, high = scan._ends(gate, reported)
    lost, rounded = (
        2 * declared.smallest_normal,
        2 * declared.unit_roundoff + declared.shown_roundoff + EVALUATION_ERROR,
    )
    size = np.abs(reported)
    least = (size - lost) / ((gate.value + gate.radius) * (1 + rounded)) - floor
    least = least / np.where(least > 0, 1 + own, 1 - own)
    most = ((size + lost) / ((gate.value - gate.radius) * (1 - rounded)) + floor) / (1 - own)
    far = np.arctanh(most) * (1 + EVALUATION_ERROR)
    near = np.arctanh(least) - EVALUATION_ERROR * np.abs(np.arctanh(least))
    near[3] = -far[3]
    negative = reported < 0
    assert same(low, np.where(negative, -far, near))
    assert same(high, np.where(negative, -near, far))


def test_a_gate_that_may_be_closed_says_nothing_of_how_large_the_state_is() -> None:
    scan = Scan(arithmetic("float32"))
    with np.errstate(divide="raise", invalid="raise"):
        low, high = scan._ends(ball([0.25, 0.25, 0.5], [0.25, 0.5, 0.0]), np.array([0.125, 0.125, 0.75]))
    assert high.tolist() == [INF] * 3
    assert (low[:2] > 0).all()
    left = _within(ball([1.0], [0.5]), low[2:], high[2:])
    assert (left.value.tolist(), left.radius.tolist()) == ([1], [0.5]), "no state gives more than the gate"


def same(actual: np.ndarray, expected: np.ndarray) -> bool:
    """Equal but for some roundings of float64, which the order of the operations decides."""
    return np.array_equal(np.round(actual / expected * 2.0**46), np.full(expected.shape, 2.0**46))


@pytest.mark.parametrize("more", [{}, {"peepholes": True}, {"input_forget": True}])
def test_each_step_narrows_the_state_that_the_next_one_begins_with(more: Any) -> None:
    """With peepholes the gate of h waits for the state; without, it is known for all steps at once."""
    spec, declared = RNNSpec(2, 3, cell="lstm", **more), arithmetic("float32")
    case = draw_case(spec, batch=2, time=4, h0=True, layout="time_first", seed=3)
    scan, balls, reported = Scan(declared), Balls(declared), case.answer().output
    weights = scan.weights(case.parameters[0])
    h_before = np.concatenate([case.h0[0], reported[:-1]])
    h, c = spec.made.step(scan, weights, spec.made.project(scan, weights, case.x), (h_before, BEFORE))
    start = ball(case.h0[1][0].astype(np.float64), np.zeros((2, 3)))
    found_before, found = scan.hidden(h, c, reported, start)
    before = start
    for t in range(4):
        assert np.array_equal(found_before.value[t], before.value)
        assert np.array_equal(found_before.radius[t], before.radius)
        operands = [balls.closed(scan.at(one, t, {id(BEFORE): before})) for one in c.operands]
        after = getattr(balls, c.operation)(*operands)
        below, above = scan._ends(scan.at(h.operands[0], t, {id(BEFORE): before, id(c): after}), reported[t])
        apart = 2 * balls.update_error(c.operation, operands)
        before = _within(after, below - apart, above + apart)
        assert np.array_equal(found.value[t], before.value)
        assert np.array_equal(found.radius[t], before.radius)
        assert np.array_equal(found.scale[t], np.broadcast_to(before.scale, (2, 3)))


def test_what_is_reported_may_depend_on_the_state_before() -> None:
    scan, known = Scan(arithmetic("float32")), ball([[[1.0]], [[2.0]]], [[[0.0]], [[0.0]]])
    c = Later("add", (known, BEFORE))
    h, states = scan.through(Later("multiply", (known, BEFORE)), c, np.zeros((2, 1, 1)), np.full((1, 1), 4.0))
    assert states.value.tolist() == [[[5]], [[7]]]
    assert h.value.tolist() == [[[4]], [[10]]]
