"""How Paddle's recurrent layers are made, and called in another layout.

SimpleRNN, GRU and LSTM run forward or both ways, in layers of their own. paddle.nn.RNN and BiRNN are one layer of cells
each, and RNN runs in reverse, too: several are a LayerList.
"""

from __future__ import annotations

from typing import Any

from paddle import nn

from reference import RNNSpec

LAYERS: dict[str, Any] = {"elman": nn.SimpleRNN, "gru": nn.GRU, "lstm": nn.LSTM}
CELLS: dict[str, Any] = {"elman": nn.SimpleRNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}


def words_of(spec: RNNSpec) -> dict[str, Any]:
    """What a layer and a cell are told beside their sizes."""
    own: dict[str, dict[str, Any]] = {"elman": {"activation": spec.nonlinearity}}
    if spec.projection_size:  # Paddle 2 has no such word
        own["lstm"] = {"proj_size": spec.projection_size}
    return own.get(spec.cell, {}) | ({} if spec.bias else {"bias_ih_attr": False, "bias_hh_attr": False})


def made(spec: RNNSpec, time_major: bool) -> Any:
    """A layer of these sizes and directions, of whatever weights."""
    sizes = spec.input_size, spec.hidden_size
    if spec.direction != "reverse":
        both = "bidirect" if spec.direction == "bidirectional" else "forward"
        return LAYERS[spec.cell](*sizes, spec.num_layers, both, time_major, **words_of(spec))
    widths = [spec.input_size, *[spec.output_size] * (spec.num_layers - 1)]
    cells = [CELLS[spec.cell](width, spec.hidden_size, **words_of(spec)) for width in widths]
    several = [nn.RNN(cell, is_reverse=True, time_major=time_major) for cell in cells]
    return several[0] if len(several) == 1 else nn.LayerList(several)


def with_layout(layer: Any, time_major: bool) -> Any:
    """A layer of the same weights and settings, called with time first or second; the user's own stays as it is."""
    view = object.__new__(type(layer))
    vars(view).update(vars(layer))
    if "time_major" in vars(view):
        vars(view)["time_major"] = time_major
    inside = {name: with_layout(one, time_major) for name, one in layer._sub_layers.items()}
    vars(view)["_sub_layers"] = type(layer._sub_layers)(inside)
    return view
