"""Faults in time and direction: steps skipped or taken twice, directions ignored, mixed up or not put back."""

import numpy as np

from ..judging.case import Case
from ..layout import reverse_within_lengths
from ..recurrence import Result
from .changes import backwards, taken
from .fault import Run
from .machine import by_layers, by_tracks, in_order, lengths_of, one_step, step_by_step, with_spec
from .rows import of_answer, of_end, of_forward, of_parameters, of_reverse, of_run, of_tracks, table
from .where import A_FORWARD, A_REVERSE, BOTH, LAYERS, STEPS, TWO_STEPS


def run_forward(track: Case, run: Run) -> Result:
    return run(with_spec(track, direction="forward"))


def run_in_reverse(track: Case, run: Run) -> Result:
    return run(with_spec(track, direction="reverse"))


def in_processing_order(track: Case, run: Run) -> Result:
    """A track that leaves its output in the order in which it took its steps."""
    output, h_n = run(track)
    return Result(in_order(track, output), h_n)


def reverse_part_turned(case: Case, output: np.ndarray) -> np.ndarray:
    """The output with its reverse direction's part in the order of its steps."""
    *others, reverse = np.split(output, case.spec.num_directions, axis=-1)
    return np.concatenate([*others, reverse_within_lengths(reverse, lengths_of(case))], axis=-1)


def last_step_skipped(case: Case, run: Run) -> Result:
    def leave(k: int, h: np.ndarray, states: list[np.ndarray]) -> np.ndarray:
        return np.where((lengths_of(case) == k + 1)[:, None], states[-1], h)

    return step_by_step(case, run, leave=leave)


def last_step_again(track: Case, run: Run) -> Result:
    output, h_n = run(track)
    at, rows = np.maximum(lengths_of(track) - 1, 0), np.arange(track.x.shape[1])
    again = one_step(track, run, in_order(track, track.x)[at, rows], h_n[0])
    return Result(output, np.where((lengths_of(track) > 0)[:, None], again, h_n[0])[None])


FAULTS = table(
    "directions",
    ("directions_exchange_parameters", "the two directions' parameters are exchanged", BOTH,
     of_parameters(backwards(axis=1))),
    ("reverse_has_forward_parameters", "the reverse direction has the forward direction's parameters", BOTH & STEPS,
     of_parameters(taken([0, 0], axis=1))),
    ("forward_has_reverse_parameters", "the forward direction has the reverse direction's parameters", BOTH & STEPS,
     of_parameters(taken([1, 1], axis=1))),
    ("direction_ignored", "the direction is ignored: everything runs forward", A_REVERSE & TWO_STEPS,
     of_reverse(run_forward)),
    ("everything_in_reverse", "everything runs in reverse", A_FORWARD & TWO_STEPS, of_forward(run_in_reverse)),
    ("directions_exchanged", "forward runs in reverse, and reverse forward", BOTH & TWO_STEPS,
     of_run(lambda case, run: by_tracks(case, run, forward=run_in_reverse, reverse=run_forward))),
    ("reverse_not_put_back", "the reverse output is not put back into time order", A_REVERSE & TWO_STEPS,
     of_reverse(in_processing_order)),
    ("top_reverse_not_put_back", "the top layer's reverse output is not put back into time order",
     A_REVERSE & LAYERS & TWO_STEPS, of_answer(lambda case, output, h_n: (reverse_part_turned(case, output), h_n))),
    ("lower_reverse_not_put_back", "only the top layer's reverse output is put back into time order",
     A_REVERSE & LAYERS & TWO_STEPS,
     of_run(lambda case, run: by_layers(case, run, read=lambda _layer, below: reverse_part_turned(case, below)))),
    ("first_step_skipped", "the first step is skipped", STEPS, of_end(lambda k, h, states: h if k else states[0])),
    ("last_step_skipped", "the last step is skipped", STEPS, of_run(last_step_skipped)),
    ("last_step_twice_in_h_n", "h_n has taken the last step twice", STEPS, of_tracks(last_step_again)),
)  # fmt: skip
