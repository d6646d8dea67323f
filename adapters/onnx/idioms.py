"""Other ways in which users make, load and ask ONNX models than run's."""

from __future__ import annotations

from importlib.util import find_spec

import onnx

from reference.judging.view import View

from ..contract import Refusal
from . import asks, asks_of_tract, changes
from .ways import Step, Way

# the versions of the operator set beside run's in which the operators of a stack changed: the recurrent ones with 14,
# and with 22, Split with 18; the others but in their types
OPSETS = (14, 21)
NOT_YET = {(("dtype", "bfloat16"),): "recurrent operators take bfloat16 from opset 22 on"}


ANOTHER = {b"Tanh": "Relu", b"Relu": "Tanh", b"Sigmoid": "Tanh"}
AFFINE = dict.fromkeys(ANOTHER, "Affine")  # which the evaluator has, of the others none


DEFAULTS = ("direction", "activations", "linear_before_reset", "input_forget")


def ways(newest: int, others: dict[bytes, str] = ANOTHER) -> dict[str, Way]:
    """Models as users make them, of any runtime.

    newest: the opset that the runtime knows.  others: the activation that stands beside one of the layer's.
    """
    return {
        "layout 1": Way("with layout=1 of the operator", (Step(changes.layout_1),), layout="batch_first"),
        "only Y": Way("for Y alone", (Step(changes.only_y),), view=View(states="none")),
        "only Y_h": Way("for Y_h alone, and any Y_c", (Step(changes.only_y_h),), view=View(output="none")),
        **{
            f"opset {version}": Way(f"as a model of opset {version}", (Step(changes.in_opset, {"version": version}),),
                                    without=NOT_YET)
            for version in OPSETS
        },
        "newest opset": Way("as a model of the newest opset that the runtime knows",
                            (Step(changes.in_opset, {"version": newest}),)),
        "defaults": Way("with attributes left out where the standard's defaults say the same",
                        (Step(changes.without_attributes, {"names": DEFAULTS}),)),
        "no hidden_size": Way("without the attribute hidden_size, which the standard makes optional",
                              (Step(changes.without_attributes, {"names": ("hidden_size",)}),)),
        "constants": Way("with sequence_lens and initial_h as constants in the model",
                         (Step(changes.constant_inputs),)),
        "weights given": Way("with the weights as inputs of the model", (Step(changes.weights_given),)),
        "nothing left out": Way("with zeros for biases and states, and full lengths, where there are none",
                                (Step(changes.nothing_left_out),)),
        "fixed shapes": Way("with each size of the inputs said in the model", (Step(changes.fixed_shapes),)),
        "two activations": Way("with another activation in the other direction",
                               (Step(changes.two_activations, {"others": others}),),
                               without=dict.fromkeys(((("direction", "forward"),), (("direction", "reverse"),)),
                                                     "a layer of one direction has one activation")),
    }  # fmt: skip


# ONNX Runtime takes the names as the standard writes them, and no others
LOWER_CASE = {"lower case": Way("with activations named in lower case", (Step(changes.in_lower_case),))}


def of_evaluator() -> dict[str, Way]:
    return {
        **ways(onnx.defs.onnx_opset_version(), AFFINE),
        **LOWER_CASE,
        **BRANCH,
        "from a file": Way("of a model in a file, with its weights beside it", ask=Step(asks.evaluator_of_a_file)),
    }


BRANCH = {"in a branch": Way("in the branch of an If, with the weights outside of it", (Step(changes.in_a_branch),))}
LEVELS = {"not optimized": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED"}


def of_onnxruntime(newest: int, here: list[str], known: list[str]) -> dict[str, Way]:
    """here, known: execution providers that can be asked, and all that there are."""
    return {
        **ways(newest),
        **BRANCH,
        "from a file": Way("of a model in a file, with its weights beside it", ask=Step(asks.session_of_a_file)),
        **{
            word: Way(f"with graph optimization {level}", ask=Step(asks.session_of_a_level, {"level": level}))
            for word, level in LEVELS.items()
        },
        "IOBinding": Way("by IOBinding", ask=Step(asks.io_binding)),
        "asked before": Way("by a session that was asked before, in another order, by arrays that are not contiguous",
                            ask=Step(asks.session_asked_before)),
        "saved": Way("of a model that was saved once optimized",
                     ask=Step(asks.session_of_a_saved_model, {"kind": "onnx"})),
        "ORT format": Way("of a model that was saved in ORT format",
                          ask=Step(asks.session_of_a_saved_model, {"kind": "ort"})),
        "parallel": Way("in the execution mode ORT_PARALLEL, of OrtValues", ask=Step(asks.session_in_parallel)),
        **{
            provider: Way(f"by the {provider}", ask=Step(asks.session_of_a_provider, {"provider": provider}),
                          absent="" if provider in here else "this build of ONNX Runtime does not have it")
            for provider in known if provider != "CPUExecutionProvider"
        },
    }  # fmt: skip


NOT_PACKED = Refusal("OpConversionFailure", "prim::PackPadded")
NOT_IN_TORCH = (("clip", True), ("cell", "gru_reset_before"), ("peepholes", True), ("input_forget", True))


def of_openvino() -> dict[str, Way]:
    f32 = {"INFERENCE_PRECISION_HINT": "f32"}
    every = {
        **ways(onnx.defs.onnx_opset_version()),
        **LOWER_CASE,
        "dynamic shapes": Way("of a model whose axes time and batch are dynamic",
                              ask=Step(asks.compiled, {"settings": f32})),
        "as it comes": Way("with no setting, of dynamic shapes", ask=Step(asks.compiled_as_it_comes)),
        "arrays as they come": Way("with the performance hint of throughput, by the arrays that a compiled model gives",
                                   ask=Step(asks.compiled_for_throughput), as_it_comes=True),
        "imported": Way("of a compiled model that was exported and imported", ask=Step(asks.exported_and_imported)),
        "converted": Way("by openvino.convert_model of a file", ask=Step(asks.converted)),
        "converted from torch": Way(
            "by openvino.convert_model of a layer of torch",
            ask=Step(asks.converted_from_torch),
            without={(("direction", "reverse"),): "torch has no layer that runs backwards alone",
                     **{((name, word),): "torch has no such layer" for name, word in NOT_IN_TORCH},
                     (("lengths", "with zeros"),): "torch packs no sequence of length 0"},
            refused={(("lengths", "mixed"), ("cell", cell)): NOT_PACKED for cell in ("elman", "gru")},
            absent="" if find_spec("torch") else "torch is not installed",
        ),
        "asked before": Way("by a request that was asked before, while another is under way",
                            ask=Step(asks.asked_before)),
    }  # fmt: skip
    # compilers and dynamic shapes: what no request survives in one idiom, another meets in other cases
    return {word: way._replace(isolate=True) for word, way in every.items()}


def of_tract() -> dict[str, Way]:
    """Whatever is asked with shapes that are not told runs in a process of its own: tract may end it."""
    as_it_is = Step(asks_of_tract.prepared_as_it_is)
    lengths = Step(changes.constant_inputs, {"names": ("sequence_lens",)})
    common = ways(onnx.defs.onnx_opset_version())
    return {
        **common,
        # tract takes lengths that are constants in the model, and all the same
        "nothing left out": common["nothing left out"]._replace(
            changes=(Step(changes.nothing_left_out), lengths),
            refused={(("batch", "0"),): Refusal("TractError", "Non uniform seq_len is not supported")}),
        "fixed shapes": common["fixed shapes"]._replace(ask=as_it_is),
        "as it is": Way("of a model whose axes time and batch are dynamic, and no more", ask=as_it_is, isolate=True),
        "by a runtime": Way("by the runtime \"default\", and through a state",
                            ask=Step(asks_of_tract.prepared_by_a_runtime),
                            absent="" if find_spec("tract.runtime") else "this version of tract has no runtimes"),
        "symbols set": Way("with a symbol for the length of x, which a transform sets",
                           ask=Step(asks_of_tract.prepared_by_symbols)),
        "any length": Way("for sequences of any length, by what was asked a longer one before",
                          ask=Step(asks_of_tract.prepared_for_any_length)),
        "NNEF": Way("of a model that was saved as NNEF", ask=Step(asks_of_tract.saved_as_nnef)),
        "by pulses": Way("a step at a time, by a model that keeps its states", (Step(changes.only_y),),
                         Step(asks_of_tract.by_pulses), View(states="none"),
                         without={(("time", "0"),): "who asks a step at a time asks for one"}),
    }  # fmt: skip
