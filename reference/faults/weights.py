"""Faults in the weight matrices: the wrong way round, in the wrong place, or not all there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..spec import CellParameters
from .fault import asked
from .machine import cells
from .step import Change, significant
from .where import ALWAYS, ANY_FEATURES, BOTH, FLOAT64, LAYERS, NOT_BFLOAT16, RECURRENT, SQUARE, STEPS, UNITS, WIDE


def transposed(w: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(w.T)


def transpose_recurrent(cell: CellParameters) -> CellParameters:
    return replace(cell, w_hh=transposed(cell.w_hh))


def change_weights(change: Change) -> Callable[[CellParameters], CellParameters]:
    return lambda cell: replace(cell, w_ih=change(cell.w_ih), w_hh=change(cell.w_hh))


def reverse_cells(case: Case) -> range:
    """The cells that run in reverse."""
    return range(case.spec.num_directions - 1, case.spec.num_cells, case.spec.num_directions)


def upper_cells(case: Case) -> range:
    return range(case.spec.num_directions, case.spec.num_cells)


@asked("w_ih is transposed", SQUARE & UNITS & STEPS)
def w_ih_transposed(case: Case) -> Case:
    return cells(case, lambda c: replace(c, w_ih=transposed(c.w_ih)) if c.w_ih.shape[0] == c.w_ih.shape[1] else c)


@asked("w_ih is reshaped, not transposed, from features by units", UNITS & ANY_FEATURES & STEPS)
def w_ih_reshaped(case: Case) -> Case:
    return cells(case, lambda c: replace(c, w_ih=transposed(c.w_ih).reshape(c.w_ih.shape)))


@asked("w_hh is transposed", UNITS & RECURRENT)
def w_hh_transposed(case: Case) -> Case:
    return cells(case, transpose_recurrent)


@asked("w_hh of the reverse direction is transposed", BOTH & UNITS & RECURRENT)
def w_hh_transposed_in_reverse(case: Case) -> Case:
    return cells(case, transpose_recurrent, reverse_cells(case))


@asked("w_hh of the layers above the first is transposed", LAYERS & UNITS & RECURRENT)
def w_hh_transposed_in_upper_layers(case: Case) -> Case:
    return cells(case, transpose_recurrent, upper_cells(case))


@asked("w_ih and w_hh are exchanged", SQUARE & STEPS)
def w_ih_and_w_hh_exchanged(case: Case) -> Case:
    def exchange(cell: CellParameters) -> CellParameters:
        fits = cell.w_ih.shape == cell.w_hh.shape
        return replace(cell, w_ih=cell.w_hh, w_hh=cell.w_ih) if fits else cell

    return cells(case, exchange)


@asked("w_hh stands before w_ih in the one kernel that holds both", STEPS)
def kernel_split_the_other_way(case: Case) -> Case:
    def split(cell: CellParameters) -> CellParameters:
        kernel = np.concatenate([cell.w_ih, cell.w_hh], axis=1)
        w_hh, w_ih = np.split(kernel, [len(kernel)], axis=1)
        return replace(cell, w_ih=w_ih, w_hh=w_hh)

    return cells(case, split)


@asked("the rows (units) of w_ih are rotated by one", UNITS & STEPS)
def w_ih_rows_rotated(case: Case) -> Case:
    return cells(case, lambda c: replace(c, w_ih=np.roll(c.w_ih, 1, axis=0)))


@asked("the columns (features) of w_ih are rotated by one", ANY_FEATURES & STEPS)
def w_ih_columns_rotated(case: Case) -> Case:
    return cells(case, lambda c: replace(c, w_ih=np.roll(c.w_ih, 1, axis=1)))


@asked("the columns (features) of w_ih are in reverse order", ANY_FEATURES & STEPS)
def w_ih_columns_reversed(case: Case) -> Case:
    return cells(case, lambda c: replace(c, w_ih=np.ascontiguousarray(c.w_ih[:, ::-1])))


@asked("the rows (units) of w_hh are rotated by one", UNITS & RECURRENT)
def w_hh_rows_rotated(case: Case) -> Case:
    return cells(case, lambda c: replace(c, w_hh=np.roll(c.w_hh, 1, axis=0)))


@asked("the columns (units) of w_hh are rotated by one", UNITS & RECURRENT)
def w_hh_columns_rotated(case: Case) -> Case:
    return cells(case, lambda c: replace(c, w_hh=np.roll(c.w_hh, 1, axis=1)))


@asked("w_hh is ignored", RECURRENT)
def w_hh_ignored(case: Case) -> Case:
    return cells(case, lambda c: replace(c, w_hh=np.zeros_like(c.w_hh)))


@asked("only the diagonal of w_hh is used", UNITS & RECURRENT)
def w_hh_diagonal(case: Case) -> Case:
    return cells(case, lambda c: replace(c, w_hh=np.diag(np.diag(c.w_hh))))


@asked("w_hh has the opposite sign", RECURRENT)
def w_hh_negated(case: Case) -> Case:
    return cells(case, lambda c: replace(c, w_hh=-c.w_hh))


@asked("the last row (unit) of w_ih was not copied and is zero", STEPS)
def last_unit_not_copied(case: Case) -> Case:
    def lose(cell: CellParameters) -> CellParameters:
        w_ih = cell.w_ih.copy()
        w_ih[-1] = 0
        return replace(cell, w_ih=w_ih)

    return cells(case, lose)


@asked("the last column (feature) of w_ih was not copied and is zero", STEPS)
def last_feature_not_copied(case: Case) -> Case:
    def lose(cell: CellParameters) -> CellParameters:
        w_ih = cell.w_ih.copy()
        w_ih[:, -1] = 0
        return replace(cell, w_ih=w_ih)

    return cells(case, lose)


@asked("all weights are 1 % too small", STEPS)
def weights_decayed(case: Case) -> Case:
    return cells(case, change_weights(lambda w: (w.astype(np.float64) * 0.99).astype(w.dtype)))


@asked("the weights are rounded to 8-bit integers times a scale", STEPS)
def weights_in_int8(case: Case) -> Case:
    def quantised(w: np.ndarray) -> np.ndarray:
        scale = max(float(np.abs(w).max()), np.finfo(np.float64).tiny) / 127
        return (np.rint(w.astype(np.float64) / scale) * scale).astype(w.dtype)

    return cells(case, change_weights(quantised))


@asked("the weights were stored in bfloat16", NOT_BFLOAT16 & ALWAYS)
def weights_in_bfloat16(case: Case) -> Case:
    return cells(case, change_weights(significant(8)))


@asked("the weights were stored in float16", WIDE & ALWAYS)
def weights_in_float16(case: Case) -> Case:
    return cells(case, change_weights(lambda w: w.astype(np.float16).astype(w.dtype)))


@asked("the weights were stored in float32", FLOAT64 & ALWAYS)
def weights_in_float32(case: Case) -> Case:
    return cells(case, change_weights(lambda w: w.astype(np.float32).astype(w.dtype)))
