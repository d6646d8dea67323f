"""A faulty implementation: a Run that answers any case with a fault planted in it.

A fault that is planted `around` a layer only asks it other questions and rearranges its answers; the functions
here take a stack apart for it, into layers, cells and steps, each asked by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..layout import (
    last_states,
    reverse_within_lengths,
    sequence_from_time_first,
    sequence_to_time_first,
    state_from_batched,
    state_to_batched,
    valid_steps,
)
from ..recurrence import Result
from ..spec import CellParameters, RNNSpec
from .fault import Fault, Run, Stepped
from .step import Kernel, NumPyKernel, Step

# h_t (batch, hidden_size) from the step's number k in processing order, x_t (batch, input size) and h_0 ... h_{t-1}
Advance = Callable[[int, np.ndarray, list[np.ndarray]], np.ndarray]


def implementation(faults: Sequence[Fault], run: Run, kernel: Kernel | None = None) -> Run:
    """`run` with these faults planted in it, the first outermost.

    run: a layer as it is.  kernel: what computes the step of a fault in the arithmetic, which takes the place of
    `run`, so there is one such fault at most, and it comes last whatever its place.  NumPy when None.
    """
    for fault in sorted(faults, key=lambda fault: fault.step is not None)[::-1]:
        run = _planted(fault, run, kernel or NumPyKernel())
    return run


def _planted(fault: Fault, run: Run, kernel: Kernel) -> Run:
    def faulty(case: Case) -> Result:
        if not fault.where.holds(case):  # the fault is in code that this case does not reach
            return run(case)
        if fault.asked is not None:
            return run(fault.asked(case))
        return fault.around(case, run) if fault.around is not None else _run_steps(case, run, fault.step, kernel)

    return faulty if fault.as_given else lambda case: in_time_first(case, faulty)


def as_time_first(case: Case) -> Case:
    """The same question, time first and batched; an unbatched sequence becomes a batch of 1."""
    x = np.ascontiguousarray(sequence_to_time_first(case.x, case.layout))
    h0 = None if case.h0 is None else np.ascontiguousarray(state_to_batched(case.h0, case.layout))
    lengths = None if case.lengths is None else np.atleast_1d(np.asarray(case.lengths))
    mask = None if case.mask is None else sequence_to_time_first(case.mask[..., None], case.layout)[..., 0]
    return Case(case.spec, case.parameters, x, h0, lengths, "time_first", mask)


def in_time_first(case: Case, run: Run) -> Result:
    """The answer of a run that knows time first only, to a case in any layout."""
    output, h_n = run(as_time_first(case))
    output = sequence_from_time_first(output, case.layout)
    return Result(np.ascontiguousarray(output), np.ascontiguousarray(state_from_batched(h_n, case.layout)))


def initial_states(case: Case) -> np.ndarray:
    """h0 of a time-first case: (num_cells, batch, hidden_size), zeros where none is given."""
    if case.h0 is not None:
        return case.h0
    return np.zeros((case.spec.num_cells, case.x.shape[1], case.spec.hidden_size), case.x.dtype)


def lengths_of(case: Case) -> np.ndarray:
    """The lengths of a time-first case, (batch,); all steps where none are given."""
    return np.full(case.x.shape[1], len(case.x)) if case.lengths is None else np.asarray(case.lengths)


def cells(case: Case, change: Callable[[CellParameters], CellParameters], which: Sequence[int] | None = None) -> Case:
    """The case with the parameters of some cells changed, all of them when `which` is None."""
    chosen = range(case.spec.num_cells) if which is None else which
    changed = [change(cell) if index in chosen else cell for index, cell in enumerate(case.parameters)]
    return replace(case, parameters=changed)


def layer_case(case: Case, layer: int, x: np.ndarray, h0: np.ndarray | None = None, d: int | None = None) -> Case:
    """One layer of a time-first case as a question of its own; with d, only that direction of it.

    x: (time, batch, layer input size).  h0: all initial states of the stack, the case's own when None.
    """
    spec = case.spec
    first = layer * spec.num_directions
    chosen = slice(first, first + spec.num_directions) if d is None else slice(first + d, first + d + 1)
    direction = spec.direction if d is None else spec.directions[d]
    single = replace(spec, input_size=x.shape[-1], num_layers=1, direction=direction)
    states = initial_states(case) if h0 is None else h0
    return Case(single, case.parameters[chosen], x, states[chosen], case.lengths, "time_first")


def by_layers(
    case: Case,
    run: Run,
    read: Callable[[int, np.ndarray], np.ndarray] = lambda _layer, below: below,
    layer_run: Callable[[int, Case, Run], Result] | None = None,
    start: Callable[[int, list[np.ndarray]], np.ndarray | None] = lambda _layer, _h_n: None,
) -> Result:
    """The stack one layer after another, each asked by itself.

    read: what a layer reads, from its number and the output below.  layer_run: how a layer is asked,
    given its number.
    start: the layer's initial states, from its number and the final states of those below; None for its own.
    """
    below, h_n = case.x, []
    for layer in range(case.spec.num_layers):
        asked = layer_case(case, layer, read(layer, below) if layer else below)
        asked = replace(asked, h0=states) if (states := start(layer, h_n)) is not None else asked
        below, last = layer_run(layer, asked, run) if layer_run else run(asked)
        h_n.append(last)
    return Result(below, np.concatenate(h_n))


def by_cells(case: Case, run: Run, cell_run: Callable[[Case, Run], Result]) -> Result:
    """The stack one cell after another; cell_run: how a cell, a case of one layer and direction, is asked."""

    def layer_run(_number: int, layer: Case, run: Run) -> Result:
        directions = range(layer.spec.num_directions)
        return side_by_side([cell_run(layer_case(layer, 0, layer.x, d=d), run) for d in directions])

    return by_layers(case, run, layer_run=layer_run)


def side_by_side(cells: Sequence[Result]) -> Result:
    """The answers of a layer's cells as the layer's."""
    output, h_n = zip(*cells, strict=True)
    return Result(np.concatenate(output, axis=-1), np.concatenate(h_n))


def scan(cell: Case, advance: Advance) -> Result:
    """A case of one cell, step by step in processing order: what `advance` makes of each step.

    Every row takes all steps; beyond a sequence's length they are not looked at.
    """
    lengths, reverse = lengths_of(cell), cell.spec.direction == "reverse"
    x = reverse_within_lengths(cell.x, lengths) if reverse else cell.x
    h0 = initial_states(cell)[0]
    states = [h0]
    for k, x_t in enumerate(x):
        states.append(np.asarray(advance(k, x_t, states)).astype(cell.x.dtype))
    output = np.stack(states)[1:]
    h_n = last_states(output, h0, lengths)
    if reverse:
        output = reverse_within_lengths(output, lengths)
    return Result(zero_padding(output, lengths), h_n[None])


def step_by_step(
    case: Case, run: Run, enter: Callable[[int, list[np.ndarray]], np.ndarray],
    leave: Callable[[int, np.ndarray, list[np.ndarray]], np.ndarray] = lambda _k, h, _states: h,
) -> Result:  # fmt: skip
    """Every cell one step at a time, each step asked by itself.

    enter: the state that step k starts from, given h_0 ... h_{k}.  leave: the state that it ends in, from the
    step's number, its true answer and h_0 ... h_{k}.
    """

    def cell_run(cell: Case, run: Run) -> Result:
        def advance(k: int, x_t: np.ndarray, states: list[np.ndarray]) -> np.ndarray:
            return leave(k, one_step(cell, run, x_t, enter(k, states)), states)

        return scan(cell, advance)

    return by_cells(case, run, cell_run)


def one_step(cell: Case, run: Run, x_t: np.ndarray, h: np.ndarray) -> np.ndarray:
    """h_t (batch, hidden_size), from a cell that is asked for this one step."""
    forward: RNNSpec = replace(cell.spec, direction="forward")
    return run(Case(forward, cell.parameters, x_t[None], h[None], None, "time_first")).h_n[0]


def every_step_alone(cell: Case, states: np.ndarray) -> Case:
    """All valid steps of a cell as one batch of sequences of a single step, each from the state before it.

    states: (time, batch, hidden_size), the cell's output.  The answer's one step holds what `states` should be at
    its valid steps, by time, then batch.
    """
    lengths, reverse = lengths_of(cell), cell.spec.direction == "reverse"
    in_order = reverse_within_lengths(states, lengths) if reverse else states
    before = np.concatenate([initial_states(cell), in_order[:-1]])[: len(states)]
    before = reverse_within_lengths(before, lengths) if reverse else before
    valid = valid_steps(lengths, len(states))
    spec: RNNSpec = replace(cell.spec, direction="forward")
    return Case(spec, cell.parameters, cell.x[valid][None], before[valid][None], None, "time_first")


def final_states(cell: Case, output: np.ndarray) -> np.ndarray:
    """The state of a cell after the last step that it took, (batch, hidden_size), as its output has it."""
    lengths = lengths_of(cell)
    in_order = reverse_within_lengths(output, lengths) if cell.spec.direction == "reverse" else output
    return last_states(in_order, initial_states(cell)[0], lengths)


def zero_padding(output: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The output (time, batch, features) with zeros beyond each sequence's length."""
    output = output.copy()
    output[~valid_steps(lengths, len(output))] = 0
    return output


def _run_steps(case: Case, run: Run, take: Stepped | None, kernel: Kernel) -> Result:
    """The whole stack, every step as a fault takes it."""
    assert take is not None, "a fault is asked, around or a step"

    def cell_run(cell: Case, _run: Run) -> Result:
        def advance(_k: int, x_t: np.ndarray, states: list[np.ndarray]) -> np.ndarray:
            return take(Step(kernel, cell.parameters[0], cell.spec.nonlinearity, x_t, states[-1]))

        return scan(cell, advance)

    with np.errstate(all="ignore"):
        return by_cells(case, run, cell_run)
