"""Adapters with a fault planted in them: each must make the suite fail. Loaded by --adapter tests.planted:NAME."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import adapters
from adapters import Capabilities, Result
from adapters.contract import features_of
from reference import CellParameters, RNNSpec


class Faithful:
    """torch's adapter, passed on as it is: shows that the wrapping alone changes nothing."""

    def __init__(self) -> None:
        self._adapter = adapters.load("torch")
        self.name = type(self).__name__
        self.version = f"planted in torch {self._adapter.version}"
        self.framework = self._adapter.framework
        self.capabilities = self._adapter.capabilities

    def devices(self) -> tuple[str, ...]:
        return self._adapter.devices()

    def build(
        self, spec: RNNSpec, parameters: Sequence[CellParameters], device: str = "cpu", dtype: str | None = None
    ) -> Any:
        return self._adapter.build(spec, [self.change_cell(cell) for cell in parameters], device, dtype)

    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        return self._adapter.run(module, x, h0, lengths, layout)

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        return self._adapter.read(module)

    def change_cell(self, cell: CellParameters) -> CellParameters:
        return cell


class TransposedRecurrentWeights(Faithful):
    def change_cell(self, cell: CellParameters) -> CellParameters:
        return replace(cell, w_hh=np.ascontiguousarray(cell.w_hh.T))


class DroppedBias(Faithful):
    def change_cell(self, cell: CellParameters) -> CellParameters:
        return cell if cell.b_hh is None else replace(cell, b_hh=np.zeros_like(cell.b_hh))


class RoundedWeights(Faithful):
    """Recurrent weights of 11 significant bits, as TF32 products have them."""

    def change_cell(self, cell: CellParameters) -> CellParameters:
        fraction, exponent = np.frexp(cell.w_hh.astype(np.float64))
        return replace(cell, w_hh=np.ldexp(np.round(fraction * 2**11) / 2**11, exponent).astype(cell.dtype))


class IgnoredInitialState(Faithful):
    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        return self._adapter.run(module, x, None, lengths, layout)


class SwappedDirections(Faithful):
    """Forward for reverse, reverse for forward; the halves of a bidirectional output exchanged."""

    def build(
        self, spec: RNNSpec, parameters: Sequence[CellParameters], device: str = "cpu", dtype: str | None = None
    ) -> Any:
        other = {"forward": "reverse", "reverse": "forward"}.get(spec.direction, spec.direction)
        return self._adapter.build(replace(spec, direction=other), parameters, device, dtype)

    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        result = self._adapter.run(module, x, h0, lengths, layout)
        if self._adapter.read(module)[0].direction != "bidirectional":
            return result
        return result._replace(output=np.roll(result.output, result.output.shape[-1] // 2, axis=-1))


class Crashing(Faithful):
    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        raise MemoryError("no memory for this sequence")


class ChangesItsInput(Faithful):
    """Answers rightly, and leaves x in ruins."""

    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        result = self._adapter.run(module, x.copy(), h0, lengths, layout)
        if x.flags.writeable:
            x[...] = 0
        return result


class Limited(Faithful):
    """Not a fault: an honest adapter that can do little, and says so."""

    def __init__(self) -> None:
        super().__init__()
        cannot = {
            "direction": ["bidirectional"], "layout": ["unbatched"], "nonlinearity": ["relu"],
            "dtype": ["float16", "bfloat16", "float64"], "bias": [False], "h0": [True],
            "lengths": ["mixed", "with zeros"], "num_layers": ["2", "3 to 10"], "time": ["0", "1"], "batch": ["0"],
        }  # fmt: skip
        self.capabilities = Capabilities({(name, v): "planted" for name, values in cannot.items() for v in values})

    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        self.capabilities.require(features_of(self.read(module)[0], x, h0, lengths, layout))
        return super().run(module, x, h0, lengths, layout)


class Overreaching(Limited):
    """Declares unsupported what it then answers."""

    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        return Faithful.run(self, module, x, h0, lengths, layout)


class Namesake(Faithful):
    """Has another adapter's name, under which its cases would be counted."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "Faithful"


class NoDevices(Faithful):
    def devices(self) -> tuple[str, ...]:
        return ()


class Unloadable(Faithful):
    def __init__(self) -> None:
        raise RuntimeError("no licence found")


class Undeclared(Faithful):
    def __init__(self) -> None:
        super().__init__()
        self.capabilities = None  # type: ignore[assignment]
