"""python -m meta_tests.make_corpus [FAMILY ...]: draw the corpus of each family and write it.

Written is evidence/record/corpora/FAMILY.jsonl, of the families that have one, and of those that are named.
Needed only to add cases. Append them: a published case that changes, or another order, makes the runs recorded before
incomparable with those after. Where the number of cases was published, add it to PUBLISHED.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from evidence.record.corpus import FIRST, FOLDER, FORMAT, GRADIENTS, families
from reference import DIRECTIONS, LAYOUTS, NONLINEARITIES, Case, RNNSpec
from reference.cells import CELLS
from reference.draws import COTANGENTS, draw_case
from reference.files import write_atomically
from reference.spec import expect_word

WIDE, NARROW = ("float32", "float64"), ("float16", "bfloat16")
TIMES = (1, 2, 5, 10, 20, 50, 100, 200)
TRAINED = ("elman", "gru", "gru_reset_before", "lstm")  # a cell that is added has those of its own in its own family
PUBLISHED = {"elman": [369]}  # how many cases the corpus of a family had in a release


def corpus(family: str) -> Iterator[tuple[str, Case]]:
    """Name and case of a family: each is named by what it asks; another family's than elman's by the family, too."""
    for number, (words, case) in enumerate(PARTS.get(family, partial(_small, family))()):
        yield f"{'' if family == FIRST else f'{family}-'}{number:03} {' '.join(str(word) for word in words)}", case


def _elman() -> Iterator[tuple[tuple[Any, ...], Case]]:
    yield from _every_combination()
    yield from _growing()
    yield from _vectors()
    yield from _ends()
    yield from _hard()
    yield from _masked()


def _every_combination(
    cell: str = FIRST, phis: tuple[str, ...] = NONLINEARITIES, dtypes: tuple[str, ...] = (*WIDE, *NARROW)
) -> Iterator[tuple[tuple[Any, ...], Case]]:
    """Three cases for each: the plainest; all that a call may hold; sizes that no shape check tells apart. Of another
    cell than elman the last in one layout, and of its narrow dtypes in other layouts the second alone."""
    for seed, (direction, layout, phi, dtype) in enumerate(product(DIRECTIONS, LAYOUTS, phis, dtypes)):
        time = 3 if dtype in NARROW else 6  # torch takes 10 ms for a step in a narrow dtype on a CPU
        combination = direction, layout, phi, dtype
        stack = partial(RNNSpec, direction=direction, nonlinearity=phi, cell=cell)
        rows = 1 if layout == "unbatched" else 4
        few = cell != FIRST and layout != "batch_first"
        size = time if cell == FIRST else min(time, 4)
        if not (few and dtype in NARROW):
            yield (
                (*combination, "plain"),
                draw_case(stack(3, 5), batch=rows, time=time, dtype=dtype, seed=seed, layout=layout),
            )
        lengths = (time - 1,) if rows == 1 else (time, 1, time - 1, 2)
        yield (
            (*combination, "full"),
            draw_case(stack(4, 6, 2), batch=rows, time=time, dtype=dtype, seed=seed + 100, h0=True,
                      lengths=lengths, layout=layout),
        )  # fmt: skip
        if few:
            continue
        yield (
            (*combination, "equal sizes"),
            draw_case(stack(size, size, 3, bias=False), batch=1 if rows == 1 else size, time=size,
                      dtype=dtype, seed=seed + 200, h0=True, layout=layout),
        )  # fmt: skip


def _growing() -> Iterator[tuple[tuple[Any, ...], Case]]:
    """How the error grows with time steps, and with depth."""
    for direction, dtype in product(("forward", "bidirectional"), WIDE):
        for time in TIMES:
            spec = RNNSpec(4, 8, 1, direction)
            yield ("time", time, direction, dtype), draw_case(spec, batch=2, time=time, dtype=dtype, seed=300 + time)
        for layers in range(1, 11):
            spec = RNNSpec(5, 7, layers, direction)
            yield ("depth", layers, direction, dtype), draw_case(spec, batch=3, time=6, dtype=dtype, seed=600 + layers)


def _vectors() -> Iterator[tuple[tuple[Any, ...], Case]]:
    """Sizes at which vector units, blocks and tiles are used, and what is left over."""
    for direction, dtype, hidden_size in product(DIRECTIONS, WIDE, (16, 33, 64)):
        spec = RNNSpec(hidden_size + 1, hidden_size, 1, direction)
        case = draw_case(spec, batch=hidden_size // 4, time=5, dtype=dtype, seed=700 + hidden_size, h0=True)
        yield ("vectors", hidden_size, direction, dtype), case


def _ends() -> Iterator[tuple[tuple[Any, ...], Case]]:
    """The ends of each axis: an empty batch, one sequence, one step, no step, sequences of no length."""
    for direction, dtype in product(DIRECTIONS, WIDE):
        for what, asked in {
            "an empty batch": {"batch": 0, "time": 4},
            "one sequence": {"batch": 1, "time": 4, "h0": True},
            "one step": {"batch": 3, "time": 1, "h0": True},
            "no step": {"batch": 3, "time": 0, "h0": True},
            "lengths of zero": {"batch": 4, "time": 4, "lengths": (4, 0, 3, 2)},
        }.items():
            yield (what, direction, dtype), draw_case(RNNSpec(3, 5, 2, direction), dtype=dtype, seed=800, **asked)


def _hard() -> Iterator[tuple[tuple[Any, ...], Case]]:
    """Saturated, subnormal, chaotic; NaN and infinity."""
    for phi, dtype in product(NONLINEARITIES, WIDE):
        spec = RNNSpec(6, 9, 1, "forward", phi)
        yield ("saturated", phi, dtype), draw_case(spec, batch=3, time=7, dtype=dtype, input_scale=1e3, seed=900)
        tiny = float(np.finfo(dtype).tiny) / 4
        spec = RNNSpec(6, 9, 1, "forward", phi, bias=False)
        yield ("tiny", phi, dtype), draw_case(spec, batch=3, time=7, dtype=dtype, input_scale=tiny, seed=901)
        for value in (np.nan, np.inf):
            case = draw_case(RNNSpec(3, 5, 1, "bidirectional", phi), batch=3, time=6, dtype=dtype, seed=902)
            case.x[1, 2, 1] = value
            yield (value, phi, dtype), case
    for dtype in WIDE:
        yield ("chaotic", dtype), draw_case(RNNSpec(4, 16), batch=1, time=100, dtype=dtype, weight_scale=4.0, seed=903)


def _masked() -> Iterator[tuple[tuple[Any, ...], Case]]:
    """Steps that are masked wherever they lie, in every layout and direction."""
    for seed, (direction, layout) in enumerate(product(DIRECTIONS, LAYOUTS)):
        for dtype in ("float32", "float64", "bfloat16") if layout == "batch_first" else ("float32",):
            spec = RNNSpec(4, 6, 2, direction, NONLINEARITIES[seed % 2])
            rows = 1 if layout == "unbatched" else 4
            asked = {"time": 6, "dtype": dtype, "seed": 950 + seed, "h0": True, "layout": layout, "mask": True}
            case = draw_case(spec, batch=rows, **asked)
            yield ("a mask", direction, layout, dtype), case


def _small(cell: str) -> Iterator[tuple[tuple[Any, ...], Case]]:
    """The family of a cell that has no part of its own here."""
    yield from _every_combination(cell, ("tanh",), WIDE)


def _gated(cell: str) -> Iterator[tuple[tuple[Any, ...], Case]]:
    """What every cell with gates is asked: all combinations, few cases of narrow dtypes, and hard cases."""
    yield from _every_combination(cell, ("tanh",))
    for direction, dtype in product(("forward", "bidirectional"), WIDE):
        spec = partial(RNNSpec, direction=direction, cell=cell)
        yield ("time", 60, direction, dtype), draw_case(spec(4, 8), batch=2, time=60, dtype=dtype, seed=300)
    case = draw_case(RNNSpec(17, 16, cell=cell), batch=5, time=5, seed=716, h0=True)
    yield ("vectors", 16, "forward", "float32"), case
    for dtype in WIDE:
        spec = RNNSpec(6, 9, cell=cell)
        yield ("saturated", dtype), draw_case(spec, batch=3, time=7, dtype=dtype, input_scale=1e3, seed=900)
        case = draw_case(RNNSpec(3, 5, direction="bidirectional", cell=cell), batch=3, time=6, dtype=dtype, seed=902)
        case.x[1, 2, 1] = np.nan
        yield (np.nan, dtype), case
    for direction in DIRECTIONS:
        spec = RNNSpec(4, 6, 2, direction, cell=cell)
        ends = {"batch": 4, "time": 4, "lengths": (4, 0, 3, 2)}
        yield ("lengths of zero", direction), draw_case(spec, seed=800, h0=True, **ends)
        yield ("a mask", direction), draw_case(spec, batch=4, time=6, seed=950, h0=True, mask=True)


def _lstm() -> Iterator[tuple[tuple[Any, ...], Case]]:
    """The cell and its variants."""
    yield from _gated("lstm")
    variants: dict[str, dict[str, Any]] = {
        "projection": {"projection_size": 3},
        "peepholes": {"peepholes": True},
        "input_forget": {"input_forget": True},
        "clip": {"clip": 0.5},
    }
    for (word, variant), dtype in product(variants.items(), WIDE):
        spec = RNNSpec(4, 6, 2, "bidirectional", cell="lstm", **variant)
        case = draw_case(spec, batch=4, time=5, dtype=dtype, seed=970, h0=True, lengths=(5, 1, 4, 2), weight_scale=2.0)
        yield (word, dtype), case
    spec = RNNSpec(4, 6, cell="lstm", projection_size=3, peepholes=True, clip=0.5)
    yield ("all variants",), draw_case(spec, batch=4, time=5, seed=971, h0=True, weight_scale=2.0)


def _gradients() -> Iterator[tuple[tuple[Any, ...], Case]]:
    """Cases with cotangents: what is asked of one layer's backward pass."""
    for seed, (cell, direction, dtype) in enumerate(product(TRAINED, DIRECTIONS, WIDE)):
        spec = RNNSpec(3, 4, direction=direction, cell=cell, nonlinearity="relu" if seed == 1 else "tanh")
        of = COTANGENTS[seed % len(COTANGENTS)]
        lengths = (5, 1, 3) if (seed + seed // 4) % 2 else None
        case = draw_case(spec, batch=3, time=5, dtype=dtype, seed=seed, h0=True, lengths=lengths, gradients=of)
        yield (cell, direction, dtype, of, "lengths" if lengths else "all steps"), case
    for cell, layout in product(TRAINED, LAYOUTS):
        spec, rows = RNNSpec(3, 4, direction="bidirectional", cell=cell, bias=False), 1 if layout == "unbatched" else 2
        words = {"batch": rows, "time": 4, "seed": 50, "layout": layout, "gradients": "all"}
        yield (cell, "bidirectional", layout, "without bias"), draw_case(spec, **words)
        if layout == "batch_first":
            yield (cell, "bidirectional", layout, "a mask"), draw_case(spec, mask=True, **words)
    for cell in TRAINED:
        spec = RNNSpec(2, 3, cell=cell)
        yield (cell, "time", 50), draw_case(spec, batch=1, time=50, seed=60, gradients="last step", weight_scale=2.0)


PARTS = {
    FIRST: _elman,
    GRADIENTS: _gradients,
    "lstm": _lstm,
    **{cell: partial(_gated, cell) for cell in ("gru", "gru_reset_before")},
}


def text(family: str) -> str:
    """The file of a family."""
    lines: list[dict[str, Any]] = [{"format": FORMAT, "published": PUBLISHED.get(family, [])}]
    lines += [{"name": name, "case": json.loads(case.to_json())} for name, case in corpus(family)]
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


if __name__ == "__main__":
    for family in dict.fromkeys((*families(), *sys.argv[1:])):
        expect_word("family", family, (*CELLS, GRADIENTS))
        write_atomically(FOLDER / f"{family}.jsonl", text(family))
