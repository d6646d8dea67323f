"""torch's layers exported to ONNX, and run in ONNX Runtime: what becomes of a layer on its way into production.

torch has two exporters. The older one (dynamo=False) makes a recurrent node of each layer, of any shape, and takes
packed sequences: it is what is judged as it comes. The newer one (dynamo=True, the default of torch.onnx.export since
2.9) unrolls torch.nn.RNN into products and activations, for one number of steps, makes a node of a GRU or LSTM, and
takes no packed sequences: it is the mode "exported".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import onnxruntime
import torch

from reference import Case, CellParameters, RNNSpec
from reference.layout import from_state_tuple

from ..contract import MODES, Capabilities, Compiles, Feature, Idiom, Refusal, Result
from ..inputs import Framework, Inputs, Known, expect_built
from ..onnx.runtimes import NO_DOUBLE, NO_KERNEL
from ..onnx.runtimes import onnxruntime as runtime
from ..torch.adapter import TorchAdapter, packed, tensor
from ..torch.models import PaddedRNN
from ..torch.modes import Arguments, ModeRunner, named
from . import ways
from .modes import EXPORTERS, Export, session
from .script import LAYERS, torch_onnx_script

TORCH = TorchAdapter()
NOT_EXPORTED = Refusal("TorchExportError", "Failed to export the model with torch.export")
UNKNOWN = Refusal("SymbolicValueError", "LSTMs with projections")
# a reverse layer is flipped, and packed sequences are sorted
IN_OPSET_7: dict[tuple[Feature, ...], Refusal] = {
    (("direction", "reverse"),): Refusal("UnsupportedOperatorError or OnnxExporterError", "opset"),
    (("lengths", "mixed"),): Refusal("SymbolicValueError or OnnxExporterError", "ONNX export"),
}
GATED = tuple(cell for cell in LAYERS if cell != "elman")
NO_BFLOAT16 = Refusal("InvalidGraph", "Type 'tensor(bfloat16)'")
# what the newer exporter refuses in place of what the older one does
NEWER: dict[tuple[Feature, ...], Refusal] = {
    (("dtype", "bfloat16"), ("mode", "eager")): NO_KERNEL,
    **{(("dtype", "bfloat16"), ("mode", "eager"), ("cell", cell)): NO_BFLOAT16 for cell in GATED},
    **{(("lengths", asked),): NOT_EXPORTED for asked in ("mixed", "with zeros")},
    (("time", "0"),): NOT_EXPORTED,
}
DOUBLE: dict[tuple[Feature, ...], Refusal] = {
    (("dtype", "float64"), ("mode", mode), ("cell", cell)): NO_DOUBLE for cell in GATED for mode in EXPORTERS
}
OLDER = ((("dtype", "float64"), ("mode", "eager")), (("dtype", "bfloat16"), ("mode", "eager")),
         (("projection", True), ("mode", "eager")), (("lengths", "with zeros"),), (("time", "0"),))  # fmt: skip


class Exported(ModeRunner):
    """A layer of torch that runs as it was exported. An export is kept, and run again for what it can take.

    reverse: whether the sequence is flipped around the layer, which itself runs forward.  export: what exports it.
    """

    def __init__(self, rnn: torch.nn.RNNBase, mode: str, dtype: np.dtype, reverse: bool) -> None:
        super().__init__(rnn, mode, dtype)
        self.reverse = reverse
        self.export = EXPORTERS[mode]

    def made(self, padded: PaddedRNN, arguments: Arguments) -> Callable[..., Any]:
        call = session(self.export, padded.eval(), named(arguments))

        def asked(*given: Any) -> tuple[np.ndarray, Any]:
            arrays = ways.arrays_of(named(given))
            output, *states = call({name: array.numpy() for name, array in arrays.items()})
            return output, from_state_tuple(states)

        return asked


class TorchOnnxAdapter(Framework):
    """torch.onnx.export, then ONNX Runtime on CPU."""

    name = "torch-onnx"
    framework: Any = torch
    version = f"{torch.__version__} in ONNX Runtime {onnxruntime.__version__}"
    capabilities = Capabilities(
        unsupported={
            ("mask", True): "torch's layers take no mask; packed sequences have their padding at the end",
            **{
                ("mode", mode): "torch exports in two ways: eager and exported"
                for mode in MODES
                if mode not in EXPORTERS
            },
        },
        refused={
            (("dtype", "float64"), ("mode", "eager")): NO_KERNEL,
            **DOUBLE,
            (("projection", True), ("mode", "eager")): UNKNOWN,
            (("dtype", "bfloat16"), ("mode", "eager")): NO_BFLOAT16,
            (("dtype", "bfloat16"), ("mode", "exported")): NO_KERNEL,
            **{(("dtype", "bfloat16"), ("mode", "exported"), ("cell", cell)): NO_BFLOAT16 for cell in GATED},
            (("lengths", "with zeros"), ("time", "0")): Refusal("RuntimeError", "Cannot pack empty tensors"),
            (("lengths", "with zeros"),): Refusal("RuntimeError", "Length of all samples has to be greater than 0"),
            (("time", "0"),): Refusal("RuntimeError", "Expected sequence length to be larger than 0 in RNN"),
            **{(("mode", "exported"), ("lengths", asked)): NOT_EXPORTED for asked in ("mixed", "with zeros")},
            (("mode", "exported"), ("time", "0")): NOT_EXPORTED,
        },
        arithmetics={(("dtype", "float16"),): "float16_of_float32"},
        emulated={
            ("direction", "reverse"): "torch's layers run forward or both ways; what is exported flips before and after"
        },
        offers=(("mode", "exported"), ("cell", "gru"), ("cell", "lstm"), ("projection", True)),
    )
    compiles = Compiles(weights=True)

    @cached_property
    def idioms(self) -> dict[str, Idiom]:
        def older(says: str, export: Export, **more: Any) -> Idiom:
            return Idiom(f"of what the older exporter makes {says}", self._exported(export, "eager"), **more)

        def newer(says: str, export: Export) -> Idiom:
            return Idiom(f"of what the newer exporter makes {says}", self._exported(export, "exported"),
                         refused=NEWER, answers=OLDER, isolate=True, compiles=True)  # fmt: skip

        return {
            "fixed shapes": older("for the shapes of the case", ways.fixed_shapes),
            "other sizes": older("of an example of other sizes", ways.other_sizes),
            "oldest opset": older("in opset 7", ways.oldest_opset, refused=IN_OPSET_7),
            "dynamic batch": newer("for any number of sequences", ways.dynamic_batch),
            "newest opset": newer("for any number of sequences in opset 23", ways.newest_opset),
            "dynamic steps": newer("for any number of steps", ways.dynamic_steps),
        }

    def _exported(self, export: Export, mode: str) -> Callable[[Case, str], Result]:
        def answer(case: Case, device: str) -> Result:
            module = self.build(case.spec, case.parameters, device, mode=mode)
            module.export = export
            return self.run(module, **case.inputs)

        return answer

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
        """torch.nn.Tanh, ReLU or Sigmoid, exported."""
        layers = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid}
        return _answer(layers[nonlinearity](), a)

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """Of what build returns, or of a user's own layer of torch."""
        if not isinstance(module, Exported):
            return TORCH.read(module)
        spec, parameters = TORCH.read(module.rnn)
        return (replace(spec, direction="reverse") if module.reverse else spec), parameters

    def script(self, case: Case, device: str = "cpu", way: str = "eager") -> str:
        return torch_onnx_script(case, device, way)


def _answer(module: torch.nn.Module, array: np.ndarray) -> np.ndarray:
    """Of a module of one array, exported by tracing."""
    (answer,) = session(ways.traced, module, {"input": tensor(np.ascontiguousarray(array))})({"input": array})
    return answer
