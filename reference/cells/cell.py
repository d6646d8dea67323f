"""What a cell is: a kind of recurrence, as data and as equations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from ..calculus import Operations
from ..spec import RNNSpec


class State(NamedTuple):
    """One array that a cell carries from step to step, (batch, hidden_size).

    reported: whether the layer answers it at every step; a hidden one is answered at the end alone.
    """

    name: str
    reported: bool = True


class Weight(NamedTuple):
    """One array of a CellParameters.

    axes: what each axis counts: "units" of the output in rows, "features" of the input, "states" of the step before.
    gates: the gates that are stacked in its rows, in torch's order; one unnamed gate where there is no stack.
    """

    name: str
    axes: tuple[str, ...]
    gates: tuple[str, ...] = ("",)

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Its shape in a layer of these sizes: "units" (of one gate), "features", "states"."""
        rows, *columns = [sizes[axis] for axis in self.axes]
        return (rows * len(self.gates), *columns)


class Cell(Protocol):
    """A kind of recurrence. Its file is all that is to be written for it in reference/."""

    kind: str
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
