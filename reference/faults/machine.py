"""A faulty implementation: a Run that answers any case with a fault planted in it.

For a fault `around` a layer a stack is taken apart into layers, tracks and steps, each asked by itself.
To a fault the states of a cell are one array, side by side in the last axis, h first: `packed`.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import recurrence
from ..cells import cell_of
from ..judging.case import Case
from ..layout import (
    each_state,
    from_state_tuple,
    in_processing_order,
    last_states,
    sequence_from_time_first,
    sequence_to_time_first,
    state_from_batched,
    state_to_batched,
    state_tuple,
    take_steps,
    valid_steps,
)
from ..recurrence import Result
from ..spec import RNNSpec
from .fault import Around, Fault, Run
from .step import Kernel, NumPyKernel

# h_t (batch, hidden_size) from the step's number k in processing order, x_t (batch, input size) and h_0 ... h_{t-1}
Advance = Callable[[int, np.ndarray, list[np.ndarray]], np.ndarray]
# the state that step k starts from, given h_0 ... h_k
Enter = Callable[[int, list[np.ndarray]], np.ndarray]
# the state that step k ends in, from its true answer and h_0 ... h_k
Leave = Callable[[int, np.ndarray, list[np.ndarray]], np.ndarray]


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
        if fault.shown or not fault.where.holds(case):  # the fault is in code that this case does not reach
            return run(case)
        if fault.asked is not None:
            return run(fault.asked(case))
        around = fault.around or functools.partial(_by_faulty_steps, fault=fault, kernel=kernel)
        output, h_n = around(case, asked)
        return Result(output, unpacked(case.spec, h_n))

    def asked(case: Case) -> Result:
        output, h_n = run(case)
        return Result(output, packed(h_n))

    return faulty if fault.as_given else lambda case: in_time_first(case, faulty)


def _by_faulty_steps(case: Case, run: Run, fault: Fault, kernel: Kernel) -> Result:
    """The whole stack, every step as a fault takes it."""
    change = fault.step
    assert change is not None, "a fault is asked, around or a step"
    if case.mask is not None:
        plain, order = case.without_mask()
        output, h_n = _by_faulty_steps(plain, run, fault, kernel)
        return Result(take_steps(output, np.argsort(order, axis=0), case.layout), h_n)

    def track_run(track: Case, _run: Run) -> Result:
        def advance(_k: int, x_t: np.ndarray, states: list[np.ndarray]) -> np.ndarray:
            return packed(change.take(kernel, track, x_t, state_tuple(unpacked(track.spec, states[-1]))))

        return advanced(track, advance)

    with np.errstate(all="ignore"):
        return by_tracks(case, run, track_run, track_run)


def as_time_first(case: Case) -> Case:
    """The same question, time first and batched; an unbatched sequence becomes a batch of 1."""
    x = np.ascontiguousarray(sequence_to_time_first(case.x, case.layout))
    h0 = each_state(lambda h: np.ascontiguousarray(state_to_batched(h, case.layout)), case.h0)
    lengths = None if case.lengths is None else np.atleast_1d(np.asarray(case.lengths))
    mask = None if case.mask is None else sequence_to_time_first(case.mask[..., None], case.layout)[..., 0]
    return Case(case.spec, case.parameters, x, h0, lengths, "time_first", mask)


def all_asked(faults: Sequence[Fault], case: Case) -> Case:
    """The question that is answered in place of a case."""
    for fault in faults:
        if fault.asked:
            form = case if fault.as_given else as_time_first(case)
            case = fault.asked(form) if fault.where.holds(form) else case
    return case


def in_time_first(case: Case, run: Run) -> Result:
    """The answer of a run that knows time first only, to a case in any layout."""
    output, h_n = run(as_time_first(case))
    h_n = each_state(lambda h: np.ascontiguousarray(state_from_batched(h, case.layout)), h_n)
    return Result(np.ascontiguousarray(sequence_from_time_first(output, case.layout)), h_n)


def packed(states: Any) -> np.ndarray:
    several = state_tuple(states)
    return several[0] if len(several) == 1 else np.concatenate(several, axis=-1)


def unpacked(spec: RNNSpec, states: np.ndarray) -> Any:
    """What is packed, as h0 or h_n: an array, or a tuple of them."""
    sizes = [state.size for state in cell_of(spec).states]
    return from_state_tuple(np.split(states, np.cumsum(sizes)[:-1], axis=-1))


def initial_states(case: Case) -> np.ndarray:
    """h0 of a time-first case: (tracks, batch, units of all states), zeros where none is given."""
    return packed(recurrence.initial_states(case.spec, case.x, case.h0, "time_first"))


def starting(case: Case, states: np.ndarray) -> Case:
    """The case with these initial states."""
    return replace(case, h0=unpacked(case.spec, np.ascontiguousarray(states)))


def with_spec(case: Case, **fields: object) -> Case:
    """Asked of another layer, of the same weights."""
    return replace(case, spec=replace(case.spec, **fields))


def lengths_of(case: Case) -> np.ndarray:
    """The lengths of a time-first case, (batch,); all steps where none are given."""
    return np.full(case.x.shape[1], len(case.x)) if case.lengths is None else np.asarray(case.lengths)


def stacked(array: np.ndarray, case: Case) -> np.ndarray:
    """What has one entry for each track, (tracks, ...), as (layers, directions, ...)."""
    return array.reshape(case.spec.num_layers, case.spec.num_directions, *array.shape[1:])


def layer_case(case: Case, layer: int, x: np.ndarray, h0: np.ndarray | None = None, d: int | None = None) -> Case:
    """One layer of a time-first case as a question of its own; with d, only that direction of it.

    x: (time, batch, layer input size).  h0: all initial states of the stack, the case's own when None.
    """
    spec = case.spec
    first = layer * spec.num_directions
    chosen = slice(first, first + spec.num_directions) if d is None else slice(first + d, first + d + 1)
    direction = spec.direction if d is None else spec.directions[d]
    single = replace(spec, input_size=x.shape[-1], num_layers=1, direction=direction)
    states = unpacked(single, (initial_states(case) if h0 is None else h0)[chosen])
    return Case(single, case.parameters[chosen], x, states, case.lengths, "time_first", case.mask)


def by_layers(
    case: Case,
    run: Run,
    read: Callable[[int, np.ndarray], np.ndarray] = lambda _layer, below: below,
    layer_run: Callable[[int, Case, Run], Result] = lambda _layer, asked, run: run(asked),
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
        asked = starting(asked, states) if (states := start(layer, h_n)) is not None else asked
        below, last = layer_run(layer, asked, run)
        h_n.append(last)
    return Result(below, np.concatenate(h_n))


def by_tracks(
    case: Case,
    run: Run,
    forward: Around = lambda track, run: run(track),
    reverse: Around = lambda track, run: run(track),
) -> Result:
    """The stack one track after another. forward, reverse: how one in that direction, a case by itself, is asked."""
    ways = {"forward": forward, "reverse": reverse}

    def layer_run(_layer: int, layer: Case, run: Run) -> Result:
        tracks = [layer_case(layer, 0, layer.x, d=d) for d in range(layer.spec.num_directions)]
        return side_by_side([ways[track.spec.direction](track, run) for track in tracks])

    return by_layers(case, run, layer_run=layer_run)


def side_by_side(tracks: Sequence[Result]) -> Result:
    """The answers of a layer's tracks as the layer's."""
    output, h_n = zip(*tracks, strict=True)
    return Result(np.concatenate(output, axis=-1), np.concatenate(h_n))


def advanced(track: Case, advance: Advance) -> Result:
    """A case of one track, step by step in processing order: what `advance` makes of each step.

    Every row takes all steps; beyond a sequence's length they are not looked at.
    """
    states = [initial_states(track)[0]]
    for k, x_t in enumerate(in_order(track, track.x)):
        states.append(np.asarray(advance(k, x_t, states)).astype(track.x.dtype))
    after = np.stack(states)[1:]
    output, h_n = after[..., : track.spec.state_size], last_states(after, states[0], lengths_of(track))
    return Result(zero_padding(in_order(track, output), lengths_of(track)), h_n[None])


def step_by_step(
    case: Case, run: Run, enter: Enter = lambda _k, states: states[-1], leave: Leave = lambda _k, h, _states: h
) -> Result:
    """Every track one step at a time, each step asked by itself."""

    def track_run(track: Case, run: Run) -> Result:
        def advance(k: int, x_t: np.ndarray, states: list[np.ndarray]) -> np.ndarray:
            return leave(k, one_step(track, run, x_t, enter(k, states)), states)

        return advanced(track, advance)

    return by_tracks(case, run, track_run, track_run)


def one_step(track: Case, run: Run, x_t: np.ndarray, h: np.ndarray) -> np.ndarray:
    """h_t (batch, hidden_size), from a track that is asked for this one step."""
    forward = replace(track.spec, direction="forward")
    return run(Case(forward, track.parameters, x_t[None], unpacked(forward, h[None]), None, "time_first")).h_n[0]


def in_order(track: Case, sequence: np.ndarray) -> np.ndarray:
    """A sequence (time, batch, features) in the order in which a track takes its steps; it is its own inverse."""
    return in_processing_order(sequence, lengths_of(track), track.spec.direction)


def states_before(track: Case, output: np.ndarray) -> np.ndarray:
    """The state before each step of a track, (time, batch, hidden_size), where its output has that after the step."""
    h0 = initial_states(track)[..., : track.spec.state_size]
    before = np.concatenate([h0, in_order(track, output)[:-1]])[: len(output)]
    return in_order(track, before)


def zero_padding(output: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The output (time, batch, features) with zeros beyond each sequence's length."""
    output = output.copy()
    output[~valid_steps(lengths, len(output))] = 0
    return output
