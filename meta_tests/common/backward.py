"""Simulated backward passes: correct ones of every kind that the bounds allow, as adverse as possible, and wrong ones.

The derivatives stand here once more, gate by gate, because they must be independent of reference/. What the assumptions
leave open is drawn: the formula of a slope and of what a mix hands back, how products associate, how sums over time are
made.  Array axes: (case, batch, size); the first one counts cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from meta_tests.common.gated import Gated, GatedUnit
from meta_tests.common.implementations import products_of
from reference import RNNSpec
from reference.bounds.arithmetic import arithmetic

TANH_SLOPES = ("1 - y y", "(1 - y)(1 + y)", "d + d y")
MIX_BACK = ("one product", "two products")
ASSOCIATIONS = ("left", "right", "last first")
Arrays = Mapping[str, np.ndarray]
Saved = dict[str, np.ndarray]


@dataclass(frozen=True)
class Backward:
    """tanh_slope, mix_back, association: of the words above.  by_step: whether gradients of weights are added up step
    by step, as stored.  unrounded: whether a slope comes from a state one rounding away from the one that is stored.
    wrong: a planted error, one of WRONG; none when empty."""

    gated: Gated
    tanh_slope: str = "1 - y y"
    mix_back: str = "one product"
    association: str = "left"
    by_step: bool = False
    unrounded: bool = False
    wrong: str = ""


# what each planted error must be named by
WRONG = {
    "c detached": "delta of i, f, g at t = 3",
    "slope of the step before": "delta at t = 3",
    "reset's gradient missing": "delta of r at t = 5",
    "dU without r": "db_hh, dw_hh: the deltas are right",
    "gates exchanged": "delta of i, f at t = 5",
}


class Passed(NamedTuple):
    """What a backward pass answers. delta: (case, time, batch, rows)."""

    states: list[np.ndarray]
    delta: np.ndarray
    x: np.ndarray
    start: list[np.ndarray]
    weights: dict[str, np.ndarray]


class BackUnit(GatedUnit):
    def __init__(self, machine: Backward) -> None:
        super().__init__(machine.gated)
        self.back = machine

    def times(self, *factors: np.ndarray) -> np.ndarray:
        """A product of several, each product rounded."""
        order = list(factors)
        if self.back.association == "right":
            order = order[::-1]
        elif self.back.association == "last first":
            order = [order[-1], *order[:-1]]
        total = order[0]
        for factor in order[1:]:
            total = self.one(total * factor)
        return total

    def by_tanh(self, d: np.ndarray, y: np.ndarray) -> np.ndarray:
        one = self.one
        match self.back.tanh_slope:
            case "1 - y y":
                return one(d * one(1 - one(y * y)))
            case "(1 - y)(1 + y)":
                return one(d * one(one(1 - y) * one(1 + y)))
            case "d + d y":
                return one(one(d + one(d * y)) * one(1 - y))
        raise ValueError(f"tanh slope: got {self.back.tanh_slope!r}, expected one of {', '.join(TANH_SLOPES)}")

    def by_sigmoid(self, d: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self.times(d, y, self.one(1 - y))

    def by_mix(self, d: np.ndarray, z: np.ndarray, n: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, ...]:
        """What z, n and h are handed."""
        one = self.one
        if self.back.mix_back == "one product":
            return one(d * one(h - n)), one(d * one(1 - z)), one(d * z)
        by_h = one(d * z)
        return one(one(d * h) - one(d * n)), one(d - by_h), one(d - one(d * one(1 - z)))

    def before_storage(self, y: np.ndarray) -> np.ndarray:
        """A state as it may have been before it was rounded to storage, where sums are kept wider."""
        if not (self.back.unrounded and self.declared.wide):
            return y
        u = arithmetic(self.kept).unit_roundoff
        return y * (1 + u * (2 * self.random.integers(0, 2, y.shape) - 1))

    def shown(self, a: np.ndarray) -> np.ndarray:
        """As it is kept, for the next operation: a number of the format."""
        return self.round(a, self.kept)

    def transposed(self, w: np.ndarray, d: np.ndarray) -> list[np.ndarray]:
        """The products of w^T d, w (case, rows, columns)."""
        return products_of(self.operand(np.swapaxes(w, 1, 2)), self.operand(d))

    def over_time(self, terms: list[list[np.ndarray]]) -> np.ndarray:
        """The sum of all steps' terms."""
        if not self.back.by_step:
            return self.affine([term for step in terms for term in step])
        total = self.affine(terms[-1])
        for step in reversed(terms[:-1]):
            total = self.shown(total + self.affine(step))
        return total


def passed(machine: Backward, spec: RNNSpec, weights: Arrays, x: np.ndarray, start: list[np.ndarray], g: np.ndarray,
           finals: list[np.ndarray]) -> Passed:  # fmt: skip
    """x: (case, time, batch, features).  start, finals: (case, batch, size) each.  g: (case, time, batch, size)."""
    unit, dtype = BackUnit(machine), x.dtype
    w = {name: unit.load(array) for name, array in weights.items()}
    x, g = unit.load(x), unit.load(g)
    states, shown, saved = [unit.load(one) for one in start], [], []
    for t in range(x.shape[1]):
        kept = _forward(unit, spec, w, x[:, t], states)
        saved.append(kept)
        states = [kept["h'"], *([kept["c'"]] if spec.cell == "lstm" else [])]
        shown.append(states)
    carried, deltas, recurrent = [[unit.load(one)] for one in finals], [], []
    for t in reversed(range(x.shape[1])):
        kept = saved[t] | ({"before": saved[max(t - 1, 0)]["h'"]})
        if machine.wrong == "c detached" and t == 3 and spec.cell == "lstm":
            carried[1] = [np.zeros_like(carried[1][0])]
        carried[0].append(g[:, t])
        delta, inner, carried = _back(unit, spec, w, kept, carried)
        deltas.insert(0, delta)
        recurrent.insert(0, inner)

    def stored(array: np.ndarray) -> np.ndarray:
        return unit.round(array, unit.declared.storage).astype(dtype)

    return Passed(
        [stored(np.stack(several, axis=1)) for several in zip(*shown, strict=True)],
        stored(np.stack([unit.operand(d) for d in deltas], axis=1)),
        stored(np.stack([unit.affine(unit.transposed(w["w_ih"], d)) for d in deltas], axis=1)),
        [stored(unit.affine(terms)) for terms in carried],
        {name: stored(one) for name, one in _of_weights(unit, spec, w, x, saved, deltas, recurrent).items()},
    )


def _of_weights(unit: BackUnit, spec: RNNSpec, w: Arrays, x: np.ndarray, saved: list[Saved], deltas: list[np.ndarray],
                recurrent: list[np.ndarray]) -> dict[str, np.ndarray]:  # fmt: skip
    def outer(ds: list[np.ndarray], vs: list[np.ndarray]) -> np.ndarray:
        pairs = [(unit.operand(d), unit.operand(v)) for d, v in zip(ds, vs, strict=True)]
        return unit.over_time([[d[:, b, :, None] * v[:, b, None, :] for b in range(d.shape[1])] for d, v in pairs])

    def summed(ds: list[np.ndarray]) -> np.ndarray:
        return unit.over_time([[d[:, b] for b in range(d.shape[1])] for d in ds])

    before = [kept["h"] for kept in saved]
    answer = {"w_ih": outer(deltas, [x[:, t] for t in range(x.shape[1])]), "w_hh": outer(recurrent, before)}
    if spec.cell == "gru_reset_before":
        size = spec.hidden_size
        gates = outer([d[..., : 2 * size] for d in deltas], before)
        answer["w_hh"] = np.concatenate(
            [gates, outer([d[..., 2 * size :] for d in deltas], [kept["rh"] for kept in saved])], axis=1
        )
    if spec.bias:
        answer |= {"b_ih": summed(deltas), "b_hh": summed(recurrent)}
    return answer


def _terms(unit: BackUnit, w: Arrays, name: str, v: np.ndarray, gate: int, gates: int) -> list[np.ndarray]:
    products = products_of(unit.operand(np.split(w[f"w_{name}"], gates, axis=1)[gate]), unit.operand(v))
    bias = w.get(f"b_{name}")
    return products if bias is None else [*products, np.split(bias, gates, axis=1)[gate][:, None]]


def _forward(unit: BackUnit, spec: RNNSpec, w: Arrays, x: np.ndarray, states: list[np.ndarray]) -> Saved:
    h, gates = states[0], {"elman": 1, "lstm": 4}.get(spec.cell, 3)
    of_x = [_terms(unit, w, "ih", x, k, gates) for k in range(gates)]
    of_h = [_terms(unit, w, "hh", h, k, gates) for k in range(gates)]
    if spec.cell == "elman":
        return {"h": h, "h'": unit.activate(unit.affine(of_x[0] + of_h[0]), spec.nonlinearity)}
    if spec.cell == "lstm":
        c = states[1]
        i, f, o = (unit.sigmoid(unit.affine(of_x[k] + of_h[k])) for k in (0, 1, 3))
        g = unit.activate(unit.affine(of_x[2] + of_h[2]), "tanh")
        new, for_h = unit.updated(i, f, g, c)
        tanh = unit.activate(for_h, "tanh")
        return {"h": h, "c": c, "i": i, "f": f, "g": g, "o": o, "c'": new, "tanh": tanh,
                "h'": unit.round(o * tanh, unit.kept)}  # fmt: skip
    r, z = (unit.sigmoid(unit.affine(of_x[k] + of_h[k])) for k in (0, 1))
    if spec.cell == "gru":
        q = unit.affine(of_h[2])
        n, more = unit.activate(unit.affine([*of_x[2], unit.one(r * q)]), "tanh"), {"q": q}
    else:
        rh = unit.one(r * h)
        n, more = unit.activate(unit.affine([*of_x[2], *_terms(unit, w, "hh", rh, 2, 3)]), "tanh"), {"rh": rh}
    return {"h": h, "r": r, "z": z, "n": n, "h'": unit.mixed(z, n, h), **more}


def _back(unit: BackUnit, spec: RNNSpec, w: Arrays, kept: Saved, carried: list[list[np.ndarray]]
          ) -> tuple[np.ndarray, np.ndarray, list[list[np.ndarray]]]:  # fmt: skip
    """The deltas, what the recurrent sum is handed, and the terms of what the states before are handed."""
    wrong, one = unit.back.wrong, unit.one
    dh = unit.affine(carried[0])
    if spec.cell == "elman":
        y = kept["before"] if wrong == "slope of the step before" else kept["h'"]
        y = unit.before_storage(y)
        d = dh * (y > 0) if spec.nonlinearity == "relu" else unit.by_tanh(dh, y)
        d = unit.shown(d)
        return d, d, [unit.transposed(w["w_hh"], d)]
    if spec.cell == "lstm":
        i, f, g, o = (kept[name] for name in "ifgo")
        dc = unit.affine([*carried[1], unit.by_tanh(one(dh * o), kept["tanh"])])
        both = unit.by_sigmoid(one(dc * g), i), unit.by_sigmoid(one(dc * kept["c"]), f)
        both = both[::-1] if wrong == "gates exchanged" else both
        last = unit.by_tanh(one(dc * i), g), unit.by_sigmoid(one(dh * kept["tanh"]), o)
        d = unit.shown(np.concatenate([*both, *last], axis=-1))
        return d, d, [unit.transposed(w["w_hh"], d), [one(dc * f)]]
    by_z, by_n, by_h = unit.by_mix(dh, kept["z"], kept["n"], kept["h"])
    dz, dn = unit.shown(unit.by_sigmoid(by_z, kept["z"])), unit.shown(unit.by_tanh(by_n, kept["n"]))
    gates = np.split(w["w_hh"], 3, axis=1)
    if spec.cell == "gru":
        dr = unit.shown(unit.by_sigmoid(one(dn * kept["q"]), kept["r"]))
        dr = 0 * dr if wrong == "reset's gradient missing" else dr
        inner = one(dn * kept["r"])
        recurrent = np.concatenate([dr, dz, inner], axis=-1)
        terms = [*unit.transposed(w["w_hh"], recurrent), by_h]
        recurrent = np.concatenate([dr, dz, dn], axis=-1) if wrong == "dU without r" else recurrent
        return np.concatenate([dr, dz, dn], axis=-1), recurrent, [terms]
    by_rh = unit.affine(unit.transposed(gates[2], dn))
    dr = unit.shown(unit.by_sigmoid(one(by_rh * kept["h"]), kept["r"]))
    d = np.concatenate([dr, dz, dn], axis=-1)
    both = np.concatenate(gates[:2], axis=1)
    terms = [*unit.transposed(both, d[..., : dr.shape[-1] * 2]), one(by_rh * kept["r"]), by_h]
    return d, d, [terms]
