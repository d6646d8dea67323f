"""Other ways in which users call torch's layers, each as they write it. A script holds the text of the one it shows.

rnn: the layer, in eval(), a torch.nn.RNN, GRU or LSTM.  x: of its layout; where lengths are no argument, a
PackedSequence if there are any.  h0: the initial states, of an LSTM a pair, or None.  Each answers the output, a
PackedSequence where x is one, and h_n.
"""

from __future__ import annotations

import copy
import io
from typing import Any

import torch
from torch.nn.utils import parametrize, prune
from torch.nn.utils import rnn as packing


def as_it_is(rnn: Any, x: Any, h0: Any) -> Any:
    return rnn(x, h0)


def each(change: Any, *states: Any) -> Any:
    """A function of each state, h alone or the pair (h, c)."""
    return tuple(map(change, *states)) if isinstance(states[0], tuple) else change(*states)


def cell_of(rnn: Any, features: int) -> Any:
    """A torch.nn.RNNCell, GRUCell or LSTMCell like the layer's."""
    kind = {"GRU": torch.nn.GRUCell, "LSTM": torch.nn.LSTMCell}.get(rnn.mode)
    if kind is None:
        return torch.nn.RNNCell(features, rnn.hidden_size, rnn.bias, rnn.nonlinearity)
    return kind(features, rnn.hidden_size, rnn.bias)


def loop_over_cells(rnn: Any, x: Any, h0: Any, runs: Any) -> Any:
    """A loop over torch.nn.RNNCell, GRUCell or LSTMCell, for each layer and direction.

    runs: where a step counts, (time, batch); None where all do.
    """
    sequence, states = x.transpose(0, 1) if x.dim() == 3 and rnn.batch_first else x, []
    for _ in range(rnn.num_layers):
        halves = []
        for order in [range(len(sequence)), range(len(sequence))[::-1]][: 2 if rnn.bidirectional else 1]:
            cell = cell_of(rnn, sequence.shape[-1])
            for name, weight in zip(cell.state_dict(), rnn.all_weights[len(states)], strict=True):
                setattr(cell, name, weight)
            h = None if h0 is None else each(lambda state: state[len(states)], h0)
            half = x.new_zeros(*sequence.shape[:-1], rnn.hidden_size)
            none = x.new_zeros(half.shape[1:])
            none = (none, none) if rnn.mode == "LSTM" else none
            for t in order:
                new = cell(sequence[t], h)
                if runs is not None:
                    runs_now, before = runs[t, :, None], none if h is None else h
                    new = each(lambda *both, now=runs_now: torch.where(now, *both), new, before)
                half[t] = new[0] if isinstance(new, tuple) else new
                h = new
            halves.append(half if runs is None else torch.where(runs[..., None], half, 0))
            states.append(none if h is None else h)
        sequence = torch.cat(halves, -1)
    h_n = tuple(map(torch.stack, zip(*states, strict=True))) if rnn.mode == "LSTM" else torch.stack(states)
    return sequence.transpose(0, 1) if x.dim() == 3 and rnn.batch_first else sequence, h_n


def sorted_by_length(rnn: Any, x: Any, h0: Any, lengths: Any) -> Any:
    """The sequences are sorted by length, packed, and put back.  lengths: of each; None where all are whole."""
    batch, time = (0, 1) if rnn.batch_first else (1, 0)
    lengths = torch.tensor([x.shape[time]] * x.shape[batch] if lengths is None else lengths)
    lengths, order = lengths.sort(descending=True)
    order = order.to(x.device)
    packed = packing.pack_padded_sequence(x.index_select(batch, order), lengths.tolist(), rnn.batch_first)
    output, h_n = rnn(packed, None if h0 is None else each(lambda state: state[:, order], h0))
    output, _ = packing.pad_packed_sequence(output, rnn.batch_first, total_length=x.shape[time])
    return output.index_select(batch, order.argsort()), each(lambda state: state[:, order.argsort()], h_n)


def list_of_sequences(rnn: Any, x: Any, h0: Any, lengths: Any) -> Any:
    """A list of float64 sequences is packed, brought to the layer's dtype, and unpacked as a list.

    lengths: of each sequence; None where all are whole.
    """
    rows = x if rnn.batch_first else x.transpose(0, 1)
    lengths = [len(row) for row in rows] if lengths is None else lengths
    several = [row[:length].double() for row, length in zip(rows, lengths, strict=True)]
    packed = packing.pack_sequence(several, enforce_sorted=False)
    output, h_n = rnn(packed.to(x.dtype), h0)
    output = packing.pad_sequence(packing.unpack_sequence(output), rnn.batch_first)
    time = 1 if rnn.batch_first else 0
    missing = list(output.shape)
    missing[time] = x.shape[time] - output.shape[time]
    return torch.cat([output, output.new_zeros(missing)], time), h_n


def in_parts(rnn: Any, x: Any, h0: Any) -> Any:
    """The layer is asked something else; then half of the steps, and the others from the state of those."""
    time = 1 if x.dim() == 3 and rnn.batch_first else 0
    rnn(-x)
    outputs, h = [], h0
    for part in x.split((x.shape[time] + 1) // 2, time):
        output, h = rnn(part, h)
        outputs.append(output)
    return torch.cat(outputs, time), h


def strided(rnn: Any, x: Any, h0: Any) -> Any:
    """x and h0 have every other number of larger tensors."""

    def view(numbers: Any) -> Any:
        return torch.stack([numbers, -numbers], -1)[..., 0]

    given = view(x) if isinstance(x, torch.Tensor) else x._replace(data=view(x.data))
    return rnn(given, None if h0 is None else each(view, h0))


def functional_call(rnn: Any, x: Any, h0: Any) -> Any:
    """A module of other weights is called with these, after these have been changed for the others, and put back."""
    other = copy.deepcopy(rnn)
    for weight in other.parameters():
        weight.data.fill_(0.5)
    torch.func.functional_call(rnn, dict(other.named_parameters()), (x, h0))
    return torch.func.functional_call(other, dict(rnn.named_parameters()), (x, h0))


def assigned(rnn: Any, x: Any, h0: Any) -> Any:
    """A layer without memory is given the weights in float64, copied, brought to their dtype, written and read."""
    own = {"LSTM": {"proj_size": rnn.proj_size}, "GRU": {}}
    with torch.device("meta"):
        layer = type(rnn)(
            rnn.input_size, rnn.hidden_size, rnn.num_layers, bias=rnn.bias, batch_first=rnn.batch_first,
            bidirectional=rnn.bidirectional, **own.get(rnn.mode, {"nonlinearity": getattr(rnn, "nonlinearity", None)}),
        )  # fmt: skip
    layer.load_state_dict({name: weight.double() for name, weight in rnn.state_dict().items()}, assign=True)
    file = io.BytesIO()
    torch.save(copy.deepcopy(layer).to(rnn.weight_hh_l0.dtype), file)
    file.seek(0)
    with torch.serialization.safe_globals([type(rnn)]):
        return torch.load(file, weights_only=True).eval()(x, h0)


def computed_weights(rnn: Any, x: Any, h0: Any) -> Any:
    """The weights of x are pruned, of nothing; all others are computed, by changing the sign of what is kept.

    The layer is brought to another dtype and back then.
    """

    class Negative(torch.nn.Module):
        def forward(self, kept: torch.Tensor) -> torch.Tensor:
            return -kept

        right_inverse = forward

    layer = copy.deepcopy(rnn)
    for name in [*rnn.state_dict()]:
        if name.startswith("weight_ih"):
            prune.identity(layer, name)
        else:
            parametrize.register_parametrization(layer, name, Negative())
    return layer.double().to(rnn.weight_hh_l0.dtype)(x, h0)


def vmap(rnn: Any, x: Any, h0: Any) -> Any:
    """Each sequence is that of a module of its own, as in an ensemble; here all have the same weights."""
    batch = 0 if rnn.batch_first else 1

    def one(weights: Any, x: Any, h0: Any) -> Any:
        return torch.func.functional_call(rnn, weights, (x, h0))

    several = {name: weight.expand(x.shape[batch], *weight.shape) for name, weight in rnn.named_parameters()}
    axes = 0, batch, None if h0 is None else 1
    return torch.func.vmap(one, in_dims=axes, out_dims=(batch, 1))(several, x, h0)


def dynamic_batch(rnn: Any, x: Any, h0: Any) -> Any:
    """Exported with three sequences, for any number of them, and taken apart into its operations."""
    batch, free = 0 if rnn.batch_first else 1, torch.export.Dim.DYNAMIC
    example = x.new_zeros([3 if axis == batch else size for axis, size in enumerate(x.shape)])
    arguments, shapes = [example], [{batch: free}]
    if h0 is not None:
        arguments.append(each(lambda state: state.new_zeros(len(state), 3, state.shape[-1]), h0))
        shapes.append(each(lambda state: {1: free}, h0))
    program = torch.export.export(rnn, tuple(arguments), dynamic_shapes=tuple(shapes)).run_decompositions()
    return program.module()(x) if h0 is None else program.module()(x, h0)


def dynamic_steps(rnn: Any, x: Any, h0: Any) -> Any:
    """Exported with three steps, for any number of them."""
    time, free = 1 if x.dim() == 3 and rnn.batch_first else 0, torch.export.Dim.DYNAMIC
    example = x.new_zeros([3 if axis == time else size for axis, size in enumerate(x.shape)])
    arguments = [example] if h0 is None else [example, h0]
    shapes = [{time: free}] if h0 is None else [{time: free}, each(lambda state: None, h0)]
    program = torch.export.export(rnn, tuple(arguments), dynamic_shapes=tuple(shapes))
    return program.module()(x) if h0 is None else program.module()(x, h0)


def compiled(rnn: Any, x: Any, h0: Any) -> Any:
    """Compiled, layer and all: without allow_rnn torch.compile leaves a torch.nn.RNN as it is."""
    torch.compiler.reset()
    with torch._dynamo.config.patch(allow_rnn=True):
        return torch.compile(rnn, fullgraph=isinstance(x, torch.Tensor))(x, h0)
