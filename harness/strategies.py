"""Hypothesis strategies: which questions are asked.

Sizes, features and a seed are Hypothesis' own choices, so they shrink; the numbers come from the seed
(reference/draws.py). One choice decides between full-precision numbers and numbers of four bits, without
changing any other: a failing case shrinks to few, small and readable numbers, and generation stays fast at any
size. Drawing each weight by itself was rejected: a 10-layer case needs more choices than Hypothesis
allows, and its arrays are filled with repeated values unless told otherwise, which hides transpositions.
Narrow numbers alone were rejected too: their products are exact, which hides a narrower arithmetic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from adapters import FEATURES
from adapters.capabilities import VARIANTS
from reference import LAYOUTS, Case, RNNSpec
from reference.draws import MEMORY, draw_case, in_memory
from reference.layout import each_state
from reference.spec import OF_CELLS

Draw = Callable[..., Any]
SIZES = st.integers(1, 9)
# input scales: typical; large enough to saturate tanh; small enough that only the weights and biases speak
INPUT_SCALES = (1.0, 32.0, 2.0**-10)
WEIGHT_SCALES = (1.0, 0.5, 2.0)
SEEDS = st.integers(0, 2**32 - 2)
# what draw_case is told of a question; the spec and in_memory are told the rest
CLIPS = (None, None, 0.5, 2.0)
DRAWN = ("batch", "time", "seed", "weight_scale", "input_scale", "h0", "lengths", "rounded", "mask", "weights")


@dataclass(frozen=True)
class Question:
    """Everything about a case but its direction, nonlinearity, dtype and layout, which the tests go through.

    lengths: for each of the batch's sequences, or None.  mask: whether steps are masked, anywhere.
    memory: how x and h0 lie in memory.  weights: the seed of the weights; the question's own when None.
    cell: of a tanh; a relu is elman's alone.  variants: what of VARIANTS an lstm has.
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
    mask: bool = False
    clip: float | None = None
    weights: int | None = None
    cell: str = "elman"
    variants: tuple[str, ...] = ()

    def case(self, direction: str, nonlinearity: str, dtype: Any) -> Case:
        """The case that it asks, batch first."""
        cell = self.cell if nonlinearity == "tanh" else "elman"
        more: dict[str, Any] = {"clip": self.clip} if cell in OF_CELLS["clip"] else {}
        if cell == "lstm":
            sizes = {"projection": (self.hidden_size + 1) // 2}
            more |= {VARIANTS[word]: sizes.get(word, True) for word in self.variants}
        spec = RNNSpec(self.input_size, self.hidden_size, self.num_layers, direction, nonlinearity, self.bias, cell,
                       **more)  # fmt: skip
        drawn = {name: getattr(self, name) for name in DRAWN}
        return in_layout(draw_case(spec, dtype=dtype, **drawn), "batch_first", self.memory)


def in_layout(case: Case, layout: str, memory: str) -> Case:
    """A batch-first case asked in another layout, of the same parameters; unbatched, of its first sequence alone."""
    x, h0, lengths, mask = case.x, case.h0, case.lengths, case.mask
    match layout:
        case "batch_first":
            pass
        case "time_first":
            x, mask = np.ascontiguousarray(x.transpose(1, 0, 2)), None if mask is None else mask.T
        case "unbatched":
            x, mask = x[0], None if mask is None else mask[0]
            h0, lengths = each_state(lambda state: state[:, 0], h0), None if lengths is None else int(lengths[0])
        case _:
            raise ValueError(f"layout: got {layout!r}, expected one of {', '.join(LAYOUTS)}")
    h0 = each_state(lambda state: in_memory(state, memory), h0)
    return replace(case, x=in_memory(x, memory), h0=h0, lengths=lengths, layout=layout, mask=mask)


def _range(supported: Sequence[str], largest: int) -> tuple[int, int]:
    """Smallest and largest size of an axis of which an adapter supports "1", "more" or both."""
    return 1 if "1" in supported else 2, largest if "more" in supported else 1


@st.composite
def _sizes(draw: Draw, time: tuple[int, int], batch: tuple[int, int]) -> tuple[int, int, int, int]:
    """batch, time, input_size, hidden_size: all different, so that no two axes can be mixed up unseen; all equal,
    because some mistakes only pass the shape checks then; or free."""
    free = st.tuples(st.integers(*batch), st.integers(*time), SIZES, SIZES)
    different = free.filter(lambda sizes: len(set(sizes)) == len(sizes))
    low, high = (choose(ends) for choose, ends in zip((max, min), zip(batch, time, strict=True), strict=True))
    equal = [st.integers(low, high).map(lambda size: (size,) * 4)] if low <= high else []
    return draw(st.one_of(free, different, *equal))


def _layers(supported: Sequence[str], most: int) -> st.SearchStrategy[int]:
    """Few layers mostly, of the depths that an adapter supports."""
    depths = {"1": st.just(1), "2": st.just(2), "3 to 10": st.integers(3, 10)}
    few = st.one_of(*(depths[depth] for depth in supported if depth in ("1", "2")), st.just(3)).filter(
        lambda layers: layers < 3 or "3 to 10" in supported
    )
    every = st.one_of(few, few, few, *(depths[depth] for depth in supported))
    return every.filter(lambda layers: layers <= most) if most < 10 else every


def _cells(supported: Callable[[str], Sequence[Any]], hidden_size: int) -> st.SearchStrategy[dict[str, Any]]:
    """The cell, where it is offered elman in half of the questions at least; and of an lstm up to two variants."""
    words = [word for word in supported("cell") if word != "elman"]
    if not words:
        return st.just({})
    offered = [word for word in VARIANTS if True in supported(word) and (word != "projection" or hidden_size > 1)]
    some = st.lists(st.sampled_from(offered), max_size=2, unique=True).map(tuple) if offered else st.just(())
    simple = ("elman",) * len(words) if "elman" in supported("cell") else ()
    plain = st.sampled_from(simple + tuple(words))

    def of(word: str) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({"cell": st.just(word), "variants": some if word == "lstm" else st.just(())})

    return plain.flatmap(of)


@st.composite
def _lengths(draw: Draw, supported: Sequence[str], batch: int, time: int) -> tuple[int, ...] | None:
    kind = draw(st.sampled_from([kind for kind in ("full", "mixed", "with zeros") if kind in supported]))
    if kind == "full":
        return None
    length = st.integers(0 if kind == "with zeros" else 1, time)
    return tuple(draw(st.lists(length, min_size=batch, max_size=batch)))


@st.composite
def questions(
    draw: Draw,
    supported: Callable[[str], Sequence[Any]] = FEATURES.__getitem__,
    *,
    max_layers: int = 10,
    min_time: int = 0,
    max_time: int = 9,
    with_lengths: bool = True,
    with_all: bool = False,
    with_cells: bool = False,
    sane: bool = False,
) -> Question:
    """A question of sizes 1 to 9, and 1 to 3 layers, or sometimes up to max_layers.

    supported: the values of a feature that may be asked for (Capabilities.supported).  with_all: masks and clips too,
    with which not every relation holds, and all cells.  with_cells: cells with gates too.  sane: no saturating inputs
    and no large weights, for properties that are judged by the trajectory bound.
    """
    mask = with_all and draw(st.sampled_from(sorted(supported("mask"))))
    least, most = _range(supported("time"), max_time)
    sizes = _sizes((max(least, min_time), most), _range(supported("batch"), 9))
    batch, time, input_size, hidden_size = draw(sizes)
    return Question(
        batch=batch,
        time=time,
        input_size=input_size,
        hidden_size=hidden_size,
        num_layers=draw(_layers(supported("num_layers"), max_layers)),
        bias=draw(st.sampled_from(sorted(supported("bias")))),
        h0=draw(st.sampled_from(sorted(supported("h0")))),
        lengths=draw(_lengths(supported("lengths"), batch, time)) if with_lengths and not mask else None,
        seed=draw(SEEDS),
        rounded=not draw(st.booleans()),
        weight_scale=1.0 if sane else draw(st.sampled_from(WEIGHT_SCALES)),
        input_scale=1.0 if sane else draw(st.sampled_from(INPUT_SCALES)),
        memory=draw(st.sampled_from(MEMORY)),
        mask=mask,
        clip=draw(st.sampled_from(CLIPS)) if with_all and True in supported("clip") else None,
        **(draw(_cells(supported, hidden_size)) if with_all or with_cells else {}),
    )
