"""The step of a fault in the arithmetic: the cell's own equations, read with operations that the fault changes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ..calculus import clipped
from ..calculus.balls import Matrix, Open, OpenSums
from ..calculus.numbers import Numbers, activation
from ..calculus.slopes import Activation
from ..cells import cell_of
from ..judging.case import Case
from ..recurrence import States
from .changes import Change, same


class Kernel(Protocol):
    """What computes products and activations: NumPy, or a framework (every adapter is one)."""

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
        """x (..., features) by weight (outputs, features), plus bias (outputs,)."""
        ...

    def activation(self, a: np.ndarray, nonlinearity: str) -> np.ndarray:
        """ "tanh" or "relu" of any array, elementwise."""
        ...


class NumPyKernel:
    """Products and activations by NumPy, in the dtype of their arguments."""

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
        return (x @ weight.T + bias).astype(x.dtype)  # a product of bfloat16 is float32 in NumPy

    def activation(self, a: np.ndarray, nonlinearity: str) -> np.ndarray:
        return activation(a, nonlinearity)


@dataclass(frozen=True)
class Step:
    """A sum in a step that is about to be activated.

    products: pairs of a weight (units, features) and an operand (batch, features).  biases: (units,), of the
    first products.  nonlinearity: of its activation.  terms: (batch, units), what is added to them.
    limit: to which the sum is clipped.
    """

    kernel: Kernel
    products: Sequence[tuple[np.ndarray, np.ndarray]]
    biases: Sequence[np.ndarray]
    nonlinearity: str
    terms: Sequence[np.ndarray] = ()
    limit: float | None = None

    @property
    def dtype(self) -> np.dtype:
        return self.products[0][1].dtype if self.products else self.terms[0].dtype

    def sum(self, operand: Change = same) -> np.ndarray:
        """The preactivation (batch, units), each operand of the products changed before it is used."""
        terms = []
        for (weight, x), bias in itertools.zip_longest(self.products, self.biases):
            bias = np.zeros(len(weight), self.dtype) if bias is None else bias
            terms.append(self.kernel.dense(operand(weight), bias, operand(x)))
        terms += self.terms
        return clipped(Numbers(), sum(terms[1:], terms[0]), self.limit)

    def activate(self, a: np.ndarray) -> np.ndarray:
        return self.kernel.activation(a, self.nonlinearity)

    def right(self) -> np.ndarray:
        """The activation without a fault."""
        return self.activate(self.sum())

    def astype(self, dtype: str) -> Step:
        products = [(weight.astype(dtype), operand.astype(dtype)) for weight, operand in self.products]
        biases, terms = ([one.astype(dtype) for one in several] for several in (self.biases, self.terms))
        return replace(self, products=products, biases=biases, terms=terms)


@dataclass(frozen=True)
class StepChange:
    """What a fault in the arithmetic changes.

    activation: what a sum becomes.  state: what becomes of each state after the step.
    """

    activation: Callable[[Step], np.ndarray] = Step.right
    state: Change = same

    def take(self, kernel: Kernel, track: Case, x: np.ndarray, states: States) -> States:
        """The states of a track after the faulty step, from x (batch, features) and the states before."""
        cell, operations = cell_of(track.spec), _Operations(kernel, self.activation)
        weights = operations.weights(track.parameters[0])
        after = cell.step(operations, weights, cell.project(operations, weights, x), states)
        return tuple(self.state(operations.closed(state)) for state in after)


@dataclass(frozen=True)
class _Operations(OpenSums):
    """Reads a step in arrays, so that a fault may change all of it.

    The sums that are activated are the fault's; those that a gate multiplies, and all other operations, are right.
    """

    kernel: Kernel
    activation: Callable[[Step], np.ndarray]

    def activated(self, total: Any, activation: Activation) -> np.ndarray:
        step = self._step(total, activation.name)
        return self.activation(step).astype(step.dtype, copy=False)

    def _step(self, total: Any, nonlinearity: str) -> Step:
        if not isinstance(total, Open):
            return Step(self.kernel, (), (), nonlinearity, (total,))
        products = [(weight.array, self.closed(operand)) for weight, operand in total.products]
        terms = tuple(map(self.closed, total.terms))
        return Step(self.kernel, products, [bias.array for bias in total.biases], nonlinearity, terms, total.limit)

    def closed(self, a: Any) -> np.ndarray:
        if isinstance(a, Matrix):
            return a.array
        return self._step(a, "tanh").sum() if isinstance(a, Open) else a

    def add(self, a: Any, b: Any) -> Any:
        return super().add(a, b) if isinstance(a, Open) else a + self.closed(b)

    def multiply(self, a: Any, b: Any) -> np.ndarray:
        return self.closed(a) * self.closed(b)

    def mix(self, z: Any, n: Any, h: Any) -> np.ndarray:
        return (1 - z) * n + z * h
