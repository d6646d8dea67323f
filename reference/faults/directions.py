"""Faults in time and direction: steps skipped or taken twice, directions ignored, mixed up or not put back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..layout import reverse_within_lengths
from ..recurrence import Result
from .changes import backwards, taken
from .fault import Run, around
from .machine import by_layers, by_tracks, in_order, lengths_of, one_step, step_by_step
from .rows import of_parameters, table
from .where import A_FORWARD, A_REVERSE, BOTH, LAYERS, STEPS, TWO_STEPS

PARAMETERS = table(
    of_parameters,
    "directions",
    ("directions_exchange_parameters", "the two directions' parameters are exchanged", BOTH, backwards(axis=1)),
    ("reverse_has_forward_parameters", "the reverse direction has the forward direction's parameters", BOTH & STEPS,
     taken([0, 0], axis=1)),
    ("forward_has_reverse_parameters", "the forward direction has the reverse direction's parameters", BOTH & STEPS,
     taken([1, 1], axis=1)),
)  # fmt: skip


def as_direction(track: Case, direction: str) -> Case:
    return replace(track, spec=replace(track.spec, direction=direction))


def run_forward(track: Case, run: Run) -> Result:
    return run(as_direction(track, "forward"))


def run_in_reverse(track: Case, run: Run) -> Result:
    return run(as_direction(track, "reverse"))


@around("the direction is ignored: everything runs forward", A_REVERSE & TWO_STEPS)
def direction_ignored(case: Case, run: Run) -> Result:
    return by_tracks(case, run, reverse=run_forward)


@around("everything runs in reverse", A_FORWARD & TWO_STEPS)
def everything_in_reverse(case: Case, run: Run) -> Result:
    return by_tracks(case, run, forward=run_in_reverse)


@around("forward runs in reverse, and reverse forward", BOTH & TWO_STEPS)
def directions_exchanged(case: Case, run: Run) -> Result:
    return by_tracks(case, run, forward=run_in_reverse, reverse=run_forward)


@around("the reverse output is not put back into time order", A_REVERSE & TWO_STEPS)
def reverse_not_put_back(case: Case, run: Run) -> Result:
    return by_tracks(case, run, reverse=in_processing_order)


def in_processing_order(track: Case, run: Run) -> Result:
    """A track that leaves its output in the order in which it took its steps."""
    output, h_n = run(track)
    return Result(in_order(track, output), h_n)


def last_half_reversed(case: Case, output: np.ndarray) -> np.ndarray:
    """The output with its reverse direction's part in the order of its steps."""
    *others, reverse = np.split(output, case.spec.num_directions, axis=-1)
    return np.concatenate([*others, reverse_within_lengths(reverse, lengths_of(case))], axis=-1)


@around("the top layer's reverse output is not put back into time order", A_REVERSE & LAYERS & TWO_STEPS)
def top_reverse_not_put_back(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(last_half_reversed(case, output), h_n)


@around("only the top layer's reverse output is put back into time order", A_REVERSE & LAYERS & TWO_STEPS)
def lower_reverse_not_put_back(case: Case, run: Run) -> Result:
    return by_layers(case, run, read=lambda _layer, below: last_half_reversed(case, below))


@around("the first step is skipped", STEPS)
def first_step_skipped(case: Case, run: Run) -> Result:
    return step_by_step(case, run, leave=lambda k, h, states: h if k else states[0])


@around("the last step is skipped", STEPS)
def last_step_skipped(case: Case, run: Run) -> Result:
    def leave(k: int, h: np.ndarray, states: list[np.ndarray]) -> np.ndarray:
        return np.where((lengths_of(case) == k + 1)[:, None], states[-1], h)

    return step_by_step(case, run, leave=leave)


@around("h_n has taken the last step twice", STEPS)
def last_step_twice_in_h_n(case: Case, run: Run) -> Result:
    def track_run(track: Case, run: Run) -> Result:
        output, h_n = run(track)
        at, rows = np.maximum(lengths_of(track) - 1, 0), np.arange(track.x.shape[1])
        again = one_step(track, run, in_order(track, track.x)[at, rows], h_n[0])
        return Result(output, np.where((lengths_of(track) > 0)[:, None], again, h_n[0])[None])

    return by_tracks(case, run, track_run, track_run)


@around(
    "reverse is forward on each sequence reversed within its length, and back",
    A_REVERSE,
    equivalent="the definition of the reverse direction",
)
def reverse_by_flipping(case: Case, run: Run) -> Result:
    def track_run(track: Case, run: Run) -> Result:
        output, h_n = run_forward(replace(track, x=np.ascontiguousarray(in_order(track, track.x))), run)
        return Result(in_order(track, output), h_n)

    return by_tracks(case, run, reverse=track_run)
