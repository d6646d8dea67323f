"""Hypothesis strategies: which questions are asked.

Sizes, features and a seed are Hypothesis' own choices, so they shrink; the numbers come from the seed
(tests/draws.py). One choice decides between full-precision numbers and numbers of four bits, without
changing any other: a failing case shrinks to few, small and readable numbers, and generation stays fast at any
size. Drawing each weight by itself was rejected: a 10-layer case needs more choices than Hypothesis
allows, and its arrays are filled with repeated values unless told otherwise, which hides transpositions.
Narrow numbers alone were rejected too: their products are exact, which hides a narrower arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from reference import Case, RNNSpec

from .draws import draw_case
from .target import MEMORY, in_memory

SIZES = st.integers(1, 9)
# input scales: typical; large enough to saturate tanh; small enough that only the weights and biases speak
INPUT_SCALES = (1.0, 32.0, 2.0**-10)
WEIGHT_SCALES = (1.0, 0.5, 2.0)


@dataclass(frozen=True)
class Question:
    """Everything about a case but its direction, nonlinearity, dtype and layout, which the tests go through.

    lengths: for each of the batch's sequences, or None.  memory: how x lies in memory.
    """

    batch: int
    time: int
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    h0: bool
    lengths: tuple[int, ...] | None
    seed: int
    rounded: bool
    weight_scale: float
    input_scale: float
    memory: str

    def case(self, direction: str, nonlinearity: str, dtype: Any) -> Case:
        """The case that it asks, batch first."""
        spec = RNNSpec(self.input_size, self.hidden_size, self.num_layers, direction, nonlinearity, self.bias)
        case = draw_case(
            spec,
            batch=self.batch,
            time=self.time,
            dtype=dtype,
            seed=self.seed,
            weight_scale=self.weight_scale,
            input_scale=self.input_scale,
            h0=self.h0,
            lengths=self.lengths,
            rounded=self.rounded,
        )
        return replace(case, x=in_memory(case.x, self.memory))


def in_layout(case: Case, layout: str, memory: str) -> Case:
    """A batch-first case asked in another layout, of the same parameters; unbatched, of its first sequence alone."""
    x, h0, lengths = case.x, case.h0, case.lengths
    if layout == "time_first":
        x = np.ascontiguousarray(x.transpose(1, 0, 2))
    elif layout == "unbatched":
        x, h0, lengths = x[0], None if h0 is None else h0[:, 0], None if lengths is None else int(lengths[0])
    return replace(case, x=in_memory(x, memory), h0=h0, lengths=lengths, layout=layout)


@st.composite
def _sizes(draw: Callable[..., Any], max_time: int) -> tuple[int, int, int, int]:
    """batch, time, input_size, hidden_size: all different, so that no two axes can be mixed up unseen; or free,
    because some mistakes only pass the shape checks when sizes are equal (and because the smallest cases are)."""
    distinct = st.lists(SIZES, min_size=4, max_size=4, unique=True)
    batch, time, input_size, hidden_size = draw(st.one_of(st.tuples(SIZES, SIZES, SIZES, SIZES), distinct))
    return batch, min(time, max_time), input_size, hidden_size


@st.composite
def questions(
    draw: Callable[..., Any],
    *,
    max_layers: int = 10,
    max_time: int = 9,
    zero_lengths: bool = True,
    with_lengths: bool = True,
    sane: bool = False,
) -> Question:
    """A question of sizes 1 to 9, and 1 to 3 layers, or sometimes more.

    zero_lengths: whether a sequence may be empty.  sane: no saturating inputs and no large weights, for
    properties that are judged by the trajectory bound.
    """
    batch, time, input_size, hidden_size = draw(_sizes(max_time))
    few = st.integers(1, min(3, max_layers))
    layers = st.one_of(few, few, few, st.integers(1, max_layers))
    lengths = st.none()
    if with_lengths:
        length = st.integers(0 if zero_lengths else 1, time)
        lengths = st.one_of(st.none(), st.lists(length, min_size=batch, max_size=batch).map(tuple))
    return Question(
        batch=batch,
        time=time,
        input_size=input_size,
        hidden_size=hidden_size,
        num_layers=draw(layers),
        bias=draw(st.booleans()),
        h0=draw(st.booleans()),
        lengths=draw(lengths),
        seed=draw(st.integers(0, 2**32 - 2)),
        rounded=not draw(st.booleans()),
        weight_scale=1.0 if sane else draw(st.sampled_from(WEIGHT_SCALES)),
        input_scale=1.0 if sane else draw(st.sampled_from(INPUT_SCALES)),
        memory=draw(st.sampled_from(MEMORY)),
    )
