"""The judge on NaN, infinity and overflow: what must come out exactly, and what no bound can say."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from meta_tests.common.usual_case import FAR, named, usual
from reference import Case, CellParameters, Location, RNNSpec, judge, judge_pair

VALUES = (np.nan, np.inf, -np.inf, 0.5)


def infinite(expected: float, nonlinearity: str = "relu") -> Case:
    """One step of one unit whose answer is `expected`, for an infinity or NaN or a number."""
    one = np.ones((1, 1), "float32")
    return Case(RNNSpec(1, 1, nonlinearity=nonlinearity, bias=False), [CellParameters(one, one)], one[None] * expected)


@pytest.mark.parametrize("expected", [np.nan, np.inf, 0.5])
@pytest.mark.parametrize("actual", VALUES)
def test_nan_and_infinity_must_come_out_exactly(expected: float, actual: float) -> None:
    case = infinite(np.float32(expected))
    answer = np.full((1, 1, 1), actual, "float32")
    verdict = judge(case, answer, answer)
    same = np.array_equal(actual, expected, equal_nan=True)
    assert verdict.outcome == ("agrees" if same else "disagrees")
    assert verdict.reason == ("" if same else "non-finite")
    error = 0.0 if same else math.inf
    assert verdict.max_error == verdict.worst.error == error
    assert verdict.max_ulps == error
    assert same or verdict.first.error == error
    json.dumps(verdict.to_dict())


@pytest.mark.parametrize(
    ("expected", "actual", "error"),
    [(1.0, 0.5, 0.5), (np.nan, np.nan, 0.0), (np.inf, np.inf, 0.0), (np.inf, -np.inf, np.inf), (np.inf, 0.5, np.inf),
     (np.nan, np.inf, np.inf), (0.5, np.nan, np.inf)],
)  # fmt: skip
def test_a_locations_error_is_never_nan(expected: float, actual: float, error: float) -> None:
    assert Location("output", 0, "forward", 0, 0, 0, expected, actual, 1.0).error == error


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_nan_and_infinity_among_the_inputs(direction: str, value: float) -> None:
    """The answer that carries them agrees; with zeros in their place it does not, and says why."""
    case = usual(direction)
    case.x[1, 2, 0] = value
    output, h_n = case.answer()
    assert judge(case, output, h_n).outcome == "agrees"
    saturated = judge(case, np.nan_to_num(output), np.nan_to_num(h_n))
    if np.isnan(value):
        assert (saturated.outcome, saturated.reason) == ("disagrees", "non-finite")
        assert named(saturated.first)[3:] == (2, 1, 0)
    wrong = output.copy()
    wrong[1, 2, 0] = np.inf
    assert judge(case, wrong, h_n).reason == "non-finite"


def test_nan_zeroed_on_both_sides_is_rejected() -> None:
    """Two zeroed answers agree with each other, which proves nothing: the reference rejects both."""
    case = usual()
    case.x[:] = np.nan
    zeros = tuple(np.zeros_like(array) for array in case.answer())
    verdict = judge(case, *zeros)
    assert (verdict.outcome, verdict.reason) == ("disagrees", "non-finite")
    assert judge_pair(case, zeros, zeros).outcome == "agrees"


@pytest.mark.parametrize(("value", "outcome"), [(np.nan, "agrees"), (np.inf, "disagrees")])
def test_two_answers_that_are_infinite_agree_in_their_bits_or_are_judged_by_their_steps(
    value: float, outcome: str
) -> None:
    """The trajectory bound says nothing there; and no warning comes, which the suite's filter would raise. The last bit
    makes another NaN of NaN, and NaN of an infinity."""
    case = infinite(np.float32(value))
    one, other = case.answer(), case.answer()
    assert judge_pair(case, one, other).outcome == "agrees"
    other.output.view(np.uint32)[...] ^= 1
    assert judge_pair(case, one, other).outcome == outcome


@pytest.mark.parametrize("infinite_weight", [True, False])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_an_infinity_times_a_subnormal_is_vacuous(nonlinearity: str, infinite_weight: bool) -> None:
    """A machine that flushes subnormal numbers says NaN, IEEE 754 infinity. With a normal number only one is right."""
    smallest = float(np.finfo("float32").smallest_normal)
    for small, judged in ((smallest / 2, "vacuous"), (-smallest / 2, "vacuous"), (smallest, "disagrees")):
        one, inf, tiny = (np.full((1, 1), value, "float32") for value in (1, np.inf, small))
        weight, operand = (inf, tiny) if infinite_weight else (tiny, inf)
        spec = RNNSpec(1, 1, nonlinearity=nonlinearity, bias=False)
        through_h0 = Case(spec, [CellParameters(one, weight)], one[None], operand[None])
        through_x = Case(spec, [CellParameters(weight, one)], operand[None])
        for case in (through_h0, through_x):
            nan = np.full((1, 1, 1), np.nan, "float32")
            assert judge(case, nan, nan).outcome == judged
            assert judge(case, *case.answer()).outcome == ("vacuous" if judged == "vacuous" else "agrees")


def test_an_infinity_times_a_subnormal_hides_no_other_element() -> None:
    case = usual(batch=2)
    case.parameters[0].w_hh[1, 2] = np.inf
    assert case.h0 is not None
    case.h0[0, 0, 2] = 1e-40
    output, h_n = case.answer()
    assert judge(case, output, h_n).outcome == "vacuous"
    output[0, 0, 0] += FAR
    assert named(judge(case, output, h_n).first)[3:] == (0, 0, 0)


# Overflow. Two units: the first may overflow, the second tells whether the others are still judged.


def two_units(w_ih: list, x: list, dtype: str = "float16", nonlinearity: str = "relu", **biases: list) -> Case:
    """One step of two units from a state of zeros, without recurrent weights."""
    arrays = {"w_ih": w_ih, "w_hh": [[0.0, 0.0], [0.0, 0.0]], **biases}
    cell = CellParameters(**{name: np.array(array, dtype) for name, array in arrays.items()})
    spec = RNNSpec(len(x), 2, nonlinearity=nonlinearity, bias=bool(biases))
    return Case(spec, [cell], np.array([[x]], dtype))


def both(case: Case, *units: float) -> tuple[np.ndarray, np.ndarray]:
    """These values as an answer: output and h_n."""
    answer = np.array([[units]]).astype(case.dtype)
    return answer, answer


@pytest.mark.parametrize("sign", [1, -1])
def test_finite_terms_that_may_overflow_are_vacuous(sign: int) -> None:
    """float16 ends at 65504: 60000 and 60000, or their difference, may be anything; the other unit may not."""
    case = two_units([[300.0, sign * 300.0], [1.0, 2.0]], [200.0, 200.0])
    for first in (np.inf, 0.0):
        verdict = judge(case, *both(case, first, 600.0))
        assert (verdict.outcome, verdict.vacuous) == ("vacuous", 2)
    verdict = judge(case, *both(case, 0.0, 0.0))
    assert named(verdict.first)[3:] == (0, 0, 1)
    assert verdict.outside == 2


def test_terms_that_fit_together_are_judged() -> None:
    case = two_units([[150.0, 150.0], [1.0, 2.0]], [200.0, 200.0])
    assert judge(case, *both(case, 60_000.0, 600.0)).outcome == "agrees"
    assert judge(case, *both(case, np.inf, 600.0)).outcome == "disagrees"


@pytest.mark.parametrize(
    ("w_ih", "x"),
    [([[60_000.0, 100.0], [0.5, 0.5]], [np.inf, 100.0]), ([[np.inf, 100.0], [0.0, 0.5]], [60_000.0, 100.0])],
)
def test_an_infinity_among_finite_terms_has_one_answer(w_ih: list, x: list) -> None:
    """What multiplies the infinity takes no part in a finite sum, so that it cannot overflow it."""
    case = two_units(w_ih, x)
    assert judge(case, *case.answer()).outcome == "agrees"
    answer = case.answer().output[0, 0]
    assert answer[0] == np.inf
    verdict = judge(case, *both(case, 10_000.0, answer[1]))
    assert (verdict.outcome, verdict.reason, verdict.outside) == ("disagrees", "non-finite", 2)
    assert verdict.first is not None
    assert verdict.first.bound == 0


def test_two_finite_biases_may_overflow_and_an_infinite_one_may_not() -> None:
    case = two_units([[0.0], [0.0]], [1.0], "float64", b_ih=[1e308, 1e308], b_hh=[1e308, np.inf])
    assert case.answer().output[0, 0].tolist() == [np.inf, np.inf]
    for first in (np.inf, 0.0):
        verdict = judge(case, *both(case, first, np.inf))
        assert (verdict.outcome, verdict.vacuous) == ("vacuous", 2)
    assert judge(case, *both(case, np.inf, 0.0)).outcome == "disagrees"


def test_an_infinity_times_zero_is_nan() -> None:
    """Zero is not a number that may be flushed: there is nothing to lose."""
    case = two_units([[0.0], [1.0]], [np.inf])
    assert judge(case, *both(case, np.nan, np.inf)).outcome == "agrees"
    assert judge(case, *both(case, 0.0, np.inf)).outcome == "disagrees"


def test_tanh_of_infinity_may_be_off_by_its_own_error_and_no_more() -> None:
    case = two_units([[1.0], [-1.0]], [np.inf], "float32", "tanh")
    below = float(np.nextafter(np.float32(1), np.float32(0)))
    for first, outcome in ((1.0, "agrees"), (below, "agrees"), (1 - 2.0**-18, "disagrees")):
        assert judge(case, *both(case, first, -1.0)).outcome == outcome
