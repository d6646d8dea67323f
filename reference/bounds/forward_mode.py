"""The bound of gradients that are computed in forward mode: no step back is taken, and none is shown.

Forward mode carries the tangents of all states along, in the direction of one element of an argument, and in the end
adds up their products with the cotangents. Written out, what it computes is what a backward pass computes: the sum of
one product for each path from the element to an answer. But where paths cancel differs, so each sum is bounded by the
magnitudes of its paths. docs/error-bounds.md: "Forward mode".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..calculus.balls import Ball, Matrix
from ..calculus.returns import Back
from .arithmetic import Arithmetic
from .step import Enclosure
from .unseen import KnownReturns


class PathReturns(KnownReturns):
    """Of magnitudes alone: the sum of those of all paths, and by how much more it may be as it is computed."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._magnitude: dict[int, tuple[Matrix, Matrix]] = {}

    def transposed(self, weight: Matrix, d: Any, shared: int) -> Any:
        if id(weight) not in self._magnitude:  # with the weight, whose id is no other's as long as it is kept
            self._magnitude[id(weight)] = weight, Matrix(np.abs(weight.array))
        return super().transposed(self._magnitude[id(weight)][1], d, shared)

    def times(self, d: Back, factor: Back) -> Back:
        return super().times(d, replace(factor, value=np.abs(factor.value)))

    def outer(self, d: Any, value: Any) -> Any:
        magnitude = np.abs(value) if isinstance(value, np.ndarray) else Ball(np.abs(value.value), *value[1:])
        return super().outer(d, magnitude)


def largest_growth(judged: Arithmetic, terms: int) -> float:
    """By how much the sum of so many products of a tangent and a cotangent may err, relative to their magnitudes."""
    u = max(judged.unit_roundoff, judged.accumulator_roundoff)
    return float(np.expm1(min(700.0, (terms + 1) * np.log1p(u))))


def widened(exact: Any, paths: Any, judged: Arithmetic, terms: int) -> Any:
    """Where gradients lie, Enclosures or Backs, of what a backward pass computes and the magnitudes of its paths.

    terms: of the sum that ends forward mode. Where there is no path a gradient is exactly zero.
    """
    magnitude, radius = paths[:2] if isinstance(paths, Enclosure) else (paths.value, paths.radius)
    none = (magnitude == 0) & (np.asarray(radius) == 0)
    bound = radius + largest_growth(judged, terms) * (magnitude + radius) + 2 * terms * judged.smallest_normal
    bound = np.where(none, 0, bound)
    return exact._replace(bound=bound) if isinstance(exact, Enclosure) else replace(exact, radius=bound)


def terms_of(g_output: np.ndarray, g_finals: Sequence[np.ndarray]) -> int:
    """Of the sum that ends forward mode."""
    return g_output.size + sum(one.size for one in g_finals)
