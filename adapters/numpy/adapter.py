"""The reference itself as an adapter: the smallest there is, to copy for a framework of your own.

It is judged only where it is named (pytest --framework reference): that the reference agrees with itself says that the
suite can be passed, in the arithmetic of every dtype, and nothing of any framework.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from reference import CellParameters, Lengths, RNNSpec, forward
from reference.calculus.numbers import activation
from reference.cells import CELLS

from ..contract import Capabilities, NotOffered, Result, expect_activation, expect_build, expect_dense


class Module(NamedTuple):
    """What build returns. Of a framework, it is its own module, with the weights copied into it."""

    spec: RNNSpec
    parameters: Sequence[CellParameters]


class ReferenceAdapter:
    """reference.forward, in NumPy. It supports everything; as its build takes no mode, it is only called eagerly."""

    name = "reference"
    version = f"on NumPy {np.__version__}"
    framework: Any = np
    capabilities = Capabilities(
        arithmetics={(("dtype", dtype),): f"{dtype}_accumulate_float32" for dtype in ("float16", "bfloat16")},
        offers=(("mask", True), *(("cell", word) for word in CELLS if word != "elman")),
    )

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def build(
        self, spec: RNNSpec, parameters: Sequence[CellParameters], device: str = "cpu", dtype: str | None = None
    ) -> Any:
        parameters = expect_build(self, spec, parameters, device, dtype)
        return Module(spec, [cell.astype(cell.dtype) for cell in parameters])

    def run(
        self,
        module: Any,
        x: np.ndarray,
        h0: np.ndarray | None = None,
        lengths: Lengths = None,
        layout: str = "batch_first",
        mask: np.ndarray | None = None,
    ) -> Result:
        spec, parameters = self.read(module)
        return Result(*forward(spec, parameters, x, h0, lengths, layout, mask))

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        expect_dense(self, weight, bias, x, device)
        return (x @ weight.T + bias).astype(x.dtype)

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        expect_activation(self, a, nonlinearity, device)
        return activation(a, nonlinearity)

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        if not isinstance(module, Module):
            raise NotOffered(f"module: got {type(module).__name__}, expected what build returns")
        return module.spec, [cell.astype(cell.dtype) for cell in module.parameters]
