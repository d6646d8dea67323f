"""Correct GRUs and LSTMs are never rejected; wrong ones are. The bound on h stays flat however long c is carried."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from meta_tests.common.gated import MIXES, Gated
from meta_tests.common.implementations import Machine
from meta_tests.common.scale import at_night
from meta_tests.tables.gated import CELLS, Drawn, count, draw, verdicts
from reference import Case, CellParameters, RNNSpec, judge
from reference.bounds.arithmetic import ARITHMETICS, arithmetic
from reference.bounds.step import step_bound
from reference.draws import draw_case
from reference.layout import each_state
from reference.recurrence import Track, initial_states

CASES = at_night(96, 100_000 // (len(ARITHMETICS) * len(CELLS)))
IN_ORDER = tuple(range(100))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ARITHMETICS)
def test_no_correct_gated_cell_is_rejected(name: str, cell: str) -> None:
    """Every formula of the mix, any order of the sums, peepholes, coupled gates, projections, clipped arguments."""
    counted = count(name, cell, CASES)
    assert counted.rejected == 0, counted
    assert counted.cases > 3 * counted.vacuous, "most cases must be judged"
    # the machines of a narrower format round more finely than they may
    least = 0.01 if arithmetic(name).narrow else 0.2
    assert least < counted.largest_fraction <= 1, "the machines must come near the bound"


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "gates exchanged": ("gru", {}),
    "the other reset": ("gru", {}),
    "b_hn outside": ("gru", {}),
    "z complemented": ("gru_reset_before", {}),
    "not clipped": ("lstm", {"clip": 0.1}),
    "not coupled": ("lstm", {"input_forget": True}),
    "nothing forgotten": ("lstm", {}),
    "peephole of c before": ("lstm", {"peepholes": True}),
    "no tanh of c": ("lstm", {}),
    "c one step early": ("lstm", {"projection_size": 2}),
}


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("wrong", WRONG)
def test_planted_a_wrong_gated_cell_is_rejected(wrong: str, mix: str) -> None:
    cell, more = WRONG[wrong]
    drawn = draw("float32", cell, 4, 4, RNNSpec(4, 6, cell=cell, **more))
    drawn = drawn._replace(x=np.clip(drawn.x, -1, 1), start=[np.clip(one, -1, 1) for one in drawn.start])
    gated = Gated(Machine("float32", IN_ORDER), mix)
    assert {verdict.outcome for verdict in verdicts(gated, drawn)} == {"agrees"}
    assert {verdict.outcome for verdict in verdicts(replace(gated, wrong=wrong), drawn)} == {"disagrees"}


@pytest.mark.parametrize("input_forget", [False, True])
def test_planted_without_its_allowance_a_c_that_is_computed_twice_is_rejected(
    input_forget: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where f c and i g cancel, h tells of another c than the one that is carried on."""
    drawn = draw("float32", "lstm", 2, 32, RNNSpec(4, 6, cell="lstm", input_forget=input_forget))
    twice = Gated(Machine("float32", IN_ORDER), twice=True)
    assert "disagrees" not in {verdict.outcome for verdict in verdicts(twice, drawn)}
    monkeypatch.setattr("reference.calculus.balls.Balls.update_error", lambda *_: 0.0)
    assert "disagrees" in {verdict.outcome for verdict in verdicts(twice, drawn)}


@pytest.mark.parametrize("cell", CELLS)
def test_planted_a_float32_product_inside_a_float64_cell_is_rejected(cell: str) -> None:
    drawn = draw("float64", cell, 4, 4, RNNSpec(4, 6, cell=cell))
    narrow = Gated(Machine("float64", IN_ORDER, accumulator="float32"))
    assert {verdict.outcome for verdict in verdicts(narrow, drawn)} == {"disagrees"}


@pytest.mark.parametrize("cell", CELLS)
def test_planted_a_sigmoid_off_by_four_times_the_assumption_is_rejected(cell: str) -> None:
    """Where the activations decide: open gates, whose arguments' errors hardly count."""
    drawn = draw("float32", cell, 3, 4, RNNSpec(2, 3, cell=cell))
    saturated = Drawn(drawn.spec, {n: np.abs(a) + 1 for n, a in drawn.weights.items()}, np.abs(drawn.x) * 0 + 8,
                      [np.abs(one) for one in drawn.start])  # fmt: skip
    machine = Machine("float32", IN_ORDER, tanh_error="up")
    for excess, outcome in ((1.0, "agrees"), (4.0, "disagrees")):
        gated = Gated(replace(machine, tanh_excess=excess))
        assert {verdict.outcome for verdict in verdicts(gated, saturated)} == {outcome}


def bounds(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The bound on h and on the last c, in units of float32's roundoff, of an answer that is the reference's."""
    states = tuple(state[0] for state in initial_states(case.spec, case.x, case.h0, case.layout))
    track = Track(case.spec.made, case.parameters[0], case.x, states, None, "forward")
    expected = step_bound(track, case.answer().output, arithmetic("float32"))
    return expected.output.bound * 2.0**24, expected.hidden[0].bound * 2.0**24


@pytest.mark.parametrize("forget", [0.0, 1.0, 5.0, 20.0])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_the_bound_on_h_is_flat_to_a_thousand_steps(forget: float, scale: float) -> None:
    """What the reported h says of c keeps c as sharp as h; where c is saturated, h does not feel it."""
    spec = RNNSpec(8, 16, cell="lstm")
    case = draw_case(spec, batch=2, time=1000, layout="time_first", weight_scale=scale, seed=5)
    arrays = {name: array.copy() for name, array in case.parameters[0].arrays().items()}
    arrays["b_ih"][16:32] += np.float32(forget)
    of_h, of_c = bounds(replace(case, parameters=[CellParameters.of(arrays)]))
    early, late = np.median(of_h[5:15]), np.median(of_h[-100:])
    assert late < 2 * early
    assert of_h.max() < 4_000
    assert np.isfinite(of_c).all()


def test_planted_without_what_h_says_of_c_the_bound_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = RNNSpec(8, 16, cell="lstm")
    case = draw_case(spec, batch=2, time=300, layout="time_first", seed=5)
    arrays = {name: array.copy() for name, array in case.parameters[0].arrays().items()}
    arrays["b_ih"][16:32] += np.float32(3)
    case = replace(case, parameters=[CellParameters.of(arrays)])
    _, of_c = bounds(case)
    monkeypatch.setattr("reference.calculus.scan._gate", lambda h, c: None)
    _, plain = bounds(case)
    assert np.median(plain) > 2 * np.median(of_c)
    assert (of_c <= plain * (1 + 2.0**-40)).all()


@pytest.mark.parametrize("cell", ["gru", "gru_reset_before", "lstm"])
def test_nothing_is_known_of_a_gate_whose_argument_may_overflow(cell: str) -> None:
    """It may be NaN, as infinity minus infinity is, though a gate has a range; where nothing overflows NaN is wrong."""
    case = draw_case(RNNSpec(17, 5, cell=cell), batch=2, time=3, dtype="float64", input_scale=1e270)
    output, h_n = (each_state(lambda one: np.full_like(one, np.nan), part) for part in case.answer())
    assert judge(case, output, h_n, declared="float64_of_float32").outcome == "vacuous"
    assert judge(case, output, h_n).outcome == "disagrees"


@pytest.mark.parametrize("cell", ["gru", "gru_reset_before", "lstm"])
def test_nothing_is_known_of_a_sigmoid_beyond_its_end(cell: str) -> None:
    """There it may be NaN; short of it, where nothing is declared, and of another number than NaN, that is wrong."""
    declared = "float32_sigmoid_to_2_88"
    gated = Gated(Machine(declared, IN_ORDER))
    for weight, outcomes in ((2.0**89, {"vacuous"}), (2.0**87, {"agrees"})):
        drawn = draw("float32", cell, 2, 3, RNNSpec(1, 1, cell=cell))
        weights = {name: np.full_like(array, weight if name == "w_ih" else 0) for name, array in drawn.weights.items()}
        drawn = drawn._replace(weights=weights, x=np.ones_like(drawn.x))
        assert {verdict.outcome for verdict in verdicts(gated, drawn)} == outcomes, (weight, cell)
