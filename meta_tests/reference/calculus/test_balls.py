"""Operations on balls: every radius is as docs/error-bounds.md derives it, of numbers of all sizes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from reference import CellParameters
from reference.bounds.arithmetic import arithmetic
from reference.calculus.balls import Ball, Balls, Matrix, Open, _known, activation_errors
from reference.calculus.slopes import RELU, SIGMOID, TANH

INF, NAN = np.inf, np.nan
OWN = 4 * 2.0**-53
EVALUATED = 1 + 64 * 2.0**-53
JUDGED = ("float32", "float16", None)
VALUES, RADII = (0.0, 0.375, -1.5, 3.0), (0.0, 2.0**-30, 0.5)


@pytest.fixture(autouse=True)
def _without_warnings() -> Iterator[None]:
    """As the judge calls it."""
    with np.errstate(all="ignore"):
        yield


def reader(judged: str | None) -> tuple[Balls, float, float]:
    """With u of the judged side, and what one operation may lose below the smallest normal numbers."""
    declared = arithmetic(judged or "float64")
    return (Balls(judged and arithmetic(judged)), 2.0 ** -{"float32": 24, "float16": 11, None: INF}[judged],
            declared.smallest_normal + arithmetic("float64").smallest_normal)  # fmt: skip


def every(count: int) -> list[Ball]:
    """So many balls, in every combination of values and radii."""
    pairs = itertools.product(itertools.product(VALUES, RADII), repeat=count)
    several = np.array(list(pairs)).transpose(1, 2, 0)
    return [Ball(value, radius) for value, radius in several]


def same(actual: Any, expected: Any) -> bool:
    """Equal but for some roundings of float64, which the order of a sum decides."""
    return np.array_equal(np.round(actual / expected * 2.0**48), np.full(np.shape(expected), 2.0**48))


@pytest.mark.parametrize("judged", JUDGED)
def test_a_sum_of_two_balls(judged: str | None) -> None:
    (balls, u, lost), (a, b) = reader(judged), every(2)
    found, carried = balls.add(a, b), a.radius + b.radius
    radius = carried + (u + OWN) * (np.abs(a.value + b.value) + carried) + 2 * lost
    assert np.array_equal(found.value, a.value + b.value)
    assert same(found.radius, radius * EVALUATED)
    least = lost / balls.promised.unit_roundoff
    assert same(found.scale, np.abs(a.value) + np.abs(b.value) + carried + least)


@pytest.mark.parametrize("judged", JUDGED)
def test_a_product_of_two_balls(judged: str | None) -> None:
    (balls, u, lost), (a, b) = reader(judged), every(2)
    found, left, right = balls.multiply(a, b), np.abs(a.value), np.abs(b.value)
    largest = (left + a.radius) * (right + b.radius)
    radius = a.radius * right + left * b.radius + a.radius * b.radius + u * largest + OWN * left * right
    assert np.array_equal(found.value, a.value * b.value)
    assert same(found.radius, (radius + lost * (1 + left + right)) * EVALUATED)
    assert found.scale == 1
    weight = balls.multiply(Matrix(a.value), b)
    assert np.array_equal(weight.radius, balls.multiply(Ball(a.value, np.zeros(a.value.shape)), b).radius)
    assert np.array_equal(weight.value, found.value)


def mix_roundings(z: Ball, n: Ball, h: Ball, u: float) -> np.ndarray:
    """Of the worst of the three formulas, before its last operation."""
    rest, left = np.abs(1 - z.value) + z.radius, np.abs(z.value) + z.radius
    apart = np.abs(h.value - n.value) + n.radius + h.radius
    whole = 3 * rest * (np.abs(n.value) + n.radius) + 2 * left * (np.abs(h.value) + h.radius)
    return u * (1 + u) ** 4 * np.max([whole, 2 * left * apart, 3 * rest * apart], axis=0)


@pytest.mark.parametrize("judged", JUDGED)
def test_a_mix_of_three_balls(judged: str | None) -> None:
    (balls, u, lost), (z, n, h) = reader(judged), every(3)
    found = balls.mix(z, n, h)
    value = (1 - z.value) * n.value + z.value * h.value
    carried = np.abs(1 - z.value) * n.radius + np.abs(z.value) * h.radius
    carried += z.radius * (np.abs(h.value - n.value) + n.radius + h.radius)
    roundings = mix_roundings(z, n, h, u)
    radius = carried + roundings + u * (np.abs(value) + carried + roundings) + 8 * lost
    radius += OWN * (np.abs(value) + 3 * (np.abs(n.value) + n.radius + np.abs(h.value) + h.radius))
    assert np.array_equal(found.value, value)
    assert same(found.radius, radius * EVALUATED)


@pytest.mark.parametrize("judged", ["float32", "float16"])
def test_a_state_that_is_computed_twice_may_differ_by_its_roundings(judged: str) -> None:
    (balls, u, lost), (z, n, h) = reader(judged), every(3)
    largest = [np.abs(one.value) + one.radius for one in (z, n, h)]
    roundings, total = u * (largest[0] + largest[1]), largest[0] + largest[1]
    expected = (roundings + u * (total + roundings) + 8 * lost) * EVALUATED
    assert same(balls.update_error("add", [z, n]), expected)
    total = largest[1] + largest[0] * (np.abs(h.value - n.value) + n.radius + h.radius)
    roundings = mix_roundings(z, n, h, u)
    expected = (roundings + u * (total + roundings) + 8 * lost) * EVALUATED
    assert same(balls.update_error("mix", [z, n, h]), expected)
    with pytest.raises(NotImplementedError, match=r"^update: got 'multiply', expected one of add, mix"):
        balls.update_error("multiply", [z, n])


def test_a_state_that_is_shown_may_have_been_rounded() -> None:
    given = np.array([1.0, -2.0, 0.0], "float16")
    plain, shown = Balls(arithmetic("float16")).closed(given), Balls(arithmetic("float16_of_float32")).closed(given)
    assert plain.value.tolist() == shown.value.tolist() == [1, -2, 0]
    assert plain.radius.tolist() == [0, 0, 0]
    assert shown.radius.tolist() == [2.0**-11, 2.0**-10, 0]
    assert plain.value.dtype == np.float64
    assert Balls(None).closed(plain) is plain
    assert plain.part(slice(1, 3)).value.tolist() == [-2, 0]


@pytest.mark.parametrize("operation", ["add", "multiply", "mix"])
def test_nan_is_certain_where_an_operand_is_for_certain(operation: str) -> None:
    """Where it is not, and next to overflow and infinities, nothing is known."""
    balls, one = Balls(arithmetic("float32")), np.ones(5)
    a = Ball(np.array([NAN, NAN, INF, 1.0, 1.0]), np.array([0.0, 1.0, 0.0, INF, 0.0]))
    others = [Ball(one, 0 * one)] * (2 if operation == "mix" else 1)
    for place in range(len(others) + 1):
        operands = [*others[:place], a, *others[place:]]
        found = getattr(balls, operation)(*operands)
        assert np.isnan(found.value[:2]).all()
        assert (found.radius[0], found.radius[1]) == (0, INF)
        assert found.radius[2] == INF
        assert np.isfinite(found.radius[4])


@pytest.mark.parametrize("judged", ["float32", "float16", "float32_sigmoid_floor"])
def test_a_gate_stays_in_its_range_but_for_its_own_error(judged: str) -> None:
    """Of a wide argument; where the argument may be infinite nothing is known."""
    declared = arithmetic(judged)
    balls, a = Balls(declared), np.array([0.0, 1.0, -1.0, 4.0])
    for activation in (SIGMOID, TANH):
        relative, own, floor = activation_errors(declared, activation.name)
        value = activation.phi(a)
        farthest = np.maximum(value, 1 - value) if activation is SIGMOID else 1 + np.abs(value)
        wide = balls.activated(Ball(a, np.full(4, 64.0)), activation)
        assert same(wide.radius, (farthest + relative + own + floor) * EVALUATED)
        near = balls.activated(Ball(a, np.full(4, 2.0**-10)), activation)
        expected = activation.largest_slope(a, 2.0**-10) * 2.0**-10 * (1 + own) + np.abs(value) * relative + floor
        expected += activation.flushes * declared.smallest_normal
        assert same(near.radius, expected * EVALUATED)
        assert np.isinf(balls.activated(Ball(a, np.full(4, INF)), activation).radius).all()


def test_a_sigmoid_is_known_up_to_its_end() -> None:
    balls = Balls(arithmetic("float32_sigmoid_to_2_88"))
    end = 2.0**88
    a = np.array([end, -end, end, 2 * end, -2 * end])
    found = balls.sigmoid(Ball(a, np.array([0.0, 0.0, end, 0.0, 0.0])))
    assert np.isinf(found.radius).tolist() == [False, False, True, True, True]
    assert np.isfinite(balls.tanh(Ball(a, np.zeros(5))).radius).all()


def test_a_sum_stays_open_and_splits_into_gates() -> None:
    balls, cell = (
        Balls(None),
        CellParameters(np.arange(12.0).reshape(6, 2), np.zeros((6, 2)), *np.arange(12.0).reshape(2, 6)),
    )
    w = balls.weights(cell)
    x, term = np.ones((1, 2)), Ball(np.arange(6.0)[None], np.ones((1, 6)))
    start = balls.add(balls.affine([(w["w_ih"], x)], [w["b_ih"]]), term)
    total = balls.affine([(w["w_hh"], x)], [w["b_hh"]], start)
    assert total == Open(((w["w_ih"], x), (w["w_hh"], x)), (w["b_ih"], w["b_hh"]), (term,))
    both = balls.add(total, balls.affine([(w["w_hh"], x)], [w["b_ih"]]))
    assert (len(both.products), len(both.biases)) == (3, 3)
    assert both.terms == (term,)
    first, last = balls.split(balls.clip(total, 0.5), (2, 1))
    assert (first.limit, last.limit) == (0.5, 0.5)
    assert first.products[0][0].array.tolist() == np.arange(8.0).reshape(4, 2).tolist()
    assert last.products[0][0].array.tolist() == [[8, 9], [10, 11]]
    assert [bias.array.tolist() for bias in last.biases] == [[4, 5], [10, 11]]
    assert (first.terms[0].value.tolist(), last.terms[0].value.tolist()) == ([[0, 1, 2, 3]], [[4, 5]])
    assert last.terms[0].radius.tolist() == [[1, 1]]
    assert balls.split(w["w_ih"], (2, 1))[0] is first.products[0][0], "the same rows are the same Matrix"
    assert [part.tolist() for part in balls.split(np.arange(6.0), (1, 2))] == [[0, 1], [2, 3, 4, 5]]


def test_an_open_sum_carries_what_its_operands_and_terms_may_be_off() -> None:
    balls = Balls(arithmetic("float32"))
    cell = CellParameters(
        np.array([[1.0, -2.0], [0.5, 4.0]]), np.array([[3.0, 0.0], [1.0, -1.0]]), np.ones(2), np.ones(2)
    )
    w = balls.weights(cell)
    x, h = np.array([[1.0, 0.5]]), Ball(np.array([[0.25, -1.0]]), np.array([[0.125, 0.0]]))
    term = Ball(np.array([[8.0, -4.0]]), np.array([[0.0, 0.25]]))
    total = balls.add(balls.affine([(w["w_ih"], x), (w["w_hh"], h)], [w["b_ih"], w["b_hh"]]), term)
    found, model = balls.closed(total), balls.model(total)
    value = x @ cell.w_ih.T + h.value @ cell.w_hh.T + 2 + term.value
    carried = h.radius @ np.abs(cell.w_hh).T + term.radius
    largest = np.concatenate([x, np.abs(h.value) + h.radius, [[1.0]]], axis=1)
    base = model.radius(largest).astype(np.float64)
    base += model.alpha * (np.abs(term.value) + term.radius) + model.growth * 2.0**-126
    assert model.terms == 4 + 2 + 1
    assert np.array_equal(found.value, value)
    assert same(found.radius, (carried + base + model.beta * (np.abs(value) + carried)) * model.evaluated)
    assert same(found.scale, base / model.alpha)
    far = balls.closed(balls.add(balls.affine([(w["w_ih"], x)]), Ball(np.full((1, 2), 3e38), np.zeros((1, 2)))))
    assert np.isfinite(far.radius).all()
    farther = balls.closed(balls.add(balls.affine([(w["w_ih"], x)]), Ball(np.full((1, 2), 4e38), np.zeros((1, 2)))))
    assert np.isinf(farther.radius).all()
    with pytest.raises(
        NotImplementedError, match=r"^affine: got an operand that is a str, expected one of ndarray, Ball"
    ):
        balls.closed(balls.affine([(w["w_ih"], "x")]))


def test_sums_of_the_same_weights_share_their_model() -> None:
    balls, cell = Balls(None), CellParameters(np.ones((2, 2)), np.ones((2, 2)), np.ones(2), np.ones(2))
    w, x = balls.weights(cell), np.ones((1, 2))
    one = balls.affine([(w["w_ih"], x)], [w["b_ih"]])
    assert balls.model(one) is balls.model(balls.affine([(w["w_ih"], 2 * x)], [w["b_ih"]]))
    assert balls.model(one) is not balls.model(balls.affine([(w["w_hh"], x)], [w["b_ih"]]))
    assert balls.model(one) is not balls.model(balls.affine([(w["w_ih"], x)], [w["b_hh"]]))
    assert balls.model(balls.add(one, Ball(x, x))).terms == balls.model(one).terms + 1
    with pytest.raises(NotImplementedError, match=r"^activation: got a Ball, expected a sum: no bound is proved$"):
        balls.model(Ball(x, x))


def opened(judged: str, x: Any, bias: float = 0.0, weight: float = 1.0) -> tuple[Balls, Open]:
    """A reader, and a sum of x with one weight."""
    balls = Balls(arithmetic(judged))
    w = balls.weights(CellParameters(np.full((1, 1), weight), np.ones((1, 1)), np.full(1, bias), np.zeros(1)))
    return balls, balls.affine([(w["w_ih"], x)], [w["b_ih"], w["b_hh"]])


@pytest.mark.parametrize("name", ["tanh", "relu", "sigmoid"])
def test_a_sum_is_clipped_where_it_is_activated(name: str) -> None:
    balls, total = opened("float32", np.array([[-3.0], [0.125], [2.0]]))
    found, plain = getattr(balls, name)(balls.clip(total, 0.5)), getattr(balls, name)(total)
    activation = {"tanh": TANH, "relu": RELU, "sigmoid": SIGMOID}[name]
    assert np.array_equal(found.value, activation.phi(np.array([[-0.5], [0.125], [0.5]])))
    assert (found.value[1], found.radius[1]) == (plain.value[1], plain.radius[1])
    assert (found.radius[::2] < plain.radius[::2]).any() or name != "relu"
    flat = balls.activation_bound(found.value, name, balls.model(total))
    flat += (activation.flushes - 1) * 2.0**-126
    assert np.array_equal(found.radius[::2], flat[::2]), "beyond the limit there is no slope"


@pytest.mark.parametrize("judged", ["float16", "float32_sigmoid_floor"])
def test_the_sigmoid_of_a_sum_has_all_of_its_errors(judged: str) -> None:
    """That of its argument, its own, and what underflow takes of it at four places."""
    declared, x = arithmetic(judged), np.array([[0.0], [1.0], [-2.0]])
    balls, total = opened(judged, x, 0.5)
    model, a, (relative, own, floor) = balls.model(total), x + 0.5, activation_errors(declared, "sigmoid")
    radius = model.radius(model.inputs([x])).astype(np.float64) + model.beta * np.abs(a)
    value, u = SIGMOID.phi(a), declared.smallest_normal
    expected = SIGMOID.largest_slope(a, radius) * radius * (1 + own) + value * relative * model.evaluated
    expected += floor * model.evaluated + 4 * u
    found = balls.sigmoid(total)
    assert np.array_equal(found.value, value)
    assert same(found.radius, expected)
    at_zero = balls.activation_bound(np.zeros(1), "sigmoid", model)
    assert at_zero.tolist() == [floor * model.evaluated + u]


def test_a_sum_of_balls_or_with_terms_is_closed_before_it_is_activated() -> None:
    x = np.array([[0.25], [-1.0]])
    for given, term in (
        (Ball(x, 0.5 * np.abs(x)), None),
        (x, Ball(x, x * x)),
        (Ball(x, 0.5 * np.abs(x)), Ball(x, x * x)),
    ):
        balls, total = opened("float32", given)
        total = total if term is None else balls.add(total, term)
        found, expected = balls.tanh(total), balls.tanh(balls.closed(total))
        assert np.array_equal(found.value, expected.value)
        assert np.array_equal(found.radius, expected.radius)


def test_a_term_of_zero_may_be_flushed() -> None:
    """It is rounded to storage when it is added, as every operand of the sum is."""
    balls, total = opened("float32", Ball(np.zeros((1, 1)), np.zeros((1, 1))), weight=0.0)
    plain, added = (
        balls.closed(one).radius for one in (total, balls.add(total, Ball(np.zeros((1, 1)), np.zeros((1, 1)))))
    )
    model = balls.model(total)
    more = balls.model(balls.add(total, Ball(np.zeros((1, 1)), np.zeros((1, 1)))))
    base = [one.radius(np.array([[0.0, 1.0]])).astype(np.float64) for one in (model, more)]
    assert same(plain, base[0] * model.evaluated)
    assert same(added, (base[1] + more.growth * 2.0**-126) * more.evaluated)


def test_nan_is_certain_in_the_rows_of_an_operand_that_has_it() -> None:
    """Of one that is exact; where an operand is a ball of some radius nothing is known."""
    x = np.ones((2, 3, 1))
    x[0, 2] = NAN
    zero = Ball(np.zeros((2, 3, 1)), np.zeros((2, 3, 1)))
    balls, total = opened("float32", x)
    found = balls.closed(balls.add(total, zero))
    assert np.isnan(found.value).tolist() == np.isnan(x).tolist()
    assert found.radius[0, 2] == 0
    assert (found.radius[~np.isnan(x)] > 0).all()
    assert np.isfinite(found.radius).all()
    balls, total = opened("float32", Ball(x, np.ones((2, 3, 1))))
    assert np.isinf(balls.closed(balls.add(total, zero)).radius[0, 2])
    balls, total = opened("float32", np.ones((2, 3, 1)))
    assert balls.closed(balls.add(total, Ball(x, 0 * np.ones((2, 3, 1))))).radius[0, 2] == 0


def test_what_may_overflow_in_a_sum_has_no_bound() -> None:
    """What is infinite as given comes out exactly; a sigmoid beyond its end may be NaN."""
    x = np.array([[1.0], [3e38], [INF], [NAN], [-INF]])
    for name in ("tanh", "relu", "sigmoid"):
        balls, total = opened("float32", x, 3e38)
        found = getattr(balls, name)(total)
        known = balls.activation_bound(found.value, name, balls.model(total))
        known += (SIGMOID.flushes - 1) * 2.0**-126 if name == "sigmoid" else 0
        assert (found.radius[1], found.radius[3]) == (INF, 0)
        assert np.array_equal(found.radius[2::2], np.where(np.isfinite(found.value), known, 0)[2::2])
        assert np.isfinite(found.radius[0])
    balls, total = opened("float32_sigmoid_to_2_88", np.array([[2.0**87], [2.0**89], [-(2.0**89)]]))
    assert np.isinf(balls.sigmoid(total).radius).tolist() == [[False], [True], [True]]
    assert np.isfinite(balls.sigmoid(balls.clip(total, 2.0**88)).radius).all(), "clipped to its end it is not beyond"
    balls, total = opened("float32", np.zeros((0, 1)))
    assert balls.tanh(total).radius.shape == (0, 1)


def test_an_activation_goes_where_it_is_told_to_once() -> None:
    x = np.array([[0.25], [-1.0]])
    balls, total = opened("float32", x)
    expected, out = balls.tanh(total), (np.empty((2, 1)), np.empty((2, 1)))
    balls.out = out
    found = balls.tanh(total)
    assert (found.value is out[0], found.radius is out[1]) == (True, True)
    assert np.array_equal(found.value, expected.value)
    assert np.array_equal(found.radius, expected.radius)
    assert balls.tanh(total).value is not out[0]


def test_a_radius_is_no_nan_and_a_scale_is_kept() -> None:
    """Whatever an operation made of the numbers; a NaN that is certain takes the place of the value."""
    made = Ball(np.array([1.0, INF, 2.0, 3.0]), np.array([NAN, 1.0, 0.5, NAN]), 7.0)
    operand = Ball(np.array([1.0, 1.0, 1.0, NAN]), np.zeros(4))
    known = _known(made, (operand,))
    assert known.value[:3].tolist() == [1, INF, 2]
    assert np.isnan(known.value[3])
    assert known.radius.tolist() == [INF, INF, 0.5, 0]
    assert known.scale == 7
    assert _known(Ball(np.ones(1), np.zeros(1), 7.0), ()).scale == 7


def test_the_scale_of_an_activated_ball_is_that_of_its_argument_where_it_has_no_range() -> None:
    balls, one = Balls(arithmetic("float32")), np.ones(1)
    assert balls.relu(Ball(one, one, 7.0)).scale == 7
    assert balls.tanh(Ball(one, one, 7.0)).scale == 1
    _, total = opened("float32", np.ones((1, 1)))
    model = balls.model(total)
    assert same(balls.relu(total).scale, model.radius(np.ones((1, 2))) / model.alpha)
    assert balls.sigmoid(total).scale == 1
