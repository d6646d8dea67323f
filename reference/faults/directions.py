"""Faults in time and direction: steps skipped or taken twice, directions ignored, mixed up or not put back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..layout import reverse_within_lengths
from ..recurrence import Result
from .fault import Around, Run, around, asked
from .layers import reorder
from .machine import by_cells, by_layers, lengths_of, one_step, step_by_step
from .where import A_FORWARD, A_REVERSE, BOTH, LAYERS, STEPS, TWO_STEPS


def as_direction(cell: Case, direction: str) -> Case:
    return replace(cell, spec=replace(cell.spec, direction=direction))


def run_reverse_cells(case: Case, run: Run, cell_run: Around) -> Result:
    """The stack cell by cell, those in reverse asked by cell_run."""
    return by_cells(case, run, lambda cell, run: cell_run(cell, run) if cell.spec.direction == "reverse" else run(cell))


def run_forward_cells(case: Case, run: Run, cell_run: Around) -> Result:
    return by_cells(case, run, lambda cell, run: cell_run(cell, run) if cell.spec.direction == "forward" else run(cell))


@asked("the two directions' parameters are exchanged", BOTH)
def directions_exchange_parameters(case: Case) -> Case:
    order = np.arange(case.spec.num_cells).reshape(-1, 2)[:, ::-1].ravel()
    return reorder(case, order)


@asked("the reverse direction has the forward direction's parameters", BOTH & STEPS)
def reverse_has_forward_parameters(case: Case) -> Case:
    return reorder(case, np.arange(case.spec.num_cells) // 2 * 2)


@asked("the forward direction has the reverse direction's parameters", BOTH & STEPS)
def forward_has_reverse_parameters(case: Case) -> Case:
    return reorder(case, np.arange(case.spec.num_cells) // 2 * 2 + 1)


@around("the direction is ignored: everything runs forward", A_REVERSE & TWO_STEPS)
def direction_ignored(case: Case, run: Run) -> Result:
    return run_reverse_cells(case, run, lambda cell, run: run(as_direction(cell, "forward")))


@around("everything runs in reverse", A_FORWARD & TWO_STEPS)
def everything_in_reverse(case: Case, run: Run) -> Result:
    return run_forward_cells(case, run, lambda cell, run: run(as_direction(cell, "reverse")))


@around("forward runs in reverse, and reverse forward", BOTH & TWO_STEPS)
def directions_exchanged(case: Case, run: Run) -> Result:
    other = {"forward": "reverse", "reverse": "forward"}
    return by_cells(case, run, lambda cell, run: run(as_direction(cell, other[cell.spec.direction])))


@around("the reverse output is not put back into time order", A_REVERSE & TWO_STEPS)
def reverse_not_put_back(case: Case, run: Run) -> Result:
    def cell_run(cell: Case, run: Run) -> Result:
        output, h_n = run(cell)
        return Result(reverse_within_lengths(output, lengths_of(cell)), h_n)

    return run_reverse_cells(case, run, cell_run)


@around("the top layer's reverse output is not put back into time order", A_REVERSE & LAYERS & TWO_STEPS)
def top_reverse_not_put_back(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    half = slice(-case.spec.hidden_size, None)
    output = output.copy()
    output[..., half] = reverse_within_lengths(output[..., half], lengths_of(case))
    return Result(output, h_n)


@around("only the top layer's reverse output is put back into time order", A_REVERSE & LAYERS & TWO_STEPS)
def lower_reverse_not_put_back(case: Case, run: Run) -> Result:
    half, top = slice(-case.spec.hidden_size, None), case.spec.num_layers - 1

    def layer_run(number: int, layer: Case, run: Run) -> Result:
        output, h_n = run(layer)
        if number < top:
            output = output.copy()
            output[..., half] = reverse_within_lengths(output[..., half], lengths_of(layer))
        return Result(output, h_n)

    return by_layers(case, run, layer_run=layer_run)


@around("the first step is skipped", STEPS)
def first_step_skipped(case: Case, run: Run) -> Result:
    return step_by_step(case, run, lambda _k, states: states[-1], lambda k, h, states: h if k else states[-1])


@around("the last step is skipped", STEPS)
def last_step_skipped(case: Case, run: Run) -> Result:
    def leave(k: int, h: np.ndarray, states: list[np.ndarray]) -> np.ndarray:
        return np.where((lengths_of(case) == k + 1)[:, None], states[-1], h)

    return step_by_step(case, run, lambda _k, states: states[-1], leave)


@around("h_n has taken the last step twice", STEPS)
def last_step_twice_in_h_n(case: Case, run: Run) -> Result:
    def cell_run(cell: Case, run: Run) -> Result:
        output, h_n = run(cell)
        at = lengths_of(cell) - 1 if cell.spec.direction == "forward" else np.zeros(cell.x.shape[1], int)
        again = one_step(cell, run, cell.x[np.maximum(at, 0), np.arange(cell.x.shape[1])], h_n[0])
        return Result(output, np.where((lengths_of(cell) > 0)[:, None], again, h_n[0])[None])

    return by_cells(case, run, cell_run)


@around(
    "reverse is forward on each sequence reversed within its length, and back",
    A_REVERSE,
    equivalent="the definition of the reverse direction",
)
def reverse_by_flipping(case: Case, run: Run) -> Result:
    def cell_run(cell: Case, run: Run) -> Result:
        x = np.ascontiguousarray(reverse_within_lengths(cell.x, lengths_of(cell)))
        output, h_n = run(as_direction(replace(cell, x=x), "forward"))
        return Result(reverse_within_lengths(output, lengths_of(cell)), h_n)

    return run_reverse_cells(case, run, cell_run)
