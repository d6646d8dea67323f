"""Other ways in which users convert models for LiteRT and ask them, than run's: as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, NamedTuple

from reference.judging.view import WHOLE, View

from ..contract import Feature, Refusal
from . import ways


class Way(NamedTuple):
    """How a model is made, converted and asked.

    built: what each layer is given.  any_size: the axes of x that are dynamic: "batch", "time".  The others are an
    Idiom's.
    """

    says: str
    convert: Callable[[Any], bytes] = ways.from_a_function_alone
    ask: Callable[..., list[Any]] = ways.by_tensors
    built: Mapping[str, Any] = MappingProxyType({})
    any_size: tuple[str, ...] = ()
    refused: Mapping[tuple[Feature, ...], Refusal] = MappingProxyType({})
    answers: tuple[tuple[Feature, ...], ...] = ()
    view: View = WHOLE
    absent: str = ""


RUN = Way("by run's own way: of a function, by set_tensor and invoke")
UNROLLED = {"unroll": True}
NO_SEQUENCES = (("batch", "0"),)
NO_ELEMENT = Refusal("ConverterError", "op requires element_dtype to be")
LAYERS: Any = (ways.from_keras_model, ways.by_a_compiled_model)
AGAIN: Any = (ways.from_keras_model, ways.by_a_compiled_model_asked_before)
OLD = "" if find_spec("ai_edge_litert.compiled_model") else "LiteRT before 1.4 has no CompiledModel in Python"
NO_BUFFER = {NO_SEQUENCES: Refusal("RuntimeError", "TensorBuffer must have all static dimensions")}
WAYS = {
    "from a Keras model": Way("of a Keras model, and by its signature", ways.from_keras_model, ways.by_signature),
    "from a SavedModel": Way("of a SavedModel, and by its signature", ways.from_saved_model, ways.by_signature),
    "from a function": Way("of a function and its model, and by its signature",
                           ways.from_concrete_functions, ways.by_signature,
                           refused={(("dtype", "bfloat16"),): NO_ELEMENT}),
    "exported": Way("of what keras.Model.export writes, and by its signature", ways.exported, ways.by_signature),
    "unrolled": Way("of unrolled layers", built=UNROLLED),
    "any length": Way("of sequences of any length, resized to theirs", ask=ways.resized, any_size=("time",),
                      refused={NO_SEQUENCES: Refusal("RuntimeError", "failed to invoke")},
                      answers=((("time", "0"),),)),
    "any batch": Way("of unrolled layers of any batch, resized to this one", ask=ways.resized, built=UNROLLED,
                     any_size=("batch",),
                     refused={NO_SEQUENCES: Refusal("RuntimeError", "NumElements(input) > 0 was not true")}),
    "asked before": Way("by an interpreter of a file that was asked before, with two threads", ask=ways.asked_before),
    "reference kernels": Way("by the reference kernels", ask=ways.by_reference_kernels),
    "no delegate": Way("by LiteRT's own kernels, without XNNPACK", ask=ways.without_delegates),
    "tf.lite.Interpreter": Way("by TensorFlow's own interpreter", ask=ways.by_tensorflow),
    "CompiledModel": Way("by CompiledModel, for the output alone", *LAYERS, refused=NO_BUFFER,
                         view=View(states="none"), absent=OLD),
    "CompiledModel states": Way("by CompiledModel, for the final states alone", *LAYERS, refused=NO_BUFFER,
                                view=View(output="none"), absent=OLD),
    "CompiledModel again": Way("by a CompiledModel that was asked before", *AGAIN, refused=NO_BUFFER, absent=OLD),
    "CompiledModel unrolled": Way("by a CompiledModel of unrolled layers that was asked before", *AGAIN, built=UNROLLED,
                                  refused=NO_BUFFER, absent=OLD),
}  # fmt: skip
