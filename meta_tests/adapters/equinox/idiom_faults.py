"""Faults planted in Equinox and JAX that show in one idiom, and not in run."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from meta_tests.common.idiom_faults import Planted, replaced, rounded_by_default, weighted_twice


def mapped(change: Any) -> Any:
    """A function of JAX's trees, of each array."""
    return lambda tree: import_module("jax").tree.map(change, tree)


def first_sequence(right: Any) -> Any:
    def filter_vmap(function: Any, **words: Any) -> Any:
        call = right(function, **words)
        if words.get("in_axes", ())[:1] not in ((0,), (1,)):
            return call
        return lambda x, *more: call(x * 0 + (x[:1] if words["in_axes"][0] == 0 else x[:, :1]), *more)

    return filter_vmap


def without_state(right: Any) -> Any:
    def filter_vmap(function: Any, **words: Any) -> Any:
        call = right(function, **words)
        return call if words else lambda x, state: call(x, mapped(lambda a: a * 0)(state))

    return filter_vmap


def first_model(right: Any) -> Any:
    def filter_vmap(function: Any, **words: Any) -> Any:
        call = right(function, **words)
        if not callable(words.get("in_axes", (0,))[0]):
            return call
        return lambda both, *more: call(mapped(lambda a: a[:1].repeat(2, 0))(both), *more)

    return filter_vmap


def larger_without_outputs(right: Any) -> Any:
    def scan(*given: Any, **words: Any) -> Any:
        final, outputs = right(*given, **words)
        return (final if outputs is not None else mapped(lambda a: a * 1.25)(final)), outputs

    return scan


def as_called_first(right: Any) -> Any:
    """eqx.filter_jit keeps the arguments of its first call."""

    def filter_jit(function: Any) -> Any:
        first: list[Any] = []

        def call(*given: Any) -> Any:
            first.append(given)
            return function(*first[0])

        return call

    return filter_jit


NEGATED = Planted("combine negates the weights", replaced(
    "equinox:combine", lambda right: lambda *parts: mapped(lambda a: -a)(right(*parts))))  # fmt: skip
PLANTED = {
    "without x64": (Planted("products are of bfloat16 by default",
                            replaced("equinox.nn:GRUCell.__call__", rounded_by_default)),),
    "filter_vmap": (Planted("every sequence is the first", replaced("equinox:filter_vmap", first_sequence)),),
    "partition": (NEGATED,),
    "final state": (Planted("a scan without outputs answers another state",
                            replaced("jax.lax:scan", larger_without_outputs)),),
    "jacfwd": (Planted("jax.jacfwd answers twice the gradients", replaced("jax:jacfwd", weighted_twice)),),
    "differentiated twice": (Planted("jax.grad answers twice the gradients", replaced("jax:grad", weighted_twice)),),
    "loop": (Planted("filter_vmap drops the state of a cell", replaced("equinox:filter_vmap", without_state)),),
    "jitted step": (Planted("filter_jit keeps the arguments of its first call",
                            replaced("equinox:filter_jit", as_called_first)),),
    "checkpoint": (Planted("what is computed once more is larger", replaced(
        "equinox:filter_checkpoint", lambda right: lambda cell: lambda *given: mapped(lambda a: a * 1.25)(
            right(cell)(*given)))),),
    "ensemble": (Planted("all models have the weights of the first", replaced("equinox:filter_vmap", first_model)),),
    "over layers": (NEGATED,),
}  # fmt: skip
