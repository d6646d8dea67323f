"""What adapters of frameworks on JAX share: devices, a script in each way, and that what was compiled is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from reference import Case

from ..contract import Compiles, features_of_case
from ..inputs import Framework, Inputs, Known
from .settings import gpus

# JAX keeps every program that it compiles: each eager call of a scan makes one, 3.6 MB, measured, and each key of a
# compiled function. After so many calls, eager or first of their key, all are forgotten.
PROGRAMS_KEPT = 100


class OnJax(Framework):
    """An adapter of a framework whose layers JAX compiles for each key, on CPU and CUDA."""

    compiles = Compiles("compiled")
    idioms: Any
    script_of: Callable[[Case, str, str], str]

    def __init__(self) -> None:
        self._calls, self._programs = 0, set[Any]()

    def devices(self) -> tuple[str, ...]:
        return ("cpu", *(f"cuda:{index}" for index in range(len(gpus()))))

    def script(self, case: Case, device: str = "cpu", way: str = "eager") -> str:
        """Raises NotOffered for a case that an idiom lacks, beside what script_of raises."""
        if way in self.idioms:
            self.idioms[way].narrowed(self.capabilities).require(features_of_case(case))
        return type(self).script_of(case, device, way)

    def _forget(self, known: Known, inputs: Inputs) -> None:
        """Drop the compiled programs once there are many: an eager call, or a new key, makes one more."""
        given = inputs.layout, inputs.x.shape, inputs.h0 is None, inputs.lengths is None
        eager = None if known.mode == "compiled" else self._calls
        self._calls += 1
        self._programs.add((known.spec, known.dtype, known.mode, given, eager))
        if len(self._programs) > PROGRAMS_KEPT:
            jax.clear_caches()
            self._programs.clear()
