"""Faults planted in answers that show part: each is known again there, told from others, and named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from adapters.contract import Result
from adapters.running.trial import Trial
from harness.failures import Failure
from meta_tests.common.every_view import VIEWS, differ
from meta_tests.common.scale import at_night
from reference import DIRECTIONS, Case, RNNSpec, diagnose
from reference.diagnosis.explanation import shows, visible
from reference.diagnosis.faulty import judge_planted
from reference.draws import draw_case
from reference.faults import FAULTS, Fault
from reference.faults.found import FOUND
from reference.faults.masks import MASK_FAULTS
from reference.faults.views import VIEW_FAULTS, answer_with
from reference.judging.partial import judge_view
from reference.judging.view import WHOLE, View
from reference.layout import state_tuple

MASK = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 0, 1]], bool)
SOME = (
    View("last step", "none"), View("last step", "last layer"), View(states="none", masked="held"), View(states="none"),
    View(halves="sum"), View("last step", "none", halves="ave"), View(states="last layer", halves="mul"), View("none"),
    View(masked="held", halves="sum", first="h0"), View("last step", "none", first="h0"),
)  # fmt: skip
CATALOGUE = (
    "w_hh_transposed", "biases_ignored", "h0_ignored", "direction_ignored", "reverse_not_put_back", "lengths_ignored",
    "halves_exchanged", "h_n_directions_exchanged", "h_n_layers_reversed", "output_one_step_late",
)  # fmt: skip
Answer = tuple[np.ndarray | None, Any]


def drawn(layers: int, direction: str, masked: bool = False, dtype: str = "float64") -> Case:
    spec = RNNSpec(3, 3, layers, direction)
    case = draw_case(spec, batch=3, time=5, dtype=dtype, seed=1, h0=True, lengths=None if masked else (4, 0, 5))
    return replace(case, mask=MASK) if masked else case


def cases() -> Iterator[Case]:
    for layers, direction, masked in product((1, 2), DIRECTIONS, (False, True)):
        yield drawn(layers, direction, masked)


def answer(view: View, case: Case, *faults: Fault) -> Answer:
    return answer_with(faults, view, case)


def outcome(view: View, case: Case, given: Sequence[Any], *faults: Fault) -> str:
    return judge_planted(case, *given, None, None, faults, view).outcome


@pytest.mark.parametrize("view", SOME, ids=str)
def test_a_fault_is_known_again_in_a_view_and_told_from_others(view: View) -> None:
    """Those of findings, a sample of the catalogue, and those in what is shown. Nothing says that the right answer, or
    one with another fault, has this one, where it differs."""
    names, said = {**FOUND, **MASK_FAULTS, **{name: FAULTS[name] for name in CATALOGUE}, **VIEW_FAULTS}, Counter[str]()
    for number, case in enumerate([*cases()][SOME.index(view) % at_night(12, 1) :: at_night(12, 1)]):
        there = [*visible(names.values(), case, view)]
        given = {fault.name: answer(view, case, fault) for fault in there}
        right = answer(view, case)
        for place, fault in enumerate(there):
            own = outcome(view, case, given[fault.name], fault)
            if fault.step and own == "vacuous":
                continue  # nothing is known of a step that is taken otherwise and not shown
            assert own == "agrees", (fault.name, case.spec)
            if differ(right, given[fault.name], 1e-9):
                assert outcome(view, case, right, fault) == "disagrees", (fault.name, case.spec)
            for other in there[(place + number) % at_night(12, 1) :: at_night(12, 1)]:
                if differ(given[other.name], given[fault.name], 1e-9):
                    told = outcome(view, case, given[other.name], fault)
                    assert told == "disagrees", (fault.name, other.name, case.spec)
                    said[told] += 1
    assert said["disagrees"] > at_night(5, 30)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_one_element_that_is_moved_is_wrong(view: View) -> None:
    """With a fault that moves numbers about, one in the question, or one in what is shown: of the output and of the
    states, also beside halves that are merged."""
    random = np.random.Generator(np.random.PCG64(2))
    faults = (FAULTS["h_n_directions_exchanged"], FAULTS["lengths_ignored"], FAULTS["reverse_not_put_back"])
    case = drawn(2, "bidirectional")
    for fault in visible((*faults, *VIEW_FAULTS.values()), case, view):
        given = answer(view, case, fault)
        for array in (array for part in given if part is not None for array in state_tuple(part)):
            for at in random.choice(array.size, 2, replace=False):
                before = array.flat[at]
                array.flat[at] += 1e-9
                assert outcome(view, case, given, fault) == "disagrees", (fault.name, at)
                array.flat[at] = before


def test_two_faults_at_once_one_of_them_in_what_is_shown() -> None:
    case, view = drawn(2, "bidirectional"), View("last step", "none", halves="ave")
    faults = VIEW_FAULTS["sum_for_ave"], FAULTS["w_hh_transposed"]
    given = answer(view, case, *faults)
    assert outcome(view, case, given, *faults) == outcome(view, case, given, *faults[::-1]) == "agrees"
    for fault in faults:
        assert outcome(view, case, given, fault) == "disagrees"


def usual(direction: str, layers: int = 2) -> Case:
    return draw_case(RNNSpec(4, 6, layers, direction), batch=3, time=5, h0=True, lengths=(2, 5, 4))


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("name", [*VIEW_FAULTS, *CATALOGUE])
def test_a_diagnosis_names_what_an_idiom_gets_wrong(name: str, direction: str) -> None:
    fault, case, every = (VIEW_FAULTS | FAULTS)[name], usual(direction), at_night(16, 1)
    for view in [view for view in SOME if fault in visible([fault], case, view)][len(name) % every :: every]:
        given = answer(view, case, fault)
        if differ(given, answer(view, case), 1e-3):
            told = diagnose(case, *given, view=view)
            named = [one.faults[0].name for one in told.explanations]
            same = [one for one in named if not differ(answer(view, case, (VIEW_FAULTS | FAULTS)[one]), given, 1e-6)]
            assert named, (view, str(told))
            assert name in named or named[0] in same, (view, str(told))
            assert f"agrees with the reference if {fault.says}" in str(told) or same


def test_what_no_fault_explains_is_said_with_its_first_place() -> None:
    case, view = usual("forward"), View("last step", "none")
    output, _ = answer(view, case)
    assert output is not None
    told = diagnose(case, output + 1, None, view=view)
    assert (told.explanations, told.tried > 50, told.pairs > 10) == ((), True, True)
    assert "nor with any of" in str(told)
    assert "first wrong at layer 1, forward" in str(told)
    assert diagnose(case, output[:2], None, view=view).problem == (
        "output has shape (2, 6), expected (3, 6), as the view is output last step, states none"
    )
    large = draw_case(RNNSpec(4, 60), batch=300, time=5)
    assert "numbers in 5 steps" in diagnose(large, *answer(view, large), view=view).problem
    gated = draw_case(RNNSpec(2, 3, cell="gru"), batch=2, time=3)
    assert "of the cell gru" in diagnose(gated, *answer(view, gated), view=view).problem


def test_what_no_fault_explains_is_said_of_a_case_with_a_mask() -> None:
    case, view = drawn(2, "forward", masked=True), View("last step", "none")
    output, _ = answer(view, case)
    assert output is not None
    assert diagnose(case, output + 1, None, view=view).explanations == ()


def test_a_fault_of_two_is_named_as_a_pair() -> None:
    case, view = usual("bidirectional"), View("last step", "none")
    faults = FAULTS["w_hh_transposed"], FAULTS["h0_ignored"]
    told = diagnose(case, *answer(view, case, *faults), view=view)
    assert {one.name for one in told.explanations[0].faults} == {one.name for one in faults}


def test_a_failure_in_an_idiom_names_what_is_wrong() -> None:
    """Larger cases confirm it; the text of the failure has it."""
    fault, view = VIEW_FAULTS["last_whether_it_counts"], View("last step", "none")

    def ask(case: Case) -> Trial:
        given = Result(*answer(view, case, fault))
        verdict = judge_view(case, view, *given[:2])
        return Trial("one", "1", "cpu", case, verdict.outcome, verdict, answer=given, idiom="last output", view=view)

    failure = Failure("idioms", ask(usual("forward", 1)), "", ask)
    assert f"diagnosis: agrees with the reference if {fault.says}" in str(failure)
    assert "this explains the answers to 2 other cases as well" in str(failure)


def test_a_fault_in_what_is_shown_shows_in_its_views_alone() -> None:
    fault, case = VIEW_FAULTS["sum_for_ave"], usual("bidirectional")
    assert shows((fault,), case, View(halves="ave"))
    assert not shows((fault,), case, View(halves="sum"))
    assert not shows((fault,), case, WHOLE)
    assert fault.shown is not None
    assert fault.shown(WHOLE) is None
