"""How accurate tanh is in each framework: assumption A3, swept.

Every argument of the 16-bit dtypes; of the wide ones, arguments spread evenly over the numbers themselves (so over
their exponents, subnormal ones included), over the range where tanh bends, and over its saturation; both signs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from adapters import Adapter
from reference import DTYPES
from reference.bounds.arithmetic import ACTIVATION_UNITS, Arithmetic, arithmetic
from reference.calculus.numbers import activation as phi

CHUNK = 2**20
BITS = {"float16": np.uint16, "bfloat16": np.uint16, "float32": np.uint32, "float64": np.uint64}
# tanh is 1 to the last place of a float32 from 9.02 on and of a float64 from 19.07 on
SATURATED = {"float32": 9.02, "float64": 19.07}

Activation = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Row:
    """One implementation's tanh in one dtype.

    worst: largest |computed - tanh(a)| / (u |tanh(a)|) where nothing underflows on the way to it.  at: where.
    below: the most that is lost elsewhere, beside what A3 allows, as a fraction of the smallest normal number.
    """

    implementation: str
    dtype: str
    arguments: int
    worst: float
    at: float
    below: float

    @property
    def allowed(self) -> float:
        return ACTIVATION_UNITS[self.dtype]

    @property
    def within(self) -> bool:
        """Whether A3 holds, and A4 for what underflows."""
        return self.worst <= self.allowed and self.below <= 1


def arguments(dtype: str, count: int) -> np.ndarray:
    """About `count` arguments, or all of a 16-bit dtype's but NaN; always the infinities and both zeros."""
    kind = np.dtype(dtype)
    if kind.itemsize == 2:
        every = np.arange(2**16, dtype=np.uint16).view(kind)
        with np.errstate(invalid="ignore"):  # some NaN are signalling ones
            return every[~np.isnan(every)]
    share = count // 6
    top = np.array(2 * SATURATED[dtype], kind).view(BITS[dtype])
    by_bits = (np.arange(share) * (int(top) // share)).astype(BITS[dtype]).view(kind)
    bending = np.geomspace(2.0**-20, SATURATED[dtype], share)
    saturating = np.linspace(0.75 * SATURATED[dtype], 1.1 * SATURATED[dtype], share)
    positive = np.concatenate([by_bits, bending, saturating, [np.inf, np.finfo(kind).max]]).astype(kind)
    return np.concatenate([positive, -positive])


def accurate_tanh(a: np.ndarray) -> np.ndarray:
    """tanh in enough digits to measure a's dtype: float64, or long double for float64 itself."""
    if a.dtype != np.float64:
        return np.tanh(a.astype(np.float64))
    if np.finfo(np.longdouble).nmant < 63:
        raise RuntimeError("long double is no wider than float64 here: tanh in float64 cannot be measured")
    return np.tanh(a.astype(np.longdouble))


def underflows_below(declared: Arithmetic) -> float:
    """Where a part of tanh(a) may underflow, as A4 allows: below the smallest normal number; and in a wide dtype, whose
    tanh is computed in itself, where a part that is u times smaller than tanh(a) does."""
    narrow = declared.storage in ("float16", "bfloat16")
    return declared.smallest_normal / (1 if narrow else declared.unit_roundoff)


def measure(implementation: str, activation: Activation, dtype: str, count: int) -> Row:
    """Sweep one activation, which takes and gives arrays of `dtype`."""
    declared, every = arithmetic(dtype), arguments(dtype, count)
    worst, at, below = 0.0, 0.0, 0.0
    for start in range(0, len(every), CHUNK):
        a = every[start : start + CHUNK]
        true = accurate_tanh(a)
        error, size = np.abs(activation(a) - true), np.abs(true)
        normal = size >= underflows_below(declared)
        units = np.divide(error, size, out=np.zeros_like(true), where=normal) / declared.unit_roundoff
        units[np.isnan(error)] = np.inf
        here = int(units.argmax())
        if units[here] > worst:
            worst, at = float(units[here]), float(a[here])
        more = error - declared.activation_error("tanh") * size  # than A3 allows: this must be A4's
        below = max(below, float(more[~normal].max(initial=0) / declared.smallest_normal))
    return Row(implementation, dtype, len(every), worst, at, below)


def numpy_tanh(a: np.ndarray) -> np.ndarray:
    """The reference's own."""
    return phi(a, "tanh")


def rows(adapters: Sequence[Adapter], count: int) -> list[Row]:
    """NumPy's tanh and every adapter's, in every dtype."""
    sources: list[tuple[str, Activation]] = [("NumPy, the reference", numpy_tanh)]
    sources += [
        (f"{adapter.name} {adapter.version}", lambda a, adapter=adapter: adapter.activation(a, "tanh"))
        for adapter in adapters
    ]  # fmt: skip
    return [measure(name, activation, dtype, count) for dtype in DTYPES for name, activation in sources]
