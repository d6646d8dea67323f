"""Equinox' own conventions, each by its plain name: what to know when weights or answers cross a border."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adapters import Adapter, NotOffered
from reference import RNNSpec, judge
from reference.draws import draw_case
from tests.frameworks import array_of, framework_adapter


@pytest.fixture
def adapter() -> Adapter:
    return framework_adapter("equinox")


def test_a_gru_has_one_bias_and_one_that_the_reset_gate_multiplies(adapter: Adapter):
    case = draw_case(RNNSpec(3, 5, cell="gru"), batch=2, time=4)
    (cell,) = adapter.build(case.spec, case.parameters).cells
    track = case.parameters[0]
    assert track.b_ih is not None
    assert (cell.bias.shape, cell.bias_n.shape) == ((15,), (5,))
    assert np.array_equal(array_of(cell.bias)[:10], (track.b_ih + track.b_hh)[:10])
    assert np.array_equal(array_of(cell.bias)[10:], track.b_ih[10:])
    assert np.array_equal(array_of(cell.bias_n), track.b_hh[10:])


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_rows_are_units_in_torchs_order(adapter: Any, name: str):
    """A cell takes one step of one sequence; the state of an LSTMCell is the pair (h, c)."""
    case = draw_case(RNNSpec(3, 5, cell=name), batch=1, time=1)
    (cell,) = adapter.build(case.spec, case.parameters).cells
    assert cell.weight_ih.shape == (len(case.parameters[0].w_ih), 3)
    zero = np.zeros(5, "float32")
    state = cell(case.x[0, 0], (zero, zero) if name == "lstm" else zero)
    h, *more = (array_of(one) for one in (state if name == "lstm" else (state,)))
    verdict = judge(case, h[None, None], (h[None, None], more[0][None, None]) if more else h[None, None])
    assert verdict.outcome == "agrees", verdict


def test_there_is_no_elman_cell(adapter: Any):
    assert not hasattr(adapter.framework.nn, "RNNCell")
    case = draw_case(RNNSpec(3, 5), batch=2, time=4)
    with pytest.raises(NotOffered, match="cell elman: Equinox has no Elman cell"):
        adapter.build(case.spec, case.parameters)
