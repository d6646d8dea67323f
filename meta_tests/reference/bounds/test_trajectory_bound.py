"""The bound of a whole trajectory, from its steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

import reference.bounds.trajectory
from reference import Case, CellParameters, RNNSpec
from reference.bounds.arithmetic import ARITHMETICS, arithmetic
from reference.bounds.step import Expected
from reference.bounds.trajectory import LONGEST_WINDOW, carry, products_cost, trajectory_bound
from reference.calculus.balls import Ball, activation_errors
from reference.calculus.signed import Carried, Moved, Signed
from reference.calculus.slopes import relu_slope_deviation, tanh_slope_deviation
from reference.calculus.sums import Sum
from reference.cells import cell_of
from reference.draws import draw_case
from reference.layout import reverse_within_lengths

U = {name: declared.unit_roundoff for name, declared in ARITHMETICS.items()}
TINY = {name: declared.smallest_normal for name, declared in ARITHMETICS.items()}


def same(actual: np.ndarray, expected: np.ndarray) -> bool:
    """Equal but for some roundings of float64, which the order of a sum decides: 16 units, a 4th of what is allowed."""
    return np.array_equal(np.round(actual / expected * 2.0**48), np.full(expected.shape, 2.0**48))


def stack_of(direction: str = "forward", nonlinearity: str = "tanh", scale: float = 1.0, **changes: Any) -> Case:
    spec = RNNSpec(2, 3, 2, direction, nonlinearity)
    sizes = {"batch": 2, "time": 5, "h0": True, "layout": "time_first", "weight_scale": scale}
    return draw_case(spec, **sizes | changes)


def trajectory(case: Case, judged: str | None = "float32") -> list[Expected]:
    lengths = None if case.lengths is None else np.asarray(case.lengths)
    with np.errstate(all="ignore"):  # as the judge calls it
        return trajectory_bound(case.spec, case.parameters, case.x, case.h0, lengths, judged and arithmetic(judged))


class Steps(NamedTuple):
    """The steps of one cell around its trajectory. inputs: [x_t, h_{t-1}, 1].  a: preactivations."""

    case: Case
    judged: str | None
    x_error: np.ndarray
    before: np.ndarray
    inputs: np.ndarray
    a: np.ndarray
    model: Sum

    @property
    def nonlinearity(self) -> str:
        return self.case.spec.nonlinearity

    @property
    def signed(self) -> Signed:
        return Signed(self.judged and arithmetic(self.judged))

    def moved(self, t: int, h_error: np.ndarray, spread: np.ndarray) -> Moved:
        cell, signed = cell_of(self.case.spec), self.signed
        weights = signed.weights(self.case.parameters[0].astype(np.float64))
        projected = cell.project(signed, weights, Ball(self.case.x[t].astype(np.float64), self.x_error[t]))
        return cell.step(signed, weights, projected, (Carried(self.before[t], h_error, spread),))[0]

    def carry(self, window: int = LONGEST_WINDOW) -> np.ndarray:
        parameters, x = self.case.parameters[0].astype(np.float64), Ball(self.case.x.astype(np.float64), self.x_error)
        output, h0 = (array.astype(np.float64) for array in (self.case.prefix(1).answer().output, self.case.h0[0]))
        given = parameters, x, output, Ball(h0, np.zeros_like(h0)), self.judged and arithmetic(self.judged), window
        return carry(cell_of(self.case.spec), *given)[0]


def steps_of(case: Case, judged: str | None, x_error: Any) -> Steps:
    """The steps of the first cell, as if each of its inputs were known to within x_error."""
    cell, x = case.parameters[0].astype(np.float64), case.x.astype(np.float64)
    before = np.concatenate([case.h0[:1], case.prefix(1).answer().output[:-1]]).astype(np.float64)
    model = Sum([cell.w_ih, cell.w_hh], [cell.b_ih, cell.b_hh], judged and arithmetic(judged))
    inputs = model.inputs([x, before])
    return Steps(case, judged, np.broadcast_to(x_error, x.shape), before, inputs, inputs @ model.weights, model)


def own_error(steps: Steps, t: int, h_error: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """delta_t as docs/error-bounds.md has it: the roundings of a step, and the remainder of its linearisation."""
    one, a, phi = steps.model, steps.a[t], steps.nonlinearity
    features = steps.x_error.shape[-1]
    w_ih, w_hh = one.magnitudes[:features], one.magnitudes[features:-1]
    below, before = steps.x_error[t] @ w_ih * one.evaluated, h_error @ w_hh * one.evaluated
    errors = np.concatenate([steps.x_error[t], h_error, np.zeros((2, 1))], axis=-1)
    rounded = one.radius(np.abs(steps.inputs[t]) + errors) + one.beta * (np.abs(a) + below + before)
    radius = below + before + rounded
    slope = 1 - np.tanh(a) ** 2 if phi == "tanh" else (a > 0) * 1.0
    deviation = (tanh_slope_deviation if phi == "tanh" else relu_slope_deviation)(a, radius)
    activated = np.tanh(a) if phi == "tanh" else np.maximum(a, 0)
    activation = (slope + deviation) * radius * activation_errors(steps.signed.judged, phi)[0]
    activation += steps.signed.activation_bound(activated, phi, one)
    products = arithmetic("float64").gain(3) * slope * (spread @ w_hh) + TINY["float64"]
    return slope * (below + rounded) + deviation * radius + activation + products


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("judged", [None, "float64", "float32", "bfloat16"])
def test_a_steps_own_error_is_what_the_document_says(judged: str | None, nonlinearity: str) -> None:
    steps = steps_of(stack_of(nonlinearity=nonlinearity), judged, 2.0**-6)
    h_error, spread = np.array([[1.0, 2.0, 3.0], [4.0, 0.0, 6.0]]) / 64, np.array([[8.0, 1.0, 2.0], [3.0, 9.0, 5.0]])
    for t in range(5):
        moved = steps.moved(t, h_error, spread)
        assert same(moved.own, own_error(steps, t, h_error, spread))
        assert not moved.overflows.any()


def test_the_products_own_roundings_show_where_nothing_else_does() -> None:
    """Saturated units and no error but a huge spread: what is left is the rounding of the Jacobian products."""
    steps = steps_of(stack_of(nonlinearity="relu"), None, 0.0)
    zero, spread = np.zeros((2, 3)), np.full((2, 3), 2.0**30)
    for t in range(5):
        assert same(steps.moved(t, zero, spread).own, own_error(steps, t, zero, spread))


def test_a_step_that_may_overflow_says_so() -> None:
    steps = steps_of(stack_of(nonlinearity="relu"), "float16", 2.0**40)
    assert steps.moved(0, np.zeros((2, 3)), np.zeros((2, 3))).overflows.all()


def carried(steps: Steps, window: int, ends: bool = True) -> np.ndarray:
    """E_t, one product of Jacobians after the other; after `window` steps the last E is a source of its own, and where
    a window ends after a step whose own errors are all at their limit."""
    time, batch, hidden = steps.a.shape
    w_hh, phi = steps.model.weights[steps.x_error.shape[-1] : -1].T, steps.nonlinearity
    slopes = 1 - np.tanh(steps.a) ** 2 if phi == "tanh" else (steps.a > 0) * 1.0
    summed = 1 + arithmetic("float64").gain(window * hidden + steps.model.terms + 64)
    error = spread = np.zeros((batch, hidden))
    bound = np.empty(steps.a.shape)
    sources: list[np.ndarray] = []
    products: list[np.ndarray] = []
    for t in range(time):
        if not sources or len(sources) > window:
            sources, products = [error], [np.stack([np.eye(hidden)] * batch)]
            spread = error
        products = [slopes[t][:, :, None] * (w_hh @ product) for product in products]
        own = steps.moved(t, error, spread).own
        through = sum(np.einsum("bij,bj->bi", np.abs(p), s) for p, s in zip(products, sources, strict=True))
        spread = (through + own) * summed
        limit = steps.moved(t, error, spread).limit
        error = bound[t] = np.minimum(spread, limit)
        sources, products = [*sources, own], [*products, np.stack([np.eye(hidden)] * batch)]
        if ends and own.min() >= limit:
            sources = []
    return bound


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("window", [1, 2, 5, 64])
def test_errors_are_carried_by_products_of_jacobians(nonlinearity: str, window: int) -> None:
    for scale in (1.0, 3.0):
        steps = steps_of(stack_of(nonlinearity=nonlinearity, scale=scale), "float32", 2.0**-20)
        assert same(steps.carry(window), carried(steps, window))


@pytest.mark.parametrize(("elements", "window"), [(0, 1), (18, 1), (36, 2), (53, 2), (54, 3)])
def test_a_window_is_as_long_as_its_products_fit(elements: int, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One step's products are 2 sequences times 3 times 3 numbers."""
    steps = steps_of(stack_of(), "float32", 2.0**-20)
    monkeypatch.setattr("reference.bounds.trajectory.PRODUCT_ELEMENTS", elements)
    assert same(steps.carry(), carried(steps, window))


def test_a_window_ends_where_all_errors_are_at_their_limit() -> None:
    """No bound is wider for it, the first after that step is narrower, and products are taken up again."""
    unsure = np.where(np.arange(12) // 3 == 1, 64.0, 2.0**-20)[:, None, None]  # of what the layer below answers
    steps = steps_of(stack_of(scale=0.5, time=12), "float32", unsure)
    short, long = carried(steps, 64), carried(steps, 64, ends=False)
    assert (short == short.max()).all(axis=(1, 2)).nonzero()[0].tolist() == [3, 4, 5]
    assert same(steps.carry(), short)
    assert np.all(short <= long * (1 + 2.0**-40))
    assert np.all(short[-1] < long[-1])


def test_the_work_of_a_trajectory_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Multiply-adds of the products of Jacobians: by count no more than products_cost says, which judges use to tell
    what is too dear; and none where all errors stay at their limit."""
    work: list[int] = []

    def counted(moved: Moved, live: np.ndarray) -> None:
        units, sources, batch, _ = live.shape
        work.append(batch * units**3 * (sources - 1))  # the newest source's product is the identity
        take_on(moved, live)

    take_on = reference.bounds.trajectory._take_on
    monkeypatch.setattr("reference.bounds.trajectory._take_on", counted)
    calm = stack_of("bidirectional", time=70)
    trajectory(calm)
    sources = sum(range(LONGEST_WINDOW)) + sum(range(70 - LONGEST_WINDOW))
    assert sum(work) == 4 * 2 * 3**3 * sources
    assert sum(work) <= products_cost(calm.spec, 70, 2) == 4 * 70 * 2 * 3**3 * 65 // 2
    work.clear()
    wild = draw_case(RNNSpec(4, 64), batch=2, time=100, dtype="float32", layout="time_first", weight_scale=4.0)
    trajectory(wild)
    assert 20 * sum(work) < products_cost(wild.spec, 100, 2)


def test_tanh_limits_the_error_and_relu_does_not() -> None:
    """Neither tanh leaves [-1, 1] by more than its activation's own error."""
    limit = 2 + 2 * (16 * U["float64"] + 2 * U["bfloat16"])
    assert max(cell.output.bound.max() for cell in trajectory(stack_of(scale=5.0, time=12), "bfloat16")) == limit
    grown = trajectory(stack_of(nonlinearity="relu", scale=5.0, time=12), "bfloat16")[-1].output.bound
    assert grown.max() > limit
    assert np.isfinite(grown).all()


def test_the_layer_below_is_known_only_within_its_bound() -> None:
    """The upper layer's bound is that of the same layer alone, reading the lower one's answer, with its bound."""
    case = stack_of(dtype="float64")
    lower, upper = trajectory(case, "float64")
    spec = replace(case.spec, input_size=3, num_layers=1)
    alone = Case(spec, case.parameters[1:], lower.output.value, case.h0[1:], layout="time_first")
    (exact,) = trajectory(alone, "float64")
    assert np.array_equal(upper.output.value, exact.output.value)
    assert np.all(upper.output.bound > exact.output.bound)
    assert same(upper.output.bound, carried(steps_of(alone, "float64", lower.output.bound), 64))


@pytest.mark.parametrize("lengths", [None, (5, 3), (0, 4)])
def test_a_reverse_cells_bound_is_the_forward_ones_on_the_reversed_sequence(lengths: Any) -> None:
    case = stack_of("reverse", lengths=lengths)
    given = None if lengths is None else np.array(lengths)
    flipped = replace(case, spec=replace(case.spec, direction="forward"), x=reverse_within_lengths(case.x, given))
    for back, there in zip(trajectory(case), trajectory(flipped), strict=True):
        for a, b in zip(back.output, there.output, strict=True):
            assert np.array_equal(a, reverse_within_lengths(b, given))
        for a, b in zip(back.h_n, there.h_n, strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_a_trajectorys_scale_is_that_of_its_steps(nonlinearity: str) -> None:
    case = stack_of(nonlinearity=nonlinearity)
    steps = steps_of(case, "float32", 0.0)
    expected = np.ones((5, 2, 3)) if nonlinearity == "tanh" else np.abs(steps.inputs) @ steps.model.magnitudes
    scale = trajectory(case)[0].output.scale
    assert np.array_equal(np.round(scale / expected * 2.0**16), np.full((5, 2, 3), 2.0**16))


def test_an_infinity_makes_every_later_bound_infinite() -> None:
    case = stack_of(nonlinearity="relu", dtype="float16")
    case.x[2] = 60_000
    bound = trajectory(case, "float16")[0].output.bound
    assert np.isfinite(bound[:2]).all()
    assert np.isinf(bound[2]).any()
    assert np.isinf(bound[3:]).all()


def test_a_bound_that_grows_beyond_all_numbers_is_infinite_and_never_nan() -> None:
    """Jacobians of 1e200, on a trajectory that stays at 0: their products are infinite, and 0 times infinity is NaN.
    The other unit's own error stays below its limit, where the products would end."""
    weights = np.array([[1e200, 0.0], [0.0, 0.5]])
    spec = RNNSpec(1, 2, bias=False)
    case = Case(spec, [CellParameters(np.zeros((2, 1)), weights)], np.zeros((6, 1, 1)), layout="time_first")
    (cell,) = trajectory(case, "float64")
    assert np.isfinite(cell.output.bound[0]).all()
    assert not np.isnan(cell.output.bound).any()
    assert np.isinf(cell.output.bound[-1]).any()
