"""Other ways in which users call Flax's layers than run does."""

from __future__ import annotations

from typing import Any

from flax import nnx

from reference import Case

from ..contract import Adapter, Idiom, Result
from .settings import device_named, settings


def idioms(adapter: Adapter) -> dict[str, Idiom]:
    """Those of the adapter, by their words."""

    def as_it_comes(case: Case, device: str) -> Result:
        with settings(device_named(device), case.x.dtype):
            kind: Any = nnx.SimpleCell
            kind(case.spec.input_size, case.spec.hidden_size, dtype=case.x.dtype, param_dtype=case.x.dtype,
                 rngs=nnx.Rngs(0))  # fmt: skip
        return adapter.run(adapter.build(case.spec, case.parameters, device), **case.inputs)

    return {"as it comes": Idiom("of a SimpleCell with its own initialisers, whose weights are set then", as_it_comes)}
