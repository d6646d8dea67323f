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
        """The weights by name, as `affine` takes them; those that are absent are left out."""
        ...

    def affine(self, products: Sequence[tuple[Any, Any]], biases: Sequence[Any] = (), start: Any = None) -> Any:
        """start + the sum of weight @ operand + the sum of the biases, in whatever order.

        products: pairs of a weight and an operand (..., features).  start: what an earlier call answered, to which
        terms are added; it is used up.
        """
        ...

    def tanh(self, a: Any) -> Any:
        """a: what the last call of affine answered, which is used up, or any other quantity, which is not."""
        ...

    def relu(self, a: Any) -> Any: ...


def activate(operations: Operations, nonlinearity: str, a: Any) -> Any:
    """The activation of that name; a word that nobody computes raises."""
    match nonlinearity:
        case "tanh":
            return operations.tanh(a)
        case "relu":
            return operations.relu(a)
    raise ValueError(f"nonlinearity: got {nonlinearity!r}, expected one that the calculus computes: tanh, relu")
