"""Other ways in which users call recurrent layers than `run` does: what each shows, and what it cannot be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import keras
import numpy as np

from reference import Case, Gradients
from reference.arguments import check_cotangents
from reference.judging.pullback import shown_cotangents
from reference.judging.view import View, sequence_of
from reference.layout import each_state, sequence_to_time_first, state_from_batched

from ..capabilities import Feature, Refusal
from ..contract import Idiom, Result, result_of
from ..inputs import Inputs
from ..mapping import native
from ..versions import numbers
from . import exports, ways
from .gradients import differentiated
from .mapping import KINDS, MAPPING, h_n_of, start_of
from .modes import BACKWARDS
from .script import BESIDE, WORDS, way_of
from .settings import BACKEND, FORWARD_ALONE, array_of, on, tensor, untouched


def asked(way: Callable[[ways.Given], Any], view: View, settings: Any = on) -> Callable[[Case, str], Result]:
    """What answers a case by calling new layers in a way.  settings: what is put in place for the call."""

    def answer(case: Case, device: str) -> Result:
        lengths = None if case.lengths is None else np.atleast_1d(np.asarray(case.lengths))
        given = Inputs(case.x, case.h0, lengths, case.mask, case.layout, case.layout).to("batch_first")
        spec = case.spec
        held = [native(spec, MAPPING[spec.cell], cell) for cell in case.parameters]
        kind, more = KINDS[spec.cell]
        words = {"activation": spec.nonlinearity, "use_bias": spec.bias, "dtype": case.dtype, **WORDS, **more}

        def called(x: Any, start: Any, mask: Any, weights: Any) -> Any:
            left = iter(weights)
            tracks = [[next(left) for _ in track] for track in held]
            layers = [tracks[n : n + spec.num_directions] for n in range(0, len(tracks), spec.num_directions)]
            return way(ways.Given(x, start, mask, layers, words, spec.direction, kind))

        def trained(x: Any, start: Any, mask: Any, weights: Any) -> list[Any]:
            with keras.StatelessScope():  # in which set_weights takes what is differentiated
                outputs, states = called(x, list(start), mask, weights)
            return [outputs[-1], *states]

        with settings(device, case.dtype):
            if case.cotangents is not None:
                g = check_cotangents(spec, case.x, case.layout, case.cotangents)
                g = given.cotangents(g) if view.of_all else shown_cotangents(view, case, "batch_first")
                states = view.states != "none"
                found = differentiated(
                    spec, given, g, held, trained, states=states, differentiation=view.differentiation
                )
                return result_of(_of_case(view, case, given, found), case.x.dtype)
            start = (states := start_of(spec, given.h0)) and [tensor(state) for state in states]
            mask = None if given.valid is None else tensor(given.valid)
            weights = [array for track in held for array in track.values()]
            outputs, states = called(tensor(given.x), start, mask, weights)
            # in the case's dtype, where that of the answer is another
            several, final = ([array_of(one).astype(case.x.dtype) for one in of] for of in (outputs, states))
        *below, output = [_of_time(view, case, one) for one in several]
        h_n = each_state(lambda h: state_from_batched(h, case.layout), h_n_of(spec, final)) if final else None
        return Result(output, h_n, below or None)

    return answer


def _of_case(view: View, case: Case, given: Inputs, found: Gradients) -> Gradients:
    """Gradients batch first, and what is shown, in the case's layout."""
    h_n = each_state(lambda h: state_from_batched(h, case.layout), found.h_n)
    return given.gradients_alone(found)._replace(output=_of_time(view, case, found.output), h_n=h_n)


def _of_time(view: View, case: Case, output: np.ndarray) -> Any:
    """A sequence (batch, time, features), or a last output (batch, features), in the case's layout."""
    if output.ndim == 2:
        return sequence_of(view, case, output[None])
    return sequence_of(view, case, sequence_to_time_first(output, "batch_first"))


def _each(name: str, *values: Any) -> tuple[tuple[Feature, ...], ...]:
    return tuple(((name, value),) for value in values)


SEVERAL = ("2", "3 to 10")
ONE_WAY = dict.fromkeys(_each("direction", "forward", "reverse"), "Bidirectional has two directions")
NOT_BOTH = {(("direction", "bidirectional"),): "the cells of RNN run in one direction"}
NO_H0 = {(("h0", True),): "a sequential model takes no initial states"}
KEEPS = {(("h0", True),): "a stateful model has its states from the call before"}
NOT_BACKWARDS = {(("direction", "reverse"), ("num_layers", n)): BACKWARDS for n in SEVERAL}
ADDED = {(("values", "not finite"), ("num_layers", n)): "units that are added, of zero weights, are not zero"
         for n in SEVERAL}  # fmt: skip
TRAINS = {"answers": () if FORWARD_ALONE else ((("gradients", True),),)}
# what is asked for gradients alone, in forward mode or for second derivatives
GRADIENTS_ALONE = {
    "answers": ((("gradients", True),),),
    "without": {(("gradients", False),): "it asks for gradients",
                **dict.fromkeys(_each("dtype", "float16", "bfloat16"),
                                "of so long a sum in 16 bits no bound says anything")},
    "compiles": True,
    "absent": f"{FORWARD_ALONE} differentiates nothing" if FORWARD_ALONE else "",
}  # fmt: skip
FORWARD_MODE = {**GRADIENTS_ALONE, "absent": "" if BACKEND == "jax" else
                "Keras has no forward mode of its own: it is asked by jax.jacfwd"}  # fmt: skip
LAST, ALONE = View(output="last step", states="none"), View(states="none")
NO_STEPS = {(("time", "0"),): Refusal("ValueError", "slice index 0 of dimension 1 out of bounds")}
# Model.predict traces a model anew for each case; in a graph TensorFlow refuses by an error of another type
PREDICT = {"compiles": BACKEND in ("tensorflow", "jax"), "refused": NO_STEPS if BACKEND == "tensorflow" else {}}

OF_NO_SAMPLE = {"torch": "RuntimeError", "openvino": "IndexError"}.get(BACKEND, "ValueError")
NO_BFLOAT16 = {(("dtype", "bfloat16"),): "Keras documents that what it exports to ONNX is float32, and ONNX Runtime "
                                         "adds and multiplies no bfloat16"}  # fmt: skip
AS_FLOAT16 = {(("dtype", "bfloat16"),): "OpenVINO shows bfloat16 as float16, which the adapter openvino is asked"}
NO_KERNEL = Refusal("IndexError or RuntimeError", "list index out of range | could not create a primitive descriptor")
NO_SHAPE = Refusal("InvalidArgumentError", "Input shapes do not match the polymorphic shapes")


def exported(kind: str, since: str, without: Any = None, refused: Any = None) -> dict[str, Any]:
    """What an idiom is declared as that calls Model.export.

    kind: a word of BESIDE.  since: the Keras from which on it is asked.  without: beside what no export can be asked.
    refused: of each backend.
    """
    missing = [package for package in BESIDE[kind].get(BACKEND, ()) if find_spec(package) is None]
    absent = f"{missing[0]} is not installed" if missing else ""
    if BACKEND not in BESIDE[kind]:
        absent = f"it is asked on {' and '.join(BESIDE[kind])}"
    elif numbers(keras.__version__) < numbers(since):
        absent = f"it is asked of Keras {since} and newer"
    return {"without": {**NOT_BACKWARDS, **(without or {})}, "refused": (refused or {}).get(BACKEND, {}),
            "compiles": True, "absent": absent}  # fmt: skip


_IDIOMS: Mapping[str, tuple[str, View, dict[str, Any]]] = {
    # what is returned
    "sequences alone": ("by return_sequences=True alone, of layers of several sizes, the first told the mask", ALONE,
                        {"without": ADDED}),
    "last output": ("by return_sequences=False, with zero_output_for_mask", LAST, TRAINS),
    "last output and states": ("by return_sequences=False and return_state=True", View(output="last step"), TRAINS),
    "held": ("where masked steps repeat the output", View(masked="held"), {
        **TRAINS,
        "without": {(("direction", "bidirectional"),): "Bidirectional answers zero at masked steps, whatever is said"},
    }),
    "as it comes": ("with the default words and initialisers, and no setting touched", LAST,
                    {**TRAINS, "settings": untouched}),
    "unrolled to the last output": ("by unroll=True and return_sequences=False", View(output="last step"), TRAINS),
    # where the mask comes from
    "sequential without input": ("by the first call of a sequential model without an Input", ALONE,
                                 {"without": {**NO_H0, **NOT_BACKWARDS}}),
    "mask handed on": ("by a functional model whose layers have the mask from their sequence", View(),
                       {**TRAINS, "without": NOT_BACKWARDS}),
    "turned once": ("by layers above one that goes backwards", ALONE, {"without": {
        **NO_H0, **dict.fromkeys(_each("direction", "forward", "bidirectional"), "it is of one that goes backwards"),
    }}),
    "Masking": ("by a sequential model with Masking, in float32 where the layers are narrower", ALONE,
                {"without": {**NO_H0, **NOT_BACKWARDS}}),
    "Embedding": ("by a sequential model with Embedding(mask_zero=True)", LAST,
                  {"without": {**NO_H0, **NOT_BACKWARDS}}),
    # states that are kept
    # no gradient passes from part to part: the states are kept in variables
    "stateful": ("with stateful=True, one part of the steps after the other", View(), {}),
    "reset": ("by stateful layers that were asked before, and reset", ALONE, {}),
    "stateful predict": ("by predict of one's own model of stateful layers, by halves of the steps", View(),
                         {"without": {**KEEPS, **NOT_BACKWARDS}, **PREDICT}),
    # cells
    "list of cells": ("by RNN([cell, ...])", View(), {**TRAINS, "without": NOT_BOTH}),
    "last output of cells": ("by RNN([cell, ...], return_sequences=False)", LAST, {**TRAINS, "without": NOT_BOTH}),
    "stacked cells": ("by RNN(StackedRNNCells([...])) of several sizes", ALONE, {"without": {**NOT_BOTH, **ADDED}}),
    "RNN of a cell": ("by RNN of one cell", View(), TRAINS),
    "RNN in forward mode": ("by RNN of one cell, for gradients by jax.jacfwd, in forward mode",
                            View(differentiation="forward"), FORWARD_MODE),
    "differentiated twice": ("for second derivatives, those of the sum of gradients", View(differentiation="twice"),
                             GRADIENTS_ALONE),
    # around the layer
    "halves added": ("by Bidirectional(merge_mode=\"sum\")", View(halves="sum"), {**TRAINS, "without": ONE_WAY}),
    "halves multiplied": ("by Bidirectional(merge_mode=\"mul\")", View(states="none", halves="mul"),
                          {**TRAINS, "without": ONE_WAY}),
    "halves averaged": ("by Bidirectional(merge_mode=\"ave\"), of the last output",
                        View(output="last step", states="none", halves="ave"),
                        {**TRAINS, "without": ONE_WAY}),
    "two outputs": ("by Bidirectional(merge_mode=None)", View(), {**TRAINS, "without": ONE_WAY}),
    "own backward layer": ("by Bidirectional(backward_layer=...)", View(), {**TRAINS, "without": ONE_WAY}),
    "dtype inside": ("by Bidirectional of a layer that alone is given a dtype", View(), {**TRAINS, "without": ONE_WAY}),
    "dtype policy": ("by layers that have their dtype from keras.config.set_dtype_policy", View(), TRAINS),
    "floatx": ("by layers that have their dtype from keras.config.set_floatx", View(), TRAINS),
    "TimeDistributed": ("by TimeDistributed, which takes the sequences of two samples one by one", ALONE, {
        "without": {(("h0", True),): "TimeDistributed takes no initial states"},
        "refused": {(("batch", "0"),): Refusal(OF_NO_SAMPLE, "TimeDistributed.call()")},
    }),
    "TimeDistributed predict": ("by Model.predict of TimeDistributed, of several samples and of one", ALONE, {
        "without": {(("h0", True),): "TimeDistributed takes no initial states", **NOT_BACKWARDS}, **PREDICT,
        "absent": "" if BACKEND == "tensorflow" else "the number of sequences is known in every call but TensorFlow's",
    }),
    # Model.export, and what runs what it wrote
    "SavedModel": ("by Model.export to a SavedModel, which TensorFlow loads", View(), exported(
        "SavedModel", "3.8", refused={"jax": {(("batch", "0"),): NO_SHAPE}})),
    "ONNX": ("by Model.export to ONNX of a model of so many steps", View(), exported("ONNX", "3.8", NO_BFLOAT16)),
    "ONNX of any length": ("by Model.export to ONNX of a model of any number of steps", View(), exported(
        "ONNX", "3.8", NO_BFLOAT16)),
    "OpenVINO": ("by Model.export to OpenVINO of a model of so many steps", View(), exported(
        "OpenVINO", "3.15", AS_FLOAT16, {"openvino": {(("time", "0"),): NO_KERNEL}})),
    "OpenVINO of any length": ("by Model.export to OpenVINO of a model of any number of steps", View(), exported(
        "OpenVINO", "3.15", AS_FLOAT16)),
    "exported program": ("by Model.export to a program of torch.export, for sequences and steps of that number", View(),
                         exported("exported", "3.15", refused={"torch": {(("batch", "0"),): Refusal(
                             "RuntimeError", "We ran into an error when deserializing the saved file")}})),
    "exported program of any batch": ("by Model.export to a program of torch.export, for any number of sequences",
                                      View(), exported("exported", "3.15")),
}  # fmt: skip


def _idiom(word: str, says: str, view: View, words: dict[str, Any]) -> Idiom:
    """The idiom of a word: its way is the function of that name."""
    more = dict(words)
    way = {**vars(ways), **vars(exports)}[way_of(word)]
    return Idiom(says, asked(way, view, more.pop("settings", on)), view, **more)


IDIOMS = {word: _idiom(word, *row) for word, row in _IDIOMS.items()}
