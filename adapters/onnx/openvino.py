"""OpenVINO's CPU plugin, given the same ONNX models as the runtimes of ONNX. Layers and directions are its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino

from reference import Case, CellParameters, Lengths, RNNSpec

from ..contract import Capabilities, Result, expect_activation, expect_dense
from . import stack as onnx_stack
from .read import read_model
from .script import onnx_script

FIXED = "sequence_lens is ignored while shapes are dynamic; the adapter fixes them before the model is compiled"
IGNORED = "OpenVINO ignores layout 1 of the RNN operator; the adapter transposes"
# Left to itself, the plugin multiplies float32 in bfloat16 or float16 on processors that do so fast.
SETTINGS = {"INFERENCE_PRECISION_HINT": "f32"}
CORE = openvino.Core()


class OpenVinoAdapter:
    """OpenVINO on CPU, told to compute in float32. It computes float16 and bfloat16 models in float32 then."""

    name = "openvino"
    framework: Any = openvino
    version = str(openvino.__version__).partition("-")[0]
    capabilities = Capabilities(
        unsupported={
            **onnx_stack.NOT_OFFERED,
            ("dtype", "float64"): "the CPU plugin computes float64 in float32, and answers in float64",
            ("time", "0"): "the final states of no steps are whatever the memory holds",
        },
        together={**onnx_stack.HIDES_NAN, (("h0", True), ("lengths", "with zeros")): onnx_stack.UNDEFINED},
        arithmetics={(("dtype", dtype),): f"{dtype}_of_float32" for dtype in ("float16", "bfloat16")},
        emulated={**onnx_stack.EMULATED, onnx_stack.BATCH_FIRST: IGNORED, ("lengths", "mixed"): FIXED},
    )

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def environment(self) -> dict[str, Any]:
        """Versions, hardware, and the precision that the adapter asks for."""
        return {
            "OpenVINO": str(openvino.__version__),
            "CPU": str(CORE.get_property("CPU", "FULL_DEVICE_NAME")),
            "CPU capability": ", ".join(CORE.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
            "inference precision": "f32 (the adapter's choice)",
            "inference precision by default": CORE.get_property("CPU", "INFERENCE_PRECISION_HINT").to_string(),
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
        self.capabilities.require({"dtype": x.dtype.name})
        return onnx_stack.dense(load, weight, bias, x)

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        expect_activation(self, a, nonlinearity, device)
        self.capabilities.require({"dtype": a.dtype.name})
        return onnx_stack.activation(load, a, nonlinearity)

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """Of what build returns, or of a user's own onnx.ModelProto."""
        return read_model(module)

    def script(self, case: Case, device: str = "cpu") -> str:
        return onnx_script(case, "openvino", device)


def load(model: Any) -> onnx_stack.Call:
    """A compiled model; one for each shape where sequence_lens is an input, which is ignored while shapes are dynamic.

    Each call has a request of its own, so that threads do not share one.
    """
    source = model.SerializeToString()
    compiled: dict[Any, Any] = {}

    def call(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        # a model that is fixed to an empty batch ends the process (SIGFPE) when it is compiled
        fixed = "sequence_lens" in feeds and feeds["sequence_lens"].size > 0
        shapes = {name: list(array.shape) for name, array in feeds.items()} if fixed else {}
        key = repr(shapes)
        if key not in compiled:
            read = CORE.read_model(source, b"")
            if fixed:
                read.reshape(shapes)
            compiled[key] = CORE.compile_model(read, "CPU", SETTINGS)
        request = compiled[key].create_infer_request()
        request.infer({name: tensor(array) for name, array in feeds.items()})
        return {output.get_any_name(): array_of(request.get_tensor(output)) for output in compiled[key].outputs}

    return call


def tensor(array: np.ndarray) -> Any:
    """A tensor of the same values and dtype. bfloat16 is handed over as its bits, as OpenVINO takes it."""
    if array.dtype.name != "bfloat16":
        return openvino.Tensor(array)
    return openvino.Tensor(array.view(np.uint16), openvino.Shape(array.shape), openvino.Type.bf16)


def array_of(value: Any) -> np.ndarray:
    """A NumPy copy of a tensor."""
    if value.element_type != openvino.Type.bf16:
        return value.data.copy()
    import ml_dtypes

    return value.data.view(ml_dtypes.bfloat16).copy()
