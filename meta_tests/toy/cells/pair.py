"""A toy: two gates of tanh that both are the state, and a second path back from it.

h_t = tanh(w_ih x_t + b_ih + b_hh + w_hh h_{t-1} + w_second h_{t-1}),  h = [left, right]

So the state is twice as wide as hidden_size, the rows are stacked gates, and there is a weight beside Elman's four.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reference.calculus import Operations
from reference.cells import State, Weight

if TYPE_CHECKING:
    from reference.spec import RNNSpec

GATES = ("left", "right")
WEIGHTS = (
    Weight("w_ih", ("units", "features"), GATES),
    Weight("w_hh", ("units", "states"), GATES),
    Weight("b_ih", ("units",), GATES),
    Weight("b_hh", ("units",), GATES),
    Weight("w_second", ("units", "states"), GATES),
)


class Pair:
    signed = True

    def __init__(self, spec: RNNSpec) -> None:
        self.states = (State("h", 2 * spec.hidden_size),)

    def weights(self, spec: RNNSpec) -> tuple[Weight, ...]:
        return WEIGHTS if spec.bias else (*WEIGHTS[:2], WEIGHTS[4])

    def project(self, operations: Operations, weights: Mapping[str, Any], x: Any) -> Any:
        return operations.affine([(weights["w_ih"], x)], [weights[name] for name in weights if name.startswith("b_")])

    def step(
        self, operations: Operations, weights: Mapping[str, Any], projected: Any, states: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        (h,) = states
        return (operations.tanh(operations.affine([(weights[n], h) for n in ("w_hh", "w_second")], (), projected)),)


CELLS = {"toy_pair": Pair}
