"""Faults planted in MLX that show in one idiom, and not in run."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from meta_tests.common.idiom_faults import Planted, replaced


def rounded(right: Any) -> Any:
    def given(array: Any) -> Any:
        found = right(array)
        return found.astype(import_module("mlx.core").bfloat16).astype(found.dtype)

    return given


def without_hidden(right: Any) -> Any:
    def call(layer: Any, x: Any, hidden: Any = None) -> Any:
        return right(layer, x, None if x.shape[-2] == 1 else hidden)

    return call


def rolled(right: Any) -> Any:
    return lambda array, *more, **words: import_module("mlx.core").roll(right(array, *more, **words), 1, -1)


def first_sequence(right: Any) -> Any:
    def vmap(function: Any) -> Any:
        return lambda x, *more: right(function)(x * 0 + x[:1], *more)

    return vmap


def larger(right: Any) -> Any:
    return lambda function: lambda *given: [one * 1.25 for one in right(function)(*given)]


def larger_ones(right: Any) -> Any:
    return lambda *given, **words: 2 * right(*given, **words)


PLANTED = {
    "as it comes": (Planted("mx.array rounds to bfloat16", replaced("adapters.mlx.idioms:as_it_comes", rounded)),),
    "step by step": (Planted("of one step the hidden state is dropped",
                             replaced("mlx.nn:RNN.__call__", without_hidden)),),
    "strided": (Planted("of twice as many numbers the wrong half is read", replaced("mlx.core:repeat", rolled)),),
    "vmap": (Planted("every sequence is the first", replaced("mlx.core:vmap", first_sequence)),),
    "checkpoint": (Planted("what is computed once more is larger", replaced("mlx.core:checkpoint", larger)),),
    "differentiated twice": (Planted("mlx.core.ones is doubled", replaced("mlx.core:ones", larger_ones)),),
}  # fmt: skip
