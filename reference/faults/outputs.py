"""Faults in the answer: right numbers in the wrong place, or spoilt on the way out."""

from __future__ import annotations

import numpy as np

from ..judging.case import Case
from ..recurrence import Result
from .changes import (
    backwards,
    batch_and_time_exchanged,
    direction_by_direction,
    halves_exchanged,
    halves_interleaved,
    in_dtype,
    one_for_all,
    rolled,
    significant,
    zeroed,
)
from .fault import Run, Where, around
from .machine import by_tracks, in_order, initial_states, lengths_of, states_before, zero_padding
from .rows import of_h_n, of_output, table
from .states import EQUAL_TRACKS_BATCH
from .where import (
    ALWAYS,
    BOTH,
    EQUAL_BATCH_TIME,
    LAYERS,
    NOT_BFLOAT16,
    OUTPUTS,
    ROWS,
    SEQUENCE,
    STEPS,
    TRACKS,
    UNITS,
    WIDE,
)

LAST_IS_NOT_FINAL = Where(
    "a final state that is not the last output",
    lambda case: len(case.x) > 0 and (case.spec.direction != "forward" or bool(np.any(lengths_of(case) < len(case.x)))),
)


def _halves_averaged(output: np.ndarray) -> np.ndarray:
    return ((output + halves_exchanged(output)) / 2).astype(output.dtype)


def _reshaped(output: np.ndarray) -> np.ndarray:
    return np.stack(np.split(output, 2, axis=-1), axis=1).reshape(output.shape)


def _batch_first(stack: np.ndarray) -> np.ndarray:
    """States (layers, directions, batch, units) as the numbers of (batch, tracks, units)."""
    return stack.reshape(-1, *stack.shape[2:]).swapaxes(0, 1)


OUTPUT = table(
    of_output,
    "outputs",
    ("halves_exchanged", "the halves of the output are exchanged", BOTH & STEPS, halves_exchanged),
    ("halves_interleaved", "the halves of the output are interleaved", BOTH & UNITS & STEPS, halves_interleaved),
    ("halves_averaged", "both halves of the output hold their mean", BOTH & STEPS, _halves_averaged),
    ("halves_both_forward", "both halves of the output hold the forward one", BOTH & STEPS,
     lambda output: np.tile(output[..., : output.shape[-1] // 2], 2)),
    ("output_reversed_in_time", "the output is reversed in time", SEQUENCE & STEPS, backwards(axis=0)),
    ("output_rows_rotated", "the sequences of the output are rotated by one", ROWS & STEPS, rolled(1, axis=1)),
    ("output_units_rotated", "the units of the output are rotated by one", OUTPUTS & STEPS, rolled(1, axis=-1)),
    ("output_batch_and_time_exchanged", "batch and time of the output are exchanged", EQUAL_BATCH_TIME,
     batch_and_time_exchanged),
    ("output_in_bfloat16", "the output is rounded to bfloat16", NOT_BFLOAT16 & STEPS, significant(8)),
    ("output_in_float16", "the output is rounded to float16", WIDE & STEPS, in_dtype(np.float16)),
    ("output_reshaped", "the output is reshaped, not transposed, from (time, directions, batch, units)",
     BOTH & ROWS & STEPS, _reshaped),
)  # fmt: skip
H_N = table(
    of_h_n,
    "outputs",
    ("h_n_directions_exchanged", "the directions of h_n are exchanged", BOTH, backwards(axis=1)),
    ("h_n_direction_by_direction", "h_n is given direction by direction, not layer by layer", BOTH & LAYERS,
     direction_by_direction),
    ("h_n_layers_reversed", "the layers of h_n are in reverse order", LAYERS, backwards(axis=0)),
    ("h_n_top_layer_for_all", "h_n holds the top layer's final state for every layer", LAYERS,
     one_for_all(-1, axis=0)),
    ("h_n_reshaped", "h_n is reshaped, not transposed, to (batch, cells, units)", TRACKS & ROWS, _batch_first),
    ("h_n_batch_first", "h_n is given as (batch, cells, units)", EQUAL_TRACKS_BATCH, _batch_first),
    ("h_n_zero", "h_n is zero", ALWAYS, zeroed(...)),
    ("h_n_rows_rotated", "the sequences of h_n are rotated by one", ROWS, rolled(1, axis=2)),
    ("h_n_units_rotated", "the units of h_n are rotated by one", UNITS, rolled(1, axis=3)),
)  # fmt: skip


@around("h_n of the top layer is the output at the last step", LAST_IS_NOT_FINAL)
def h_n_from_the_last_output(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    last = np.stack(np.split(output[-1], case.spec.num_directions, axis=-1))
    return Result(output, np.concatenate([h_n[: -len(last)], last]))


@around("h_n is h0", STEPS)
def h_n_is_h0(case: Case, run: Run) -> Result:
    return Result(run(case).output, initial_states(case))


@around("h_n is the state before the last step", STEPS)
def h_n_one_step_early(case: Case, run: Run) -> Result:
    def track_run(track: Case, run: Run) -> Result:
        output, h_n = run(track)
        before, at = in_order(track, states_before(track, output)), np.maximum(lengths_of(track) - 1, 0)
        early = before[at, np.arange(track.x.shape[1])]
        return Result(output, np.where((lengths_of(track) > 0)[:, None], early, h_n[0])[None])

    return by_tracks(case, run, track_run, track_run)


@around("each layer's output holds the state before each step", STEPS)
def output_one_step_late(case: Case, run: Run) -> Result:
    def track_run(track: Case, run: Run) -> Result:
        output, h_n = run(track)
        return Result(zero_padding(states_before(track, output), lengths_of(track)), h_n)

    return by_tracks(case, run, track_run, track_run)


@around("the output holds the final state at every step", STEPS)
def output_repeats_h_n(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    final = np.concatenate(list(h_n[-case.spec.num_directions :]), axis=-1)
    return Result(np.repeat(final[None], len(output), axis=0), h_n)


@around("the output is the first layer's", LAYERS & STEPS)
def output_of_the_first_layer(case: Case, run: Run) -> Result:
    return Result(run(case.prefix(1)).output, run(case).h_n)


@around("the last sequence of the batch is not computed and is zero", ALWAYS)
def last_row_lost(case: Case, run: Run) -> Result:
    output, h_n = (array.copy() for array in run(case))
    output[:, -1] = h_n[:, -1] = 0
    return Result(output, h_n)
