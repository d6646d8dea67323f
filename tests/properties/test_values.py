"""Numbers that a drawn case hardly has: from end to end of the dtype, zeros of either sign, subnormal numbers in one
operand alone, sequences that stand still or alternate, and NaN and infinity beyond the first vector of each axis.

Each kind is asked with every value of each feature, in sizes of a vector and more, by a covering design.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from evidence.record import seeded
from harness.strategies import in_layout
from harness.target import Target
from reference import Case
from reference.bounds.arithmetic import arithmetic
from reference.layout import state_tuple

from .cover import Row, design
from .test_sizes import FEW, LEVELS, ONE, SIZES, allowed_of, case_of

# by how many powers of two an operand is enlarged, and its partner made small: some, or as many as leave what may be
# flushed to zero (A4 of docs/error-bounds.md) far below the sum
SOME = {"float16": (1, 2, 3), **dict.fromkeys(("bfloat16", "float32", "float64"), (5, 9, 21))}
MANY = {"float16": (3,), "bfloat16": (90,), "float32": (90,), "float64": (900,)}
Change = Callable[[Case, random.Random], None]  # of a case that is batch first, in place
Powers = Mapping[str, tuple[int, ...]]


def scaled_x(powers: Powers, sign: int) -> Change:
    """Large x and small weights, or small and large ones."""

    def change(case: Case, draw: random.Random) -> None:
        scale = 2.0 ** (sign * draw.choice(powers[case.dtype]))
        case.x[...] *= scale
        for track in case.parameters[: case.spec.num_directions]:
            track.w_ih[...] /= scale

    return change


def largest_x(case: Case, draw: random.Random) -> None:
    """Next to the largest number, each unit's weights of one sign, so that no sum comes near zero."""
    case.x[...] = np.abs(case.x) * (arithmetic(case.dtype).largest / 2**5)
    for track in case.parameters[: case.spec.num_directions]:
        sides = np.where(np.arange(len(track.w_ih)) % 2, 1, -1)[:, None].astype(case.x.dtype)
        track.w_ih[...] = np.abs(track.w_ih) * sides / 2.0 ** {"float16": 4, "float64": 960}.get(case.dtype, 90)


def large_h0(powers: Powers) -> Change:
    def change(case: Case, draw: random.Random) -> None:
        scale = 2.0 ** draw.choice(powers[case.dtype])
        for state in states_of(case):
            state *= scale
        for track in case.parameters:
            track.w_hh[...] /= scale

    return change


def unequal_units(powers: Powers) -> Change:
    """Every other unit is small, always, and its weights make up for it: w_hh has very large and very small ones."""

    def change(case: Case, draw: random.Random) -> None:
        small = 2.0 ** -draw.choice(powers[case.dtype])
        scale = np.where(np.arange(case.spec.hidden_size) % 2, small, 1.0).astype(case.x.dtype)
        for track in case.parameters:
            track.w_hh[...] *= scale[:, None] / scale
            for array in track.arrays().values():
                array[...] *= 1 if array is track.w_hh else scale[:, None] if array.ndim == 2 else scale
        for state in states_of(case):
            state *= scale

    return change


def opposite_biases(case: Case, draw: random.Random) -> None:
    for track in case.parameters:
        offset = 2.0 ** draw.choice((1,) if case.x.dtype.itemsize == 2 else (2, 5, 9))
        track.b_ih[...] += offset
        track.b_hh[...] -= offset


def saturated(sign: float) -> Change:
    def change(case: Case, draw: random.Random) -> None:
        for track in case.parameters:
            track.b_ih[...] += sign * 24

    return change


def zero_steps(case: Case, draw: random.Random) -> None:
    steps = range(case.x.shape[1])
    case.x[:, draw.sample(steps, 1 + len(steps) // 3)] = 0


def zero_rows(case: Case, draw: random.Random) -> None:
    case.x[draw.randrange(len(case.x))] = 0


def zero_h0(axis: int) -> Change:
    """In one track, or in one row of all."""

    def change(case: Case, draw: random.Random) -> None:
        for state in states_of(case):
            state[(slice(None),) * axis + (draw.randrange(state.shape[axis]),)] = 0

    return change


def zeros(case: Case, draw: random.Random) -> None:
    """A third of all numbers, with either sign."""
    for array in (case.x, *states_of(case), *weights(case)):
        places = draw.sample(range(array.size), array.size // 3)
        array.flat[places] = [draw.choice((0.0, -0.0)) for _ in places]


def negative_zero_x(case: Case, draw: random.Random) -> None:
    case.x[...] = -0.0


def states_of(case: Case) -> tuple[np.ndarray, ...]:
    """The arrays of h0; none where it is zero."""
    return () if case.h0 is None else state_tuple(case.h0)


def weights(case: Case) -> list[np.ndarray]:
    return [array for track in case.parameters for array in track.arrays().values()]


def subnormal(name: str) -> Change:
    """Of x, of h0, or of a weight, in every track."""

    def change(case: Case, draw: random.Random) -> None:
        given = {"x": [case.x], "h0": states_of(case)}
        for array in given.get(name) or [track.arrays()[name] for track in case.parameters]:
            array[...] *= arithmetic(case.dtype).smallest_normal

    return change


def recurrence_alone(case: Case, draw: random.Random) -> None:
    """Nothing but h0 is there, and it is subnormal."""
    case.x[...] = 0
    subnormal("h0")(case, draw)
    for array in (array for array in weights(case) if array.ndim == 1):
        array[...] = 0


def constant(case: Case, draw: random.Random) -> None:
    case.x[...] = case.x[:, :1]


def alternating(case: Case, draw: random.Random) -> None:
    case.x[...] = case.x[:, :1]
    case.x[:, 1::2] *= -1


def equal_rows(case: Case, draw: random.Random) -> None:
    case.x[...] = case.x[:1]


def one_step(case: Case, draw: random.Random) -> None:
    """All others are zero."""
    case.x[:, np.arange(case.x.shape[1]) != draw.randrange(case.x.shape[1])] = 0


def counted(case: Case) -> np.ndarray:
    """Which steps of a case, batch first, count: (batch, time)."""
    batch, time = case.x.shape[:2]
    if case.mask is not None:
        return case.mask
    return np.arange(time) < (np.full(batch, time) if case.lengths is None else np.asarray(case.lengths))[:, None]


def not_finite(name: str) -> Change:
    """One number of x or of h0: of the last feature or unit, late in the other axes, where steps count."""

    def change(case: Case, draw: random.Random) -> None:
        array = case.x if name == "x" else draw.choice(states_of(case))
        place = tuple(draw.randrange(size // 2, size) for size in array.shape[:-1])
        if name == "x" and len(steps := np.argwhere(counted(case))):
            place = tuple(steps[draw.randrange(len(steps) // 2, len(steps))])
        array[(*place, -1)] = draw.choice((np.nan, np.inf, -np.inf))

    return change


def not_finite_padding(case: Case, draw: random.Random) -> None:
    for row, length in enumerate(np.asarray(case.lengths)):
        case.x[row, length:] = draw.choice((np.nan, np.inf, -np.inf))


H0, BIAS, ONE_LAYER = {"h0": True}, {"bias": True}, {"num_layers": ONE}
TANH_AND_BIAS = {**BIAS, "nonlinearity": "tanh"}  # relu has no end to come to
# kind -> what it changes, and the levels of a row that it needs
KINDS: Mapping[str, tuple[Change, Row]] = {
    "large x": (scaled_x(SOME, 1), {}),
    "huge x": (scaled_x(MANY, 1), {}),
    "small x": (scaled_x(SOME, -1), {}),
    "tiny x": (scaled_x(MANY, -1), {}),
    "largest x": (largest_x, ONE_LAYER),
    "large h0": (large_h0(SOME), H0),
    "huge h0": (large_h0(MANY), H0),
    "small units": (unequal_units(SOME), {**ONE_LAYER, "cell": "elman"}),  # gates would be other ones
    "tiny units": (unequal_units(MANY), {**ONE_LAYER, "cell": "elman"}),
    "opposite biases": (opposite_biases, BIAS),
    "saturated above": (saturated(1.0), TANH_AND_BIAS),
    "saturated below": (saturated(-1.0), TANH_AND_BIAS),
    "zero steps": (zero_steps, {}),
    "zero rows": (zero_rows, {}),
    "zero h0 of a track": (zero_h0(0), {**H0, "direction": "bidirectional"}),
    "zero h0 of a row": (zero_h0(1), H0),
    "zeros": (zeros, {}),
    "negative zero x": (negative_zero_x, {}),
    **{f"subnormal {name}": (subnormal(name), {}) for name in ("x", "w_ih", "w_hh")},
    "subnormal h0": (subnormal("h0"), H0),
    "recurrence alone": (recurrence_alone, H0),
    "constant": (constant, {}),
    "alternating": (alternating, {}),
    "equal rows": (equal_rows, {}),
    "one step": (one_step, {}),
    "not finite x": (not_finite("x"), {}),
    "not finite h0": (not_finite("h0"), H0),
    "not finite padding": (not_finite_padding, {"ends": "mixed"}),
}
SEVERAL: Mapping[str, tuple[Any, ...]] = {
    **LEVELS,
    **dict.fromkeys(SIZES, (FEW, (17,), (33,))),
    "batch": (ONE, FEW, (17,), (33,)),
    "num_layers": (ONE, (2,)),
    "clip": (None,),
    "cell": ("elman",),
    "kind": tuple(KINDS),
}


def rows_of(target: Target) -> list[Row]:
    """Rows in which every kind stands with each level, and with each cell that has gates; of a target that compiles for
    each, with those of one row of each cell."""
    may, gated = allowed_of(target), [cell for cell in target.capabilities.supported("cell") if cell != "elman"]

    def allowed(row: Row) -> bool:
        needed = KINDS[row["kind"]][1] if "kind" in row else {}
        return all(row.get(name, level) == level for name, level in needed.items()) and may(row)

    if target.compiles is None:
        elman = design(SEVERAL, allowed, target.pool, wanted=lambda part: "kind" in part)
        if not gated:
            return elman
        several = {**SEVERAL, "cell": tuple(gated), "nonlinearity": ("tanh",)}
        return elman + design(several, allowed, target.pool, wanted=lambda part: part.keys() == {"cell", "kind"})
    # a dtype in which some frameworks compute another one would leave nothing to say of numbers that this one lacks
    some = {name: levels for name, levels in SEVERAL.items() if name != "kind"} | {"dtype": ("float32",)}
    some["cell"] = target.capabilities.supported("cell")[:1]
    if "tanh" in target.capabilities.supported("nonlinearity"):  # which some kinds need
        some["nonlinearity"] = ("tanh",)
    row = design(some, may, target.pool, wanted=lambda part: part == {**part, **H0, **BIAS})[0]
    rows = [row, *({**row, "cell": cell, "nonlinearity": "tanh"} for cell in gated if cell != row["cell"])]
    kinds = ({**row, **{"kind": kind}, **needed} for row in rows for kind, (_, needed) in KINDS.items()
             if needed.get("cell", row["cell"]) == row["cell"])  # fmt: skip
    return [row for row in kinds if allowed(row)]


# by the target's label, and the seed of its pool
_known: dict[tuple[str, int], list[Row]] = {}


def changed_case(row: Row, seed: int) -> Case:
    """The case of a row, with its kind of numbers."""
    case = case_of({**row, "layout": "batch_first", "memory": "contiguous"}, seed)
    KINDS[row["kind"]][0](case, random.Random(seed))
    return in_layout(case, row["layout"], row["memory"])


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_every_kind(target: Target, kind: str) -> None:
    key = target.label, target.pool
    if key not in _known:
        _known[key] = rows_of(target)
    cases = [changed_case(row, seed) for seed, row in enumerate(_known[key], target.pool) if row["kind"] == kind]
    if kind == "huge h0" and "elman" not in target.capabilities.supported("cell"):
        cases = []  # of cells with gates alone the bound says nothing of it
    # of what is not offered, where there is none
    target.check("values", *(cases or [seeded.case_of({**KINDS[kind][1], "num_layers": "1"})]))
