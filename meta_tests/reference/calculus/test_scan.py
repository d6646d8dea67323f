"""What a scan over all steps makes of a hidden state, and what a reported state says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reference.bounds.arithmetic import arithmetic
from reference.calculus.balls import Ball, Balls, Matrix, Open, activation_errors
from reference.calculus.scan import BEFORE, Later, Scan, _gate, _within, waits
from reference.calculus.sums import EVALUATION_ERROR

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


@pytest.mark.parametrize("judged", ["float32", "float16_of_float32", "float32_early_tanh"])
def test_a_reported_state_says_between_which_ends_the_hidden_one_lies(judged: str) -> None:
    """As derived in docs/error-bounds.md: of its magnitude, of the gate's ends, and of what both sides round."""
    declared = arithmetic(judged)
    scan, (_, own, floor) = Scan(declared), activation_errors(declared, "tanh")
    gate, reported = ball([0.5, 0.5, 0.75, 0.5], [0.0, 0.125, 0.25, 0.0]), np.array([0.25, -0.25, 0.125, 0.0])
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
    low, high = scan._ends(ball([0.25, 0.25, 0.5], [0.25, 0.5, 0.0]), np.array([0.125, 0.125, 0.75]))
    assert high.tolist() == [INF] * 3
    assert (low[:2] > 0).all()
    left = _within(ball([1.0], [0.5]), low[2:], high[2:])
    assert (left.value.tolist(), left.radius.tolist()) == ([1], [0.5]), "no state gives more than the gate"


def same(actual: np.ndarray, expected: np.ndarray) -> bool:
    """Equal but for some roundings of float64, which the order of the operations decides."""
    return np.array_equal(np.round(actual / expected * 2.0**46), np.full(expected.shape, 2.0**46))
