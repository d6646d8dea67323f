"""Two answers of which the trajectory bound says nothing, or would take too long: each is judged by its own steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import reference.calculus.sums
from evidence.record import corpus
from meta_tests.common.usual_case import named, stack, usual
from reference import Case, RNNSpec, judge, judge_pair
from reference.bounds.trajectory import DEAREST_PRODUCTS, products_cost
from reference.draws import draw_case
from reference.judging.verdict import OWN_STEPS, PAIR
from reference.layout import sequence_to_time_first

BY_STEPS = "the trajectory bound says nothing, or is too dear: each answer was judged by its own steps"
UNKNOWN = "the outputs of the lower layers are not known, so neither answer was judged by its own steps"


def wild(direction: str = "forward", num_layers: int = 1) -> Case:
    """Errors grow: from the 25th step on the trajectory bound allows anything."""
    case = draw_case(RNNSpec(3, 32, num_layers, direction), batch=3, time=60, dtype="float32", weight_scale=6.0)
    return replace(case, x=case.x / np.float32(32))


def with_mask(case: Case) -> Case:
    return replace(case, mask=np.arange(180).reshape(3, 60) % 4 > 0)


def rounded(answer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Every element of the output one bit nearer to 0, as another order of summation may give it."""
    return np.nextafter(answer[0], np.float32(0)), answer[1]


def moved(answer: Any, index: tuple[int, ...], by: float) -> tuple[np.ndarray, np.ndarray]:
    output = answer[0].copy()
    output[index] += np.float32(by)
    return output, answer[1]


@pytest.mark.parametrize("wrong", [0, 1])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_one_answer_that_is_wrong_at_one_step_is_seen_and_named(direction: str, masked: bool, wrong: int) -> None:
    """Other last bits agree, and 1e-3 at one step does not, though the trajectory bound allows it: it says nothing."""
    case = with_mask(wild(direction)) if masked else wild(direction)
    time = 18 if direction == "reverse" else 41
    answers = [case.answer(), rounded(case.answer())]
    right = judge_pair(case, *answers)
    assert (right.outcome, right.bound in OWN_STEPS, right.first) == ("agrees", True, None)
    answers[wrong] = moved(answers[wrong], (1, time, 2), 1e-3)
    seen = judge_pair(case, *answers)
    assert (seen.outcome, seen.bound, seen.reason) == ("disagrees", OWN_STEPS[wrong], "value")
    assert named(seen.first) == ("output", 0, case.spec.directions[0], time, 1, 2)
    assert seen.first.actual == answers[wrong][0][1, time, 2]
    assert seen == replace(judge(case, *answers[wrong]), bound=OWN_STEPS[wrong])
    assert BY_STEPS in str(seen)
    assert BY_STEPS in str(right)


def test_the_layers_of_a_stack_must_be_known() -> None:
    """Without the lower layers' outputs of both answers nothing is said, and that it is not; with them, a wrong lower
    layer is seen."""
    case = wild(num_layers=2)
    lower, output = stack(case)
    h_n = case.answer().h_n
    one, other = (output, h_n), rounded((output, h_n))
    for pair in ((one, other), ((*one, [lower]), other), (one, (*other, None))):
        unseen = judge_pair(case, *pair)
        assert (unseen.outcome, unseen.bound) == ("vacuous", PAIR)
        assert UNKNOWN in str(unseen)
    seen = judge_pair(case, (*one, [lower]), (*other, (lower,)))
    assert (seen.outcome, seen.elements) == ("agrees", lower.size + output.size + h_n.size)
    assert seen.bound in OWN_STEPS
    below = lower.copy()
    below[0, 7, 1] += np.float32(1e-3)
    seen = judge_pair(case, (*one, [lower]), (*other, [below]))
    assert (seen.outcome, seen.bound) == ("disagrees", OWN_STEPS[1])
    assert (seen.first.layer, seen.first.time) == (0, 7)
    with pytest.raises(ValueError, match="prefixes: got '2 arrays', expected 1, one for each lower layer"):
        judge_pair(case, one, (*other, [lower, lower]))
    assert "prefixes[0] has shape" in judge_pair(case, one, (*other, [lower[:1]])).detail


def test_each_answer_is_judged_by_its_own_arithmetic() -> None:
    """TF32 may err by 1e-5, float32 may not: whichever of the two answers it is."""
    case = wild()
    worse, right = moved(rounded(case.answer()), (1, 30, 2), 1e-5), case.answer()
    assert judge_pair(case, worse, right, ("tf32", "float32")).outcome == "agrees"
    assert judge_pair(case, right, worse, ("float32", "tf32")).outcome == "agrees"
    seen = judge_pair(case, worse, right, ("float32", "tf32"))
    assert (seen.outcome, seen.bound, seen.arithmetic) == ("disagrees", OWN_STEPS[0], "float32")


def test_what_no_step_bound_speaks_of_stays_vacuous() -> None:
    """Sums that may overflow: the trajectory bound and the step bound are both infinite."""
    case = replace(usual(), x=np.full_like(usual().x, 3e38))
    one = case.answer()
    other = moved(one, (0, 0, 0), 0.25)
    seen = judge_pair(case, one, other)
    assert (seen.outcome, seen.bound in OWN_STEPS) == ("vacuous", True)


def test_at_hidden_512_a_judgement_takes_few_forward_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Multiply-adds, counted: two matrix products a step for each answer, and no product of Jacobians. Both judgements
    still tell a wrong step. With the limit out of the way the products are taken."""
    case = draw_case(RNNSpec(512, 512), batch=2, time=100, dtype="float32")
    right, wrong = case.answer(), moved(case.answer(), (1, 60, 7), 1e-3)
    assert products_cost(case.spec, 100, 2) > DEAREST_PRODUCTS
    work: list[int] = []

    def counted(inputs: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        work.append(inputs.size * matrix.shape[1])
        return product(inputs, matrix)

    product = reference.calculus.sums.product
    for module in ("sums", "balls"):
        monkeypatch.setattr(f"reference.calculus.{module}.product", counted)
    monkeypatch.setattr("reference.judging.judge.trajectory_bound", None)
    forward_pass = 100 * 2 * (512 + 512) * 512
    for answer, outcome in ((right, "agrees"), (wrong, "disagrees")):
        work.clear()
        seen = judge(case, *answer, bound="trajectory")
        assert (seen.outcome, seen.bound) == (outcome, "step")
        assert sum(work) < 2.1 * forward_pass
    work.clear()
    assert judge_pair(case, right, case.answer()).bound == PAIR
    assert not work
    seen = judge_pair(case, right, wrong)
    assert (seen.outcome, seen.bound, seen.first.time) == ("disagrees", OWN_STEPS[1], 60)
    assert sum(work) < 4.2 * forward_pass
    monkeypatch.setattr("reference.judging.judge.DEAREST_PRODUCTS", products_cost(case.spec, 100, 2))
    with pytest.raises(TypeError, match="not callable"):
        judge_pair(case, right, wrong)


def test_no_case_of_the_corpus_is_too_dear() -> None:
    """A record's trajectories are judged by the trajectory bound, as its properties say."""
    shapes = [(case.spec, *sequence_to_time_first(case.x, case.layout).shape[:2]) for case in corpus.cases().values()]
    assert 0 < max(products_cost(*shape) for shape in shapes) < DEAREST_PRODUCTS / 100
