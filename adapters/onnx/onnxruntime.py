"""ONNX Runtime's RNN operator on CPU. Layers, directions and lengths are its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernel

from reference import Case, CellParameters, Lengths, RNNSpec

from ..contract import Capabilities, Refused, Result, expect_activation, expect_dense
from . import stack as onnx_stack
from .read import read_model
from .script import onnx_script

PROVIDER = "CPUExecutionProvider"
NO_KERNEL = "Could not find an implementation for RNN"


class OnnxRuntimeAdapter:
    """onnxruntime's own kernels on CPU, given models of RNN nodes.

    There is a float32 kernel alone: a model of float16 is computed in float32, states and all, and rounded at the end.
    """

    name = "onnxruntime"
    framework: Any = onnxruntime
    version = str(onnxruntime.__version__)
    capabilities = Capabilities(
        unsupported={**onnx_stack.NOT_OFFERED, ("dtype", "float64"): NO_KERNEL, ("dtype", "bfloat16"): NO_KERNEL},
        together={
            **onnx_stack.HIDES_NAN,
            **{(("h0", True), asked): onnx_stack.UNDEFINED for asked in (("lengths", "with zeros"), ("time", "0"))},
        },
        arithmetics={
            (("nonlinearity", "tanh"), ("dtype", "float32")): "float32_sigmoid_tanh",
            (("dtype", "float16"),): "float16_of_float32",
        },
        emulated={
            **onnx_stack.EMULATED,
            onnx_stack.BATCH_FIRST: "ONNX Runtime refuses layout 1 of the RNN operator; the adapter transposes",
        },
    )

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def environment(self) -> dict[str, Any]:
        """Versions, and how a session runs."""
        options = onnxruntime.SessionOptions()
        return {
            "ONNX Runtime": str(onnxruntime.__version__),
            "onnx": str(onnx.__version__),
            "execution provider": PROVIDER,
            "graph optimization": options.graph_optimization_level.name,
            "intra-op threads": options.intra_op_num_threads,
        }

    def build(
        self,
        spec: RNNSpec,
        parameters: Sequence[CellParameters],
        device: str = "cpu",
        dtype: str | None = None,
        *,
        layout: str | None = None,
    ) -> Any:
        """An OnnxStack: its `model` is a plain onnx.ModelProto, in the layout asked for."""
        return onnx_stack.build(self, spec, parameters, device, dtype, layout, load)

    def run(
        self,
        module: Any,
        x: np.ndarray,
        h0: np.ndarray | None = None,
        lengths: Lengths = None,
        layout: str = "batch_first",
        mask: np.ndarray | None = None,
    ) -> Result:
        return onnx_stack.run(self.capabilities, module, x, h0, lengths, layout, mask)

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        expect_dense(self, weight, bias, x, device)
        return onnx_stack.dense(load, weight, bias, x)

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        expect_activation(self, a, nonlinearity, device)
        return onnx_stack.activation(load, a, nonlinearity)

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """Of what build returns, or of a user's own onnx.ModelProto."""
        return read_model(module)

    def script(self, case: Case, device: str = "cpu") -> str:
        return onnx_script(case, "onnxruntime", device)


def load(model: Any) -> onnx_stack.Call:
    """A session of a model. Refused where ONNX Runtime has no kernel."""
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=[PROVIDER])
    except NoKernel as error:
        raise Refused(str(error)) from error
    names = [output.name for output in session.get_outputs()]

    def call(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        answers: Any = session.run(names, feeds)
        return dict(zip(names, answers, strict=True))

    return call
