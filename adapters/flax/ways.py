"""Ways in which users call Flax's layers, each as they write it: Flax, JAX and NumPy, and ../jax/asked.py.

A script for a bug report has the source of one of these functions, and of all that it calls, in it.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

from ..jax.asked import Asked, array


def carries_given(asked: Asked) -> Any:
    """The initial carry of each track, of an LSTM the pair (c, h), or None."""
    if asked.h0 is None:
        return None
    if asked.cell != "lstm":
        return [array(asked, h) for h in asked.h0]
    return [(array(asked, c), array(asked, h)) for h, c in zip(*asked.h0, strict=True)]


def stack(asked: Asked, layer: Any) -> tuple[list[Any], list[Any]]:
    """The output of each layer, and the final carry of each track, of layers that are called one after another.

    layer: (asked, first track, x, initial carries or None, lengths) -> carries of its tracks, output.
    """
    x, outputs, carries = array(asked, asked.x), [], []
    h0 = carries_given(asked)
    lengths = None if asked.lengths is None else jnp.asarray(asked.lengths if x.ndim == 3 else asked.lengths[0])
    for n in range(0, len(asked.cells), asked.tracks):
        carry, x = layer(asked, n, x, h0 and h0[n : n + asked.tracks], lengths)
        outputs.append(x)
        carries += carry
    return outputs, carries


def weights(asked: Asked, n: int) -> list[Any]:
    """The kernels of x and of h, whose columns are units, and the one bias: a GRU has one of x and one of h."""
    w_ih, w_hh, *biases = asked.cells[n]
    b_ih, b_hh = biases or np.zeros((2, len(w_ih)))
    return [array(asked, one) for one in (w_ih.T, w_hh.T, *([b_ih, b_hh] if asked.cell == "gru" else [b_ih + b_hh]))]


# flax.nnx


def nnx_kind(asked: Asked) -> tuple[Any, dict[str, Any]]:
    """The class of the cell, and the words that it alone is given."""
    if asked.cell == "elman":
        return nnx.SimpleCell, {"activation_fn": getattr(nnx, asked.nonlinearity)}
    return {"gru": nnx.GRUCell, "lstm": nnx.OptimizedLSTMCell}[asked.cell], {}


def nnx_cell(asked: Asked, n: int) -> Any:
    """A cell that is given its weights when it is made. A GRUCell has no bias of h, and is given one."""
    (kernel, recurrent, bias, *inner), (kind, words) = weights(asked, n), nnx_kind(asked)
    cell = kind(
        len(kernel),
        len(recurrent),
        dtype=jnp.dtype(asked.dtype),
        param_dtype=jnp.dtype(asked.dtype),
        kernel_init=lambda *_: kernel,
        recurrent_kernel_init=lambda *_: recurrent,
        bias_init=lambda *_: bias,
        rngs=nnx.Rngs(0),
        **words,
    )
    for one in inner:
        cell.dense_h.use_bias, cell.dense_h.bias = True, nnx.Param(one)
    return cell


def cell_filled_then(asked: Asked, n: int, **more: Any) -> Any:
    """A cell that is made as it comes, but for these words, and given its weights then: those that it has.

    Of an LSTM an LSTMCell, which has a Linear for each gate and side.
    """
    (kernel, recurrent, bias, *inner), (kind, words) = weights(asked, n), nnx_kind(asked)
    kind = nnx.LSTMCell if asked.cell == "lstm" else kind
    cell: Any = kind(len(kernel), len(recurrent), rngs=nnx.Rngs(0), **words, **more)
    if asked.cell == "lstm":
        of_x, of_h = (cell.ii, cell.if_, cell.ig, cell.io), (cell.hi, cell.hf, cell.hg, cell.ho)
        parts = (jnp.split(one, 4, axis=-1) for one in (kernel, recurrent, bias))
        for i, h, *given in zip(of_x, of_h, *parts, strict=True):
            i.kernel, h.kernel, h.bias = map(nnx.Param, given)
        return cell
    for one in inner:  # those of r and z are added; a GRUCell has no place for that of n
        bias = bias.at[: 2 * len(recurrent)].add(one[: 2 * len(recurrent)])
    cell.dense_i.kernel, cell.dense_h.kernel, cell.dense_i.bias = map(nnx.Param, (kernel, recurrent, bias))
    return cell


def nnx_layer(asked: Asked, n: int, x: Any, start: Any, lengths: Any, cell: Any = nnx_cell) -> tuple[Any, Any]:
    """nnx.RNN, or nnx.Bidirectional, that returns its carry and keeps the order of time."""
    words: dict[str, Any] = {
        "initial_carry": start and start[0],
        "seq_lengths": lengths,
        "time_major": asked.time_first,
    }
    if asked.direction == "bidirectional":
        layer = nnx.Bidirectional(*(nnx.RNN(cell(asked, n + track)) for track in range(2)))
        words["initial_carry"] = start and tuple(start)
        carries, output = layer(x, **words, return_carry=True)
        return list(carries), output
    layer = nnx.RNN(cell(asked, n), reverse=asked.direction == "reverse", keep_order=True)
    carry, output = layer(x, **words, return_carry=True)
    return [carry], output


def as_it_comes(asked: Asked) -> Any:
    def cell(asked: Asked, n: int) -> Any:
        return cell_filled_then(asked, n, dtype=jnp.dtype(asked.dtype), param_dtype=jnp.dtype(asked.dtype))

    return stack(asked, lambda *given: nnx_layer(*given, cell=cell))


def without_dtype(asked: Asked) -> Any:
    def cell(asked: Asked, n: int) -> Any:  # the usual initialiser has no float16 and no bfloat16
        usual = nnx.initializers.zeros_init()
        return cell_filled_then(asked, n, param_dtype=jnp.dtype(asked.dtype), recurrent_kernel_init=usual)

    return stack(asked, lambda *given: nnx_layer(*given, cell=cell))


def without_param_dtype(asked: Asked) -> Any:
    """As for mixed precision: the parameters are of float32, the usual dtype."""

    def cell(asked: Asked, n: int) -> Any:
        return cell_filled_then(asked._replace(dtype="float32"), n, dtype=jnp.dtype(asked.dtype))

    return stack(asked, lambda *given: nnx_layer(*given, cell=cell))


def layers(asked: Asked) -> Any:
    return stack(asked, nnx_layer)


def merge_of(asked: Asked, n: int) -> Any:
    """How a layer's halves are merged: those of the last are added."""
    return (lambda a, b: a + b) if asked.last(n) else lambda a, b: jnp.concatenate([a, b], axis=-1)


def merged(asked: Asked) -> Any:
    """No layer returns its carry, and each unrolls its loop; the last adds its halves up."""

    def layer(asked: Asked, n: int, x: Any, start: Any, lengths: Any) -> tuple[Any, Any]:
        rnns = [nnx.RNN(nnx_cell(asked, n + track), unroll=3) for track in range(asked.tracks)]
        if asked.direction == "bidirectional":
            both = nnx.Bidirectional(*rnns, merge_fn=merge_of(asked, n), time_major=asked.time_first)
            return [], both(x, initial_carry=start and tuple(start), seq_lengths=lengths)
        reverse = asked.direction == "reverse"
        return [], rnns[0](x, initial_carry=start and start[0], seq_lengths=lengths, time_major=asked.time_first,
                           reverse=reverse, keep_order=reverse)  # fmt: skip

    return stack(asked, layer)[0], []


def carry_alone(asked: Asked) -> Any:
    """Compiled by nnx.jit, the last layer as it comes: its output, in whatever order, is not looked at."""

    def layer(asked: Asked, n: int, x: Any, start: Any, lengths: Any) -> tuple[Any, Any]:
        if not asked.last(n) or asked.direction == "bidirectional":
            return nnx_layer(asked, n, x, start, lengths)
        rnn = nnx.RNN(nnx_cell(asked, n), reverse=asked.direction == "reverse", return_carry=True,
                      time_major=asked.time_first)  # fmt: skip
        carry, output = nnx.jit(lambda rnn, *given: rnn(given[0], initial_carry=given[1], seq_lengths=given[2]))(
            rnn, x, start and start[0], lengths)  # fmt: skip
        return [carry], output

    return [], stack(asked, layer)[1]


def together(call: Any, x64: bool) -> Any:
    """What a call answers that eight threads repeat at the same time: one that is unlike the first, where there is any.
    What it raises in one of them is raised here."""
    first, before = call(), sys.getswitchinterval()

    def repeated(_: int) -> list[Any]:
        with jax.enable_x64(x64):  # which each thread has of its own
            return [call() for _ in range(100)]

    sys.setswitchinterval(1e-6)  # seconds after which another thread may go on
    try:
        with ThreadPoolExecutor(8) as threads:
            several = [*threads.map(repeated, range(8))]
    finally:
        sys.setswitchinterval(before)
    unlike = (one for one in chain(*several) if not jax.tree.all(jax.tree.map(np.array_equal, one, first)))
    return next(unlike, first)


def in_threads(asked: Asked) -> Any:
    def layer(asked: Asked, n: int, x: Any, start: Any, lengths: Any) -> tuple[Any, Any]:
        rnns, both = [nnx.RNN(nnx_cell(asked, n + track)) for track in range(asked.tracks)], asked.tracks == 2
        model = nnx.Bidirectional(*rnns) if both else rnns[0]
        words: dict[str, Any] = {"time_major": asked.time_first, "return_carry": True}
        words |= {} if both else {"reverse": asked.direction == "reverse", "keep_order": True}
        called = nnx.jit(lambda model, x, start, lengths: model(x, initial_carry=start, seq_lengths=lengths, **words))
        start = start and (tuple(start) if both else start[0])
        carry, output = together(lambda: called(model, x, start, lengths), asked.dtype == "float64")
        return list(carry) if both else [carry], output

    return stack(asked, layer)


def turned(asked: Asked, x: Any, lengths: Any) -> Any:
    """Each sequence from its last step to its first, and what lies beyond too, where it is."""
    steps = jnp.moveaxis(x, asked.time_axis, 0)
    at, ends = jnp.arange(len(steps)).reshape(-1, *[1] * (x.ndim - 2)), len(steps) if lengths is None else lengths
    index = (ends - 1 - at) % len(steps) if len(steps) else at
    return jnp.moveaxis(jnp.take_along_axis(steps, index[..., None], axis=0), 0, asked.time_axis)


def newest_first(asked: Asked) -> Any:
    """nnx.RNN with reverse=True and without keep_order: x of a forward layer is turned, or the output of another."""

    def layer(asked: Asked, n: int, x: Any, start: Any, lengths: Any) -> tuple[Any, Any]:
        rnn = nnx.RNN(nnx_cell(asked, n), reverse=True, time_major=asked.time_first, return_carry=True)
        x = turned(asked, x, lengths) if asked.direction == "forward" else x
        carry, output = rnn(x, initial_carry=start and start[0], seq_lengths=lengths)
        return [carry], output if asked.direction == "forward" else turned(asked, output, lengths)

    return stack(asked, layer)


def axes_of_batch(asked: Asked) -> Any:
    """x, carries and lengths have two axes of batch, and lengths are of NumPy."""
    axis = 2 if asked.time_first else 1

    def of_one_axis(state: Any) -> Any:
        sequences, _, units = state.shape
        return state.reshape(sequences, units)

    def layer(asked: Asked, n: int, x: Any, start: Any, lengths: Any) -> tuple[Any, Any]:
        lengths = None if lengths is None else np.array(lengths)[:, None]
        start = jax.tree.map(lambda state: state[:, None], start)
        carries, output = nnx_layer(asked, n, jnp.expand_dims(x, axis), start, lengths)
        return jax.tree.map(of_one_axis, carries), jnp.squeeze(output, axis)

    return stack(asked, layer)


def sequential(asked: Asked) -> Any:
    """nnx.Sequential in nnx.jit. It was called with weights of zeros before, and its weights are set then."""

    def layer(asked: Asked, n: int) -> Any:
        rnns = [nnx.RNN(nnx_cell(asked, n + track)) for track in range(asked.tracks)]
        if asked.direction == "bidirectional":
            return nnx.Bidirectional(*rnns, time_major=asked.time_first)
        return nnx.RNN(rnns[0].cell, time_major=asked.time_first, reverse=asked.direction == "reverse", keep_order=True)

    def model(asked: Asked) -> Any:
        return nnx.Sequential(*[layer(asked, n) for n in range(0, len(asked.cells), asked.tracks)])

    call, x = nnx.jit(lambda model, x: model(x)), array(asked, asked.x)
    called = model(asked._replace(cells=[[0 * weight for weight in cell] for cell in asked.cells]))
    call(called, x)
    nnx.update(called, nnx.state(model(asked)))
    return [call(called, x)], []


def ensemble(asked: Asked) -> Any:
    """nnx.vmap over two cells of each track: one has the weights, and the one before it their negatives."""

    def layer(asked: Asked, n: int, x: Any, start: Any, lengths: Any) -> tuple[Any, Any]:
        others = asked._replace(cells=[[-weight for weight in cell] for cell in asked.cells])

        def cells(asked: Asked) -> Any:
            return [nnx_cell(asked, n + track) for track in range(asked.tracks)]

        graph, state = nnx.split(cells(asked))
        both = nnx.merge(graph, jax.tree.map(lambda a, b: jnp.stack([a, b]), nnx.state(cells(others)), state))

        def call(cells: Any, x: Any) -> Any:
            return nnx_layer(asked, n, x, start, lengths, lambda _, track: cells[track - n])

        carries, output = nnx.vmap(call, in_axes=(0, None))(both, x)
        return jax.tree.map(lambda state: state[1], carries), output[1]

    return stack(asked, layer)


def vmapped(asked: Asked) -> Any:
    """Each sequence of the batch by itself, by jax.vmap around the layers."""
    batch = 1 if asked.time_first else 0
    alone = np.ndim(asked.x) == 2
    x = array(asked, asked.x if not alone else asked.x[None])
    h0 = jax.tree.map(lambda state: state[None] if alone else state, carries_given(asked))
    lengths = None if asked.lengths is None else jnp.asarray(asked.lengths)
    graph, state = nnx.split([nnx_cell(asked, n) for n in range(len(asked.cells))])

    def one(state: Any, x: Any, h0: Any, length: Any) -> Any:
        cells, outputs, carries = nnx.merge(graph, state), [], []
        for n in range(0, len(cells), asked.tracks):
            start = h0 and h0[n : n + asked.tracks]
            carry, x = nnx_layer(asked._replace(time_first=False), n, x, start, length, lambda _, n: cells[n])
            outputs.append(x)
            carries += carry
        return outputs, carries

    moved = jnp.moveaxis(x, batch, 0)
    outputs, carries = jax.jit(jax.vmap(one, in_axes=(None, 0, 0, 0)))(state, moved, h0, lengths)
    return ([one[0] if alone else jnp.moveaxis(one, 0, batch) for one in outputs],
            jax.tree.map(lambda state: state[0] if alone else state, carries))  # fmt: skip


# the cell without a layer around it


def step(cell: Any, carry: Any, x: Any, runs: Any) -> tuple[Any, Any]:
    """One step of those sequences that have not ended."""
    new, y = cell(carry, x)
    carry = jax.tree.map(lambda new, old: jnp.where(runs, new, old), new, carry)
    return carry, jnp.where(runs, y, jnp.zeros_like(y))


def cell_layer(asked: Asked, n: int, x: Any, start: Any, lengths: Any, scan: Any) -> tuple[Any, Any]:
    """scan: (cell, carry, steps of x, which run, reverse) -> final carry, steps of the output."""
    steps = jnp.moveaxis(x, asked.time_axis, 0)
    ends = jnp.full(steps.shape[1:-1], len(steps)) if lengths is None else lengths
    runs = (jnp.arange(len(steps)).reshape(-1, *[1] * ends.ndim) < ends)[..., None]
    carries, halves = [], []
    for track in range(asked.tracks):
        cell = nnx_cell(asked, n + track)
        carry = cell.initialize_carry(steps.shape[1:], nnx.Rngs(0)) if start is None else start[track]
        reverse = asked.direction == "reverse" or track == 1
        carry, half = scan(cell, carry, steps, runs, reverse)
        carries.append(carry)
        halves.append(jnp.moveaxis(half, 0, asked.time_axis))
    return carries, jnp.concatenate(halves, axis=-1)


def loop(asked: Asked) -> Any:
    def scan(cell: Any, carry: Any, steps: Any, runs: Any, reverse: bool) -> tuple[Any, Any]:
        none = jnp.zeros((*steps.shape[1:-1], cell.hidden_features), steps.dtype)
        outputs = [none] * len(steps)
        for t in range(len(steps))[:: -1 if reverse else 1]:
            carry, outputs[t] = step(cell, carry, steps[t], runs[t])
        return carry, jnp.stack(outputs) if outputs else none[None][:0]

    return stack(asked, lambda *given: cell_layer(*given, scan=scan))


def lax_scan(asked: Asked) -> Any:
    """jax.lax.scan in jax.jit, of a cell that nnx.split takes apart and nnx.merge puts together."""

    def scan(cell: Any, carry: Any, steps: Any, runs: Any, reverse: bool) -> tuple[Any, Any]:
        graph, state = nnx.split(cell)

        @jax.jit
        def run(state: Any, carry: Any, steps: Any, runs: Any) -> tuple[Any, Any]:
            return jax.lax.scan(lambda carry, at: step(nnx.merge(graph, state), carry, *at), carry, (steps, runs),
                                reverse=reverse)  # fmt: skip

        return run(state, carry, steps, runs)

    return stack(asked, lambda *given: cell_layer(*given, scan=scan))


def nnx_scan(asked: Asked) -> Any:
    def scan(cell: Any, carry: Any, steps: Any, runs: Any, reverse: bool) -> tuple[Any, Any]:
        over = nnx.scan(lambda carry, cell, x, runs: step(cell, carry, x, runs),
                        in_axes=(nnx.Carry, None, 0, 0), out_axes=(nnx.Carry, 0), reverse=reverse)  # fmt: skip
        return over(carry, cell, steps, runs)

    return stack(asked, lambda *given: cell_layer(*given, scan=scan))


# flax.linen


def linen_cell(asked: Asked, n: int, lstm: Any) -> tuple[Any, Any]:
    """A cell, and its parameters: of a SimpleCell its initialisers give them too.

    A cell with gates has a Dense for each gate and side, below "ir", "hr" and so on. An LSTM cell has its biases on the
    side of h; a GRUCell on that of x, and hn, which the reset gate multiplies, has one of its own.
    """
    kernel, recurrent, bias, *inner = weights(asked, n)
    dtype = jnp.dtype(asked.dtype)
    words: dict[str, Any] = {"dtype": dtype, "param_dtype": dtype}
    if asked.cell == "elman":
        given = {"kernel_init": kernel, "recurrent_kernel_init": recurrent, "bias_init": bias}
        words |= {name: lambda *_, one=one: one for name, one in given.items()}
        cell = linen.SimpleCell(len(recurrent), activation_fn=getattr(linen, asked.nonlinearity), **words)
        return cell, {"cell": {"i": {"kernel": kernel, "bias": bias}, "h": {"kernel": recurrent}}}
    gates, kind = ("rzn", linen.GRUCell) if inner else ("ifgo", lstm)
    sides = {"i": kernel, "h": recurrent}
    parts = {side + gate: {"kernel": part} for side, one in sides.items()
             for gate, part in zip(gates, jnp.split(one, len(gates), axis=-1), strict=True)}  # fmt: skip
    for gate, part in zip(gates, jnp.split(bias, len(gates)), strict=True):
        parts[("i" if inner else "h") + gate]["bias"] = part
    for one in inner:
        r, z, parts["hn"]["bias"] = jnp.split(one, 3)
        parts["ir"]["bias"], parts["iz"]["bias"] = parts["ir"]["bias"] + r, parts["iz"]["bias"] + z
    return kind(len(recurrent), **words), {"cell": parts}


def linen_rnns(asked: Asked, n: int, lstm: Any, **words: Any) -> tuple[list[Any], Any]:
    """The linen.RNN of each track of a layer, and the layer's parameters.  lstm: the cell of an LSTM."""
    cells = [linen_cell(asked, n + track, lstm) for track in range(asked.tracks)]
    parameters = [one for _, one in cells]
    named = dict(zip(("forward_rnn", "backward_rnn"), parameters, strict=False)) if len(cells) == 2 else parameters[0]
    return [linen.RNN(cell, **words) for cell, _ in cells], named


def linen_layers(asked: Asked) -> Any:
    """Each layer applied in jax.jit; it returns its carry."""

    def layer(asked: Asked, n: int, x: Any, start: Any, lengths: Any) -> tuple[Any, Any]:
        rnns, parameters = linen_rnns(asked, n, linen.LSTMCell, time_major=asked.time_first)
        if asked.direction == "bidirectional":
            both = linen.Bidirectional(*rnns, time_major=asked.time_first)
            carries, output = jax.jit(lambda p, x, h, n: both.apply(
                {"params": p}, x, initial_carry=h, seq_lengths=n, return_carry=True))(
                    parameters, x, start and tuple(start), lengths)  # fmt: skip
            return list(carries), output
        words = {"reverse": asked.direction == "reverse", "keep_order": True, "return_carry": True}
        carry, output = jax.jit(lambda p, x, h, n: rnns[0].apply(
            {"params": p}, x, initial_carry=h, seq_lengths=n, **words))(
                parameters, x, start and start[0], lengths)  # fmt: skip
        return [carry], output

    return stack(asked, layer)


def linen_merged(asked: Asked) -> Any:
    """The layers in one linen module: the last adds its halves up. It returns no carry.

    A SimpleCell has its weights of init_with_output. An initialiser is not told for which gate it is called.
    """

    class Layers(linen.Module):
        layers: Any

        def __call__(self, x: Any, h0: Any, lengths: Any) -> list[Any]:
            outputs = []
            for number, layer in enumerate(self.layers):
                start = None if h0 is None else h0[number]
                x = layer(x, initial_carry=start, seq_lengths=lengths, time_major=asked.time_first)
                outputs.append(x)
            return outputs

    layers, parameters, sides = [], {}, asked.tracks
    reverse = asked.direction == "reverse"
    words: dict[str, Any] = {"unroll": 3, "reverse": reverse, "keep_order": reverse, "split_rngs": {"params": True}}
    for n in range(0, len(asked.cells), sides):
        rnns, parameters[f"layers_{len(layers)}"] = linen_rnns(asked, n, linen.OptimizedLSTMCell, **words)
        layers.append(linen.Bidirectional(*rnns, merge_fn=merge_of(asked, n)) if sides == 2 else rnns[0])
    x, h0 = array(asked, asked.x), carries_given(asked)
    starts = h0 and [tuple(h0[n : n + 2]) if sides == 2 else h0[n] for n in range(0, len(h0), sides)]
    lengths = None if asked.lengths is None else jnp.asarray(asked.lengths if x.ndim == 3 else asked.lengths[0])
    if asked.cell == "elman":
        return Layers(layers).init_with_output(jax.random.key(0), x, starts, lengths)[0], []
    return Layers(layers).apply({"params": parameters}, x, starts, lengths), []
