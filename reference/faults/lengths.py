"""Faults in the lengths: padding that is read, written or counted, and sequences sorted and not put back."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..judging.case import Case
from ..layout import valid_steps
from ..recurrence import Result
from .changes import Change, same
from .directions import in_processing_order
from .fault import Around, Run
from .machine import initial_states, lengths_of, one_step, starting, zero_padding
from .rows import of_answer, of_forward, of_lengths, of_question, of_reverse, of_run, of_tracks, table
from .where import A_FORWARD, A_REVERSE, EMPTY, H0, PADDING, ROWS, STEPS, TWO_STEPS, UNMASKED, UNSORTED


def sort(array: np.ndarray, case: Case) -> np.ndarray:
    """(..., batch, features) with the longest sequence first; the order in which packed sequences are kept."""
    return array[:, np.argsort(-lengths_of(case), kind="stable")]


def sort_back(array: np.ndarray, case: Case) -> np.ndarray:
    return array[:, np.argsort(np.argsort(-lengths_of(case), kind="stable"))]


def through_padding(track: Case, run: Run) -> Result:
    """A track that takes every step of the padded sequences, its output zero in the padding all the same."""
    output, h_n = run(replace(track, lengths=None))
    return Result(zero_padding(output, lengths_of(track)), h_n)


def at_the_end(track: Case, run: Run) -> Result:
    output, h_n = in_processing_order(track, run)
    return Result(output[::-1], h_n)


def repeat_last(case: Case, output: np.ndarray, h_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    last = output[np.maximum(lengths_of(case) - 1, 0), np.arange(case.x.shape[1])]
    return np.where(valid_steps(lengths_of(case), len(output))[..., None], output, last), h_n


def go_on(case: Case, run: Run) -> Result:
    (output, h_n), beyond = run(case), run(replace(case, lengths=None)).output
    return Result(np.where(valid_steps(lengths_of(case), len(output))[..., None], output, beyond), h_n)


def padding_in_front(case: Case) -> Case:
    first = len(case.x) - lengths_of(case)
    source = (np.arange(len(case.x))[:, None] + first) % len(case.x)
    return replace(case, x=np.take_along_axis(case.x, source[..., None], axis=0))


def with_lengths(change: Callable[[np.ndarray, int], np.ndarray], there: Change = np.zeros_like) -> Around:
    """A track of other lengths, its output zero beyond its own.

    change: of the lengths, and the number of steps.  there: what the output of a step that is lost is, of h0.
    """

    def track_run(track: Case, run: Run) -> Result:
        lengths, time, h0 = lengths_of(track), len(track.x), initial_states(track)[0, :, : track.spec.state_size]
        output, h_n = run(replace(track, lengths=change(lengths, time)))
        lost = valid_steps(lengths, time) & ~valid_steps(change(lengths, time), time)
        return Result(np.where(lost[..., None], there(h0), zero_padding(output, lengths)), h_n)

    return track_run


def short_one_less(lengths: np.ndarray, time: int) -> np.ndarray:
    return np.maximum(lengths - (lengths < time), 0)


def step_of_zeros(start: Change) -> Around:
    """A sequence without steps takes one, of zeros.  start: what it starts from, of h0."""

    def track_run(track: Case, run: Run) -> Result:
        output, h_n = run(track)
        after = one_step(track, run, np.zeros(track.x.shape[1:], track.x.dtype), start(initial_states(track)[0]))
        return Result(output, np.where((lengths_of(track) == 0)[:, None], after, h_n[0])[None])

    return track_run


def unpack_by_rows(case: Case, output: np.ndarray, h_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    valid, unpacked = valid_steps(lengths_of(case), len(output)), np.zeros_like(output)
    unpacked.swapaxes(0, 1)[valid.T] = output[valid]
    return unpacked, h_n


FAULTS = table(
    "lengths",
    ("lengths_ignored", "lengths are ignored", PADDING, of_question(lambda case: replace(case, lengths=None))),
    ("lengths_one_more", "each length is one more, where there is room", PADDING,
     of_question(lambda case: replace(case, lengths=np.minimum(lengths_of(case) + 1, len(case.x))))),
    ("lengths_one_less", "each length is one less, but at least 1", TWO_STEPS,
     of_lengths(lambda lengths: np.where(lengths > 1, lengths - 1, lengths))),
    ("lengths_all_the_longest", "the longest sequence's length stands for all", PADDING & ROWS,
     of_lengths(lambda lengths: np.full_like(lengths, lengths.max()))),
    ("lengths_of_the_next_row", "each sequence has the length of the next one of the batch", PADDING & ROWS,
     of_lengths(lambda lengths: np.roll(lengths, -1))),
    ("lengths_sorted_alone", "the lengths are sorted, and the sequences are not", UNSORTED,
     of_lengths(lambda lengths: np.sort(lengths)[::-1])),
    ("sorted_not_put_back", "sequences are sorted by length and not put back", UNSORTED,
     of_answer(lambda case, output, h_n: (sort(output, case), sort(h_n, case)))),
    ("sorted_output_not_put_back", "sequences are sorted by length, and the output is not put back", UNSORTED,
     of_answer(lambda case, output, h_n: (sort(output, case), h_n))),
    ("sorted_h_n_not_put_back", "sequences are sorted by length, and h_n is not put back", UNSORTED,
     of_answer(lambda case, output, h_n: (output, sort(h_n, case)))),
    ("sorted_without_h0", "sequences are sorted by length, and h0 is not", UNSORTED & H0,
     of_question(lambda case: starting(case, sort_back(initial_states(case), case)))),
    ("reverse_starts_in_padding", "the reverse direction starts in the padding", A_REVERSE & PADDING,
     of_reverse(through_padding)),
    ("padding_reaches_the_state", "padding reaches the final state of the forward direction", A_FORWARD & PADDING,
     of_forward(through_padding)),
    *((f"{name}reverse_starts_late{at}", f"the reverse direction{of} starts one step late, its output there {says}",
       A_REVERSE & where, of_reverse(with_lengths(change, there)))
      for name, of, where, change in (("", "", UNMASKED, lambda lengths, _time: np.maximum(lengths - 1, 0)),
                                      ("short_", " of padded sequences", PADDING & STEPS, short_one_less))
      for at, says, there in (("", "zero", np.zeros_like), ("_from_h0", "h0", same))),
    ("reverse_starts_early", "the reverse direction starts one step early, in the padding", A_REVERSE & PADDING & STEPS,
     of_reverse(with_lengths(lambda lengths, time: lengths + ((lengths > 0) & (lengths < time))))),
    ("empty_takes_a_step", "a sequence without steps takes a step of zeros", EMPTY, of_tracks(step_of_zeros(same))),
    ("empty_takes_a_step_from_zeros", "a sequence without steps takes a step of zeros, from zeros", EMPTY,
     of_tracks(step_of_zeros(np.zeros_like))),
    ("lengths_at_least_one", "a length of 0 is taken for 1", EMPTY & STEPS,
     of_lengths(lambda lengths: np.maximum(lengths, 1))),
    ("reverse_output_at_the_end", "the reverse output stands at the end of the padded sequence", A_REVERSE & PADDING,
     of_reverse(at_the_end)),
    ("padding_repeats_the_last_output", "beyond a length the output repeats the last one", PADDING & STEPS,
     of_answer(repeat_last)),
    ("padding_goes_on", "beyond a length the output goes on", PADDING & STEPS, of_run(go_on)),
    ("padding_in_front", "the padding is in front: a sequence's steps are its last ones", PADDING & STEPS,
     of_question(padding_in_front)),
    ("unpacked_by_rows", "the packed output, step by step, is unpacked sequence by sequence", ROWS & TWO_STEPS,
     of_answer(unpack_by_rows)),
)  # fmt: skip
