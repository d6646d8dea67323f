"""Faults of TensorFlow's converter, Keras and LiteRT that one idiom alone shows: another exception than their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import pytest

from meta_tests.common.idiom_faults import Planted


def fails(module: str, owner: str, method: str, where: Callable[..., bool]) -> Callable[[pytest.MonkeyPatch], None]:
    """A method, or a class method, raises where it is called so."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        kind = import_module(module)
        for name in owner.split("."):
            kind = getattr(kind, name)
        called = getattr(kind, method)

        def call(*given: Any, **words: Any) -> Any:
            if where(*given, **words):
                raise ZeroDivisionError(method)
            return called(*given, **words)

        patch.setattr(kind, method, call)

    return plant


def always(*given: Any, **words: Any) -> bool:
    return True


def with_its_model(functions: Any, model: Any = None) -> bool:
    return model is not None


def unrolled(self: Any, *given: Any, **words: Any) -> bool:
    return bool(words.get("unroll"))


def asked_again(self: Any) -> bool:
    self.calls = getattr(self, "calls", 0) + 1
    return self.calls > 1


def resolved(kind: str) -> Callable[..., bool]:
    def where(self: Any, *given: Any, **words: Any) -> bool:
        return getattr(words.get("experimental_op_resolver_type"), "name", "") == kind

    return where


def without_states(self: Any, *given: Any, **words: Any) -> bool:
    return not words.get("return_state")


def time_first(self: Any, *given: Any, **words: Any) -> bool:
    return bool(words.get("time_major"))


def never_set_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("ai_edge_litert.interpreter.Interpreter.reset_all_variables", lambda self: None)


CONVERTER = ("tensorflow", "lite.TFLiteConverter")
INTERPRETER = ("ai_edge_litert.interpreter", "Interpreter")
OLD_LSTM = ("tf_keras", "layers.LSTM", "__init__")
UNROLLED = fails("keras", "layers.SimpleRNN", "__init__", unrolled)
RESIZED = fails(*INTERPRETER, "resize_tensor_input", always)
# before anything runs: the states of what runs are left out (F-392)
COMPILED = fails("ai_edge_litert.compiled_model", "CompiledModel", "from_buffer", always)
FAULTS: Mapping[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "from a Keras model": ("a Keras model cannot be converted", fails(*CONVERTER, "from_keras_model", always)),
    "from a SavedModel": ("a SavedModel cannot be converted", fails(*CONVERTER, "from_saved_model", always)),
    "from a function": ("a function cannot be converted with its model",
                        fails(*CONVERTER, "from_concrete_functions", with_its_model)),
    "exported": ("a model cannot be exported", fails("keras", "Model", "export", always)),
    "unrolled": ("a layer cannot be unrolled", UNROLLED),
    "any length": ("inputs cannot be resized", RESIZED),
    "any batch": ("inputs cannot be resized", RESIZED),
    "asked before": ("an interpreter answers once", fails(*INTERPRETER, "invoke", asked_again)),
    "reference kernels": ("there are no reference kernels", fails(*INTERPRETER, "__init__", resolved("BUILTIN_REF"))),
    "no delegate": ("there are no kernels without a delegate",
                    fails(*INTERPRETER, "__init__", resolved("BUILTIN_WITHOUT_DEFAULT_DELEGATES"))),
    "tf.lite.Interpreter": ("TensorFlow has no interpreter", fails("tensorflow", "lite.Interpreter", "invoke", always)),
    **{f"CompiledModel{word}": ("a model cannot be compiled", COMPILED)
       for word in ("", " states", " again", " unrolled")},
    "Keras 2": ("Keras 2 has no SimpleRNN", fails("tf_keras", "layers.SimpleRNN", "__init__", always)),
    "fused LSTM": ("Keras 2 has no LSTM without states", fails(*OLD_LSTM, without_states)),
    "fused LSTM again": ("an interpreter answers once", fails(*INTERPRETER, "invoke", asked_again)),
    "fused LSTM set back": ("no variable is set back", never_set_back),
    "fused LSTM time first": ("Keras 2 has no LSTM that is time first", fails(*OLD_LSTM, time_first)),
    "fused LSTM reference kernels": ("there are no reference kernels",
                                     fails(*INTERPRETER, "__init__", resolved("BUILTIN_REF"))),
    "fused LSTM CompiledModel": ("a model cannot be compiled", COMPILED),
}  # fmt: skip
PLANTED = {word: (Planted(says, plant),) for word, (says, plant) in FAULTS.items()}
