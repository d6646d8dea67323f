"""The gated recurrent unit (K. Cho et al., Learning phrase representations using RNN encoder-decoder, EMNLP 2014), in
its two conventions. sigma is the logistic sigmoid, * is elementwise.

r_t = sigma(W_r x_t + b_ir + U_r h_{t-1} + b_hr)
z_t = sigma(W_z x_t + b_iz + U_z h_{t-1} + b_hz)
n_t = tanh(W_n x_t + b_in + r_t * (U_n h_{t-1} + b_hn))      reset after: "gru", as torch and cuDNN have it
n_t = tanh(W_n x_t + b_in + U_n (r_t * h_{t-1}) + b_hn)      reset before: "gru_reset_before", as Cho et al.
h_t = (1 - z_t) * n_t + z_t * h_{t-1}

W is w_ih and U is w_hh, their rows stacked gate by gate in torch's order: r, z, n.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..calculus import Operations
from . import State, Weight, present, sums_of

if TYPE_CHECKING:
    from ..spec import RNNSpec

GATES = ("r", "z", "n")


class GRU:
    """r multiplies U_n h + b_hn."""

    signed = False

    def __init__(self, spec: RNNSpec) -> None:
        self.states = (State("h", spec.hidden_size),)

    def weights(self, spec: RNNSpec) -> tuple[Weight, ...]:
        return sums_of(spec, GATES)

    def project(self, operations: Operations, weights: Mapping[str, Any], x: Any) -> Any:
        return operations.affine([(weights["w_ih"], x)], present(weights, "b_ih"))

    def step(
        self, operations: Operations, weights: Mapping[str, Any], projected: Any, states: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        (h,) = states
        recurrent = operations.affine([(weights["w_hh"], h)], present(weights, "b_hh"))
        gates, n = operations.split(projected, (2, 1))
        gates_h, n_h = operations.split(recurrent, (2, 1))
        r, z = operations.split(operations.sigmoid(operations.add(gates, gates_h)), (1, 1))
        return (operations.mix(z, operations.tanh(operations.add(n, operations.multiply(r, n_h))), h),)


class ResetBefore(GRU):
    """r multiplies h before the product with U_n."""

    def step(
        self, operations: Operations, weights: Mapping[str, Any], projected: Any, states: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        (h,) = states
        w_gates, w_n = operations.split(weights["w_hh"], (2, 1))
        biases = [operations.split(one, (2, 1)) for one in present(weights, "b_hh")]
        gates, n = operations.split(projected, (2, 1))
        gates = operations.affine([(w_gates, h)], [one[0] for one in biases], gates)
        r, z = operations.split(operations.sigmoid(gates), (1, 1))
        n = operations.affine([(w_n, operations.multiply(r, h))], [one[1] for one in biases], n)
        return (operations.mix(z, operations.tanh(n), h),)


CELLS = {"gru": GRU, "gru_reset_before": ResetBefore}
