"""Flax's gradients of cells that a user made."""

from __future__ import annotations

from typing import Any

import pytest

from adapters import NotOffered
from adapters.mapping import Native, native
from meta_tests.common.asked_gradients import differentiating
from meta_tests.common.gradients import gradient_case
from reference import judge_gradients, probe


@pytest.fixture
def nnx() -> Any:
    return differentiating("flax").framework.nnx


def test_a_linear_for_each_gate_hands_its_gradients_on(nnx: Any) -> None:
    from adapters.flax.mapping import OF_GATES

    adapter, case = differentiating("flax"), gradient_case("lstm", lengths=[5, 2, 1])
    probed = probe(case)
    cell = nnx.LSTMCell(probed.spec.input_size, 4, rngs=nnx.Rngs(0))
    for name, array in native(probed.spec, Native(OF_GATES, ("c", "h")), probed.parameters[0]).items():
        part, _, held = name.partition(".")
        setattr(getattr(cell, part), held, nnx.Param(array))
    found = adapter.gradients(nnx.RNN(cell), **probed.inputs, cotangents=probed.cotangents)
    assert judge_gradients(case, found).outcome == "agrees"


def test_of_a_bias_that_a_cell_lacks_no_gradient_is_asked(nnx: Any) -> None:
    adapter, case = differentiating("flax"), gradient_case("gru")
    layer = nnx.RNN(nnx.GRUCell(3, 4, rngs=nnx.Rngs(0)))
    with pytest.raises(NotOffered, match="a GRUCell has no bias of h"):
        adapter.gradients(layer, **case.inputs, cotangents=case.cotangents)
