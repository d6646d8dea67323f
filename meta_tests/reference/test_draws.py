"""Drawn cases: what a cell carries is drawn, an unknown word is refused, and a layout or memory changes no value."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from harness.strategies import in_layout
from reference import LAYOUTS, RNNSpec, draws
from reference.draws import MEMORY, Draw, draw_case, in_memory
from reference.layout import each_state


def test_every_state_that_a_cell_carries_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair, as torch.nn.LSTM takes it, of two different arrays; the first is the one that an Elman cell gets."""
    only = draw_case(RNNSpec(3, 5, 2), batch=4, time=2, h0=True).h0
    monkeypatch.setattr(draws, "cell_of", lambda _spec: SimpleNamespace(states=[SimpleNamespace(size=5)] * 2))
    monkeypatch.setattr(draws, "Case", lambda *given: given)
    first, second = draw_case(RNNSpec(3, 5, 2), batch=4, time=2, h0=True)[3]
    assert np.array_equal(first, only)
    assert first.shape == second.shape
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("rounded", [False, True])
def test_several_arrays_are_those_that_are_drawn_in_turn(rounded: bool) -> None:
    shapes = [(3, 2), (0, 4), (), (5,)]
    one_by_one, at_once = Draw(7, rounded), Draw(7, rounded).several(shapes, 0.5)
    for shape, drawn in zip(shapes, at_once, strict=True):
        assert drawn.shape == shape
        assert np.array_equal(drawn, one_by_one.uniform(shape, 0.5))


def test_each_state_is_changed_alone_or_in_a_tuple() -> None:
    one, two = np.ones(2), np.zeros(2)
    assert each_state(np.sum, None) is None
    assert each_state(np.sum, one) == 2
    assert each_state(np.sum, (one, two)) == (2, 0)


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_and_a_place_in_memory_change_no_value(layout: str, memory: str) -> None:
    case = draw_case(RNNSpec(3, 5), batch=4, time=2, h0=True, lengths=(2, 1, 2, 0))
    asked = in_layout(case, layout, memory)
    sequence, h0 = np.asarray(case.x)[0], case.h0[:, 0]
    there = {"batch_first": (asked.x[0], asked.h0[:, 0]), "time_first": (asked.x[:, 0], asked.h0[:, 0]),
             "unbatched": (asked.x, asked.h0)}  # fmt: skip
    assert all(np.array_equal(*pair) for pair in zip(there[layout], (sequence, h0), strict=True))
    with pytest.raises(ValueError, match="layout: got 'feature_first', expected one of batch_first"):
        in_layout(case, "feature_first", memory)


def test_an_unknown_place_in_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="kind: got 'upside down', expected one of contiguous, every other"):
        in_memory(np.zeros(2), "upside down")
