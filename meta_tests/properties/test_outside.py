"""Faults that are not of the catalogue are seen, each by the covering designs alone, with whatever seed."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from adapters import Result
from adapters.running.trial import examine
from evidence.record.ledger import Ledger
from harness.target import Target
from meta_tests.common import outside
from meta_tests.common.outside import FAULTS, Outside
from meta_tests.common.scale import at_night
from meta_tests.outside_faults import markdown
from reference import Case
from tests.properties import test_sizes, test_values

SEEDS = range(at_night(1, 5))


@cache
def questions(seed: int) -> tuple[tuple[Case, Result], ...]:
    """What the designs ask, and the right answers."""
    target = Target(Outside("right"), "cpu", Ledger(), f"{outside.__name__}:right", pool=seed)
    sizes = [test_sizes.case_of(row, number) for number, row in enumerate(test_sizes.rows_of(target, seed), seed)]
    values = [test_values.changed_case(row, number) for number, row in enumerate(test_values.rows_of(target), seed)]
    return tuple((case, answer(Outside("right"), case)) for case in (*values, *sizes))


def answer(adapter: Outside, case: Case) -> Result:
    return adapter.run(adapter.build(case.spec, case.parameters), **case.inputs)


def other(one: Result, two: Result) -> bool:
    """Whether two answers differ, in any number."""
    return not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one[:2], two[:2], strict=True))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_layer_without_a_fault_is_right(seed: int) -> None:
    outcomes = [examine(Outside("right"), case).outcome for case, _ in questions(seed)]
    assert {*outcomes} <= {"agrees", "vacuous"}
    assert outcomes.count("vacuous") < len(outcomes) / 50


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seen(name: str, seed: int) -> None:
    adapter = Outside(name)
    changed = (
        case for case, right in questions(seed) if adapter.concerns(case) and other(answer(adapter, case), right)
    )
    assert any(examine(adapter, case).outcome == "disagrees" for case in changed), FAULTS[name].says


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_loaded_by_its_name(name: str) -> None:
    """As `--adapter MODULE:NAME` does: no function of the module takes its place."""
    assert isinstance(getattr(outside, name)(), Outside)


def test_the_page_has_every_fault_and_the_figures() -> None:
    came = {
        ("h0_clipped", 1): "test_a",
        ("h0_clipped", 2): "",
        ("naive_tanh", 1): "test_b",
        ("naive_tanh", 2): "test_b",
    }
    said = markdown(came, ["h0_clipped", "naive_tanh"], [1, 2])
    assert said.startswith("Seen with seed 1: 2 of 2; with seed 2: 1 of 2.")
    assert "| `h0_clipped` | h0 is clipped to [-1, 1] | `test_a` | not seen |" in said
