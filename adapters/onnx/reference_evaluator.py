"""The reference evaluator of the onnx package: the standard's own operators, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from reference import Case, CellParameters, Lengths, RNNSpec

from ..contract import Capabilities, Result, expect_activation, expect_dense
from . import stack as onnx_stack
from .models import expect_onnx
from .read import read_model
from .script import onnx_script

expect_onnx((1, 23))  # the evaluator of 1.22 knows no bidirectional RNN

IGNORED = "op_rnn.py takes sequence_lens and does not use it: every sequence runs to the end"


class OnnxReferenceAdapter:
    """onnx.reference.ReferenceEvaluator, given models of RNN nodes."""

    name = "onnx"
    framework: Any = onnx
    version = str(onnx.__version__)
    capabilities = Capabilities(
        unsupported={
            **onnx_stack.NOT_OFFERED,
            ("nonlinearity", "relu"): "Unknown activation function 'Relu'",
            ("lengths", "mixed"): IGNORED,
            ("lengths", "with zeros"): IGNORED,
            ("time", "0"): "need at least one array to stack",
        },
        # NumPy's dot adds up in float32, and ml_dtypes' does
        arithmetics={(("dtype", dtype),): f"{dtype}_accumulate_float32" for dtype in ("float16", "bfloat16")},
        emulated={
            **onnx_stack.EMULATED,
            onnx_stack.BATCH_FIRST: "the adapter transposes; it does not use layout 1 of the RNN operator",
        },
    )

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def environment(self) -> dict[str, Any]:
        """Versions."""
        return {"onnx": str(onnx.__version__), "NumPy": np.__version__}

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
        return onnx_script(case, "onnx", device)


def load(model: Any) -> onnx_stack.Call:
    """An evaluator of a model."""
    evaluator = ReferenceEvaluator(model)
    names = [output.name for output in model.graph.output]

    def call(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        answers: Any = evaluator.run(names, feeds)
        return dict(zip(names, answers, strict=True))

    return call
