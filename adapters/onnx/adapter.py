"""ONNX's operators RNN, GRU and LSTM, in any of its runtimes on CPU. Layers, directions and lengths are their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from reference import Case, CellParameters, RNNSpec
from reference.judging.view import WHOLE

from ..contract import Idiom, Result, expect_device, layout_of
from ..inputs import Framework, Inputs, Known, expect_built
from ..mapping import ours, theirs
from . import runtimes
from .mapping import MAPPING
from .models import operator_model, stack_model
from .read import read_model
from .runtimes import Call, Runtime
from .script import onnx_script
from .ways import Way

ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid"}


class OnnxStack:
    """What build returns: a stack as ONNX models, and each variant that run asked for once it is loaded.

    spec, dtype: of what it was built of.  layout: of x and output in the models that a user calls.
    """

    def __init__(self, spec: RNNSpec, parameters: Sequence[CellParameters], runtime: Runtime, layout: str) -> None:
        self.spec, self.dtype, self.layout = spec, parameters[0].dtype, layout
        self._parameters = [cell.astype(cell.dtype) for cell in parameters]
        self._runtime, self._lock = runtime, threading.Lock()
        self._loaded: dict[tuple[bool, bool], Call] = {}

    @property
    def model(self) -> Any:
        """The stack as a plain onnx.ModelProto that takes x alone: onnx.save(stack.model, "stack.onnx")."""
        return self.native()

    def native(self, h0: bool = False, lengths: bool = False) -> Any:
        """A plain onnx.ModelProto: its input is x, its outputs are output, in x's layout, and h_n, and c_n of an LSTM.

        With h0, h0 (num_cells, batch, hidden_size) is an input too, by that name, and c0; with lengths, sequence_lens
        (batch,) of int32: an ONNX model has no input that may be left out. Called so in ONNX Runtime:
        onnxruntime.InferenceSession(stack.model.SerializeToString()).run(["output", "h_n"], {"x": x}).
        What each runtime makes of sequence_lens is in docs/findings.md.
        """
        return stack_model(self.spec, self._parameters, self.layout, h0, lengths)

    def call(self, h0: bool, lengths: bool) -> Call:
        """The time-first variant that takes these, loaded once. It answers the outputs of all layers."""
        with self._lock:
            if (h0, lengths) not in self._loaded:
                model = stack_model(self.spec, self._parameters, "time_first", h0, lengths, every_layer=True)
                self._loaded[h0, lengths] = self._runtime.load(model)
        return self._loaded[h0, lengths]


def feeds_of(spec: RNNSpec, inputs: Inputs) -> dict[str, np.ndarray]:
    """What is asked, by the names of a model's inputs.  inputs: time first."""
    layer, feeds = MAPPING[spec.cell], {"x": np.ascontiguousarray(inputs.x)}
    starts = zip(layer.states, theirs(spec, layer, inputs.h0), strict=False)
    feeds |= {f"{state}0": np.ascontiguousarray(array) for state, array in starts}
    if inputs.lengths is not None:
        feeds["sequence_lens"] = inputs.lengths.astype(np.int32)
    return feeds


def states_of(spec: RNNSpec, answers: Mapping[str, np.ndarray]) -> Any:
    """The states at the end, of a model's answers by name; h first where there are several."""
    layer = MAPPING[spec.cell]
    return ours(spec, layer, [np.array(answers[f"{state}_n"]) for state in layer.states])


def outputs_of(spec: RNNSpec) -> list[str]:
    """The names of each layer's output."""
    return [*(f"output_{layer}" for layer in range(spec.num_layers - 1)), "output"]


class OnnxAdapter(Framework):
    """A runtime, given models of recurrent nodes."""

    def __init__(self, runtime: Callable[[], Runtime]) -> None:
        self._runtime = runtime()
        self.name, self.framework = self._runtime.name, self._runtime.framework
        self.version = self._runtime.version
        self.capabilities, self.compiles = self._runtime.capabilities, self._runtime.compiles
        self.idioms = {
            word: Idiom(way.says, partial(self._in_a_way, way), *way.asked) for word, way in self._runtime.ways.items()
        }

    def environment(self) -> dict[str, Any]:
        return dict(self._runtime.environment)

    def _make(self, spec: RNNSpec, parameters: list[CellParameters], device: str, mode: str, layout: str | None) -> Any:
        """An OnnxStack: its `model` is a plain onnx.ModelProto, in the layout asked for."""
        return OnnxStack(spec, parameters, self._runtime, layout_of(spec, layout))

    def _known(self, module: Any) -> Known:
        expect_built(module, OnnxStack)
        return Known(module, module.spec, module.dtype)

    def _run(self, known: Known, inputs: Inputs) -> Result:
        inputs = inputs.to("time_first")
        feeds = feeds_of(known.spec, inputs)
        answers = known.native.call("h0" in feeds, "sequence_lens" in feeds)(feeds)
        outputs = [np.array(answers[name]) for name in outputs_of(known.spec)]
        return inputs.result(outputs, states_of(known.spec, answers))

    def _in_a_way(self, way: Way, case: Case, device: str) -> Result:
        """The answer to a case by a model that is made, loaded or asked in another way."""
        expect_device(device, self.devices())
        lengths = None if case.lengths is None else np.atleast_1d(np.asarray(case.lengths))
        inputs = Inputs(case.x, case.h0, lengths, None, case.layout, case.layout).to("time_first")
        feeds, whole = feeds_of(case.spec, inputs), way.view == WHOLE
        h0, lengths = "h0" in feeds, "sequence_lens" in feeds
        model = stack_model(case.spec, case.parameters, "time_first", h0, lengths, every_layer=whole)
        for change in way.changes:
            change(model, feeds)
        answers = {name: way.read(array, case.dtype) for name, array in self._ask(way, model, feeds).items()}
        outputs = [answers[name] for name in outputs_of(case.spec) if name in answers]
        states = states_of(case.spec, answers) if "h_n" in answers else None
        # what is not shown is as good as any
        result = inputs.result(outputs or [inputs.x], inputs.x if states is None else states)
        return Result(result.output if outputs else None, None if states is None else result.h_n, result.prefixes)

    def _ask(self, way: Way, model: Any, feeds: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        return self._runtime.load(model)(feeds) if way.ask is None else way.ask(model, feeds)

    def _dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str) -> np.ndarray:
        """The operator Gemm; or MatMul, and Add."""
        rows = x.reshape(-1, x.shape[-1])
        if self._runtime.dense == ("Gemm",):
            gemm = operator_model("Gemm", weight.dtype, 2, 2, 1, transB=1)
            answer = self._operator(gemm, {"a": rows, "b": weight, "c": bias})
        else:
            ranks = zip(self._runtime.dense, (2, 1), strict=True)
            product, add = (operator_model(operator, weight.dtype, 2, rank) for operator, rank in ranks)
            answer = self._operator(add, {"a": self._operator(product, {"a": rows, "b": weight.T}), "b": bias})
        return answer.reshape(*x.shape[:-1], len(weight))

    def _activation(self, a: np.ndarray, nonlinearity: str, device: str) -> np.ndarray:
        """The operator Tanh, Relu or Sigmoid."""
        return self._operator(operator_model(ACTIVATIONS[nonlinearity], a.dtype, a.ndim), {"a": a})

    def _operator(self, model: Any, arrays: dict[str, np.ndarray]) -> np.ndarray:
        answers = self._runtime.load(model)({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        return np.array(answers["y"])

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """Of what build returns, or of a user's own onnx.ModelProto."""
        return read_model(module.model if isinstance(module, OnnxStack) else module)

    def script(self, case: Case, device: str = "cpu", way: str = "eager") -> str:
        return onnx_script(case, self.name, device, way, self._runtime.ways)


# an adapter for each runtime, made when it is called
onnxruntime = partial(OnnxAdapter, runtimes.onnxruntime)
reference_evaluator = partial(OnnxAdapter, runtimes.reference_evaluator)
openvino = partial(OnnxAdapter, runtimes.openvino)
tract = partial(OnnxAdapter, runtimes.tract)
