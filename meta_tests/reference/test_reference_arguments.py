"""Bad arguments of the forward pass: named before any arithmetic, with what was given and what was expected."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from meta_tests.common.arguments import GOOD, SPEC, X
from reference import Case, CellParameters, forward


def _without_bias(cell: CellParameters) -> CellParameters:
    return CellParameters(cell.w_ih, cell.w_hh)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": X[0]}, "x rank: got 2, expected 3 axes"),
        ({"x": np.zeros((2, 5, 4), "float32")}, r"x .*got \(2, 5, 4\), expected input_size 3"),
        ({"x": X.astype("float64")}, "x dtype: got 'float64', expected float32"),
        ({"x": X.astype("int32")}, "x: got dtype int32, expected one of float16"),
        ({"x": X.tolist()}, "x: got list, expected a NumPy array"),
        ({"parameters": GOOD[:3]}, "parameters: got '3 cells', expected 4"),
        ({"parameters": GOOD[2:] + GOOD[:2]}, r"\(layer 0, forward\) w_ih: got \(4, 8\), expected \(4, 3\)"),
        ({"parameters": [*GOOD[:3], _without_bias(GOOD[3])]}, r"\(layer 1, reverse\) b_hh: got 'no array'"),
        ({"spec": replace(SPEC, bias=False)}, r"b_hh: got \(4,\), expected no array \(spec.bias is False\)"),
        ({"parameters": [*GOOD[:3], GOOD[3].astype("float64")]}, r"\[3\] .*dtype: got 'float64', expected float32"),
        ({"h0": np.zeros((4, 3, 4), "float32")}, r"h0 .*: got \(4, 3, 4\), expected \(4, 2, 4\)"),
        ({"h0": np.zeros((4, 2, 4))}, "h0 dtype: got 'float64', expected float32"),
        ({"lengths": [5, -1]}, "lengths: got .*-1.*, expected integers from 0 to 5"),
        ({"lengths": [6, 1]}, "lengths: got .*6.*, expected integers from 0 to 5"),
        ({"lengths": [5.0, 1.0]}, "lengths: got dtype float64, expected integers"),
        ({"lengths": [5]}, r"lengths shape: got \(1,\), expected \(2,\)"),
        ({"lengths": 5}, r"lengths shape: got \(\), expected \(2,\)"),
        ({"layout": "time_major"}, "layout: got 'time_major', expected one of batch_first"),
        ({"spec": "RNN"}, "spec: got str, expected RNNSpec"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named_before_any_arithmetic(change: dict, words: str) -> None:
    arguments = {"spec": SPEC, "parameters": GOOD, "x": X} | change
    with pytest.raises((TypeError, ValueError), match=words):
        forward(**arguments)
    with pytest.raises((TypeError, ValueError), match=words):
        Case(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((2, 5, 4), "float32")},
         "x ('batch', 'time', 'feature'): got (2, 5, 4), expected input_size 3 on the last axis"),
        ({"x": X[0]}, "x rank: got 2, expected 3 axes (its shape is (5, 3))"),
        ({"x": X.astype("float64")}, "x dtype: got 'float64', expected float32, the parameters'"),
        ({"x": X.astype("int32")}, "x: got dtype int32, expected one of float16, bfloat16, float32, float64"),
        ({"h0": np.zeros((4, 2, 4))}, "h0 dtype: got 'float64', expected float32, x's"),
        ({"h0": np.zeros((4, 3, 4), "float32")},
         "h0 ('cell', 'batch', 'unit'): got (4, 3, 4), expected (4, 2, 4)"),
        ({"x": X[0], "layout": "unbatched", "h0": np.zeros((3, 4), "float32")},
         "h0 ('cell', 'unit'): got (3, 4), expected (4, 4)"),
        ({"parameters": GOOD[:3]}, "parameters: got '3 cells', expected 4 (num_layers 2 x num_directions 2)"),
        ({"parameters": [*GOOD[:3], _without_bias(GOOD[3])]},
         "parameters[3] (layer 1, reverse) b_hh: got 'no array', expected (4,)"),
        ({"spec": replace(SPEC, bias=False)},
         "parameters[0] (layer 0, forward) b_hh: got (4,), expected no array (spec.bias is False)"),
        ({"parameters": [*GOOD[:3], GOOD[3].astype("float64")]},
         "parameters[3] (layer 1, reverse) dtype: got 'float64', expected float32, as in parameters[0]"),
        ({"lengths": [5, -1]}, "lengths: got [5, -1], expected integers from 0 to 5, the number of time steps"),
        ({"lengths": [5]}, "lengths shape: got (1,), expected (2,), one for each sequence"),
        ({"x": X[0], "layout": "unbatched", "lengths": [5]},
         "lengths shape: got (1,), expected a single integer, as the layout is unbatched"),
        ({"lengths": [[5], [2, 3]]}, "lengths: got [[5], [2, 3]], expected integers"),
        ({"lengths": 5.0}, "lengths: got float, expected an integer, integers or None"),
        ({"layout": "time_major"}, "layout: got 'time_major', expected one of batch_first, time_first, unbatched"),
    ],
)  # fmt: skip
def test_a_message_is_whole(change: dict, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        forward(**{"spec": SPEC, "parameters": GOOD, "x": X} | change)
