"""Faults in the input: read along the wrong axis, from the wrong row or step, or in another memory layout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..recurrence import Result
from .changes import backwards, batch_and_time_exchanged, doubled, one_for_all, rolled, significant, zeroed
from .fault import Run, Where, around, asked
from .machine import lengths_of
from .rows import of_x, table
from .where import EQUAL_BATCH_TIME, FEATURES, NOT_BFLOAT16, PADDING, ROWS, SEQUENCE, STEPS, TWO_STEPS


def _equal_batch_time(layout: str) -> Where:
    return Where(
        f"{layout}, as many sequences as steps, above 1",
        lambda case: case.layout == layout and case.x.shape[0] == case.x.shape[1] > 1,
        presupposed=True,
    )


def _fortran(array: np.ndarray | None) -> bool:
    """Whether an array lies in memory in Fortran order, and not in C order too."""
    return array is not None and array.flags.f_contiguous and not array.flags.c_contiguous


def _as_it_lies(array: np.ndarray) -> np.ndarray:
    """The numbers in the order in which they lie in memory, in the array's shape."""
    return array.ravel(order="K").reshape(array.shape)


X_FORTRAN = Where("x in Fortran order", lambda case: _fortran(case.x))
H0_FORTRAN = Where("h0 in Fortran order", lambda case: _fortran(case.h0), presupposed=True)
BEYOND_ONE = Where("x outside [-1, 1]", lambda case: bool(np.any(np.abs(case.x) > 1)))


@around("batch_first is ignored, on the way in and out", _equal_batch_time("batch_first"), as_given=True)
def batch_first_ignored(case: Case, run: Run) -> Result:
    return run(replace(case, layout="time_first"))


@around("time_first is taken for batch_first, on the way in and out", _equal_batch_time("time_first"), as_given=True)
def time_first_ignored(case: Case, run: Run) -> Result:
    return run(replace(case, layout="batch_first"))


@asked("x is read in the order in which it lies in memory", X_FORTRAN, as_given=True)
def x_read_as_it_lies(case: Case) -> Case:
    return replace(case, x=_as_it_lies(case.x))


@asked("h0 is read in the order in which it lies in memory", H0_FORTRAN, as_given=True)
def h0_read_as_it_lies(case: Case) -> Case:
    assert case.h0 is not None
    return replace(case, h0=_as_it_lies(case.h0))


X = table(
    of_x,
    "inputs",
    ("x_batch_and_time_exchanged", "batch and time of x are exchanged", EQUAL_BATCH_TIME, batch_and_time_exchanged),
    ("x_ignored", "x is ignored", STEPS, zeroed(...)),
    ("x_of_the_next_row", "each sequence of x is the next one of the batch", ROWS & STEPS, rolled(-1, axis=1)),
    ("x_first_row_for_all", "the first sequence of x stands for all", ROWS & STEPS, one_for_all(0, axis=1)),
    ("x_features_reversed", "the features of x are in reverse order", FEATURES & STEPS, backwards(axis=-1)),
    ("x_one_step_late", "x is read one step late (the first step twice)", TWO_STEPS,
     lambda x: np.concatenate([x[:1], x[:-1]])),
    ("x_one_step_early", "x is read one step early (the last step twice)", SEQUENCE & STEPS,
     lambda x: np.concatenate([x[1:], x[-1:]])),
    ("x_reversed_in_time", "x is reversed in time, and the output left so", SEQUENCE & STEPS, backwards(axis=0)),
    ("x_clipped", "x is clipped to [-1, 1]", BEYOND_ONE & STEPS, lambda x: np.clip(x, -1, 1).astype(x.dtype)),
    ("x_doubled", "x is added twice", STEPS, doubled),
    ("x_in_bfloat16", "x is rounded to bfloat16", NOT_BFLOAT16 & STEPS, significant(8)),
)  # fmt: skip


@asked("the last step of x is read as zeros", STEPS)
def x_last_step_unread(case: Case) -> Case:
    last = np.arange(len(case.x))[:, None] == lengths_of(case) - 1
    return replace(case, x=np.where(last[..., None], np.zeros_like(case.x), case.x))


@asked("x holds other numbers beyond a sequence's length", PADDING, equivalent="no layer reads beyond a length")
def padding_of_x_changed(case: Case) -> Case:
    beyond = np.arange(len(case.x))[:, None] >= lengths_of(case)
    return replace(case, x=np.where(beyond[..., None], 1 - case.x, case.x).astype(case.x.dtype))


@around("x and h0 are copied before they are used", STEPS, as_given=True, equivalent="a copy holds the same numbers")
def inputs_copied(case: Case, run: Run) -> Result:
    return run(replace(case, x=case.x.copy(), h0=None if case.h0 is None else case.h0.copy()))


@around(
    "the rows of the batch are reversed on the way in, and back on the way out",
    ROWS,
    equivalent="the sequences of a batch do not know of each other",
)
def rows_reversed_and_back(case: Case, run: Run) -> Result:
    h0 = None if case.h0 is None else np.ascontiguousarray(case.h0[:, ::-1])
    lengths = None if case.lengths is None else lengths_of(case)[::-1].copy()
    output, h_n = run(replace(case, x=np.ascontiguousarray(case.x[:, ::-1]), h0=h0, lengths=lengths))
    return Result(output[:, ::-1], h_n[:, ::-1])
