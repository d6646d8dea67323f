"""The diagnosis: it names the fault that was planted, the two that were, or none; and what it says can be read."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from adapters import Result
from adapters.running.trial import Trial
from meta_tests.common.diagnosis import diagnosed, usual
from meta_tests.common.equivalent import EQUIVALENT
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.property_cases import drawn_cases, faulty_answer, visible_in
from meta_tests.common.scale import nightly
from meta_tests.tables.diagnosis import MOST_WRONG, PAIRS, row, verdict_on_diagnosis
from reference import Diagnosis, Explanation, RNNSpec, diagnose, judge
from reference.diagnosis import diagnosis
from reference.draws import draw_case
from reference.faults import COMMONEST, FAULTS, Fault


@pytest.mark.parametrize("family", sorted({fault.family for fault in FAULTS.values()}))
def test_the_planted_fault_is_named(family: str) -> None:
    """A sample of the table `python -m meta_tests.tables diagnosis`; at night every fault."""
    planted = [(fault,) for fault in FAULTS.values() if fault.family == family]
    found = row(family, planted[:: 1 if nightly() else 5], framework_adapter("torch"), 2 if nightly() else 1)
    assert found.disagreements
    assert found.wrong + found.missed <= found.disagreements * MOST_WRONG, found


def test_two_planted_faults_are_named() -> None:
    pairs = list(itertools.permutations(COMMONEST, 2))[:: 1 if nightly() else 30]
    found = row(PAIRS, pairs, framework_adapter("torch"), 1)
    assert found.disagreements > len(pairs) / 3
    assert found.wrong + found.missed <= found.disagreements * MOST_WRONG, found
    assert str(diagnosed("w_hh_transposed", "b_hh_ignored")).startswith(
        "agrees with the reference if w_hh is transposed and b_hh is ignored (error "
    )


def test_what_is_said_of_one_fault() -> None:
    said = diagnosed("w_hh_transposed")
    (found,) = said.explanations
    assert found.faults == (FAULTS["w_hh_transposed"],)
    assert 0 < found.fraction < 1
    assert str(said) == (
        f"agrees with the reference if w_hh is transposed "
        f"(error {found.error:.1g}, {100 * found.fraction:.2g} % of the bound)"
    )


def test_what_is_said_of_a_fault_that_nobody_knows() -> None:
    """And of the shape of an answer that cannot be compared; the verdict says where it is first wrong."""
    case = usual()
    output, h_n = (array.copy() for array in case.answer())
    output[1, 2] += np.linspace(0.1, 0.2, output.shape[-1], dtype=output.dtype)
    said = diagnose(case, output, h_n)
    assert not said.explanations
    assert str(said) == (
        f"agrees with none of the {said.tried} known faults that could show in this case, "
        f"nor with any of {said.pairs} pairs; first wrong at layer 1, forward, t=2"
    )
    assert said.tried > 100
    assert said.pairs > 50
    assert str(diagnose(case, output[1:], h_n)) == ("no diagnosis: output has shape (2, 5, 12), expected (3, 5, 12)")


def test_a_case_too_large_is_not_diagnosed(monkeypatch: pytest.MonkeyPatch) -> None:
    case = usual()
    answer = faulty_answer([FAULTS["output_in_bfloat16"]], case)
    size = answer[0].size * case.spec.num_layers
    monkeypatch.setattr(diagnosis, "LARGEST_FOR_PAIRS", size - 1)
    assert diagnose(case, answer[0] + 1, *answer[1:]).pairs == 0
    monkeypatch.setattr(diagnosis, "LARGEST_FOR_PAIRS", size)
    assert diagnose(case, answer[0] + 1, *answer[1:]).pairs > 0
    monkeypatch.setattr(diagnosis, "LARGEST", size - 1)
    assert f"hold {size:,} numbers" in diagnose(case, *answer).problem
    monkeypatch.undo()
    steps = case.x.shape[1] * case.spec.num_cells
    monkeypatch.setattr(diagnosis, "LONGEST_FOR_PAIRS", steps - 1)
    assert diagnose(case, answer[0] + 1, *answer[1:]).pairs == 0
    monkeypatch.setattr(diagnosis, "LONGEST", steps - 1)
    assert f"in {steps:,} steps" in diagnose(case, *answer).problem


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("known", [True, False], ids=["prefixes", "no prefixes"])
@pytest.mark.parametrize("name", ["w_hh_transposed", "h0_ignored", "tanh_off_by_1e_minus_3", "halves_exchanged"])
def test_lower_layers_help_and_are_not_needed(name: str, known: bool, layers: int) -> None:
    case = draw_case(RNNSpec(4, 6, layers, "bidirectional"), batch=3, time=5, h0=True)
    output, h_n, prefixes = faulty_answer([FAULTS[name]], case)
    said = diagnose(case, output, h_n, prefixes if known else None)
    assert verdict_on_diagnosis((FAULTS[name],), case, said) in ("alone", "first")


def test_a_chaotic_run_is_diagnosed_step_by_step() -> None:
    """Where the trajectory bound is vacuous, faults in the question and in the arithmetic are named all the same."""
    case = draw_case(RNNSpec(3, 32), batch=2, time=200, weight_scale=6.0)
    assert judge(case, *case.answer(), bound="trajectory").outcome == "vacuous"
    for name in ("b_hh_ignored", "tanh_off_by_1e_minus_4"):
        assert verdict_on_diagnosis((FAULTS[name],), case, diagnosed(name, case=case)) == "alone"


def test_what_cannot_be_told_is_counted() -> None:
    """In bfloat16 the trajectory bound is soon vacuous: faults that need it are not said to have been ruled out."""
    case = draw_case(RNNSpec(4, 6, 2, "bidirectional"), batch=3, time=9, dtype="bfloat16")
    said = diagnosed("halves_exchanged", case=case)
    assert not said.explanations
    assert said.untried == sum(fault.around is not None and visible_in(fault, case) for fault in FAULTS.values()) > 0
    assert f"({said.untried} more cannot be told here: the trajectory bound is vacuous)" in str(said)


def test_nan_where_the_fault_puts_it_is_explained() -> None:
    case = usual("forward")
    case.x[1, 2, 3] = np.nan
    assert diagnosed("h_n_rows_rotated", case=case).problem == ""
    assert verdict_on_diagnosis((FAULTS["b_ih_ignored"],), case, diagnosed("b_ih_ignored", case=case)) in (
        "alone",
        "first",
    )


@pytest.mark.parametrize("name", ["h0_ignored", "w_hh_transposed", "halves_exchanged", "tanh_off_by_1e_minus_3"])
def test_a_change_that_is_none_explains_nothing(name: str) -> None:
    case = usual()
    answer = faulty_answer([FAULTS[name]], case)
    assert diagnose(case, *answer, faults=EQUIVALENT.values(), paired=EQUIVALENT.values()).explanations == ()


@pytest.mark.parametrize("relative", [1e-6, 3e-6, 1e-5, 1e-4, 1e-2])
def test_a_disagreement_that_no_fault_made_is_given_no_name(relative: float) -> None:
    """One element moved: faults that do nothing in a case do not explain what is within their bounds."""
    cases = [case for case in drawn_cases(2) if case.dtype == "float32"][:: 1 if nightly() else 6]
    named = []
    for case in cases:
        output, h_n, prefixes = faulty_answer([], case)
        output = output.copy()
        output.flat[0] += np.float32(relative) * max(np.abs(output).max(), 1)
        if judge(case, output, h_n, prefixes=prefixes).outcome == "disagrees":
            named += diagnose(case, output, h_n, prefixes).explanations
    assert not named


@pytest.mark.parametrize("first", [True, False])
def test_two_faults_are_named_whichever_is_the_outer_one(first: bool) -> None:
    case = draw_case(RNNSpec(3, 5), batch=4, time=4)
    pair = ["w_hh_transposed", "batch_first_ignored"]
    said = diagnosed(*(pair if first else pair[::-1]), case=case)
    if first:  # what the outer one is given is time first already: the inner one has nothing to ignore
        assert [e.faults[0].name for e in said.explanations] == ["w_hh_transposed"]
    else:
        assert {fault.name for fault in said.explanations[0].faults} == set(pair)


def fits(*names: str) -> Diagnosis:
    return Diagnosis(tuple(Explanation((FAULTS[name],), 1e-8, 0.1) for name in names), tried=9)


def test_larger_cases_tell_faults_apart() -> None:
    """What is left is what fits them all; a case that nothing left fits is said, and decides nothing."""
    own = fits("b_ih_ignored", "b_hh_ignored", "biases_ignored")
    told = own.confirmed_by([fits("b_hh_ignored", "h0_ignored"), fits("h0_ignored")])
    assert [e.faults[0].name for e in told.explanations] == ["b_hh_ignored"]
    assert (told.confirmed, told.unconfirmed) == (1, 1)
    assert "this explains the answers to 1 other case as well\n  but not the answers to 1 other case" in str(told)
    assert own.confirmed_by([]) == own


def test_a_larger_case_that_is_answered_rightly_refutes() -> None:
    """A fault that would show there is not the one; where all would, that is said."""
    forward = draw_case(RNNSpec(3, 4), batch=3, time=5)
    own = fits("h0_ignored", "b_hh_ignored")
    told = own.not_refuted_by([forward])
    assert [e.faults[0].name for e in told.explanations] == ["h0_ignored"], "h0 is not given there"
    assert (told.confirmed, told.unconfirmed) == (1, 0)
    in_doubt = fits("b_hh_ignored").not_refuted_by([forward])
    assert (in_doubt.right, in_doubt.unconfirmed) == (1, 0)
    assert str(in_doubt).endswith("\n  1 other case is answered rightly: it depends on the size")


def test_many_explanations_are_counted_not_listed() -> None:
    names = list(itertools.islice(FAULTS, 7))
    lines = str(dataclasses.replace(fits(*names), note="by the way")).splitlines()
    assert len(lines) == 6
    assert lines[1].startswith("  or if ")
    assert lines[4] == "  or with 3 other faults: the case does not tell them apart"
    assert lines[5] == "  by the way"


def test_a_diagnosis_that_knows_nothing_names_nothing() -> None:
    """The score can fail: without the planted fault among those tried, it is not named."""
    case, fault = usual(), FAULTS["w_hh_transposed"]
    others: list[Fault] = [each for each in FAULTS.values() if each is not fault]
    said = diagnose(case, *faulty_answer([fault], case), faults=others, paired=())
    assert verdict_on_diagnosis((fault,), case, said) == "missed"
    assert verdict_on_diagnosis((fault,), case, fits("h0_ignored")) == "wrong"


def test_an_answer_that_agrees_has_no_diagnosis() -> None:
    case = usual()
    answer = Result(*case.answer())
    assert Trial("one", "1", "cpu", case, "agrees", answer=answer).diagnosis() is None
    assert Trial("one", "1", "cpu", case, "crashed", message="why").diagnosis() is None
