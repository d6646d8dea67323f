"""torch.nn.RNN exported to ONNX, and run in ONNX Runtime: what becomes of a layer on its way into production.

torch has two exporters. The older one (dynamo=False) makes an RNN node of each layer, of any shape, and takes packed
sequences: it is what is judged as it comes. The newer one (dynamo=True, the default of torch.onnx.export since 2.9)
unrolls the layer into products and activations, for one number of steps, and takes no packed sequences: it is the
mode "exported".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import torch

from reference import CellParameters, RNNSpec

from ..contract import MODES, Capabilities, Compiles, Result
from ..inputs import Framework, Inputs, Known, expect_built
from ..onnx.runtimes import HIDES_NAN, NO_KERNEL
from ..onnx.runtimes import onnxruntime as runtime
from ..torch.adapter import TorchAdapter, packed, tensor
from ..torch.models import PaddedRNN
from ..torch.modes import Arguments, ModeRunner, named
from .modes import EXPORTERS, by_tracing

TORCH = TorchAdapter()
LACKING = ("lengths", "with zeros"), ("time", "0"), ("mask", True)
OF_TORCH = {feature: TORCH.capabilities.unsupported[feature] for feature in LACKING}
RESHAPED = "what is exported puts the halves together by a Reshape to (0, 0, -1), which no empty batch can be given"


class Exported(ModeRunner):
    """A torch.nn.RNN that runs as it was exported. An export is kept, and run again for what it can take.

    reverse: whether the sequence is flipped around the layer, which itself runs forward.
    """

    def __init__(self, rnn: torch.nn.RNN, mode: str, dtype: np.dtype, reverse: bool) -> None:
        super().__init__(rnn, mode, dtype)
        self.reverse = reverse

    def made(self, padded: PaddedRNN, arguments: Arguments) -> Callable[..., Any]:
        call = EXPORTERS[self.mode](padded.eval(), named(arguments))
        return lambda *given: call({name: array.numpy() for name, array in named(given).items()})


class TorchOnnxAdapter(Framework):
    """torch.onnx.export, then ONNX Runtime on CPU."""

    name = "torch-onnx"
    framework: Any = torch
    version = f"{torch.__version__} in ONNX Runtime {onnxruntime.__version__}"
    capabilities = Capabilities(
        unsupported={
            **{("dtype", dtype): f"ONNX Runtime: {NO_KERNEL}" for dtype in ("float64", "bfloat16")},
            **OF_TORCH,
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
    compiles = Compiles(weights=True)

    def environment(self) -> dict[str, Any]:
        """Versions of the exporters, and of what runs the exports."""
        return {"torch": str(torch.__version__), **runtime().environment}

    def _make(self, spec: RNNSpec, parameters: list[CellParameters], device: str, mode: str, layout: str | None) -> Any:
        """An Exported. It is for run alone, which exports for each layout; the layout given is the one read() tells."""
        plain = replace(spec, direction="forward") if spec.direction == "reverse" else spec
        return Exported(TORCH.build(plain, parameters, layout=layout), mode, parameters[0].dtype, spec != plain)

    def _known(self, module: Any) -> Known:
        expect_built(module, Exported)
        return Known(module, self.read(module)[0], module.dtype, module.mode)

    def _run(self, known: Known, inputs: Inputs) -> Result:
        inputs, arguments = packed(inputs)
        output, h_n = known.native(inputs.layout == "batch_first", arguments)
        return inputs.result([output], h_n)

    def _dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str) -> np.ndarray:
        """torch.nn.Linear, exported."""
        head = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=tensor(weight).dtype)
        head.load_state_dict({"weight": tensor(weight), "bias": tensor(bias)})
        return _answer(head, x)

    def _activation(self, a: np.ndarray, nonlinearity: str, device: str) -> np.ndarray:
        """torch.nn.Tanh or torch.nn.ReLU, exported."""
        return _answer({"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[nonlinearity](), a)

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """Of what build returns, or of a user's own torch.nn.RNN."""
        if not isinstance(module, Exported):
            return TORCH.read(module)
        spec, parameters = TORCH.read(module.rnn)
        return (replace(spec, direction="reverse") if module.reverse else spec), parameters


def _answer(module: torch.nn.Module, array: np.ndarray) -> np.ndarray:
    """Of a module of one array, exported by tracing."""
    (answer,) = by_tracing(module, {"input": tensor(np.ascontiguousarray(array))})({"input": array})
    return answer
