"""Keras SimpleRNN's own conventions, each by its plain name: what to know when weights or answers cross a border."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from adapters import Adapter
from reference import Case, CellParameters, RNNSpec, judge
from reference.draws import draw_case
from reference.judging.partial import judge_view
from reference.judging.view import View
from tests.frameworks import array_of, framework_adapter, judge_last

SPEC = RNNSpec(3, 5)
BOTH = RNNSpec(3, 5, direction="bidirectional")


@pytest.fixture
def adapter() -> Adapter:
    return framework_adapter("keras")


@pytest.fixture
def keras() -> Any:
    return framework_adapter("keras").framework


def native(keras: Any, case: Case, **words: Any) -> Any:
    """A SimpleRNN, or a Bidirectional one, as a user writes it, with the weights of a case of one layer."""
    words = {"return_sequences": True} | words
    layer = keras.layers.SimpleRNN(5, go_backwards=case.spec.direction == "reverse", **words)
    if case.spec.direction == "bidirectional":
        layer = keras.layers.Bidirectional(layer)
    layer.build((*case.x.shape[:2], 3))
    layer.set_weights([w for cell in case.parameters for w in weights(cell)])
    return layer


def weights(cell: CellParameters) -> list[np.ndarray]:
    """kernel (features, units), recurrent_kernel (units before, units after), bias (units,)."""
    assert cell.b_ih is not None
    assert cell.b_hh is not None
    return [cell.w_ih.T, cell.w_hh.T, cell.b_ih + cell.b_hh]


def arrays(answer: Iterable[Any]) -> list[np.ndarray]:
    return [array_of(tensor) for tensor in answer]


def test_kernel_columns_are_units(keras: Any, adapter: Adapter):
    """A recurrent kernel is square: taken for torch's weight_hh, it fits and answers something else."""
    case = draw_case(SPEC, batch=2, time=4)
    cell = native(keras, case).cell
    kernel, recurrent_kernel = arrays(map(keras.ops.convert_to_tensor, (cell.kernel, cell.recurrent_kernel)))
    assert kernel.shape == (3, 5)
    read = adapter.read(native(keras, case))[1][0]
    assert np.array_equal(read.w_ih, kernel.T)
    assert np.array_equal(read.w_hh, recurrent_kernel.T)
    mistaken = CellParameters(read.w_ih, read.w_hh.T, read.b_ih, read.b_hh)
    output, state = arrays(native(keras, case, return_state=True)(case.x))
    verdict = judge(Case(SPEC, [mistaken], case.x), output, state[None])
    assert verdict.reason == "value", verdict


def test_the_one_bias_is_the_sum_of_both(keras: Any, adapter: Adapter):
    case = draw_case(SPEC, batch=2, time=4)
    read = adapter.read(adapter.build(SPEC, case.parameters))[1][0]
    drawn = case.parameters[0]
    assert drawn.b_ih is not None
    assert np.array_equal(read.b_ih, drawn.b_ih + drawn.b_hh)
    assert not np.any(read.b_hh)
    output, state = arrays(native(keras, case, return_state=True)(case.x))
    verdict = judge(case, output, state[None])
    assert verdict.outcome == "agrees", verdict


def test_a_backwards_layer_answers_in_processing_order(keras: Any):
    """SimpleRNN(go_backwards=True) answers its first output for the last time step."""
    case = draw_case(RNNSpec(3, 5, direction="reverse"), batch=2, time=4)
    output, state = arrays(native(keras, case, return_state=True)(case.x))
    for order, outcome in ((output[:, ::-1], "agrees"), (output, "disagrees")):
        verdict = judge(case, np.ascontiguousarray(order), state[None])
        assert verdict.outcome == outcome, verdict


def test_bidirectional_puts_its_reverse_half_back_into_time_order(keras: Any):
    case = draw_case(BOTH, batch=2, time=4)
    output, *states = arrays(native(keras, case, return_state=True)(case.x))
    verdict = judge(case, output, np.stack(states))
    assert verdict.outcome == "agrees", verdict
    as_processed = np.concatenate([output[..., :5], output[:, ::-1, 5:]], axis=-1)
    assert judge(case, as_processed, np.stack(states)).reason == "value"


def test_states_of_a_bidirectional_layer_come_forward_before_reverse(keras: Any):
    case = draw_case(BOTH, batch=2, time=4, h0=True)
    assert case.h0 is not None
    output, *states = arrays(native(keras, case, return_state=True)(case.x, initial_state=list(case.h0)))
    assert np.array_equal(states[0], output[:, -1, :5])
    assert np.array_equal(states[1], output[:, 0, 5:])
    verdict = judge(case, output, np.stack(states))
    assert verdict.outcome == "agrees", verdict
    assert judge(case, output, np.stack(states[::-1])).reason == "value"


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_the_last_output_alone_is_the_final_state_of_each_direction(keras: Any, direction: str):
    """return_sequences=False, the default. Of a bidirectional layer it is not output[:, -1]."""
    case = draw_case(RNNSpec(3, 5, direction=direction), batch=2, time=4)
    last = array_of(native(keras, case, return_sequences=False)(case.x))
    verdict = judge_last(case, last)
    assert verdict.outcome == "agrees", verdict
    at_the_end = case.answer().output[:, -1]
    assert judge_last(case, at_the_end).outcome == ("agrees" if direction == "forward" else "disagrees")


@pytest.mark.parametrize("zeros", [False, True])
def test_beyond_a_length_the_output_is_repeated_or_zero(keras: Any, zeros: bool):
    """A masked step repeats the output before it, unless zero_output_for_mask=True; the state stays as it was."""
    case = draw_case(SPEC, batch=3, time=4, lengths=[2, 4, 3])
    layer = native(keras, case, return_state=True, zero_output_for_mask=zeros)
    output, state = arrays(layer(case.x, mask=mask_of(case)))
    expected = np.zeros((2, 5)) if zeros else np.stack([output[0, 1]] * 2)
    assert np.array_equal(output[0, 2:], expected)
    verdict = judge(case, np.where(mask_of(case)[..., None], output, np.float32(0)), state[None])
    assert verdict.outcome == "agrees", verdict
    assert judge(case, output, state[None]).outcome == ("agrees" if zeros else "disagrees")


MASK = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 0, 1]], bool)  # none its own reversal


def masked(direction: str) -> Case:
    return replace(draw_case(RNNSpec(3, 5, direction=direction), batch=3, time=5), mask=MASK)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_the_last_output_is_that_of_the_last_step_that_counts(keras: Any, direction: str):
    """return_sequences=False. A direction takes the steps that count alone; a row without any has the output zero."""
    case = masked(direction)
    last = array_of(native(keras, case, return_sequences=False)(case.x, mask=MASK))
    view = View(output="last step", states="none")
    verdict = judge_view(case, view, last, None)
    assert verdict.outcome == "agrees", verdict
    assert not last[1].any()
    whole = Case(case.spec, case.parameters, case.x)
    assert judge_view(whole, view, last, None).outcome == "disagrees", "the mask had no effect"


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_a_masked_step_repeats_the_output_of_the_step_processed_before(keras: Any, direction: str):
    """The default of a layer of one direction; zero before the first step that counts."""
    case = masked(direction)
    output = array_of(native(keras, case)(case.x, mask=MASK))
    in_time = np.ascontiguousarray(output[:, ::-1] if direction == "reverse" else output)
    verdict = judge_view(case, View(states="none", masked="held"), in_time, None)
    assert verdict.outcome == "agrees", verdict
    assert judge_view(case, View(states="none"), in_time, None).outcome == "disagrees", "nothing is held"


@pytest.mark.parametrize("mode", ["sum", "mul", "ave"])
@pytest.mark.parametrize("sequences", [True, False])
def test_halves_are_merged_as_merge_mode_says(keras: Any, mode: str, sequences: bool):
    """Zero at masked steps, as those of halves that stand beside each other."""
    case = masked("bidirectional")
    layer = keras.layers.Bidirectional(keras.layers.SimpleRNN(5, return_sequences=sequences), merge_mode=mode)
    layer.build(case.x.shape)
    layer.set_weights([w for cell in case.parameters for w in weights(cell)])
    output = array_of(layer(case.x, mask=MASK))
    for halves in ("sum", "mul", "ave"):
        view = View("every step" if sequences else "last step", "none", halves=halves)
        assert judge_view(case, view, output, None).outcome == ("agrees" if halves == mode else "disagrees"), halves


def test_the_states_of_a_stack_are_its_last_layers(keras: Any):
    """What return_state answers; those of the layers below each of them answers by itself."""
    case = draw_case(RNNSpec(3, 3, 2), batch=3, time=4)
    layers = [keras.layers.SimpleRNN(3, return_sequences=below, return_state=not below) for below in (True, False)]
    for layer, cell in zip(layers, case.parameters, strict=True):
        layer.build((3, 4, 3))
        layer.set_weights(weights(cell))
    last, state = arrays(layers[1](layers[0](case.x)))
    verdict = judge_view(case, View(output="last step", states="last layer"), last, state[None])
    assert verdict.outcome == "agrees", verdict


def mask_of(case: Case) -> np.ndarray:
    """Booleans (batch, time): which steps there are."""
    return np.arange(case.x.shape[1]) < np.asarray(case.lengths)[:, None]


def test_beyond_a_length_a_bidirectional_output_is_zero(keras: Any):
    """Bidirectional sets zero_output_for_mask, whatever its layer was given."""
    case = draw_case(BOTH, batch=3, time=4, lengths=[2, 4, 3])
    layer = native(keras, case, return_state=True, zero_output_for_mask=False)
    output, *states = arrays(layer(case.x, mask=mask_of(case)))
    assert not output[0, 2:].any()
    verdict = judge(case, output, np.stack(states))
    assert verdict.outcome == "agrees", verdict


def test_a_backwards_layer_skips_the_masked_steps_first(keras: Any):
    """So a sequence is reversed within its length: its outputs come last in processing order."""
    case = draw_case(RNNSpec(3, 5, direction="reverse"), batch=3, time=4, lengths=[2, 4, 3])
    layer = native(keras, case, return_state=True, zero_output_for_mask=True)
    output, state = arrays(layer(case.x, mask=mask_of(case)))
    verdict = judge(case, np.ascontiguousarray(output[:, ::-1]), state[None])
    assert verdict.outcome == "agrees", verdict


def test_a_stateful_layer_carries_its_state_to_the_next_call(keras: Any):
    """Two halves in time equal the whole; after reset_state the second half starts from zeros again."""
    case = draw_case(SPEC, batch=2, time=6)
    layer = native(keras, case, stateful=True, return_state=True)
    halves = [arrays(layer(half)) for half in (case.x[:, :3], case.x[:, 3:])]
    verdict = judge(case, np.concatenate([output for output, _ in halves], axis=1), halves[-1][1][None])
    assert verdict.outcome == "agrees", verdict
    layer.reset_state()
    output, state = arrays(layer(case.x[:, 3:]))
    verdict = judge(Case(SPEC, case.parameters, case.x[:, 3:]), output, state[None])
    assert verdict.outcome == "agrees", verdict
    assert not np.array_equal(output, halves[1][0]), "the state had no effect, so nothing was tested"


def test_the_layout_is_batch_first(keras: Any):
    case = draw_case(SPEC, batch=4, time=4)  # as many sequences as steps: no shape gives it away
    output, state = arrays(native(keras, case, return_state=True)(case.x))
    for layout, outcome in (("batch_first", "agrees"), ("time_first", "disagrees")):
        verdict = judge(Case(SPEC, case.parameters, case.x, layout=layout), output, state[None])
        assert verdict.outcome == outcome, verdict
