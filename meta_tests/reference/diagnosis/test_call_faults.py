"""Faults in sequences of calls are named in layers of every cell, whatever was asked before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from reference import Case, RNNSpec
from reference.cells import CELLS
from reference.diagnosis.calls import diagnose_calls
from reference.draws import draw_case
from reference.faults.calls import CALL_FAULTS, Call


def drawn(cell: str, seed: int = 1, **asked: Any) -> Case:
    words = {"batch": 4, "time": 5, "h0": True} | asked
    return draw_case(RNNSpec(3, 4, 2, "bidirectional", cell=cell), seed=seed, weight_scale=2.0, **words)


def called(case: Case) -> Call:
    answer = case.answer()
    return Call("the call before", case, answer.output, answer.h_n)


def pairs(cell: str) -> Iterator[tuple[Case, Case]]:
    """An earlier call's case, and a later one's."""
    yield drawn(cell, 1), drawn(cell, 2)
    yield drawn(cell, 1), drawn(cell, 2, h0=False)
    yield drawn(cell, 1, batch=6), drawn(cell, 2)
    yield drawn(cell, 1, time=7), drawn(cell, 2)
    yield drawn(cell, 1, lengths=(2, 5, 1, 3)), drawn(cell, 2)
    yield drawn(cell, 1, mask=True), drawn(cell, 2)
    square = drawn(cell, 1, batch=5)
    yield replace(square, layout="time_first"), drawn(cell, 2, batch=5)
    yield replace(drawn(cell, 1), spec=replace(drawn(cell, 1).spec, clip=0.1)) if cell == "lstm" else square, square


@pytest.mark.parametrize("name", CALL_FAULTS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_fault_in_a_sequence_of_calls_is_named(cell: str, name: str) -> None:
    fault, told = CALL_FAULTS[name], list[bool]()
    for before, case in pairs(cell):
        call = called(before)
        asked = fault.asked(case, call)
        if asked is None:
            continue
        answer = asked.answer()
        diagnosis = diagnose_calls(case, answer.output, answer.h_n, [called(drawn(cell, 3)), call])
        told.append(fault.says.format(call=call.name) in diagnosis.explanations)
    assert any(told) or (name, cell) in [("spec", one) for one in CELLS if one != "lstm"]  # which has a field to change


@pytest.mark.parametrize("other", CELLS)
@pytest.mark.parametrize("cell", CELLS)
def test_calls_of_another_cell_are_no_hindrance(cell: str, other: str) -> None:
    case, wrong = drawn(cell, 2), drawn(cell, 4).answer()
    calls = [called(drawn(other, 1, batch=batch)) for batch in (4, 6)]
    assert diagnose_calls(case, wrong.output, wrong.h_n, calls).explanations == ()


@pytest.mark.parametrize("cell", CELLS)
def test_the_answer_of_a_call_in_another_dtype_is_named(cell: str) -> None:
    """What is declared of the case's dtype says nothing of that call."""
    before, case = drawn(cell, 1), draw_case(RNNSpec(3, 5, cell=cell), batch=4, time=5, dtype="float64", seed=2)
    answer = before.answer()
    diagnosis = diagnose_calls(case, answer.output, answer.h_n, [called(before)], declared="float64")
    assert any("is answered again" in one for one in diagnosis.explanations)
