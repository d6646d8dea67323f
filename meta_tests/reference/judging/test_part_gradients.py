"""Gradients of a part of an answer: correct ones are never rejected, wrong ones are; what is pulled back is right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from meta_tests.common.every_view import VIEWS as EVERY_VIEW
from meta_tests.common.gradients import SPECS, gradient_case
from meta_tests.common.part_gradients import WRONG, spoilt
from meta_tests.common.scale import at_night
from meta_tests.tables.backward import CELLS, PROVED
from meta_tests.tables.backward_parts import count
from reference import DIRECTIONS, LAYOUTS, Case, CellParameters, Gradients, RNNSpec
from reference.bounds.arithmetic import arithmetic
from reference.bounds.step import Enclosure
from reference.draws import Draw, draw_case
from reference.judging.gradients import elements
from reference.judging.partial import judge_view
from reference.judging.pullback import halves_of, part_gradients, pulled_back, shown_cotangents
from reference.judging.view import View, answer_of, valid_of
from reference.judging.view_gradients import judge_part
from reference.layout import each_state, from_state_tuple, sequence_from_time_first, state_from_batched, state_tuple

SEEDS = at_night(1, 24)
MACHINES = [(name, cell) for name in PROVED for cell in CELLS]
SHOWN = [view for view in EVERY_VIEW if not view.of_all and (view.first, view.differentiation) == ("zero", "reverse")]
ENDS: tuple[dict[str, Any], ...] = ({}, {"lengths": (5, 0, 3)}, {"mask": True})


@pytest.mark.parametrize("place", range(len(MACHINES)))
def test_no_correct_backward_pass_is_rejected(place: int) -> None:
    """Each is shown a part of the answer; by day in one view of each cell and arithmetic."""
    counted = count(*MACHINES[place], range(place, place + len(MACHINES) * SEEDS, len(MACHINES)))
    assert counted.rejected == 0, (MACHINES[place], counted)
    assert counted.largest_fraction <= 1


STEP = 2.0**-12  # of a difference to both sides, which is exact of products of two, but for roundings
ROUNDED = 2.0**-30  # 2^-53 of numbers of about 1, over twice the step, some thousand times


@pytest.mark.parametrize("view", SHOWN, ids=str)
def test_what_is_pulled_back_is_the_adjoint_of_the_view(view: View) -> None:
    """<g, change of what is shown> = <what is pulled back, change of the whole>, for any change of the whole."""
    for place in range(len(ENDS)):
        case = drawn(view, place, dtype="float64")
        both = halves_of(view, case)
        whole = pulled_back(view, case, None if both is None else Enclosure.exactly(both), arithmetic("float64"))
        output, states = case.answer()
        change, finals = change_of(case, Draw(place))
        moved = [answer_of(view, case, output + by * change, of_each(lambda a, v, by=by: a + by * v, states, finals))
                 for by in (STEP, -STEP)]  # fmt: skip
        shown = zip(*map(flat, (shown_cotangents(view, case), *moved)), strict=True)
        left = sum(float((g * (ahead - behind)).sum()) for g, ahead, behind in shown) / (2 * STEP)
        g_finals = [state_from_batched(one.value, case.layout) for one in whole.finals]
        pulled = sequence_from_time_first(whole.output.value, case.layout), from_state_tuple(g_finals)
        right = sum(float((g * v).sum()) for g, v in zip(flat(pulled), flat((change, finals)), strict=True))
        assert abs(left - right) <= ROUNDED, (left, right)
        assert left


def drawn(view: View, place: int, **more: Any) -> Case:
    """A case of two layers in both directions, of which nothing is merged in time."""
    words = {"layout": LAYOUTS[place % 2], **ENDS[place % len(ENDS)], **more}
    name = ("tanh", "lstm")[view.output == "none" or place % 2]
    return gradient_case(name, layers=2, direction="bidirectional", **words)


def change_of(case: Case, draw: Draw) -> tuple[np.ndarray, Any]:
    """A change of a whole answer, zero where no step counts."""
    output, h_n = case.answer()
    counts = sequence_from_time_first(valid_of(case)[..., None], case.layout)
    finals = [draw.uniform(state.shape) for state in state_tuple(h_n)]
    return draw.uniform(output.shape) * counts, from_state_tuple(finals)


def of_each(change: Any, several: Any, others: Any) -> Any:
    return from_state_tuple([change(*pair) for pair in zip(state_tuple(several), state_tuple(others), strict=True)])


def flat(answer: tuple[Any, Any]) -> list[np.ndarray]:
    """The arrays that are shown."""
    return [one for several in answer if several is not None for one in state_tuple(several)]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", SPECS)
def test_the_reference_agrees_with_itself_in_every_view(name: str, direction: str) -> None:
    """In every layout, one view of each case."""
    for place, (layout, layers) in enumerate((("batch_first", 1), ("time_first", 2), ("unbatched", 1))):
        view = SHOWN[(7 * (list(SPECS).index(name) + DIRECTIONS.index(direction)) + place) % len(SHOWN)]
        words: dict[str, Any] = {"batch": 1} if layout == "unbatched" else ENDS[place + 1]
        case = gradient_case(name, layers=layers, direction=direction, layout=layout, **words)
        right = part_gradients(view, case)
        verdict = judge_view(case, view, right.output, right.h_n, gradients=right)
        assert verdict.outcome == "agrees", (view, verdict)
        assert verdict.elements == elements(case.spec, words.get("batch", 3), 5, view)


def test_no_steps_hand_back_the_cotangents_of_final_states() -> None:
    for view in SHOWN:
        case = gradient_case("lstm", time=0, direction="bidirectional")
        right = part_gradients(view, case)
        assert judge_view(case, view, right.output, right.h_n, gradients=right).outcome == "agrees", view


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", WRONG)
def test_planted_a_wrong_backward_pass_is_rejected(name: str, cell: str) -> None:
    wrong = WRONG[name]
    words: dict[str, Any] = {"mask": True} if wrong.view.masked == "held" else {"lengths": (6, 4, 6)}
    case = draw_case(RNNSpec(3, 5, direction="bidirectional", cell=cell), batch=3, time=6, h0=True, seed=2,
                     gradients="all", **words)  # fmt: skip
    for found, outcome in ((part_gradients(wrong.view, case), "agrees"), (spoilt(case, wrong), "disagrees")):
        verdict = judge_view(case, wrong.view, found.output, found.h_n, gradients=found)
        assert verdict.outcome == outcome, verdict
    assert verdict.detail.startswith(f"what is shown, {wrong.view}: d"), (
        "what is shown is right, what is handed back is not"
    )


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_computed_in_a_narrower_format_is_judged_by_that(cell: str) -> None:
    """float32 throughout, shown as float64: right as declared, and wrong in float64."""
    for view in (View(output="last step"), View(states="none", halves="mul")):
        words: dict[str, Any] = {"batch": 3, "time": 4, "h0": True, "gradients": "all"}
        narrow = draw_case(RNNSpec(3, 5, direction="bidirectional", cell=cell), **words)
        x, h0, tracks, output, h_n = part_gradients(view, narrow)
        found = Gradients(wide(x), wide(h0), [one.astype("float64") for one in tracks], wide(output), wide(h_n))
        case = replace(narrow, parameters=[one.astype("float64") for one in narrow.parameters], x=wide(narrow.x),
                       h0=wide(narrow.h0), cotangents=tuple(map(wide, narrow.cotangents)))  # fmt: skip
        for declared, outcome in (("float64_of_float32", "agrees"), ("float64", "disagrees")):
            verdict = judge_view(case, view, found.output, found.h_n, None, declared, gradients=found)
            assert verdict.outcome == outcome, verdict


def wide(array: Any) -> Any:
    return each_state(lambda one: one.astype("float64"), array)


def test_what_is_wrong_is_named() -> None:
    case, view = gradient_case("gru", direction="bidirectional"), View(halves="sum")
    right = part_gradients(view, case)
    verdict = judge_view(case, view, right.output, right.h_n, gradients=right._replace(output=2 * right.output))
    assert verdict.detail.startswith("what is shown, halves sum: output of layer 0, forward is off by ")
    arrays = right.parameters[1].arrays()
    arrays["b_hh"] = arrays["b_hh"] + np.float32(0.25)
    off = right._replace(parameters=[right.parameters[0], CellParameters.of(arrays)])
    verdict = judge_view(case, view, right.output, right.h_n, gradients=off)
    assert verdict.detail.startswith("what is shown, halves sum: db_hh of layer 0, reverse is off by 0.25 where ")


def test_other_forms_are_told_and_other_questions_refused() -> None:
    case, view = gradient_case("lstm"), View(output="last step", states="none")
    right = part_gradients(view, case)
    forms = (right._replace(output=right.output[None]), right._replace(h_n=case.answer().h_n),
             right._replace(x=right.x[:1]), right._replace(parameters=[]))  # fmt: skip
    for other in forms:
        assert judge_view(case, view, other.output, other.h_n, gradients=other).reason == "shape"
    with pytest.raises(TypeError, match="gradients: got NoneType, expected Gradients"):
        judge_view(case, view, right.output, None)
    with pytest.raises(ValueError, match="cotangents: got None"):
        judge_part(replace(case, cotangents=None), view, right)
    held = View(masked="held", first="h0")
    with pytest.raises(NotImplementedError, match="view first: got 'h0' of an output that is held"):
        judge_view(case, held, *case.answer(), gradients=case.gradients())


@pytest.mark.parametrize("cell", CELLS)
def test_the_bound_is_some_times_that_of_a_layer_that_is_probed(cell: str) -> None:
    """Nothing is seen of what is between: still a fault of a thousandth of a gradient is outside."""
    case, view = gradient_case(cell if cell != "elman" else "tanh", sizes=(4, 8), time=6), View(states="none")
    right = part_gradients(view, case)
    off = right._replace(x=right.x * np.float32(1 + 2.0**-10))
    assert judge_view(case, view, right.output, right.h_n, gradients=off).outcome == "disagrees"
