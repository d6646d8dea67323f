"""A cell is one file: two toys are computed, checked, written and judged, with no file of reference/ touched."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters import FEATURES
from adapters.running.trial import examine
from meta_tests.toy.adapter import Forgetting, Imprecise, Swapping, Toy
from reference import Case, CellParameters, RNNSpec, cells, forward, judge, judge_pair
from reference.layout import from_state_tuple

FOLDER = Path(__file__).parent
CASE = FOLDER / "case.json"
COLLECTED = cells.CELLS


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the toys' files lay in reference/cells."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "__path__", [*cells.__path__, str(FOLDER / "cells")])
        found = cells.collect()
    assert found.keys() == {*COLLECTED, "toy_pair", "toy_delay"}
    monkeypatch.setattr(cells, "CELLS", found)
    monkeypatch.setitem(FEATURES, "cell", (*FEATURES["cell"], "toy_pair", "toy_delay"))


def draw(spec: RNNSpec, dtype: str, batch: int, time: int, seed: int = 0, h0: bool = True, **more: Any) -> Case:
    uniform = np.random.default_rng(seed).uniform
    tracks = [
        CellParameters.of({name: uniform(-0.5, 0.5, shape).astype(dtype)
                           for name, shape in spec.shapes[min(track // spec.num_directions, 1)].items()})
        for track in range(spec.num_cells)
    ]  # fmt: skip
    sizes = [state.size for state in cells.cell_of(spec).states]
    states = [uniform(-1, 1, (spec.num_cells, batch, size)).astype(dtype) for size in sizes]
    x = uniform(-1, 1, (batch, time, spec.input_size)).astype(dtype)
    return Case(spec, tracks, x, from_state_tuple(states) if h0 else None, **more)


def stack(dtype: str = "float32", direction: str = "bidirectional", cell: str = "toy_pair", **more: Any) -> Case:
    return draw(RNNSpec(3, 4, 2, direction, cell=cell), dtype, 2, 6, **more)


# Where its file is not there.


def test_the_word_of_a_cell_that_is_not_there_raises() -> None:
    assert "toy_pair" not in cells.CELLS
    message = f"cell: got 'toy_pair', expected one of {', '.join(cells.CELLS)}"
    with pytest.raises(ValueError, match=f"^{message}$"):
        RNNSpec(3, 4, cell="toy_pair")
    with pytest.raises(ValueError, match=f"^{message}$"):
        Case.load(CASE)


def test_a_word_that_two_files_have_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the second one would be computed in place of the first."""
    (tmp_path / "toy_again.py").write_text("from reference.cells.elman import CELLS\n", encoding="utf-8")
    monkeypatch.setattr(cells, "__path__", [*cells.__path__, str(tmp_path)])
    with pytest.raises(ValueError, match=r"^cells: got 'elman' in toy_again.py again, expected each word once$"):
        cells.collect()


# The toy that is judged.


@pytest.mark.usefixtures("known")
def test_a_toy_is_judged_and_agrees() -> None:
    case = Case.load(CASE)
    assert (case.spec.cell, case.spec.output_size, case.spec.shapes[1]["w_second"]) == ("toy_pair", 16, (8, 8))
    trial = examine(Toy(), case)
    assert trial.verdict is not None
    assert (trial.outcome, trial.verdict.bound) == ("agrees", "step")
    assert trial.verdict.elements == 2 * 2 * 6 * 16 + 4 * 2 * 8
    assert 0 < trial.verdict.max_fraction < 1


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("fault", [Swapping, Forgetting, Imprecise])
def test_planted_a_fault_of_a_toy_is_seen(fault: type[Toy]) -> None:
    trial = examine(fault(), Case.load(CASE))
    assert trial.verdict is not None
    assert trial.outcome == "disagrees"
    assert trial.verdict.first is not None
    assert (trial.verdict.first.array, trial.verdict.first.layer) == ("output", 0)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_both_bounds_hold_for_a_toy(dtype: str, direction: str) -> None:
    case = stack(dtype, direction)
    adapter = Toy()
    output, h_n, prefixes, _ = adapter.run(adapter.build(case.spec, case.parameters), case.x, case.h0)
    for bound in ("step", "trajectory"):
        verdict = judge(case, output, h_n, prefixes, bound=bound)
        assert verdict.outcome == "agrees", verdict
    output[1, 2, 5] += 1e-3
    for bound in ("step", "trajectory"):
        assert judge(case, output, h_n, prefixes, bound=bound).outcome == "disagrees"


@pytest.mark.usefixtures("known")
def test_two_answers_of_a_toy_are_compared() -> None:
    case = stack()
    adapter = Toy()
    one, other = case.answer(), adapter.run(adapter.build(case.spec, case.parameters), case.x, case.h0)[:2]
    assert judge_pair(case, one, other).outcome == "agrees"
    other[1][3, 1, 7] += 1e-3
    assert judge_pair(case, one, other).outcome == "disagrees"


@pytest.mark.usefixtures("known")
def test_three_products_in_a_wide_accumulator_have_no_bound() -> None:
    case = stack("float16")
    with pytest.raises(NotImplementedError, match="affine: got 3 products and 2 biases, expected at most 2 of each"):
        judge(case, *case.answer(), prefixes=[case.prefix(1).answer().output], declared="float16_accumulate_float32")


@pytest.mark.usefixtures("known")
def test_a_toys_case_is_the_same_when_it_is_read_again() -> None:
    case = stack()
    again = Case.from_json(case.to_json())
    assert '"cell":"toy_pair"' in case.to_json()
    assert (again.id, again.spec) == (case.id, case.spec)
    assert np.array_equal(again.parameters[3].more["w_second"], case.parameters[3].more["w_second"])
    assert case.to_json() == Case.load(CASE).to_json()


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"w_second": np.zeros((8, 4), "float32")},
         "parameters[3] (layer 1, reverse) w_second: got (8, 4), expected (8, 8)"),
        ({"w_third": np.zeros(1, "float32")}, "parameters[3] (layer 1, reverse) w_third: got (1,), expected no array"),
        ({"w_second": [0]}, "w_second: got list, expected a NumPy array"),
    ],
)  # fmt: skip
def test_a_weight_that_does_not_fit_is_named(arrays: dict[str, Any], message: str) -> None:
    case = stack()
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        replace(case, parameters=[*case.parameters[:3], CellParameters.of(case.parameters[3].arrays() | arrays)])


@pytest.mark.usefixtures("known")
def test_a_case_has_only_the_weights_of_its_cell() -> None:
    text = stack().to_json()
    with pytest.raises(ValueError, match=r"parameters\[0\] fields: got .*'w_second'"):
        Case.from_json(text.replace('"cell":"toy_pair",', ""))
    with pytest.raises(ValueError, match=r"w_second: got 'no array', expected \(8, 8\)"):
        Case(stack().spec, [CellParameters(*list(t.arrays().values())[:4]) for t in stack().parameters], stack().x)


# The toy with a hidden state.


def as_elman(case: Case, track: int, x: np.ndarray, output: np.ndarray) -> tuple[Case, np.ndarray, np.ndarray]:
    """A track of the toy "toy_delay" as what it is beside its d, and both its states at the end.

    That is an Elman layer whose input is [x, d]: d is the state of two steps ago, and stands in the output.
    """
    ends = [x.shape[1]] * len(x) if case.lengths is None else case.lengths
    way = case.spec.directions[track % case.spec.num_directions]
    late, finals = np.zeros_like(output), []
    for row, end in enumerate(ends):
        h, d = (state[track, row] for state in case.h0)
        for t in range(end) if way == "forward" else reversed(range(end)):
            late[row, t] = d
            h, d = output[row, t], h
        finals.append((h, d))
    p = case.parameters[track]
    weights = CellParameters(np.concatenate([p.w_ih, p.more["w_late"]], axis=1), p.w_hh, p.b_ih, p.b_hh)
    spec = RNNSpec(x.shape[-1] + 4, 4, 1, way)
    h, d = (np.stack(state) for state in zip(*finals, strict=True))
    return Case(spec, [weights], np.concatenate([x, late], axis=-1), case.h0[0][[track]], case.lengths), h, d


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("lengths", [None, [6, 3], [0, 5]])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_a_hidden_state_is_carried_and_answered_at_the_end(direction: str, lengths: list[int] | None) -> None:
    case = stack("float64", direction, "toy_delay", lengths=lengths)
    answer = case.answer()
    x = case.x
    for layer, output in enumerate((case.prefix(1).answer().output, answer.output)):
        for side, half in enumerate(np.split(output, case.spec.num_directions, axis=-1)):
            track = layer * case.spec.num_directions + side
            elman, h, d = as_elman(case, track, x, half)
            verdict = judge(elman, half, h[None])
            assert (verdict.outcome, verdict.bound) == ("agrees", "step"), verdict
            assert np.array_equal(answer.h_n[0][track], h)
            assert np.array_equal(answer.h_n[1][track], d)
            forgotten = replace(elman, x=np.concatenate([x, np.zeros_like(half)], axis=-1))
            assert judge(forgotten, half, h[None]).outcome == "disagrees"
        x = output


@pytest.mark.usefixtures("known")
def test_a_tuple_of_states_has_the_layouts_axes() -> None:
    case = stack(cell="toy_delay")
    h, d = (state[:, :1] for state in case.h0)
    batched, alone = (h, d), (h[:, 0], d[:, 0])
    asked = (
        (case.x[:1], batched, None, "batch_first"),
        (case.x[:1].swapaxes(0, 1), batched, None, "time_first"),
        (case.x[0], alone, None, "unbatched"),
    )
    answers = [forward(case.spec, case.parameters, *one) for one in asked]
    shapes = [[state.shape for state in answer.h_n] for answer in answers]
    assert shapes == [[(4, 1, 4)] * 2, [(4, 1, 4)] * 2, [(4, 4)] * 2]
    for a, b in itertools.pairwise(answers):
        assert all(np.array_equal(np.ravel(one), np.ravel(other)) for one, other in zip(a.h_n, b.h_n, strict=True))
    masked = forward(case.spec, case.parameters, case.x, case.h0, mask=np.ones((2, 6), bool))
    assert all(np.array_equal(*pair) for pair in zip(masked.h_n, case.answer().h_n, strict=True))
    assert np.array_equal(case.prefix(1).h0[1], case.h0[1][:2])


@pytest.mark.usefixtures("known")
def test_a_case_with_several_states_is_the_same_when_it_is_read_again() -> None:
    case = stack(cell="toy_delay")
    again = Case.from_json(case.to_json())
    assert again.id == case.id
    assert all(np.array_equal(*pair) for pair in zip(again.h0, case.h0, strict=True))


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, d: h, "h0: got ndarray, expected a tuple of 2 arrays: h0, d0"),
        (lambda h, d: (h,), "h0: got 1 arrays, expected a tuple of 2 arrays: h0, d0"),
        (lambda h, d: (h, d[:3]), "d0 ('cell', 'batch', 'unit'): got (3, 2, 4), expected (4, 2, 4)"),
        (lambda h, d: (h, d.astype("float64")), "d0 dtype: got 'float64', expected float32, x's"),
        (lambda h, d: (h, None), "d0: got NoneType, expected a NumPy array"),
    ],
)
def test_a_state_that_does_not_fit_is_named(change: Any, message: str) -> None:
    case = stack(cell="toy_delay")
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        replace(case, h0=change(*case.h0))


@pytest.mark.usefixtures("known")
def test_a_hidden_state_is_judged_too() -> None:
    case = stack(cell="toy_delay")
    output, h_n = case.answer()
    lower = [case.prefix(1).answer().output]
    for bound in ("step", "trajectory"):
        assert judge(case, output, h_n, lower, bound=bound).outcome == "agrees"
    assert judge(case, output, h_n[0], lower).detail == "h_n: got ndarray, expected a tuple of 2 arrays: h_n, d_n"
    assert judge(case, output, (h_n[0], h_n[1][:1]), lower).detail.startswith("d_n has shape (1, 2, 4)")
    same = judge_pair(case, (output, h_n), (output.copy(), h_n))
    assert (same.outcome, same.elements) == ("agrees", output.size + 2 * h_n[0].size)
    h_n[1][3, 1, 2] += 1e-3
    verdict = judge(case, output, h_n, lower)
    assert verdict.outcome == "disagrees"
    assert verdict.first is not None
    assert (verdict.first.array, verdict.first.layer) == ("d_n", 1)


def test_the_toys_are_gone_when_a_test_ends() -> None:
    assert cells.CELLS is COLLECTED
