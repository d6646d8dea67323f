"""Ways in which users call Equinox' cells, each as they write it: Equinox, JAX and NumPy, and ../jax/asked.py.

A cell takes one step of one sequence: the loop over time, the batch, and layers above each other are their user's. A
script for a bug report has the source of one of these functions, and of all that it calls, in it.
"""

from __future__ import annotations

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..jax.asked import Asked, array


def scanned(cell: Any, start: Any, x: Any, length: Any, reverse: bool, unroll: bool = False) -> tuple[Any, Any]:
    """A sequence (time, features) in jax.lax.scan: the final state, and h at each step.

    length: how many steps count; all of None. The scan goes on beyond them, over zeros: the final state is taken from
    where the sequence ends. In reverse these steps are turned first, and their h turned back.
    """

    def step(state: Any, at: Any) -> tuple[Any, Any]:
        state = cell(at, state)
        return state, state

    if length is None or not len(x):
        final, states = jax.lax.scan(step, start, x, reverse=reverse, unroll=unroll)
        return final, states[0] if isinstance(states, tuple) else states
    at = jnp.arange(len(x))
    order, runs = (length - 1 - at) % len(x) if reverse else at, (at < length)[:, None]
    _, states = jax.lax.scan(step, start, jnp.where(runs, x, 0)[order], unroll=unroll)
    final = jax.tree.map(lambda state, before: jnp.where(length > 0, state[length - 1], before), states, start)
    h = states[0] if isinstance(states, tuple) else states
    return final, jnp.where(runs, h[order], 0)


def zeros(cell: Any) -> Any:
    """The state before any step; of an LSTMCell the pair (h, c)."""
    state = jnp.zeros(cell.hidden_size, cell.weight_hh.dtype)
    return (state, state) if isinstance(cell, eqx.nn.LSTMCell) else state


class Layers(eqx.Module):
    """Layers of cells above each other, as users write a module: called with one sequence (time, features)."""

    cells: list[Any]
    direction: str = eqx.field(static=True)
    unroll: bool = eqx.field(static=True, default=False)

    def __call__(
        self, x: Any, starts: Any = None, length: Any = None, scan: Any = scanned
    ) -> tuple[list[Any], list[Any]]:
        """The output of each layer, and the final state of each cell.  starts: the states before; zeros of None."""
        outputs, finals, tracks = [], [], 2 if self.direction == "bidirectional" else 1
        for n in range(0, len(self.cells), tracks):
            halves = []
            for track, cell in enumerate(self.cells[n : n + tracks]):
                start = zeros(cell) if starts is None else starts[n + track]
                reverse = self.direction == "reverse" or track == 1
                final, half = scan(cell, start, x, length, reverse, self.unroll)
                finals.append(final)
                halves.append(half)
            x = jnp.concatenate(halves, axis=-1)
            outputs.append(x)
        return outputs, finals


def batched(layers: Any, x: Any, starts: Any = None, lengths: Any = None, time_first: bool = False) -> Any:
    """Layers of a batch by jax.vmap; of a sequence alone as they are.  lengths: of each sequence, or None."""
    if x.ndim == 2:
        return layers(x, starts, lengths)
    batch = 1 if time_first else 0
    return jax.vmap(layers, in_axes=(batch, 0, 0), out_axes=(batch, 0))(x, starts, lengths)


def filled(cell: Any, arrays: dict[str, Any]) -> Any:
    """A cell that is made as it comes, with these weights in the place of its own."""
    return eqx.tree_at(lambda cell: [getattr(cell, name) for name in arrays], cell, [*arrays.values()])


def cell_of(asked: Asked, n: int) -> Any:
    """A cell of a track's weights; of a GRUCell the reset gate multiplies bias_n, and `bias` has the other biases."""
    w_ih, w_hh, *biases = (array(asked, one) for one in asked.cells[n])
    kind, units = {"gru": eqx.nn.GRUCell, "lstm": eqx.nn.LSTMCell}[asked.cell], w_hh.shape[1]
    cell = kind(w_ih.shape[1], units, use_bias=bool(biases), key=jax.random.key(0))
    arrays = {"weight_ih": w_ih, "weight_hh": w_hh}
    if biases and asked.cell == "gru":
        arrays["bias"] = biases[0].at[: 2 * units].add(biases[1][: 2 * units])
        arrays["bias_n"] = biases[1][2 * units :]
    elif biases:
        arrays["bias"] = biases[0] + biases[1]
    return filled(cell, arrays)


def given(asked: Asked) -> tuple[Any, Any, Any, Any]:
    """The layers, x, the initial states, each an array or of an LSTM the pair (h, c), and the lengths: or None."""
    layers = Layers([cell_of(asked, n) for n in range(len(asked.cells))], asked.direction)
    h0 = jax.tree.map(lambda state: array(asked, state), asked.h0)
    starts = None if h0 is None else [*zip(*h0, strict=True)] if asked.cell == "lstm" else [*h0]
    lengths = None if asked.lengths is None else jnp.asarray(asked.lengths if asked.x.ndim == 3 else asked.lengths[0])
    return layers, array(asked, asked.x), starts, lengths


def vmapped(asked: Asked) -> Any:
    return batched(*given(asked), time_first=asked.time_first)


def filter_vmapped(asked: Asked) -> Any:
    """eqx.filter_vmap in eqx.filter_jit."""
    layers, x, *others = given(asked)
    if x.ndim == 2:
        return eqx.filter_jit(layers)(x, *others)
    batch = 1 if asked.time_first else 0
    return eqx.filter_jit(eqx.filter_vmap(layers, in_axes=(batch, 0, 0), out_axes=(batch, 0)))(x, *others)


def partitioned(asked: Asked) -> Any:
    """jax.jit of the arrays of the layers, which eqx.combine puts together again."""
    layers, *asked_of = given(asked)
    arrays, others = eqx.partition(layers, eqx.is_array)
    call = jax.jit(lambda arrays, *given: batched(eqx.combine(arrays, others), *given, time_first=asked.time_first))
    return call(arrays, *asked_of)


def final_state(asked: Asked) -> Any:
    """As the documentation's example has it: the last layer's scan puts no output together."""
    layers, *asked_of = given(asked)

    def last(layers: Any, x: Any, starts: Any, _: None) -> tuple[list[Any], list[Any]]:
        below = len(layers.cells) - asked.tracks
        outputs, finals = Layers(layers.cells[:below], asked.direction)(x, starts and starts[:below])
        for n, cell in enumerate(layers.cells[below:]):
            start = zeros(cell) if starts is None else starts[below + n]
            final, _ = jax.lax.scan(lambda state, at, cell=cell: (cell(at, state), None), start, [x, *outputs][-1],
                                    reverse=asked.direction == "reverse" or n == 1)  # fmt: skip
            finals.append(final)
        return [], finals

    return eqx.filter_jit(batched)(functools.partial(last, layers), *asked_of, time_first=asked.time_first)


def looped(asked: Asked, compiled: Any = lambda cell: cell) -> Any:
    """The cell in a loop of Python over the batch's steps.  compiled: what is made of a cell before it is called."""
    layers, x, starts, _ = given(asked)
    steps, single = jnp.moveaxis(x, asked.time_axis, 0), x.ndim == 2

    def scan(cell: Any, state: Any, x: Any, _: None, reverse: bool, unroll: bool) -> tuple[Any, Any]:
        call, h = (
            compiled(cell if single else eqx.filter_vmap(cell)),
            [jnp.zeros((*x.shape[1:-1], cell.hidden_size), x.dtype)],
        )
        state = state if single or starts else jax.tree.map(lambda one: jnp.tile(one, (x.shape[1], 1)), state)
        hs = h * len(x)
        for t in range(len(x))[:: -1 if reverse else 1]:
            state = call(x[t], state)
            hs[t] = state[0] if isinstance(state, tuple) else state
        return state, jnp.stack(hs) if hs else jnp.stack(h)[:0]

    outputs, finals = layers(steps, starts, None, scan)
    return [jnp.moveaxis(one, 0, asked.time_axis) for one in outputs], finals


def looped_jit(asked: Asked) -> Any:
    """The same, each step in eqx.filter_jit."""
    return looped(asked, eqx.filter_jit)


def checkpointed(asked: Asked) -> Any:
    """eqx.filter_checkpoint around the cell: a backward pass computes each step once more."""
    layers, *asked_of = given(asked)

    def scan(cell: Any, *given: Any) -> tuple[Any, Any]:
        return scanned(eqx.filter_checkpoint(cell), *given)

    return batched(lambda *given: layers(*given, scan), *asked_of, time_first=asked.time_first)


def ensemble(asked: Asked) -> Any:
    """eqx.filter_vmap over two models: one has the weights, and the one before it their negatives."""
    layers, *asked_of = given(asked)
    others = jax.tree.map(lambda a: -a, layers)
    both = jax.tree.map(lambda *pair: jnp.stack(pair), others, layers)
    call = eqx.filter_vmap(batched, in_axes=(eqx.if_array(0), None, None, None, None))
    return jax.tree.map(lambda one: one[1], call(both, *asked_of, asked.time_first))


def over_layers(asked: Asked) -> Any:
    """jax.lax.scan over layers, to compile one of them: those above the first have weights of the same shapes."""
    layers, *asked_of = given(asked)
    first, *above = (layers.cells[n : n + asked.tracks] for n in range(0, len(layers.cells), asked.tracks))

    def call(layers: Any, x: Any, starts: Any, length: Any) -> tuple[list[Any], list[Any]]:
        starts = [zeros(cell) for cell in layers.cells] if starts is None else starts
        (output,), finals = Layers(first, asked.direction)(x, starts[: asked.tracks], length)
        if not above:
            return [output], finals
        several = [starts[n : n + asked.tracks] for n in range(asked.tracks, len(starts), asked.tracks)]
        arrays, others = eqx.partition(jax.tree.map(lambda *a: jnp.stack(a), *above), eqx.is_array)

        def layer(x: Any, given: Any) -> tuple[Any, Any]:
            outputs, final = Layers(eqx.combine(given[0], others), asked.direction)(x, given[1], length)
            return outputs[0], (outputs[0], final)

        _, (rest, states) = jax.lax.scan(layer, output, (arrays, jax.tree.map(lambda *a: jnp.stack(a), *several)))
        more = [jax.tree.map(lambda one, n=n: one[n], states) for n in range(len(above))]
        return [output, *rest], [*finals, *(state for one in more for state in one)]

    return batched(functools.partial(call, layers), *asked_of, time_first=asked.time_first)
