"""A toy with a hidden state: d is the state of two steps ago, which the layer answers at the end alone.

h_t = tanh(w_ih x_t + b_ih + b_hh + w_hh h_{t-1} + w_late d_{t-1}),  d_t = h_{t-1}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reference.calculus import Operations
from reference.cells import State, Weight

if TYPE_CHECKING:
    from reference.spec import RNNSpec

WEIGHTS = (
    Weight("w_ih", ("units", "features")),
    Weight("w_hh", ("units", "states")),
    Weight("b_ih", ("units",)),
    Weight("b_hh", ("units",)),
    Weight("w_late", ("units", "states")),
)


class Delay:
    signed = False

    def __init__(self, spec: RNNSpec) -> None:
        self.states = (State("h", spec.hidden_size), State("d", spec.hidden_size, reported=False))

    def weights(self, spec: RNNSpec) -> tuple[Weight, ...]:
        return WEIGHTS

    def project(self, operations: Operations, weights: Mapping[str, Any], x: Any) -> Any:
        return operations.affine([(weights["w_ih"], x)], [weights["b_ih"], weights["b_hh"]])

    def step(
        self, operations: Operations, weights: Mapping[str, Any], projected: Any, states: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        h, d = states
        a = operations.affine([(weights["w_hh"], h), (weights["w_late"], d)], (), projected)
        return operations.tanh(a), h


CELLS = {"toy_delay": Delay}
