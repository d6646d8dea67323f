"""Jets against derivatives of derivatives in numbers that float64 holds exactly, and what their factors may be off."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from meta_tests.common.exact import Dual, Exact
from reference.bounds.arithmetic import arithmetic
from reference.calculus.balls import Ball, Balls
from reference.calculus.jets import SLOPE_ROUNDINGS, Jet, Jets, Leaf, least, most, signed

SHAPES = {"w": (4, 2), "b": (4,), "p": (2,), "x": (2, 2, 2)}
SIZES = {name: int(np.prod(shape)) for name, shape in SHAPES.items()}
ELEMENTS = sum(SIZES.values())
UNIT = SLOPE_ROUNDINGS * 2.0**-24


def drawn(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Multiples of a quarter between -2 and 2."""
    return np.random.Generator(np.random.PCG64(seed)).integers(-8, 9, shape) / 4


ARRAYS = {name: drawn(shape, seed) for seed, (name, shape) in enumerate(SHAPES.items())}


def expression(operations: Any, w: Any, b: Any, p: Any, x: list[Any]) -> list[Any]:
    """Of every operation that is a polynomial: a sum, its gates, products and a mix."""
    first, second = operations.split(operations.affine([(w, x[0])], [b]), (1, 1))
    total = operations.affine([(w, x[1])], (), operations.affine([(w, x[0])], [b]))
    bias_of_gate, weight_of_gate = operations.split(b, (1, 1))[1], operations.split(w, (1, 1))[0]
    gate = operations.affine([(weight_of_gate, x[1])], [bias_of_gate])
    product = operations.multiply(first, operations.multiply(p, operations.multiply(p, second)))
    mixed = operations.mix(first, second, operations.add(gate, x[0]))
    return [total, product, mixed]


class Duals(Exact):
    """The same operations on arrays of Duals of Duals, whose matrices stand as (units, features)."""

    def affine(self, products: Any, biases: Any = (), start: Any = None) -> Any:
        terms = [operand @ weight.T for weight, operand in products] + [*biases]
        return sum(terms if start is None else [start, *terms])

    def split(self, a: Any, gates: Any) -> Any:
        """Of a matrix, rows: those of this expression have twice as many as a sum has sequences."""
        return np.split(a, 2, axis=0 if len(a) == 4 else -1)


def moving(element: int) -> dict[str, np.ndarray]:
    """The arrays with their derivatives: along the direction, by one element, and by both."""
    found, first = {}, 0
    for name, array in ARRAYS.items():
        along, by = float(name != "b"), np.arange(first, first + array.size).reshape(array.shape) == element
        found[name] = np.frompyfunc(lambda a, e, s=along: Dual(Dual(float(a), s), Dual(float(e))), 2, 1)(array, by)
        first += array.size
    return found


def jets_of(factor: Any) -> tuple[Jets, list[Jet]]:
    jets = Jets(Balls(arithmetic("float32")), factor, ELEMENTS)
    weights = jets.weights(SimpleNamespace(arrays=lambda: {name: ARRAYS[name] for name in ("w", "b", "p")}))  # type: ignore
    return jets, expression(jets, **weights, x=jets.leaf(ARRAYS["x"]))


def test_a_jet_has_the_exact_derivatives() -> None:
    jets, found = jets_of(lambda value, radius: value)
    for element in range(ELEMENTS):
        expected = expression(Duals(), **moving(element))
        for jet, duals in zip(found, expected, strict=True):
            for at in np.ndindex(duals.shape):
                one = duals[at]
                assert jets.balls.closed(jet.value).value[at] == one.value.value
                assert jet.along[at] == one.value.slope
                assert jet.by[(element, *at)] == one.slope.value
                assert jet.both[(element, *at)] == one.slope.slope


def test_a_factor_is_read_as_itself_or_as_a_magnitude() -> None:
    value, radius = np.array([-2.0, 0.5]), np.array([0.25, 1.0])
    assert signed(value, radius).tolist() == [-2, 0.5]
    assert least(value, radius).tolist() == [2, 0.5]
    assert most(value, radius).tolist() == [2.25, 1.5]


def test_a_jet_is_changed_in_all_of_its_arrays() -> None:
    ball = Ball(np.ones((2, 1)), np.zeros((2, 1)), 5.0)
    jet = Jet(ball, np.full((2, 1), 2.0), np.full((3, 2, 1), 3.0), np.full((3, 2, 1), 4.0))
    changed = jet.map(lambda array: array[..., :1, :] * 2)
    assert (changed.value.value.tolist(), changed.value.radius.tolist(), changed.value.scale) == ([[2]], [[0]], 1.0)
    assert (changed.along.tolist(), changed.by.tolist(), changed.both.tolist()) == ([[4]], [[[6]]] * 3, [[[8]]] * 3)


def one_jet(value: float, radius: float) -> Jet:
    """Of one number, with derivatives 2, 3 and 5."""
    ball = Ball(np.full((1, 1), value), np.full((1, 1), radius))
    return Jet(ball, np.full((1, 1), 2.0), np.full((1, 1, 1), 3.0), np.full((1, 1, 1), 5.0))


@pytest.mark.parametrize("a", [-1.5, 0.0, 0.25])
@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_the_slopes_of_an_activation_have_all_of_their_errors(name: str, a: float) -> None:
    """Terms of a slope may cancel; what the activation itself is off moves them."""
    seen: list[tuple[Any, Any]] = []

    def factor(value: Any, radius: Any) -> Any:
        seen.append((value.item(), float(np.max(radius))))
        return value

    jets, given = Jets(Balls(arithmetic("float32")), factor, 1), one_jet(a, 0.125)
    found = getattr(jets, name)(given)
    y, r = found.value.value.item(), found.value.radius.item()
    assert (y, r) == (
        getattr(jets.balls, name)(given.value).value.item(),
        getattr(jets.balls, name)(given.value).radius.item(),
    )
    if name == "sigmoid":
        first, second = y * (1 - y), y * (1 - y) * (1 - 2 * y)
        errors = r * (1 + r) + UNIT * (2 * (abs(y) + r)), r * (1 + 6 * r) + UNIT * (4 * (abs(y) + r))
    else:
        first, second = 1 - y**2, -2 * y * (1 - y**2)
        errors = r * (2 * abs(y) + r) + UNIT * 2.0, r * (4 + 6 * r) + UNIT * 8.0
    assert seen == [(first, errors[0]), (second, errors[1])]
    assert (found.along.item(), found.by.item()) == (2 * first, 3 * first)
    assert found.both.item() == 5 * first + second * 2 * 3


def test_relu_and_a_clip_have_a_slope_that_may_be_unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the interval reaches the edge; on the edge itself relu has none, and a clip has."""
    jets = Jets(Balls(arithmetic("float32")), lambda value, radius: value + 10.0 * radius, 1)
    monkeypatch.setattr(jets.balls, "clip", lambda a, limit: (a, limit))  # balls clip sums that are open
    for name, more, slopes in (
        ("relu", (), {(-1.0, 0.5): 0, (-1.0, 1.0): 10, (0.0, 0.0): 10, (1.0, 0.5): 1, (1.0, 2.0): 11}),
        ("clip", (2.0,), {(-3.0, 0.5): 0, (-3.0, 1.0): 10, (2.0, 0.0): 11, (1.0, 0.5): 1, (1.0, 1.0): 11}),
    ):
        for (value, radius), slope in slopes.items():
            given = one_jet(value, radius)
            found = getattr(jets, name)(given, *more)
            assert (found.along.item(), found.by.item(), found.both.item()) == (2 * slope, 3 * slope, 5 * slope)
            assert name == "relu" or found.value == (given.value, 2.0)


def test_a_mix_reads_each_of_its_factors_with_its_error() -> None:
    seen: list[tuple[float, float]] = []

    def factor(value: Any, radius: Any) -> Any:
        seen.append((float(np.max(value)), float(np.max(radius))))
        return value

    jets = Jets(Balls(arithmetic("float32")), factor, 1)
    jets.mix(one_jet(0.25, 0.5), one_jet(-2.0, 0.125), one_jet(3.0, 0.25))
    assert seen == [(5, 0.375 + UNIT * 5), (0.75, 0.5 + UNIT * 2), (0.25, 0.5 + UNIT * 2), (-1, 0)]


def test_a_slope_is_rounded_by_the_coarser_of_two_formats() -> None:
    for name, u in (("float32", 2.0**-24), ("tf32", 2.0**-22), ("float16_accumulate_float32", 2.0**-11)):
        assert Jets(Balls(arithmetic(name)), signed, 1).unit == SLOPE_ROUNDINGS * u


def test_weights_and_leaves_are_numbered_in_the_order_in_which_they_come() -> None:
    jets = Jets(Balls(arithmetic("float32")), signed, 10)
    weights = jets.weights(SimpleNamespace(arrays=lambda: {"a": np.ones((2, 2)), "b": np.ones(2)}))  # type: ignore
    assert isinstance(weights["a"], Leaf)
    assert (weights["a"].places.tolist(), weights["b"].places.tolist()) == ([[0, 1], [2, 3]], [4, 5])
    one, other = jets.leaf(np.ones((2, 1, 2), "float16"))
    assert [int(index) for index in np.argwhere(one.by)[:, 0]] == [6, 7]
    assert [int(index) for index in np.argwhere(other.by)[:, 0]] == [8, 9]
    assert (one.value.value.dtype, one.value.radius.tolist(), one.along.tolist()) == (np.float64, [[0, 0]], [[1, 1]])
    assert not one.both.any()
