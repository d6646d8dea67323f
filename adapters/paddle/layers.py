"""Paddle's recurrent layers: how they are made, and called, whatever their kind.

SimpleRNN, GRU and LSTM run forward or both ways, in layers of their own. paddle.nn.RNN and BiRNN are one layer of cells
each, and RNN runs in reverse, too: several are a LayerList, which is called one after another here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import paddle
from paddle import nn

from reference import RNNSpec

LAYERS: dict[str, Any] = {"elman": nn.SimpleRNN, "gru": nn.GRU, "lstm": nn.LSTM}
CELLS: dict[str, Any] = {"elman": nn.SimpleRNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}
# the output and, for each state of the cell, the final ones of all cells
Answer = tuple[Any, tuple[Any, ...]]


def words_of(spec: RNNSpec) -> dict[str, Any]:
    """What a layer and a cell are told beside their sizes."""
    own = {"elman": {"activation": spec.nonlinearity}, "lstm": {"proj_size": spec.projection_size}}
    return own.get(spec.cell, {}) | ({} if spec.bias else {"bias_ih_attr": False, "bias_hh_attr": False})


def made(spec: RNNSpec, time_major: bool) -> Any:
    """A layer of these sizes and directions, of whatever weights."""
    sizes = spec.input_size, spec.hidden_size
    if spec.direction != "reverse":
        both = "bidirect" if spec.direction == "bidirectional" else "forward"
        return LAYERS[spec.cell](*sizes, spec.num_layers, both, time_major, **words_of(spec))
    several = [nn.RNN(cell, is_reverse=True, time_major=time_major) for cell in cells_like(spec)]
    return several[0] if len(several) == 1 else nn.LayerList(several)


def cells_like(spec: RNNSpec) -> list[Any]:
    """Cells of these sizes, of whatever weights: layer by layer, forward before reverse."""
    widths = [spec.input_size, *[spec.output_size] * (spec.num_layers - 1)]
    return [CELLS[spec.cell](width, spec.hidden_size, **words_of(spec)) for width in widths for _ in spec.directions]


def parts_of(layer: Any) -> list[Any]:
    """The layers of RNN and BiRNN that it is made of."""
    return list(layer) if isinstance(layer, nn.LayerList) else [layer]


def cells_of(layer: Any) -> list[Any]:
    """Layer by layer, forward before reverse."""
    pairs = ((part.cell_fw, part.cell_bw) if isinstance(part, nn.BiRNN) else (part.cell,) for part in parts_of(layer))
    return [cell for pair in pairs for cell in pair]


def with_layout(layer: Any, time_major: bool) -> Any:
    """A layer of the same weights and settings, called with time first or second; the user's own stays as it is."""
    view = object.__new__(type(layer))
    vars(view).update(vars(layer))
    if "time_major" in vars(view):
        vars(view)["time_major"] = time_major
    inside = {name: with_layout(one, time_major) for name, one in layer._sub_layers.items()}
    vars(view)["_sub_layers"] = type(layer._sub_layers)(inside)
    return view


def called(layer: Any, x: Any, states: Sequence[Any], lengths: Any = None) -> Answer:
    """states: one of all cells for each state of a cell; none where the layer is to start by itself."""
    pair = any(isinstance(cell, nn.LSTMCell) for cell in cells_of(layer))
    if isinstance(layer, tuple(LAYERS.values())):
        output, finals = layer(x, (tuple(states) if pair else states[0]) if states else None, lengths)
        return output, tuple(finals) if pair else (finals,)
    begin = zip(*states, strict=True) if states else None  # of one cell after another
    ends: list[tuple[Any, ...]] = []
    for part in parts_of(layer):
        count = len(cells_of(part))
        mine = None if begin is None else [one if pair else one[0] for one in islice(begin, count)]
        x, final = part(x, mine if mine is None or count == 2 else mine[0], lengths)
        ends += [one if pair else (one,) for one in (final if count == 2 else (final,))]
    return x, tuple(map(paddle.stack, zip(*ends, strict=True)))
