"""Simulated implementations: correct ones of every kind that the bounds allow, as adverse as possible, and wrong ones.

A Machine rounds every operation to its formats, sums in its own order, flushes what is subnormal and errs in tanh by
as much as it may. It runs many cases of the same shapes at once: an array's first axis counts cases.
The step stands here once more because it must be independent: it rounds and orders what reference/ leaves to NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reference.bounds.arithmetic import ACTIVATION_UNITS, Arithmetic, arithmetic

TANH_ERRORS = ("none", "random", "random sign", "up", "down")
COMBINE = ("left", "pairs")
ROUNDING = ("nearest", "away", "to zero", "up", "down")


@dataclass(frozen=True)
class Machine:
    """One way to compute a cell in a declared arithmetic.

    order: a permutation of the terms of a sum.  block: terms added one by one before blocks are combined, from
    the "left" or in "pairs" (a block of 1 in pairs is pairwise summation).  fused: multiply-add rounds once.
    rounding: of products and partial sums, one of ROUNDING: to the nearest number, or off by the whole of u, in
    one direction, as no real machine is.
    staged: W x + b and U h + b are stored apart and then added; else one accumulator takes all terms.
    one_bias: b_ih + b_hh is rounded to storage first.  flush: subnormals become zero.
    tanh_error: what to make of the allowed c u, one of TANH_ERRORS.  seed: of random tanh errors.
    Wrong on purpose: tanh_excess multiplies the allowed error of tanh, weight_bits narrows the weights, accumulator
    names another dtype for sums.
    """

    arithmetic: str
    order: tuple[int, ...]
    block: int = 10**9
    combine: str = "left"
    fused: bool = False
    rounding: str = "nearest"
    staged: bool = False
    one_bias: bool = False
    flush: bool = False
    tanh_error: str = "none"
    seed: int = 0
    tanh_excess: float = 1.0
    weight_bits: int | None = None
    accumulator: str | None = None

    @property
    def declared(self) -> Arithmetic:
        return arithmetic(self.arithmetic)


class Unit:
    """The arithmetic unit of a machine: numbers are float64, or long double where float64 would round as well."""

    def __init__(self, machine: Machine) -> None:
        declared = machine.declared
        self.machine = machine
        self.declared = declared
        # in which sums are stored, if apart: float32 where it is narrower, or wider than what is computed
        self.storage = "float32" if declared.narrow else declared.storage
        self.accumulator = machine.accumulator or ("float32" if declared.wide else self.storage)
        wrong = machine.accumulator and arithmetic(machine.accumulator).unit_roundoff
        self.unit_roundoff = wrong or declared.accumulator_roundoff
        # what is fed back, and what the biases are: what is shown, or float32 of which storage is shown
        of_float32 = declared.name.endswith("_of_float32")
        self.kept = "float32" if of_float32 else declared.storage
        self.activated = "bfloat16" if declared.computed == "bfloat16" else self.kept
        self.carrier = np.longdouble if self.kept == "float64" else np.float64
        self.random = np.random.Generator(np.random.PCG64(machine.seed))

    def load(self, array: np.ndarray) -> np.ndarray:
        """A number that comes from outside, as it is kept."""
        return self.round(
            array, "float32" if self.declared.narrow and self.kept == "float32" else self.declared.storage
        )

    def operand(self, array: np.ndarray, weight: bool = False) -> np.ndarray:
        """What is multiplied: a narrow product's operands are rounded to its bits."""
        if self.declared.narrow:
            cut = weight and self.declared.computed == "bfloat16"
            return self.flushed(cut_weights(array) if cut else self.round(array, self.declared.computed), "float32")
        narrowed = self.declared.operand_roundoff if self.kept == self.declared.storage else 0.0
        return keep_bits(array, round(-np.log2(narrowed))) if narrowed else array

    def round(self, array: np.ndarray, dtype: str) -> np.ndarray:
        return self.flushed(array.astype(dtype).astype(self.carrier), dtype)

    def accumulate(self, array: np.ndarray) -> np.ndarray:
        """A product or a partial sum as the accumulator keeps it."""
        rounding = self.machine.rounding
        if rounding == "nearest":
            return self.round(array, self.accumulator)
        factor = 1 + self.carrier(self.unit_roundoff)
        away = {"away": True, "to zero": False, "up": array > 0, "down": array < 0}[rounding]
        return self.flushed(np.where(away, array * factor, array / factor), self.accumulator)

    def flushed(self, array: np.ndarray, dtype: str) -> np.ndarray:
        if not self.machine.flush:
            return array
        return np.where(np.abs(array) < arithmetic(dtype).smallest_normal, 0, array)

    def sum(self, terms: list[np.ndarray]) -> np.ndarray:
        """The terms' sum, each addition rounded to the accumulator, in the machine's order.

        Products come unrounded: unless multiply-add is fused, they are rounded before they are added.
        """
        machine, keep = self.machine, self.accumulate
        assert len(machine.order) >= len(terms), "every term must be added"
        terms = [terms[i] for i in machine.order if i < len(terms)]
        if not machine.fused:
            terms = [keep(term) for term in terms]
        blocks = []
        for start in range(0, len(terms), machine.block):
            total = keep(terms[start]) if machine.fused else terms[start]
            for term in terms[start + 1 : start + machine.block]:
                total = keep(total + term)
            blocks.append(total)
        while len(blocks) > 1:
            if machine.combine == "left":
                blocks[:2] = [keep(blocks[0] + blocks[1])]
            else:
                odd = blocks[len(blocks) // 2 * 2 :]
                blocks = [keep(a + b) for a, b in zip(blocks[::2], blocks[1::2], strict=False)] + odd
        return blocks[0]

    def activate(self, a: np.ndarray, nonlinearity: str) -> np.ndarray:
        """phi(a) as it is kept; tanh off by at most c u |tanh(a)|, with the rounding to storage, which takes one u, and
        by what is declared to be off whatever its size."""
        if nonlinearity == "relu":
            return self.round(np.maximum(a, 0), self.activated)
        u, floor = arithmetic(self.declared.computed).unit_roundoff, self.declared.tanh_floor
        allowed = (ACTIVATION_UNITS[self.declared.computed] * self.machine.tanh_excess - 1) * u / (1 + u)
        error = {
            "none": lambda: 0.0,
            "up": lambda: allowed,
            "down": lambda: -allowed,
            "random": lambda: allowed * self.random.uniform(-1, 1, a.shape),
            "random sign": lambda: allowed * (2 * self.random.integers(0, 2, a.shape) - 1),
        }[self.machine.tanh_error]()
        return self.round(np.tanh(a) * (1 + error) + floor / (1 + u) * np.sign(error), self.activated)


def keep_bits(array: np.ndarray, bits: int) -> np.ndarray:
    """Each number rounded to so many significant bits, to nearest; 11 are TF32's."""
    mantissa, exponent = np.frexp(array)
    return np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits).astype(array.dtype)


def cut_weights(array: np.ndarray) -> np.ndarray:
    """float32's numbers as 8 bits, as OpenVINO makes bfloat16 of weights: half a unit is added only where the last bit
    that is kept is 1."""
    bits = array.astype(np.float32).view(np.uint32)
    rounded = (bits + ((bits & np.uint32(0x1_0000)) >> np.uint32(1))) & np.uint32(0xFFFF_0000)
    return rounded.view(np.float32).astype(array.dtype)


@dataclass(frozen=True)
class Cells:
    """One cell of many cases at once: w_ih (case, hidden_size, input size), w_hh, and biases (case, hidden_size)."""

    w_ih: np.ndarray
    w_hh: np.ndarray
    b_ih: np.ndarray | None = None
    b_hh: np.ndarray | None = None


def scan(machine: Machine, cells: Cells, x: np.ndarray, h: np.ndarray, nonlinearity: str,
         clip: float | None = None) -> np.ndarray:  # fmt: skip
    """The states of a machine: x (case, time, batch, input size), h (case, batch, hidden_size), in storage's dtype.

    Returns (case, time, batch, hidden_size) in storage's dtype.
    """
    unit, dtype = Unit(machine), x.dtype
    bits = machine.weight_bits
    w_ih, w_hh = (unit.operand(unit.load(w if bits is None else keep_bits(w, bits)), weight=True)
                  for w in (cells.w_ih, cells.w_hh))  # fmt: skip
    biases = _biases(unit, cells)
    x, h = unit.load(x), unit.load(h)
    states = []
    for t in range(x.shape[1]):
        from_input = products_of(w_ih, unit.operand(x[:, t]))
        from_state = products_of(w_hh, unit.operand(h))
        a = _staged(unit, from_input, from_state, biases) if machine.staged else unit.round(
            unit.sum([*from_input, *from_state, *biases]), unit.storage
        )  # fmt: skip
        h = unit.activate(a if clip is None else np.clip(a, -clip, clip), nonlinearity)
        states.append(unit.round(h, machine.declared.storage))
    return np.stack(states, axis=1).astype(dtype)


def _biases(unit: Unit, cells: Cells) -> list[np.ndarray]:
    """The bias terms (case, 1, hidden_size): none, the rounded sum, or both."""
    if cells.b_ih is None or cells.b_hh is None:
        return []
    both = [unit.load(b)[:, None] for b in (cells.b_ih, cells.b_hh)]
    return (
        [unit.round(both[0] + both[1], unit.kept if unit.declared.narrow else unit.storage)]
        if unit.machine.one_bias
        else both
    )


def products_of(w: np.ndarray, v: np.ndarray) -> list[np.ndarray]:
    """The exact products w[k] v[k], one array (case, batch, hidden_size) for each input k."""
    return [v[:, :, None, k] * w[:, None, :, k] for k in range(w.shape[-1])]


def _staged(
    unit: Unit, from_input: list[np.ndarray], from_state: list[np.ndarray], biases: list[np.ndarray]
) -> np.ndarray:
    """Two matrix products stored apart, a bias added to either (or one to the first), and the two added."""
    stored = [unit.round(unit.sum(terms), unit.storage) for terms in (from_input, from_state)]
    for i, bias in enumerate(biases):
        stored[i] = unit.round(stored[i] + bias, unit.storage)
    return unit.round(stored[0] + stored[1], unit.storage)
