"""Simulated gated cells: GRU and LSTM, correct ones of every kind that the bounds allow, and as adverse as possible.

The equations stand here once more, in the words of implementations.py, because they must be independent of reference/:
every operation is rounded, and what the assumptions leave open (the order of a sum, the formula of a mix, where a
peephole is added) is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from meta_tests.common.implementations import Machine, Unit, products_of
from reference import RNNSpec
from reference.bounds.arithmetic import SIGMOID_UNITS

MIXES = ("apart", "difference", "rest")  # (1 - z) n + z h; n + z (h - n); h + (1 - z) (n - h)
OTHER_SIDE = {"up": "down", "down": "up", "away": "to zero", "to zero": "away"}
Arrays = Mapping[str, np.ndarray]  # (case, ...) each


@dataclass(frozen=True)
class Gated:
    """What a gated machine may do beside its Machine.

    mix: one of MIXES.  fused: whether the last product of a mix, or of c, is added without being rounded first.
    twice: whether an LSTM computes c_t a second time for h_t, rounded otherwise, as a compiler that fuses may.
    wrong: a planted error, by name; none when empty.
    """

    machine: Machine
    mix: str = "difference"
    fused: bool = False
    twice: bool = False
    wrong: str = ""

    @property
    def again(self) -> Gated:
        """What computes a number a second time: another formula, fused otherwise, and rounded to the other side."""
        other = OTHER_SIDE.get(self.machine.rounding, self.machine.rounding)
        mix = MIXES[(MIXES.index(self.mix) + 1) % len(MIXES)]
        return replace(self, machine=replace(self.machine, rounding=other), mix=mix, fused=not self.fused)


class GatedUnit(Unit):
    """Elementwise operations, and the sigmoid."""

    def __init__(self, gated: Gated) -> None:
        super().__init__(gated.machine)
        self.gated = gated
        self.unit_of_one = 2.0 ** -{"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}[self.kept]

    def one(self, exact: np.ndarray) -> np.ndarray:
        """An elementwise operation's result."""
        rounding = self.machine.rounding
        if rounding == "nearest":
            return self.round(exact, self.kept)
        factor = 1 + self.carrier(self.unit_of_one)
        away = {"away": True, "to zero": False, "up": exact > 0, "down": exact < 0}[rounding]
        return self.flushed(np.where(away, exact * factor, exact / factor), self.kept)

    def sum_of_two(self, product: np.ndarray, other: np.ndarray) -> np.ndarray:
        """A state: rounded to nearest, as what is shown is a number of its format."""
        return self.round((product if self.gated.fused else self.one(product)) + other, self.kept)

    def updated(self, i: np.ndarray, f: np.ndarray, g: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """c_t as it is carried on, and as h_t is made of it."""
        computing = (self, GatedUnit(self.gated.again) if self.gated.twice else self)
        new, for_h = (unit.sum_of_two(f * c, unit.one(i * g)) for unit in computing)
        return new, for_h

    def sigmoid(self, a: np.ndarray) -> np.ndarray:
        u = self.machine.declared.unit_roundoff
        allowed = (SIGMOID_UNITS[self.storage] * self.machine.tanh_excess - 1) * u / (1 + u)
        error, floor = self.error(allowed, a.shape), self.machine.declared.sigmoid_floor
        gate = self.round((1 + error) / (1 + np.exp(-a)) + floor / (1 + u) * np.sign(error), self.kept)
        return np.where(np.isfinite(a) & (np.abs(a) > self.machine.declared.sigmoid_end), np.nan, gate)

    def error(self, allowed: float, shape: tuple[int, ...]) -> np.ndarray | float:
        kind = self.machine.tanh_error
        if kind == "random":
            return allowed * self.random.uniform(-1, 1, shape)
        if kind == "random sign":
            return allowed * (2 * self.random.integers(0, 2, shape) - 1)
        return {"none": 0.0, "up": allowed, "down": -allowed}[kind]

    def affine(self, terms: list[np.ndarray]) -> np.ndarray:
        return self.round(self.sum(terms), self.kept if self.kept != self.storage else self.storage)

    def mixed(self, z: np.ndarray, n: np.ndarray, h: np.ndarray) -> np.ndarray:
        match self.gated.mix:
            case "apart":
                return self.sum_of_two(z * h, self.one(self.one(1 - z) * n))
            case "difference":
                return self.sum_of_two(z * self.one(h - n), n)
            case "rest":
                return self.sum_of_two(self.one(1 - z) * self.one(n - h), h)
        raise ValueError(f"mix: got {self.gated.mix!r}, expected one of {', '.join(MIXES)}")


def states_of(gated: Gated, spec: RNNSpec, weights: Arrays, x: np.ndarray, start: list[np.ndarray]) -> list[np.ndarray]:
    """All states after every step, (case, time, batch, size) each, in storage's dtype.

    x: (case, time, batch, features).  start: (case, batch, size) each.
    """
    unit, step = GatedUnit(gated), {"gru": _gru, "gru_reset_before": _gru, "lstm": _lstm}[spec.cell]
    weights = {name: unit.load(array) for name, array in weights.items()}
    states, shown = [unit.load(one) for one in start], []
    for t in range(x.shape[1]):
        states = step(unit, spec, weights, unit.load(x[:, t]), states)
        shown.append([unit.round(one, unit.storage).astype(x.dtype) for one in states])
    return [np.stack(several, axis=1) for several in zip(*shown, strict=True)]


def _terms(unit: GatedUnit, weights: Arrays, name: str, v: np.ndarray, gate: int, gates: int) -> list[np.ndarray]:
    """The products of one gate's rows, and its bias."""
    rows = np.split(weights[f"w_{name}"], gates, axis=1)[gate]
    products = products_of(unit.operand(rows), unit.operand(v))
    bias = weights.get(f"b_{name}")
    return products if bias is None else [*products, np.split(bias, gates, axis=1)[gate][:, None]]


def _gru(unit: GatedUnit, spec: RNNSpec, w: Arrays, x: np.ndarray, states: list[np.ndarray]) -> list[np.ndarray]:
    (h,), wrong = states, unit.gated.wrong
    both = [_terms(unit, w, "ih", x, gate, 3) + _terms(unit, w, "hh", h, gate, 3) for gate in (0, 1)]
    r, z = (unit.sigmoid(unit.affine(terms)) for terms in both)
    if wrong == "gates exchanged":
        r, z = z, r
    inner = _terms(unit, w, "ih", x, 2, 3)
    after = (spec.cell == "gru") != (wrong == "the other reset")
    if after:
        recurrent = _terms(unit, w, "hh", h, 2, 3)
        if wrong == "b_hn outside":
            inner, recurrent = [*inner, recurrent[-1]], recurrent[:-1]
        a = unit.affine([*inner, unit.one(r * unit.affine(recurrent))])
    else:
        a = unit.affine([*inner, *_terms(unit, w, "hh", unit.one(r * h), 2, 3)])
    z = 1 - z if wrong == "z complemented" else z
    return [unit.mixed(z, unit.activate(a, "tanh"), h)]


def _lstm(unit: GatedUnit, spec: RNNSpec, w: Arrays, x: np.ndarray, states: list[np.ndarray]) -> list[np.ndarray]:
    (h, c), wrong = states, unit.gated.wrong
    order = [1, 0, 2, 3] if wrong == "gates exchanged" else [0, 1, 2, 3]
    sums = [_terms(unit, w, "ih", x, gate, 4) + _terms(unit, w, "hh", h, gate, 4) for gate in order]
    peepholes = np.split(w["w_peephole"], 3, axis=1) if spec.peepholes else [None] * 3

    def argument(gate: int, peephole: np.ndarray | None, cell: np.ndarray) -> np.ndarray:
        seen = [] if peephole is None else [unit.one(peephole[:, None] * cell)]
        a = unit.affine([*sums[gate], *seen])
        return a if spec.clip is None or wrong == "not clipped" else np.clip(a, -spec.clip, spec.clip)

    i, g = unit.sigmoid(argument(0, peepholes[0], c)), unit.activate(argument(2, None, c), "tanh")
    if spec.input_forget and wrong != "not coupled":
        new = unit.mixed(i, c, g)
        for_h = GatedUnit(unit.gated.again).mixed(i, c, g) if unit.gated.twice else new
    else:
        f = unit.sigmoid(argument(1, peepholes[1], c))
        new, for_h = unit.updated(i, np.ones_like(f) if wrong == "nothing forgotten" else f, g, c)
    o = unit.sigmoid(argument(3, peepholes[2], c if wrong == "peephole of c before" else for_h))
    m = unit.round(o * (for_h if wrong == "no tanh of c" else unit.activate(for_h, "tanh")), unit.kept)
    if spec.projection_size:
        m = unit.affine(products_of(unit.operand(w["w_hr"]), unit.operand(m)))
    return [m, c if wrong == "c one step early" else new]
