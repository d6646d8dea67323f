"""Adapters whose layers have right gradients, and whose stacks have not: meta_tests.common.faulty_stacks:NAME.

What is wrong is planted around the framework's own backward pass: it is asked with other cotangents, or about its lower
layers alone, or its answers change places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from reference import Case, CellParameters, Gradients
from reference.judging.chain import below
from reference.layout import each_state, from_state_tuple, state_tuple

from .faulty_gradients import FaithfulGradients

Ask = Callable[[Case], Gradients]


def of_finals(case: Case, change: Callable[[np.ndarray, int], np.ndarray]) -> Case:
    """With other cotangents of the final states.  change: of them and of how many tracks a layer has."""
    g_output, g_h_n = case.cotangents
    return replace(case, cotangents=(g_output, each_state(lambda one: change(one, case.spec.num_directions), g_h_n)))


def without_the_first(g: np.ndarray, tracks: int) -> np.ndarray:
    return np.concatenate([np.zeros_like(g[:tracks]), g[tracks:]])


def stopped(case: Case, ask: Ask) -> Gradients:
    """The last layer hands nothing to those below it."""
    whole, tracks = ask(case), (case.spec.num_layers - 1) * case.spec.num_directions
    asked = below(case, case.spec.num_layers - 1)
    lower = ask(replace(asked, cotangents=(asked.cotangents[0], each_state(lambda g: g[:tracks], case.cotangents[1]))))
    pairs = zip(state_tuple(lower.h0), state_tuple(whole.h0), strict=True)
    h0 = from_state_tuple([np.concatenate([one, other[tracks:]]) for one, other in pairs])
    return whole._replace(x=lower.x, h0=h0, parameters=[*lower.parameters, *whole.parameters[tracks:]])


def exchanged(case: Case, ask: Ask) -> Gradients:
    """The first two layers exchange the gradients of their recurrent weights."""
    whole, tracks = ask(case), case.spec.num_directions
    several = [*whole.parameters]
    for k in range(tracks):
        pair = [several[k].arrays(), several[k + tracks].arrays()]
        w_hh = [one["w_hh"] for one in pair]
        several[k] = CellParameters.of(pair[0] | {"w_hh": w_hh[1]})
        several[k + tracks] = CellParameters.of(pair[1] | {"w_hh": w_hh[0]})
    return whole._replace(parameters=several)


FAULTS: dict[str, Callable[[Case, Ask], Gradients]] = {
    "gradient_stopped": stopped,
    "weights_exchanged": exchanged,
    "to_the_wrong_layer": lambda case, ask: ask(of_finals(case, lambda g, tracks: np.roll(g, tracks, axis=0))),
    "h_n_of_the_first_dropped": lambda case, ask: ask(of_finals(case, without_the_first)),
}


class FaultyStacks(FaithfulGradients):
    """With a fault planted."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self._fault = name, FAULTS[name]

    def gradients(self, module: Any, x: Any, h0: Any = None, lengths: Any = None, layout: str = "batch_first",
                  mask: Any = None, cotangents: Any = None) -> Gradients:  # fmt: skip
        case = Case(*self.read(module), x, h0, lengths, layout, mask, cotangents)
        return self._right(case) if case.spec.num_layers == 1 else self._fault(case, self._right)

    def _right(self, case: Case) -> Gradients:
        module = self.build(case.spec, case.parameters, "cpu", case.dtype)
        return super().gradients(module, **{"mask": None, **case.inputs}, cotangents=case.cotangents)


def __getattr__(name: str) -> Callable[[], FaultyStacks]:
    """What makes an adapter with the fault of that name."""
    if name not in FAULTS:
        raise AttributeError(f"no fault of stacks is named {name!r}")
    return lambda: FaultyStacks(name)
