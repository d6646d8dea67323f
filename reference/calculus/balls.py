"""A step in balls: each number with how far one that is computed otherwise may lie from it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..bounds.arithmetic import REFERENCE, Arithmetic
from ..spec import CellParameters
from .slopes import RELU, TANH, Activation
from .sums import Sum, product


class Ball(NamedTuple):
    """value: float64.  radius: how far from it a computed number may lie.  scale: a radius this wide says nothing."""

    value: np.ndarray
    radius: np.ndarray
    scale: np.ndarray | float = 1.0


@dataclass(frozen=True, eq=False)
class Matrix:
    """A weight of a cell, by itself: sums of the same weights share their model."""

    array: np.ndarray


class Open(NamedTuple):
    """A sum to which terms may be added: its bound depends on all of them."""

    products: tuple[tuple[Matrix, Any], ...]
    biases: tuple[Matrix, ...]


@functools.cache
def activation_errors(judged: Arithmetic | None, nonlinearity: str) -> tuple[float, float, float]:
    """A3: the relative error of both sides' activation and of the judged one's, and its absolute one."""
    own = REFERENCE.activation_error(nonlinearity)
    if judged is None:
        return own, 0.0, 0.0
    error = judged.activation_error(nonlinearity)
    return own + error, error, judged.activation_floor(nonlinearity)


class OpenSums:
    """What the readers share that need a sum as a whole: it stays open until it is activated."""

    def weights(self, parameters: CellParameters) -> dict[str, Matrix]:
        return {name: Matrix(array) for name, array in parameters.arrays().items()}

    def affine(
        self, products: Sequence[tuple[Matrix, Any]], biases: Sequence[Matrix] = (), start: Open | None = None
    ) -> Open:
        before = start or Open((), ())
        return Open((*before.products, *products), (*before.biases, *biases))

    def tanh(self, a: Open) -> Any:
        return self.activated(a, TANH)

    def relu(self, a: Open) -> Any:
        return self.activated(a, RELU)

    def activated(self, total: Open, activation: Activation) -> Any:
        """What a reader makes of an activation."""
        raise NotImplementedError


class Sums(OpenSums):
    """What the readers in balls share: the sums of one cell's weights, and the errors of its activations.

    judged: the arithmetic promised; None stands for the exact answer.  known: the operands that have bounds.
    """

    known: tuple[type, ...] = (np.ndarray,)

    def __init__(self, judged: Arithmetic | None) -> None:
        self.judged = judged
        self._models: dict[tuple[Matrix, ...], Sum] = {}

    def model(self, total: Open) -> Sum:
        """The sum's model, made when it is first asked for. Raises NotImplementedError where no bound is proved."""
        if not isinstance(total, Open):
            raise NotImplementedError(f"activation: got a {type(total).__name__}, expected a sum: no bound is proved")
        for _, operand in total.products:
            if not isinstance(operand, self.known):
                raise NotImplementedError(
                    f"affine: got an operand that is a {type(operand).__name__}, "
                    f"expected one of {', '.join(kind.__name__ for kind in self.known)}: no bound is proved"
                )
        matrices = tuple(weight for weight, _ in total.products)
        key = (*matrices, *total.biases)
        if key not in self._models:
            arrays, biases = ([one.array for one in several] for several in (matrices, total.biases))
            self._models[key] = Sum(arrays, biases, self.judged)
        return self._models[key]

    def activation_bound(self, phi: np.ndarray, nonlinearity: str, model: Sum) -> np.ndarray:
        """A3 on both sides: how far two computed activations of one argument may lie apart, underflow included."""
        relative, _, floor = activation_errors(self.judged, nonlinearity)
        error = np.abs(phi)
        error *= relative * model.evaluated
        error += floor * model.evaluated + model.smallest_normal
        return error


class Balls(Sums):
    """Balls around exact operands: arrays of any dtype, such as the states that a framework itself reports.

    out: where value and radius of the next activation go; new arrays when None.
    """

    out: tuple[np.ndarray, np.ndarray] | tuple[None, None] = (None, None)

    def activated(self, total: Open, activation: Activation) -> Ball:
        model = self.model(total)
        inputs = model.inputs([operand for _, operand in total.products])
        base, a = model.radius(inputs), product(inputs, model.weights)
        (into_value, into_radius), self.out = self.out, (None, None)
        value, radius = activation.phi(a, out=into_value), np.abs(a)
        radius *= model.beta
        radius += base.astype(np.float64, copy=False)  # NumPy adds arrays of two dtypes at a third of the speed
        overflows = model.may_overflow(base.max(initial=0))
        radius = model.settled(inputs, radius) if overflows else radius
        bound = np.multiply(activation.largest_slope(a, radius, out=a), radius, out=into_radius)
        bound *= 1 + activation_errors(self.judged, activation.name)[1]
        bound += self.activation_bound(value, activation.name, model)
        if overflows:  # what is not finite, and known exactly, must come out exactly
            bound[np.isnan(bound)] = np.inf
            bound[(radius == 0) & ~np.isfinite(value)] = 0
        return Ball(value, bound, 1.0 if activation.bounded else model.scale(base))
