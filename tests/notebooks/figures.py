"""Figures that a notebook printed: what they say of the numbers that they stand for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reference.bounds.arithmetic import REFERENCE, arithmetic

NOTEBOOKS = Path(__file__).parent / "data"


def notebook(name: str) -> dict[str, Any]:
    """The figures of a notebook; "what" says what was run."""
    return json.loads((NOTEBOOKS / f"{name}.json").read_text())


def printed_interval(figures: np.ndarray, decimals: int, dtype: str = "float32") -> np.ndarray:
    """How far the numbers behind printed figures may lie from them, element by element.

    A figure f that was printed for a number x of `dtype` with at most d decimals was rounded in one of two ways: to
    d decimals, which moves it by at most half a unit of the last digit, 10^-d / 2; or to the shortest decimal
    that still tells x from its neighbours in `dtype` (NumPy's and TensorFlow's way), which lies within half of
    the distance between neighbours, at most u |x|. So |f - x| <= 10^-d / 2 + u |x|, and as |x| <= |f| + |f - x|,

        |f - x| <= (10^-d / 2 + u |f|) / (1 - u).
    """
    u = arithmetic(dtype).unit_roundoff
    return (10.0**-decimals / 2 + u * np.abs(figures)) / (1 - u)


class Solved(NamedTuple):
    """Weights that were not printed, from figures that were.

    weights: (unknowns, units).  error: how far the true ones may lie from them, the same shape.
    residual, allowed: what the equations leave, and the most that their errors explain: (equations, units).
    """

    weights: np.ndarray
    error: np.ndarray
    residual: np.ndarray
    allowed: np.ndarray

    @property
    def consistent(self) -> bool:
        return bool(np.all(np.abs(self.residual) <= self.allowed))


def solve(known: np.ndarray, targets: np.ndarray, error: np.ndarray) -> Solved:
    """Least squares of known @ weights = targets: (equations, unknowns) and (equations, units).

    error: the most by which each equation is off for the true weights, whether its printed target or its printed
    coefficients are. With P the pseudo-inverse of `known`, targets = known w + e and |e| <= error give

        weights - w = P e            so  |weights - w| <= |P| error,
        residual = (I - known P) e   so  |residual| <= |I - known P| error.

    The solution itself is rounded, too: by less than one rounding for each product of `known`'s size, of terms no
    larger than |known| |P| |targets|. That is near 1e-14, and counts where an unknown has a single equation.
    """
    inverse = np.linalg.pinv(known)
    weights = inverse @ targets
    size = np.abs(inverse) @ np.abs(targets)
    rounding = REFERENCE.gain(known.size)
    residual = targets - known @ weights
    allowed = np.abs(np.eye(len(known)) - known @ inverse) @ error
    allowed += rounding * (np.abs(known) @ size + np.abs(targets))
    return Solved(weights, np.abs(inverse) @ error + rounding * size, residual, allowed)
