"""A stack as an ONNX model that a runtime has loaded: what the adapters of ONNX runtimes build, and how they ask it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from reference import CellParameters, Lengths, RNNSpec
from reference import layout as layouts
from reference.arguments import check_inputs

from ..contract import Capabilities, NotOffered, Result, expect_build, features_of, layout_of
from .models import ACTIVATIONS, native_model, operator_model, stack_model, variant

NOT_OFFERED = {("mask", True): "the RNN operator takes lengths (sequence_lens) and no mask"}
EMULATED = {("layout", "unbatched"): "the RNN operator is batched; the adapter adds and removes a batch of 1"}
BATCH_FIRST = ("layout", "batch_first")
# what ONNX Runtime and OpenVINO do where the operator's definition is silent
UNDEFINED = "Y_h of a sequence without steps is 0, and not initial_h; the standard leaves it open (onnx issue 1674)"

# what the RNN operator does in either
HIDES_NAN = {(("nonlinearity", "relu"), ("values", "not finite")): "Relu in the RNN operator answers 0 for NaN"}

# a model's inputs by name, to its outputs by name
Call = Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]
# what makes a model callable: a runtime
Load = Callable[[Any], Call]


class OnnxStack:
    """What build returns: a stack as ONNX models, and each variant that run asked for once it is loaded.

    model, native: what a user saves and calls. spec, dtype: of what it was built of, to check inputs by.
    layout: of x and output in the models that a user calls.
    """

    def __init__(self, spec: RNNSpec, parameters: Sequence[CellParameters], load: Load, layout: str) -> None:
        self.spec, self.dtype, self.layout = spec, parameters[0].dtype, layout
        self._stack = stack_model(spec, parameters, every_layer=True)
        self._load, self._lock = load, threading.Lock()
        self._loaded: dict[tuple[bool, bool], Call] = {}

    @property
    def model(self) -> Any:
        """The stack as a plain onnx.ModelProto that takes x alone: onnx.save(stack.model, "stack.onnx")."""
        return self.native()

    def native(self, h0: bool = False, lengths: bool = False) -> Any:
        """A plain onnx.ModelProto: its input is x, its outputs are output, in x's layout, and h_n.

        With h0, h0 (num_cells, batch, hidden_size) is an input too, by that name; with lengths, sequence_lens (batch,)
        of int32: an ONNX model has no input that may be left out. Called so in ONNX Runtime:
        onnxruntime.InferenceSession(stack.model.SerializeToString()).run(["output", "h_n"], {"x": x}).
        Of sequence_lens each runtime makes its own: see its adapter's capabilities.
        """
        return native_model(self.spec, self._stack, self.layout, h0, lengths)

    def call(self, h0: bool, lengths: bool) -> Call:
        """The variant that takes h0, lengths, both or neither."""
        with self._lock:
            if (h0, lengths) not in self._loaded:
                self._loaded[h0, lengths] = self._load(variant(self._stack, h0, lengths))
            return self._loaded[h0, lengths]


def build(
    adapter: Any,
    spec: RNNSpec,
    parameters: Sequence[CellParameters],
    device: str,
    dtype: str | None,
    layout: str | None,
    load: Load,
) -> OnnxStack:
    """What an adapter's build returns, for a runtime that loads models in this way."""
    parameters = expect_build(adapter, spec, parameters, device, dtype)
    return OnnxStack(spec, parameters, load, layout_of(spec, layout))


def run(
    capabilities: Capabilities,
    stack: Any,
    x: np.ndarray,
    h0: np.ndarray | None,
    lengths: Lengths,
    layout: str,
    mask: np.ndarray | None = None,
) -> Result:
    """The answer of what build returned. The arguments are those of an adapter's run."""
    if not isinstance(stack, OnnxStack):
        raise NotOffered(f"module: got {type(stack).__name__}, expected what build returns: build(*read(module))")
    spec = stack.spec
    check_inputs(spec, x, h0, lengths, layout, stack.dtype, mask)
    capabilities.require(features_of(spec, x, h0, lengths, layout, mask=mask))
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
