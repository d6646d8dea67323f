"""Layouts: everything is computed time first and batched; these functions go there and back.

A sequence is (time, batch, features) inside; a state is (num_cells, batch, its size).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

SEQUENCE_AXES = {
    "batch_first": ("batch", "time", "feature"),
    "time_first": ("time", "batch", "feature"),
    "unbatched": ("time", "feature"),
}


def sequence_axes(layout: str) -> tuple[str, ...]:
    """The axes of x and output, by name."""
    return SEQUENCE_AXES[layout]


def state_axes(layout: str) -> tuple[str, ...]:
    """The axes of h0 and h_n, by name."""
    return ("cell", "batch", "unit") if is_batched(layout) else ("cell", "unit")


def is_batched(layout: str) -> bool:
    """Whether there is a batch axis. Raises KeyError for a word that is no layout, as everything here does."""
    return "batch" in sequence_axes(layout)


def sequence_to_time_first(sequence: np.ndarray, layout: str) -> np.ndarray:
    """x or output in `layout` as a view (time, batch, features)."""
    if not is_batched(layout):
        return sequence[:, None, :]
    return sequence if sequence_axes(layout)[0] == "time" else sequence.transpose(1, 0, 2)


def sequence_from_time_first(sequence: np.ndarray, layout: str) -> np.ndarray:
    """(time, batch, features) as a view in `layout`."""
    if not is_batched(layout):
        return sequence[:, 0, :]
    return sequence if sequence_axes(layout)[0] == "time" else sequence.transpose(1, 0, 2)


def state_to_batched(state: np.ndarray, layout: str) -> np.ndarray:
    """h0 or h_n in `layout` as a view (num_cells, batch, size)."""
    return state if is_batched(layout) else state[:, None, :]


def state_from_batched(state: np.ndarray, layout: str) -> np.ndarray:
    """(num_cells, batch, size) as a view in `layout`."""
    return state if is_batched(layout) else state[:, 0, :]


def state_tuple(states: Any) -> tuple[Any, ...]:
    """h0 or h_n as a tuple, one array for each state of a cell; it stands for itself where there is one state."""
    return states if isinstance(states, tuple) else (states,)


def from_state_tuple(states: Sequence[Any]) -> Any:
    """What state_tuple takes apart: an array for a cell with one state, a tuple of them for one with several."""
    return states[0] if len(states) == 1 else tuple(states)


def each_state(change: Callable[[Any], Any], states: Any) -> Any:
    """h0 or h_n with each of its states changed; None where there is none."""
    return None if states is None else from_state_tuple([change(state) for state in state_tuple(states)])


def valid_steps(lengths: np.ndarray, time: int) -> np.ndarray:
    """Where a sequence has not ended yet: booleans (time, batch) from lengths (batch,)."""
    return np.arange(time)[:, None] < lengths


def reverse_within_lengths(sequence: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    """(time, batch, features), each sequence reversed within its own length; padding stays in place.

    It is its own inverse. Without lengths it is a view.
    """
    if lengths is None:
        return sequence[::-1]
    step = np.arange(len(sequence))[:, None]
    source = np.where(step < lengths, lengths - 1 - step, step)
    return np.take_along_axis(sequence, source[:, :, None], axis=0)


def in_processing_order(sequence: np.ndarray, lengths: np.ndarray | None, direction: str) -> np.ndarray:
    """(time, batch, features) in the order in which a track of that direction takes its steps; its own inverse."""
    match direction:
        case "forward":
            return sequence
        case "reverse":
            return reverse_within_lengths(sequence, lengths)
    raise ValueError(f"direction: got {direction!r}, expected one that a track runs in: forward, reverse")


def unmasked_first(mask: np.ndarray, layout: str) -> tuple[np.ndarray, np.ndarray]:
    """The order of steps that puts each sequence's unmasked ones in front, both kinds in the order they had.

    mask: booleans with the axes of a sequence in `layout` but the last; True where a step counts. A masked step
    changes nothing, so the sequence of the others, at the front, has the same answer.
    Returns the step that comes to stand at each place, integers (time, batch), and how many there are, as lengths.
    """
    counts = sequence_to_time_first(mask[..., None], layout)[..., 0]
    return np.argsort(~counts, axis=0, kind="stable"), mask.sum(axis=sequence_axes(layout).index("time"))


def take_steps(sequence: np.ndarray, order: np.ndarray, layout: str) -> np.ndarray:
    """x or output in `layout` with the step order[t, b] of sequence b at place t; order: (time, batch)."""
    taken = np.take_along_axis(sequence_to_time_first(sequence, layout), order[..., None], axis=0)
    return np.ascontiguousarray(sequence_from_time_first(taken, layout))


def last_states(output: np.ndarray, h0: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The state after each sequence's last valid step, h0 for a length of 0: (batch, hidden_size)."""
    if not len(output):
        return h0
    last = output[np.maximum(lengths - 1, 0), np.arange(len(lengths))]
    return np.where((lengths == 0)[:, None], h0, last)
