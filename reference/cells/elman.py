"""The Elman cell (J. L. Elman, Finding structure in time, Cognitive Science 14, 1990).

a_t = w_ih x_t + b_ih + b_hh + w_hh h_{t-1}
h_t = phi(a_t),  phi = tanh or relu

clip: a_t is clipped to [-clip, clip] first, as ONNX defines it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..calculus import Operations, activate, clipped
from . import State, Weight, present, sums_of

if TYPE_CHECKING:
    from ..spec import RNNSpec


class Elman:
    """nonlinearity: the word for phi."""

    signed = True

    def __init__(self, spec: RNNSpec) -> None:
        self.nonlinearity, self.clip = spec.nonlinearity, spec.clip
        self.states = (State("h", spec.hidden_size),)

    def weights(self, spec: RNNSpec) -> tuple[Weight, ...]:
        return sums_of(spec)

    def project(self, operations: Operations, weights: Mapping[str, Any], x: Any) -> Any:
        return operations.affine([(weights["w_ih"], x)], present(weights, "b_ih", "b_hh"))

    def step(
        self, operations: Operations, weights: Mapping[str, Any], projected: Any, states: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        (h,) = states
        a = operations.affine(((weights["w_hh"], h),), (), projected)
        return (activate(operations, self.nonlinearity, clipped(operations, a, self.clip)),)


CELLS = {"elman": Elman}
