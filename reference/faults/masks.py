"""Faults in masks. They are no part of FAULTS: most frameworks take no masks with holes, and have no place for them.

A mask is booleans with the axes of x but the last; each fault sees the case as it was given.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..layout import sequence_axes
from ..recurrence import Result
from .fault import Fault, Run, Where, around, asked

MASKED = Where("a masked step", lambda case: not mask_of(case).all(), presupposed=True)


def mask_of(case: Case) -> np.ndarray:
    return np.ones(case.x.shape[:-1], bool) if case.mask is None else np.asarray(case.mask)


def axis(case: Case, name: str) -> int:
    return sequence_axes(case.layout).index(name)


@asked("the mask is ignored", MASKED, as_given=True)
def mask_ignored(case: Case) -> Case:
    return replace(case, mask=None)


@asked("the mask is inverted", MASKED, as_given=True)
def mask_inverted(case: Case) -> Case:
    return replace(case, mask=~mask_of(case))


@asked("the number of steps that count is taken for a length", MASKED, as_given=True)
def mask_counted(case: Case) -> Case:
    return replace(case, mask=None, lengths=mask_of(case).sum(axis=axis(case, "time")))


@asked("holes are filled: all steps count up to the last that does", MASKED, as_given=True)
def holes_filled(case: Case) -> Case:
    later = np.flip(mask_of(case), axis(case, "time"))
    return replace(case, mask=np.flip(np.logical_or.accumulate(later, axis(case, "time")), axis(case, "time")))


@asked("the mask is one step late", MASKED, as_given=True)
def mask_late(case: Case) -> Case:
    return replace(case, mask=np.roll(mask_of(case), 1, axis(case, "time")))


@asked("the mask is one step early", MASKED, as_given=True)
def mask_early(case: Case) -> Case:
    return replace(case, mask=np.roll(mask_of(case), -1, axis(case, "time")))


@asked("the mask is reversed in time", MASKED, as_given=True)
def mask_reversed(case: Case) -> Case:
    return replace(case, mask=np.flip(mask_of(case), axis(case, "time")))


@asked("each sequence has the mask of the one before it in the batch", MASKED, as_given=True)
def mask_of_another_row(case: Case) -> Case:
    batched = case.layout != "unbatched"
    return replace(case, mask=np.roll(mask_of(case), 1, axis(case, "batch"))) if batched else case


@asked("masked steps are steps of zeros", MASKED, as_given=True)
def masked_steps_of_zeros(case: Case) -> Case:
    return replace(case, x=np.where(mask_of(case)[..., None], case.x, np.zeros_like(case.x)), mask=None)


@around("at a masked step the output is the one before it in time", MASKED, as_given=True)
def output_repeated(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    steps, counts = np.moveaxis(output.copy(), axis(case, "time"), 0), np.moveaxis(mask_of(case), axis(case, "time"), 0)
    for t in range(1, len(steps)):
        steps[t] = np.where(counts[t][..., None], steps[t], steps[t - 1])
    return Result(np.ascontiguousarray(np.moveaxis(steps, 0, axis(case, "time"))), h_n)


MASK_FAULTS = {name: entry for name, entry in vars().items() if isinstance(entry, Fault)}
