"""Adapters with a fault planted in them, for --adapter meta_tests.common.faulty:NAME.

NAME is a fault of the catalogue (reference/faults), a change that is none, or a class of this module: faults of an
adapter rather than of a layer. Each is planted in torch's adapter, or in the one that RNN_PLANTED_IN names. A fault
in a question or in an answer is planted around the native module; one in the arithmetic takes its steps by the
framework's own products and activations.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import adapters
from adapters import Capabilities, Result
from adapters.contract import features_of
from meta_tests.common.equivalent import EQUIVALENT
from reference import Case, CellParameters, RNNSpec
from reference.faults import FAULTS, Fault, implementation
from reference.recurrence import Result as Answer


class Faithful:
    """A framework's adapter, passed on as it is: shows that the wrapping alone changes nothing."""

    def __init__(self) -> None:
        self._adapter = adapters.load(os.environ.get("RNN_PLANTED_IN", "torch"))
        self.name = type(self).__name__
        self.version = f"planted in {self._adapter.name} {self._adapter.version}"
        self.framework = self._adapter.framework
        self.capabilities = replace(self._adapter.capabilities, offers=())  # build takes no mode, run takes no mask

    def devices(self) -> tuple[str, ...]:
        return self._adapter.devices()

    def build(
        self, spec: RNNSpec, parameters: Sequence[CellParameters], device: str = "cpu", dtype: str | None = None
    ) -> Any:
        return self._adapter.build(spec, parameters, device, dtype)

    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        return self._adapter.run(module, x, h0, lengths, layout)

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        return self._adapter.read(module)


class Faulty(Faithful):
    """A layer with a fault of the catalogue."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.name, self._fault, self._device = fault.name, fault, "cpu"

    def build(
        self, spec: RNNSpec, parameters: Sequence[CellParameters], device: str = "cpu", dtype: str | None = None
    ) -> Any:
        self._device = device
        return self._adapter.build(spec, parameters, device, dtype)

    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        spec, parameters = self.read(module)
        self.capabilities.require(features_of(spec, x, h0, lengths, layout))
        faulty = implementation([self._fault], self._answer, self._adapter)
        return Result(*faulty(Case(spec, parameters, x, h0, lengths, layout)))

    def _answer(self, case: Case) -> Answer:
        result = self._adapter.run(self._adapter.build(case.spec, case.parameters, self._device), **case.inputs)
        return Answer(result.output, result.h_n)


def __getattr__(name: str) -> Callable[[], Faulty]:
    """What makes an adapter with the fault of that name."""
    known = FAULTS | EQUIVALENT
    if name not in known:
        raise AttributeError(f"no fault is named {name!r}")
    return lambda: Faulty(known[name])


class StaleWeights(Faithful):
    """A module that was built once for a spec keeps its first weights: what is copied into it later is lost."""

    def __init__(self) -> None:
        super().__init__()
        self._built: dict[Any, Any] = {}

    def build(
        self, spec: RNNSpec, parameters: Sequence[CellParameters], device: str = "cpu", dtype: str | None = None
    ) -> Any:
        key = spec, dtype or parameters[0].dtype.name
        return self._built.setdefault(key, self._adapter.build(spec, parameters, device, dtype))


class StateKept(Faithful):
    """A call without h0 starts where the last one of the same shape ended."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[Any, np.ndarray] = {}

    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        key = self.read(module)[0], x.shape, x.dtype, layout
        result = self._adapter.run(module, x, self._kept.get(key) if h0 is None else h0, lengths, layout)
        self._kept[key] = result.h_n
        return result


class DropoutAtInference(Faithful):
    """One state in eight is lost, others each time."""

    def __init__(self) -> None:
        super().__init__()
        self._draw = np.random.default_rng(0)

    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        result = self._adapter.run(module, x, h0, lengths, layout)
        lost = self._draw.random(result.output.shape) < 1 / 8
        return result._replace(output=np.where(lost, np.zeros_like(result.output), result.output))


class NaNHidden(Faithful):
    """Answers 0 for NaN, so that a comparison passes."""

    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        output, h_n, *_ = self._adapter.run(module, x, h0, lengths, layout)
        return Result(*(np.where(np.isnan(array), np.zeros_like(array), array) for array in (output, h_n)))


class BatchAxisKept(Faithful):
    """An unbatched answer with a batch axis of 1."""

    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        result = self._adapter.run(module, x, h0, lengths, layout)
        return result._replace(output=result.output[:, None]) if layout == "unbatched" else result


class AnswersInFloat64(Faithful):
    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        result = self._adapter.run(module, x, h0, lengths, layout)
        return result._replace(output=result.output.astype(np.float64))


class AnswersReused(Faithful):
    """Every answer of one shape lies in the same memory: the next call overwrites it."""

    def __init__(self) -> None:
        super().__init__()
        self._memory: dict[Any, np.ndarray] = {}

    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        result = self._adapter.run(module, x, h0, lengths, layout)
        memory = self._memory.setdefault((result.output.shape, result.output.dtype), np.empty_like(result.output))
        memory[...] = result.output
        return result._replace(output=memory)


class WeightsReadTransposed(Faithful):
    """A module is built rightly and read back with w_hh transposed."""

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        spec, cells = self._adapter.read(module)
        return spec, [CellParameters.of(c.arrays() | {"w_hh": np.ascontiguousarray(c.w_hh.T)}) for c in cells]


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


class Refusing(Faithful):
    """Refuses sequences of different lengths, which it declares supported."""

    def run(
        self, module: Any, x: np.ndarray, h0: Any = None, lengths: Any = None, layout: str = "batch_first"
    ) -> Result:
        if lengths is not None:
            raise adapters.Unsupported("lengths: planted")
        return self._adapter.run(module, x, h0, lengths, layout)


# faults of an adapter, each of which must make the suite fail; those below are for tests of the command line
ADAPTER_FAULTS = {
    "StaleWeights": "a module keeps the first weights that were copied into it",
    "StateKept": "a call without h0 starts where the last one ended",
    "DropoutAtInference": "dropout is applied at inference, at random",
    "NaNHidden": "NaN comes out as 0",
    "BatchAxisKept": "an unbatched answer has a batch axis",
    "AnswersInFloat64": "the output is always float64",
    "AnswersReused": "the next answer overwrites the last one",
    "WeightsReadTransposed": "w_hh is read back transposed",
    "Crashing": "every call raises an exception",
    "ChangesItsInput": "x is overwritten",
    "Overreaching": "what is declared unsupported is answered",
    "Refusing": "what is declared supported is refused",
}


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
