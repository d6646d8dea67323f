"""Faults that findings name, as released frameworks were seen to have them. They are no part of FAULTS, nor of its kill
matrix: each is of one framework's own making.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..layout import each_state, valid_steps
from ..recurrence import Result
from .arithmetic import of_state
from .changes import in_dtype
from .fault import Run, Where
from .machine import by_tracks, lengths_of
from .masks import mask_of
from .rows import of_answer, of_numbers, of_question, of_run, table
from .where import A_REVERSE, FLOAT64, H0, PADDING, RELU, STEPS

BFLOAT16 = Where("bfloat16", lambda case: case.dtype == "bfloat16", presupposed=True)
NO_STEPS = Where("a sequence without steps", lambda case: not valid_of(case).any(axis=0).all(), presupposed=True)
UNCOUNTED = Where(
    "a masked or padded step", lambda case: len(case.x) > 0 and not valid_of(case).all(), presupposed=True
)


def valid_of(case: Case) -> np.ndarray:
    """Where a step counts: booleans (time, batch)."""
    return mask_of(case) if case.lengths is None else valid_steps(lengths_of(case), len(case.x))


def rounded_inputs(case: Case) -> Case:
    rounded = in_dtype(np.float32)
    return replace(case, x=rounded(case.x), h0=each_state(rounded, case.h0))


def zero_of_no_steps(case: Case, output: np.ndarray, h_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return output, np.where(valid_of(case).any(axis=0, keepdims=True).T, h_n, np.zeros_like(h_n))


def carry_of_padding(case: Case, run: Run) -> Result:
    lengths, (output, h_n) = lengths_of(case), run(case)
    whole = run(replace(case, lengths=np.where(lengths == 0, len(case.x), lengths))).h_n
    return Result(output, np.where((lengths == 0)[:, None], whole, h_n))


def held(output: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The output with that of the step before, in the order given, where no step counts: zero before any."""
    output = output.copy()
    for t in range(1, len(output)):
        output[t] = np.where(valid[t, :, None], output[t], output[t - 1])
    return output


def held_in_processing_order(case: Case, output: np.ndarray, h_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    valid, halves = valid_of(case), np.split(output, case.spec.num_directions, axis=-1)
    ways = {"forward": slice(None), "reverse": slice(None, None, -1)}
    turned = [ways[direction] for direction in case.spec.directions]
    parts = [held(half[way], valid[way])[way] for half, way in zip(halves, turned, strict=True)]
    return np.concatenate(parts, axis=-1), h_n


def masked_in_time_order(track: Case, run: Run) -> Result:
    """A reverse track whose output, in processing order, is zero where the mask, in time order, says so."""
    valid, (output, h_n) = valid_of(track), run(track)
    processed = np.where(valid[..., None], held(output[::-1], valid[::-1]), 0)
    return Result(processed[::-1].astype(output.dtype), h_n)


def read_as_float16(numbers: np.ndarray) -> np.ndarray:
    """bfloat16: the numbers that the bits of these are in float16, as near as bfloat16 has them."""
    return np.ascontiguousarray(numbers).view(np.float16).astype(numbers.dtype)


FOUND = table(
    "found",
    ("inputs_in_float32", "x and h0 are rounded to float32", FLOAT64, of_question(rounded_inputs)),
    ("relu_hides_nan", "relu is 0 where its argument is NaN", RELU & STEPS,
     of_state(lambda h: np.where(np.isnan(h), np.zeros_like(h), h))),
    ("h_n_zero_of_no_steps", "h_n of a sequence without steps is 0, not h0", NO_STEPS & H0,
     of_answer(zero_of_no_steps)),
    ("carry_of_no_steps_from_padding", "h_n of a sequence of length 0 is the state after all padded steps",
     NO_STEPS & PADDING & STEPS, of_run(carry_of_padding)),
    ("repeated_at_masked_steps", "the output at a masked or padded step is that of the step processed before",
     UNCOUNTED, of_answer(held_in_processing_order)),
    ("unrolled_mask_in_time_order", "the output of the reverse direction, in processing order, is masked in time order",
     A_REVERSE & UNCOUNTED, of_run(lambda case, run: by_tracks(case, run, reverse=masked_in_time_order))),
    ("bfloat16_bits_read_as_float16", "the bits of output and h_n are read as float16", BFLOAT16,
     of_numbers(read_as_float16)),
)  # fmt: skip
