"""How Keras' SimpleRNN, GRU and LSTM keep their weights and states. Columns are units.

One bias is the sum of ours, but in a GRU with reset_after, whose bias has b_ih in its first row and b_hh in its second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reference import RNNSpec

from ..mapping import Array, Native, ours, theirs


def _layer(*gates: str, states: tuple[str, ...] = ("h",), joined: str = "added") -> Native:
    kernels = {"kernel": "w_ih", "recurrent_kernel": "w_hh"}
    arrays = {name: Array((of,), gates, columns=True) for name, of in kernels.items()}
    return Native({**arrays, "bias": Array(("b_ih", "b_hh"), gates, joined=joined)}, states)


# cell -> its layer, whose weights are in the order in which set_weights takes them
MAPPING = {
    "elman": _layer(""),
    "gru": _layer("z", "r", "n", joined="stacked"),
    "gru_reset_before": _layer("z", "r", "n"),
    "lstm": _layer("i", "f", "g", "o", states=("h", "c")),
}
# cell -> keras.layers' name of its layer, and what that is told beside what every layer is
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "elman": ("SimpleRNN", {}),
    "gru": ("GRU", {"reset_after": True}),
    "gru_reset_before": ("GRU", {"reset_after": False}),
    "lstm": ("LSTM", {}),
}


def start_of(spec: RNNSpec, h0: Any) -> list[np.ndarray] | None:
    """The initial states that layers are called with: of each track, each of its states (batch, units)."""
    given = theirs(spec, MAPPING[spec.cell], h0)
    return None if h0 is None else [state[track] for track in range(spec.num_cells) for state in given]


def h_n_of(spec: RNNSpec, final: Sequence[np.ndarray]) -> Any:
    """h_n, of a cell with several states a tuple, from the final states of the tracks in their order."""
    layer = MAPPING[spec.cell]
    return ours(spec, layer, [np.stack(final[n :: len(layer.states)]) for n in range(len(layer.states))])
