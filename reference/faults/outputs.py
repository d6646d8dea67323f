"""Faults in the answer: right numbers in the wrong place, or spoilt on the way out."""

from __future__ import annotations

import numpy as np

from ..judging.case import Case
from ..layout import reverse_within_lengths
from ..recurrence import Result
from .fault import Run, around
from .machine import by_cells, initial_states, lengths_of, zero_padding
from .states import EQUAL_CELLS_BATCH, direction_by_direction, directions_swapped
from .step import significant
from .where import (
    ALWAYS,
    BOTH,
    CELLS,
    EQUAL_BATCH_TIME,
    LAYERS,
    NOT_BFLOAT16,
    OUTPUTS,
    ROWS,
    SEQUENCE,
    STEPS,
    UNITS,
    WIDE,
    Where,
)

LAST_IS_NOT_FINAL = Where(
    "a final state that is not the last output",
    lambda case: len(case.x) > 0 and (case.spec.direction != "forward" or bool(np.any(lengths_of(case) < len(case.x)))),
)


@around("the halves of the output are exchanged", BOTH & STEPS)
def halves_exchanged(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(np.roll(output, case.spec.hidden_size, axis=-1), h_n)


@around("the halves of the output are interleaved", BOTH & UNITS & STEPS)
def halves_interleaved(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output[..., np.arange(output.shape[-1]).reshape(2, -1).T.ravel()], h_n)


@around("both halves of the output hold their mean", BOTH & STEPS)
def halves_averaged(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    mean = (output + np.roll(output, case.spec.hidden_size, axis=-1)) / 2
    return Result(mean.astype(output.dtype), h_n)


@around("both halves of the output hold the forward one", BOTH & STEPS)
def halves_both_forward(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(np.tile(output[..., : case.spec.hidden_size], 2), h_n)


@around("the directions of h_n are exchanged", BOTH)
def h_n_directions_exchanged(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output, directions_swapped(h_n))


@around("h_n is given direction by direction, not layer by layer", BOTH & LAYERS)
def h_n_direction_by_direction(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output, direction_by_direction(h_n, case.spec.num_layers))


@around("the layers of h_n are in reverse order", LAYERS)
def h_n_layers_reversed(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    by_layer = h_n.reshape(case.spec.num_layers, case.spec.num_directions, *h_n.shape[1:])
    return Result(output, by_layer[::-1].reshape(h_n.shape))


@around("h_n holds the top layer's final state for every layer", LAYERS)
def h_n_top_layer_for_all(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output, np.tile(h_n[-case.spec.num_directions :], (case.spec.num_layers, 1, 1)))


@around("h_n of the top layer is the output at the last step", LAST_IS_NOT_FINAL)
def h_n_from_the_last_output(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    last = np.stack(np.split(output[-1], case.spec.num_directions, axis=-1))
    return Result(output, np.concatenate([h_n[: -len(last)], last]))


@around("h_n is reshaped, not transposed, to (batch, cells, units)", CELLS & ROWS)
def h_n_reshaped(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output, np.ascontiguousarray(h_n.transpose(1, 0, 2)).reshape(h_n.shape))


@around("h_n is given as (batch, cells, units)", EQUAL_CELLS_BATCH)
def h_n_batch_first(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output, h_n.transpose(1, 0, 2))


@around("h_n is zero", ALWAYS)
def h_n_zero(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output, np.zeros_like(h_n))


@around("h_n is h0", STEPS)
def h_n_is_h0(case: Case, run: Run) -> Result:
    return Result(run(case).output, initial_states(case))


@around("h_n is the state before the last step", STEPS)
def h_n_one_step_early(case: Case, run: Run) -> Result:
    def cell_run(cell: Case, run: Run) -> Result:
        output, h_n = run(cell)
        lengths, rows = lengths_of(cell), np.arange(cell.x.shape[1])
        at = lengths - 2 if cell.spec.direction == "forward" else np.ones_like(lengths)
        before = output[np.clip(at, 0, len(output) - 1), rows]
        early = np.where((lengths > 1)[:, None], before, initial_states(cell)[0])
        return Result(output, np.where((lengths > 0)[:, None], early, h_n[0])[None])

    return by_cells(case, run, cell_run)


@around("the sequences of h_n are rotated by one", ROWS)
def h_n_rows_rotated(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output, np.roll(h_n, 1, axis=1))


@around("the units of h_n are rotated by one", UNITS)
def h_n_units_rotated(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output, np.roll(h_n, 1, axis=-1))


@around("each layer's output holds the state before each step", STEPS)
def output_one_step_late(case: Case, run: Run) -> Result:
    def cell_run(cell: Case, run: Run) -> Result:
        output, h_n = run(cell)
        lengths, reverse = lengths_of(cell), cell.spec.direction == "reverse"
        taken = reverse_within_lengths(output, lengths) if reverse else output
        late = np.concatenate([initial_states(cell), taken[:-1]])
        late = reverse_within_lengths(late, lengths) if reverse else late
        return Result(zero_padding(late, lengths), h_n)

    return by_cells(case, run, cell_run)


@around("the output is reversed in time", SEQUENCE & STEPS)
def output_reversed_in_time(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output[::-1], h_n)


@around("the output holds the final state at every step", STEPS)
def output_repeats_h_n(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    final = np.concatenate(list(h_n[-case.spec.num_directions :]), axis=-1)
    return Result(np.repeat(final[None], len(output), axis=0), h_n)


@around("the output is the first layer's", LAYERS & STEPS)
def output_of_the_first_layer(case: Case, run: Run) -> Result:
    return Result(run(case.prefix(1)).output, run(case).h_n)


@around("the sequences of the output are rotated by one", ROWS & STEPS)
def output_rows_rotated(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(np.roll(output, 1, axis=1), h_n)


@around("the units of the output are rotated by one", OUTPUTS & STEPS)
def output_units_rotated(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(np.roll(output, 1, axis=-1), h_n)


@around("batch and time of the output are exchanged", EQUAL_BATCH_TIME)
def output_batch_and_time_exchanged(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output.transpose(1, 0, 2), h_n)


@around("the last sequence of the batch is not computed and is zero", ALWAYS)
def last_row_lost(case: Case, run: Run) -> Result:
    output, h_n = (array.copy() for array in run(case))
    output[:, -1] = h_n[:, -1] = 0
    return Result(output, h_n)


@around("the output is rounded to bfloat16", NOT_BFLOAT16 & STEPS)
def output_in_bfloat16(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(significant(8)(output), h_n)


@around("the output is rounded to float16", WIDE & STEPS)
def output_in_float16(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output.astype(np.float16).astype(output.dtype), h_n)


@around("the output is reshaped, not transposed, from (time, directions, batch, units)", BOTH & ROWS & STEPS)
def output_reshaped(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    halves = np.stack(np.split(output, 2, axis=-1), axis=1)
    return Result(halves.reshape(output.shape), h_n)
