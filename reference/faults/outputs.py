"""Faults in the answer: right numbers in the wrong place, or spoilt on the way out."""

import numpy as np

from ..judging.case import Case
from ..layout import last_states
from ..recurrence import Result
from .changes import (
    backwards,
    by_direction,
    exchange_axes,
    exchange_halves,
    in_dtype,
    interleave,
    one_for_all,
    rolled,
    significant,
    zeroed,
)
from .fault import Run
from .machine import in_order, initial_states, lengths_of, states_before, zero_padding
from .rows import of_answer, of_h_n, of_output, of_run, of_tracks, table
from .where import (
    ALWAYS,
    BOTH,
    EQUAL_TIME,
    EQUAL_TRACKS,
    FINER,
    LAYERS,
    NOT_FINAL,
    OUTPUTS,
    ROWS,
    SEQUENCE,
    STEPS,
    TRACKS,
    UNITS,
    WIDE,
)  # fmt: skip

Arrays = tuple[np.ndarray, np.ndarray]


def average_halves(output: np.ndarray) -> np.ndarray:
    return ((output + exchange_halves(output)) / 2).astype(output.dtype)


def reshape(output: np.ndarray) -> np.ndarray:
    return np.stack(np.split(output, 2, axis=-1), axis=1).reshape(output.shape)


def batch_first(stack: np.ndarray) -> np.ndarray:
    """States (layers, directions, batch, units) as the numbers of (batch, tracks, units)."""
    return stack.reshape(-1, *stack.shape[2:]).swapaxes(0, 1)


def last_output(case: Case, output: np.ndarray, h_n: np.ndarray) -> Arrays:
    h_n, directions = h_n.copy(), case.spec.num_directions
    h_n[-directions:, :, : case.spec.state_size] = np.split(output[-1], directions, axis=-1)
    return output, h_n


def repeat_h_n(case: Case, output: np.ndarray, h_n: np.ndarray) -> Arrays:
    final = np.concatenate(list(h_n[-case.spec.num_directions :, :, : case.spec.state_size]), axis=-1)
    return np.repeat(final[None], len(output), axis=0), h_n


def lose_last_row(_case: Case, output: np.ndarray, h_n: np.ndarray) -> Arrays:
    lost = zeroed(np.s_[:, -1])
    return lost(output), lost(h_n)


def end_one_step_early(track: Case, run: Run) -> Result:
    output, h_n = run(track)
    before, size = in_order(track, states_before(track, output)), track.spec.state_size
    early = last_states(before, h_n[0, :, :size], lengths_of(track))
    return Result(output, np.concatenate([early[None], h_n[..., size:]], axis=-1))


def one_step_late(track: Case, run: Run) -> Result:
    output, h_n = run(track)
    return Result(zero_padding(states_before(track, output), lengths_of(track)), h_n)


FAULTS = table(
    "outputs",
    ("halves_exchanged", "the halves of the output are exchanged", BOTH & STEPS, of_output(exchange_halves)),
    ("halves_interleaved", "the halves of the output are interleaved", BOTH & UNITS & STEPS, of_output(interleave)),
    ("halves_averaged", "both halves of the output hold their mean", BOTH & STEPS, of_output(average_halves)),
    ("halves_both_forward", "both halves of the output hold the forward one", BOTH & STEPS,
     of_output(lambda output: np.tile(output[..., : output.shape[-1] // 2], 2))),
    ("h_n_directions_exchanged", "the directions of h_n are exchanged", BOTH, of_h_n(backwards(axis=1))),
    ("h_n_direction_by_direction", "h_n is given direction by direction, not layer by layer", BOTH & LAYERS,
     of_h_n(by_direction)),
    ("h_n_layers_reversed", "the layers of h_n are in reverse order", LAYERS, of_h_n(backwards(axis=0))),
    ("h_n_top_layer_for_all", "h_n holds the top layer's final state for every layer", LAYERS,
     of_h_n(one_for_all(-1, axis=0))),
    ("h_n_from_the_last_output", "h_n of the top layer is the output at the last step", NOT_FINAL,
     of_answer(last_output)),
    ("h_n_reshaped", "h_n is reshaped, not transposed, to (batch, cells, units)", TRACKS & ROWS, of_h_n(batch_first)),
    ("h_n_batch_first", "h_n is given as (batch, cells, units)", EQUAL_TRACKS, of_h_n(batch_first)),
    ("h_n_zero", "h_n is zero", ALWAYS, of_h_n(zeroed(...))),
    ("h_n_is_h0", "h_n is h0", STEPS, of_answer(lambda case, output, _h_n: (output, initial_states(case)))),
    ("h_n_one_step_early", "h_n is the state before the last step", STEPS, of_tracks(end_one_step_early)),
    ("h_n_rows_rotated", "the sequences of h_n are rotated by one", ROWS, of_h_n(rolled(1, axis=2))),
    ("h_n_units_rotated", "the units of h_n are rotated by one", UNITS, of_h_n(rolled(1, axis=3))),
    ("output_one_step_late", "each layer's output holds the state before each step", STEPS, of_tracks(one_step_late)),
    ("output_reversed_in_time", "the output is reversed in time", SEQUENCE & STEPS, of_output(backwards(axis=0))),
    ("output_repeats_h_n", "the output holds the final state at every step", STEPS, of_answer(repeat_h_n)),
    ("output_of_the_first_layer", "the output is the first layer's", LAYERS & STEPS,
     of_run(lambda case, run: Result(run(case.prefix(1)).output, run(case).h_n))),
    ("output_rows_rotated", "the sequences of the output are rotated by one", ROWS & STEPS,
     of_output(rolled(1, axis=1))),
    ("output_units_rotated", "the units of the output are rotated by one", OUTPUTS & STEPS,
     of_output(rolled(1, axis=-1))),
    ("output_batch_and_time_exchanged", "batch and time of the output are exchanged", EQUAL_TIME,
     of_output(exchange_axes(0, 1))),
    ("last_row_lost", "the last sequence of the batch is not computed and is zero", ALWAYS, of_answer(lose_last_row)),
    ("output_in_bfloat16", "the output is rounded to bfloat16", FINER & STEPS, of_output(significant(8))),
    ("output_in_float16", "the output is rounded to float16", WIDE & STEPS, of_output(in_dtype(np.float16))),
    ("output_reshaped", "the output is reshaped, not transposed, from (time, directions, batch, units)",
     BOTH & ROWS & STEPS, of_output(reshape)),
)  # fmt: skip
