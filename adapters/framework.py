"""What every framework's adapter does around its framework: check what is asked, and bring the answer back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from reference import CellParameters, Lengths, RNNSpec

from .contract import Capabilities, NotOffered, Result, capabilities_on, expect_build
from .inputs import Inputs, expect_run


class Known(NamedTuple):
    """What run must know of a module before it asks it anything.

    native: whatever the adapter calls.  spec, dtype: of the module.  mode, device: how and where it is called.
    """

    native: Any
    spec: RNNSpec
    dtype: np.dtype
    mode: str = "eager"
    device: str = "cpu"


class Framework(ABC):
    """An adapter (contract.Adapter) whose build and run take care of the arguments; `_make` and `_run` of the rest."""

    name: str
    version: str
    framework: Any
    capabilities: Capabilities

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def build(
        self,
        spec: RNNSpec,
        parameters: Sequence[CellParameters],
        device: str = "cpu",
        dtype: str | None = None,
        mode: str = "eager",
        layout: str | None = None,
    ) -> Any:
        return self._make(spec, expect_build(self, spec, parameters, device, dtype, mode), device, mode, layout)

    def run(
        self,
        module: Any,
        x: np.ndarray,
        h0: np.ndarray | None = None,
        lengths: Lengths = None,
        layout: str = "batch_first",
        mask: np.ndarray | None = None,
    ) -> Result:
        known = self._known(module)
        can = capabilities_on(self, known.device)
        return self._run(known, expect_run(can, known.spec, known.dtype, x, h0, lengths, layout, mask, known.mode))

    @abstractmethod
    def _make(self, spec: RNNSpec, parameters: list[CellParameters], device: str, mode: str, layout: str | None) -> Any:
        """The module. The parameters are of its dtype; layout: as it was given to build."""

    @abstractmethod
    def _known(self, module: Any) -> Known:
        """A module that build returned, or a user's own. NotOffered, with the reason, for one that run cannot ask."""

    @abstractmethod
    def _run(self, known: Known, inputs: Inputs) -> Result:
        """The answer: of inputs.to(a layout that the framework takes), given back by its `result`."""


def expect_built(module: Any, *kinds: type) -> None:
    """Raise NotOffered for a module of another kind than build returns."""
    if not isinstance(module, kinds):
        raise NotOffered(f"module: got {type(module).__name__}, expected what build returns: build(*read(module))")
