"""paddle.nn.SimpleRNN, GRU and LSTM; paddle.nn.RNN in reverse, which they do not run alone."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import paddle
from paddle.nn import functional

from reference import Case, CellParameters, Gradients, RNNSpec

from .. import mapping
from ..contract import Capabilities, Refusal, Result, features_of_case, layout_of
from ..inputs import Framework, Inputs, Known
from .gradients import answer_of, gradients_of
from .idioms import idioms
from .layers import made, with_layout
from .mapping import MAPPING
from .read import read
from .script import paddle_script
from .tensors import array_of, default_dtype, tensor
from .ways import cells_of

# what Paddle says of 16 bits on a CPU: the first of a layer's own list of weights, the others of its loop over time
UNKNOWN = Refusal("RuntimeError", "is not registered. Selected wrong DataType")
NARROW = {
    (): Refusal("RuntimeError", "There are no kernels which are registered in the coalesce_tensor operator"),
    (("direction", "reverse"),): UNKNOWN,
    **({(("projection", True),): UNKNOWN} if "proj_size" in inspect.signature(paddle.nn.LSTM).parameters else {}),
}
ACTIVATIONS = {"tanh": paddle.tanh, "relu": functional.relu, "sigmoid": functional.sigmoid}


class PaddleAdapter(Framework):
    """paddle.nn.SimpleRNN, GRU and LSTM on a CPU."""

    name = "paddle"
    framework: Any = paddle
    version = str(framework.__version__)
    capabilities = Capabilities(
        unsupported={("mask", True): "Paddle's layers take lengths (sequence_length) and no mask"},
        emulated={
            ("layout", "unbatched"): "Paddle's layers take batches; the adapter makes one of the sequence",
            ("gradients", True): "Paddle multiplies what is not finite in the padding by zero, which is NaN (F-305); "
                                 "the adapter hands over zeros for such cotangents, but for an idiom (F-324)",
            ("direction", "reverse"): "SimpleRNN, GRU and LSTM have none; paddle.nn.RNN has, which the adapter stacks, "
                                      "and whose outputs beyond a length it sets to zero",
        },
        refused={
            (("dtype", dtype), *beside): said
            for dtype in ("float16", "bfloat16")
            for beside, said in NARROW.items()
        },
        offers=(("cell", "gru"), ("cell", "lstm"), ("projection", True), ("gradients", True)),
    )  # fmt: skip
    read = staticmethod(read)

    def __init__(self) -> None:
        self.idioms = idioms(self)

    def script(self, case: Case, device: str = "cpu", way: str = "eager") -> str:
        """Raises NotOffered for a case with a mask, and for one that an idiom lacks."""
        if way in self.idioms:
            self.idioms[way].narrowed(self.capabilities).require(features_of_case(case))
        else:
            self.capabilities.require({"mask": case.mask is not None})
        return paddle_script(case, device, way)

    def _make(self, spec: RNNSpec, parameters: list[CellParameters], device: str, mode: str, layout: str | None) -> Any:
        """A SimpleRNN, GRU or LSTM; in reverse a paddle.nn.RNN, or of several layers a LayerList of them."""
        with default_dtype(parameters[0].dtype):
            layer = made(spec, layout_of(spec, layout) == "time_first")
        for cell, track in zip(cells_of(layer), parameters, strict=True):
            for name, array in mapping.native(spec, MAPPING[spec.cell], track).items():
                getattr(cell, name).set_value(tensor(array))
        layer.eval()
        return layer

    def _known(self, module: Any) -> Known:
        spec, parameters = read(module)
        return Known(module, spec, parameters[0].dtype)

    def _run(self, known: Known, inputs: Inputs) -> Result:
        return answer_of(with_layout(known.native, inputs.layout == "time_first"), known, inputs)

    def _gradients(self, module: Any, known: Known, inputs: Inputs, cotangents: tuple[Any, Any]) -> Gradients:
        return gradients_of(with_layout(module, inputs.layout == "time_first"), known, inputs, cotangents)

    def _dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str) -> np.ndarray:
        return array_of(functional.linear(tensor(x), tensor(weight.T), tensor(bias)))

    def _activation(self, a: np.ndarray, nonlinearity: str, device: str) -> np.ndarray:
        return array_of(ACTIVATIONS[nonlinearity](tensor(a)))
