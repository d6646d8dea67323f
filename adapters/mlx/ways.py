"""Ways in which users call MLX' layers, each as they write it: MLX alone. A script holds the text of the one it shows.

layers: of `Layers`.  x: (batch, time, features) or (time, features).  states: of each track the tuple of its initial
states, (h,) or (h, c); None: zeros.  lengths: of each sequence, or None.  Each answers every layer's output, and the
final states of each track.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx import nn


class Layers(nn.Module):
    """Layers above each other, as users write them: MLX' own take one direction, and answer every step's state."""

    def __init__(self, tracks: Any, direction: str) -> None:
        super().__init__()
        self.tracks, self.direction = list(tracks), direction

    def __call__(self, x: Any, states: Any = None, lengths: Any = None, ask: Any = None) -> Any:
        """ask: how one track is asked; `whole` of None."""
        outputs, finals, halves = [], [], 2 if self.direction == "bidirectional" else 1
        for n in range(0, len(self.tracks), halves):
            both = []
            for half, layer in enumerate(self.tracks[n : n + halves]):
                reverse = self.direction == "reverse" or half == 1
                start = (None,) * (2 if isinstance(layer, nn.LSTM) else 1) if states is None else states[n + half]
                output, final = directed(layer, x, start, lengths, reverse, ask or whole)
                both.append(output)
                finals.append(final)
            x = mx.concatenate(both, axis=-1)
            outputs.append(x)
        return outputs, finals


def whole(layer: Any, x: Any, start: Any) -> tuple[Any, ...]:
    """The states at every step: (h,), or (h, c)."""
    found = layer(x, *start)
    return found if isinstance(found, tuple) else (found,)


def directed(layer: Any, x: Any, start: Any, lengths: Any, reverse: bool, ask: Any) -> tuple[Any, tuple[Any, ...]]:
    """The output of a layer that reads each sequence so, and the states where it ends.

    A layer goes on beyond a length, over zeros here: the answer is taken from where the sequence ends.
    """
    steps = x.shape[-2]
    if lengths is None:
        states = ask(layer, x[..., ::-1, :] if reverse else x, start)
        return states[0][..., ::-1, :] if reverse else states[0], tuple(state[..., -1, :] for state in states)
    at, ends = mx.arange(steps), lengths[..., None]
    order = (
        mx.where(at < ends, ends - 1 - at, at)[..., None]
        if reverse
        else mx.broadcast_to(at[:, None], (*x.shape[:-1], 1))
    )
    runs = (at < ends)[..., None]
    states = ask(layer, mx.take_along_axis(mx.where(runs, x, mx.zeros_like(x)), order, axis=-2), start)
    last, some = mx.maximum(ends - 1, 0)[..., None], ends > 0
    finals = []
    for state, before in zip(states, start, strict=True):
        final = mx.take_along_axis(state, last, axis=-2)[..., 0, :]
        finals.append(mx.where(some, final, mx.zeros_like(final) if before is None else before))
    output = mx.take_along_axis(states[0], order, axis=-2)
    return mx.where(runs, output, mx.zeros_like(output)), tuple(finals)


def as_it_is(layers: Any, x: Any, states: Any, lengths: Any) -> Any:
    return layers(x, states, lengths)


def step_by_step(layers: Any, x: Any, states: Any, lengths: Any) -> Any:
    """Each layer is called with one step after another, and handed its states on."""

    def ask(layer: Any, x: Any, start: Any) -> tuple[Any, ...]:
        each = []
        for t in range(x.shape[-2]):
            each.append(whole(layer, x[..., t : t + 1, :], start))
            start = tuple(state[..., 0, :] for state in each[-1])
        return tuple(mx.concatenate(list(several), axis=-2) for several in zip(*each, strict=True))

    return layers(x, states, lengths, ask)


def strided(layers: Any, x: Any, states: Any, lengths: Any) -> Any:
    """x, the states and the weights are views: transposed, and every other of twice as many numbers."""

    def ask(layer: Any, x: Any, start: Any) -> tuple[Any, ...]:
        for name, weight in layer.parameters().items():
            if weight is not None and weight.ndim == 2:
                layer[name] = mx.contiguous(weight.T).T
        x = mx.contiguous(x.swapaxes(-1, -2)).swapaxes(-1, -2)
        return whole(layer, x, tuple(one if one is None else mx.repeat(one, 2, axis=-1)[..., ::2] for one in start))

    return layers(x, states, lengths, ask)


def vmapped(layers: Any, x: Any, states: Any, lengths: Any) -> Any:
    """Each sequence of the batch by itself, by mx.vmap."""

    def ask(layer: Any, x: Any, start: Any) -> tuple[Any, ...]:
        given = [state for state in start if state is not None]
        return mx.vmap(lambda x, *given: whole(layer, x, given or start))(x, *given)

    return layers(x, states, lengths, ask)


def checkpointed(layers: Any, x: Any, states: Any, lengths: Any) -> Any:
    """mx.checkpoint around each layer: a backward pass computes it once more."""

    def ask(layer: Any, x: Any, start: Any) -> tuple[Any, ...]:
        given = [state for state in start if state is not None]

        def call(weights: Any, x: Any, *given: Any) -> tuple[Any, ...]:
            layer.update(weights)
            return whole(layer, x, given or start)

        return tuple(mx.checkpoint(call)({k: v for k, v in layer.parameters().items() if v is not None}, x, *given))

    return layers(x, states, lengths, ask)
