"""A step in balls whose dependence on the state before keeps its sign, so that what cancels may cancel.

A quantity q of a step differs from the reference's by q^ - q = sum of diag(slope) W (h^ - h) + r, with |r| <= own: W is
a weight of the state before, h^ - h its error. The remainder of the linearisation is in `own`: this is rigorous.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..bounds.arithmetic import REFERENCE
from .balls import Ball, Matrix, Open, Sums, activation_errors
from .slopes import Activation


class Carried(NamedTuple):
    """The state before: the reference's, how far a computed one may lie from it, and the same as the products of
    Jacobians add it up, before any limit; (batch, hidden_size) each."""

    value: np.ndarray
    error: np.ndarray
    spread: np.ndarray


class Moved(NamedTuple):
    """A state after the step, (batch, hidden_size) each but the limit.

    slopes: by weight of the state before.  own: what the step adds to the error itself; it holds what the products
    of Jacobians round off, beside the remainder.  overflows: where a sum may overflow.  limit: no error is larger.
    scale: a bound this wide says nothing.
    """

    slopes: Mapping[Matrix, np.ndarray]
    own: np.ndarray
    overflows: np.ndarray
    limit: float
    scale: np.ndarray | float


class Signed(Sums):
    """Operands are a Ball, of what the layer below answers, and a Carried state."""

    known = (Ball, Carried)

    def activated(self, total: Open, activation: Activation) -> Moved:
        model, errors = self.model(total), activation_errors(self.judged, activation.name)
        operands: list[Any] = [operand for _, operand in total.products]
        inputs = model.inputs([operand.value for operand in operands])
        below, before, largest = np.zeros(()), np.zeros(()), np.abs(inputs)
        for rows, operand in zip(model.rows, operands, strict=True):
            error = operand.radius if isinstance(operand, Ball) else operand.error
            largest[..., rows] += error
            moved = error @ model.magnitudes[rows] * model.evaluated
            below, before = (below + moved, before) if isinstance(operand, Ball) else (below, before + moved)
        a, base, carried = inputs @ model.weights, model.radius(largest), below + before
        rounded = base + model.beta * (np.abs(a) + carried)
        radius = carried + rounded
        slope, deviation = activation.slope(a), activation.deviation(a, radius)
        activated = (slope + deviation) * radius * errors[0]
        activated += self.activation_bound(activation.phi(a), activation.name, model)
        own = slope * (below + rounded) + deviation * radius + activated
        slopes: dict[Matrix, np.ndarray] = {}
        for rows, (weight, operand) in zip(model.rows, total.products, strict=True):
            if isinstance(operand, Carried):
                slopes[weight] = slope
                magnitudes = model.magnitudes[rows]
                own += REFERENCE.gain(len(magnitudes)) * slope * (operand.spread @ magnitudes)
                own += REFERENCE.smallest_normal
        overflows = model.may_overflow(base)
        if activation.bounded:  # neither answer leaves [-1, 1] by more than its activation's error
            return Moved(slopes, own, overflows, 2 + 2 * errors[0], activation.scale(None))
        return Moved(slopes, own, overflows, np.inf, activation.scale(model.scale(model.radius(inputs))))
