"""Faults in the biases: one of the two lost, both counted twice, or of other units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..spec import CellParameters
from .fault import asked
from .machine import cells
from .weights import reverse_cells, upper_cells
from .where import BIAS, BOTH, LAYERS, STEPS, UNITS


def biases(cell: CellParameters) -> tuple[np.ndarray, np.ndarray]:
    b_ih, b_hh = cell.arrays()["b_ih"], cell.arrays()["b_hh"]
    return b_ih, b_hh


def without_biases(cell: CellParameters) -> CellParameters:
    return replace(cell, b_ih=np.zeros(len(cell.w_hh), cell.dtype), b_hh=np.zeros(len(cell.w_hh), cell.dtype))


@asked("b_ih is ignored", BIAS & STEPS)
def b_ih_ignored(case: Case) -> Case:
    return cells(case, lambda c: replace(c, b_ih=np.zeros_like(biases(c)[0])))


@asked("b_hh is ignored", BIAS & STEPS)
def b_hh_ignored(case: Case) -> Case:
    return cells(case, lambda c: replace(c, b_hh=np.zeros_like(biases(c)[1])))


@asked("both biases are ignored", BIAS & STEPS)
def biases_ignored(case: Case) -> Case:
    return cells(case, without_biases)


@asked("both biases are added twice", BIAS & STEPS)
def biases_doubled(case: Case) -> Case:
    return cells(case, lambda c: replace(c, b_ih=biases(c)[0] * 2, b_hh=biases(c)[1] * 2))


@asked("b_ih stands for both biases", BIAS & STEPS)
def b_ih_for_both(case: Case) -> Case:
    return cells(case, lambda c: replace(c, b_hh=biases(c)[0]))


@asked("b_hh stands for both biases", BIAS & STEPS)
def b_hh_for_both(case: Case) -> Case:
    return cells(case, lambda c: replace(c, b_ih=biases(c)[1]))


@asked("the biases have the opposite sign", BIAS & STEPS)
def biases_negated(case: Case) -> Case:
    return cells(case, lambda c: replace(c, b_ih=-biases(c)[0], b_hh=-biases(c)[1]))


@asked("the units of the biases are rotated by one", BIAS & UNITS & STEPS)
def biases_rotated(case: Case) -> Case:
    return cells(case, lambda c: replace(c, b_ih=np.roll(biases(c)[0], 1), b_hh=np.roll(biases(c)[1], 1)))


@asked("the biases of the layers above the first are ignored", BIAS & LAYERS & STEPS)
def biases_ignored_in_upper_layers(case: Case) -> Case:
    return cells(case, without_biases, upper_cells(case))


@asked("the biases of the reverse direction are ignored", BIAS & BOTH & STEPS)
def biases_ignored_in_reverse(case: Case) -> Case:
    return cells(case, without_biases, reverse_cells(case))


@asked("a layer's biases are read kind by kind, not direction by direction", BIAS & BOTH & STEPS)
def biases_kind_by_kind(case: Case) -> Case:
    changed = []
    for forward, reverse in zip(case.parameters[::2], case.parameters[1::2], strict=True):
        changed.append(replace(forward, b_hh=biases(reverse)[0]))
        changed.append(replace(reverse, b_ih=biases(forward)[1]))
    return replace(case, parameters=changed)


@asked("b_ih and b_hh are exchanged", BIAS & STEPS, equivalent="they are only ever added, and addition is commutative")
def biases_exchanged(case: Case) -> Case:
    return cells(case, lambda c: replace(c, b_ih=c.b_hh, b_hh=c.b_ih))


@asked(
    "b_ih is the sum of both biases and b_hh is zero",
    BIAS & STEPS,
    equivalent="one rounding more, which the bound counts; Keras keeps one bias",
)
def biases_added_beforehand(case: Case) -> Case:
    return cells(case, lambda c: replace(c, b_ih=biases(c)[0] + biases(c)[1], b_hh=np.zeros_like(biases(c)[1])))
