"""The modes of a Flax module: what its users do to it before they call it, or around the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx, serialization

from .read import Answer, every_layer

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


class ModeRunner:
    """A stack and the mode in which it is called. What a mode makes of it is made once, and called for every shape."""

    def __init__(self, stack: Any, mode: str) -> None:
        self.stack, self.mode = stack, mode
        self.called = _saved_and_loaded(stack) if mode == "saved" else stack
        self.differentiated: dict[bool, Callable[..., Any]] = {}  # by whether time comes first: what was compiled

    def __call__(self, *given: Any) -> Answer:
        """What every_layer answers of it, in the mode."""
        return MODES[self.mode](self.called, *given)


def _while_gradients_are_computed(stack: Any, *given: Any) -> Answer:
    def with_loss(stack: Any, *given: Any) -> tuple[Any, Answer]:
        answer = every_layer(stack, *given)
        return answer[0][-1].sum(), answer

    return nnx.grad(with_loss, has_aux=True)(stack, *given)[1]


def _saved_and_loaded(stack: Any) -> Any:
    """A stack of other weights, with the parameters read from bytes of Flax's own serialization."""
    saved = serialization.msgpack_serialize(nnx.to_pure_dict(nnx.state(stack, nnx.Param)))
    other = nnx.clone(stack)
    state = nnx.state(other, nnx.Param)
    nnx.update(other, jax.tree.map(lambda a: jnp.full_like(a, 0.5), state))
    loaded: Any = serialization.msgpack_restore(saved)
    nnx.replace_by_pure_dict(state, loaded)
    nnx.update(other, state)
    return other


# mode -> how a stack is called in it: the arguments and the answer are those of every_layer
MODES: dict[str, Callable[..., Answer]] = {
    "autograd": _while_gradients_are_computed,
    "compiled": nnx.jit(every_layer, static_argnums=4),
    **dict.fromkeys(("eager", "saved", "unrolled", "tf32", "bfloat16_products"), every_layer),
}
