"""What may be added later changes nothing that is there; and a word that nobody computes fails everywhere at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import adapters
from adapters import NotOffered
from evidence.record import corpus
from meta_tests.common.frameworks import framework_adapter
from reference import Case, CellParameters, RNNSpec, cells, forward, judge, layout
from reference import spec as specs
from reference.bounds.arithmetic import arithmetic
from reference.calculus.numbers import activation
from reference.cells.elman import Elman
from reference.faults.step import NumPyKernel
from reference.judging import case as cases
from reference.judging.primitives import judge_activation


@dataclass(frozen=True)
class Wider(RNNSpec):
    """A spec with a field that 0.1.0 has not."""

    kind: str = "first"


def test_a_new_field_at_its_default_changes_no_id_and_no_old_case(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {case.id: case.to_json() for case in corpus.cases().values()}
    monkeypatch.setattr(cases, "RNNSpec", Wider)
    for identity, text in texts.items():
        read = Case.from_json(text)
        assert type(read.spec) is Wider
        assert (read.id, read.to_json()) == (identity, text)


def test_a_new_field_is_kept_where_it_says_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "RNNSpec", Wider)
    plain = next(iter(corpus.cases().values()))
    given = plain.spec.to_dict()
    wider = replace(plain, spec=Wider(**given, kind="another"))
    assert wider.id != plain.id
    assert Case.from_json(wider.to_json()).spec == wider.spec
    assert wider.spec.to_dict() == given | {"kind": "another"}
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"spec fields: got .*'kind'"):
        Case.from_json(wider.to_json())


def sine() -> Case:
    """A case whose activation is a word that is allowed, and that nobody computes."""
    draw = np.random.default_rng(0).standard_normal
    weights = CellParameters(draw((3, 2)), draw((3, 3)), draw(3), draw(3))
    return Case(RNNSpec(2, 3, nonlinearity="sine"), [weights], draw((2, 4, 2)))


READERS: dict[str, Callable[[Case], Any]] = {
    "forward": lambda case: forward(case.spec, case.parameters, case.x),
    "step": lambda case: judge(case, np.zeros((2, 4, 3)), np.zeros((1, 2, 3))),
    "trajectory": lambda case: judge(case, np.zeros((2, 4, 3)), np.zeros((1, 2, 3)), bound="trajectory"),
    "activation": lambda case: activation(case.x, "sine"),
    "error": lambda case: arithmetic("float64").activation_error("sine"),
    "floor": lambda case: arithmetic("float64").activation_floor("sine"),
    "kernel": lambda case: NumPyKernel().activation(case.x, "sine"),
    "primitive": lambda case: judge_activation(case.x, "sine", case.x),
}


@pytest.fixture
def sine_is_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference.spec.NONLINEARITIES", ("tanh", "relu", "sine"))


@pytest.mark.usefixtures("sine_is_a_word")
@pytest.mark.parametrize("reader", READERS)
def test_a_word_that_nobody_computes_raises_wherever_it_is_read(reader: str) -> None:
    with pytest.raises((KeyError, ValueError), match="sine"):
        READERS[reader](sine())


@pytest.mark.usefixtures("sine_is_a_word")
@pytest.mark.parametrize("name", adapters.KNOWN)
def test_a_word_that_nobody_computes_is_answered_by_no_adapter(name: str) -> None:
    adapter, case = framework_adapter(name), sine()
    with pytest.raises((KeyError, ValueError, AttributeError), match=r"(?i)sine|activation|nonlinearity"):
        adapter.run(adapter.build(case.spec, case.parameters), case.x)
    if write := getattr(adapter, "script", None):
        with pytest.raises((KeyError, ValueError), match="sine"):
            write(case)


# Words of a direction and of a layout.


def test_a_direction_that_no_track_runs_in_is_not_computed_as_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one whose tracks nobody knows: a direction is what spec.TRACKS says of it."""
    monkeypatch.setattr(specs, "DIRECTIONS", (*specs.DIRECTIONS, "inward"))
    draw = np.random.default_rng(0).standard_normal
    weights = [CellParameters(draw((3, 2)), draw((3, 3)), draw(3), draw(3))]
    with pytest.raises(KeyError, match="inward"):
        forward(RNNSpec(2, 3, direction="inward"), weights, draw((1, 4, 2)))
    monkeypatch.setitem(specs.TRACKS, "inward", ("inward",))
    with pytest.raises(ValueError, match="direction: got 'inward'"):
        forward(RNNSpec(2, 3, direction="inward"), weights, draw((1, 4, 2)))


@pytest.mark.parametrize(
    "move",
    [
        layout.sequence_to_time_first,
        layout.sequence_from_time_first,
        layout.state_to_batched,
        layout.state_from_batched,
    ],
)
def test_a_layout_that_nobody_knows_is_not_read_as_another(move: Callable[[np.ndarray, str], np.ndarray]) -> None:
    with pytest.raises(KeyError, match="features_first"):
        move(np.zeros((2, 3, 4)), "features_first")


# A cell that is added.


class Sines(Elman):
    """A cell that needs an operation which no reader has."""

    def step(self, operations: Any, weights: Any, projected: Any, states: tuple[Any, ...]) -> tuple[Any, ...]:
        return (operations.sine(operations.affine([(weights["w_hh"], states[0])], (), projected)),)


def elman(cell: str = "elman") -> Case:
    draw = np.random.default_rng(0).standard_normal
    weights = CellParameters(draw((3, 2)), draw((3, 3)), draw(3), draw(3))
    return Case(RNNSpec(2, 3, cell=cell), [weights], draw((2, 4, 2)))


@pytest.fixture
def cells_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell whose operation nobody has, and Elman's by another name, which no adapter has heard of."""
    monkeypatch.setattr(cells, "CELLS", {**cells.CELLS, "sines": Sines, "twin": Elman})


def test_a_cell_that_nobody_knows_is_no_spec_and_no_case() -> None:
    with pytest.raises(ValueError, match=r"^cell: got 'twin', expected one of elman, gru, gru_reset_before, lstm$"):
        RNNSpec(2, 3, cell="twin")
    text = elman().to_json().replace('"bias":true', '"bias":true,"cell":"twin"')
    with pytest.raises(ValueError, match=r"^cell: got 'twin', expected one of elman, gru, gru_reset_before, lstm$"):
        Case.from_json(text)


@pytest.mark.usefixtures("cells_are_added")
def test_a_case_has_its_cell_in_its_id() -> None:
    plain, twin = elman(), elman("twin")
    assert "cell" not in plain.spec.to_dict()
    assert plain.id != twin.id == Case.from_json(twin.to_json()).id
    assert all(np.array_equal(*pair) for pair in zip(plain.answer(), twin.answer(), strict=True))


@pytest.mark.usefixtures("cells_are_added")
@pytest.mark.parametrize("reader", ["forward", "step", "trajectory"])
def test_an_operation_that_nobody_has_raises_wherever_a_cell_is_read(reader: str) -> None:
    with pytest.raises(AttributeError, match="sine"):
        READERS[reader](elman("sines"))


@pytest.mark.usefixtures("cells_are_added")
@pytest.mark.parametrize("name", adapters.KNOWN)
def test_a_cell_that_an_adapter_has_not_heard_of_is_not_computed_as_another(name: str) -> None:
    adapter, case = framework_adapter(name), elman("twin")
    with pytest.raises(NotOffered, match="cell twin"):
        adapter.build(case.spec, case.parameters)
    if write := getattr(adapter, "script", None):
        with pytest.raises(ValueError, match="cell: got 'twin', expected one of elman"):
            write(case)
