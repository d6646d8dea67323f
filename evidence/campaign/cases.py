"""Cases by their seed: a case is a function of one integer and of nothing else, on every machine.

Seeds come in blocks of BLOCK. OF_A_KEY of them share a key: all that a compiler sees of a case, sizes and features.
So a block has a pool of 20 keys, which is drawn with it. OF_A_MODULE of them share the weights too, and a module.

Choices and numbers are made of PCG64's raw 64-bit words, whose stream NumPy guarantees, and of exact arithmetic. A
narrow number is rounded twice, to float32 and from there: libraries differ in how they round a float64 to bfloat16.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adapters.capabilities import FEATURES, VARIANTS
from reference import DIRECTIONS, LAYOUTS, Case, RNNSpec
from reference.draws import MEMORY, draw_case, in_memory
from reference.layout import each_state, sequence_from_time_first, state_from_batched
from reference.spec import OF_CELLS

from ..record.ledger import AXES

DRAWS = 1  # how cases are drawn: raised with every change of what a seed stands for
BLOCK = 1_000
OF_A_KEY, OF_A_MODULE = 50, 10
MOST_SEED = 2**48  # each takes STREAMS seeds of PCG64, and a JSON reader may hold numbers as float64
STREAMS, OF_NUMBERS, OF_VALUES, OF_KEYS = 8, 0, 4, 5  # draw_case takes 0 to 3

# what a key is chosen from; a word that stands there twice is chosen twice as often
CELLS = (*("elman", "gru", "lstm") * 4, "gru_reset_before")
DTYPES = ("float32", "float32", "float64", "float16", "bfloat16")
DEPTHS = (1, 1, 1, 1, 1, 2, 2, 3)
SIZES = tuple(range(1, 10))
BIASES = (True, True, True, False)
ENDS = (*itertools.repeat(None, 31), 0)  # an axis of no steps, or no sequences, once in 32 keys
LENGTHS = (*("full", "mixed") * 3, "with zeros")
MASKS = (*[False] * 15, True)
CLIPS = (*[None] * 14, 0.5, 2.0)
SOME_VARIANTS = (*[()] * 8, *((word,) for word in VARIANTS), tuple(VARIANTS))
INPUT_SCALES = (1.0, 1.0, 32.0, 2.0**-10)  # typical; saturating; so small that weights and biases alone speak
WEIGHT_SCALES = (1.0, 1.0, 0.5, 2.0)

# the combinations that are counted, by their number in a record
COMBINATIONS = tuple(itertools.product(*(FEATURES[name] for name in AXES)))
NUMBERS = {combination: number for number, combination in enumerate(COMBINATIONS)}


def chooser(seed: int, most: int = 32) -> Callable[[Sequence[Any]], Any]:
    """Chooses one of some options, again and again, at most so often: by a seed of PCG64."""
    words = iter(np.random.PCG64(seed).random_raw(most).tolist())
    return lambda options: options[next(words) % len(options)]


@dataclass(frozen=True)
class Key:
    """What OF_A_KEY seeds share.  lengths: one of LENGTHS; full beside a mask."""

    spec: RNNSpec
    layout: str
    dtype: str
    h0: bool
    lengths: str
    mask: bool
    batch: int
    time: int

    @property
    def combination(self) -> int:
        """Its number in COMBINATIONS."""
        return NUMBERS[self.spec.cell, self.spec.direction, self.layout, self.dtype]


@functools.lru_cache(maxsize=32)
def key_of(number: int) -> Key:
    """The key of the seeds that are OF_A_KEY * number and the next ones."""
    choose = chooser(STREAMS * number + OF_KEYS)
    cell, nonlinearity = choose(CELLS), choose(("tanh", "relu"))
    sizes = [choose(SIZES) for _ in range(4)]
    batch, time, input_size, hidden_size = sizes if choose(range(8)) else sizes[:1] * 4
    ends, layout, mask, clip = (choose(ENDS), choose(ENDS)), choose(LAYOUTS), choose(MASKS), choose(CLIPS)
    batch, time = (size if end is None else end for size, end in zip((batch, time), ends, strict=True))
    variants = choose(SOME_VARIANTS) if cell == "lstm" else ()
    more: dict[str, Any] = {"clip": clip} if cell in OF_CELLS["clip"] else {}
    more |= {VARIANTS[word]: hidden_size // 2 if word == "projection" else True for word in variants}
    spec = RNNSpec(input_size, hidden_size, choose(DEPTHS), choose(DIRECTIONS),
                   nonlinearity if cell == "elman" else "tanh", choose(BIASES), cell, **more)  # fmt: skip
    lengths, h0, dtype = choose(LENGTHS), choose((True, False)), choose(DTYPES)
    return Key(spec, layout, dtype, h0, "full" if mask else lengths, mask, 1 if layout == "unbatched" else batch, time)


@dataclass(frozen=True)
class Group:
    """The cases of OF_A_MODULE seeds: `whole` has them beside each other, time first.  first: the first of the seeds.
    memory: how x and h0 of each case lie in memory."""

    first: int
    key: Key
    whole: Case
    memory: str

    def part(self, start: int, stop: int) -> Case:
        """The cases of the seeds from start up to stop beside each other, time first."""
        of = slice((start - self.first) * self.key.batch, (stop - self.first) * self.key.batch)
        case = self.whole
        return replace(case, x=case.x[:, of], h0=each_state(lambda state: state[:, of], case.h0),
                       lengths=None if case.lengths is None else np.asarray(case.lengths)[of],
                       mask=None if case.mask is None else case.mask[:, of])  # fmt: skip

    def case(self, seed: int) -> Case:
        """The case of a seed, in its layout."""
        case, layout = self.part(seed, seed + 1), self.key.layout
        x = np.ascontiguousarray(sequence_from_time_first(case.x, layout))
        mask = None if case.mask is None else sequence_from_time_first(case.mask[..., None], layout)[..., 0]
        h0 = each_state(lambda state: np.ascontiguousarray(state_from_batched(state, layout)), case.h0)
        lengths = int(case.lengths[0]) if layout == "unbatched" and case.lengths is not None else case.lengths  # type: ignore[index]
        return replace(case, x=in_memory(x, self.memory), layout=layout, mask=mask, lengths=lengths,
                       h0=each_state(lambda state: in_memory(state, self.memory), h0))  # fmt: skip


def group_of(seed: int) -> Group:
    """The group of a seed."""
    number = seed // OF_A_MODULE
    first, key = number * OF_A_MODULE, key_of(seed // OF_A_KEY)
    choose, rows = chooser(STREAMS * number + OF_VALUES, 4 + OF_A_MODULE * key.batch), OF_A_MODULE * key.batch
    memory, input_scale, weight_scale = choose(MEMORY), choose(INPUT_SCALES), choose(WEIGHT_SCALES)
    lengths = None
    if key.lengths != "full":
        least = 1 if key.lengths == "mixed" and key.time else 0
        lengths = [choose(range(least, key.time + 1)) for _ in range(rows)]
        if key.lengths == "with zeros":
            lengths[:: max(key.batch, 1)] = [0] * len(lengths[:: max(key.batch, 1)])
    drawn = key.dtype if key.dtype == "float64" else "float32"
    case = draw_case(key.spec, batch=rows, time=key.time, dtype=drawn, seed=STREAMS * number + OF_NUMBERS,
                     weight_scale=weight_scale, input_scale=input_scale, h0=key.h0, lengths=lengths,
                     layout="time_first", mask=key.mask)  # fmt: skip
    tracks, h0 = [track.astype(key.dtype) for track in case.parameters], case.h0
    narrow = replace(case, parameters=tracks, x=case.x.astype(key.dtype),
                     h0=each_state(lambda state: state.astype(key.dtype), h0))  # fmt: skip
    return Group(first, key, narrow, memory)


def case_of(seed: int) -> Case:
    """The case of a seed. Raises ValueError for one that is none."""
    if not 0 <= seed < MOST_SEED:
        raise ValueError(f"seed: got {seed}, expected one from 0 to {MOST_SEED - 1}")
    return group_of(seed).case(seed)


def pieces(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """The seeds from start up to stop, cut at the multiples of a size: pairs (first, end)."""
    while start < stop:
        end = min(stop, (start // size + 1) * size)
        yield start, end
        start = end


def blocks(start: int, stop: int) -> int:
    """How many blocks hold these seeds."""
    return -(-stop // BLOCK) - start // BLOCK if start < stop else 0


def asked(start: int, stop: int) -> Counter[int]:
    """How many cases of each combination, by its number, these seeds stand for."""
    counts = Counter[int]()
    for first, end in pieces(start, stop, OF_A_KEY):
        counts[key_of(first // OF_A_KEY).combination] += end - first
    return counts
