"""The bound of a dense head. Two features: three terms, so a gain of four units."""

from __future__ import annotations

import numpy as np

from reference.bounds.arithmetic import ARITHMETICS, arithmetic
from reference.bounds.dense import dense_bound

U = {name: declared.unit_roundoff for name, declared in ARITHMETICS.items()}
TINY = {name: declared.smallest_normal for name, declared in ARITHMETICS.items()}


# A dense head. Two features: three terms, so a gain of four units.


def head(w: list, x: list, x_bound: list, b: float = 0.0, dtype: str = "float32") -> np.ndarray:
    """The bound of a head in units of the smallest normal number."""
    weight, x_, bound = (np.array(a, "float64") for a in (w, x, x_bound))
    enclosure = dense_bound(weight, np.full(len(w), b), x_, bound, arithmetic(dtype))
    return enclosure.bound / TINY[dtype]


def test_a_head_of_nothing_but_underflow() -> None:
    """With only zeros: one for each of three terms that the input's flushing may cost, two for each of the sum."""
    zero = [[0.0, 0.0]]
    for x, x_bound, expected in (
        ([0.0, 0.0], [0.0, 0.0], 3 + 6),
        ([1.0, -2.0], [0.0, 0.0], 3 + 3 + 6),
        ([1.0, -2.0], [0.5, 0.5], 4 + 3 + 6),
    ):
        assert np.round(head(zero, x, x_bound)).tolist() == [expected]
    assert round(float(np.log1p(head(zero, [0.0] * 2, [0.0] * 2)[0] / 9 - 1) / np.log1p(U["float32"]))) == 4


def test_a_head_flushes_each_output_and_each_step_for_itself() -> None:
    bound = head([[4.0, -5.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]])
    assert np.round(bound).tolist() == [[18, 9], [18, 9]]
    bound = head([[0.0, 0.0]], [[1.0, 2.0], [10.0, -20.0]], [[0.0, 0.0], [0.0, 0.0]])
    assert np.round(bound).tolist() == [[12], [39]]


def test_a_head_rounds_in_proportion_to_its_terms() -> None:
    """4 units of (1 * 2 + 3 * 4 + 5) from the judged side; the reference's own are 2**-29 of them."""
    bound = head([[1.0, 3.0]], [2.0, -4.0], [0.0, 0.0], b=-5.0) * TINY["float32"]
    assert round(bound[0] / U["float32"]) == 4 * 19


def test_a_head_carries_its_inputs_bound_and_the_rounding_of_its_own_evaluation() -> None:
    """1, and 4 units from each side, and 3 + 1 and the 64 roundings of evaluating the bound."""
    bound = head([[1.0, 0.0]], [0.0, 0.0], [1.0, 0.0], dtype="float64") * TINY["float64"]
    assert round((bound[0] - 1) / U["float64"]) == 4 + 4 + 4 + 64
