"""The modes of a Flax module: what its users do to it before they call it, or around the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx, serialization

from .read import Answer, every_layer

# x, initial carries or None, lengths or None, whether time comes first -> each layer's output, and all final carries
Called = Callable[[Any, Any, Any, bool], Answer]

# mode -> what the layers are built with
BUILT_WITH: dict[str, dict[str, Any]] = {"unrolled": {"unroll": True}}
LACKING = {
    "inference": "JAX computes gradients only where it is asked for them: its every call is without",
    "train": "nnx.RNN computes the same in training",
    "dropout": "nnx.RNN has no dropout",
    "scripted": "JAX compiles no source",
    "traced": "JAX traces what it compiles",
    "exported": "the adapter does not export Flax modules",
    "functional": "Flax has one kind of module",
    "predict": "Flax has nothing of the kind",
    "sequential": "nnx.Sequential hands no carries and no lengths on to its layers",
    "mixed": "the adapter keeps parameters in the dtype that is computed in",
    "deterministic": "JAX has no such setting",
    "moved": "a Flax module stays where it was built",
    "fallback": "nnx.RNN uses no kernel of cuDNN",
}


# JAX' words for the products of float32 in a mode; "highest" in all others, for IEEE float32
PRECISIONS = {"tf32": "tensorfloat32", "bfloat16_products": "bfloat16"}


class InMode:
    """A stack, and how it is called. What is made of it once is kept, and called for every shape."""

    def __init__(self, stack: Any, mode: str) -> None:
        self.stack, self.mode = stack, mode
        self.every_layer = MODES[mode](stack)


def _with_loss(stack: Any, x: Any, carries: Any, lengths: Any, time_major: bool) -> tuple[Any, Answer]:
    answer = every_layer(stack, x, carries, lengths, time_major)
    return answer[0][-1].sum(), answer


_compiled = nnx.jit(every_layer, static_argnums=4)
_gradient = nnx.grad(_with_loss, has_aux=True)


def _of(called: Callable[..., Any]) -> Callable[[Any], Called]:
    return lambda stack: lambda *given: called(stack, *given)


def _saved(stack: Any) -> Called:
    """The parameters as bytes of Flax's own serialization, read into a stack of other weights."""
    saved = serialization.msgpack_serialize(nnx.to_pure_dict(nnx.state(stack, nnx.Param)))
    other = nnx.clone(stack)
    state = nnx.state(other, nnx.Param)
    nnx.update(other, jax.tree.map(lambda a: jnp.full_like(a, 0.5), state))
    loaded: Any = serialization.msgpack_restore(saved)
    nnx.replace_by_pure_dict(state, loaded)
    nnx.update(other, state)
    return _of(every_layer)(other)


MODES: dict[str, Callable[[Any], Called]] = {
    "autograd": _of(lambda *given: _gradient(*given)[1]),
    "saved": _saved,
    "compiled": _of(_compiled),
    "unrolled": _of(every_layer),
    "tf32": _of(every_layer),
    "bfloat16_products": _of(every_layer),
}
