"""Faults planted in Flax and JAX that show in one idiom, and not in run."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from threading import Lock, current_thread, main_thread
from typing import Any

import pytest

from meta_tests.common.idiom_faults import Planted, replaced, rounded_by_default, weighted_twice

Patch = pytest.MonkeyPatch


def default(word: str, dtype: str) -> Callable[[Patch], None]:
    """SimpleCell has another default dtype."""
    return lambda patch: patch.setitem(import_module("flax.nnx").SimpleCell.__init__.__kwdefaults__, word, dtype)


def kept(right: Any) -> Any:
    def setattr_(module: Any, name: str, value: Any) -> None:
        if name != "kernel" or name not in vars(module):
            right(module, name, value)

    return setattr_


def subtracted(right: Any) -> Any:
    def init(both: Any, *rnns: Any, **words: Any) -> None:
        right(both, *rnns, **words | ({"merge_fn": lambda a, b: a - b} if "merge_fn" in words else {}))

    return init


def endless_without_carry(right: Any) -> Any:
    def call(rnn: Any, inputs: Any, *, return_carry: Any = None, **words: Any) -> Any:
        given = words if return_carry or rnn.return_carry else words | {"seq_lengths": None}
        return right(rnn, inputs, return_carry=return_carry, **given)

    return call


def forward_without_order(right: Any) -> Any:
    def call(rnn: Any, inputs: Any, *, keep_order: Any = None, **words: Any) -> Any:
        turned = {} if keep_order or rnn.keep_order else {"reverse": False}
        return right(rnn, inputs, keep_order=keep_order, **words | turned)

    return call


def carry_dropped_outside_of_traces(right: Any) -> Any:
    def call(cell: Any, carry: Any, inputs: Any) -> Any:
        traced = isinstance(inputs, import_module("jax").core.Tracer)
        return right(cell, carry if traced else carry * 0, inputs)

    return call


def first_for_all(right: Any) -> Any:
    def vmap(function: Any, in_axes: Any = 0, *more: Any, **words: Any) -> Any:
        mapped = right(function, in_axes, *more, **words)
        if in_axes != (None, 0, 0, 0):
            return mapped
        return lambda state, x, *others: mapped(state, x * 0 + x[:1], *others)

    return vmap


def negated(right: Any) -> Any:
    def split(node: Any) -> Any:
        graph, state = right(node)
        return graph, import_module("jax").tree.map(lambda array: -array, state)

    return split


def order_kept(right: Any) -> Any:
    def call(rnn: Any, inputs: Any, **words: Any) -> Any:
        return right(rnn, inputs, **words | {"keep_order": True})

    return call


def wrong_axis(right: Any) -> Any:
    def flipped(inputs: Any, seq_lengths: Any, num_batch_dims: int, time_major: bool) -> Any:
        return right(inputs, seq_lengths, num_batch_dims, time_major or num_batch_dims == 2)

    return flipped


def last_layer_alone(right: Any) -> Any:
    return lambda layers, *given: [layer(*given) for layer in layers.layers][-1] * 2


def as_called_first(right: Any) -> Any:
    """nnx.jit keeps the weights of its first call."""

    def jit(function: Any) -> Any:
        first: list[Any] = []

        def call(model: Any, *given: Any) -> Any:
            nnx: Any = import_module("flax.nnx")
            first.append(nnx.clone(model))
            return function(first[0], *given)

        return call

    return jit


def one_by_one(right: Any) -> Any:
    """No fault: nnx.jit with a lock, by which threads call one after another."""

    def jit(function: Any) -> Any:
        called, lock = right(function), Lock()

        def call(*given: Any) -> Any:
            with lock:
                return called(*given)

        return call

    return jit


def main_thread_alone(right: Any) -> Any:
    def jit(function: Any) -> Any:
        called = one_by_one(right)(function)
        return lambda model, x, *given: called(model, x * (current_thread() is main_thread()), *given)

    return jit


def first_of_all(right: Any) -> Any:
    def vmap(function: Any, **words: Any) -> Any:
        mapped = right(function, **words)

        def call(modules: Any, *given: Any) -> Any:
            nnx: Any = import_module("flax.nnx")
            first = import_module("jax").tree.map(lambda a: a[:1].repeat(len(a), 0), nnx.state(modules))
            nnx.update(modules, first)
            return mapped(modules, *given)

        return call

    return vmap


def halves_swapped(right: Any) -> Any:
    def init(both: Any, *rnns: Any, **words: Any) -> None:
        merge = words.get("merge_fn")
        right(both, *rnns, **words | ({"merge_fn": lambda a, b: merge(b, a)} if merge else {}))

    return init


def of_one_half(right: Any) -> Any:
    """While its parameters are made, a layer calls its forward half for both."""

    def call(both: Any, inputs: Any, **words: Any) -> Any:
        if both.is_initializing():
            object.__setattr__(both, "backward_rnn", both.forward_rnn)
        return right(both, inputs, **words)

    return call


SET_LATER = Planted("weights that are set on a layer that was made are dropped",
                    replaced("flax.nnx:Linear.__setattr__", kept))  # fmt: skip
PLANTED = {
    "as it comes": (SET_LATER,),
    "without dtype": (SET_LATER, Planted("the default dtype is float16", default("dtype", "float16"))),
    "without param_dtype": (SET_LATER,
                            Planted("the default param_dtype is float16", default("param_dtype", "float16"))),
    "without x64": (Planted("products are of bfloat16 by default",
                            replaced("flax.nnx:Linear.__call__", rounded_by_default)),),
    "merged": (Planted("a merge_fn of the user's is another", replaced("flax.nnx:Bidirectional.__init__", subtracted)),
               Planted("a merge_fn of the user's has its halves swapped",
                       replaced("flax.nnx:Bidirectional.__init__", halves_swapped)),
               Planted("without return_carry the lengths are ignored",
                       replaced("flax.nnx:RNN.__call__", endless_without_carry))),
    "carry alone": (Planted("without keep_order reverse is ignored",
                            replaced("flax.nnx:RNN.__call__", forward_without_order)),),
    "newest first": (Planted("the order of time is kept", replaced("flax.nnx:RNN.__call__", order_kept)),),
    "axes of batch": (Planted("of two axes of batch the first is flipped",
                              replaced("flax.nnx.nn.recurrent:flip_sequences", wrong_axis)),),
    "Sequential": (Planted("only the last layer is called", replaced("flax.nnx:Sequential.__call__", last_layer_alone)),
                   Planted("nnx.jit keeps the weights of its first call", replaced("flax.nnx:jit", as_called_first))),
    "ensemble": (Planted("all modules have the weights of the first", replaced("flax.nnx:vmap", first_of_all)),),
    "vmap": (Planted("every sequence is the first", replaced("jax:vmap", first_for_all)),),
    "loop": (Planted("a cell that is not traced drops its carry",
                     replaced("flax.nnx:SimpleCell.__call__", carry_dropped_outside_of_traces)),),
    "in threads": (Planted("x is zeros outside of the main thread", replaced("flax.nnx:jit", main_thread_alone)),),
    "jacfwd": (Planted("jax.jacfwd answers twice the gradients", replaced("jax:jacfwd", weighted_twice)),),
    "differentiated twice": (Planted("jax.grad answers twice the gradients", replaced("jax:grad", weighted_twice)),),
    "lax.scan": (Planted("split negates the weights", replaced("flax.nnx:split", negated)),),
    "nnx.scan": (Planted("nnx.scan ignores reverse", replaced(
        "flax.nnx:scan", lambda right: lambda step, *, reverse, **words: right(step, **words))),),
    "linen": (Planted("initial carries are dropped", replaced("flax.linen:RNN.__call__", lambda right: (
        lambda rnn, x, **words: right(rnn, x, **words | {"initial_carry": None})))),),
    "linen merged": (Planted("while parameters are made a layer calls its forward half for both",
                             replaced("flax.linen:Bidirectional.__call__", of_one_half)),
                     Planted("without return_carry the lengths are ignored",
                             replaced("flax.linen:RNN.__call__", endless_without_carry)),),
}  # fmt: skip
