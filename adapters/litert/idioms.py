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

    layers: the package whose layers they are: "keras", or "tf_keras", which is Keras 2.  built: what each layer is
    given.  any_size: the axes of x that are dynamic: "batch", "time".  The others are an Idiom's.
    """

    says: str
    convert: Callable[[Any], bytes] = ways.from_a_function_alone
    ask: Callable[..., list[Any]] = ways.by_tensors
    layers: str = "keras"
    built: Mapping[str, Any] = MappingProxyType({})
    any_size: tuple[str, ...] = ()
    without: Mapping[tuple[Feature, ...], str] = MappingProxyType({})
    refused: Mapping[tuple[Feature, ...], Refusal] = MappingProxyType({})
    answers: tuple[tuple[Feature, ...], ...] = ()
    view: View = WHOLE
    absent: str = ""


RUN = Way("by run's own way: of a function, by set_tensor and invoke")
UNROLLED = {"unroll": True}
NO_STEPS, NO_SEQUENCES = (("time", "0"),), (("batch", "0"),)
NO_ELEMENT = Refusal("ConverterError", "op requires element_dtype to be")
LAYERS: Any = (ways.from_keras_model, ways.by_a_compiled_model)
AGAIN: Any = (ways.from_keras_model, ways.by_a_compiled_model_asked_before)
# of a module find_spec imports the package
NEW = find_spec("ai_edge_litert") is not None and find_spec("ai_edge_litert.compiled_model") is not None
OLD = "" if NEW else "LiteRT before 1.4 has no CompiledModel in Python"
NO_BUFFER = {NO_SEQUENCES: Refusal("RuntimeError", "TensorBuffer must have all static dimensions")}
# Keras 2, whose LSTM the converter makes one operator of, UNIDIRECTIONAL_SEQUENCE_LSTM, where it can
NO_KERAS_2 = "" if find_spec("tf_keras") else "Keras 2 is not installed: pip install tf_keras"
LSTM: tuple[Feature, ...] = (("cell", "lstm"),)
NO_FIRST_STEP = Refusal("ValueError", "slice index 0 of dimension 0 out of bounds")
NO_LAST = Refusal("ValueError", "slice index -1 of dimension 0 out of bounds")
NO_LSTM_SEQUENCES = {(*NO_SEQUENCES, *LSTM): NO_LAST}
NO_OTHER_TYPE = Refusal("ConverterError", "doesn't match function result type")
FUSED = Way(
    "of a fused LSTM", ways.from_variables, layers="tf_keras", built={"return_state": False}, absent=NO_KERAS_2,
    view=View(states="none"),
    refused={(*NO_STEPS, *LSTM): NO_FIRST_STEP, **NO_LSTM_SEQUENCES,
             **{(("dtype", dtype), *LSTM): NO_OTHER_TYPE for dtype in ("float64", "float16", "bfloat16")}},
    without={
        **{(("cell", cell),): "the converter fuses an LSTM alone" for cell in ("elman", "gru", "gru_reset_before")},
        (("nonlinearity", "relu"),): "an LSTM has tanh",
        **{(feature,): "the converter then makes a loop of the LSTM" for feature in (
            ("bias", False), ("mask", True), ("lengths", "mixed"), ("lengths", "with zeros"))},
    },
)  # fmt: skip
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
                      answers=(NO_STEPS,)),
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
    "Keras 2": Way("of layers of Keras 2 (tf_keras)", ways.from_variables, layers="tf_keras",
                   refused={NO_STEPS: NO_FIRST_STEP, (("dtype", "bfloat16"),): NO_ELEMENT, **NO_LSTM_SEQUENCES,
                            NO_SEQUENCES: Refusal("ValueError", f"{NO_LAST.words} | Invalid tensor size")},
                   absent=NO_KERAS_2),
    "fused LSTM": FUSED._replace(says="of Keras 2's LSTM without states, which becomes one operator",
                                 convert=ways.inference_exported, ask=ways.by_signature),
    "fused LSTM again": FUSED._replace(says="of a fused LSTM, by an interpreter that was asked before",
                                       ask=ways.asked_before),
    "fused LSTM set back": FUSED._replace(says="of a fused LSTM, by an interpreter that was asked before, and is set "
                                               "back", ask=ways.set_back),
    "fused LSTM time first": FUSED._replace(says="of a fused LSTM with time_major=True",
                                            built={"return_state": False, "time_major": True}),
    "fused LSTM reference kernels": FUSED._replace(says="of a fused LSTM, by the reference kernels",
                                                   ask=ways.by_reference_kernels),
    "fused LSTM CompiledModel": FUSED._replace(says="of a fused LSTM, by CompiledModel", ask=ways.by_a_compiled_model,
                                               absent=NO_KERAS_2 or OLD),
}  # fmt: skip
