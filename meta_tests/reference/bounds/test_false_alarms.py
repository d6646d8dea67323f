"""Correct implementations are never rejected; wrong ones are."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from meta_tests.common.implementations import Cells, Machine, scan
from meta_tests.common.scale import at_night
from meta_tests.tables.false_alarms import BOUNDS, Batch, count, draw_batch, draw_machine, run, verdicts, wrong_tanh
from reference import Case, CellParameters, RNNSpec, judge
from reference.bounds.arithmetic import ARITHMETICS
from reference.draws import Draw, draw_case

CASES = at_night(2_800, 100_000) // len(ARITHMETICS) + 1
IN_ORDER = tuple(range(100))
# faults: an accumulator that is narrower than declared, or weights of fewer bits than the arithmetic keeps
TOO_NARROW: dict[str, dict[str, Any]] = {
    "float64": {"accumulator": "float32"},
    "float32": {"weight_bits": 11},
    "float16": {"weight_bits": 4},
    "bfloat16": {"weight_bits": 1},
    "float16_accumulate_float32": {"accumulator": "float16", "rounding": "away"},
    "bfloat16_accumulate_float32": {"accumulator": "bfloat16", "rounding": "away"},
    "float16_added_by_step": {"accumulator": "float16", "rounding": "away"},
    "bfloat16_added_by_step": {"accumulator": "bfloat16", "rounding": "away"},
    "tf32": {"weight_bits": 6},
    "bfloat16_products": {"weight_bits": 3},
    "float16_of_float32": {"accumulator": "float16", "rounding": "away"},
    "bfloat16_of_float32": {"accumulator": "bfloat16", "rounding": "away"},
    "float32_sigmoid_tanh": {"weight_bits": 11},
    "float32_sigmoid_floor": {"weight_bits": 11},
    "float32_early_tanh": {"weight_bits": 11},
    "float32_clamped_sigmoid": {"weight_bits": 11},
    "float16_activations": {"accumulator": "float16", "rounding": "away"},
    "float32_fast_exp": {"weight_bits": 11},
    "float32_sigmoid_to_2_88": {"weight_bits": 11},
    "float64_sigmoid_floor": {"weight_bits": 24},
    "float64_of_float32": {"weight_bits": 11},
    "float64_of_float32_products": {"weight_bits": 11},
    "float32_of_bfloat16": {"weight_bits": 2},
}


@pytest.mark.parametrize("name", ARITHMETICS)
def test_no_correct_implementation_is_rejected(name):
    for row in count(name, CASES):
        assert row.rejected == 0, row
        assert row.cases >= CASES
        assert row.cases > 2 * row.vacuous, "most cases must be judged"
        assert 0.4 < row.largest_fraction <= 1, "the machines must come near the bound"


@pytest.mark.parametrize("name", ARITHMETICS)
def test_no_correct_implementation_that_clips_is_rejected(name):
    for row in count(name, CASES // 2, clip=0.5):
        assert row.rejected == 0, row
        assert row.cases > 2 * row.vacuous, "most cases must be judged"
        assert 0.4 < row.largest_fraction <= 1, "the machines must come near the bound"


@pytest.mark.parametrize("name", ARITHMETICS)
def test_planted_one_that_does_not_clip_is_rejected(name):
    machine, seen = Machine(name, IN_ORDER), set[tuple[str, str]]()
    for batch in (draw_batch(name, seed) for seed in range(3)):
        clips, (layers, h_n) = replace(batch, spec=replace(batch.spec, clip=0.25)), run(machine, batch)
        assert "disagrees" not in [verdict.outcome for _, _, verdict in verdicts(machine, clips)]
        for k, bound in product(range(len(batch.x)), BOUNDS):
            lower = [layer[k] for layer in layers[:-1]] if bound == "step" else None
            seen.add((bound, judge(clips.case(k), layers[-1][k], h_n[:, k], lower, name, bound).outcome))
    assert seen >= {(bound, "disagrees") for bound in BOUNDS}


@pytest.mark.parametrize("name", ["float32", "float64", "bfloat16_accumulate_float32"])
def test_long_trajectories_are_not_rejected(name):
    """Many windows of Jacobian products: contracting, chaotic, and relu that grows."""
    for seed, (nonlinearity, scale) in enumerate((("tanh", 1.0), ("tanh", 4.0), ("relu", 1.0))):
        draw, dtype = Draw(seed), ARITHMETICS[name].storage
        shapes = ((2, 8, 2), (2, 8, 8), (2, 8), (2, 8))
        cells = [Cells(*(draw.uniform(shape, scale / np.sqrt(8)).astype(dtype) for shape in shapes))]
        x = draw.uniform((2, 150, 2, 2)).astype(dtype)
        batch = Batch(RNNSpec(2, 8, nonlinearity=nonlinearity), cells, x, None, None)
        for *_, verdict in verdicts(draw_machine(name, seed), batch):
            assert verdict.outcome != "disagrees", verdict


def test_planted_the_count_sees_a_wrong_tanh():
    for row in count("float32", 320, fault=wrong_tanh):
        assert row.rejected > 10, row
        assert row.largest_fraction > 1


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", ARITHMETICS)
def test_planted_a_tanh_off_by_four_times_the_assumption_is_rejected(name, bound):
    """Where the activation decides: saturated units, whose preactivations' errors hardly count."""
    machine = Machine(name, IN_ORDER, tanh_error="up", tanh_excess=4.0)
    assert judge_saturated(machine, bound).outcome == "disagrees"
    assert judge_saturated(replace(machine, tanh_excess=1.0), bound).outcome == "agrees"


def judge_saturated(machine: Machine, bound: str):
    case = draw_case(RNNSpec(2, 2), batch=2, time=3, dtype=machine.declared.storage, seed=1, layout="time_first")
    case = replace(case, x=np.full_like(case.x, 30), parameters=[
        CellParameters(*(np.abs(a) + np.ones_like(a) for a in cell.arrays().values())) for cell in case.parameters
    ])  # fmt: skip
    return judge(case, *answer(machine, case), declared=machine.arithmetic, bound=bound)


def answer(machine: Machine, case: Case) -> tuple[np.ndarray, np.ndarray]:
    """A machine's output and h_n for a time-first case of one forward layer without h0 and lengths."""
    cells = Cells(*(array[None] for array in case.parameters[0].arrays().values()))
    start = np.zeros((1, case.x.shape[1], case.spec.hidden_size), case.x.dtype)
    with np.errstate(all="ignore"):
        output = scan(machine, cells, case.x[None], start, case.spec.nonlinearity)[0]
    return output, output[-1][None]


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("name", ARITHMETICS)
def test_planted_a_rounding_more_than_declared_is_rejected(name, bound):
    """One rounding too many or too narrow, in a layer with terms of one sign, where roundings add up."""
    size = 3 if name in ("float16", "bfloat16") else 40
    case = draw_case(RNNSpec(size, size), batch=4, time=4, dtype=ARITHMETICS[name].storage, seed=3, layout="time_first")
    case = replace(case, x=np.abs(case.x), parameters=[
        CellParameters(*(np.abs(a) for a in cell.arrays().values())) for cell in case.parameters
    ])  # fmt: skip
    machine = Machine(name, IN_ORDER)
    right = judge(case, *answer(machine, case), declared=name, bound=bound)
    wrong = judge(case, *answer(replace(machine, **TOO_NARROW[name]), case), declared=name, bound=bound)
    assert right.outcome != "disagrees"
    assert wrong.outcome == "disagrees"


def test_an_overflow_is_vacuous_and_not_wrong():
    """Sums that may leave float16's range have no bound, in either judge, and do not hide a wrong element elsewhere."""
    case = draw_case(RNNSpec(2, 3, nonlinearity="relu"), batch=2, time=6, dtype="float16", seed=2, layout="time_first")
    x = case.x.copy()
    x[0, 0] = 60_000
    case = replace(case, x=x, parameters=[
        CellParameters(*(np.abs(a) * np.float16(4) for a in cell.arrays().values())) for cell in case.parameters
    ])  # fmt: skip
    output, h_n = case.answer()
    assert np.isinf(output[:, 0]).any()
    for bound in BOUNDS:
        assert judge(case, output, h_n, bound=bound).outcome == "vacuous"
    output[0, 1, 0] *= np.float16(2)
    for bound in BOUNDS:
        assert judge(case, output, h_n, bound=bound).outcome == "disagrees"


def test_biases_that_overflow_together_are_vacuous_and_not_wrong():
    """b_ih + b_hh may overflow where a sum in another order does not."""
    big = np.array([1e308])
    cell = CellParameters(np.ones((1, 1)), np.ones((1, 1)), big, big)
    case = Case(RNNSpec(1, 1), [cell], np.full((1, 1, 1), -1.7e308))
    finite = np.array([[[1.0]]])
    assert judge(case, finite, finite).outcome == "vacuous"


def test_the_radius_may_leave_the_range_of_float32():
    """bfloat16's largest weights times a gain above 1 meet an input of zero: no bound is left, but no NaN either."""
    spec = RNNSpec(300, 1, bias=False)
    w_ih = np.zeros((1, 300), "bfloat16")
    w_ih[0, 0] = 3e38
    case = Case(spec, [CellParameters(w_ih, np.zeros((1, 1), "bfloat16"))], np.zeros((1, 1, 300), "bfloat16"))
    for bound in BOUNDS:
        assert judge(case, *case.answer(), bound=bound).outcome == "vacuous"
