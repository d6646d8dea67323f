"""The bounds against the exact answer: ball arithmetic, which shares no code with the reference, encloses it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from meta_tests.common.scale import at_night
from meta_tests.reference.bounds.ball import exact_stack, exact_steps, largest_radius, outside
from reference import DIRECTIONS, DTYPES, Case, RNNSpec, forward
from reference.bounds.arithmetic import arithmetic
from reference.bounds.step import Expected, step_bound
from reference.bounds.trajectory import trajectory_bound
from reference.cells import cell_of
from reference.draws import draw_case
from reference.recurrence import Track, initial_states

SEEDS = range(at_night(40, 1500))


def draw_stack(seed: int, dtype: str, num_layers: int | None = None, direction: str | None = None) -> Case:
    """A small random stack: 1 to 3 layers, any direction, tanh and relu, with and without bias, h0, lengths, clip."""
    words = np.random.PCG64(seed + 31)
    pick = lambda *choices: choices[int(words.random_raw()) % len(choices)]  # noqa: E731
    spec = RNNSpec(
        input_size=pick(1, 2, 3, 5),
        hidden_size=pick(1, 2, 3, 5),
        num_layers=num_layers or pick(1, 2, 3),
        direction=direction or pick(*DIRECTIONS),
        nonlinearity=pick("tanh", "relu"),
        bias=pick(True, False),
        clip=None if seed % 4 else 0.5,
    )
    batch, time = pick(1, 2), pick(1, 3, 6)
    lengths = [pick(*range(time + 1)) for _ in range(batch)] if pick(True, False) else None
    return draw_case(
        spec, batch=batch, time=time, dtype=dtype, seed=seed, weight_scale=pick(1.0, 1.0, 3.0),
        h0=pick(True, False), lengths=lengths, layout="time_first",
    )  # fmt: skip


def bounds(case: Case, judged: str | None) -> tuple[Expected, list[np.ndarray]]:
    """The trajectory bound of a stack: its last layer's output, directions side by side, and each cell's h_n bound."""
    (states,) = initial_states(case.spec, case.x, case.h0, case.layout)
    with np.errstate(all="ignore"):
        cells = trajectory_bound(
            case.spec, case.parameters, case.x, states, case.lengths, judged and arithmetic(judged)
        )  # fmt: skip
    top = cells[-case.spec.num_directions :]
    joined = top[0] if len(top) == 1 else Expected(*(
        type(a)(*(np.concatenate(pair, axis=-1) for pair in zip(a, b, strict=True))) for a, b in zip(*top, strict=True)
    ))  # fmt: skip
    return joined, [cell.h_n.bound for cell in cells]


def cases(dtype: str, **fixed: Any) -> Iterator[Case]:
    return (draw_stack(seed, dtype, **fixed) for seed in SEEDS)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_reference_lies_within_its_own_bound_of_the_exact_answer(dtype):
    """|float64 reference - exact| <= trajectory bound of the exact answer, whatever dtype holds the parameters."""
    for case in cases(dtype):
        exact, exact_h_n = exact_stack(case)
        assert largest_radius(exact) < 1e-40, "the ball must be smaller than any error it measures"
        double = forward(case.spec, [cell.astype(np.float64) for cell in case.parameters],
                         case.x.astype(np.float64), None if case.h0 is None else case.h0.astype(np.float64),
                         case.lengths, case.layout)  # fmt: skip
        expected, h_n_bounds = bounds(case, None)
        np.testing.assert_array_equal(double.output, expected.output.value)
        assert not outside(double.output, exact, expected.output.bound), case.spec
        assert not outside(double.h_n, exact_h_n, np.stack(h_n_bounds)), case.spec


@pytest.mark.parametrize("dtype", DTYPES)
def test_forward_in_each_dtype_lies_within_the_trajectory_bound(dtype):
    """|answer - float64 reference| <= its bound, and |answer - exact| <= that plus the reference's own."""
    judged = 0
    for case in cases(dtype):
        answer, (exact, _) = case.answer(), exact_stack(case)
        expected, own = bounds(case, dtype)[0].output, bounds(case, None)[0].output
        assert (np.abs(answer.output - expected.value) <= expected.bound).all(), case.spec
        assert not outside(answer.output, exact, expected.bound + own.bound), case.spec
        judged += int((expected.bound < expected.scale).sum())
    assert judged > 0, "every bound was vacuous"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_one_exact_step_from_the_answers_own_states_lies_within_the_step_bound(dtype, direction):
    for case in cases(dtype, num_layers=1, direction=direction):
        answer = case.answer()
        expected = steps_of(case, answer.output)
        exact = exact_steps(case, answer.output)
        assert not outside(answer.output, exact, expected.output.bound), case.spec
        assert not outside(expected.output.value, exact, expected.output.bound), case.spec


def steps_of(case: Case, output: np.ndarray) -> Expected:
    h0 = initial_states(case.spec, case.x, case.h0, case.layout)[0][0]
    lengths = None if case.lengths is None else np.asarray(case.lengths)
    track = Track(cell_of(case.spec), case.parameters[0], case.x, (h0,), lengths, case.spec.direction)
    return step_bound(track, output, arithmetic(case.dtype))


def planted_case(dtype: str) -> Case:
    return draw_case(RNNSpec(3, 5), batch=2, time=6, dtype=dtype, seed=5, layout="time_first", h0=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_planted_a_bound_scaled_down_fails(dtype):
    """The errors are real: a bound of a hundredth of the derived one is exceeded, in both kinds of bound."""
    case = planted_case(dtype)
    answer, (exact, _) = case.answer(), exact_stack(case)
    assert outside(answer.output, exact, bounds(case, dtype)[0].output.bound / 100)
    steps = steps_of(case, answer.output).output
    assert outside(answer.output, exact_steps(case, answer.output), steps.bound / 100)
    if dtype == "float64":
        assert outside(answer.output, exact, bounds(case, None)[0].output.bound / 100)


@pytest.mark.parametrize("dtype", DTYPES)
def test_planted_a_perturbed_answer_falls_outside(dtype):
    case = planted_case(dtype)
    answer, (exact, _) = case.answer(), exact_stack(case)
    for bound, near in (
        (bounds(case, dtype)[0].output.bound + bounds(case, None)[0].output.bound, exact),
        (steps_of(case, answer.output).output.bound, exact_steps(case, answer.output)),
    ):
        perturbed = answer.output.astype(np.float64)
        perturbed[3, 1, 2] += 3 * bound[3, 1, 2]
        assert outside(perturbed, near, bound) == 1


def test_planted_another_weight_leaves_the_ball():
    """The ball is small enough to tell apart weights that differ by one unit in the last place of float64."""
    case = planted_case("float64")
    changed = [cell.astype(np.float64) for cell in case.parameters]
    changed[0].w_hh[1, 2] = np.nextafter(changed[0].w_hh[1, 2], 1)
    exact, _ = exact_stack(case)
    other, _ = exact_stack(Case(case.spec, changed, case.x, case.h0, case.lengths, case.layout))
    assert not any(a.overlaps(b) for a, b in zip(exact[1, :, 1], other[1, :, 1], strict=True))
