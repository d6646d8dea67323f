"""A case: what it accepts, its round trip to JSON and to a file, and its id."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meta_tests.common.arguments import FOREIGN, GOOD, SPEC, X
from reference import DIRECTIONS, DTYPES, LAYOUTS, Case, CellParameters, RNNSpec, forward
from reference.draws import draw_case


def usual(**changes: Any) -> Case:
    return draw_case(SPEC, **{"batch": 2, "time": 5, "h0": True, "lengths": (5, 2)} | changes)


def bits(case: Case) -> list[tuple[str, str, tuple[int, ...], bytes]]:
    """Every array of a case as it is stored."""
    named = [(f"{i} {name}", a) for i, cell in enumerate(case.parameters) for name, a in cell.arrays().items()]
    named += [(name, a) for name, a in case.inputs.items() if isinstance(a, np.ndarray)]
    return [(name, a.dtype.name, a.shape, a.tobytes()) for name, a in named]


# What forward and Case accept. `match` names the field, what was given and what was expected.


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"parameters": [None] * 4}, TypeError, r"parameters\[0\]: got NoneType, expected CellParameters"),
        ({"parameters": [*GOOD[:3], (1, 2)]}, TypeError, r"parameters\[3\]: got tuple, expected CellParameters"),
        ({"parameters": "four"}, TypeError, r"parameters\[0\]: got str, expected CellParameters"),
        ({"parameters": None}, TypeError, "parameters: got NoneType, expected a sequence of CellParameters"),
        ({"parameters": 4}, TypeError, "parameters: got int, expected a sequence"),
        ({"parameters": (cell for cell in GOOD)}, TypeError, "parameters: got generator, expected a sequence"),
        ({"parameters": GOOD[0]}, TypeError, "parameters: got CellParameters, expected a sequence"),
        ({"parameters": []}, ValueError, "parameters: got '0 cells', expected 4"),
        ({"lengths": [True, 2]}, TypeError, r"lengths\[0\]: got True, expected an integer"),
        ({"lengths": [2, np.False_]}, TypeError, r"lengths\[1\]: got .*False.*, expected an integer"),
        ({"lengths": np.array([True, False])}, TypeError, "lengths: got dtype bool, expected integers"),
        ({"lengths": True}, TypeError, "lengths: got dtype bool, expected integers"),
        ({"lengths": np.array([5.0, 2.0])}, TypeError, "lengths: got dtype float64, expected integers"),
        ({"x": X[:0], "lengths": np.zeros(0)}, TypeError, "lengths: got dtype float64, expected integers"),
        ({"lengths": [[5], [2, 3]]}, TypeError, r"lengths: got \[\[5\], \[2, 3\]\], expected integers"),
        ({"lengths": [5, None]}, TypeError, "lengths: got dtype object, expected integers"),
        ({"lengths": [5, 2**70]}, TypeError, "lengths: got dtype object, expected integers"),
        ({"lengths": "52"}, TypeError, "lengths: got dtype str.*, expected integers"),
        ({"lengths": ["5", "2"]}, TypeError, "lengths: got dtype str.*, expected integers"),
        ({"lengths": {5: 2}}, TypeError, "lengths: got dict, expected an integer, integers or None"),
        ({"lengths": (n for n in (5, 2))}, TypeError, "lengths: got generator, expected an integer"),
        ({"lengths": np.ma.array([5, 2])}, TypeError, "lengths: got MaskedArray, expected"),
        ({"x": np.ma.array(X)}, TypeError, "x: got MaskedArray, expected a NumPy array"),
        ({"x": X[0].view(np.matrix), "layout": "unbatched"}, TypeError, "x: got matrix, expected a NumPy array"),
        ({"x": None}, TypeError, "x: got NoneType, expected a NumPy array"),
        ({"x": X.astype(FOREIGN)}, TypeError, "x: got dtype float32 of foreign byte order .*, expected native"),
        ({"h0": np.zeros((4, 2, 4), FOREIGN)}, TypeError, "h0: got dtype float32 of foreign byte order"),
        ({"h0": np.ma.zeros((4, 2, 4), "float32")}, TypeError, "h0: got MaskedArray, expected a NumPy array"),
        ({"layout": None}, ValueError, "layout: got None, expected one of batch_first"),
        ({"layout": ["batch_first"]}, ValueError, r"layout: got \['batch_first'\], expected one of"),
    ],
)  # fmt: skip
def test_a_bad_argument_is_named(change: dict, error: type[Exception], match: str) -> None:
    arguments = {"spec": SPEC, "parameters": GOOD, "x": X} | change
    for call in (forward, Case):
        with pytest.raises(error, match=match):
            call(**arguments)


@pytest.mark.parametrize("lengths", [[5, 2], (5, 2), range(4, 6), np.array([5, 2], "int8"), [np.int32(5), 2]])
def test_integers_of_every_kind_are_lengths(lengths: Any) -> None:
    case = Case(SPEC, GOOD, X, lengths=lengths)
    assert isinstance(case.lengths, np.ndarray)
    assert case.lengths.dtype == np.int64
    assert case.lengths.tolist() == list(lengths)


def test_cell_parameters_refuse_what_is_no_plain_native_array() -> None:
    w = np.zeros((2, 2), "float32")
    with pytest.raises(TypeError, match="w_hh: got MaskedArray"):
        CellParameters(w, np.ma.array(w))
    with pytest.raises(TypeError, match="w_ih: got dtype float32 of foreign byte order"):
        CellParameters(w.astype(FOREIGN), w)


def test_a_long_argument_is_cut_in_the_message() -> None:
    with pytest.raises(ValueError, match="lengths") as raised:
        Case(SPEC, GOOD, np.zeros((10_000, 5, 3), "float32"), lengths=[6] * 10_000)
    assert len(str(raised.value)) < 500


def test_the_parameters_are_the_cases_own() -> None:
    cells = list(GOOD)
    case = Case(SPEC, cells, X)
    cells.clear()
    assert case.parameters == tuple(GOOD)


def test_the_lengths_are_the_cases_own() -> None:
    lengths = np.array([5, 2])
    case = Case(SPEC, GOOD, X, lengths=lengths)
    lengths[0] = 0
    assert isinstance(case.lengths, np.ndarray)
    assert case.lengths.tolist() == [5, 2]
    with pytest.raises(ValueError, match="read-only"):
        case.lengths[0] = 1


# The round trip.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("h0", [True, False])
@pytest.mark.parametrize("lengths", [None, (5, 2)])
def test_the_round_trip_keeps_every_bit(tmp_path: Path, dtype: str, layout: str, bias: bool, h0: bool, lengths: Any):
    batch = 1 if layout == "unbatched" else 2
    lengths = lengths and lengths[:batch]
    case = draw_case(RNNSpec(3, 4, 2, "bidirectional", "relu", bias), batch=batch, time=5, dtype=dtype, h0=h0,
                     lengths=lengths, layout=layout)  # fmt: skip
    awkward = [np.nan, -0.0, np.inf, -np.inf, float(np.nextafter(case.x.dtype.type(0), case.x.dtype.type(1)))]
    for array in [case.x, *(a for cell in case.parameters for a in cell.arrays().values())]:
        array.flat[: min(array.size, 5)] = awkward[: min(array.size, 5)]
    case.save(tmp_path / "case.json")
    for again in (Case.from_json(case.to_json()), Case.load(tmp_path / "case.json")):
        assert (again.spec, again.layout, again.id) == (case.spec, case.layout, case.id)
        assert (again.h0 is None) == (not h0)
        assert (again.lengths is None) == (lengths is None)
        assert bits(again) == bits(case)
        assert again.x.flags.writeable


@pytest.mark.parametrize(("batch", "time"), [(0, 5), (2, 0), (0, 0)])
def test_the_round_trip_of_an_empty_case(batch: int, time: int) -> None:
    case = usual(batch=batch, time=time, lengths=[0] * batch)
    again = Case.from_json(case.to_json())
    assert bits(again) == bits(case)


# The id.

IDS = {
    "d399c2f166c1c909": lambda: usual(),
    "472404b7133491b5": lambda: draw_case(RNNSpec(2, 3, bias=False, nonlinearity="relu"), batch=1, time=4,
                                          dtype="bfloat16", layout="unbatched", seed=7),
}  # fmt: skip


@pytest.mark.parametrize("name", IDS)
def test_an_id_stays_as_it_is(name: str) -> None:
    """A change of the format would rename every case that was ever written down: it needs a new FORMAT."""
    assert IDS[name]().id == name


def changed_array(array: np.ndarray) -> np.ndarray:
    """One bit of its last element flipped."""
    changed = np.ascontiguousarray(array).copy()
    changed.view(np.uint8).reshape(-1)[-changed.itemsize] ^= 1
    return changed


def all_changes(case: Case) -> list[Case]:
    """Cases that differ from a square one in one thing each."""
    cells = list(case.parameters)
    changes = [
        replace(case, parameters=[*cells[:i], replace(cell, **{name: changed_array(a)}), *cells[i + 1 :]])
        for i, cell in enumerate(cells)
        for name, a in cell.arrays().items()
    ]
    assert case.h0 is not None
    changes += [replace(case, x=changed_array(case.x)), replace(case, h0=changed_array(case.h0))]
    changes += [replace(case, h0=None), replace(case, h0=np.zeros_like(case.h0))]
    changes += [replace(case, lengths=None), replace(case, lengths=[4, 4, 3, 4]), replace(case, layout="time_first")]
    changes += [replace(case, spec=replace(case.spec, nonlinearity="relu"))]
    changes += [replace(case, spec=replace(case.spec, direction="reverse"))]
    return changes


def test_the_id_differs_when_anything_changes() -> None:
    case = draw_case(RNNSpec(4, 4, 2), batch=4, time=4, h0=True, lengths=(4, 4, 4, 4))
    ids = [changed.id for changed in all_changes(case)]
    assert len(ids) == 8 + 9
    assert len({case.id, *ids}) == 1 + len(ids)


def test_the_id_tells_nan_and_zero_by_their_bits() -> None:
    plus, minus = (replace(usual(), x=np.full_like(X, zero)) for zero in (0.0, -0.0))
    assert plus.id != minus.id


@pytest.mark.parametrize("order", [
    np.asfortranarray,
    lambda a: np.flip(np.flip(a).copy()),
    lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
])  # fmt: skip
def test_the_id_is_independent_of_the_memory_layout(order: Callable[[np.ndarray], np.ndarray]) -> None:
    case = usual()
    cells = [CellParameters(**{n: order(a) for n, a in cell.arrays().items()}) for cell in case.parameters]
    assert case.h0 is not None
    assert Case(SPEC, cells, order(case.x), order(case.h0), np.array([5, 2], "int8")).id == case.id


# Files.


def test_an_interrupted_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "case.json"
    usual().save(path)

    def fails(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(KeyboardInterrupt):
            usual(seed=9).save(path)
    assert Case.load(path).id == usual().id
    assert list(tmp_path.iterdir()) == [path]
    usual(seed=9).save(path)
    assert Case.load(path).id == usual(seed=9).id


def test_a_save_writes_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same file system, so that the move is one step; hidden, and named after it."""
    beside: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: beside.extend(path.name for path in tmp_path.iterdir()))
    usual().save(tmp_path / "case.json")
    (name,) = beside
    assert name.startswith(".case.json.")


def test_a_file_that_is_not_text_is_no_case(tmp_path: Path) -> None:
    (tmp_path / "case.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="case: got a file that is not text"):
        Case.load(tmp_path / "case.json")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("h0", [True, False])
def test_a_prefix_is_the_same_question_to_the_first_layers(direction: str, h0: bool) -> None:
    case = draw_case(RNNSpec(3, 4, 3, direction), batch=2, time=5, h0=h0, lengths=(5, 2))
    cells = 2 * case.spec.num_directions
    prefix = case.prefix(2)
    assert prefix.spec == replace(case.spec, num_layers=2)
    assert prefix.inputs["lengths"].tolist() == [5, 2]
    assert np.array_equal(prefix.answer().h_n, case.answer().h_n[:cells])
    assert case.prefix(3).id == case.id
