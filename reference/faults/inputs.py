"""Faults in the input: read along the wrong axis, from the wrong row or step, or in another memory layout."""

from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..layout import each_state, state_tuple
from .changes import backwards, exchange_axes, one_for_all, rolled, significant, times, zeroed
from .fault import Where, presupposed
from .machine import lengths_of
from .rows import of_question, of_run, of_x, table
from .where import EQUAL_TIME, FEATURES, FINER, ROWS, SEQUENCE, STEPS, TWO_STEPS


def _equal_batch_time(layout: str) -> Where:
    return presupposed(
        f"{layout}, as many sequences as steps, above 1",
        lambda case: case.layout == layout and case.x.shape[0] == case.x.shape[1] > 1,
    )


def _fortran(array: np.ndarray) -> bool:
    """Whether an array lies in memory in Fortran order, and not in C order too."""
    return array.flags.f_contiguous and not array.flags.c_contiguous


def _as_it_lies(array: np.ndarray) -> np.ndarray:
    """The numbers in the order in which they lie in memory, in the array's shape."""
    return array.ravel(order="K").reshape(array.shape)


X_FORTRAN = Where("x in Fortran order", lambda case: _fortran(case.x))
H0_FORTRAN = presupposed(
    "h0 in Fortran order", lambda case: case.h0 is not None and any(map(_fortran, state_tuple(case.h0)))
)
BEYOND_ONE = Where("x outside [-1, 1]", lambda case: bool(np.any(np.abs(case.x) > 1)))


def last_step_unread(case: Case) -> Case:
    last = np.arange(len(case.x))[:, None] == lengths_of(case) - 1
    return replace(case, x=np.where(last[..., None], np.zeros_like(case.x), case.x))


FAULTS = table(
    "inputs",
    ("batch_first_ignored", "batch_first is ignored, on the way in and out", _equal_batch_time("batch_first"),
     of_run(lambda case, run: run(replace(case, layout="time_first")), as_given=True)),
    ("time_first_ignored", "time_first is taken for batch_first, on the way in and out",
     _equal_batch_time("time_first"),
     of_run(lambda case, run: run(replace(case, layout="batch_first")), as_given=True)),
    ("x_batch_and_time_exchanged", "batch and time of x are exchanged", EQUAL_TIME, of_x(exchange_axes(0, 1))),
    ("x_read_as_it_lies", "x is read in the order in which it lies in memory", X_FORTRAN,
     of_question(lambda case: replace(case, x=_as_it_lies(case.x)), as_given=True)),
    ("h0_read_as_it_lies", "h0 is read in the order in which it lies in memory", H0_FORTRAN,
     of_question(lambda case: replace(case, h0=each_state(_as_it_lies, case.h0)), as_given=True)),
    ("x_ignored", "x is ignored", STEPS, of_x(zeroed(...))),
    ("x_of_the_next_row", "each sequence of x is the next one of the batch", ROWS & STEPS, of_x(rolled(-1, axis=1))),
    ("x_first_row_for_all", "the first sequence of x stands for all", ROWS & STEPS, of_x(one_for_all(0, axis=1))),
    ("x_features_reversed", "the features of x are in reverse order", FEATURES & STEPS, of_x(backwards(axis=-1))),
    ("x_one_step_late", "x is read one step late (the first step twice)", TWO_STEPS,
     of_x(lambda x: np.concatenate([x[:1], x[:-1]]))),
    ("x_one_step_early", "x is read one step early (the last step twice)", SEQUENCE & STEPS,
     of_x(lambda x: np.concatenate([x[1:], x[-1:]]))),
    ("x_last_step_unread", "the last step of x is read as zeros", STEPS, of_question(last_step_unread)),
    ("x_reversed_in_time", "x is reversed in time, and the output left so", SEQUENCE & STEPS, of_x(backwards(axis=0))),
    ("x_clipped", "x is clipped to [-1, 1]", BEYOND_ONE & STEPS, of_x(lambda x: np.clip(x, -1, 1).astype(x.dtype))),
    ("x_doubled", "x is added twice", STEPS, of_x(times(2))),
    ("x_in_bfloat16", "x is rounded to bfloat16", FINER & STEPS, of_x(significant(8))),
)  # fmt: skip
