"""A step that is read a third time: what each operation hands back to its operands, by the chain rule.

A Tape reads a cell's step with another reader, and remembers it. `hand_back` goes through what it remembers, last
operation first: a node's cotangent, the derivative by it of what was asked for, is the total of what was handed to it.
What a cotangent is, is up to what hands back: an array in NumberReturns, balls with what they depend on in returns.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..spec import CellParameters


@dataclass(eq=False)
class Node:
    """A quantity of a step.

    value: what the reader has.  operation, operands: how it was made; "given" and "weight" are made of nothing.
    back: what was handed to it.  parts: the same, of gates that were split off, by their place, with all of the gates.
    shared: how many tracks hand something to it.
    rows: of a sum, those of the projected input that it has as terms: its cotangent is theirs, which a probe shows.
    """

    value: Any
    operation: str = "given"
    operands: tuple[Any, ...] = ()
    weight: bool = False
    shared: int = 1
    rows: slice | None = None
    back: list[Any] = field(default_factory=list)
    parts: dict[int, Any] = field(default_factory=dict)


class Tape:
    """Operations (calculus.Operations) on Nodes.  reader: what computes their values."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.nodes: list[Node] = []

    def weights(self, parameters: CellParameters) -> dict[str, Node]:
        return {name: Node(value, weight=True) for name, value in self.reader.weights(parameters).items()}

    def affine(
        self, products: Sequence[tuple[Node, Node]], biases: Sequence[Node] = (), start: Node | None = None
    ) -> Node:
        values = [(weight.value, operand.value) for weight, operand in products], [bias.value for bias in biases]
        value = self.reader.affine(*values, None if start is None else start.value)
        node = self._made(value, "affine", tuple(products), tuple(biases), start)
        node.rows = None if start is None else start.rows
        return node

    def split(self, a: Node, gates: Sequence[int]) -> tuple[Node, ...]:
        parts = [
            self._made(value, "split", a, place, tuple(gates))
            for place, value in enumerate(self.reader.split(a.value, gates))
        ]
        ends = list(itertools.accumulate(gates, initial=0))
        for part, (start, end) in zip(parts, itertools.pairwise(ends), strict=True):
            part.weight = a.weight
            if a.rows is not None:
                size = (a.rows.stop - a.rows.start) // ends[-1]
                part.rows = slice(a.rows.start + start * size, a.rows.start + end * size)
        return tuple(parts)

    def add(self, a: Node, b: Node) -> Node:
        node = self._made(self.reader.add(a.value, b.value), "add", a, b)
        node.rows = a.rows
        return node

    def multiply(self, a: Node, b: Node) -> Node:
        for factor in (a, b):  # the other one's derivative
            factor.value = self.closed(factor.value)
        return self._made(self.reader.multiply(a.value, b.value), "multiply", a, b)

    def mix(self, z: Node, n: Node, h: Node) -> Node:
        return self._made(self.reader.mix(z.value, n.value, h.value), "mix", z, n, h)

    def clip(self, a: Node, limit: float) -> Node:
        return self._made(self.reader.clip(a.value, limit), "clip", a, limit)

    def sigmoid(self, a: Node) -> Node:
        return self._made(self.reader.sigmoid(a.value), "sigmoid", a)

    def tanh(self, a: Node) -> Node:
        return self._made(self.reader.tanh(a.value), "tanh", a)

    def relu(self, a: Node) -> Node:
        return self._made(self.reader.relu(a.value), "relu", a)

    def closed(self, value: Any) -> Any:
        """A factor as the reader's derivatives need it: computed, where that is not waiting for anything."""
        return getattr(self.reader, "computed", lambda same: same)(value)

    def _made(self, value: Any, operation: str, *operands: Any) -> Node:
        self.nodes.append(Node(value, operation, operands))
        return self.nodes[-1]


def hand_back(nodes: Sequence[Node], returns: Any) -> None:
    """Hand each node's cotangent to its operands, the last node first. Those that were handed nothing hand on nothing.

    What arrives at given nodes and weights stays in their `back`.
    """
    for node in reversed(nodes):
        d = returns.cotangent(node)
        if d is None:
            continue
        if node.operation == "split":
            parent, place, gates = node.operands
            parent.parts[place] = (d, gates)
            continue
        for operand, part in RULES[node.operation](returns, d, node):
            operand.back.append(part)


def handed(node: Node, returns: Any) -> Any:
    """What was handed to a node, added up; None where that is nothing."""
    several = list(node.back)
    if node.parts:
        (_, gates), *_ = node.parts.values()
        several.append(returns.joined({place: d for place, (d, _) in node.parts.items()}, gates))
    return returns.total(several) if several else None


def _affine(returns: Any, d: Any, node: Node) -> Iterator[tuple[Node, Any]]:
    products, biases, start = node.operands
    for weight, operand in products:
        yield operand, returns.transposed(weight.value, d, operand.shared)
        yield weight, returns.outer(d, operand.value)
    for bias in biases:
        yield bias, returns.summed(d)
    if start is not None:
        yield start, d


def _multiply(returns: Any, d: Any, node: Node) -> Iterator[tuple[Node, Any]]:
    a, b = node.operands
    for operand, other in ((a, b), (b, a)):
        part = returns.product(d, returns.factor(other.value))
        yield operand, returns.summed(part) if operand.weight else part


def _mix(returns: Any, d: Any, node: Node) -> Iterator[tuple[Node, Any]]:
    z, n, h = node.operands
    yield z, returns.product(d, returns.apart(h.value, n.value))
    yield n, returns.product(d, returns.rest(z.value))
    yield h, returns.product(d, returns.kept(z.value))


def _activation(returns: Any, d: Any, node: Node) -> Iterator[tuple[Node, Any]]:
    yield node.operands[0], returns.product(d, returns.slope(node.operation, node.value))


def _clip(returns: Any, d: Any, node: Node) -> Iterator[tuple[Node, Any]]:
    a, limit = node.operands
    yield a, returns.product(d, returns.inside(a.value, limit))


RULES = {
    "affine": _affine,
    "add": lambda _returns, d, node: ((operand, d) for operand in node.operands),
    "multiply": _multiply,
    "mix": _mix,
    "clip": _clip,
    **dict.fromkeys(("sigmoid", "tanh", "relu"), _activation),
}


class NumberReturns:
    """Cotangents are arrays, and so are the values of Numbers: a matrix stands as (features, units)."""

    def cotangent(self, node: Node) -> Any:
        """That of a node, once all was handed to it; None where that is nothing."""
        return handed(node, self)

    def total(self, several: Sequence[np.ndarray]) -> np.ndarray:
        return sum(several[1:], several[0])

    def product(self, d: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """d times a derivative that one of the next six answers, elementwise."""
        return d * factor

    def factor(self, value: np.ndarray) -> np.ndarray:
        """Of a product, by the other factor."""
        return value

    def slope(self, activation: str, result: np.ndarray) -> np.ndarray:
        """Of an activation, from its result."""
        match activation:
            case "sigmoid":
                return result * (1 - result)
            case "tanh":
                return 1 - result * result
            case "relu":
                return (result > 0).astype(result.dtype)
        raise ValueError(f"activation: got {activation!r}, expected sigmoid, tanh or relu")

    def inside(self, value: np.ndarray, limit: float) -> np.ndarray:
        """Of a clipped value: 1 where it is not clipped, 0 where it is."""
        return (np.abs(value) <= limit).astype(value.dtype)

    def rest(self, z: np.ndarray) -> np.ndarray:
        """Of a mix by n; the next two by h, and by z."""
        return 1 - z

    def kept(self, z: np.ndarray) -> np.ndarray:
        return z

    def apart(self, h: np.ndarray, n: np.ndarray) -> np.ndarray:
        return h - n

    def transposed(self, weight: np.ndarray, d: np.ndarray, _shared: int) -> np.ndarray:
        """weight^T d."""
        return d @ weight.T

    def outer(self, d: np.ndarray, value: np.ndarray) -> np.ndarray:
        """The sum over all steps and sequences of value d^T: (features, units)."""
        return value.T @ d

    def summed(self, d: np.ndarray) -> np.ndarray:
        """The sum over all steps and sequences: (units,)."""
        return d.sum(axis=0)

    def joined(self, parts: dict[int, np.ndarray], gates: Sequence[int]) -> np.ndarray:
        """The parts of a split beside each other; those to which nothing was handed are 0."""
        place, one = next(iter(parts.items()))
        size = one.shape[-1] // gates[place]
        absent = [np.zeros((*one.shape[:-1], size * count), one.dtype) for count in gates]
        return np.concatenate([parts.get(place, zero) for place, zero in enumerate(absent)], axis=-1)
