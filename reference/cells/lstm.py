"""Long short-term memory (S. Hochreiter and J. Schmidhuber, Neural Computation 9, 1997; forget gate: F. A. Gers et al.,
Neural Computation 12, 2000), with the variants that frameworks have. sigma is the logistic sigmoid, * is elementwise.

i_t = sigma(W_i x_t + U_i h_{t-1} + b_ii + b_hi + p_i * c_{t-1})
f_t = sigma(W_f x_t + U_f h_{t-1} + b_if + b_hf + p_f * c_{t-1})      input_forget: f_t = 1 - i_t
g_t = tanh(W_g x_t + U_g h_{t-1} + b_ig + b_hg)
c_t = f_t * c_{t-1} + i_t * g_t
o_t = sigma(W_o x_t + U_o h_{t-1} + b_io + b_ho + p_o * c_t)
h_t = o_t * tanh(c_t)                                                  projection: h_t = w_hr (o_t * tanh(c_t))

W is w_ih and U is w_hh, their rows stacked gate by gate in torch's order: i, f, g, o. p, w_peephole, has i, f, o, and
is there with peepholes alone (Gers et al., Journal of Machine Learning Research 3, 2002). clip: every argument of
sigma, and that of the tanh of g, is clipped to [-clip, clip], as ONNX defines it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..calculus import Operations, clipped
from . import State, Weight, present, sums_of

if TYPE_CHECKING:
    from ..spec import RNNSpec

GATES = ("i", "f", "g", "o")
PEEPHOLE = Weight("w_peephole", ("units",), ("i", "f", "o"))
PROJECTION = Weight("w_hr", ("states", "units"))


class LSTM:
    """h is reported at every step, of projection_size where there is a projection; c is hidden."""

    signed = False

    def __init__(self, spec: RNNSpec) -> None:
        self.states = (
            State("h", spec.projection_size or spec.hidden_size),
            State("c", spec.hidden_size, reported=False),
        )
        self.input_forget, self.clip = spec.input_forget, spec.clip

    def weights(self, spec: RNNSpec) -> tuple[Weight, ...]:
        more = (PEEPHOLE,) * spec.peepholes + (PROJECTION,) * (spec.projection_size > 0)
        return (*sums_of(spec, GATES), *more)

    def project(self, operations: Operations, weights: Mapping[str, Any], x: Any) -> Any:
        return operations.affine([(weights["w_ih"], x)], present(weights, "b_ih", "b_hh"))

    def step(
        self, operations: Operations, weights: Mapping[str, Any], projected: Any, states: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        h, c = states
        both, g, o = operations.split(operations.affine([(weights["w_hh"], h)], (), projected), (2, 1, 1))
        g, p_o = operations.tanh(clipped(operations, g, self.clip)), None
        if "w_peephole" in weights:
            p_i, p_f, p_o = operations.split(weights["w_peephole"], (1, 1, 1))
            i, f = operations.split(both, (1, 1))
            i, f = self._gate(operations, i, p_i, c), self._gate(operations, f, p_f, c)
        else:
            i, f = operations.split(self._gate(operations, both, None, c), (1, 1))
        if self.input_forget:
            c = operations.mix(i, c, g)
        else:
            c = operations.add(operations.multiply(f, c), operations.multiply(i, g))
        h = operations.multiply(self._gate(operations, o, p_o, c), operations.tanh(c))
        if "w_hr" in weights:
            h = operations.affine([(weights["w_hr"], h)])
        return h, c

    def _gate(self, operations: Operations, a: Any, peephole: Any, c: Any) -> Any:
        if peephole is not None:
            a = operations.add(a, operations.multiply(peephole, c))
        return operations.sigmoid(clipped(operations, a, self.clip))


CELLS = {"lstm": LSTM}
