"""How ONNX's operators RNN, GRU and LSTM keep their weights and states. It imports no onnx.

Each array has an axis of directions in front.

The gate that ONNX calls h in GRU, and c in LSTM, is n and g here.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..mapping import Array, Native


def _layer(gates: str, states: str = "h", peepholes: str = "") -> Native:
    order = tuple(gates) or ("",)
    more = {"P": Array(("w_peephole",), tuple(peepholes))} if peepholes else {}
    weights = {"W": Array(("w_ih",), order), "R": Array(("w_hh",), order)}
    return Native({**weights, "B": Array(("b_ih", "b_hh"), order, joined="end to end"), **more}, tuple(states))


# cell -> the operator's arrays, and its states in the order of its inputs and outputs
MAPPING: Mapping[str, Native] = {
    "elman": _layer(""),
    **dict.fromkeys(("gru", "gru_reset_before"), _layer("zrn")),
    "lstm": _layer("iofg", "hc", "iof"),
}
OPERATORS: Mapping[str, str] = {"elman": "RNN", "gru": "GRU", "gru_reset_before": "GRU", "lstm": "LSTM"}
# where a node has its weights, and its states at the start, among its inputs
WEIGHTS = {"W": 1, "R": 2, "B": 3, "P": 7}
LENGTHS = 4
STATES = {"h": 5, "c": 6}
INPUTS = {("h",): 6, ("h", "c"): 8}  # by its states: how many inputs a node has
# the activations of a direction, in the order of the operator's attribute
OF_RNN = {"tanh": ("Tanh",), "relu": ("Relu",)}
OF_GATES = {**dict.fromkeys(("gru", "gru_reset_before"), ("Sigmoid", "Tanh")), "lstm": ("Sigmoid", "Tanh", "Tanh")}
