"""How Equinox' cells keep their weights and states: units are rows, in torch's order, and h comes before c.

There is one bias; of a GRUCell the reset gate multiplies bias_n, and `bias` has all else.
"""

from __future__ import annotations

from ..mapping import Array, Native

RZN, IFGO = ("r", "z", "n"), ("i", "f", "g", "o")


def _weights(gates: tuple[str, ...]) -> dict[str, Array]:
    return {"weight_ih": Array(("w_ih",), gates), "weight_hh": Array(("w_hh",), gates)}


# cell -> eqx.nn.GRUCell, eqx.nn.LSTMCell
MAPPING = {
    "gru": Native({**_weights(RZN), "bias": Array(("b_ih", "b_hh"), RZN, joined="added but apart"),
                   "bias_n": Array(("b_hh",), ("n",))}),
    "lstm": Native({**_weights(IFGO), "bias": Array(("b_ih", "b_hh"), IFGO)}, states=("h", "c")),
}  # fmt: skip
