"""Adapters that are right but for their gradients: each fault of reference/faults/backward.py, planted in a framework.

What is changed before or after the backward pass is so around the framework's own; a pass that is made otherwise is the
reference's, as nothing reaches into a framework's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from adapters.capabilities import Capabilities
from reference import Case, Gradients
from reference.faults.backward import FAULTS, RIGHT, BackwardFault

from .faulty import Faithful

OFFERS = (("gradients", True), *(("cell", cell) for cell in ("gru", "lstm")))


class FaithfulGradients(Faithful):
    """A framework's adapter, passed on with its gradients."""

    def __init__(self) -> None:
        super().__init__()
        self._adapter: Any = self._adapter
        self.capabilities: Capabilities = replace(self._adapter.capabilities, offers=OFFERS)

    def gradients(self, module: Any, x: Any, h0: Any = None, lengths: Any = None, layout: str = "batch_first",
                  mask: Any = None, cotangents: Any = None) -> Gradients:  # fmt: skip
        return self._adapter.gradients(module, x, h0, lengths, layout, mask, cotangents)


class FaultyGradients(FaithfulGradients):
    """With a fault planted."""

    def __init__(self, name: str, fault: BackwardFault) -> None:
        super().__init__()
        self.name, self._fault = name, fault

    def gradients(self, module: Any, x: Any, h0: Any = None, lengths: Any = None, layout: str = "batch_first",
                  mask: Any = None, cotangents: Any = None) -> Gradients:  # fmt: skip
        case = Case(*self.read(module), x, h0, lengths, layout, mask, cotangents)
        right, asked = self._asked(module, case), self._fault.asked(case)
        found = right if self._fault.way is RIGHT and asked is case else self._asked(module, asked)
        if self._fault.way is not RIGHT:
            found = self._fault.plant(case)
        return self._fault.spoilt(case, found._replace(output=right.output, h_n=right.h_n))

    def _asked(self, module: Any, case: Case) -> Gradients:
        return self._adapter.gradients(module, **{"mask": None, **case.inputs}, cotangents=case.cotangents)


def __getattr__(name: str) -> Callable[[], FaultyGradients]:
    """What makes an adapter with the fault of that name."""
    if name not in FAULTS:
        raise AttributeError(f"no fault of gradients is named {name!r}")
    return lambda: FaultyGradients(name, FAULTS[name])
