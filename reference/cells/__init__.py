"""The cells: kinds of recurrence. Each is one file here, and nothing else in reference/ is written for it.

A file holds CELLS, a mapping of words for RNNSpec.cell to classes that are called with the spec; this package collects
them. A cell declares its states and weights as data, and its equations once, over the operations of reference.calculus.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..calculus import Operations

if TYPE_CHECKING:  # a spec asks the cells for its word
    from ..spec import RNNSpec


class State(NamedTuple):
    """One array that a cell carries from step to step, (batch, size).

    reported: whether the layer answers it at every step; a hidden one is answered at the end alone.
    """

    name: str
    size: int
    reported: bool = True


class Weight(NamedTuple):
    """One array of a CellParameters.

    axes: what each axis counts: "units" (hidden_size), "features" of the layer's input, or "states", the size of h.
    gates: the gates that are stacked in its rows, in torch's order; one unnamed gate where there is no stack.
    """

    name: str
    axes: tuple[str, ...]
    gates: tuple[str, ...] = ("",)

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Its shape, from the size of each kind of axis."""
        rows, *columns = [sizes[axis] for axis in self.axes]
        return (rows * len(self.gates), *columns)


def sums_of(spec: RNNSpec, gates: tuple[str, ...] = ("",)) -> tuple[Weight, ...]:
    """The weights of the sums of x, of h and of biases, which every cell has."""
    products = Weight("w_ih", ("units", "features"), gates), Weight("w_hh", ("units", "states"), gates)
    biases = Weight("b_ih", ("units",), gates), Weight("b_hh", ("units",), gates)
    return (*products, *biases) if spec.bias else products


def present(weights: Mapping[str, Any], *names: str) -> list[Any]:
    """The weights of these names that are there."""
    return [weights[name] for name in names if name in weights]


class Cell(Protocol):
    """A kind of recurrence, with the sizes of one spec.

    states: what it carries. The first one, h, is the output, and the only one that is reported.
    signed: whether a step is one activation of one sum, of which calculus.signed knows the Jacobian.
    """

    signed: bool
    states: tuple[State, ...]

    def weights(self, spec: RNNSpec) -> tuple[Weight, ...]:
        """The arrays of each of its parameters, in order."""
        ...

    def project(self, operations: Operations, weights: Mapping[str, Any], x: Any) -> Any:
        """What does not depend on the state, for all steps at once: (time, batch, gates * units), an open sum.

        x: (time, batch, features).
        """
        ...

    def step(
        self, operations: Operations, weights: Mapping[str, Any], projected: Any, states: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        """The states after a step, from what project answered for it, which is used up, and the states before."""
        ...


def collect() -> dict[str, Callable[[RNNSpec], Cell]]:
    """The cells of every file in this package's folders, by word. Raises ValueError for a word that two files have."""
    found: dict[str, Callable[[RNNSpec], Cell]] = {}
    for module in pkgutil.iter_modules(__path__):
        cells = importlib.import_module(f"{__name__}.{module.name}").CELLS
        if twice := sorted(found.keys() & cells.keys()):
            raise ValueError(f"cells: got {twice[0]!r} in {module.name}.py again, expected each word once")
        found |= cells
    return found


CELLS: Mapping[str, Callable[[RNNSpec], Cell]] = MappingProxyType(collect())


def cell_of(spec: RNNSpec) -> Cell:
    """The cell that a spec names, with its sizes."""
    return spec.made
