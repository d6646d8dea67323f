"""What a tape hands back, in exact numbers against derivatives along directions; and what it notes of a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from meta_tests.common.exact import Dual, Exact, dual_functions, fractions
from meta_tests.common.gradients import SPECS, states_after
from reference import RNNSpec
from reference.calculus.tape import Node, NumberReturns, Tape, hand_back, handed
from reference.cells import cell_of


def derivatives(spec: RNNSpec, arrays: dict[str, np.ndarray], g: list[np.ndarray], seed: int) -> dict[str, Any]:
    """The derivative of what is asked for, by each array along a direction of its own."""
    dual, found = np.frompyfunc(Dual, 2, 1), {}
    for name, array in arrays.items():
        moving = {
            other: dual(one, fractions(array.shape, seed) if other == name else 0) for other, one in arrays.items()
        }
        states = [one for other, one in moving.items() if other.startswith("state ")]
        answers = states_after(spec, moving, moving["x"], states, dual_functions(spec.clip))
        found[name] = np.sum([(a * one).sum() for a, one in zip(g, answers, strict=True)]).slope
    return found


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", SPECS)
def test_each_array_is_handed_its_exact_derivative(name: str, bias: bool) -> None:
    spec, seed = RNNSpec(2, 3, bias=bias, **SPECS[name]), 40
    cell, tape = cell_of(spec), Tape(Exact())
    weights = {name: fractions(shape, seed) for seed, (name, shape) in enumerate(spec.shapes[0].items())}
    x, states = fractions((2, 2), 11), [fractions((2, state.size), 12 + k) for k, state in enumerate(cell.states)]
    g = [fractions(one.shape, 20 + k) for k, one in enumerate(states)]
    taped, given, before = tape.weights(weights), Node(x), tuple(map(Node, states))
    after = cell.step(tape, taped, cell.project(tape, taped, given), before)
    for node, one in zip(after, g, strict=True):
        node.back.append(one)
    hand_back(tape.nodes, NumberReturns())
    arrays = {**weights, "x": x, **{f"state {k}": one for k, one in enumerate(states)}}
    nodes = {**taped, "x": given, **{f"state {k}": one for k, one in enumerate(before)}}
    for array, expected in derivatives(spec, arrays, g, seed).items():
        found = handed(nodes[array], NumberReturns())
        found = found.T if array in weights else found
        assert (found * fractions(arrays[array].shape, seed)).sum() == expected, array


def test_a_gate_that_is_handed_nothing_counts_as_zero() -> None:
    """And a node that was handed nothing hands on nothing."""
    tape, a = Tape(Exact()), Node(fractions((2, 6), 1))
    _, second, third = tape.split(a, (1, 2, 3))
    other = tape.tanh(second)
    third.back.append(np.ones((2, 3)))
    hand_back(tape.nodes, NumberReturns())
    found = handed(a, NumberReturns())
    assert found.tolist() == [[0, 0, 0, 1, 1, 1]] * 2
    assert (other.back, second.back) == ([], [])
    assert handed(second, NumberReturns()) is None
    assert found.dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_slopes_keep_the_dtype_of_what_they_are_of(dtype: str) -> None:
    returns, a = NumberReturns(), np.array([-2.0, -0.5, 0.0, 0.25, 0.5], dtype)
    slopes = {"sigmoid": [-6, -0.75, 0, 0.1875, 0.25], "tanh": [-3, 0.75, 1, 0.9375, 0.75], "relu": [0, 0, 0, 1, 1]}
    for name, expected in slopes.items():
        assert returns.slope(name, a).tolist() == expected
        assert returns.slope(name, a).dtype == dtype
    assert returns.inside(a, 0.5).tolist() == [0, 1, 1, 1, 1]
    assert returns.inside(a, 0.5).dtype == dtype
    with pytest.raises(ValueError, match=r"^activation: got 'softsign', expected sigmoid, tanh or relu$"):
        returns.slope("softsign", a)


def test_a_tape_notes_how_each_node_was_made() -> None:
    tape = Tape(Exact())
    (weight,), a, b = tape.weights({"w": fractions((6, 2), 0)}).values(), Node(fractions((2, 2), 1)), Node(1)
    assert (weight.weight, weight.operation, weight.shared, a.weight) == (True, "given", 1, False)
    total = tape.affine([(weight, a)], [b])
    assert (total.operation, total.operands) == ("affine", (((weight, a),), (b,), None))
    assert tape.affine([(weight, a)]).operands == (((weight, a),), (), None)
    assert tape.affine([], [b], a).operands == ((), (b,), a)
    parts = tape.split(weight, (1, 2))
    assert [(part.operation, part.operands, part.weight) for part in parts] == [
        ("split", (weight, 0, (1, 2)), True), ("split", (weight, 1, (1, 2)), True)]  # fmt: skip
    assert not tape.split(total, (1, 2))[0].weight
    for name, operands in (("add", (a, a)), ("multiply", (a, a)), ("mix", (a, a, a)), ("clip", (a, 0.5)),
                           ("sigmoid", (a,)), ("tanh", (a,)), ("relu", (a,))):  # fmt: skip
        node = getattr(tape, name)(*operands)
        assert (node.operation, node.operands) == (name, operands)
        assert tape.nodes[-1] is node


def test_the_rows_of_a_projected_input_follow_its_gates() -> None:
    """A sum is of the rows of what it began with; what begins with nothing has none."""
    tape, weight, b = Tape(Exact()), Node(fractions((2, 12), 0)), Node(fractions((2, 2), 1))
    start = Node(fractions((2, 12), 2), rows=slice(4, 16))
    total = tape.affine([(weight, b)], (), start)
    assert total.rows == slice(4, 16)
    assert tape.affine([(weight, b)]).rows is None
    parts = tape.split(total, (1, 2, 1))
    assert [list(range(20)[part.rows]) for part in parts] == [[4, 5, 6], [7, 8, 9, 10, 11, 12], [13, 14, 15]]
    assert [part.rows for part in tape.split(tape.affine([(weight, b)]), (1, 3))] == [None, None]
    assert tape.add(total, total).rows == slice(4, 16)
    assert tape.add(tape.affine([(weight, b)]), total).rows is None


def test_a_product_is_made_of_closed_factors() -> None:
    """Where a reader closes what it can: the factors stay closed for the derivatives."""

    class Closing(Exact):
        def computed(self, value: Any) -> Any:
            return value + 1

    tape, a, b = Tape(Closing()), Node(np.array([2])), Node(np.array([4]))
    assert tape.multiply(a, b).value.tolist() == [15]
    assert (a.value.tolist(), b.value.tolist()) == ([3], [5])
    assert Tape(Exact()).closed(b) is b


def test_what_operands_of_one_weight_are_handed_says_how_many_they_are() -> None:
    """A weight's transpose is told how many tracks hand something to the same operand."""
    seen: list[int] = []

    class Counting(NumberReturns):
        def transposed(self, weight: np.ndarray, d: np.ndarray, shared: int) -> np.ndarray:
            seen.append(shared)
            return super().transposed(weight, d, shared)

    tape, weight = Tape(Exact()), Node(fractions((2, 3), 0))
    tape.affine([(weight, Node(fractions((2, 2), 1), shared=2)), (weight, Node(fractions((2, 2), 1)))])
    tape.nodes[-1].back.append(np.ones((2, 3)))
    hand_back(tape.nodes, Counting())
    assert seen == [2, 1]
