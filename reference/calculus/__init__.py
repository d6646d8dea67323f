"""What a cell's step is read with. A cell writes its equations once, over the Operations that every reader has.

numbers: arrays in their own dtype, the forward pass.  balls: an array and how far a computed one may lie from it.
signed: a ball whose dependence on the state before is kept with its sign, for the trajectory bound.
sums: one sum as a product of two matrices, with its rounding.  slopes: the activations, and their slopes.

An operand for which no bound is proved raises NotImplementedError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # a spec asks the cells for its word, and they import this
    from ..spec import CellParameters


class Operations(Protocol):
    """What every reader has. What a quantity is, is the reader's own: an array, a ball, a sum that is still open."""

    def weights(self, parameters: CellParameters) -> dict[str, Any]:
        """The weights by name, as the others take them; those that are absent are left out."""
        ...

    def affine(self, products: Sequence[tuple[Any, Any]], biases: Sequence[Any] = (), start: Any = None) -> Any:
        """start + the sum of weight @ operand + the sum of the biases, in whatever order: a sum that is still open.

        products: pairs of a weight and an operand (..., features).  start: an open sum to which terms are added; it is
        used up.
        """
        ...

    def split(self, a: Any, gates: Sequence[int]) -> tuple[Any, ...]:
        """The gates that stand side by side in the last axis of a quantity, or below each other in a weight.

        gates: how many of them each part has; all gates are of one size.
        """
        ...

    def add(self, a: Any, b: Any) -> Any:
        """a + b. Of an open sum, which is used up, an open sum: b is one more, or one more term."""
        ...

    def multiply(self, a: Any, b: Any) -> Any:
        """a * b, elementwise."""
        ...

    def mix(self, z: Any, n: Any, h: Any) -> Any:
        """(1 - z) n + z h, elementwise, by any of the formulas for it."""
        ...

    def clip(self, a: Any, limit: float) -> Any:
        """a, but no less than -limit and no more than limit."""
        ...

    def sigmoid(self, a: Any) -> Any:
        """1 / (1 + exp(-a)).  a: an open sum, which is used up, or any other quantity, which is not."""
        ...

    def tanh(self, a: Any) -> Any:
        """a: as in sigmoid."""
        ...

    def relu(self, a: Any) -> Any: ...


def clipped(operations: Operations, a: Any, limit: float | None) -> Any:
    """a, clipped where there is a limit."""
    return a if limit is None else operations.clip(a, limit)


def activate(operations: Operations, nonlinearity: str, a: Any) -> Any:
    """The activation of that name; a word that nobody computes raises."""
    match nonlinearity:
        case "tanh":
            return operations.tanh(a)
        case "relu":
            return operations.relu(a)
        case "sigmoid":
            return operations.sigmoid(a)
    words = "tanh, relu, sigmoid"
    raise ValueError(f"nonlinearity: got {nonlinearity!r}, expected one that the calculus computes: {words}")
