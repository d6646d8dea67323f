"""What describes a layer, RNNSpec and CellParameters: what they accept and hold, and what they say of the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from meta_tests.common.arguments import FOREIGN, SPEC, X
from reference import CellParameters, RNNSpec
from reference.arguments import cell_shapes


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_size", 0), ("hidden_size", -1), ("num_layers", 0), ("hidden_size", 2.0), ("num_layers", True),
        ("direction", "backward"), ("nonlinearity", "sigmoid"), ("nonlinearity", None), ("bias", 1),
    ],
)  # fmt: skip
def test_a_bad_spec_names_the_field(field: str, value: object) -> None:
    with pytest.raises((TypeError, ValueError), match=f"{field}: got {value!r}"):
        RNNSpec(**{"input_size": 3, "hidden_size": 4, field: value})


def test_bad_cell_parameters_are_named() -> None:
    w, b = np.zeros((2, 2)), np.zeros(2)
    for arguments, words in (
        ((w, b), "w_hh rank: got 1"),
        ((w, w, b), "b_ih, b_hh: got 'b_ih given, b_hh absent', expected both or neither"),
        ((w, w.astype("float32")), "expected one dtype"),
        ((w.tolist(), w), "w_ih: got list"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            CellParameters(*arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RNNSpec(0, 4), "input_size: got 0, expected an integer of at least 1"),
        (lambda: RNNSpec(3, 4, True), "num_layers: got True, expected an integer of at least 1"),
        (lambda: RNNSpec(3, "4"), "hidden_size: got '4', expected an integer of at least 1"),
        (lambda: RNNSpec(3, 4, bias=1), "bias: got 1, expected True or False"),
        (lambda: RNNSpec(3, 4, direction="back"),
         "direction: got 'back', expected one of forward, reverse, bidirectional"),
        (lambda: RNNSpec(3, 4, nonlinearity=None), "nonlinearity: got None, expected one of tanh, relu"),
        (lambda: CellParameters(X[0, :2, :2], X[0, 0, :2]), "w_hh rank: got 1, expected 2 axes (its shape is (2,))"),
        (lambda: CellParameters(X, X[0]), "w_ih rank: got 3, expected 2 axes (its shape is (2, 5, 3))"),
        (lambda: CellParameters(X[0], X[0], X[0], X[0, 0]), "b_ih rank: got 2, expected 1 axes (its shape is (5, 3))"),
        (lambda: CellParameters(X[0], X[0], X[0, 0], X[0]), "b_hh rank: got 2, expected 1 axes (its shape is (5, 3))"),
        (lambda: CellParameters(X[0], X[0], None, X[0, 0]),
         "b_ih, b_hh: got 'b_ih absent, b_hh given', expected both or neither"),
        (lambda: CellParameters(X[0], X[0].astype("float64")),
         "parameters: got {'w_hh': 'float64', 'w_ih': 'float32'}, expected one dtype"),
        (lambda: CellParameters(X[0].astype(FOREIGN), X[0]),
         f"w_ih: got dtype float32 of foreign byte order ({FOREIGN.str}), expected native byte order"),
    ],
)  # fmt: skip
def test_a_layers_message_is_whole(make: Callable[[], object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        make()


def test_a_spec_holds_plain_integers_and_truths() -> None:
    spec = RNNSpec(np.int64(3), np.int32(4), np.int8(1), bias=np.False_)
    assert [type(n) for n in (spec.input_size, spec.hidden_size, spec.num_layers)] == [int] * 3
    assert spec.bias is False
    assert spec == RNNSpec(3, 4, bias=False)
    assert RNNSpec(3, 4) == RNNSpec(3, 4, 1, "forward", "tanh", True)
    assert RNNSpec(1, 1, 1).num_cells == 1


def test_the_cells_of_a_stack_have_names_and_inputs() -> None:
    assert [SPEC.cell_name(i) for i in range(4)] == [
        "layer 0, forward", "layer 0, reverse", "layer 1, forward", "layer 1, reverse"]  # fmt: skip
    assert RNNSpec(3, 4, 2, "reverse").cell_name(1) == "layer 1, reverse"
    assert [SPEC.layer_input_size(layer) for layer in (0, 1, 2)] == [3, 8, 8]
    assert cell_shapes(SPEC, 1) == {"w_ih": (4, 8), "w_hh": (4, 4), "b_ih": (4,), "b_hh": (4,)}
    assert cell_shapes(replace(SPEC, bias=False), 0) == {"w_ih": (4, 3), "w_hh": (4, 4)}
