"""Sizes around the widths of vectors and tiles, in every axis, with every feature; and where all sizes are equal.

A covering design says which sizes and features a run asks together: every large size with each value of each feature,
and each two values of two features. Every run draws another one; the profile nightly covers three at a time.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from typing import Any

import pytest

from adapters import FEATURES
from evidence.record import seeded
from harness import pool
from harness.strategies import in_layout
from harness.target import Target
from reference import DIRECTIONS, DTYPES, LAYOUTS, Case, RNNSpec
from reference.draws import MEMORY, draw_case

from .cover import Allowed, Row, design

# a level of an axis: its sizes, of which a row draws one
ONE, FEW, DEEP = (1,), tuple(range(2, 10)), (4, 5)
WIDTHS = (16, 32, 64, 128, 256)  # of vector registers and tiles, in numbers
LARGE = (*((width - 1, width, width + 1) for width in WIDTHS), (300, 301))
SIZES = ("batch", "time", "input_size", "hidden_size")
AXES = (*SIZES, "num_layers")
# what stands at the end of a sequence, or inside it: feature -> its value
ENDS: Mapping[str, dict[str, Any]] = {
    "full": {"lengths": "full", "mask": False},
    "mixed": {"lengths": "mixed", "mask": False},
    "ties": {"lengths": "mixed", "mask": False},
    "with zeros": {"lengths": "with zeros", "mask": False},
    "masked": {"lengths": "full", "mask": True},
}
LEVELS: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(SIZES, (ONE, FEW, *LARGE)),
    "hidden_size": (ONE, FEW, *((size,) for level in LARGE for size in level)),  # whose tails are seen the most
    "num_layers": (ONE, (2,), (3,), DEEP),
    "cell": FEATURES["cell"],
    "direction": DIRECTIONS,
    "layout": LAYOUTS,
    "dtype": DTYPES,
    "nonlinearity": FEATURES["nonlinearity"],
    "bias": (True, False),
    "h0": (True, False),
    "ends": tuple(ENDS),
    "clip": (None, 0.5),
    "memory": MEMORY,
}
NARROW = ("float16", "bfloat16")
SAME = ("cell", "direction", "layout", "dtype", "nonlinearity", "bias", "h0")  # levels that are a feature's values
# what a row may cost: numbers in x and in the outputs of its layers, weights, and products
MOST_NUMBERS, MOST_WEIGHTS, MOST_PRODUCTS = 20_000, 400_000, 2_000_000
# target -> the most steps that it is asked: Keras writes each into OpenVINO's graph, and the time to compile grows with
# their square, so that 10,000 would take hours
MOST_STEPS = {"keras/openvino cpu": 33}


def most_steps(target: Target, wanted: int) -> int:
    """So many steps, or the most that the target is asked."""
    return min(wanted, MOST_STEPS.get(target.label, wanted))


def features(row: Row) -> dict[str, Any]:
    """The features that a row, or a part of one, asks for."""
    asked = {name: row[name] for name in SAME if name in row} | ENDS.get(row.get("ends", ""), {})
    for name in ("batch", "time"):
        asked |= {name: "1" if row[name] == ONE else "more"} if name in row else {}
    if "num_layers" in row:
        asked["num_layers"] = str(*row["num_layers"]) if max(row["num_layers"]) < 3 else "3 to 10"
    if "kind" in row:  # of test_values
        asked["values"] = "not finite" if row["kind"].startswith("not finite") else "finite"
    return asked | ({"clip": row["clip"] is not None} if "clip" in row else {})


def large(row: Row) -> list[str]:
    """The axes of a row that are large."""
    return [name for name in SIZES if min(row.get(name, ONE)) > max(FEW)]


def affordable(row: Row) -> bool:
    """Whether a row, or the least that may be made of a part of one, costs no more than that."""
    batch, time, inputs, units, layers = (level[len(level) // 2] for level in (row.get(name, ONE) for name in AXES))
    tracks = 2 if row.get("direction") == "bidirectional" else 1
    stacks = layers * (layers + 1) / 2  # of the first layers, each a module of its own
    weights = tracks * units * (layers * (inputs + units) + (stacks - layers) * (tracks + 1) * units)
    numbers = batch * time * units * tracks * stacks
    within = numbers + batch * time * inputs <= MOST_NUMBERS and weights <= MOST_WEIGHTS
    return within and numbers * (inputs + units) <= MOST_PRODUCTS


def levels_of(cell: str) -> Mapping[str, tuple[Any, ...]]:
    """The levels of a cell's rows: gates have no relu, and a GRU has no clip."""
    gated = {} if cell == "elman" else {"nonlinearity": ("tanh",)}
    return {**LEVELS, "cell": (cell,), **gated, **({"clip": (None,)} if "gru" in cell else {})}


def allowed_of(target: Target) -> Allowed:
    """Which rows a target is asked: of what it offers; and small where a finding is explained by a planted fault,
    which takes long."""
    unknown = dict.fromkeys(FEATURES) | {"mode": target.kept}
    explained = [one for one in target.findings if one.what.fault is not None]

    def allowed(row: Row) -> bool:
        asked = features(row)
        several, one = row.get("batch", ONE) != ONE, row.get("layout") == "unbatched"
        if (one and several) or (row.get("ends") == "ties" and (one or (not several and "batch" in row))):
            return False
        deep = target.compiles and max(row.get("num_layers", ONE)) > 2  # each layer is compiled
        steps = max(row.get("time", ONE))
        if deep or steps > most_steps(target, steps) or not affordable(row) or target.capabilities.no_answer(asked):
            return False
        return not (large(row) and any(one.holds(unknown | asked) for one in explained))

    return allowed


def wanted(part: Row) -> bool:
    """Whether a run covers a tuple of levels: of one large size, and of any way in which arrays lie in memory beside
    small ones."""
    return len(large(part)) + ("memory" in part) < 2


def rows_of(target: Target, seed: int, strength: int = 2) -> list[Row]:
    """The rows of a target, cell by cell. Of one that compiles for each, the first ones, in which most pairs are new:
    of a cell with gates half as many."""
    found: list[Row] = []
    for cell in target.capabilities.supported("cell"):
        some = design(levels_of(cell), allowed_of(target), seed, strength, wanted)
        share = pool.SHARE if cell == "elman" else 2 * pool.SHARE
        found += some[: -(-len(some) // share)] if target.compiles else some
    return found


# by the target's label, the seed of its pool, and the strength
_known: dict[tuple[str, int, int], list[Row]] = {}


def rows(target: Target) -> list[Row]:
    """Those of this run, by the seed of its pool; of the profile nightly, every three levels together."""
    key = target.label, target.pool, 3 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 2
    if key not in _known:
        _known[key] = rows_of(target, *key[1:])
    return _known[key]


def case_of(row: Row, seed: int) -> Case:
    """The case of a row, its numbers from a seed."""
    draw = random.Random(seed)
    batch, time, inputs, units, layers = (draw.choice(row[name]) for name in AXES)
    spec = RNNSpec(
        inputs, units, layers, row["direction"], row["nonlinearity"], row["bias"], row["cell"], clip=row["clip"]
    )
    case = draw_case(spec, batch=batch, time=time, dtype=row["dtype"], seed=seed, h0=row["h0"],
                     lengths=lengths_of(row["ends"], batch, time, draw), mask=row["ends"] == "masked")  # fmt: skip
    return in_layout(case, row["layout"], row["memory"])


def lengths_of(ends: str, batch: int, time: int, draw: random.Random) -> tuple[int, ...] | None:
    """The lengths of a batch whose sequences end so, in no order; None where all take every step."""
    match ends:
        case "full" | "masked":
            return None
        case "mixed":
            lengths = [draw.randint(1, time) for _ in range(batch)]
            lengths[draw.randrange(batch)] = time
        case "ties":
            lengths = draw.choices((time, 1 + draw.randrange(time)), k=batch)
        case "with zeros":
            lengths = [draw.randint(0, time) for _ in range(batch)]
            lengths[draw.randrange(batch)] = 0
        case _:
            raise ValueError(f"ends: got {ends!r}, expected one of {', '.join(ENDS)}")
    return tuple(lengths)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_large_sizes_with_every_feature(target: Target, direction: str, dtype: str) -> None:
    asked = {"direction": direction, "dtype": dtype}
    numbered = [(seed, row) for seed, row in enumerate(rows(target), target.pool) if asked.items() <= row.items()]
    cases = [case_of(row, seed) for seed, row in numbered]
    if not cases or dtype in NARROW:  # of what is not offered, or not drawn; or of which a bound may say nothing
        cases.append(seeded.case_of(asked))
    target.check("sizes", *cases)


def equal_sizes(direction: str, layout: str) -> list[Case]:
    """With lengths, and without. No shape can tell one axis from another: only the values can."""
    spec = RNNSpec(4, 4, 2 if direction == "bidirectional" else 4, direction)
    case = draw_case(spec, batch=4, time=4, seed=4, h0=True, lengths=(4, 2, 3, 1))
    full = draw_case(spec, batch=4, time=4, seed=5, h0=True)
    return [in_layout(asked, layout, "contiguous") for asked in (case, full)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_all_sizes_equal(target: Target, direction: str, layout: str) -> None:
    target.check("all sizes equal", *equal_sizes(direction, layout))
