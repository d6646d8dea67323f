"""torch.nn.RNN exported to ONNX, and run in ONNX Runtime: what becomes of a layer on its way into production.

torch has two exporters. The older one (dynamo=False) makes an RNN node of each layer, of any shape, and takes packed
sequences: it is what is judged as it comes. The newer one (dynamo=True, the default of torch.onnx.export since 2.9)
unrolls the layer into products and activations, for one number of steps, and takes no packed sequences: it is the
mode "exported".
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import torch

from reference import CellParameters, Lengths, RNNSpec
from reference.arguments import check_inputs

from ..contract import (
    MODES,
    Capabilities,
    NotOffered,
    Result,
    expect_activation,
    expect_build,
    expect_dense,
    features_of,
)
from ..onnx import onnxruntime as runtime
from ..onnx.stack import HIDES_NAN
from ..torch.adapter import TorchAdapter, tensor
from ..torch.models import PaddedRNN, with_layout
from .export import EXPORTERS, Call, operator

TORCH = TorchAdapter()
RESHAPED = "what is exported puts the halves together by a Reshape to (0, 0, -1), which no empty batch can be given"


class Exported:
    """A torch.nn.RNN that runs as it was exported. An export is kept, and run again for what it can take.

    rnn: the layer, which runs forward where the spec's direction is reverse: the sequence is flipped around it.
    """

    def __init__(self, spec: RNNSpec, rnn: Any, mode: str) -> None:
        self.spec, self.rnn, self.mode = spec, rnn, mode
        self.dtype = np.dtype(str(next(rnn.parameters()).dtype).removeprefix("torch."))
        self._exports: dict[Any, Call] = {}
        self._lock = threading.Lock()

    def __call__(self, batch_first: bool, arguments: dict[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """The output and h_n. arguments: x and, where they are given, hx and lengths."""
        key: tuple[Any, ...] = (batch_first, arguments["x"].dim(), *arguments)
        if self.mode == "exported":  # which is of one shape
            key += tuple(arguments["x"].shape)
        with self._lock:
            if key not in self._exports:
                padded = PaddedRNN(with_layout(self.rnn, batch_first), self.spec.direction == "reverse").eval()
                self._exports[key] = EXPORTERS[self.mode](padded, arguments)
        output, h_n = self._exports[key]({name: array.numpy() for name, array in arguments.items()})
        return output, h_n


class TorchOnnxAdapter:
    """torch.onnx.export, then ONNX Runtime on CPU."""

    name = "torch-onnx"
    framework: Any = torch
    version = f"{torch.__version__} in ONNX Runtime {onnxruntime.__version__}"
    capabilities = Capabilities(
        unsupported={
            ("dtype", "float64"): f"ONNX Runtime: {runtime.NO_KERNEL}",
            ("dtype", "bfloat16"): f"ONNX Runtime: {runtime.NO_KERNEL}",
            ("lengths", "with zeros"): "torch.nn.utils.rnn.pack_padded_sequence refuses a length of 0",
            ("time", "0"): "torch.nn.RNN refuses a sequence without steps",
            ("mask", True): "torch.nn.RNN takes no mask; packed sequences have their padding at the end",
            **{("mode", mode): "no exporter makes anything of it" for mode in MODES if mode not in EXPORTERS},
        },
        together={
            **HIDES_NAN,
            (("mode", "exported"), ("lengths", "mixed")): "torch.export cannot trace packed sequences",
            (("batch", "0"), ("direction", "bidirectional")): RESHAPED,
        },
        arithmetics={
            (("nonlinearity", "tanh"), ("dtype", "float32"), ("mode", "eager")): "float32_sigmoid_tanh",
            (("dtype", "float16"),): "float16_of_float32",
        },
        emulated={
            ("direction", "reverse"): "torch.nn.RNN runs forward or both ways; what is exported flips before and after"
        },
        offers=(("mode", "exported"),),
    )

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def environment(self) -> dict[str, Any]:
        """Versions of the exporters, and of what runs the exports."""
        return {"torch": str(torch.__version__), **runtime.OnnxRuntimeAdapter().environment()}

    def build(
        self,
        spec: RNNSpec,
        parameters: Sequence[CellParameters],
        device: str = "cpu",
        dtype: str | None = None,
        mode: str = "eager",
        layout: str | None = None,
    ) -> Any:
        """An Exported. It is for run alone, which exports for each layout; the layout given is the one read() tells."""
        parameters = expect_build(self, spec, parameters, device, dtype, mode)
        plain = replace(spec, direction="forward") if spec.direction == "reverse" else spec
        return Exported(spec, TORCH.build(plain, parameters, layout=layout), mode)

    def run(
        self,
        module: Any,
        x: np.ndarray,
        h0: np.ndarray | None = None,
        lengths: Lengths = None,
        layout: str = "batch_first",
        mask: np.ndarray | None = None,
    ) -> Result:
        if not isinstance(module, Exported):
            raise NotOffered(f"module: got {type(module).__name__}, expected what build returns: build(*read(module))")
        check_inputs(module.spec, x, h0, lengths, layout, module.dtype, mask)
        self.capabilities.require(features_of(module.spec, x, h0, lengths, layout, mask=mask, mode=module.mode))
        packed = lengths is not None and np.size(lengths) > 0  # torch packs no empty batch
        unbatched = layout == "unbatched" and packed  # and packed sequences are batched
        arguments = {"x": tensor(np.ascontiguousarray(x[:, None] if unbatched else x))}
        if h0 is not None:
            arguments["hx"] = tensor(np.ascontiguousarray(h0[:, None] if unbatched else h0))
        if packed:
            arguments["lengths"] = torch.from_numpy(np.atleast_1d(np.asarray(lengths)).astype(np.int64))
        output, h_n = module(layout == "batch_first", arguments)
        return Result(output[:, 0], h_n[:, 0]) if unbatched else Result(output, h_n)

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        """torch.nn.Linear, exported."""
        expect_dense(self, weight, bias, x, device)
        head = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=tensor(weight).dtype)
        with torch.no_grad():
            head.weight.copy_(tensor(weight))
            head.bias.copy_(tensor(bias))
        return operator(head, x)

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        """torch.nn.Tanh or torch.nn.ReLU, exported."""
        expect_activation(self, a, nonlinearity, device)
        return operator({"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[nonlinearity](), a)

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """Of what build returns, or of a user's own torch.nn.RNN."""
        if not isinstance(module, Exported):
            return TORCH.read(module)
        spec, parameters = TORCH.read(module.rnn)
        return replace(spec, direction=module.spec.direction), parameters
