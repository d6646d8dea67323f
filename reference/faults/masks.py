"""Faults in masks. They are no part of FAULTS: most frameworks take no masks with holes, and have no place for them.

A mask is booleans (time, batch).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..judging.case import Case
from .changes import Change, backwards, rolled
from .fault import Where
from .rows import Does, of_answer, of_question, table

MASKED = Where("a masked step", lambda case: not mask_of(case).all(), presupposed=True)


def mask_of(case: Case) -> np.ndarray:
    return np.ones(case.x.shape[:2], bool) if case.mask is None else case.mask


def of_mask(change: Change) -> Does:
    return of_question(lambda case: replace(case, mask=change(mask_of(case))))


def take_zeros(case: Case) -> Case:
    return replace(case, x=np.where(mask_of(case)[..., None], case.x, np.zeros_like(case.x)), mask=None)


def repeat(case: Case, output: np.ndarray, h_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    output = output.copy()
    for t in range(1, len(output)):
        output[t] = np.where(mask_of(case)[t, :, None], output[t], output[t - 1])
    return output, h_n


MASK_FAULTS = table(
    "masks",
    ("mask_ignored", "the mask is ignored", MASKED, of_question(lambda case: replace(case, mask=None))),
    ("mask_inverted", "the mask is inverted", MASKED, of_mask(np.logical_not)),
    ("mask_counted", "the number of steps that count is taken for a length", MASKED,
     of_question(lambda case: replace(case, mask=None, lengths=mask_of(case).sum(axis=0)))),
    ("holes_filled", "holes are filled: all steps count up to the last that does", MASKED,
     of_mask(lambda mask: np.logical_or.accumulate(mask[::-1])[::-1])),
    ("mask_late", "the mask is one step late", MASKED, of_mask(rolled(1, axis=0))),
    ("mask_early", "the mask is one step early", MASKED, of_mask(rolled(-1, axis=0))),
    ("mask_reversed", "the mask is reversed in time", MASKED, of_mask(backwards(axis=0))),
    ("mask_of_another_row", "each sequence has the mask of the one before it in the batch", MASKED,
     of_mask(rolled(1, axis=1))),
    ("masked_steps_of_zeros", "masked steps are steps of zeros", MASKED, of_question(take_zeros)),
    ("output_repeated", "at a masked step the output is the one before it in time", MASKED, of_answer(repeat)),
)  # fmt: skip
