"""Simulated forward differentiation: tangents of every input of a layer, carried along with its states.

The equations stand here once more, as in gated.py: every operation is rounded, and the machine decides how.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from meta_tests.common.backward import BackUnit, Backward
from meta_tests.common.implementations import products_of
from reference import RNNSpec

Arrays = Mapping[str, np.ndarray]
Dual = tuple[np.ndarray, np.ndarray]  # a value (1, batch, size), and its tangents (direction, batch, size)
GATES = {"elman": 1, "gru": 3, "gru_reset_before": 3, "lstm": 4}


class Tangents(BackUnit):
    """Operations on Duals.  wrong: the error that is planted; none when empty."""

    def __init__(self, machine: Backward, weights: Mapping[str, Dual], spec: RNNSpec) -> None:
        super().__init__(machine)
        self.w, self.spec, self.gates = weights, spec, GATES[spec.cell]

    def terms(self, name: str, v: Dual, gate: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Of one gate's sum: the products and the bias, and their tangents'."""
        (w, dw), (value, tangent) = self._gate(f"w_{name}", gate), v
        operands = [self.operand(one) for one in (w, dw, value, tangent)]
        of_value = products_of(operands[0], operands[2])
        of_tangent = products_of(operands[0], operands[3]) + products_of(operands[1], operands[2])
        if self.spec.bias:
            b, db = self._gate(f"b_{name}", gate)
            of_value, of_tangent = [*of_value, b[:, None]], [*of_tangent, db[:, None]]
        return of_value, of_tangent

    def _gate(self, name: str, gate: int) -> Dual:
        value, tangent = (np.split(one, self.gates, axis=1)[gate] for one in self.w[name])
        return value, tangent

    def sum_of(self, *several: tuple[list[np.ndarray], list[np.ndarray]]) -> Dual:
        values, tangents = ([term for one in several for term in one[k]] for k in range(2))
        return self.affine(values), self.affine(tangents)

    def tanh_of(self, a: Dual) -> Dual:
        y = self.activate(a[0], self.spec.nonlinearity)
        return y, self.round(a[1] * (y > 0), self.kept) if self.spec.nonlinearity == "relu" else self.by_tanh(a[1], y)

    def sigmoid_of(self, a: Dual) -> Dual:
        y = self.sigmoid(a[0])
        return y, self.by_sigmoid(a[1], y)

    def product_of(self, a: Dual, b: Dual) -> tuple[list[np.ndarray], list[np.ndarray]]:
        return [self.one(a[0] * b[0])], [self.one(a[1] * b[0]), self.one(a[0] * b[1])]

    def mix_of(self, z: Dual, n: Dual, h: Dual) -> Dual:
        one = self.one
        apart = [one(z[1] * one(h[0] - n[0])), one(n[1] * one(1 - z[0])), one(h[1] * z[0])]
        return self.mixed(z[0], n[0], h[0]), self.affine(apart)


def forward_mode(
    machine: Backward, spec: RNNSpec, leaves: Arrays, states: int, g: np.ndarray, finals: list[np.ndarray],
    wrong: str = "",
) -> tuple[dict[str, np.ndarray], np.ndarray, list[np.ndarray]]:  # fmt: skip
    """The gradients of the sum of all answers, weighted by cotangents, by each leaf; the output, and the final states.

    leaves: "x" (time, batch, features); "0", "1", ...: the initial states (batch, size), of which there are `states`;
    and the weights by name.  g: (time, batch, size).  finals: (batch, size) each.
    wrong: "truncated": after two steps the states' tangents are dropped.  "half": the output alone is weighted.
    """
    duals = _directions(leaves)
    unit = Tangents(machine, {name: dual for name, dual in duals.items() if name[1:2] == "_"}, spec)
    duals = {name: (unit.load(value), unit.load(tangent)) for name, (value, tangent) in duals.items()}
    x, carried = duals["x"], [duals[str(k)] for k in range(states)]
    shown, terms = [], []
    for t in range(len(g)):
        if wrong == "truncated" and t == 2:
            carried = [(value, np.zeros_like(tangent)) for value, tangent in carried]
        carried = _step(unit, spec.cell, (x[0][:, t], x[1][:, t]), carried)
        shown.append(carried[0][0][0])
        terms += [*_each(carried[0][1] * g[t])]
    for (_, tangent), final in zip(carried, finals, strict=True):
        terms += [] if wrong == "half" else [*_each(tangent * final)]
    total = unit.one(terms[0])
    for place in np.random.default_rng(machine.gated.machine.seed).permutation(len(terms) - 1) + 1:
        total = unit.one(total + unit.one(terms[place]))
    sizes = np.cumsum([leaf.size for leaf in leaves.values()])[:-1]
    dtype = leaves["x"].dtype
    found = {name: part.reshape(leaf.shape).astype(dtype)
             for (name, leaf), part in zip(leaves.items(), np.split(total, sizes), strict=True)}  # fmt: skip
    return found, np.stack(shown).astype(dtype), [value[0].astype(dtype) for value, _ in carried]


def _directions(leaves: Arrays) -> dict[str, Dual]:
    """Of each leaf its value, and its tangent in each direction: 1 in one element of all, and 0 in the others."""
    count, first, found = sum(leaf.size for leaf in leaves.values()), 0, {}
    for name, leaf in leaves.items():
        tangent = np.zeros((count, leaf.size), leaf.dtype)
        tangent[np.arange(first, first + leaf.size), np.arange(leaf.size)] = 1
        found[name], first = (leaf[None], tangent.reshape(count, *leaf.shape)), first + leaf.size
    return found


def _each(products: np.ndarray) -> list[np.ndarray]:
    """The terms of every direction's sum, (direction,) each."""
    flat = products.reshape(len(products), -1)
    return [flat[:, k] for k in range(flat.shape[1])]


def _step(unit: Tangents, cell: str, x: Dual, states: list[Dual]) -> list[Dual]:
    h = states[0]
    sums = [(unit.terms("ih", x, gate), unit.terms("hh", h, gate)) for gate in range(unit.gates)]
    match cell:
        case "elman":
            return [unit.tanh_of(unit.sum_of(*sums[0]))]
        case "lstm":
            i, f, o = (unit.sigmoid_of(unit.sum_of(*sums[gate])) for gate in (0, 1, 3))
            g, c = unit.tanh_of(unit.sum_of(*sums[2])), states[1]
            c = unit.sum_of(unit.product_of(f, c), unit.product_of(i, g))
            return [unit.sum_of(unit.product_of(o, unit.tanh_of(c))), c]
        case "gru" | "gru_reset_before":
            r, z = (unit.sigmoid_of(unit.sum_of(*sums[gate])) for gate in (0, 1))
            if cell == "gru":
                inner = unit.product_of(r, unit.sum_of(sums[2][1]))
            else:
                inner = unit.terms("hh", unit.sum_of(unit.product_of(r, h)), 2)
            return [unit.mix_of(z, unit.tanh_of(unit.sum_of(sums[2][0], inner)), h)]
    raise ValueError(f"cell: got {cell!r}, expected one of {', '.join(GATES)}")
