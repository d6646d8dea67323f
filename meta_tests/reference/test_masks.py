"""Masks: what the reference makes of them, and what a wrong answer to one looks like."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import adapters
from adapters import Result
from adapters.running.trial import examine
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.references import Mirror
from reference import DIRECTIONS, LAYOUTS, NONLINEARITIES, Case, RNNSpec, diagnose, forward, judge
from reference.draws import draw_case
from reference.faults import FAULTS, Fault, implementation
from reference.faults.masks import MASK_FAULTS
from reference.layout import sequence_from_time_first, sequence_to_time_first

each_direction = pytest.mark.parametrize("direction", DIRECTIONS)
each_layout = pytest.mark.parametrize("layout", LAYOUTS)


def masked(direction: str = "forward", layout: str = "batch_first", layers: int = 2, **asked: Any) -> Case:
    """No two rows of its mask are alike, nor is one its own reversal; some end with a masked step."""
    batch = 1 if layout == "unbatched" else 4
    case = draw_case(RNNSpec(3, 5, layers, direction), batch=batch, time=7, layout=layout, h0=True, **asked)
    mask = np.array([[1, 0, 1, 1, 1, 0, 0], [0, 1, 1, 0, 1, 1, 1], [1, 1, 0, 0, 1, 0, 0], [1, 1, 1, 1, 0, 1, 1]], bool)
    return replace(case, mask={"batch_first": mask, "time_first": mask.T, "unbatched": mask[0]}[layout])


def step_by_step(case: Case) -> Result:
    """The answer by the definition: where a step is masked, the state stays and the output is zero."""
    below = sequence_to_time_first(case.x, case.layout).astype(np.float64)
    counts = sequence_to_time_first(case.mask[..., None], case.layout)[..., 0]
    states = []
    for _layer in range(case.spec.num_layers):
        halves = []
        for direction in case.spec.directions:
            cell = case.parameters[len(states)].astype("float64")
            h = np.atleast_2d(case.h0[len(states)]).astype(np.float64)
            half = np.zeros((*below.shape[:2], case.spec.hidden_size))
            steps = range(len(below)) if direction == "forward" else reversed(range(len(below)))
            for t in steps:
                taken = np.tanh(below[t] @ cell.w_ih.T + cell.b_ih + cell.b_hh + h @ cell.w_hh.T)
                h = np.where(counts[t][:, None], taken, h)
                half[t] = np.where(counts[t][:, None], taken, 0)
            halves.append(half)
            states.append(h[0] if case.layout == "unbatched" else h)
        below = np.concatenate(halves, axis=-1)
    return Result(sequence_from_time_first(below, case.layout), np.stack(states))


@each_direction
@each_layout
def test_a_masked_step_holds_the_state_and_answers_zero(direction: str, layout: str) -> None:
    case = masked(direction, layout, dtype="float64")
    expected = step_by_step(case)
    lower = [step_by_step(case.prefix(1)).output]
    assert judge(case, *expected[:2], prefixes=lower).outcome == "agrees"
    assert judge(case, *case.answer(), prefixes=[case.prefix(1).answer().output]).outcome == "agrees"


@each_direction
@each_layout
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_padding_at_the_end_is_what_lengths_say(direction: str, layout: str, nonlinearity: str) -> None:
    lengths = (5,) if layout == "unbatched" else (7, 2, 0, 5)
    spec = RNNSpec(3, 5, 2, direction, nonlinearity)
    case = draw_case(spec, batch=len(lengths), time=7, h0=True, lengths=lengths, layout=layout)
    mask = np.arange(7) < np.array(lengths)[:, None]
    mask = {"batch_first": mask, "time_first": mask.T, "unbatched": mask[0]}[layout]
    for a, b in zip(case.answer(), replace(case, lengths=None, mask=mask).answer(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_a_masked_step_holds_does_not_matter() -> None:
    case = masked("bidirectional")
    spoilt = np.where(case.mask[..., None], case.x, np.float32(np.nan))
    for a, b in zip(case.answer(), replace(case, x=spoilt).answer(), strict=True):
        np.testing.assert_array_equal(a, b)


class Faulty(Mirror):
    """The reference, with faults."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__()
        self.faults = faults

    def run(self, module: Any, **inputs: Any) -> Result:
        return Result(*implementation(self.faults, Case.answer)(Case(*module, **inputs)))


@each_direction
@each_layout
@pytest.mark.parametrize("fault", MASK_FAULTS.values(), ids=MASK_FAULTS)
def test_a_fault_in_a_mask_is_seen_and_named(fault: Fault, direction: str, layout: str) -> None:
    if fault.name == "mask_of_another_row" and layout == "unbatched":
        layout = "time_first"
    case = masked(direction, layout)
    assert examine(Faulty(), case).outcome == "agrees"
    trial = examine(Faulty(fault), case)
    assert trial.outcome == "disagrees"
    assert "with a mask" in str(trial)
    diagnosis = trial.diagnosis()
    assert [e.faults for e in diagnosis.explanations] == [(fault,)]


def test_another_fault_is_named_in_spite_of_a_mask() -> None:
    fault = FAULTS["w_hh_transposed"]
    diagnosis = examine(Faulty(fault), masked("bidirectional")).diagnosis()
    assert [e.faults for e in diagnosis.explanations] == [(fault,)]


def test_what_no_fault_explains_is_said_to_be_so_at_its_place() -> None:
    case = masked(layers=1)
    output, h_n = case.answer()
    row, t = np.argwhere(np.asarray(case.mask))[-1]
    output = output.copy()
    output[row, t, 2] += 0.25
    diagnosis = diagnose(case, output, h_n)
    assert not diagnosis.explanations
    assert (diagnosis.first.time, diagnosis.first.batch) == (t, row)
    assert diagnosis.tried > len(MASK_FAULTS)


def test_the_place_of_an_error_is_named_as_it_was_given() -> None:
    case = masked(layers=1)
    output, h_n = case.answer()
    row, t = np.argwhere(np.asarray(case.mask))[-1]
    assert t > np.asarray(case.mask)[row, :t].sum(), "the step has another number among those that count"
    output = output.copy()
    output[row, t, 2] += 1
    first = judge(case, output, h_n).first
    assert (first.time, first.batch, first.unit, first.actual) == (t, row, 2, output[row, t, 2])


def test_masks_are_checked() -> None:
    case = masked()
    for mask, error, words in (
        ([[True] * 7] * 4, TypeError, "mask: got list, expected an array of booleans"),
        (np.ones((4, 7)), TypeError, "mask: got float64, expected an array of booleans"),
        (np.ones((7, 4), bool), ValueError, r"mask \('batch', 'time'\): got \(7, 4\), expected \(4, 7\), as x has"),
    ):
        with pytest.raises(error, match=words):
            replace(case, mask=mask)
        with pytest.raises(error, match=words):
            forward(case.spec, case.parameters, case.x, mask=mask)
    with pytest.raises(ValueError, match=r"lengths: got .* expected None beside a mask"):
        replace(case, lengths=[1, 2, 3, 4])


def test_a_case_keeps_its_mask() -> None:
    case = masked("bidirectional", "time_first")
    again = Case.from_json(case.to_json())
    assert again.id == case.id != replace(case, mask=None).id
    np.testing.assert_array_equal(again.mask, case.mask)
    with pytest.raises(ValueError, match="read-only"):
        case.mask[0, 0] = False
    for text, words in (('"mask":5', "mask: got int, expected a list"), ('"mask":[[true],[]]', "expected rows of one")):
        with pytest.raises(TypeError, match=words):
            Case.from_json(replace(case, mask=None).to_json().replace('"layout":', f'{text},"layout":'))


def test_an_empty_mask_comes_back() -> None:
    case = replace(masked(), x=np.zeros((0, 7, 3), np.float32), h0=None, mask=np.zeros((0, 7), bool))
    assert case.answer().output.shape == (0, 7, 5)
    assert Case.from_json(replace(case, layout="time_first", x=case.x.reshape(7, 0, 3), mask=None).to_json())


@pytest.mark.parametrize("framework", adapters.KNOWN)
def test_adapters_take_masks_or_say_that_they_do_not(framework: str) -> None:
    adapter = framework_adapter(framework)
    trial = examine(adapter, masked("bidirectional"))
    declared = adapter.capabilities.not_offered({"mask": True})
    assert (trial.outcome, trial.message) == (("not offered", declared) if declared else ("agrees", ""))


def test_an_adapter_that_offers_no_mask_is_given_none() -> None:
    class Plain(Mirror):
        capabilities = adapters.Capabilities()

        def run(  # pyright: ignore[reportIncompatibleMethodOverride] (that is the point)
            self, module: Any, x: Any, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
        ) -> Result:
            raise AssertionError("it must not be called")

    trial = examine(Plain(), masked())
    assert (trial.outcome, trial.message) == ("not offered", "mask True: the adapter's run takes no mask")
