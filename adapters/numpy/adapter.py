"""The reference itself as an adapter: the smallest there is, to copy for a framework of your own.

It is judged only where it is named (pytest --framework reference): that the reference agrees with itself says that the
suite can be passed, in the arithmetic of every dtype, and nothing of any framework.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from reference import CellParameters, Gradients, RNNSpec, backward, forward
from reference.calculus.numbers import activation
from reference.cells import CELLS

from ..capabilities import VARIANTS
from ..contract import Capabilities, NotOffered, Result
from ..inputs import Framework, Inputs, Known, expect_built


class Module(NamedTuple):
    """What build returns. Of a framework, it is its own module, with the weights copied into it."""

    spec: RNNSpec
    parameters: Sequence[CellParameters]


class ReferenceAdapter(Framework):
    """reference.forward, in NumPy. It supports all that a run asks for, but no mode."""

    name = "reference"
    version = f"on NumPy {np.__version__}"
    framework: Any = np
    capabilities = Capabilities(
        arithmetics={(("dtype", dtype),): f"{dtype}_accumulate_float32" for dtype in ("float16", "bfloat16")},
        offers=(
            ("mask", True),
            ("gradients", True),
            ("clip", True),
            *((word, True) for word in VARIANTS),
            *(("cell", word) for word in CELLS if word != "elman"),
        ),
    )

    def _make(self, spec: RNNSpec, parameters: list[CellParameters], device: str, mode: str, layout: str | None) -> Any:
        return Module(spec, [cell.astype(cell.dtype) for cell in parameters])

    def _known(self, module: Any) -> Known:
        expect_built(module, Module)
        return Known(module.parameters, module.spec, module.parameters[0].dtype)

    def _run(self, known: Known, inputs: Inputs) -> Result:
        inputs = inputs.to("batch_first")
        answer = forward(known.spec, known.native, inputs.x, inputs.h0, inputs.lengths, inputs.layout, inputs.mask)
        return inputs.result([answer.output], answer.h_n)

    def _gradients(self, module: Any, known: Known, inputs: Inputs, cotangents: tuple[Any, Any]) -> Gradients:
        """By the equations, in the arithmetic of the module's dtype."""
        x, h0, lengths, mask, layout, _ = inputs
        lengths = int(lengths[0]) if lengths is not None and layout == "unbatched" else lengths
        return backward(known.spec, known.native, x, h0, lengths, layout, mask, cotangents)

    def _dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str) -> np.ndarray:
        return (x @ weight.T + bias).astype(x.dtype)

    def _activation(self, a: np.ndarray, nonlinearity: str, device: str) -> np.ndarray:
        return activation(a, nonlinearity)

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        if not isinstance(module, Module):
            raise NotOffered(f"module: got {type(module).__name__}, expected what build returns")
        return module.spec, [cell.astype(cell.dtype) for cell in module.parameters]
