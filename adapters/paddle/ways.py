"""Ways in which users call Paddle's layers, each as they write it. A script holds the text of the one it shows.

layer: a SimpleRNN, GRU or LSTM, an RNN, or a LayerList of RNN, in eval().  x: of its layout.  states: for each state of
a cell the initial ones of all cells, none where the layer is to begin by itself.  lengths: of the sequences, or None.
Each answers the output and, for each state of a cell, the final ones of all cells.
"""

from __future__ import annotations

import copy
import tempfile
from typing import Any

import paddle


def parts_of(layer: Any) -> Any:
    """The layers of RNN and BiRNN that it is made of."""
    return list(layer) if isinstance(layer, paddle.nn.LayerList) else [layer]


def cells_of(layer: Any) -> Any:
    """Layer by layer, forward before reverse."""
    pairs = [(part.cell_fw, part.cell_bw) if isinstance(part, paddle.nn.BiRNN) else (part.cell,)
             for part in parts_of(layer)]  # fmt: skip
    return [cell for pair in pairs for cell in pair]


def called(layer: Any, x: Any, states: Any, lengths: Any) -> Any:
    """A layer, or the layers of a LayerList, one after another."""
    pair = isinstance(cells_of(layer)[0], paddle.nn.LSTMCell)  # which has h and c
    if isinstance(layer, (paddle.nn.SimpleRNN, paddle.nn.GRU, paddle.nn.LSTM)):
        output, finals = layer(x, (tuple(states) if pair else states[0]) if states else None, lengths)
        return output, tuple(finals) if pair else (finals,)
    begin, ends = [one if pair else one[0] for one in zip(*states, strict=True)], []
    for part in parts_of(layer):
        if isinstance(part, paddle.nn.BiRNN):
            x, both = part(x, begin[len(ends) : len(ends) + 2] or None, lengths)
            ends += both
        else:
            x, final = part(x, begin[len(ends)] if begin else None, lengths)
            ends += [final]
    return x, tuple(paddle.stack(list(one)) for one in (zip(*ends, strict=True) if pair else [ends]))


def wrapped(layer: Any, x: Any, states: Any, lengths: Any) -> Any:
    """By paddle.nn.RNN and BiRNN around the layer's cells; the output beyond a length is set to zero by hand."""
    several = paddle.nn.LayerList()
    for part in parts_of(layer):
        if isinstance(part, paddle.nn.BiRNN):
            several.append(paddle.nn.BiRNN(part.cell_fw, part.cell_bw, part.time_major))
        else:
            several.append(paddle.nn.RNN(part.cell, part.is_reverse, part.time_major))
    output, finals = called(several, x, states, lengths)
    if lengths is not None:  # the layers go on beyond them
        axis = 0 if several[0].time_major else 1
        runs = paddle.arange(x.shape[axis]) < lengths.unsqueeze(-1)
        output = paddle.where((runs.T if axis == 0 else runs).unsqueeze(-1), output, paddle.zeros_like(output))
    return output, finals


def loop(layer: Any, x: Any, states: Any, lengths: Any) -> Any:
    """By a loop over the cells, which hold a state where a step does not count."""
    axis, ends = 0 if parts_of(layer)[0].time_major else 1, []
    for part in parts_of(layer):
        halves = []
        for cell in cells_of(part):
            state = None if not states else [one[len(ends)] for one in states]
            if state is None:
                rows = [x.shape[1 - axis]]
                sizes = [cell.weight_hh.shape[1], cell.hidden_size][: 2 if isinstance(cell, paddle.nn.LSTMCell) else 1]
                state = [paddle.zeros([*rows, size], x.dtype) for size in sizes]
            steps, half = list(range(x.shape[axis])), {}
            backwards = cell is getattr(part, "cell_bw", None) or getattr(part, "is_reverse", False)
            for t in steps[::-1] if backwards else steps:
                x_t = x[t] if axis == 0 else x[:, t]
                new = cell(x_t, tuple(state) if len(state) > 1 else state[0])[1]
                new = list(new) if len(state) > 1 else [new]
                shown = new[0]
                if lengths is not None:
                    runs = (lengths > t).unsqueeze(-1)
                    new = [paddle.where(runs, after, before) for after, before in zip(new, state, strict=True)]
                    shown = paddle.where(runs, shown, paddle.zeros_like(shown))
                state, half[t] = new, shown
            halves.append(paddle.stack([half[t] for t in steps], axis))
            ends.append(state)
        x = paddle.concat(halves, -1)
    return x, tuple(paddle.stack(list(one)) for one in zip(*ends, strict=True))


def default_dtype(layer: Any, x: Any, states: Any, lengths: Any) -> Any:
    """After paddle.set_default_dtype."""
    before = paddle.get_default_dtype()
    paddle.set_default_dtype(x.dtype)
    try:
        return called(layer, x, states, lengths)
    finally:
        paddle.set_default_dtype(before)


def training(layer: Any, x: Any, states: Any, lengths: Any) -> Any:
    """In training, without dropout."""
    layer.train()
    return called(layer, x, states, lengths)


def dropout(layer: Any, x: Any, states: Any, lengths: Any) -> Any:
    """With dropout, in eval(), where it has no effect."""
    layer.dropout = 0.5
    return called(layer, x, states, lengths)


def in_parts(layer: Any, x: Any, states: Any, lengths: Any) -> Any:
    """The layer is asked something else; then half of the steps, and the others from the state of those."""
    axis = 0 if parts_of(layer)[0].time_major else 1
    called(layer, -x, states, None)
    half = (x.shape[axis] + 1) // 2
    first, states = called(layer, x[:half] if axis == 0 else x[:, :half], states, None)
    if half == x.shape[axis]:
        return first, states
    second, states = called(layer, x[half:] if axis == 0 else x[:, half:], states, None)
    return paddle.concat([first, second], axis), states


def strided(layer: Any, x: Any, states: Any, lengths: Any) -> Any:
    """x and the states have every other number of larger tensors."""
    x, *states = [paddle.stack([numbers, -numbers], -1)[..., 0] for numbers in (x, *states)]
    return called(layer, x, states, lengths)


def saved(layer: Any, x: Any, states: Any, lengths: Any) -> Any:
    """A layer of other weights is given these, which are written to a file and read, by the names of state_dict()."""
    other = copy.deepcopy(layer)
    for weight in other.parameters():
        weight.set_value(paddle.full_like(weight, 0.5))
    with tempfile.TemporaryDirectory() as folder:
        paddle.save(layer.state_dict(), f"{folder}/weights.pdparams")
        missing, unexpected = other.set_state_dict(paddle.load(f"{folder}/weights.pdparams"))
    assert not [*missing, *unexpected]
    return called(other, x, states, lengths)


def by_name(layer: Any, x: Any, states: Any, lengths: Any) -> Any:
    """A layer of other weights is given these by the names that the documents have, where there is one."""
    other, layers = copy.deepcopy(layer), parts_of(layer)
    for weight in other.parameters():
        weight.set_value(paddle.full_like(weight, 0.5))
    names = [name for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if hasattr(layer, f"{name}_l0")]
    given = {}
    for number, cell in enumerate(cells_of(layer)):
        depth, reverse = divmod(number, len(cells_of(layer)) // len(layers))
        end = f"_l{depth}{'_reverse' if reverse else ''}"
        given |= {f"{name}{end}": getattr(cell, name) for name in names}
        if getattr(cell, "proj_size", 0):
            cells_of(other)[number].weight_ho.set_value(cell.weight_ho)
    for name, weight in given.items():
        getattr(other, name).set_value(weight)
    return called(other, x, states, lengths)


def converted(layer: Any, x: Any, states: Any, lengths: Any) -> Any:
    """A layer of float32 that was brought to float64, or the other way round, and back."""
    other = {"float32": "float64", "float64": "float32"}[str(x.dtype).removeprefix("paddle.")]
    return called(layer.to(dtype=other).to(dtype=x.dtype), x, states, lengths)


def moved(layer: Any, x: Any, states: Any, lengths: Any) -> Any:
    """A layer that was moved to where it is."""
    return called(layer.to(device="cpu"), x, states, lengths)


def to_static(layer: Any, x: Any, states: Any, lengths: Any) -> Any:
    """By paddle.jit.to_static, each layer as one graph."""
    for part in layer if type(layer) is paddle.nn.LayerList else [layer]:
        paddle.jit.to_static(part, full_graph=True)
    return called(layer, x, states, lengths)
