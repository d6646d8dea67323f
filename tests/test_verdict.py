"""The numbers of a verdict, and two answers judged against each other."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reference import LAYOUTS, Case, CellParameters, Location, RNNSpec, Verdict, judge, judge_pair
from reference.layout import sequence_to_time_first

from .judged import named, place, usual


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_max_ulps_counts_units_in_the_last_place(dtype: str) -> None:
    """1.5 and the number three places above it are 3 ulps apart in every dtype."""
    one = np.ones((1, 1), dtype)
    spec = RNNSpec(1, 1, nonlinearity="relu", bias=False)
    case = Case(spec, [CellParameters(one, one)], np.full((1, 1, 1), 1.5).astype(dtype))
    answer = case.answer().output
    assert judge(case, answer, answer).max_ulps == 0
    moved = (answer.view(f"u{answer.itemsize}") + 3).astype(f"u{answer.itemsize}").view(answer.dtype)
    assert judge(case, moved, answer).max_ulps == 3


def test_the_worst_element_has_the_largest_fraction() -> None:
    case = usual()
    verdict = judge(case, *case.answer())
    assert verdict.worst.error / verdict.worst.bound == verdict.max_fraction
    assert 0 < verdict.max_ulps < 100


def test_the_mean_signed_residual_has_the_sign_of_a_shift() -> None:
    case = usual()
    output, h_n = case.answer()
    shrunk, grown = (judge(case, output * np.float32(1 + shift), h_n) for shift in (-1e-6, 1e-6))
    assert shrunk.mean_signed_residual < -1
    assert grown.mean_signed_residual > 1


@pytest.mark.parametrize("planted", [0.0, 1e-3, np.nan, np.inf])
def test_a_pair_is_judged_the_same_in_either_order(planted: float) -> None:
    case = usual("bidirectional", 2)
    one, other = case.answer(), case.answer()
    other.output[0, 1, 2] += np.float32(planted)
    there, back = judge_pair(case, one, other), judge_pair(case, other, one)
    same = ("outcome", "reason", "elements", "outside", "vacuous", "max_error", "max_fraction")
    assert [getattr(there, name) for name in same] == [getattr(back, name) for name in same]
    assert there.outcome == ("disagrees" if planted else "agrees")
    assert there.bound == "twice the trajectory"
    assert named(there.worst) == named(back.worst)
    assert np.isfinite(planted) == (there.reason != "non-finite")


def test_a_pair_may_lie_twice_as_far_apart_as_an_answer_from_the_reference() -> None:
    """An answer 1.5 bounds off is wrong, yet it agrees with a right one; at 4 bounds it no longer does."""
    case = usual()
    output, h_n = case.answer()
    worst = judge(case, output, h_n, bound="trajectory").worst
    assert worst is not None
    assert worst.array == "output"
    moved = output.copy()
    index = place(case, 0, 0, worst.time or 0, worst.batch, worst.unit)
    moved[index] = worst.expected + 1.5 * worst.bound
    assert judge(case, moved, h_n, bound="trajectory").outcome == "disagrees"
    assert judge_pair(case, (output, h_n), (moved, h_n)).outcome == "agrees"
    moved[index] = worst.expected + 4 * worst.bound
    assert judge_pair(case, (output, h_n), (moved, h_n)).outcome == "disagrees"


def test_a_verdict_is_a_json_object() -> None:
    case = usual(num_layers=2)
    output, h_n = case.answer()
    output[0, 0, 0] = 7
    for verdict in (judge(case, output, h_n), judge(case, *case.answer()), judge(case, output[:1], h_n)):
        content = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
        locations = {name: content[name] and Location(**content[name]) for name in ("worst", "first")}
        assert Verdict(**content | locations) == verdict


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_verdict_is_np_allclose_with_the_bound(layout: str) -> None:
    """Answers on either side of the bound: an element is wrong where the literal call says so."""
    case = usual(layout=layout)
    answer = case.answer()
    where = judge(case, *answer).worst
    assert where is not None
    assert where.array == "output"
    index = place(case, 0, 0, where.time or 0, where.batch, where.unit)
    outcomes = set()
    for fraction in (0.5, 0.999, 1.001, 2.0):
        output = answer.output.copy()
        output[index] = where.expected + fraction * where.bound
        verdict = judge(case, output, answer.h_n, bound="step")
        first = sequence_to_time_first(output, layout)[where.time or 0, where.batch, where.unit]
        agree = np.allclose(first, where.expected, rtol=0, atol=where.bound)
        wrong = verdict.first is not None and named(verdict.first) == named(where)
        assert wrong == (not agree)
        outcomes.add(wrong)
    assert outcomes == {True, False}
