"""Second derivatives: right ones are never rejected, however they come about, and wrong ones are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from meta_tests.common.differentiable import Machine, Var, gradients, layer
from meta_tests.common.scale import at_night
from reference import Case, CellParameters, Gradients, RNNSpec, Verdict, backward
from reference.bounds.arithmetic import arithmetic
from reference.draws import draw_case
from reference.judging.partial import gradients_shown, judge_view
from reference.judging.second_derivatives import MOST_NUMBERS, expected_of
from reference.judging.view import View
from reference.layout import each_state, from_state_tuple, state_to_batched, state_tuple

TWICE = View(differentiation="twice")
CELLS = ("elman", "gru", "gru_reset_before", "lstm")
SEEDS = range(at_night(5, 150))
SPECS = {
    "elman": RNNSpec(2, 3),
    "relu": RNNSpec(2, 3, nonlinearity="relu", direction="reverse"),
    "clipped": RNNSpec(2, 3, clip=0.4),
    "gru": RNNSpec(2, 2, cell="gru", num_layers=2),
    "gru_reset_before": RNNSpec(2, 2, cell="gru_reset_before", direction="bidirectional", bias=False),
    "lstm": RNNSpec(2, 3, cell="lstm", direction="reverse"),
    "peepholes": RNNSpec(2, 2, cell="lstm", peepholes=True),
    "coupled": RNNSpec(2, 2, cell="lstm", input_forget=True, clip=0.5),
    "projected": RNNSpec(2, 3, cell="lstm", projection_size=2),
}


def judged(case: Case, found: Gradients, declared: str | None = None) -> Verdict:
    return judge_view(case, TWICE, found.output, found.h_n, None, declared, gradients=found)


def drawn(spec: RNNSpec, dtype: str, seed: int, **more: Any) -> Case:
    given = {"batch": 2, "time": 3, "layout": "time_first", "h0": True, "gradients": "all", **more}
    return draw_case(spec, dtype=dtype, seed=seed, **given)


def total(case: Case) -> float:
    """The sum of all first gradients but those by biases, by the backward pass."""
    found = backward(case.spec, case.parameters, **case.inputs, cotangents=case.cotangents)
    matrices = [array for track in found.parameters for name, array in track.arrays().items() if name[0] == "w"]
    return float(sum(one.sum() for one in (found.x, *state_tuple(found.h0), *matrices)))


@pytest.mark.parametrize("kind", SPECS)
def test_they_are_the_differences_of_first_gradients(kind: str) -> None:
    """Central differences are off by a multiple of the step squared: by less than those of twice the step differ from
    them; and by what the sums round off, over the step."""
    case = drawn(SPECS[kind], "float64", 3, lengths=np.array([3, 2]) if kind in ("gru", "lstm") else None)
    found, step = gradients_shown(TWICE, case), 2.0**-10
    noise = 2.0**-52 * found.x.size * (1 + abs(total(case))) / step
    asked = [case.x, *state_tuple(case.h0), *(a for track in case.parameters for a in track.arrays().values())]
    answers = [found.x, *state_tuple(found.h0), *(a for track in found.parameters for a in track.arrays().values())]
    for array, answer in zip(asked, answers, strict=True):
        assert array.shape == answer.shape
        for place in [*np.ndindex(array.shape)][:: at_night(3, 1)]:
            before, sides = array[place], []
            for moved in (2 * step, step, -step, -2 * step):
                array[place] = before + moved
                sides.append(total(case))
            array[place] = before
            near, far = (sides[1] - sides[2]) / (2 * step), (sides[0] - sides[3]) / (4 * step)
            assert abs(answer[place] - near) <= abs(far - near) + noise


def of_machine(case: Case, machine: Machine) -> Gradients:
    """What simulated differentiation answers of one forward layer."""

    def var(array: np.ndarray) -> Var:
        return Var(machine, array.astype(np.float64))

    initial = [var(state_to_batched(state, case.layout)[0]) for state in state_tuple(case.h0)]
    x, weights = var(case.x), {name: var(array) for name, array in case.parameters[0].arrays().items()}
    outputs, finals = layer(case.spec, x, initial, weights)
    g_output, g_h_n = case.cotangents
    g = [*map(var, g_output), *(var(state_to_batched(one, case.layout)[0]) for one in state_tuple(g_h_n))]
    leaves = [x, *initial, *weights.values()]
    first = gradients([*outputs, *finals], g, leaves)
    counted = [one for one in first if one.value.ndim > 1]
    if machine.wrong == "x not counted":
        counted = counted[1:]
    if machine.wrong == "biases counted":
        counted = first
    by_x, *rest = gradients(counted, [var(np.ones(one.value.shape)) for one in counted], leaves)
    dtype, count = case.x.dtype, len(initial)
    h0, h_n = (from_state_tuple([one.value.astype(dtype)[None] for one in several])
               for several in (rest[:count], finals))  # fmt: skip
    tracks = CellParameters.of({name: one.value.astype(dtype) for name, one in zip(weights, rest[count:], strict=True)})
    shown = np.stack([one.value for one in outputs]).astype(dtype)
    return Gradients(by_x.value.astype(dtype), h0, [tracks], shown, h_n)


def machine_of(name: str, seed: int, wrong: str = "") -> Machine:
    rounding = ("random", "random sign", "up", "down")[seed % 4]
    return Machine(arithmetic(name).unit_roundoff, seed, rounding, seed % 2 > 0, seed % 3, wrong)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_no_correct_second_derivative_is_rejected(name: str, cell: str) -> None:
    outcomes, largest = [], 0.0
    for seed in SEEDS:
        spec = RNNSpec(1 + seed % 3, 1 + seed // 3 % 3, bias=seed % 4 > 0, cell=cell)
        case = drawn(spec, name, seed, time=1 + seed % 4, batch=1 + seed % 2, weight_scale=(1.0, 3.0)[seed % 5 == 4])
        verdict = judged(case, of_machine(case, machine_of(name, seed)), name)
        outcomes.append(verdict.outcome)
        largest = max(largest, verdict.max_fraction)
    assert "disagrees" not in outcomes
    assert outcomes.count("agrees") > len(outcomes) / 2
    assert largest > 0.001


@pytest.mark.parametrize(("cell", "wrong"), [
    *((cell, wrong) for cell in CELLS for wrong in ("flat slopes", "x not counted", "biases counted")),
    ("lstm", "c detached"),
])  # fmt: skip
def test_planted_a_wrong_second_derivative_is_rejected(cell: str, wrong: str) -> None:
    case = drawn(RNNSpec(2, 3, cell=cell), "float32", 1)
    assert judged(case, of_machine(case, machine_of("float32", 2))).outcome == "agrees"
    verdict = judged(case, of_machine(case, machine_of("float32", 2, wrong)))
    assert verdict.outcome == "disagrees"
    assert verdict.detail.startswith("second derivatives: d")


@pytest.mark.parametrize("kind", SPECS)
def test_planted_a_thousandth_too_much_is_rejected_in_float64(kind: str) -> None:
    """And what was computed in float32; of each array there is."""
    case = drawn(SPECS[kind], "float64", 3)
    right = gradients_shown(TWICE, case)
    assert judged(case, right).outcome in ("agrees", "vacuous")
    for change in (lambda a: a * 1.001, lambda a: a.astype(np.float32).astype(np.float64)):
        wrong = [right._replace(x=change(right.x)), right._replace(h0=each_state(change, right.h0))]
        for name in right.parameters[0].arrays():
            spoilt = {**right.parameters[0].arrays(), name: change(right.parameters[0].arrays()[name])}
            wrong.append(right._replace(parameters=[CellParameters.of(spoilt), *right.parameters[1:]]))
        for one in wrong:
            assert judged(case, one).outcome == "disagrees"


def test_what_stands_in_the_padding_changes_nothing_and_gets_nothing() -> None:
    case = drawn(RNNSpec(2, 3, cell="gru"), "float32", 2, lengths=np.array([3, 1]), layout="batch_first")
    right = gradients_shown(TWICE, case)
    assert not right.x[1, 1:].any()
    x = case.x.copy()
    x[1, 1:] = np.nan
    verdict = judged(replace(case, x=x), right)
    assert verdict.outcome == "agrees"
    read = right.x.copy()
    read[1, 2, 0] = 1e-30
    assert judged(case, right._replace(x=read)).outcome == "disagrees"


def test_a_mask_is_taken_as_lengths_are() -> None:
    case = drawn(RNNSpec(2, 3, cell="lstm"), "float64", 2)
    masked = replace(case, mask=np.array([[True, False], [False, True], [True, True]]))
    right = gradients_shown(TWICE, masked)
    assert not right.x[1, 0].any()
    assert judged(masked, right).outcome == "agrees"
    assert judged(case, right).outcome == "disagrees"


def test_of_too_many_numbers_nothing_is_said() -> None:
    """A jet of this layer has 81,000 elements, by each of which 200 units are differentiated."""
    case = draw_case(RNNSpec(200, 200), batch=1, time=2, gradients="all")
    assert MOST_NUMBERS < 81_000 * 200
    assert all(np.isinf(one.bound).all() for one in expected_of(case, arithmetic("float32")))
