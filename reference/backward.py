"""The backward pass of a recurrent stack: backpropagation through time, by the rules of calculus/tape.py.

The gradients are those of the number sum(g_output * output) + sum(g_h_n * h_n), for given cotangents g.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .arguments import check_cotangents, check_inputs, check_parameters
from .calculus.numbers import Numbers
from .calculus.tape import Node, NumberReturns, Tape, hand_back
from .cells import cell_of
from .layout import (
    each_state,
    sequence_from_time_first,
    sequence_to_time_first,
    state_from_batched,
    state_to_batched,
    state_tuple,
    take_steps,
    unmasked_first,
    valid_steps,
)
from .recurrence import States, Track, initial_states
from .spec import CellParameters, Lengths, RNNSpec

NARROW = ("float16", "bfloat16")


class Gradients(NamedTuple):
    """What a backward pass answers, and the forward pass before it.

    x: x's shape, zero at steps that do not count.  h0: as h0, also where none was given.  parameters: one
    CellParameters for each track.  output, h_n: as forward answers them.
    """

    x: np.ndarray
    h0: Any
    parameters: Sequence[CellParameters]
    output: np.ndarray
    h_n: Any


class TrackGradients(NamedTuple):
    """Those of one track: x (time, batch, features), states (batch, size) each, parameters."""

    x: np.ndarray
    states: States
    parameters: CellParameters


class Step(NamedTuple):
    """A step on the tape. rows: the sequences that take it."""

    rows: Any
    x: Node
    before: tuple[Node, ...]
    nodes: list[Node]
    after: tuple[Node, ...]


class Way(NamedTuple):
    """How a backward pass is made: as the rules say, but for what a fault changes (faults/backward.py).

    returns: makes what hands back, for each track.  carried: what becomes of what the states are handed, before step t.
    """

    returns: Callable[[], NumberReturns] = NumberReturns
    carried: Callable[[int, list[np.ndarray]], list[np.ndarray]] = lambda _t, carried: carried


class TapedTrack:
    """A track whose steps are remembered; outputs and final states are `forward`'s but for their roundings."""

    def __init__(self, track: Track) -> None:
        self.track, self.tape = track, Tape(Numbers())
        self.weights = self.tape.weights(track.parameters)
        x, states = track.in_order(track.x), [state.copy() for state in track.states]
        time, lengths = len(x), track.lengths
        valid = None if lengths is None else valid_steps(lengths, time)
        output = np.zeros((*x.shape[:2], states[0].shape[-1]), x.dtype)
        self.steps: list[Step] = []
        for t in range(time):
            rows = slice(None) if valid is None else np.flatnonzero(valid[t])
            step = self._step(rows, x[t], states)
            for state, after in zip(states, step.after, strict=True):
                state[rows] = after.value
            output[t, rows] = states[0][rows]
            self.steps.append(step)
        self.output, self.finals = track.in_order(output), tuple(states)

    def _step(self, rows: Any, x: np.ndarray, states: Sequence[np.ndarray]) -> Step:
        tape, cell, self.tape.nodes = self.tape, self.track.cell, []
        given, before = Node(x[rows]), tuple(Node(state[rows].copy()) for state in states)
        after = cell.step(tape, self.weights, cell.project(tape, self.weights, given), before)
        return Step(rows, given, before, tape.nodes, after)

    def back(self, g_output: np.ndarray, g_finals: Sequence[np.ndarray], way: Way) -> TrackGradients:
        """The gradients.  g_output: (time, batch, size), not read where no step counts.  g_finals: (batch, size)
        each; a sequence without steps hands them to its initial states."""
        returns, carried = way.returns(), [one.copy() for one in g_finals]
        g, x = self.track.in_order(g_output), np.zeros_like(self.track.x)
        for t, step in reversed(list(enumerate(self.steps))):
            carried = way.carried(t, carried)
            for index, (after, carry) in enumerate(zip(step.after, carried, strict=True)):
                after.back.append(carry[step.rows] + (g[t][step.rows] if index == 0 else 0))
            hand_back(step.nodes, returns)
            x[t, step.rows] = returns.cotangent(step.x)
            for carry, before in zip(carried, step.before, strict=True):
                handed = returns.cotangent(before)
                carry[step.rows] = 0 if handed is None else handed
            for weight in self.weights.values():
                if (total := returns.cotangent(weight)) is not None:
                    weight.back, weight.parts = [total], {}
        return TrackGradients(self.track.in_order(x), tuple(carried), self._parameters())

    def _parameters(self) -> CellParameters:
        arrays = {}
        for name, array in self.track.parameters.arrays().items():
            handed = self.weights[name].back
            arrays[name] = np.ascontiguousarray(handed[0].T) if handed else np.zeros_like(array)
        return CellParameters.of(arrays)


def backward(
    spec: RNNSpec,
    parameters: Sequence[CellParameters],
    x: np.ndarray,
    h0: Any = None,
    lengths: Lengths = None,
    layout: str = "batch_first",
    mask: np.ndarray | None = None,
    cotangents: tuple[np.ndarray | None, Any] | None = None,
) -> Gradients:
    """The gradients with respect to x, h0 and every weight, in the arithmetic of x's dtype; of a 16-bit dtype in
    float32, rounded once.

    cotangents: (g_output, g_h_n), of the shapes of output and h_n; either may be None, which stands for zeros.
    The other arguments are forward's. What stands in x or g_output where no step counts changes nothing, NaN included.
    Raises TypeError or ValueError, naming the field, before any arithmetic.
    """
    check_parameters(spec, parameters)
    check_inputs(spec, x, h0, lengths, layout, parameters[0].dtype, mask)
    given = check_cotangents(spec, x, layout, cotangents)
    return backward_by(Way(), spec, parameters, x, h0, lengths, layout, mask, given)


def backward_by(
    way: Way,
    spec: RNNSpec,
    parameters: Sequence[CellParameters],
    x: np.ndarray,
    h0: Any,
    lengths: Lengths,
    layout: str,
    mask: np.ndarray | None,
    cotangents: tuple[np.ndarray | None, Any],
) -> Gradients:
    """What `backward` answers, in some way, of arguments that are checked."""
    g_output, g_h_n = cotangents
    if x.dtype.name in NARROW:
        tracks = [track.astype(np.float32) for track in parameters]

        def wide(x: np.ndarray, h0: Any, g_output: Any, g_h_n: Any) -> Gradients:
            return backward_by(way, spec, tracks, x, h0, lengths, layout, mask, (g_output, g_h_n))

        return _in_float32(wide, x.dtype, x, h0, g_output, g_h_n)
    if mask is not None:  # as in forward: the steps that count come first
        order, lengths = unmasked_first(mask, layout)
        g_output = None if g_output is None else take_steps(g_output, order, layout)
        given = g_output, g_h_n
        x = take_steps(x, order, layout)
        found = backward_by(way, spec, parameters, x, h0, lengths, layout, None, given)
        back = np.argsort(order, axis=0)
        return found._replace(x=take_steps(found.x, back, layout), output=take_steps(found.output, back, layout))
    sequence = np.ascontiguousarray(sequence_to_time_first(x, layout))
    lengths = None if lengths is None else np.atleast_1d(np.asarray(lengths, np.int64))
    states = initial_states(spec, sequence, h0, layout)
    g, g_finals = batched_cotangents(spec, sequence, layout, (g_output, g_h_n))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        layers = _forward(spec, parameters, sequence, states, lengths)
        handed: list[TrackGradients] = []
        for layer in reversed(range(spec.num_layers)):
            first = layer * spec.num_directions
            tracks = [
                taped.back(g[..., spec.half(d)], [one[first + d] for one in g_finals], way)
                for d, taped in enumerate(layers[layer])
            ]
            g = sum((track.x for track in tracks[1:]), tracks[0].x)
            handed[:0] = tracks
    tapes = [taped for layer in layers for taped in layer]
    output = np.concatenate([taped.output for taped in layers[-1]], axis=-1)
    h_n = zip(*(taped.finals for taped in tapes), strict=True)
    of_h0 = zip(*(track.states for track in handed), strict=True)
    stack = [tuple(np.stack(one) for one in several) for several in (of_h0, h_n)]
    shown = [each_state(lambda state: state_from_batched(state, layout), one) for one in stack]
    return Gradients(sequence_from_time_first(g, layout), shown[0], [track.parameters for track in handed],
                     sequence_from_time_first(output, layout), shown[1])  # fmt: skip


def _forward(
    spec: RNNSpec, parameters: Sequence[CellParameters], x: np.ndarray, states: States, lengths: np.ndarray | None
) -> list[list[TapedTrack]]:
    """The tracks of each layer, on their tapes."""
    layers = []
    for layer in range(spec.num_layers):
        layers.append([])
        for d, direction in enumerate(spec.directions):
            index = layer * spec.num_directions + d
            start = tuple(state[index] for state in states)
            layers[-1].append(TapedTrack(Track(cell_of(spec), parameters[index], x, start, lengths, direction)))
        x = np.concatenate([taped.output for taped in layers[-1]], axis=-1)
    return layers


def batched_cotangents(
    spec: RNNSpec, sequence: np.ndarray, layout: str, cotangents: tuple[np.ndarray | None, Any]
) -> tuple[np.ndarray, States]:
    """Cotangents time first and batched: (time, batch, output_size), and (num_cells, batch, size) of each state.

    sequence: x, (time, batch, features).
    """
    g_output, g_h_n = cotangents
    shape = (*sequence.shape[:2], spec.output_size)
    g = np.zeros(shape, sequence.dtype) if g_output is None else sequence_to_time_first(g_output, layout)
    if g_h_n is None:
        return g, initial_states(spec, sequence, None, layout)
    return g, tuple(state_to_batched(state, layout) for state in state_tuple(g_h_n))


def _in_float32(found: Callable[..., Gradients], narrow: np.dtype, x: np.ndarray, *states: Any) -> Gradients:
    """What `found` answers of x and states in float32, rounded to a narrow dtype."""

    def cast(array: Any, dtype: Any = np.float32) -> Any:
        return each_state(lambda one: one.astype(dtype), array)

    wide = found(cast(x), *map(cast, states))
    with np.errstate(over="ignore", under="ignore"):
        x, h0, *answer = (cast(one, narrow) for one in (wide.x, wide.h0, wide.output, wide.h_n))
        return Gradients(x, h0, [track.astype(narrow) for track in wide.parameters], *answer)
