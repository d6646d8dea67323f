"""Gradients of stacks, whose deltas are not seen: correct ones are never rejected, and what is wrong is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from meta_tests.common.backward import Backward, passed
from meta_tests.common.gradients import SPECS, gradient_case
from meta_tests.common.scale import at_night
from meta_tests.tables.backward import CELLS, PROVED, draw_backward, draw_spec
from meta_tests.tables.false_alarms import BATCH_OF_CASES
from meta_tests.tables.gated import draw
from reference import DIRECTIONS, Case, CellParameters, Gradients, Verdict
from reference.draws import Draw
from reference.judging.chain import below, judge_stack
from reference.judging.gradients import elements
from reference.layout import from_state_tuple, sequence_axes

BATCHES = at_night(2, 100)


def answered(case: Case) -> tuple[Gradients, list[np.ndarray]]:
    """The reference's gradients, and the outputs of its lower layers."""
    return case.gradients(), [below(case, n).gradients().output for n in range(1, case.spec.num_layers)]


def simulated(machine: Backward, name: str, cell: str, seed: int) -> Iterator[Verdict]:
    """Of two layers, one after the other."""
    spec = draw_spec(cell, seed)
    upper = replace(spec, input_size=spec.hidden_size)
    one, two = draw(name, cell, seed, BATCH_OF_CASES, spec), draw(name, cell, seed + 7919, BATCH_OF_CASES, upper)
    numbers, dtype = Draw(seed + 5), one.x.dtype
    shape = (*one.x.shape[:3], spec.hidden_size)
    start = [numbers.uniform(state.shape).astype(dtype) for state in one.start]
    g = numbers.uniform(shape).astype(dtype)
    finals = [[numbers.uniform(state.shape).astype(dtype) for state in one.start] for _ in range(2)]
    with np.errstate(all="ignore"):
        lower = passed(machine, spec, one.weights, one.x, one.start, np.zeros_like(g), finals[0]).states[0]
        last = passed(machine, upper, two.weights, lower, start, g, finals[1])
        first = passed(machine, spec, one.weights, one.x, one.start, last.x, finals[0])

    def both(pairs: Any, k: int) -> Any:
        return from_state_tuple([np.stack([a[k], b[k]]) for a, b in pairs])

    for k in range(BATCH_OF_CASES):
        tracks = [
            CellParameters.of({n: np.ascontiguousarray(a[k]) for n, a in of.weights.items()}) for of in (one, two)
        ]
        case = Case(replace(spec, num_layers=2), tracks, one.x[k], both(zip(one.start, start, strict=True), k),
                    layout="time_first", cotangents=(g[k], both(zip(*finals, strict=True), k)))  # fmt: skip
        found = [CellParameters.of({n: np.ascontiguousarray(a[k]) for n, a in of.weights.items()})
                 for of in (first, last)]  # fmt: skip
        h_n = from_state_tuple([np.stack([a[k, -1], b[k, -1]])
                                for a, b in zip(first.states, last.states, strict=True)])  # fmt: skip
        h0 = both(zip(first.start, last.start, strict=True), k)
        answer = Gradients(np.ascontiguousarray(first.x[k]), h0, found, np.ascontiguousarray(last.states[0][k]), h_n)
        yield judge_stack(case, answer, [np.ascontiguousarray(lower[k])], machine.gated.machine.arithmetic)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", PROVED)
def test_no_correct_stack_is_rejected(name: str, cell: str) -> None:
    verdicts = [one for seed in range(BATCHES) for one in simulated(draw_backward(name, seed), name, cell, seed)]
    outcomes = Counter(verdict.outcome for verdict in verdicts)
    assert not outcomes["disagrees"], next(str(one) for one in verdicts if one.outcome == "disagrees")
    assert name not in ("float32", "float64") or outcomes["agrees"] > outcomes["vacuous"]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", SPECS)
def test_the_reference_agrees_with_itself_in_every_layout(name: str, direction: str) -> None:
    for layers, layout in ((2, "batch_first"), (3, "time_first"), (2, "unbatched")):
        alone = layout == "unbatched"
        words = {"batch": 1} if alone else {"lengths": (5, 0, 3)} if layers == 3 else {"mask": True}
        case = gradient_case(name, layers=layers, direction=direction, layout=layout, **words)
        verdict = judge_stack(case, *answered(case))
        assert verdict.outcome == "agrees", verdict
        time = case.x.shape[sequence_axes(layout).index("time")]
        assert verdict.elements == elements(case.spec, words.get("batch", 3), time)


@pytest.mark.parametrize("name", SPECS)
def test_no_steps_hand_the_cotangents_of_final_states_back(name: str) -> None:
    case = gradient_case(name, layers=2, time=0)
    assert judge_stack(case, *answered(case)).outcome == "agrees"


def test_what_is_wrong_is_named_with_how_far_it_is_off() -> None:
    case = gradient_case("gru", layers=2, direction="bidirectional")
    right, lower = answered(case)
    tracks = [track.arrays() for track in right.parameters]
    tracks[3]["b_hh"] = tracks[3]["b_hh"] + np.float32(0.25)
    wrong = right._replace(parameters=[CellParameters.of(track) for track in tracks])
    verdict = judge_stack(case, wrong, lower)
    assert verdict.detail.startswith("the stack as one module: db_hh of layer 1, reverse is off by 0.25 where ")
    assert (verdict.first.layer, verdict.first.array) == (1, "db_hh")
    off = judge_stack(case, right._replace(output=right.output * np.float32(2)), lower).detail
    assert off.startswith("the stack as one module: output of layer 1, forward is off by ")


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_where_lower_layers_alone_have_other_bits_nothing_is_known(direction: str) -> None:
    """But of their own answer."""
    case = gradient_case("lstm", layers=3, direction=direction, lengths=(5, 0, 3))
    right, lower = answered(case)
    off = lower[1].copy()
    off[0] = np.nextafter(off[0], np.float32(2))
    verdict = judge_stack(case, right._replace(x=-right.x), [lower[0], off])
    assert (verdict.outcome, verdict.outside) == ("vacuous", 0)
    assert verdict.vacuous < verdict.elements
    wrong = judge_stack(case, right._replace(h_n=tuple(-one for one in right.h_n)), lower)
    assert wrong.outcome == "disagrees"
    assert "h_n of layer 0" in wrong.detail


def test_other_forms_are_told_and_other_questions_refused() -> None:
    case = gradient_case("gru", layers=2)
    right, lower = answered(case)
    assert judge_stack(case, right._replace(x=right.x[:1]), lower).reason == "shape"
    assert judge_stack(case, right._replace(parameters=right.parameters[:1]), lower).reason == "shape"
    assert judge_stack(case, right, [lower[0][:1]]).reason == "shape"
    with pytest.raises(ValueError, match="cotangents: got None"):
        judge_stack(replace(case, cotangents=None), right, lower)
    with pytest.raises(ValueError, match=r"prefixes: got .0 arrays., expected 1"):
        judge_stack(case, right, [])
    with pytest.raises(TypeError, match="gradients: got list"):
        judge_stack(case, [], lower)
