"""A stack as an ONNX model that a runtime has loaded: what the adapters of ONNX runtimes build, and how they ask it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from reference import CellParameters, Lengths, RNNSpec
from reference import layout as layouts
from reference.arguments import check_inputs

from .contract import Capabilities, Result, Unsupported, expect_build, features_of
from .onnx_models import ACTIVATIONS, operator_model, stack_model, variant

EMULATED = {
    ("layout", "batch_first"): "layout 1 of the RNN operator, which ONNX Runtime lacks, is not used: it is transposed",
    ("layout", "unbatched"): "the RNN operator is batched; the adapter adds and removes a batch of 1",
}
# what ONNX Runtime and OpenVINO do where the operator's definition is silent
UNDEFINED = "Y_h of a sequence without steps is 0, whatever initial_h is; the standard leaves it open (onnx issue 1674)"

# what the RNN operator does in either
HIDES_NAN = {(("nonlinearity", "relu"), ("values", "not finite")): "Relu in the RNN operator answers 0 for NaN"}

# a model's inputs by name, to its outputs by name
Call = Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]
# what makes a model callable: a runtime
Load = Callable[[Any], Call]


class OnnxStack:
    """What build returns: a model, and each of its variants (with h0 or without, with lengths or without) once loaded.

    model: the onnx.ModelProto, with all inputs.  spec, dtype: of what it was built of, to check inputs by.
    """

    def __init__(self, spec: RNNSpec, parameters: Sequence[CellParameters], load: Load) -> None:
        self.spec, self.dtype = spec, parameters[0].dtype
        self.model = stack_model(spec, parameters)
        self._load, self._lock = load, threading.Lock()
        self._loaded: dict[tuple[bool, bool], Call] = {}

    def call(self, h0: bool, lengths: bool) -> Call:
        """The variant that takes h0, lengths, both or neither."""
        with self._lock:
            if (h0, lengths) not in self._loaded:
                self._loaded[h0, lengths] = self._load(variant(self.model, h0, lengths))
            return self._loaded[h0, lengths]


def build(
    adapter: Any,
    spec: RNNSpec,
    parameters: Sequence[CellParameters],
    device: str,
    dtype: str | None,
    load: Load,
) -> OnnxStack:
    """What an adapter's build returns, for a runtime that loads models in this way."""
    return OnnxStack(spec, expect_build(adapter, spec, parameters, device, dtype), load)


def run(
    capabilities: Capabilities, stack: Any, x: np.ndarray, h0: np.ndarray | None, lengths: Lengths, layout: str
) -> Result:
    """The answer of what build returned. The arguments are those of an adapter's run."""
    if not isinstance(stack, OnnxStack):
        raise Unsupported(f"module: got {type(stack).__name__}, expected what build returns: build(*read(module))")
    spec = stack.spec
    check_inputs(spec, x, h0, lengths, layout, stack.dtype)
    capabilities.require(features_of(spec, x, h0, lengths, layout))
    feeds = {"x": np.ascontiguousarray(layouts.sequence_to_time_first(x, layout))}
    if lengths is not None:
        feeds["sequence_lens"] = np.atleast_1d(np.asarray(lengths)).astype(np.int32)
    if h0 is not None:
        states = np.split(np.ascontiguousarray(layouts.state_to_batched(h0, layout)), spec.num_layers)
        feeds |= {f"h0_{layer}": state for layer, state in enumerate(states)}
    answers = stack.call(h0 is not None, lengths is not None)(feeds)
    layers = range(spec.num_layers)
    outputs = [layouts.sequence_from_time_first(np.array(answers[f"output_{layer}"]), layout) for layer in layers]
    h_n = np.concatenate([answers[f"h_n_{layer}"] for layer in layers])
    return Result(outputs[-1], layouts.state_from_batched(h_n, layout), outputs[:-1])


def dense(load: Load, weight: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The operator Gemm on x (..., features), with weight (outputs, features) and bias (outputs,)."""
    gemm = load(operator_model("Gemm", weight.dtype, 2, 2, 1, transB=1))
    flat = np.ascontiguousarray(x.reshape(-1, x.shape[-1]))
    answer = gemm({"a": flat, "b": np.ascontiguousarray(weight), "c": np.ascontiguousarray(bias)})["y"]
    return np.array(answer).reshape(*x.shape[:-1], len(weight))


def activation(load: Load, a: np.ndarray, nonlinearity: str) -> np.ndarray:
    """The operator Tanh or Relu on any array."""
    call = load(operator_model(ACTIVATIONS[nonlinearity], a.dtype, a.ndim))
    return np.array(call({"a": np.ascontiguousarray(a)})["y"])
