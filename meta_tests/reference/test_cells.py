"""Every cell's equations in exact numbers, and the states and weights that it declares."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meta_tests.common.exact import Exact, fractions, functions
from meta_tests.common.gradients import SPECS, states_after
from reference import RNNSpec
from reference.cells import State, Weight, cell_of, collect, present, sums_of
from reference.cells.lstm import PEEPHOLE, PROJECTION


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", SPECS)
def test_a_step_is_what_the_equations_say(name: str, bias: bool) -> None:
    spec = RNNSpec(2, 3, bias=bias, **SPECS[name])
    cell, operations = cell_of(spec), Exact()
    weights = {name: fractions(shape, seed) for seed, (name, shape) in enumerate(spec.shapes[0].items())}
    x, states = fractions((2, 2), 11), [fractions((2, state.size), 12 + k) for k, state in enumerate(cell.states)]
    turned = operations.weights(weights)
    found = cell.step(operations, turned, cell.project(operations, turned, x), tuple(states))
    expected = states_after(spec, weights, x, states, functions(spec.clip))
    assert [one.tolist() for one in found] == [one.tolist() for one in expected]


SUMS = (("w_ih", ("units", "features")), ("w_hh", ("units", "states")), ("b_ih", ("units",)), ("b_hh", ("units",)))
GATES = {"elman": ("",), "gru": ("r", "z", "n"), "gru_reset_before": ("r", "z", "n"), "lstm": ("i", "f", "g", "o")}


@pytest.mark.parametrize("cell", GATES)
def test_a_cell_declares_its_states_and_weights(cell: str) -> None:
    spec = RNNSpec(2, 3, cell=cell)
    made, expected = cell_of(spec), tuple(Weight(name, axes, GATES[cell]) for name, axes in SUMS)
    assert made.weights(spec) == expected
    assert made.weights(replace(spec, bias=False)) == expected[:2]
    assert made.states == (State("h", 3), State("c", 3, reported=False))[: 2 if cell == "lstm" else 1]
    assert made.states[0].reported
    assert made.signed == (cell == "elman")
    assert sums_of(spec) == tuple(Weight(name, axes) for name, axes in SUMS)


def test_an_lstm_declares_what_its_variants_have() -> None:
    projected, peeping = RNNSpec(2, 3, cell="lstm", projection_size=2), RNNSpec(2, 3, cell="lstm", peepholes=True)
    assert cell_of(projected).states == (State("h", 2), State("c", 3, reported=False))
    assert cell_of(projected).weights(projected)[4:] == (PROJECTION,)
    assert cell_of(peeping).weights(peeping)[4:] == (PEEPHOLE,)
    both = replace(projected, peepholes=True)
    assert cell_of(both).weights(both)[4:] == (PEEPHOLE, PROJECTION)
    smallest = RNNSpec(2, 3, cell="lstm", projection_size=1)
    assert cell_of(smallest).weights(smallest)[4:] == (PROJECTION,)
    sizes = {"units": 5, "states": 2, "features": 7}
    assert (PEEPHOLE.shape(sizes), PROJECTION.shape(sizes)) == ((15,), (2, 5))
    assert Weight("w", ("states", "features", "units"), ("a", "b")).shape(sizes) == (4, 7, 5)


def test_the_weights_that_are_there_come_in_the_order_of_their_names() -> None:
    assert present({"a": 1, "b": 2, "c": 3}, "c", "d", "a") == [3, 1]
    assert present({"a": 1}, "b") == []


def test_every_file_of_cells_is_collected() -> None:
    found = collect()
    assert sorted(found) == ["elman", "gru", "gru_reset_before", "lstm"]
    assert {word: type(cell_of(RNNSpec(2, 3, cell=word))) for word in found} == found
