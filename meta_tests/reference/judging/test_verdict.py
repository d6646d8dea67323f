"""The numbers of a verdict, and two answers judged against each other."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from meta_tests.common.usual_case import named, place, usual
from reference import LAYOUTS, Case, CellParameters, Location, RNNSpec, Verdict, judge, judge_pair
from reference.judging.verdict import OWN_STEPS
from reference.layout import sequence_to_time_first


@pytest.mark.parametrize("value", [1.5, 6.0, 0.09375])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_max_ulps_counts_units_in_the_last_place(dtype: str, value: float) -> None:
    """A number and the one three places above it are 3 ulps apart in every dtype."""
    one = np.ones((1, 1), dtype)
    spec = RNNSpec(1, 1, nonlinearity="relu", bias=False)
    case = Case(spec, [CellParameters(one, one)], np.full((1, 1, 1), value).astype(dtype))
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


def test_the_mean_signed_residual_is_in_units_of_u_times_the_largest_output() -> None:
    """Three steps whose answers are x itself, up to 4, each 2**-20 too large: 2**-20 / (2**-24 * 4)."""
    one, zero = np.ones((1, 1), "float32"), np.zeros((1, 1), "float32")
    spec = RNNSpec(1, 1, nonlinearity="relu", bias=False)
    case = Case(spec, [CellParameters(one, zero)], np.array([[[1], [2], [4]]], "float32"))
    output, h_n = case.answer()
    assert judge(case, output + np.float32(2.0**-20), h_n).mean_signed_residual == 4
    assert judge(case, output - np.float32(2.0**-20), h_n).mean_signed_residual == -4
    silent = replace(case, x=np.zeros_like(case.x))
    assert judge(silent, *silent.answer()).mean_signed_residual == 0
    empty = usual(batch=0)
    assert judge(empty, *empty.answer()).mean_signed_residual == 0


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
    """An answer 1.5 bounds off is wrong, yet it agrees with a right one; at 2.5 bounds it no longer does."""
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
    moved[index] = worst.expected + 2.5 * worst.bound
    assert judge_pair(case, (output, h_n), (moved, h_n)).outcome == "disagrees"


def test_each_answer_of_a_pair_has_the_bound_of_its_own_arithmetic() -> None:
    """Either may be the one of TF32: the two bounds are added, and neither is taken twice."""
    case = usual()
    output, h_n = case.answer()
    worst = judge(case, output, h_n, bound="trajectory").worst
    index = place(case, 0, 0, worst.time or 0, worst.batch, worst.unit)
    for part, outcome in ((0.9, "agrees"), (1.1, "disagrees")):
        moved = output.copy()
        tf32 = judge(case, with_element(output, index, 1.0), h_n, declared="tf32", bound="trajectory").worst
        moved[index] = output[index] + part * (worst.bound + tf32.bound)
        for declared in (("float32", "tf32"), ("tf32", "float32")):
            assert judge_pair(case, (output, h_n), (moved, h_n), declared).outcome == outcome
    assert judge_pair(case, (output, h_n), (moved, h_n), ("tf32", "tf32")).outcome == "agrees"
    assert judge_pair(case, (output, h_n), (moved, h_n)).outcome == "disagrees"


def test_equal_bits_agree_at_no_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the bound, which is not computed: the answers may be of another case, or NaN, or outside any bound."""
    monkeypatch.setattr("reference.judging.judge.trajectory_bound", None)
    for case in (usual("bidirectional", 2), usual(lengths=(5, 0, 3)), usual(batch=0), usual(time=0), masked(usual())):
        output, h_n = case.answer()
        for value in (None, np.nan, np.inf, -0.0, 1e30):
            one, other = ([np.full_like(a, a if value is None else value) for a in (output, h_n)] for _ in range(2))
            for a in other:  # one NaN has the bits of another: frameworks do not agree on its sign
                a.view(np.uint32)[np.isnan(a)] ^= np.uint32(1 << 31)
            seen = judge_pair(case, one, other, ("float32", "tf32"))
            assert (seen.outcome, seen.reason, seen.bound) == ("agrees", "", "twice the trajectory")
            assert (seen.elements, seen.arithmetic) == (output.size + h_n.size, "tf32")
            figures = (seen.outside, seen.vacuous, seen.max_error, seen.max_ulps, seen.max_fraction)
            assert (*figures, seen.mean_signed_residual) == (0,) * 6
            assert seen.first is None
            assert (seen.worst is None) == (output.size == 0)


def test_a_zero_of_other_sign_has_the_bounds_word() -> None:
    """It is not equal in its bits, and no further off than rounding."""
    still = replace(usual(lengths=(5, 0, 3)), h0=None)
    one, other = still.answer(), still.answer()
    other.output[1, 0, 0] = -0.0
    assert judge_pair(still, one, other).outcome == "agrees"
    other.output[1, 0, 0] = 1e-45
    assert judge_pair(still, one, other).outcome == "disagrees"


def test_one_bit_beyond_the_bound_is_seen_and_one_within_decides_alone() -> None:
    """Where errors grow the bound says nothing after some steps: of no account to elements that are equal."""
    calm, long = usual(), usual(time=100)
    for time in range(5):
        seen = judge_pair(calm, calm.answer(), with_bit(calm.answer(), time, 22))
        assert (seen.outcome, seen.outside, seen.first.time) == ("disagrees", 1, time)
    wild = replace(long, parameters=[replace(cell, w_hh=cell.w_hh * 5) for cell in long.parameters])
    assert judge(wild, *wild.answer(), bound="trajectory").vacuous > 1
    found = [judge_pair(wild, wild.answer(), with_bit(wild.answer(), time)) for time in (0, 50)]
    assert [(seen.outcome, seen.bound in OWN_STEPS) for seen in found] == [("agrees", False), ("agrees", True)]


def with_bit(answer: tuple[np.ndarray, np.ndarray], time: int, bit: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An answer in which one bit of one element is another."""
    output = answer[0].copy()
    output.view(np.uint32)[0, time, 0] ^= np.uint32(1 << bit)
    return output, answer[1]


def masked(case: Case) -> Case:
    return replace(case, mask=np.arange(15).reshape(3, 5) % 4 > 0)


def with_element(output: np.ndarray, index: tuple[int, ...], added: float) -> np.ndarray:
    """The output with a number added to one element, which becomes the worst."""
    moved = output.copy()
    moved[index] += added
    return moved


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


def test_a_verdict_reads_as_a_sentence() -> None:
    verdict = Verdict("agrees", "", "step", "float32", 7, 0, 2, max_error=0.125, max_ulps=3, max_fraction=0.5)
    sentence = (
        "agrees by the step bound of float32: largest error 0.125 (3 ulp), 0.5 of its bound; "
        "0 of 7 elements outside, 2 with a vacuous bound"
    )
    first, worst = (Location("output", 1, "reverse", 4, 2, 3, 0.5, 0.75, 0.0625),
                    Location("h_n", 0, "forward", None, 2, 3, 0.5, 1.0, 0.0625))  # fmt: skip
    assert str(verdict) == sentence
    assert str(replace(verdict, worst=worst, first=first)) == sentence
    wrong = replace(verdict, outcome="disagrees", reason="value", outside=1, worst=worst, first=first)
    assert str(wrong).splitlines() == [
        sentence.replace("agrees", "disagrees (value)").replace("0 of 7", "1 of 7"),
        "  first wrong: output at layer 1, reverse, t=4, batch 2, unit 3: "
        "expected 0.5, actual 0.75, error 0.25, bound 0.0625",
        "  worst: h_n at layer 0, forward, batch 2, unit 3: expected 0.5, actual 1.0, error 0.5, bound 0.0625",
    ]
    assert str(replace(wrong, first=None, worst=None)).splitlines() == str(wrong).splitlines()[:1]


def test_a_verdict_without_a_comparison_says_why() -> None:
    verdict = Verdict("disagrees", "shape", "", "float32", detail="h_n has shape (1,), expected (2,)")
    assert str(verdict) == "disagrees (shape): h_n has shape (1,), expected (2,)"
