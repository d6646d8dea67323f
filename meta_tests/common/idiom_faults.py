"""Faults that are planted in a framework and show in one idiom alone: what meta_tests/adapters/test_idioms_see.py asks.

A folder of meta_tests/adapters has them in idiom_faults.py: PLANTED, from the word of an idiom to its faults.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import pytest

import adapters

# "flax:linen.RNN:0", the fault that `in_child` plants
CHOSEN = "RNN_PLANTED_IDIOM"


class Planted(NamedTuple):
    """One fault.

    says: what is wrong, as "the mean of both directions is not halved".
    plant: patches the framework itself, or what the idiom passes to it; the adapter is loaded before. The framework is
        named by a string, as in patch.setattr("keras.layers.RNN.call", ...), or found by import_module.
    of: the names of the adapters that have it, where several share a folder; all of these when empty.
    """

    says: str
    plant: Callable[[pytest.MonkeyPatch], None]
    of: tuple[str, ...] = ()


def replaced(where: str, make: Callable[[Any], Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """A fault in a function: make is given the right one.  where: its module and name, as "flax.nnx:RNN.__call__"."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        module, _, path = where.partition(":")
        *parents, name = path.split(".")
        owner = import_module(module)
        for parent in parents:
            owner = getattr(owner, parent)
        patch.setattr(owner, name, make(getattr(owner, name)))

    return plant


def file_of(name: str) -> str:
    """The module that has the planted faults of a known adapter; of one that is loaded by module:Class, its own."""
    known = adapters.KNOWN.get(name)
    return f"meta_tests.adapters.{known[0].split('.')[1]}.idiom_faults" if known else name.partition(":")[0]


def planted_in(name: str) -> Mapping[str, tuple[Planted, ...]]:
    """The planted faults of an adapter's idioms, by their words; none where its folder has no such file."""
    module = file_of(name)
    if find_spec(module.rpartition(".")[0]) is None or find_spec(module) is None:
        return {}
    mine = {word: tuple(one for one in several if not one.of or name in one.of)
            for word, several in import_module(module).PLANTED.items()}  # fmt: skip
    return {word: several for word, several in mine.items() if several}


def in_child() -> adapters.Adapter:
    """The adapter with the fault that CHOSEN names in it: for an idiom that is asked in a process of its own."""
    name, word, index = os.environ[CHOSEN].rsplit(":", 2)
    adapter = adapters.load(name)
    planted_in(name)[word][int(index)].plant(pytest.MonkeyPatch())
    return adapter


def weighted_twice(right: Any) -> Any:
    """Of a function, and whatever it answers beside."""

    def made(function: Any, **words: Any) -> Any:
        def twice(*leaves: Any) -> Any:
            total, beside = function(*leaves)
            return 2 * total, beside

        return right(twice, **words)

    return made


def rounded_by_default(right: Any) -> Any:
    """A cell or a layer of JAX, whose products are of bfloat16 where no precision is set."""

    def call(cell: Any, x: Any, *more: Any, **words: Any) -> Any:
        if import_module("jax").config.jax_default_matmul_precision is None:
            x = x.astype("bfloat16").astype(x.dtype)
        return right(cell, x, *more, **words)

    return call
