"""What a step hands back, in balls: every radius is as docs/error-bounds.md derives it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reference.bounds.arithmetic import ARITHMETICS, REFERENCE, Arithmetic, arithmetic
from reference.calculus.balls import Ball, Matrix
from reference.calculus.returns import LEAST, LEAVES, Back, BallReturns, Beside, ProbeReturns, first_column, flat
from reference.calculus.sums import EVALUATION_ROUNDINGS, Sum
from reference.calculus.tape import Node

OWN = 4 * 2.0**-53
EVALUATED = 1 + 64 * 2.0**-53
GATES, ROWS, STEPS, SEQUENCES = 3, 6, 5, 2
OTHERS, ADDED = 2 * GATES + 1, STEPS * SEQUENCES
NAMES = ("float16", "float32", "tf32", "float16_accumulate_float32", "float64")


def reader(name: str) -> Any:
    return BallReturns(arithmetic(name), GATES, ROWS, STEPS, SEQUENCES)


def spread(terms: int, judged: Arithmetic, others: int = 0) -> tuple[float, float]:
    """alpha and beta of both sides; |a| is known but for the roundings of the one computed here."""
    (own_alpha, own_beta), (alpha, beta) = REFERENCE.spread(terms, others), judged.spread(terms, others)
    return own_alpha + alpha + (own_beta + beta) * REFERENCE.gain(terms), own_beta + beta


def same(actual: Any, expected: Any) -> bool:
    """Equal but for some roundings of float64, which the order of a sum decides."""
    return np.array_equal(np.round(actual / expected * 2.0**48), np.full(np.shape(expected), 2.0**48))


@pytest.mark.parametrize("name", NAMES)
def test_what_one_operation_and_one_term_may_be_off(name: str) -> None:
    returns, judged = reader(name), arithmetic(name)
    u = judged.operation_roundoff
    assert returns.unit == u * (1 + u) ** 6 + OWN
    assert returns.smallest == judged.smallest_normal + 2.0**-1022
    assert (returns.rows, returns.steps, returns.added, returns.others) == (ROWS, STEPS, ADDED, OTHERS)
    assert returns.balls.judged is judged
    exact = replace(judged, operand_roundoff=0.0)
    assert returns.small == sum(spread(LEAVES, exact, OTHERS))
    assert returns.wide == sum(spread(ROWS + OTHERS + LEAVES, exact, OTHERS))


def test_all_arrays_of_a_back_are_moved() -> None:
    """An exact one has no radius, and a scale may stand for all numbers."""
    value, radius = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 0.5], [0.25, 0.0]])
    back = Back(value, radius, np.array([5.0, 6.0]), state=1, sum=True, shown=True, products=2, largest=3.0)
    moved = back.each(lambda array: array[::-1, 1:])
    assert (moved.value.tolist(), moved.radius.tolist()) == ([[4], [2]], [[0], [0.5]])
    assert moved.scale.tolist() == [[6], [6]]
    assert (moved.state, moved.sum, moved.shown, moved.products, moved.largest) == (1, True, True, 2, 3)
    exact = Back(value).each(lambda array: array[1])
    assert (exact.value.tolist(), exact.radius, exact.scale) == ([3, 4], 0.0, None)


def test_steps_and_sequences_are_read_as_rows() -> None:
    array = np.zeros((2, 3, 4))
    assert flat(array).shape == (6, 4)
    array[1, 2, 2:] = 0.5
    assert first_column(array) == 2
    array[1, 1, 1] = 0.5
    assert first_column(array) == 1
    assert first_column(np.array([[0.0, 0.0], [0.5, 0.0]])) == 0


@pytest.mark.parametrize("name", ["float16", "float64"])
@pytest.mark.parametrize("of_product", [False, True])
def test_backs_add_up_as_terms_of_one_sum(of_product: bool, name: str) -> None:
    """What is a sum of products has counted its own roundings; the others are terms beside them."""
    returns, judged = reader(name), arithmetic(name)
    a = Back(np.array([1.0, -2.0]), np.array([0.5, 0.25]), products=3, largest=2.0)
    b = Back(np.array([3.0, 0.5]), np.array([0.0, 0.125]), np.array([7.0, 8.0]), sum=of_product)
    found, lost = returns.added_up([a, b]), (3 * 2 + 2 * 2) * returns.smallest
    counted = returns.wide * a.size if of_product else returns.small * (a.size + b.size)
    assert found.value.tolist() == [4, -1.5]
    assert same(found.radius, (a.radius + b.radius + counted + lost) * EVALUATED)
    assert same(found.scale, a.size + np.array([7.0, 8.0]) + lost / judged.unit_roundoff)
    assert (found.sum, found.products) == (of_product, 0)
    assert returns.added_up([a]) is a
    exact = returns.added_up([Back(np.zeros(1)), Back(np.zeros(1))])
    assert same(exact.radius, np.array([4 * returns.smallest * EVALUATED]))


def test_a_closed_back_has_what_its_products_lose() -> None:
    returns, value, radius = reader("float16"), np.array([1.0, -2.0]), np.array([0.5, 0.0])
    back = Back(value, radius, products=3, largest=2.0)
    lost = 6 * returns.smallest
    found = returns.closed(back)
    assert np.array_equal(found.radius, radius + lost)
    assert np.array_equal(found.scale, np.abs(value) + radius + lost * 2.0**11)
    assert (found.products, found.value is value) == (0, True)
    scaled = returns.closed(replace(back, scale=np.array([5.0, 6.0])))
    assert np.array_equal(scaled.scale, np.array([5.0, 6.0]) + lost * 2.0**11)
    plain = Back(value, radius)
    assert returns.closed(plain) is plain


@pytest.mark.parametrize("name", NAMES)
def test_a_product_of_two_backs(name: str) -> None:
    returns = reader(name)
    d = Back(np.array([1.0, -2.0, 0.0]), np.array([0.5, 0.0, 0.25]), state=1, products=2, largest=3.0)
    factor = Back(np.array([0.5, 4.0, -1.0]), np.array([0.0, 0.125, 0.25]))
    found, right = returns.times(d, factor), np.abs(factor.value)
    radius = d.size * (factor.radius + returns.unit * (right + factor.radius)) + d.radius * right
    assert found.value.tolist() == [0.5, -8, 0]
    assert same(found.radius, radius * EVALUATED)
    assert np.array_equal(found.scale, np.abs(d.value))
    assert (found.state, found.products, found.largest) == (1, 3, 3 * 4.125)
    kept = returns.times(replace(d, scale=7.0), replace(factor, products=4))
    assert (kept.scale, kept.products) == (7.0, 6)
    exact = returns.times(Back(d.value), factor)
    assert same(exact.radius[:2], (np.abs(d.value) * (factor.radius + returns.unit * factor.size) * EVALUATED)[:2])
    own = returns.times(Back(1.0, state=1), factor)
    assert (own.value is factor.value, own.state, own.products, own.largest) == (True, 1, 1, 4.125)


def test_a_delta_that_is_shown_was_rounded_where_operands_are() -> None:
    value = np.array([1.0, -2.0])
    for name, u in (("tf32", 2.0**-11), ("float32", 0.0)):
        returns, shown = reader(name), Back(value, shown=True)
        used = returns.used(shown)
        assert np.array_equal(used.radius, u * np.abs(value) + 2.0**-126 if u else 0.0)
        found, expected = returns.times(shown, Back(value)), returns.times(Back(value, used.radius), Back(value))
        assert np.array_equal(found.radius, expected.radius)


@pytest.mark.parametrize("name", NAMES)
def test_the_factors_of_a_mix(name: str) -> None:
    returns, z, h = reader(name), Ball(np.array([0.25]), np.array([0.125])), Ball(np.array([-2.0]), np.array([0.5]))
    unit = returns.unit
    for found, value, radius in (
        (returns.rest(z), 0.75, 0.125 + 2 * unit * (1 + 0.375)),
        (returns.kept(z), 0.25, 0.125 + 3 * unit * (1 + 0.375)),
        (returns.apart(h, z), -2.25, 0.625 + unit * (2 * (2.5 + 0.375) + 2.25 + 0.625)),
    ):
        assert found.value.tolist() == [value]
        assert same(found.radius, np.array([radius]))


@pytest.mark.parametrize("name", NAMES)
def test_the_slope_of_an_activation_from_its_result(name: str) -> None:
    returns = reader(name)
    for y, r in ((0.25, 0.125), (0.75, 0.0)):
        result = Ball(np.array([y]), np.array([r]))
        sigmoid, tanh = (returns.slope(word, result) for word in ("sigmoid", "tanh"))
        moved = abs(1 - 2 * y) * r + r * r
        assert sigmoid.value.tolist() == [y * (1 - y)]
        assert same(sigmoid.radius, np.array([(moved + returns.unit * 3 * (y * (1 - y) + moved)) * EVALUATED]))
        moved = (2 * y + r) * r
        assert tanh.value.tolist() == [1 - y * y]
        rounded = 4 * (y + r) + 3 * (1 - y * y + moved)
        assert same(tanh.radius, np.array([(moved + returns.unit * rounded) * EVALUATED]))
        assert (sigmoid.largest, tanh.largest) == (2, 2)
    with pytest.raises(ValueError, match=r"^activation: got 'softsign', expected sigmoid, tanh or relu$"):
        returns.slope("softsign", np.zeros(1))


def test_the_slopes_of_relu_and_of_a_clip_are_unsure_at_their_edges() -> None:
    returns = reader("float32")
    value, radius = np.array([1.0, 0.5, 0.0, 0.0, np.nan, -1.0]), np.array([0.5, 0.5, 0.0, 0.25, 0.0, 0.5])
    found = returns.slope("relu", Ball(value, radius))
    assert (found.value.tolist(), found.radius.tolist()) == ([1, 1, 0, 0, 0, 0], [0, 1, 0, 1, 1, 0])
    sure = returns.slope("relu", Ball(value[:1], radius[:1]))
    assert (sure.value.tolist(), sure.exact, sure.largest, found.largest) == ([1], True, 1, 1)
    assert returns.slope("relu", value).radius.tolist() == [0, 0, 0, 0, 1, 0]
    inside = returns.inside(Ball(np.array([1.0, 2.0, -3.0, -3.0]), np.array([0.5, 0.0, 0.5, 1.0])), 2.0)
    assert (inside.value.tolist(), inside.radius.tolist(), inside.largest) == ([1, 1, 0, 0], [0, 1, 0, 1], 1)


@pytest.mark.parametrize("shared", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_transposed_product_is_a_sum_of_its_rows(name: str, shared: int) -> None:
    """Tracks that share an operand add their products' terms to it."""
    returns, judged = reader(name), arithmetic(name)
    weight = np.array([[1.0, -2.0], [0.5, 4.0], [0.0, -1.0]])
    d = Back(np.array([[1.0, 0.5, -2.0]]), np.array([[0.0, 0.25, 0.5]]))
    (found,) = returns.transposed(Matrix(weight), (d,), shared)
    model = Sum([weight.T], [], judged, OTHERS, (shared - 1) * (ROWS + LEAVES))
    base = model.radius(np.concatenate([d.size, [[1.0]]], axis=1)).astype(np.float64)
    carried = d.radius @ np.abs(weight)
    assert np.array_equal(found.value, d.value @ weight)
    expected = (base + carried + model.beta * (np.abs(found.value) + carried)) * model.evaluated
    assert same(found.radius, expected)
    assert same(found.scale, base / model.alpha)
    assert found.sum
    (exact,) = returns.transposed(Matrix(weight), (Back(d.value),), shared)
    base = model.radius(np.concatenate([np.abs(d.value), [[1.0]]], axis=1)).astype(np.float64)
    assert same(exact.radius, (base + model.beta * np.abs(exact.value)) * model.evaluated)
    with pytest.raises(NotImplementedError, match=r"^cotangent of a sum: got one that depends on later steps"):
        returns.transposed(Matrix(weight), (replace(d, state=0),), shared)
    with pytest.raises(NotImplementedError, match=r"^cotangent of a sum: got one that depends on later steps"):
        returns.transposed(Matrix(weight), Beside((d,), (3,)), shared)
    with pytest.raises(NotImplementedError, match=r"^cotangent of a sum: got one that depends on later steps"):
        returns.transposed(Matrix(weight), (d, d), shared)
    (other,) = returns.transposed(Matrix(2 * weight), (d,), shared)  # each weight has its own bounds, of other sums
    assert np.array_equal(other.value, 2 * found.value)
    most = Matrix(np.full((3, 2), judged.largest)), (Back(np.full((1, 3), judged.largest)),)
    with np.errstate(over="ignore"):
        huge = returns.transposed(*most, shared)
    assert huge[0].radius.tolist() == [[np.inf, np.inf]]


@pytest.mark.parametrize("name", ["float64", "float16", "float16_added_by_step", "tf32"])
def test_a_sum_over_time_has_the_terms_of_all_steps(name: str) -> None:
    returns, judged = reader(name), arithmetic(name)
    alpha, beta = spread(ADDED, judged)
    if judged.added_by_step:
        alpha += float((1 + Fraction(judged.unit_roundoff)) ** STEPS - 1) * (1 + alpha + beta)
    assert same(np.array(returns.over_time), np.array([alpha, beta]))
    d = Back(np.array([[1.0, -2.0], [0.5, 4.0]]), np.array([[0.0, 0.25], [0.0, 0.5]]))
    flushed = judged.smallest_normal * (1 + judged.gain(ADDED))
    (total,) = returns.summed((d,))
    lost = 2 * flushed if judged.operand_roundoff else 0.0
    assert total.value.tolist() == [1.5, 2]
    assert same(total.radius, alpha * d.size.sum(axis=0) + d.radius.sum(axis=0) + lost)
    assert same(total.scale, d.size.sum(axis=0))
    assert total.sum
    tiny = judged.smallest_normal * np.ones((2, 1))
    assert same(returns.summed((Back(tiny),))[0].radius, alpha * tiny.sum(axis=0) + lost)
    ended = returns.ended(total)
    underflow = REFERENCE.underflow(ADDED) + judged.underflow(ADDED)
    radius = (total.radius * (1 + beta) + beta * np.abs(total.value) + underflow) * (1 + REFERENCE.gain(ADDED))
    assert same(ended.radius, radius * EVALUATED)
    assert ended.value is total.value
    assert same(ended.scale, total.scale + underflow / judged.unit_roundoff)
    assert ended.sum
    assert returns.ended(Back(np.zeros(2), np.zeros(2), np.zeros(2))).radius.tolist() == [0, 0]


def test_a_sum_over_time_is_of_radius_zero_over_no_steps_alone() -> None:
    """A radius of 0 says that nothing was handed on, which `ended` leaves as it is."""
    nothing = Back(np.zeros((1, 2)))
    for steps, least in ((1, LEAST), (0, 0.0)):
        returns: Any = BallReturns(arithmetic("float64"), GATES, ROWS, steps, 1)
        (total,), (outer,) = returns.summed((nothing,)), returns.outer((nothing,), np.zeros((1, 3)))
        assert total.radius.tolist() == [least] * 2
        assert outer.radius.tolist() == [[least] * 2] * 3
        assert (outer.sum, total.sum) == (True, True)


def test_an_outer_product_over_time_in_float64() -> None:
    returns, judged = reader("float64"), arithmetic("float64")
    d = Back(np.array([[1.0, -2.0], [0.5, 4.0]]), np.array([[0.0, 0.25], [0.0, 0.5]]))
    x = Ball(np.array([[3.0], [-1.0]]), np.array([[0.5], [0.0]]))
    (found,) = returns.outer((d,), x)
    alpha, flushed = returns.over_time[0], judged.smallest_normal * (1 + judged.gain(ADDED))
    evaluated, size = 1 + REFERENCE.gain(ADDED + EVALUATION_ROUNDINGS), np.abs(x.value) + x.radius
    base = size.T @ (alpha * d.size + flushed) * evaluated + flushed * d.size.sum(axis=0)
    assert np.array_equal(found.value, x.value.T @ d.value)
    assert same(found.radius, base + (size.T @ d.radius + x.radius.T @ d.size) * evaluated)
    assert same(found.scale, base / alpha)
    (exact,) = returns.outer((Back(d.value),), x.value)
    assert same(exact.radius, np.abs(x.value).T @ (alpha * np.abs(d.value)) * evaluated)


@pytest.mark.parametrize("name", ["float16", "float16_of_float32"])
def test_an_outer_product_over_time_has_what_narrow_numbers_lose(name: str) -> None:
    """The smallest normal number counts here, once for each delta and for each number of the operand."""
    returns, judged = reader(name), arithmetic(name)
    d = Back(np.array([[0.0, 1.0, -2.0], [0.0, 0.5, 4.0]]), np.array([[0.0, 0.0, 0.25], [0.0, 0.0, 0.5]]))
    x = np.array([[3.0, 0.25], [-1.0, 0.0]])
    alpha, flushed = returns.over_time[0], judged.smallest_normal * (1 + judged.gain(ADDED))
    base = returns._magnitudes(np.abs(x), alpha * d.size + flushed) + flushed * d.size.sum(axis=0)
    (found,) = returns.outer((d,), x)
    assert same(found.radius, base + np.pad(returns._magnitudes(np.abs(x), d.radius[:, 2:]), ((0, 0), (2, 0))))
    assert same(found.scale, base / alpha)
    exact, unsure = Back(d.value), np.array([[0.5, 0.0], [0.0, 0.0]])
    (carried,) = returns.outer((exact,), Ball(x, unsure))
    base = returns._magnitudes(np.abs(x) + unsure, alpha * exact.size + flushed) + flushed * exact.size.sum(axis=0)
    assert same(carried.radius, base + returns._magnitudes(unsure, exact.size))
    assert (found.sum, carried.sum) == (True, True)


def test_magnitudes_of_a_narrow_dtype_are_multiplied_in_float32() -> None:
    """What float32 rounds and flushes is given back."""
    returns, single = reader("float16"), ARITHMETICS["float32"]
    x, d = np.array([[3.0, 0.0], [0.5, 1.0]]), np.array([[1.0], [0.25]])
    given_back = 1 + single.gain(ADDED + EVALUATION_ROUNDINGS)
    assert same(returns._magnitudes(x, d), x.T @ d * given_back + single.underflow(2))
    assert same(returns._magnitudes(0 * x, d), np.full((2, 1), single.underflow(2)))
    assert returns._magnitudes(x, d).dtype == np.float64


def test_a_factor_is_a_weight_a_state_that_is_shown_or_a_ball() -> None:
    returns, value = reader("float16_of_float32"), np.array([1.0, -2.0])
    weight, state = returns.factor(Matrix(value)), returns.factor(value.astype("float16"))
    assert (weight.value.tolist(), weight.exact) == ([1, -2], True)
    assert state.radius.tolist() == [2.0**-11 + 2.0**-14, 2.0**-10 + 2.0**-14]
    assert reader("float16").factor(value).exact
    total = returns.balls.add(Ball(value, np.array([0.0, 0.5])), Ball(value, np.zeros(2)))
    assert returns.factor(total).value.tolist() == [2, -4]
    assert returns.factor(total).radius.tolist() == returns.balls.closed(total).radius.tolist()
    assert returns.factor(Ball(value, np.zeros(2))).exact
    assert returns.factor(Ball(value, np.array([0.0, 0.5]))).radius.tolist() == [0, 0.5]


def test_gates_are_joined_beside_each_other() -> None:
    """Those to which nothing was handed are 0; scales and radii stay those of each."""
    returns, one = (
        reader("float32"),
        Back(np.array([[1.0, -2.0]]), np.array([[0.5, 0.0]]), np.array([[5.0, 6.0]]), sum=True),
    )
    (found,) = returns.joined({1: (one,)}, (1, 2, 1))
    assert found.value.tolist() == [[0, 1, -2, 0]]
    assert (found.radius.tolist(), found.scale.tolist(), found.sum) == ([[0, 0.5, 0, 0]], [[0, 5, 6, 0]], True)
    (plain,) = returns.joined({0: (replace(one, scale=None, sum=False),)}, (2, 1))
    assert (plain.scale.tolist(), plain.sum) == ([[1.5, 2, 0]], False)
    (exact,) = returns.joined({0: (Back(one.value),)}, (2, 1))
    assert (exact.value.tolist(), exact.exact) == ([[1, -2, 0]], True)
    (deep,) = returns.joined({1: (Back(ones := np.ones((2, 3, 4)), 2 * ones, 3 * ones),)}, (1, 2))
    for factor, array in ((1, deep.value), (2, deep.radius), (3, deep.scale)):
        assert np.array_equal(array, factor * np.pad(ones, ((0, 0), (0, 0), (2, 0))))


def test_gates_that_depend_on_later_steps_stay_parts() -> None:
    returns, value = reader("float32"), np.array([[1.0, -2.0]])
    own = Back(value, state=0)
    for unlike in ((own,), (own, Back(value)), Beside(((own,),), (2,))):
        joined = returns.joined({0: (Back(value),), 1: unlike}, (1, 1, 2))
        assert isinstance(joined, Beside)
        assert (joined.sizes, joined.parts[1]) == ((2, 2, 4), unlike)
        assert [joined.parts[k][0].value.tolist() for k in (0, 2)] == [[[1, -2]], [[0, 0, 0, 0]]]


@pytest.mark.parametrize("radius", [0.0, np.array([[0.5, 0.25, 0.125]])])
def test_parts_are_multiplied_by_their_columns_of_a_factor(radius: Any) -> None:
    returns, factor = reader("float32"), Back(np.array([[1.0, -2.0, 4.0]]), radius, products=2, largest=4.0)
    own, known = Back(1.0, state=1), Back(np.array([[3.0, 5.0]]))
    product = returns.product(Beside(((own,), (known, own)), (1, 2)), factor)
    assert (type(product), product.sizes, [len(part) for part in product.parts]) == (Beside, (1, 2), [1, 2])
    first, (second, third) = product.parts[0][0], product.parts[1]
    columns = [replace(factor, value=factor.value[:, a:b], radius=radius if factor.exact else radius[:, a:b])
               for a, b in ((0, 1), (1, 3))]  # fmt: skip
    for found, d, column in ((first, own, columns[0]), (second, known, columns[1]), (third, own, columns[1])):
        expected = returns.times(d, column)
        assert (found.value.tolist(), found.state) == (expected.value.tolist(), expected.state)
        assert np.array_equal(found.radius, expected.radius)
        assert (found.products, found.largest) == (expected.products, expected.largest)


@pytest.mark.parametrize("name", ["float32", "tf32"])
def test_a_probe_stands_for_what_was_handed_to_a_sum(name: str) -> None:
    """What was expected of it is kept, by its first row; of parts beside each other part by part."""
    returns, judged = ProbeReturns(arithmetic(name), GATES, ROWS, STEPS, SEQUENCES), arithmetic(name)
    reported = np.arange(12, dtype="float32").reshape(1, 2, 6)
    returns.of(reported, [])
    given, beside = Back(np.ones((1, 2, 2))), Beside(((Back(1.0, state=0),), (Back(2.0, state=1),)), (1, 3))
    sums = Node(None, rows=slice(0, 2), back=[(given,)]), Node(None, rows=slice(2, 6), back=[beside])
    for node in sums:
        (shown,) = returns.cotangent(node)
        assert np.array_equal(shown.value, reported[..., node.rows])
        assert (shown.value.dtype, shown.shown, shown.exact) == (np.float64, judged.operand_roundoff > 0, True)
        assert returns.cotangent(replace(node)) == (shown,)
    assert returns.expected == {0: (given,), 2: beside.parts[0], 3: beside.parts[1]}
    assert returns.cotangent(Node(None, rows=slice(1, 2), back=[(given,)])) == (returns.shown(slice(1, 2)),)
    assert returns.cotangent(Node(None, rows=slice(3, 5), back=[(given,)])) == (returns.shown(slice(3, 5)),)
    assert returns.expected[3] == beside.parts[1]
    assert sorted(returns.expected) == [0, 1, 2, 3]
    for reads in (returns, reader(name)):
        assert reads.cotangent(Node(None, back=[(given,)])) == (given,)
        assert reads.cotangent(Node(None)) is None
    parts = Node(None, rows=slice(0, 2), parts={0: ((given,), (1,))})
    assert returns.cotangent(parts) == (returns.shown(slice(0, 2)),)


def test_a_probe_is_handed_on_where_nothing_was_if_that_is_asked_for() -> None:
    returns, node = ProbeReturns(arithmetic("float32"), GATES, ROWS, STEPS, SEQUENCES), Node(None, rows=slice(2, 4))
    for everywhere in (True, False):
        returns.of(np.ones((1, 2, 6)), [], everywhere=everywhere)
        assert returns.cotangent(node) == ((returns.shown(slice(2, 4)),) if everywhere else None)
        assert returns.expected == {}
    returns.of(np.ones((1, 2, 6)), [])
    assert returns.cotangent(node) is None


def test_a_states_cotangent_is_its_own_or_known() -> None:
    """`own` has what was handed to it in its step."""
    returns, states = ProbeReturns(arithmetic("float32"), GATES, ROWS, STEPS, SEQUENCES), [Node(None), Node(None)]
    known, handed = Back(np.ones(3)), (Back(np.zeros(3)), Back(np.full(3, 2.0)))
    states[1].back = [handed[:1], handed[1:]]
    returns.of(np.ones((1, 2, 6)), states, {0: known})
    assert returns.cotangent(states[0]) == (known,)
    (own,) = returns.cotangent(states[1])
    assert (own.value, own.radius, own.state) == (1.0, 0.0, 1)
    assert returns.own == [[], [*handed]]
    returns.of(np.ones((1, 2, 6)), states)
    assert (returns.own, returns.cotangent(states[0])[0].state) == ([[], []], 0)
