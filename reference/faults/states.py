"""Faults in the states: h0 misread, the state not carried, not reset, or mixed with others."""

from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..recurrence import Result
from .changes import backwards, exchange_axes, one_for_all, rolled, taken, zeroed
from .fault import Run
from .machine import by_layers, initial_states, layer_case, lengths_of, side_by_side, unpacked
from .rows import of_end, of_h0, of_question, of_run, of_start, table
from .where import (
    ALWAYS,
    BOTH,
    EQUAL_TRACKS,
    EQUAL_UNITS,
    FIVE_STEPS,
    H0,
    LAYERS,
    NO_H0,
    RELU,
    ROWS,
    STEPS,
    TRACKS,
    TWO_STEPS,
)  # fmt: skip

RESET_EVERY = 4  # steps, of a state that is lost as truncated backpropagation loses it


def read_direction_by_direction(stack: np.ndarray) -> np.ndarray:
    """(layers, directions, ...) from numbers that lie there as all layers of one direction, then of the other."""
    return stack.reshape(*stack.shape[1::-1], *stack.shape[2:]).swapaxes(0, 1)


def read_batch_first(stack: np.ndarray) -> np.ndarray:
    """(layers, directions, batch, units) from numbers that lie there as (batch, tracks, units)."""
    layers, directions, batch, units = stack.shape
    return stack.reshape(batch, layers * directions, units).swapaxes(0, 1)


def reset(k: int, states: list[np.ndarray]) -> np.ndarray:
    return np.zeros_like(states[0]) if k and k % RESET_EVERY == 0 else states[-1]


def carried_between_rows(case: Case, run: Run) -> Result:
    h, answers = initial_states(case)[:, :1], []
    for row in range(case.x.shape[1]):
        lengths = None if case.lengths is None else lengths_of(case)[row : row + 1]
        x, h0 = np.ascontiguousarray(case.x[:, row : row + 1]), unpacked(case.spec, np.ascontiguousarray(h))
        answers.append(run(Case(case.spec, case.parameters, x, h0, lengths, "time_first")))
        h = answers[-1].h_n
    output, h_n = zip(*answers, strict=True)
    return Result(np.concatenate(output, axis=1), np.concatenate(h_n, axis=1))


def reverse_from_forward(case: Case, run: Run) -> Result:
    def layer_run(_layer: int, layer: Case, run: Run) -> Result:
        forward = run(layer_case(layer, 0, layer.x, d=0))
        h0 = np.concatenate([forward.h_n, forward.h_n])
        return side_by_side([forward, run(layer_case(layer, 0, layer.x, h0, d=1))])

    return by_layers(case, run, layer_run=layer_run)


FAULTS = table(
    "states",
    ("h0_ignored", "h0 is ignored", H0, of_question(lambda case: replace(case, h0=None))),
    ("h0_of_the_next_row", "each sequence starts from the h0 of the next one of the batch", H0 & ROWS,
     of_h0(rolled(-1, axis=2))),
    ("h0_first_row_for_all", "the h0 of the first sequence stands for all", H0 & ROWS, of_h0(one_for_all(0, axis=2))),
    ("h0_of_the_next_layer", "each layer starts from the h0 of the next layer", H0 & LAYERS,
     of_h0(rolled(-1, axis=0))),
    ("h0_first_layer_for_all", "the first layer's h0 stands for all layers", H0 & LAYERS,
     of_h0(one_for_all(0, axis=0))),
    ("h0_in_the_first_layer_only", "only the first layer's h0 is used", H0 & LAYERS, of_h0(zeroed(np.s_[1:]))),
    ("h0_directions_exchanged", "the two directions exchange their h0", H0 & BOTH, of_h0(backwards(axis=1))),
    ("h0_of_forward_for_both", "both directions start from the forward direction's h0", H0 & BOTH,
     of_h0(taken([0, 0], axis=1))),
    ("h0_of_reverse_for_both", "both directions start from the reverse direction's h0", H0 & BOTH,
     of_h0(taken([1, 1], axis=1))),
    ("h0_in_forward_only", "only the forward direction's h0 is used", H0 & BOTH, of_h0(zeroed(np.s_[:, 1]))),
    ("h0_direction_by_direction", "h0 is read direction by direction, not layer by layer", H0 & BOTH & LAYERS,
     of_h0(read_direction_by_direction)),
    ("h0_batch_first", "h0 is read as (batch, cells, units)", H0 & EQUAL_TRACKS, of_h0(read_batch_first)),
    ("h0_batch_and_units_exchanged", "batch and units of h0 are exchanged", H0 & EQUAL_UNITS,
     of_h0(exchange_axes(2, 3))),
    ("h0_reshaped", "h0 is reshaped, not transposed, from (batch, cells, units)", H0 & TRACKS & ROWS,
     of_h0(read_batch_first)),
    ("h0_activated", "h0 goes through tanh first", H0, of_h0(np.tanh)),
    ("starts_at_one", "the state starts at 1 where h0 is not given", NO_H0 & ALWAYS, of_h0(np.ones_like)),
    ("state_not_carried", "the state is not carried: every step starts from h0", TWO_STEPS,
     of_start(lambda _k, states: states[0])),
    ("state_lost", "the state is lost after the first step: every later one starts from zeros", TWO_STEPS,
     of_start(lambda k, states: np.zeros_like(states[0]) if k else states[0])),
    ("state_reset", f"the state is reset every {RESET_EVERY} steps", FIVE_STEPS, of_start(reset)),
    ("state_two_steps_old", "each step starts from the state two steps before", TWO_STEPS,
     of_start(lambda k, states: states[max(k - 1, 0)])),
    ("h0_added_to_every_step", "h0 is added to the state before every step", H0 & TWO_STEPS,
     of_start(lambda k, states: states[-1] + states[0] if k else states[0])),
    ("state_added", "the state of the step before is added to each state", TWO_STEPS,
     of_end(lambda k, h, states: h + states[-1] if k else h)),
    ("state_averaged", "each state is the mean of the new one and the one before", STEPS,
     of_end(lambda _k, h, states: (h + states[-1]) / 2)),
    ("state_clipped", "the state is clipped to [-1, 1]", RELU & STEPS,
     of_end(lambda _k, h, _states: np.clip(h, -1, 1))),
    ("state_of_the_next_row", "each step starts from the state of the next sequence of the batch", ROWS & TWO_STEPS,
     of_start(lambda k, states: np.roll(states[-1], -1, axis=0) if k else states[0])),
    ("state_carried_between_rows", "the state is carried from one sequence of the batch to the next", ROWS,
     of_run(carried_between_rows)),
    ("starts_from_the_layer_below", "each layer starts from the final state of the layer below", LAYERS,
     of_run(lambda case, run: by_layers(case, run, start=lambda _layer, h_n: h_n[-1] if h_n else None))),
    ("reverse_starts_from_forward", "the reverse direction starts from the forward direction's final state", BOTH,
     of_run(reverse_from_forward)),
)  # fmt: skip
