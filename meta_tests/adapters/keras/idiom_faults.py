"""Faults planted in Keras that show in one idiom, and not in run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from meta_tests.common.idiom_faults import Planted

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]


def changed(where: str, make: Callable[[Any], Any]) -> Plant:
    """A fault in a method or function, by the name that its users have for it: make is given the right one."""

    def plant(patch: Patch) -> None:
        *path, name = where.split(".")
        owner = import_module("keras")
        for parent in path:
            owner = getattr(owner, parent)
        right = getattr(owner, name)
        patch.setattr(owner, name, functools.wraps(right)(make(right)))

    return plant


def first_of(answer: Any, change: Callable[[Any], Any]) -> Any:
    """An answer whose first array is changed: where states come with an output, the output."""
    return (change(answer[0]), *answer[1:]) if isinstance(answer, (list, tuple)) else change(answer)


def spoilt(layer: str, there: Callable[[Any], bool], change: Callable[[Any], Any] = lambda output: -output) -> Plant:
    """The output of a kind of layer is changed where something is true of it."""

    def make(right: Any) -> Any:
        def call(self: Any, *given: Any, **words: Any) -> Any:
            answer = right(self, *given, **words)
            return first_of(answer, change) if there(self) else answer

        return call

    return changed(f"layers.{layer}.call", make)


def merge(mode: str | None) -> Callable[[Any], bool]:
    return lambda layer: layer.merge_mode == mode


def one_cell_in_the_layer(layer: Any) -> bool:
    return type(layer).__name__ == "RNN"


def several_cells(layer: Any) -> bool:
    return type(layer.cell).__name__ == "StackedRNNCells"


def zeros_where_held(right: Any) -> Any:
    def call(self: Any, *given: Any, **words: Any) -> Any:
        self.zero_output_for_mask = True
        return right(self, *given, **words)

    return call


def state_lost(right: Any) -> Any:
    def call(self: Any, *given: Any, **words: Any) -> Any:
        answer = right(self, *given, **words)
        if self.stateful and self.states is not None:
            self.reset_state()
        return answer

    return call


def final_states_lost(right: Any) -> Any:
    def call(self: Any, *given: Any, **words: Any) -> Any:
        answer = right(self, *given, **words)
        lost = self.return_state and not self.return_sequences
        return (answer[0], *(state * 0 for state in answer[1:])) if lost else answer

    return call


def turned(right: Any) -> Any:
    def init(self: Any, cell: Any, *given: Any, **words: Any) -> None:
        several = isinstance(cell, (list, tuple))
        right(self, cell, *given, **words | ({"go_backwards": not words.get("go_backwards")} if several else {}))

    return init


def only_given_initialisers(layer: Any) -> bool:
    return type(layer.cell.recurrent_initializer).__name__.startswith("Orthogonal")


def without_mask(right: Any) -> Any:
    return lambda self, *given, **words: right(self, *given, **words | {"mask": None})


def another_mask_value(right: Any) -> Any:
    def init(self: Any, mask_value: float = 0.0, **words: Any) -> None:
        right(self, mask_value=mask_value + 1, **words)

    return init


def rounded(right: Any) -> Any:
    def predict(self: Any, x: Any, *given: Any, **words: Any) -> Any:
        return right(self, x.astype("float16").astype(x.dtype) * 0, *given, **words)

    return predict


def averaged_beside_an_own_layer(right: Any) -> Any:
    def init(self: Any, layer: Any, merge_mode: Any = "concat", backward_layer: Any = None, **words: Any) -> None:
        right(self, layer, merge_mode, backward_layer=backward_layer, **words)
        self.merge_mode = merge_mode if backward_layer is None else "ave"

    return init


def of_float16(right: Any) -> Any:
    return lambda policy: right("float16" if isinstance(policy, str) else policy)


def refused(right: Any) -> Any:
    def set_floatx(value: str) -> None:
        if value == "bfloat16":
            raise ValueError("bfloat16")
        right(value)

    return set_floatx


def start_dropped(patch: Patch) -> None:
    jax = import_module("jax")
    jacfwd = jax.jacfwd

    def wrong(function: Any, **words: Any) -> Any:
        def of(leaves: Any) -> Any:
            (x, start, *rest), beside = jacfwd(function, **words)(leaves)
            return [x, 0 * start, *rest], beside

        return of

    patch.setattr(jax, "jacfwd", wrong)


def first_for_all(right: Any) -> Any:
    def call(self: Any, inputs: Any, *given: Any, **words: Any) -> Any:
        return right(self, inputs * 0 + inputs[:, :1], *given, **words)

    return call


def of_doubled_weights(right: Any) -> Any:
    def export(self: Any, *given: Any, **words: Any) -> Any:
        self.set_weights([2 * weight for weight in self.get_weights()])
        return right(self, *given, **words)

    return export


hands_no_mask_on = changed("layers.RNN.compute_mask", lambda right: lambda self, *_: None)

EXPORTED = ("SavedModel", "ONNX", "ONNX of any length", "OpenVINO", "OpenVINO of any length",
            "exported program", "exported program of any batch")  # fmt: skip
PLANTED = {
    **dict.fromkeys(EXPORTED, (Planted("Model.export doubles the weights",
                                       changed("Model.export", of_doubled_weights)),)),
    "sequences alone": (Planted("without return_state a sequence is negated", spoilt(
        "RNN", lambda layer: layer.return_sequences and not layer.return_state)),
                        Planted("a layer hands no mask on", hands_no_mask_on)),
    "last output": (Planted("without return_sequences the output is negated", spoilt(
        "RNN", lambda layer: not layer.return_sequences)),),
    "last output and states": (Planted("without return_sequences the states are zero",
                                       changed("layers.RNN.call", final_states_lost)),),
    "held": (Planted("masked steps answer zero, whatever is asked", changed("layers.RNN.call", zeros_where_held)),),
    "as it comes": (Planted("of a default initialiser the output is negated",
                            spoilt("SimpleRNN", only_given_initialisers)),),
    "unrolled to the last output": (Planted("an unrolled layer negates its last output", spoilt(
        "RNN", lambda layer: layer.unroll and not layer.return_sequences)),),
    "sequential without input": (Planted("a sequential model drops the mask", changed("Sequential.call", without_mask)),
                                 Planted("a sequential model negates", changed("Sequential.call", lambda right: (
                                     lambda *given, **words: -right(*given, **words)))),),
    "mask handed on": (Planted("a layer hands no mask on", changed("layers.RNN.compute_mask", lambda right: (
        lambda self, *_: [None, *[None] * len(self.state_size)] if self.return_state else None))),),
    "turned once": (Planted("a layer hands no mask on", hands_no_mask_on),),
    "Masking": (Planted("another number is masked", changed("layers.Masking.__init__", another_mask_value)),),
    "Embedding": (Planted("the token 0 is not masked", changed("layers.Embedding.compute_mask", lambda right: (
        lambda self, *_: None))),),
    "stateful": (Planted("states are not kept", changed("layers.RNN.call", state_lost)),),
    "reset": (Planted("reset_state does nothing", changed("layers.RNN.reset_state", lambda right: lambda self: None)),),
    "stateful predict": (Planted("predict is of zeros", changed("Model.predict", rounded)),),
    "list of cells": (Planted("a list of cells turns go_backwards", changed("layers.RNN.__init__", turned)),
                      Planted("stacked cells negate", spoilt("RNN", one_cell_in_the_layer))),
    "last output of cells": (Planted("the last output of stacked cells is negated", spoilt(
        "RNN", lambda layer: several_cells(layer) and not layer.return_sequences)),),
    "stacked cells": (Planted("the output of stacked cells is negated", spoilt("RNN", several_cells)),),
    "RNN in forward mode": (Planted("jax.jacfwd answers no gradient by the initial states", start_dropped),),
    "differentiated twice": (Planted("keras.ops.sum is doubled", changed("ops.sum", lambda right: (
        lambda *given, **words: 2 * right(*given, **words)))),),
    "RNN of a cell": (Planted("a layer of a cell negates", spoilt("RNN", one_cell_in_the_layer)),),
    "halves added": (Planted("the sum is negated", spoilt("Bidirectional", merge("sum"))),),
    "halves multiplied": (Planted("the product is negated", spoilt("Bidirectional", merge("mul"))),),
    "halves averaged": (Planted("the mean is not halved", spoilt("Bidirectional", merge("ave"), lambda y: y * 2)),),
    "two outputs": (Planted("the first of two outputs is negated", spoilt("Bidirectional", merge(None))),),
    "own backward layer": (Planted("with a backward layer of one's own the halves are averaged",
                                   changed("layers.Bidirectional.__init__", averaged_beside_an_own_layer)),),
    "dtype inside": (Planted("halves of another dtype are negated", spoilt(
        "Bidirectional", lambda layer: layer.dtype_policy.name != layer.forward_layer.dtype_policy.name)),),
    "dtype policy": (Planted("every policy is float16", changed("config.set_dtype_policy", of_float16)),),
    "floatx": (Planted("set_floatx takes no bfloat16", changed("config.set_floatx", refused)),),
    "TimeDistributed": (Planted("every sequence is the first", changed("layers.TimeDistributed.call", first_for_all)),),
    "TimeDistributed predict": (Planted("predict is of zeros", changed("Model.predict", rounded)),),
}  # fmt: skip
