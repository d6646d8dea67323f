"""The faults of a family, as the rows of a table: a name, the words, where it shows, and what it does.

What most of them do is to change one thing: x, h0, the output... Arrays are time first and batched.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..judging.case import Case
from ..layout import each_state
from ..recurrence import Result
from .changes import Change
from .fault import Around, Asked, Fault, Run, Where
from .machine import (
    Enter,
    Leave,
    advanced,
    by_layers,
    by_tracks,
    initial_states,
    lengths_of,
    one_step,
    stacked,
    starting,
    step_by_step,
)

Does = dict[str, Any]  # fields of a Fault: asked, around or step, and more


def table(family: str, *rows: tuple[str, str, Where, Does]) -> dict[str, Fault]:
    """A fault for each row, by name."""
    return {name: Fault(name, family, says, where, **does) for name, says, where, does in rows}


def of_question(change: Asked, as_given: bool = False) -> Does:
    return {"asked": change, "as_given": as_given}


def of_run(change: Around, as_given: bool = False) -> Does:
    return {"around": change, "as_given": as_given}


def of_parameters(change: Change) -> Does:
    """Tracks have each other's parameters. change: of the tracks' numbers, (layers, directions)."""

    def asked(case: Case) -> Case:
        numbers = stacked(np.arange(len(case.parameters)), case)
        return replace(case, parameters=[case.parameters[index] for index in change(numbers).ravel()])

    return {"asked": asked}


def of_x(change: Change) -> Does:
    return {"asked": lambda case: replace(case, x=np.ascontiguousarray(change(case.x)))}


def of_inputs(change: Change) -> Does:
    """The change of x and of each initial state, number by number."""
    return {"asked": lambda case: replace(case, x=change(case.x), h0=each_state(change, case.h0))}


def of_h0(change: Change) -> Does:
    """change: of (layers, directions, batch, units)."""

    def asked(case: Case) -> Case:
        h0 = initial_states(case)
        return starting(case, np.ascontiguousarray(change(stacked(h0, case))).reshape(h0.shape))

    return {"asked": asked}


def of_lengths(change: Change) -> Does:
    """A case with a mask has none to change."""

    def asked(case: Case) -> Case:
        lengths = np.ascontiguousarray(change(lengths_of(case)))
        return replace(case, lengths=lengths) if case.mask is None else case

    return {"asked": asked}


def of_reading(change: Change) -> Does:
    """The layers above the first read the output below changed."""

    def around(case: Case, run: Run) -> Result:
        return by_layers(case, run, read=lambda _layer, below: np.ascontiguousarray(change(below)))

    return {"around": around}


def of_start(enter: Enter) -> Does:
    """Steps start from another state than the last."""
    return {"around": lambda case, run: step_by_step(case, run, enter=enter)}


def of_end(leave: Leave) -> Does:
    """Steps end in another state than their own."""
    return {"around": lambda case, run: step_by_step(case, run, leave=leave)}


def of_forward(track_run: Around) -> Does:
    """The tracks that run forward are asked otherwise."""
    return {"around": lambda case, run: by_tracks(case, run, forward=track_run)}


def of_reverse(track_run: Around) -> Does:
    return {"around": lambda case, run: by_tracks(case, run, reverse=track_run)}


def of_tracks(track_run: Around) -> Does:
    return {"around": lambda case, run: by_tracks(case, run, track_run, track_run)}


def of_first_step(change: Asked) -> Does:
    """Every track takes its first step as another question's."""

    def track_run(track: Case, run: Run) -> Result:
        first = change(track)
        return advanced(track, lambda k, x_t, states: one_step(track if k else first, run, x_t, states[-1]))

    return of_tracks(track_run)


def of_answer(change: Callable[[Case, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Does:
    """Another output and h_n, from the case and these."""
    return {"around": lambda case, run: Result(*change(case, *run(case)))}


def of_output(change: Change) -> Does:
    return of_answer(lambda _case, output, h_n: (change(output), h_n))


def of_h_n(change: Change) -> Does:
    """change: of (layers, directions, batch, units)."""
    return of_answer(lambda case, output, h_n: (output, change(stacked(h_n, case)).reshape(h_n.shape)))


def of_numbers(monotone: Change) -> Does:
    """Each number of the answer becomes another. monotone: elementwise; of two numbers the larger stays the larger, or
    they become the same."""
    return {**of_answer(lambda _case, output, h_n: (monotone(output), monotone(h_n))), "monotone": monotone}
