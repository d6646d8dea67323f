"""How MLX' layers keep their weights and states: units are rows, in torch's order, and h comes before c.

There is one bias; of a GRU the reset gate multiplies bhn, and `b` has all else.
"""

from __future__ import annotations

from ..mapping import Array, Native

BIASES, RZN, IFGO = ("b_ih", "b_hh"), ("r", "z", "n"), ("i", "f", "g", "o")

# cell -> mlx.nn.RNN, GRU, LSTM
MAPPING = {
    "elman": Native({"Wxh": Array(("w_ih",)), "Whh": Array(("w_hh",)), "bias": Array(BIASES)}),
    "gru": Native({"Wx": Array(("w_ih",), RZN), "Wh": Array(("w_hh",), RZN),
                   "b": Array(BIASES, RZN, joined="added but apart"), "bhn": Array(("b_hh",), ("n",))}),
    "lstm": Native({"Wx": Array(("w_ih",), IFGO), "Wh": Array(("w_hh",), IFGO), "bias": Array(BIASES, IFGO)},
                   states=("h", "c")),
}  # fmt: skip
