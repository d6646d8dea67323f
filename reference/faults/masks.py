"""Faults in masks. They are no part of FAULTS: most frameworks take no masks with holes, and have no place for them.

A mask is booleans (time, batch).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..recurrence import Result
from .changes import Change, backwards, rolled
from .fault import Asked, Run, Where, around, asked
from .rows import table

MASKED = Where("a masked step", lambda case: not mask_of(case).all(), presupposed=True)


def mask_of(case: Case) -> np.ndarray:
    return np.ones(case.x.shape[:2], bool) if case.mask is None else case.mask


def of_mask(change: Change) -> tuple[Asked, None]:
    """Another mask, (time, batch)."""
    return lambda case: replace(case, mask=change(mask_of(case))), None


def _holes_filled(mask: np.ndarray) -> np.ndarray:
    return np.logical_or.accumulate(mask[::-1])[::-1]


MASK = table(
    of_mask,
    "masks",
    ("mask_inverted", "the mask is inverted", MASKED, np.logical_not),
    ("holes_filled", "holes are filled: all steps count up to the last that does", MASKED, _holes_filled),
    ("mask_late", "the mask is one step late", MASKED, rolled(1, axis=0)),
    ("mask_early", "the mask is one step early", MASKED, rolled(-1, axis=0)),
    ("mask_reversed", "the mask is reversed in time", MASKED, backwards(axis=0)),
    ("mask_of_another_row", "each sequence has the mask of the one before it in the batch", MASKED, rolled(1, axis=1)),
)


@asked("the mask is ignored", MASKED)
def mask_ignored(case: Case) -> Case:
    return replace(case, mask=None)


@asked("the number of steps that count is taken for a length", MASKED)
def mask_counted(case: Case) -> Case:
    return replace(case, mask=None, lengths=mask_of(case).sum(axis=0))


@asked("masked steps are steps of zeros", MASKED)
def masked_steps_of_zeros(case: Case) -> Case:
    return replace(case, x=np.where(mask_of(case)[..., None], case.x, np.zeros_like(case.x)), mask=None)


@around("at a masked step the output is the one before it in time", MASKED)
def output_repeated(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    output = output.copy()
    for t in range(1, len(output)):
        output[t] = np.where(mask_of(case)[t, :, None], output[t], output[t - 1])
    return Result(output, h_n)


_OTHERS = (mask_ignored, mask_counted, masked_steps_of_zeros, output_repeated)
MASK_FAULTS = {fault.name: fault for fault in (*MASK, *_OTHERS)}
