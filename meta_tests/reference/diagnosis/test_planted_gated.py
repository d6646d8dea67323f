"""Faults that move the answers of cells with gates are known again, as those of elman are: c beside h."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from meta_tests.common.every_view import differ
from meta_tests.common.scale import at_night
from reference import DIRECTIONS, Case, RNNSpec
from reference.diagnosis.explanation import visible
from reference.diagnosis.faulty import judge_planted
from reference.draws import draw_case
from reference.faults import FAULTS, Fault
from reference.faults.found import FOUND
from reference.faults.masks import MASK_FAULTS
from reference.faults.views import VIEW_FAULTS, answer_with
from reference.judging.view import WHOLE, View
from reference.layout import each_state
from reference.spec import GATED

VIEWS = (WHOLE, View(states="none"), View("last step"), View("last step", "none"), View(masked="held"),
         View(halves="sum"))  # fmt: skip
CATALOGUE = FAULTS | FOUND | MASK_FAULTS | VIEW_FAULTS
MOVING = {name: one for name, one in CATALOGUE.items() if not one.step and "activation" not in name}
Answer = tuple[Any, Any]


def case_of(cell: str, direction: str, masked: bool) -> Case:
    return draw_case(RNNSpec(3, 4, 2, direction, cell=cell), batch=3, time=4, h0=True, seed=2, mask=masked,
                     lengths=None if masked else (4, 1, 3))  # fmt: skip


def answer(view: View, case: Case, *faults: Fault) -> Answer:
    output, h_n = answer_with(faults, view, case)
    return output, each_state(lambda state: state.astype(case.dtype), h_n)


def outcome(view: View, case: Case, given: Answer, fault: Fault) -> str:
    return judge_planted(case, *given, None, None, [fault], view).outcome


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("cell", GATED)
def test_a_fault_is_known_again_and_told_from_the_right_answer(cell: str, direction: str, masked: bool) -> None:
    case, known = case_of(cell, direction, masked), 0
    for number, view in enumerate(VIEWS):
        right, moving = answer(view, case), [*MOVING.values()][number % at_night(48, 1) :: at_night(48, 1)]
        for fault in [fault for fault in moving if [*visible([fault], case, view)]]:
            given = answer(view, case, fault)
            if not differ(given, right, 0):
                continue
            assert outcome(view, case, given, fault) in ("agrees", "vacuous"), (view, fault.name)
            assert outcome(view, case, right, fault) in ("disagrees", "vacuous"), (view, fault.name)
            known += outcome(view, case, given, fault) == "agrees"
    assert known > 5


def test_a_state_that_is_not_shown_says_nothing_of_a_hidden_one() -> None:
    """Of sequences of length 0 the output is zero, whatever the state after the padding: of c near 0 least of all."""
    case = draw_case(RNNSpec(3, 9, cell="lstm"), batch=64, time=1, dtype="bfloat16", h0=True, seed=3, lengths=(0,) * 64)
    fault = FOUND["carry_of_no_steps_from_padding"]
    assert outcome(WHOLE, case, answer(WHOLE, case, fault), fault) == "agrees"


@pytest.mark.parametrize("array", ["output", "h_n"])
@pytest.mark.parametrize("cell", GATED)
def test_one_element_off_is_seen_beside_a_fault(cell: str, array: str) -> None:
    """In h_n, of an LSTM, c too."""
    case = draw_case(RNNSpec(3, 4, cell=cell), batch=3, time=4, h0=True, seed=2, mask=True)
    fault = MASK_FAULTS["mask_forgotten"] if "mask_forgotten" in MASK_FAULTS else FOUND["mask_forgotten"]
    output, h_n = answer(WHOLE, case, fault)
    assert outcome(WHOLE, case, (output, h_n), fault) == "agrees"
    for number in range(1 if array == "output" or not isinstance(h_n, tuple) else len(h_n)):
        wrong, states = np.array(output), each_state(np.array, h_n)
        changed = wrong if array == "output" else states[number] if isinstance(states, tuple) else states
        changed[0, 0, 0] += 1e-3
        assert outcome(WHOLE, case, (wrong, states), fault) == "disagrees"
