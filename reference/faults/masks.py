"""Faults in masks. They are no part of FAULTS: most frameworks take no masks with holes, and have no place for them.

A mask is booleans (time, batch).
"""

from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..judging.view import PROCESSED, View, held, valid_of
from ..recurrence import Result
from .changes import Change, backwards, rolled
from .fault import Asked, Run, presupposed
from .rows import Does, of_answer, of_question, of_tracks, table

MASKED = presupposed("a masked step", lambda case: case.mask is not None and not case.mask.all())
IN_TIME = dict.fromkeys(PROCESSED, PROCESSED["forward"])  # both directions in the order of time


def of_mask(change: Change) -> Does:
    return of_question(lambda case: replace(case, mask=change(valid_of(case))))


def take_zeros(case: Case) -> Case:
    x = np.where(valid_of(case)[..., None], case.x, np.zeros_like(case.x))
    return replace(case, x=x, mask=None, lengths=None)


def running_on(asked: Asked) -> Does:
    """Tracks that take every step of another question, their output zero where the mask says so."""

    def track_run(track: Case, run: Run) -> Result:
        output, h_n = run(asked(track))
        return Result(np.where(valid_of(track)[..., None], output, np.zeros_like(output)), h_n)

    return of_tracks(track_run)


def repeat(case: Case, output: np.ndarray, h_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return held(View(), case, output, IN_TIME), h_n


MASK_FAULTS = table(
    "masks",
    ("mask_ignored", "the mask is ignored", MASKED, of_question(lambda case: replace(case, mask=None))),
    ("mask_inverted", "the mask is inverted", MASKED, of_mask(np.logical_not)),
    ("mask_counted", "the number of steps that count is taken for a length", MASKED,
     of_question(lambda case: replace(case, mask=None, lengths=valid_of(case).sum(axis=0)))),
    ("holes_filled", "holes are filled: all steps count up to the last that does", MASKED,
     of_mask(lambda mask: np.logical_or.accumulate(mask[::-1])[::-1])),
    ("mask_late", "the mask is one step late", MASKED, of_mask(rolled(1, axis=0))),
    ("mask_early", "the mask is one step early", MASKED, of_mask(rolled(-1, axis=0))),
    ("mask_reversed", "the mask is reversed in time", MASKED, of_mask(backwards(axis=0))),
    ("mask_of_another_row", "each sequence has the mask of the one before it in the batch", MASKED,
     of_mask(rolled(1, axis=1))),
    ("masked_steps_of_zeros", "masked steps are steps of zeros", MASKED, of_question(take_zeros)),
    ("state_runs_on", "the state runs on over masked steps", MASKED,
     running_on(lambda track: replace(track, mask=None, lengths=None))),
    ("state_runs_on_with_zeros", "the state runs on over masked steps, in which x is zero", MASKED,
     running_on(take_zeros)),
    ("output_repeated", "at a masked step the output is the one before it in time", MASKED, of_answer(repeat)),
)  # fmt: skip
