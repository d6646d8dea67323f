"""Faults that findings name, as released frameworks were seen to have them. They are no part of FAULTS, nor of its kill
matrix: each is of one framework's own making.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..bounds.arithmetic import arithmetic
from ..judging.case import Case
from ..judging.view import PROCESSED, View, held, valid_of
from ..layout import each_state, state_tuple
from ..recurrence import Result
from .arithmetic import of_state
from .changes import in_dtype
from .fault import Run, presupposed
from .gates import NOT_ONE, RESET_AFTER, of_gate
from .machine import by_layers, initial_states, lengths_of, one_step, stacked, starting, with_spec
from .masks import take_zeros
from .rows import (
    Does,
    of_answer,
    of_first_step,
    of_inputs,
    of_numbers,
    of_question,
    of_reverse,
    of_run,
    of_tracks,
    table,
)
from .where import A_REVERSE, BIAS, FLOAT64, H0, LAYERS, NO_H0, PADDING, RELU, SEQUENCE, STEPS

COUPLED = presupposed("coupled gates", lambda case: case.spec.input_forget)
BFLOAT16 = presupposed("bfloat16", lambda case: case.dtype == "bfloat16")
SUBNORMAL_H0 = presupposed("a subnormal number in h0", lambda case: case.h0 is not None and any(
    ((state != 0) & (np.abs(state) < arithmetic(case.dtype).smallest_normal)).any() for state in state_tuple(case.h0)
))  # fmt: skip
NO_STEPS = presupposed("a sequence without steps", lambda case: not valid_of(case).any(axis=0).all())
UNCOUNTED = presupposed("a masked or padded step", lambda case: len(case.x) > 0 and not valid_of(case).all())


def zero_of_no_steps(case: Case, output: np.ndarray, h_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return output, np.where(valid_of(case).any(axis=0, keepdims=True).T, h_n, np.zeros_like(h_n))


def carry_of_padding(case: Case, run: Run) -> Result:
    lengths, (output, h_n) = lengths_of(case), run(case)
    whole = run(replace(case, lengths=np.where(lengths == 0, len(case.x), lengths))).h_n
    return Result(output, np.where((lengths == 0)[:, None], whole, h_n))


def without_subnormals(case: Case) -> Case:
    smallest = arithmetic(case.dtype).smallest_normal
    return replace(case, h0=each_state(lambda state: np.where(np.abs(state) < smallest, state * 0, state), case.h0))


def held_in_processing_order(case: Case, output: np.ndarray, h_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return held(View(), case, output), h_n


def masked_in_time_order(track: Case, run: Run) -> Result:
    """A reverse track whose output, in processing order, is zero where the mask, in time order, says so."""
    valid, (output, h_n) = valid_of(track), run(track)
    processed = np.where(valid[..., None], held(View(), track, output)[::-1], 0)
    return Result(processed[::-1].astype(output.dtype), h_n)


def of_masks_above(mask: Callable[[Case], np.ndarray | None]) -> Does:
    """The layers above the first have another mask, made of a layer's case."""

    def layer_run(layer: int, asked: Case, run: Run) -> Result:
        return run(replace(asked, lengths=None, mask=mask(asked)) if layer else asked)

    return of_run(lambda case, run: by_layers(case, run, layer_run=layer_run))


def last_masked(case: Case) -> np.ndarray:
    """Where the last layer ends on a step that does not count: booleans (directions, batch, 1)."""
    return ~np.stack([valid_of(case)[PROCESSED[direction]][-1] for direction in case.spec.directions])[..., None]


def of_last_masked(there: Callable[[np.ndarray], np.ndarray]) -> Does:
    """Another h_n of the last layer where that ends on a step that does not count, of those of all layers."""

    def change(case: Case, output: np.ndarray, h_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        *below, top = layers = stacked(h_n, case)
        return output, np.concatenate([*below, np.where(last_masked(case), there(layers), top)])

    return of_answer(change)


def in_two_halves(case: Case, run: Run) -> Result:
    """The half of the steps that is read second starts from zeros, as if the other had not been."""
    half, reverse = len(case.x) // 2, case.spec.direction == "reverse"
    parts = [run(replace(case, x=np.ascontiguousarray(case.x[part]), lengths=None,
                         mask=None if valid_of(case).all() else valid_of(case)[part]))
             for part in (slice(half), slice(half, None))]  # fmt: skip
    return Result(np.concatenate([output for output, _ in parts]), parts[0 if reverse else -1].h_n)


def read_as_float16(numbers: np.ndarray) -> np.ndarray:
    """bfloat16: the numbers that the bits of these are in float16, as near as bfloat16 has them."""
    return np.ascontiguousarray(numbers).view(np.float16).astype(numbers.dtype)


def float16_for_bfloat16(numbers: np.ndarray) -> np.ndarray:
    """Rounded to float16, whose bits are read as bfloat16."""
    return np.ascontiguousarray(numbers.astype(np.float16)).view(numbers.dtype)


def begun_where_another_ended(case: Case, run: Run) -> Result:
    return run(starting(case, run(replace(case, x=-case.x)).h_n))


def another_activation(track: Case, run: Run) -> Result:
    return run(with_spec(track, nonlinearity={"tanh": "relu", "relu": "tanh"}[track.spec.nonlinearity]))


def step_in_padding(track: Case, run: Run) -> Result:
    """A track that shows, at each step that does not count, what that step makes of the state that is held."""
    output, h_n = run(track)
    held_here = (initial_states(track) if track.spec.direction == "reverse" else h_n)[0]
    steps = [one_step(track, run, x_t, held_here)[:, : track.spec.state_size] for x_t in track.x]
    shown = np.stack(steps) if steps else np.zeros_like(output)
    return Result(np.where(valid_of(track)[..., None], output, shown.astype(output.dtype)), h_n)


def infinite_start_is_nan(track: Case, run: Run) -> Result:
    """A track of which a sequence is NaN throughout where a number of its initial state is not finite."""
    output, h_n = run(track)
    begun = valid_of(track).any(axis=0, keepdims=True).T
    lost = begun & ~np.isfinite(initial_states(track)[0]).all(axis=-1, keepdims=True)
    nan = output.dtype.type(np.nan)
    return Result(np.where(lost & valid_of(track)[..., None], nan, output), np.where(lost, nan, h_n))


def zeros(track: Case, run: Run) -> Result:
    return Result(*(each_state(np.zeros_like, array) for array in run(track)))


LARGEST = np.finfo(np.float32).max
WITHOUT_INNER_BIAS = of_gate("n", "b_hh", factor=0.0)
FOUND = table(
    "found",
    ("inputs_in_float32", "x and h0 are rounded to float32", FLOAT64, of_inputs(in_dtype(np.float32))),
    ("relu_hides_nan", "relu is 0 where its argument is NaN", RELU & STEPS,
     of_state(lambda h: np.where(np.isnan(h), np.zeros_like(h), h))),
    ("h_n_zero_of_no_steps", "h_n of a sequence without steps is 0, not h0", NO_STEPS & H0,
     of_answer(zero_of_no_steps)),
    ("carry_of_no_steps_from_padding", "h_n of a sequence of length 0 is the state after all padded steps",
     NO_STEPS & PADDING & STEPS, of_run(carry_of_padding)),
    ("repeated_at_masked_steps", "the output at a masked or padded step is that of the step processed before",
     UNCOUNTED, of_answer(held_in_processing_order)),
    ("unrolled_mask_in_time_order", "the output of the reverse direction, in processing order, is masked in time order",
     A_REVERSE & UNCOUNTED, of_reverse(masked_in_time_order)),
    ("bfloat16_bits_read_as_float16", "the bits of output and h_n are read as float16", BFLOAT16,
     of_numbers(read_as_float16)),
    ("infinity_is_largest_float32", "infinity in x and h0 is the largest float32", FLOAT64,
     of_inputs(lambda numbers: np.clip(numbers, -LARGEST, LARGEST))),
    ("subnormal_h0_is_zero", "subnormal numbers in h0 are zero", SUBNORMAL_H0, of_question(without_subnormals)),
    ("mask_forgotten", "every step counts, whatever the mask and the lengths", UNCOUNTED,
     of_question(lambda case: replace(case, mask=None, lengths=None))),
    ("mask_above_in_time_order", "the layers above the first have their mask reversed in time", LAYERS & UNCOUNTED,
     of_masks_above(lambda layer: valid_of(layer)[::-1])),
    ("padding_read_as_zeros", "every step counts, with x = 0 where the mask and the lengths say that it does not",
     UNCOUNTED, of_question(take_zeros)),
    ("mask_forgotten_above", "in the layers above the first every step counts", LAYERS & UNCOUNTED,
     of_masks_above(lambda _layer: None)),
    ("last_output_zero", "the last layer's h_n is 0 where its last step is masked", UNCOUNTED,
     of_last_masked(lambda layers: np.zeros_like(layers[-1]))),
    ("last_output_of_the_first_layer", "the last layer's h_n is the first one's where its last step is masked",
     LAYERS & UNCOUNTED,
     {**of_last_masked(lambda layers: layers[0]), "seen": lambda view: view._replace(first="h0")}),
    ("inputs_in_float16_read_as_bfloat16", "the bits of x and h0 in float16 are read as bfloat16", BFLOAT16,
     of_inputs(float16_for_bfloat16)),
    ("another_activation_in_reverse", "the reverse direction computes tanh as relu, and relu as tanh",
     A_REVERSE & STEPS, of_reverse(another_activation)),
    ("reverse_is_zero", "output and h_n of the reverse direction are zero", A_REVERSE & STEPS,
     of_reverse(zeros)),
    ("second_half_from_zeros", "the half of the steps that is read second starts from zeros", SEQUENCE,
     of_run(in_two_halves)),
    ("begun_where_another_ended", "the states start where those of the question with -x for x ended", NO_H0 & STEPS,
     of_run(begun_where_another_ended)),
    ("inner_bias_lost", "b_hn is ignored", RESET_AFTER & BIAS & STEPS, WITHOUT_INNER_BIAS),
    ("inner_bias_lost_at_first", "b_hn is ignored in the first step, where no initial state is given",
     RESET_AFTER & BIAS & NO_H0 & STEPS, of_first_step(WITHOUT_INNER_BIAS["asked"])),
    ("input_forget_ignored", "the forget gate is not 1 - i", COUPLED & NOT_ONE,
     of_question(lambda case: with_spec(case, input_forget=False))),
    ("all_in_float32", "x and h0 are rounded to float32, and all is computed in it", FLOAT64,
     {**of_inputs(in_dtype(np.float32)), "arithmetic": "float64_of_float32"}),
    ("padding_shows_a_step", "the output at a padded step is what that step makes of the state that is held",
     UNCOUNTED, of_tracks(step_in_padding)),
    ("infinite_start_is_nan", "a sequence is NaN where a number of its initial state is infinite",
     RESET_AFTER & H0 & STEPS, of_tracks(infinite_start_is_nan)),
)  # fmt: skip
