"""Every fault that a cell with gates can have, planted in torch's layers: the judge sees it, the diagnosis names it.

What torch has no layer of, or refuses (another reset, coupled gates, a length of 0), the reference answers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adapters import Unsupported
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.property_cases import faulty_answer, visible_in
from meta_tests.common.scale import at_night
from reference import Case, Result, RNNSpec, diagnose, judge
from reference.draws import draw_case
from reference.faults import FAULTS, GATED_FAULTS, Fault

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")
CATALOGUE = FAULTS | GATED_FAULTS
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "gru": ("gru", {}),
    "lstm": ("lstm", {}),
    "lstm with a projection": ("lstm", {"projection_size": 3}),
}
NAMED = 0.95  # of the faults that are seen


def cases_of(kind: str) -> list[Case]:
    """Few, in which every fault shows that one of these cells can have."""
    cell, more = KINDS[kind]
    usual: dict[str, Any] = {"batch": 3, "time": 5, "h0": True, "weight_scale": 2.0}
    asked: list[tuple[int, int, dict[str, Any]]] = [
        (4, 2, {"lengths": (2, 5, 4)}), (5, 1, {}), (5, 2, {"batch": 5}), (4, 1, {"layout": "unbatched", "batch": 1}),
        (4, 2, {"dtype": "float64"}), (4, 3, {"h0": False}), (4, 1, {"lengths": (0, 5, 3)}),
        (4, 2, {"layout": "time_first"}), (4, 1, {"input_scale": 16.0}),
    ]  # fmt: skip
    return [
        draw_case(RNNSpec(features, 5, layers, direction, cell=cell, **more), seed=7, **usual | words)
        for features, layers, words in asked
        for direction in ("bidirectional", "forward", "reverse")
    ]


def torchs(case: Case) -> Result:
    adapter = framework_adapter("torch")
    try:
        answer = adapter.run(adapter.build(case.spec, case.parameters), **case.inputs)
    except (Unsupported, RuntimeError):  # a length of 0, or no steps
        return case.answer()
    return Result(answer.output, answer.h_n)


def seen(fault: Fault, cases: list[Case]) -> tuple[Case, tuple[Any, ...]] | None:
    """The first case in which the fault is seen, and torch's answer to it as wrong as that."""
    adapter: Any = framework_adapter("torch")
    for case in (case for case in cases if visible_in(fault, case)):
        with np.errstate(all="ignore"):
            answer = faulty_answer([fault], case, torchs, adapter)
        if judge(case, *answer).outcome == "disagrees":
            return case, answer
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_is_seen_and_named(kind: str) -> None:
    cases = cases_of(kind)
    assert all(judge(case, *faulty_answer([], case, torchs)).outcome == "agrees" for case in cases)
    faults = [fault for fault in CATALOGUE.values() if any(visible_in(fault, case) for case in cases)]
    faults = faults[:: at_night(5, 1)]
    found = {fault.name: seen(fault, cases) for fault in faults}
    unseen = [name for name, shown in found.items() if shown is None]
    assert not unseen
    told = {name: diagnose(shown[0], *shown[1]) for name, shown in [*found.items()][:: at_night(16, 1)] if shown}
    unnamed = [name for name, said in told.items() if CATALOGUE[name].says not in str(said.explanations)]
    assert len(unnamed) <= (1 - NAMED) * len(told), unnamed
