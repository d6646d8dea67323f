"""A run asks every pair of levels that it may, and a run of the profile nightly every three: counted in its rows."""

from __future__ import annotations

import functools
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from adapters.contract import Capabilities, Compiles
from adapters.numpy.adapter import ReferenceAdapter
from evidence.record.ledger import Ledger
from harness.target import Target
from reference.cells import CELLS
from tests.properties import test_sizes, test_values
from tests.properties.cover import Row, design

HARD = {"a": (0, 1, 2), "b": (0, 1), "c": ("x", "y", "z")}


def target(seed: int = 0, adapter: Any = None, source: str = "reference") -> Target:
    adapter = adapter or ReferenceAdapter()
    return Target(adapter, "cpu", Ledger(), source, pool=seed)


class OnlyElman(ReferenceAdapter):
    capabilities = Capabilities(offers=(("mask", True), ("clip", True)))


def of_cell(wanted: Callable[[Row], bool], cell: str, part: Row) -> bool:
    return wanted({**part, "cell": cell})


def missing(
    levels: Mapping[str, Sequence[Any]], rows: Sequence[Row], strength: int, may: Callable[[Row], bool]
) -> Iterator[Row]:
    """Tuples of levels that may be, and stand in no row."""
    for axes in itertools.combinations(levels, strength):
        there = {tuple(row[axis] for axis in axes) for row in rows}
        asked = set(itertools.product(*(levels[axis] for axis in axes)))
        yield from (part for one in asked - there if may(part := dict(zip(axes, one, strict=True))))


@pytest.mark.parametrize("seed", range(3))
def test_every_pair_of_a_size_and_a_feature_is_asked_in_every_run(seed: int) -> None:
    of = target(seed)
    allowed, rows = test_sizes.allowed_of(of), test_sizes.rows_of(of, seed)
    assert all(allowed(row) and row.keys() == test_sizes.LEVELS.keys() for row in rows)
    wanted = lambda part: test_sizes.wanted(part) and allowed(part)  # noqa: E731
    for cell in CELLS:
        mine = [row for row in rows if row["cell"] == cell]
        asked = functools.partial(of_cell, wanted, cell)
        assert not [*missing(test_sizes.levels_of(cell), mine, 2, asked)]
        large = {(name, size) for row in mine for name in test_sizes.large(row) for size in row[name]}
        assert len(large) == 4 * 17
        assert len(mine) < 180


def test_every_three_are_asked_in_a_run_of_the_profile_nightly() -> None:
    of = target(5, OnlyElman())
    allowed, rows = test_sizes.allowed_of(of), test_sizes.rows_of(of, 5, strength=3)
    wanted = lambda part: test_sizes.wanted(part) and allowed(part)  # noqa: E731
    never = [*missing({**test_sizes.LEVELS, "cell": ("elman",)}, rows, 3, wanted)]
    # some have no row: each two of them may be together, and all three not
    assert all(not [*missing({name: (level,) for name, level in part.items()}, rows, 2, wanted)] for part in never)
    assert len(never) < 30


def test_other_seeds_draw_other_rows_and_one_seed_the_same() -> None:
    of = target()
    drawn = [test_sizes.rows_of(of, seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_target_that_compiles_each_step_is_asked_few_of_them_and_no_other_is() -> None:
    slow = type("Slow", (OnlyElman,), {"name": "keras", "backend": "openvino"})()
    longest = {
        of.label: max(max(row["time"]) for row in test_sizes.rows_of(of, 0))
        for of in (target(adapter=slow), target(adapter=OnlyElman()))
    }
    assert longest == {"keras/openvino cpu": 33, "reference cpu": 301}
    assert test_sizes.most_steps(target(adapter=slow), 20) == 20


def test_what_a_target_cannot_do_is_in_no_row() -> None:
    class Few(ReferenceAdapter):
        capabilities = type(ReferenceAdapter.capabilities)({("dtype", "float16"): "planted", ("h0", True): "planted"})

    rows = test_sizes.rows_of(target(adapter=Few()), 0)
    assert {row["dtype"] for row in rows} == {"float32", "float64", "bfloat16"}
    assert not any(row["h0"] or row["clip"] or row["ends"] == "masked" for row in rows)


def test_what_a_finding_explains_by_a_fault_is_asked_in_small_sizes_alone() -> None:
    """F-027 and F-028 of ONNX Runtime: h0 with sequences without steps."""

    class Named(ReferenceAdapter):
        name = "onnxruntime"

    of = target(adapter=Named(), source="onnxruntime")
    rows = [row for row in test_sizes.rows_of(of, 0) if row["h0"] and row["ends"] == "with zeros"]
    assert rows
    assert not any(test_sizes.large(row) for row in rows)


def test_a_target_that_compiles_is_asked_few_rows_and_every_kind_of_numbers_in_few_shapes() -> None:
    class Compiled(ReferenceAdapter):
        compiles = Compiles()

    of = target(adapter=Compiled())
    assert 20 < len(test_sizes.rows_of(of, 0)) < 50
    rows = test_values.rows_of(of)
    assert {row["kind"] for row in rows} == {*test_values.KINDS}
    shapes = {str({name: level for name, level in row.items() if name != "kind"}): row["cell"] for row in rows}
    assert {*Counter(shapes.values()).values()} <= {1, 2, 3}  # of each cell


@pytest.mark.parametrize("seed", range(2))
def test_every_kind_of_numbers_is_asked_with_each_level(seed: int) -> None:
    of = target(seed)
    rows = test_values.rows_of(of)
    needed = {kind: levels for kind, (_, levels) in test_values.KINDS.items()}

    def may(part: Row) -> bool:
        if "kind" not in part:
            return False
        levels = needed[part["kind"]]
        return not {*part} & {*levels} and test_sizes.allowed_of(of)(part | levels)

    assert not [*missing(test_values.SEVERAL, rows, 2, may)]


def test_a_design_leaves_out_what_is_forbidden_and_covers_the_rest() -> None:
    def allowed(row: Row) -> bool:
        return not (row.get("a") == 0 and row.get("b") == 1) and not (row.get("b") == 1 and row.get("c") == "z")

    for seed in range(5):
        rows = design(HARD, allowed, seed)
        assert all(map(allowed, rows))
        assert not [*missing(HARD, rows, 2, allowed)]
        assert len(rows) <= 12


def test_a_pair_that_no_row_can_have_is_given_up() -> None:
    rows = design(HARD, lambda row: not (row.get("a") == 0 and "c" in row), 0)
    assert rows
    assert not any(row["a"] == 0 for row in rows)


@pytest.mark.parametrize("ends", test_sizes.ENDS)
def test_lengths_are_what_they_are_called(ends: str) -> None:
    for seed in range(20):
        lengths = test_sizes.lengths_of(ends, 6, 9, random.Random(seed))
        assert (lengths is None) == (ends in ("full", "masked"))
        assert lengths is None or (0 in lengths) == (ends == "with zeros")
        assert ends != "ties" or len({*(lengths or ())}) <= 2
    with pytest.raises(ValueError, match="ends: got 'late'"):
        test_sizes.lengths_of("late", 1, 1, random.Random(0))
