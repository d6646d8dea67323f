"""Faults that are alike, as the rows of a table: a name, the words, where it shows, and what an array becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..recurrence import Result
from .changes import Change
from .fault import Around, Asked, Fault, Run, Where
from .machine import by_layers, initial_states, lengths_of, stacked

Row = tuple[str, str, Where, Change]


def table(kind: Callable[[Change], tuple[Asked | None, Around | None]], family: str, *rows: Row) -> tuple[Fault, ...]:
    """A fault for each row. kind: what is changed, one of those below."""
    return tuple(Fault(name, family, says, where, *kind(change)) for name, says, where, change in rows)


def of_parameters(change: Change) -> tuple[Asked, None]:
    """The tracks have each other's parameters. change: of the tracks' numbers, (layers, directions)."""

    def asked(case: Case) -> Case:
        numbers = stacked(np.arange(len(case.parameters)), case)
        return replace(case, parameters=[case.parameters[index] for index in change(numbers).ravel()])

    return asked, None


def of_x(change: Change) -> tuple[Asked, None]:
    """Another x, (time, batch, features)."""
    return lambda case: replace(case, x=np.ascontiguousarray(change(case.x))), None


def of_h0(change: Change) -> tuple[Asked, None]:
    """Another h0. change: of (layers, directions, batch, units)."""

    def asked(case: Case) -> Case:
        h0 = initial_states(case)
        return replace(case, h0=np.ascontiguousarray(change(stacked(h0, case))).reshape(h0.shape))

    return asked, None


def of_lengths(change: Change) -> tuple[Asked, None]:
    """Other lengths, (batch,)."""
    return lambda case: replace(case, lengths=np.ascontiguousarray(change(lengths_of(case)))), None


def of_reading(change: Change) -> tuple[None, Around]:
    """The layers above the first read the output below changed, (time, batch, features)."""

    def around(case: Case, run: Run) -> Result:
        return by_layers(case, run, read=lambda _layer, below: np.ascontiguousarray(change(below)))

    return None, around


def of_output(change: Change) -> tuple[None, Around]:
    """The output is spoilt on its way out, (time, batch, features)."""

    def around(case: Case, run: Run) -> Result:
        output, h_n = run(case)
        return Result(change(output), h_n)

    return None, around


def of_h_n(change: Change) -> tuple[None, Around]:
    """h_n is spoilt on its way out. change: of (layers, directions, batch, units)."""

    def around(case: Case, run: Run) -> Result:
        output, h_n = run(case)
        return Result(output, change(stacked(h_n, case)).reshape(h_n.shape))

    return None, around
