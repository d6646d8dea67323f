"""The recurrent layers of a Paddle model, which has no file of its own: it is named as module:object."""

from __future__ import annotations

from typing import Any

from paddle import nn


def layers(model: Any) -> dict[str, Any]:
    """The recurrent layers of a model, by where they lie; "" is the model itself."""
    kinds = nn.SimpleRNN, nn.GRU, nn.LSTM, nn.RNN, nn.BiRNN
    inside = {name: one for name, one in model.named_sublayers(include_self=True) if isinstance(one, kinds)}
    parts = {id(part) for one in inside.values() if isinstance(one, nn.LayerList) for part in one}
    return {name: one for name, one in inside.items() if id(one) not in parts}
