"""How torch.nn.RNN, GRU and LSTM keep their weights: ours are named and lie as theirs, with both biases."""

from __future__ import annotations

from collections.abc import Mapping

from ..mapping import Array, Native


def _layer(*gates: str, states: tuple[str, ...] = ("h",), more: Mapping[str, Array] | None = None) -> Native:
    names = {"weight_ih": "w_ih", "weight_hh": "w_hh", "bias_ih": "b_ih", "bias_hh": "b_hh"}
    return Native({name: Array((of,), gates) for name, of in names.items()} | dict(more or {}), states)


# cell -> torch's layer; the names of its arrays end with the layer and the direction
MAPPING = {
    "elman": _layer(""),
    "gru": _layer("r", "z", "n"),
    "lstm": _layer("i", "f", "g", "o", states=("h", "c"), more={"weight_hr": Array(("w_hr",))}),
}
