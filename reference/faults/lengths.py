"""Faults in the lengths: padding that is read, written or counted, and sequences sorted and not put back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..layout import valid_steps
from ..recurrence import Result
from .directions import in_processing_order
from .fault import Run, around, asked
from .machine import by_tracks, initial_states, lengths_of, zero_padding
from .rows import of_lengths, table
from .where import A_FORWARD, A_REVERSE, H0, PADDING, ROWS, STEPS, TWO_STEPS, UNSORTED


@asked("lengths are ignored", PADDING)
def lengths_ignored(case: Case) -> Case:
    return replace(case, lengths=None)


@asked("each length is one more, where there is room", PADDING)
def lengths_one_more(case: Case) -> Case:
    return replace(case, lengths=np.minimum(lengths_of(case) + 1, len(case.x)))


LENGTHS = table(
    of_lengths,
    "lengths",
    ("lengths_one_less", "each length is one less, but at least 1", TWO_STEPS, lambda n: np.where(n > 1, n - 1, n)),
    ("lengths_all_the_longest", "the longest sequence's length stands for all", PADDING & ROWS,
     lambda n: np.full_like(n, n.max())),
    ("lengths_of_the_next_row", "each sequence has the length of the next one of the batch", PADDING & ROWS,
     lambda n: np.roll(n, -1)),
    ("lengths_sorted_alone", "the lengths are sorted, and the sequences are not", UNSORTED,
     lambda n: np.sort(n)[::-1]),
)  # fmt: skip


def by_length(case: Case) -> np.ndarray:
    """The rows of the batch, longest first; the order in which packed sequences are kept."""
    return np.argsort(-lengths_of(case), kind="stable")


@around("sequences are sorted by length and not put back", UNSORTED)
def sorted_not_put_back(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output[:, by_length(case)], h_n[:, by_length(case)])


@around("sequences are sorted by length, and the output is not put back", UNSORTED)
def sorted_output_not_put_back(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output[:, by_length(case)], h_n)


@around("sequences are sorted by length, and h_n is not put back", UNSORTED)
def sorted_h_n_not_put_back(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    return Result(output, h_n[:, by_length(case)])


@asked("sequences are sorted by length, and h0 is not", UNSORTED & H0)
def sorted_without_h0(case: Case) -> Case:
    return replace(case, h0=np.ascontiguousarray(initial_states(case)[:, np.argsort(by_length(case))]))


def through_padding(track: Case, run: Run) -> Result:
    """A track that takes every step of the padded sequences, its output zero in the padding all the same."""
    output, h_n = run(replace(track, lengths=None))
    return Result(zero_padding(output, lengths_of(track)), h_n)


@around("the reverse direction starts in the padding", A_REVERSE & PADDING)
def reverse_starts_in_padding(case: Case, run: Run) -> Result:
    return by_tracks(case, run, reverse=through_padding)


@around("padding reaches the final state of the forward direction", A_FORWARD & PADDING)
def padding_reaches_the_state(case: Case, run: Run) -> Result:
    return by_tracks(case, run, forward=through_padding)


@around("the reverse output stands at the end of the padded sequence", A_REVERSE & PADDING)
def reverse_output_at_the_end(case: Case, run: Run) -> Result:
    def track_run(track: Case, run: Run) -> Result:
        output, h_n = in_processing_order(track, run)
        return Result(output[::-1], h_n)

    return by_tracks(case, run, reverse=track_run)


@around("beyond a length the output repeats the last one", PADDING & STEPS)
def padding_repeats_the_last_output(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    last = output[np.maximum(lengths_of(case) - 1, 0), np.arange(case.x.shape[1])]
    valid = valid_steps(lengths_of(case), len(output))[..., None]
    return Result(np.where(valid, output, last[None]), h_n)


@around("beyond a length the output goes on", PADDING & STEPS)
def padding_goes_on(case: Case, run: Run) -> Result:
    (output, h_n), goes_on = run(case), run(replace(case, lengths=None)).output
    valid = valid_steps(lengths_of(case), len(output))[..., None]
    return Result(np.where(valid, output, goes_on), h_n)


@asked("the padding is in front: a sequence's steps are its last ones", PADDING & STEPS)
def padding_in_front(case: Case) -> Case:
    first = len(case.x) - lengths_of(case)
    source = (np.arange(len(case.x))[:, None] + first) % len(case.x)
    return replace(case, x=np.take_along_axis(case.x, source[..., None], axis=0))


@around("the packed output, step by step, is unpacked sequence by sequence", ROWS & TWO_STEPS)
def unpacked_by_rows(case: Case, run: Run) -> Result:
    output, h_n = run(case)
    valid, unpacked = valid_steps(lengths_of(case), len(output)), np.zeros_like(output)
    unpacked.swapaxes(0, 1)[valid.T] = output[valid]
    return Result(unpacked, h_n)
