"""Faults in the states: h0 misread, the state not carried, not reset, or mixed with others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..recurrence import Result
from .fault import Run, Where, around, asked
from .machine import by_layers, initial_states, layer_case, lengths_of, side_by_side, step_by_step
from .where import ALWAYS, BOTH, CELLS, FIVE_STEPS, H0, LAYERS, RELU, ROWS, STEPS, TWO_STEPS

RESET_EVERY = 4  # steps, of a state that is lost as truncated backpropagation loses it

NO_H0 = Where("no h0", lambda case: case.h0 is None, presupposed=True)
EQUAL_CELLS_BATCH = Where(
    "as many cells as sequences, above 1", lambda case: case.spec.num_cells == case.x.shape[1] > 1, presupposed=True
)
EQUAL_BATCH_UNITS = Where(
    "as many sequences as units, above 1", lambda case: case.spec.hidden_size == case.x.shape[1] > 1, presupposed=True
)


def from_h0(case: Case, h0: np.ndarray) -> Case:
    return replace(case, h0=np.ascontiguousarray(h0))


def direction_by_direction(states: np.ndarray, directions: int) -> np.ndarray:
    """States (cells, ...) taken as all layers of one direction, then of the other."""
    return states.reshape(directions, len(states) // directions, *states.shape[1:]).swapaxes(0, 1).reshape(states.shape)


def directions_swapped(states: np.ndarray) -> np.ndarray:
    """States (cells, ...) of a bidirectional stack, reverse before forward."""
    return states.reshape(len(states) // 2, 2, *states.shape[1:])[:, ::-1].reshape(states.shape)


@asked("h0 is ignored", H0)
def h0_ignored(case: Case) -> Case:
    return replace(case, h0=None)


@asked("each sequence starts from the h0 of the next one of the batch", H0 & ROWS)
def h0_of_the_next_row(case: Case) -> Case:
    return from_h0(case, np.roll(initial_states(case), -1, axis=1))


@asked("the h0 of the first sequence stands for all", H0 & ROWS)
def h0_first_row_for_all(case: Case) -> Case:
    return from_h0(case, np.repeat(initial_states(case)[:, :1], case.x.shape[1], axis=1))


@asked("each layer starts from the h0 of the next layer", H0 & LAYERS)
def h0_of_the_next_layer(case: Case) -> Case:
    return from_h0(case, np.roll(initial_states(case), -case.spec.num_directions, axis=0))


@asked("the first layer's h0 stands for all layers", H0 & LAYERS)
def h0_first_layer_for_all(case: Case) -> Case:
    first = initial_states(case)[: case.spec.num_directions]
    return from_h0(case, np.tile(first, (case.spec.num_layers, 1, 1)))


@asked("only the first layer's h0 is used", H0 & LAYERS)
def h0_in_the_first_layer_only(case: Case) -> Case:
    h0 = initial_states(case).copy()
    h0[case.spec.num_directions :] = 0
    return from_h0(case, h0)


@asked("the two directions exchange their h0", H0 & BOTH)
def h0_directions_exchanged(case: Case) -> Case:
    return from_h0(case, directions_swapped(initial_states(case)))


@asked("only the forward direction's h0 is used", H0 & BOTH)
def h0_in_forward_only(case: Case) -> Case:
    h0 = initial_states(case).copy()
    h0[1::2] = 0
    return from_h0(case, h0)


@asked("h0 is read direction by direction, not layer by layer", H0 & BOTH & LAYERS)
def h0_direction_by_direction(case: Case) -> Case:
    return from_h0(case, direction_by_direction(initial_states(case), 2))


@asked("h0 is read as (batch, cells, units)", H0 & EQUAL_CELLS_BATCH)
def h0_batch_first(case: Case) -> Case:
    return from_h0(case, initial_states(case).transpose(1, 0, 2))


@asked("batch and units of h0 are exchanged", H0 & EQUAL_BATCH_UNITS)
def h0_batch_and_units_exchanged(case: Case) -> Case:
    return from_h0(case, initial_states(case).transpose(0, 2, 1))


@asked("h0 is reshaped, not transposed, from (batch, cells, units)", H0 & CELLS & ROWS)
def h0_reshaped(case: Case) -> Case:
    cells, batch, units = initial_states(case).shape
    return from_h0(case, initial_states(case).reshape(batch, cells, units).transpose(1, 0, 2))


@asked("h0 goes through tanh first", H0)
def h0_activated(case: Case) -> Case:
    return from_h0(case, np.tanh(initial_states(case)))


@asked("the state starts at 1 where h0 is not given", NO_H0 & ALWAYS)
def starts_at_one(case: Case) -> Case:
    return from_h0(case, np.ones_like(initial_states(case)))


@around("the state is not carried: every step starts from h0", TWO_STEPS)
def state_not_carried(case: Case, run: Run) -> Result:
    return step_by_step(case, run, lambda _k, states: states[0])


@around("the state is lost after the first step: every later one starts from zeros", TWO_STEPS)
def state_lost(case: Case, run: Run) -> Result:
    return step_by_step(case, run, lambda k, states: states[-1] if k == 0 else np.zeros_like(states[0]))


@around(f"the state is reset every {RESET_EVERY} steps", FIVE_STEPS)
def state_reset(case: Case, run: Run) -> Result:
    return step_by_step(case, run, lambda k, h: np.zeros_like(h[0]) if k and k % RESET_EVERY == 0 else h[-1])


@around("each step starts from the state two steps before", TWO_STEPS)
def state_two_steps_old(case: Case, run: Run) -> Result:
    return step_by_step(case, run, lambda _k, states: states[max(len(states) - 2, 0)])


@around("h0 is added to the state before every step", H0 & TWO_STEPS)
def h0_added_to_every_step(case: Case, run: Run) -> Result:
    return step_by_step(case, run, lambda k, states: states[-1] + states[0] if k else states[-1])


@around("the state of the step before is added to each state", TWO_STEPS)
def state_added(case: Case, run: Run) -> Result:
    return step_by_step(case, run, lambda _k, states: states[-1], lambda k, h, states: h + states[-1] if k else h)


@around("each state is the mean of the new one and the one before", STEPS)
def state_averaged(case: Case, run: Run) -> Result:
    return step_by_step(case, run, lambda _k, states: states[-1], lambda _k, h, states: (h + states[-1]) / 2)


@around("the state is clipped to [-1, 1]", RELU & STEPS)
def state_clipped(case: Case, run: Run) -> Result:
    return step_by_step(case, run, lambda _k, states: states[-1], lambda _k, h, _states: np.clip(h, -1, 1))


@around("each step starts from the state of the next sequence of the batch", ROWS & TWO_STEPS)
def state_of_the_next_row(case: Case, run: Run) -> Result:
    return step_by_step(case, run, lambda k, states: np.roll(states[-1], -1, axis=0) if k else states[-1])


@around("the state is carried from one sequence of the batch to the next", ROWS)
def state_carried_between_rows(case: Case, run: Run) -> Result:
    h, answers = initial_states(case)[:, :1], []
    for row in range(case.x.shape[1]):
        lengths = None if case.lengths is None else lengths_of(case)[row : row + 1]
        x = np.ascontiguousarray(case.x[:, row : row + 1])
        answers.append(run(Case(case.spec, case.parameters, x, np.ascontiguousarray(h), lengths, "time_first")))
        h = answers[-1].h_n
    output, h_n = zip(*answers, strict=True)
    return Result(np.concatenate(output, axis=1), np.concatenate(h_n, axis=1))


@around("each layer starts from the final state of the layer below", LAYERS)
def starts_from_the_layer_below(case: Case, run: Run) -> Result:
    return by_layers(case, run, start=lambda _layer, h_n: h_n[-1] if h_n else None)


@around("the reverse direction starts from the forward direction's final state", BOTH)
def reverse_starts_from_forward(case: Case, run: Run) -> Result:
    def layer_run(_number: int, layer: Case, run: Run) -> Result:
        forward = run(layer_case(layer, 0, layer.x, d=0))
        h0 = np.concatenate([forward.h_n, forward.h_n])
        return side_by_side([forward, run(layer_case(layer, 0, layer.x, h0, d=1))])

    return by_layers(case, run, layer_run=layer_run)


@around(
    "every step is a call of its own, the state handed over",
    ALWAYS,
    equivalent="what a recurrent layer is: h_t depends on x_t and h_{t-1} alone",
)
def called_step_by_step(case: Case, run: Run) -> Result:
    return step_by_step(case, run, lambda _k, states: states[-1])
