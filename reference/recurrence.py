"""The forward pass of a recurrent stack, as its equations define it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .arguments import check_inputs, check_parameters
from .calculus.numbers import Numbers
from .cells import Cell, cell_of
from .layout import (
    each_state,
    in_processing_order,
    last_states,
    sequence_from_time_first,
    sequence_to_time_first,
    state_from_batched,
    state_to_batched,
    state_tuple,
    take_steps,
    unmasked_first,
    valid_steps,
)
from .spec import CellParameters, Lengths, RNNSpec

States = tuple[np.ndarray, ...]


class Result(NamedTuple):
    """What a recurrent stack answers.

    output: x's layout, last axis num_directions * state_size, forward half first; the reverse half
        stands at the time step it belongs to; zeros beyond a sequence's length.
    h_n: (num_layers * num_directions, batch, hidden_size), layer by layer, forward before reverse: each
        track's state after the last step it took. No batch axis when unbatched. Of a cell with several states
        a tuple of such arrays, each of its state's size.
    """

    output: np.ndarray
    h_n: Any


class Track(NamedTuple):
    """One layer in one direction, and what it is asked.

    x: (time, batch, features).  states: the initial ones, (batch, size) each.  lengths: (batch,), or None.
    """

    cell: Cell
    parameters: CellParameters
    x: np.ndarray
    states: States
    lengths: np.ndarray | None
    direction: str

    def in_order(self, sequence: np.ndarray) -> np.ndarray:
        """A sequence in the order in which the steps are taken, and back: without lengths a view."""
        return in_processing_order(sequence, self.lengths, self.direction)


def run_track(track: Track, out: np.ndarray | None = None) -> Result:
    """The output (time, batch, size), and h_n as a tuple. It is the projected sequence that is put in order.

    out: where the output may be computed; of a cell with one state it is the place of the projected inputs, which its
    states overwrite where they are of one size.
    """
    states, lengths, step = track.states, track.lengths, track.cell.step
    numbers = Numbers(out if len(states) == 1 else None)
    weights = numbers.weights(track.parameters)
    projected = track.in_order(track.cell.project(numbers, weights, track.x))
    time, overwrites = len(projected), len(states) == 1 and states[0].shape[-1] == projected.shape[-1]
    kept = states if lengths is not None else states[:1]  # without lengths the last states are the final ones
    sequences = (projected,) if overwrites else tuple(np.empty((time, *state.shape), state.dtype) for state in kept)
    for t, projected_step in enumerate(projected):
        states = step(numbers, weights, projected_step, states)
        if not (overwrites and states[0] is projected_step):
            for sequence, state in zip(sequences, states, strict=False):
                sequence[t] = state
    output = track.in_order(sequences[0])
    if lengths is None:
        return Result(output, states)
    output[~valid_steps(lengths, time)] = 0
    return Result(output, tuple(last_states(*pair, lengths) for pair in zip(sequences, track.states, strict=True)))


def forward(
    spec: RNNSpec,
    parameters: Sequence[CellParameters],
    x: np.ndarray,
    h0: Any = None,
    lengths: Lengths = None,
    layout: str = "batch_first",
    mask: np.ndarray | None = None,
) -> Result:
    """The stack's output and final states, in the arithmetic of x's dtype.

    parameters: one CellParameters for each track, layer by layer, forward before reverse.
    x: (batch, time, input_size), (time, batch, input_size) or, unbatched, (time, input_size).
    h0: (num_layers * num_directions, batch, hidden_size), zeros when None; no batch axis when unbatched. A tuple of
        arrays, one for each state, for a cell with several.
    lengths: (batch,) integers from 0 to time, all full when None; a single integer when unbatched.
    mask: booleans, x's axes but the last, in place of lengths: a step that is False changes nothing. The state is held,
        the output is zero; padding may lie anywhere.
    An empty batch gives empty answers; no time steps at all (or a length of 0) leave h_n at h0.
    NaN and infinity propagate as IEEE arithmetic has it, without a warning.
    Raises TypeError or ValueError, naming the field, before any arithmetic.
    """
    check_parameters(spec, parameters)
    check_inputs(spec, x, h0, lengths, layout, parameters[0].dtype, mask)
    if mask is not None:  # a masked step changes nothing: the others are a shorter sequence; their output is put back
        order, lengths = unmasked_first(mask, layout)
        output, h_n = forward(spec, parameters, take_steps(x, order, layout), h0, lengths, layout)
        return Result(take_steps(output, np.argsort(order, axis=0), layout), h_n)
    sequence = np.ascontiguousarray(sequence_to_time_first(x, layout))
    states = initial_states(spec, sequence, h0, layout)
    lengths = None if lengths is None else np.atleast_1d(np.asarray(lengths, np.int64))
    finals, index, cell = tuple(map(np.empty_like, states)), 0, cell_of(spec)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for _ in range(spec.num_layers):
            output = np.empty((*sequence.shape[:2], spec.output_size), x.dtype)
            for d, direction in enumerate(spec.directions):
                half, start = output[..., spec.half(d)], tuple([state[index] for state in states])
                answer = run_track(Track(cell, parameters[index], sequence, start, lengths, direction), half)
                if answer.output.base is not output:  # else it was computed where it belongs
                    half[...] = answer.output
                for final, state in zip(finals, answer.h_n, strict=True):
                    final[index] = state
                index += 1
            sequence = output
    h_n = each_state(lambda state: state_from_batched(state, layout), finals)
    return Result(sequence_from_time_first(sequence, layout), h_n)


def initial_states(spec: RNNSpec, sequence: np.ndarray, h0: Any, layout: str) -> States:
    """h0 as a tuple of (num_cells, batch, size), zeros when None; sequence is (time, batch, features)."""
    if h0 is None:
        sizes = [state.size for state in cell_of(spec).states]
        return tuple(np.zeros((spec.num_cells, sequence.shape[1], size), sequence.dtype) for size in sizes)
    return tuple(state_to_batched(state, layout) for state in state_tuple(h0))
