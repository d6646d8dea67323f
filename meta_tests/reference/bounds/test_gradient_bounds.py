"""Correct backward passes are never rejected; wrong ones are, and named. What is known narrows the bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from meta_tests.common.backward import WRONG, Backward
from meta_tests.common.gated import Gated
from meta_tests.common.gradients import SPECS, gradient_case, with_cotangents
from meta_tests.common.implementations import Machine
from meta_tests.common.scale import at_night
from meta_tests.tables.backward import CELLS, MOST_TERMS, PROVED, count, verdicts
from reference import CellParameters, Gradients, RNNSpec, judge_gradients, probe
from reference.bounds import gradients as bounds
from reference.bounds.arithmetic import arithmetic
from reference.draws import draw_case
from reference.layout import each_state, state_tuple
from reference.recurrence import Track, initial_states

CASES = at_night(32, 50_000 // (len(PROVED) * len(CELLS)))
IN_ORDER = tuple(range(MOST_TERMS))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", PROVED)
def test_no_correct_backward_pass_is_rejected(name: str, cell: str) -> None:
    """Every formula of a slope and of a mix, any order of the sums, weights' gradients added up step by step."""
    counted = count(name, cell, CASES)
    assert counted.rejected == 0, counted
    assert counted.cases > 2 * counted.vacuous, "most cases must be judged"
    assert 0.1 < counted.largest_fraction <= 1, "the machines must come near the bound"


OF = {"c detached": "lstm", "slope of the step before": "elman", "reset's gradient missing": "gru",
      "dU without r": "gru", "gates exchanged": "lstm"}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_planted_a_wrong_machine_is_rejected(wrong: str) -> None:
    spec = RNNSpec(4, 6, cell=OF[wrong])
    right = Backward(Gated(Machine("float32", IN_ORDER)))
    for machine, outcome in ((right, "agrees"), (Backward(right.gated, wrong=wrong), "disagrees")):
        for verdict in verdicts(machine, "float32", OF[wrong], 4, 4, spec):
            assert verdict.outcome == outcome, verdict


@pytest.mark.parametrize("cell", ["elman", "gru", "gru_reset_before", "lstm"])
def test_what_is_computed_in_a_narrower_format_is_judged_by_that(cell: str) -> None:
    """float32 throughout, shown as float64: right as declared, wrong in float64, and a fault is seen."""

    def shown(array: Any) -> Any:
        return each_state(lambda one: one.astype("float64"), array)

    for direction in ("forward", "bidirectional"):
        case = with_cotangents(draw_case(RNNSpec(3, 5, direction=direction, cell=cell), batch=3, time=6, h0=True))
        given = tuple(map(shown, case.cotangents))
        wide = replace(case, parameters=[one.astype("float64") for one in case.parameters], x=shown(case.x),
                       h0=shown(case.h0), cotangents=given)  # fmt: skip
        x, h0, tracks, *answer = probe(case).gradients()
        found = Gradients(shown(x), shown(h0), [one.astype("float64") for one in tracks], *map(shown, answer))
        assert judge_gradients(wide, found, "float64_of_float32").outcome == "agrees"
        assert judge_gradients(wide, found).outcome == "disagrees"
        spoilt = found.x.copy()
        spoilt[1, 2, -1] *= 1 + 1e-4
        assert judge_gradients(wide, found._replace(x=spoilt), "float64_of_float32").detail.startswith("delta")


def deltas(case_cell: str, bias: float, time: int = 300) -> np.ndarray:
    """The bound on the deltas of an answer that is the reference's, over the size of the largest one."""
    spec = RNNSpec(8, 16, cell=case_cell)
    case = draw_case(spec, batch=2, time=time, layout="time_first", seed=5)
    arrays = {name: array.copy() for name, array in case.parameters[0].arrays().items()}
    arrays["b_ih"][16:32] += np.float32(bias)  # of f, or of z
    case = with_cotangents(draw_case(spec, batch=2, time=time, layout="time_first", seed=5))
    case = type(case)(
        spec, [CellParameters.of(arrays)], case.x, case.h0, layout="time_first", cotangents=case.cotangents
    )
    found = probe(case).gradients()
    states = tuple(state[0] for state in initial_states(spec, case.x, None, "time_first"))
    track = Track(spec.made, case.parameters[0], case.x, states, None, "forward")
    finals = [one[0] for one in (case.cotangents[1] if case_cell == "lstm" else [case.cotangents[1]])]
    delta = bounds.gradient_bound(track, found.output, found.x[..., 8:], case.cotangents[0], finals,
                                  arithmetic("float32")).delta  # fmt: skip
    assert (np.abs(delta.value - found.x[..., 8:]) <= delta.bound).all()
    return delta.bound


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("lengths", [None, [7, 4, 1]])
def test_blocks_of_time_change_no_bound(name: str, lengths: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a block hands to the one before it is all that that one needs."""
    case = gradient_case(name, time=7, lengths=lengths, layout="time_first")
    found = probe(case).gradients()
    states = tuple(state[0] for state in state_tuple(case.h0))
    track = Track(case.spec.made, case.parameters[0], case.x, states, case.lengths, "forward")
    finals = [one[0] for one in state_tuple(case.cotangents[1])]
    seen = []
    for elements in (2**17, 1, 24):
        monkeypatch.setattr(bounds, "BLOCK_ELEMENTS", elements)
        answer = bounds.gradient_bound(track, found.output, found.x[..., 3:], case.cotangents[0], finals,
                                       arithmetic("float32"))  # fmt: skip
        seen.append([answer.forward.output, *answer.forward.hidden, answer.delta, *answer.states,
                     *answer.parameters.values(), bounds.enclosure(answer.x, arithmetic("float32"))])  # fmt: skip
    for blocks in seen[1:]:
        for whole, one in zip(seen[0], blocks, strict=True):
            for a, b in zip(whole, one, strict=True):
                assert (np.abs(a - b) <= np.abs(a) * 2.0**-20 + 2.0**-110).all()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_planted_without_what_deltas_say_the_bound_grows(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is carried on by z or f near 1 would pile up; the deltas say what it is."""
    tight = deltas(cell, 5.0)
    monkeypatch.setattr(bounds, "narrowed", lambda x, error, _below, _above: (x, error))
    plain = deltas(cell, 5.0)
    middle = slice(100, 200)
    assert np.median(plain[middle]) > 2 * np.median(tight[middle])
    assert (tight <= plain * (1 + 2.0**-30)).all()
