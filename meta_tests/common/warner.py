"""An adapter of the reference that warns wherever it is touched, for --adapter meta_tests.common.warner:Alarmist."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from adapters import Capabilities, Result
from reference import CellParameters, RNNSpec

from .references import Mirror

warnings.warn("imported", DeprecationWarning, stacklevel=1)


class OwnWarning(Warning):
    """A category that Python does not know."""


class Alarmist(Mirror):
    name = "alarmist"

    def __init__(self) -> None:
        warnings.warn("made", PendingDeprecationWarning, stacklevel=1)
        super().__init__()

    def devices(self) -> tuple[str, ...]:
        warnings.warn("devices", FutureWarning, stacklevel=1)
        return ("cpu",)

    def capabilities_on(self, device: str) -> Capabilities:
        warnings.warn("capabilities", SyntaxWarning, stacklevel=1)
        return self.capabilities

    def environment(self) -> dict[str, str]:
        warnings.warn("environment", ImportWarning, stacklevel=1)
        return {"mood": "uneasy"}

    def build(
        self, spec: RNNSpec, parameters: Sequence[CellParameters], device: str = "cpu", dtype: str | None = None
    ) -> Any:
        warnings.warn(f"build at {object()}", UserWarning, stacklevel=1)
        return super().build(spec, parameters, device, dtype)

    def run(self, module: Any, **inputs: Any) -> Result:
        warnings.warn("run", RuntimeWarning, stacklevel=1)
        return super().run(module, **inputs)

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        warnings.warn("dense", OwnWarning, stacklevel=1)
        return (x @ weight.T + bias).astype(x.dtype)

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        warnings.warn("activation", ResourceWarning, stacklevel=1)
        return np.tanh(a) if nonlinearity == "tanh" else np.maximum(a, 0).astype(a.dtype)

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        warnings.warn("read", UnicodeWarning, stacklevel=1)
        return module
