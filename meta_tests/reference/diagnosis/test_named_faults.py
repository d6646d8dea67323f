"""Faults that users met, and their kin, are named in every cell: in layers of one direction and of two."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from meta_tests.common.property_cases import faulty_answer, visible_in
from reference import Case, RNNSpec, diagnose, judge
from reference.cells import CELLS
from reference.draws import draw_case
from reference.faults import FAULTS
from reference.faults.masks import MASK_FAULTS

NAMES = (
    "reverse_starts_late", "reverse_starts_late_from_h0", "short_reverse_starts_late",
    "short_reverse_starts_late_from_h0", "reverse_starts_early", "b_ih_in_float16", "b_ih_in_bfloat16",
    "b_hh_in_float16", "b_hh_in_bfloat16", "biases_in_float16", "biases_in_bfloat16", "biases_in_float32",
    "state_runs_on", "state_runs_on_with_zeros", "h0_of_forward_for_both", "h0_of_reverse_for_both",
    "empty_takes_a_step", "empty_takes_a_step_from_zeros", "lengths_at_least_one", "first_step_without_b_ih",
    "first_step_without_b_hh",
)  # fmt: skip
FEW = 2


def cases_of(cell: str, masked: bool) -> Iterator[Case]:
    for layers, direction, lengths in ((1, "bidirectional", (4, 0, 2)), (2, "bidirectional", (3, 4, 1)),
                                       (1, "reverse", (0, 4, 3)), (1, "forward", (1, 0, 4))):  # fmt: skip
        for dtype in ("float32", "float64"):
            spec = RNNSpec(3, 4, layers, direction, cell=cell)
            yield draw_case(spec, batch=3, time=4, dtype=dtype, seed=layers, h0=True, mask=masked,
                            lengths=None if masked else lengths)  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", NAMES)
def test_a_fault_is_named_in_every_cell(name: str, cell: str) -> None:
    """And alone, but where another one answers some of the cases in the same way."""
    fault = (FAULTS | MASK_FAULTS)[name]
    cases = [case for case in cases_of(cell, name in MASK_FAULTS) if visible_in(fault, case)]
    answers = [(case, faulty_answer([fault], case)) for case in cases]
    wrong = [(case, answer) for case, answer in answers if judge(case, *answer).outcome == "disagrees"][:FEW]
    assert len(wrong) == FEW
    named = [[one.faults for one in diagnose(case, *answer).explanations] for case, answer in wrong]
    assert all((fault,) in one for one in named)
    assert any(one == [(fault,)] for one in named)
