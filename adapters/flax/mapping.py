"""How Flax's cells keep their weights and states: units are columns, gates lie in torch's order, and c comes before h.

SimpleCell and the LSTM cells have one bias. GRUCell has that of x, and dense_h can have the other: a Linear as any.
"""

from __future__ import annotations

from ..mapping import Array, Native

BIASES, RZN, IFGO = ("b_ih", "b_hh"), ("r", "z", "n"), ("i", "f", "g", "o")


def _dense(*gates: str) -> dict[str, Array]:
    return {
        "dense_i.kernel": Array(("w_ih",), gates, columns=True),
        "dense_h.kernel": Array(("w_hh",), gates, columns=True),
    }


# cell -> the cell that build makes: SimpleCell, GRUCell, OptimizedLSTMCell
MAPPING = {
    "elman": Native({**_dense(""), "dense_i.bias": Array(BIASES)}),
    "gru": Native({**_dense(*RZN), "dense_i.bias": Array(("b_ih",), RZN), "dense_h.bias": Array(("b_hh",), RZN)}),
    "lstm": Native({**_dense(*IFGO), "dense_h.bias": Array(BIASES, IFGO)}, states=("c", "h")),
}
# nnx.LSTMCell, which has a Linear for each gate; "if" is a keyword
OF_GATES = {
    f"{side}{gate}{'_' if side + gate == 'if' else ''}.{part}": Array(of, (gate,), columns=part == "kernel")
    for gate in IFGO
    for side, part, of in (("i", "kernel", ("w_ih",)), ("h", "kernel", ("w_hh",)), ("h", "bias", BIASES))
}
