"""Gradients in forward mode: correct machines are never rejected, and wrong ones are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from meta_tests.common.forward_mode import forward_mode
from meta_tests.common.scale import at_night
from meta_tests.tables.backward import CELLS, draw_backward
from reference import Case, CellParameters, Gradients, RNNSpec, Verdict, backward, probe
from reference.draws import draw_case
from reference.judging.partial import judge_view
from reference.judging.view import View
from reference.layout import from_state_tuple, state_to_batched, state_tuple

FORWARD = View(differentiation="forward")
SEEDS = range(at_night(6, 200))


def drawn(cell: str, seed: int, dtype: str) -> Case:
    spec = RNNSpec(2, 2 + seed % 2, bias=seed % 3 > 0, cell=cell)
    return draw_case(spec, batch=2, time=3, dtype=dtype, layout="time_first", h0=True, seed=seed, gradients="all",
                     weight_scale=(1.0, 4.0)[seed % 5 == 4])  # fmt: skip


def of_machine(case: Case, arithmetic: str, seed: int, wrong: str = "") -> Gradients:
    """What a simulated machine answers of the probed layer."""
    probed = probe(case)
    initial = [state_to_batched(state, case.layout)[0] for state in state_tuple(case.h0)]
    leaves = {"x": probed.x, **{str(k): one for k, one in enumerate(initial)}, **probed.parameters[0].arrays()}
    g_output, g_h_n = case.cotangents
    finals = [state_to_batched(one, case.layout)[0] for one in state_tuple(g_h_n)]
    machine = draw_backward(arithmetic, seed)
    order = tuple(int(i) for i in np.random.default_rng(seed).permutation(1024))
    machine = replace(machine, gated=replace(machine.gated, machine=replace(machine.gated.machine, order=order)))
    with np.errstate(all="ignore"):
        found, output, states = forward_mode(machine, case.spec, leaves, len(initial), g_output, finals, wrong)
    by_h0 = from_state_tuple([found[str(k)][None] for k in range(len(initial))])
    tracks = [CellParameters.of({name: found[name] for name in probed.parameters[0].arrays()})]
    return Gradients(found["x"], by_h0, tracks, output, from_state_tuple([one[None] for one in states]))


def judged(case: Case, gradients: Gradients, arithmetic: str) -> Verdict:
    return judge_view(case, FORWARD, gradients.output, gradients.h_n, None, arithmetic, gradients=gradients)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("arithmetic", ["float32", "float64", "float16"])
def test_no_correct_forward_mode_is_rejected(arithmetic: str, cell: str) -> None:
    outcomes, largest = [], 0.0
    for seed in SEEDS:
        case = drawn(cell, seed, arithmetic)
        verdict = judged(case, of_machine(case, arithmetic, seed), arithmetic)
        outcomes.append(verdict.outcome)
        largest = max(largest, verdict.max_fraction)
    assert "disagrees" not in outcomes
    assert outcomes.count("agrees") > len(outcomes) / 2
    assert largest > 0.01


@pytest.mark.parametrize("wrong", ["truncated", "half"])
@pytest.mark.parametrize("cell", CELLS)
def test_planted_a_wrong_forward_mode_is_rejected(cell: str, wrong: str) -> None:
    case = drawn(cell, 1, "float32")
    assert judged(case, of_machine(case, "float32", 1), "float32").outcome == "agrees"
    verdict = judged(case, of_machine(case, "float32", 1, wrong), "float32")
    assert verdict.outcome == "disagrees"
    assert verdict.detail.startswith("in forward mode: d")


@pytest.mark.parametrize("cell", CELLS)
def test_planted_a_float32_sum_in_float64_is_rejected(cell: str) -> None:
    """The bound is some hundred roundings wide, and no wider."""
    case = drawn(cell, 2, "float64")
    probed = probe(case)
    right = backward(probed.spec, probed.parameters, probed.x, probed.h0, cotangents=case.cotangents,
                     layout=case.layout)  # fmt: skip
    assert judged(case, right, "float64").outcome == "agrees"
    rounded = right._replace(x=right.x.astype(np.float32).astype(np.float64))
    assert judged(case, rounded, "float64").outcome == "disagrees"
