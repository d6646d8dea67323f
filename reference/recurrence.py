"""The forward pass of a recurrent stack, as its equations define it.

scan: one cell over time.  run_direction: one cell over time in its direction.
run_layer: the directions of one layer.  forward: the stack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .arguments import check_inputs, check_parameters
from .calculus.numbers import Numbers
from .cells import Cell, cell_of
from .layout import (
    last_states,
    reverse_within_lengths,
    sequence_axes,
    sequence_from_time_first,
    sequence_to_time_first,
    state_from_batched,
    state_to_batched,
    take_steps,
    unmasked_first,
    valid_steps,
)
from .spec import CellParameters, Lengths, RNNSpec


class Result(NamedTuple):
    """What a recurrent stack answers.

    output: x's layout, last axis num_directions * hidden_size, forward half first; the reverse half
        stands at the time step it belongs to; zeros beyond a sequence's length.
    h_n: (num_layers * num_directions, batch, hidden_size), layer by layer, forward before reverse: each
        cell's state after the last step it took. No batch axis when unbatched.
    """

    output: np.ndarray
    h_n: np.ndarray


def scan(
    cell: Cell, numbers: Numbers, weights: Mapping[str, np.ndarray], projected: np.ndarray, h: np.ndarray
) -> np.ndarray:
    """h_1 ... h_T from the projected inputs (time, batch, hidden_size) and h_0 (batch, hidden_size).

    The states overwrite the projected inputs.
    """
    states: tuple[np.ndarray, ...] = (h,)
    for projected_step in projected:
        states = cell.step(numbers, weights, projected_step, states)
    return projected


def run_direction(
    spec: RNNSpec,
    parameters: CellParameters,
    x: np.ndarray,
    h0: np.ndarray,
    lengths: np.ndarray | None,
    direction: str,
    out: np.ndarray | None = None,
) -> Result:
    """One cell over time; the reverse direction is the forward one on the sequence reversed within its length.

    It is the projected sequence that is reversed: without lengths that copies nothing.
    out: where the output goes, (time, batch, hidden_size); a new array when None.
    """
    cell, numbers = cell_of(spec), Numbers(out)
    weights = numbers.weights(parameters)
    output = states = cell.project(numbers, weights, x)
    if direction == "reverse":
        states = reverse_within_lengths(output, lengths)
    scan(cell, numbers, weights, states, h0)
    if lengths is None:  # then `states` is `output`, or a view of it
        return Result(output, states[-1] if len(states) else h0)
    h_n = last_states(states, h0, lengths)
    if direction == "reverse":
        output[...] = reverse_within_lengths(states, lengths)
    output[~valid_steps(lengths, len(output))] = 0
    return Result(output, h_n)


def run_layer(
    spec: RNNSpec, parameters: Sequence[CellParameters], x: np.ndarray, h0: np.ndarray, lengths: np.ndarray | None
) -> Result:
    """The directions of one layer side by side: output (time, batch, num_directions * hidden_size)."""
    output, h_n = np.empty((*x.shape[:2], spec.output_size), x.dtype), np.empty_like(h0)
    for d, direction in enumerate(spec.directions):
        half = output[..., d * spec.hidden_size : (d + 1) * spec.hidden_size]
        h_n[d] = run_direction(spec, parameters[d], x, h0[d], lengths, direction, out=half).h_n
    return Result(output, h_n)


def forward(
    spec: RNNSpec,
    parameters: Sequence[CellParameters],
    x: np.ndarray,
    h0: np.ndarray | None = None,
    lengths: Lengths = None,
    layout: str = "batch_first",
    mask: np.ndarray | None = None,
) -> Result:
    """The stack's output and final states, in the arithmetic of x's dtype.

    parameters: one CellParameters for each cell, layer by layer, forward before reverse.
    x: (batch, time, input_size), (time, batch, input_size) or, unbatched, (time, input_size).
    h0: (num_layers * num_directions, batch, hidden_size), zeros when None; no batch axis when unbatched.
    lengths: (batch,) integers from 0 to time, all full when None; a single integer when unbatched.
    mask: booleans, x's axes but the last, in place of lengths: a step that is False changes nothing. The state is held,
        the output is zero; padding may lie anywhere.
    An empty batch gives empty answers; no time steps at all (or a length of 0) leave h_n at h0.
    NaN and infinity propagate as IEEE arithmetic has it, without a warning.
    Raises TypeError or ValueError, naming the field, before any arithmetic.
    """
    check_parameters(spec, parameters)
    check_inputs(spec, x, h0, lengths, layout, parameters[0].dtype, mask)
    if mask is not None:
        return _forward_masked(spec, parameters, x, h0, mask, layout)
    sequence = np.ascontiguousarray(sequence_to_time_first(x, layout))
    states = initial_states(spec, sequence, h0, layout)
    lengths = None if lengths is None else np.atleast_1d(np.asarray(lengths, np.int64))
    h_n = []
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for layer in range(spec.num_layers):
            cells = slice(layer * spec.num_directions, (layer + 1) * spec.num_directions)
            sequence, h_layer = run_layer(spec, parameters[cells], sequence, states[cells], lengths)
            h_n.append(h_layer)
    return Result(sequence_from_time_first(sequence, layout), state_from_batched(np.concatenate(h_n), layout))


def _forward_masked(
    spec: RNNSpec,
    parameters: Sequence[CellParameters],
    x: np.ndarray,
    h0: np.ndarray | None,
    mask: np.ndarray,
    layout: str,
) -> Result:
    """A masked step changes nothing: the others are run as a shorter sequence, and their output is put back."""
    order = unmasked_first(mask, layout)
    lengths = mask.sum(axis=sequence_axes(layout).index("time"))
    output, h_n = forward(spec, parameters, take_steps(x, order, layout), h0, lengths, layout)
    return Result(take_steps(output, np.argsort(order, axis=0), layout), h_n)


def initial_states(spec: RNNSpec, sequence: np.ndarray, h0: np.ndarray | None, layout: str) -> np.ndarray:
    """h0 as (num_cells, batch, hidden_size), zeros when None; sequence is (time, batch, features)."""
    if h0 is None:
        return np.zeros((spec.num_cells, sequence.shape[1], spec.hidden_size), sequence.dtype)
    return state_to_batched(h0, layout)
