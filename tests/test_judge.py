"""The judge: what it says, of which element, and what it refuses to judge."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reference import DIRECTIONS, LAYOUTS, Case, CellParameters, Location, RNNSpec, Verdict, judge, judge_pair
from reference.layout import sequence_to_time_first

from .draws import draw_case
from .simulated import keep_bits

HIDDEN, TIME, BATCH = 4, 5, 3
# so far off that no other element, which sees it through tanh, comes near its fraction of the bound
FAR = np.float32(1_000)


def usual(direction: str = "forward", num_layers: int = 1, layout: str = "batch_first", **changes: Any) -> Case:
    batch = 1 if layout == "unbatched" else BATCH
    spec = RNNSpec(3, HIDDEN, num_layers, direction)
    return draw_case(spec, **{"batch": batch, "time": TIME, "h0": True, "layout": layout} | changes)


def stack(case: Case) -> list[np.ndarray]:
    """The outputs of the first 1, 2, ... layers; the last is the whole stack's."""
    return [case.prefix(layers).answer().output.copy() for layers in range(1, case.spec.num_layers + 1)]


def place(case: Case, layer: int, direction: int, time: int, batch: int, unit: int) -> tuple[int, ...]:
    """The index of an element in an output, from the axes of its layout."""
    feature = direction * HIDDEN + unit
    return {
        "batch_first": (batch, time, feature),
        "time_first": (time, batch, feature),
        "unbatched": (time, feature),
    }[case.layout]


def named(location: Location | None) -> tuple:
    assert location is not None
    return location.array, location.layer, location.direction, location.time, location.batch, location.unit


# The three outcomes.


def test_the_references_own_answer_agrees() -> None:
    case = usual()
    verdict = judge(case, *case.answer())
    assert (verdict.outcome, verdict.reason, verdict.bound, verdict.arithmetic) == ("agrees", "", "step", "float32")
    assert (verdict.elements, verdict.outside, verdict.vacuous) == (BATCH * TIME * HIDDEN + BATCH * HIDDEN, 0, 0)
    assert verdict.first is None
    assert 0 < verdict.max_fraction < 1


def test_a_wrong_answer_disagrees() -> None:
    case = usual()
    output, h_n = case.answer()
    verdict = judge(case, output * np.float32(1.001), h_n)
    assert (verdict.outcome, verdict.reason) == ("disagrees", "value")
    assert verdict.outside > 0
    assert verdict.max_fraction > 1


def test_a_bound_that_says_nothing_is_vacuous() -> None:
    """bfloat16 weights so large, and in sum so near 0, that no digit of the preactivation is known."""
    case = usual(dtype="bfloat16", weight_scale=1_000.0)
    verdict = judge(case, *case.answer(), bound="trajectory")
    assert (verdict.outcome, verdict.reason) == ("vacuous", "")
    assert verdict.vacuous > 0


def test_an_empty_batch_agrees() -> None:
    case = usual(batch=0)
    verdict = judge(case, *case.answer())
    assert (verdict.outcome, verdict.elements, verdict.worst) == ("agrees", 0, None)


# Where.


PLACES = [(0, 0, 0), (0, 0, 4), (1, 2, 2), (1, 0, 0), (1, 1, 3)]  # layer, unit, time


@pytest.mark.parametrize("lengths", [None, (5, 4, 5)])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_error_in_an_output_is_found_where_it_is(direction: str, layout: str, lengths: Any) -> None:
    """Though the steps after it, from a wrong state, are wrong as well: in reverse those are the earlier ones."""
    case = usual(direction, 2, layout, lengths=lengths)
    for (layer, unit, time), (d, name) in itertools.product(PLACES, enumerate(case.spec.directions)):
        batch = 0 if layout == "unbatched" else 2
        outputs, h_n = stack(case), case.answer().h_n
        outputs[layer][place(case, layer, d, time, batch, unit)] += FAR
        verdict = judge(case, outputs[-1], h_n, prefixes=outputs[:-1])
        expected = ("output", layer, name, time, batch, unit)
        assert (named(verdict.first), named(verdict.worst)) == (expected, expected)
        assert verdict.bound == "step"
        assert verdict.max_error == verdict.worst.error > FAR - 2


@pytest.mark.parametrize("bound", ["step", "trajectory"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_error_in_h_n_is_found_where_it_is(direction: str, layout: str, bound: str) -> None:
    case = usual(direction, 2, layout)
    outputs = stack(case)
    for layer, unit, (d, name) in itertools.product((0, 1), (0, 3), enumerate(case.spec.directions)):
        batch = 0 if layout == "unbatched" else 1
        h_n = case.answer().h_n
        cell = layer * case.spec.num_directions + d
        h_n[(cell, unit) if layout == "unbatched" else (cell, batch, unit)] += FAR
        verdict = judge(case, outputs[-1], h_n, prefixes=outputs[:-1], bound=bound)
        expected = ("h_n", layer, name, None, batch, unit)
        assert (named(verdict.first), named(verdict.worst)) == (expected, expected)
        assert (verdict.outside, verdict.bound) == (1, bound)


@pytest.mark.parametrize(("direction", "first", "worst"), [("forward", 1, 3), ("reverse", 3, 3)])
def test_the_first_wrong_step_is_the_first_that_the_cell_took(direction: str, first: int, worst: int) -> None:
    case = usual(direction)
    output, h_n = case.answer()
    output[0, 1, 2] += FAR
    output[1, 3, 1] += 4 * FAR
    verdict = judge(case, output, h_n)
    assert named(verdict.first)[3:] == (first, *{1: (0, 2), 3: (1, 1)}[first])
    assert named(verdict.worst)[3:] == (worst, 1, 1)


def test_a_verdict_says_where_in_words() -> None:
    case = usual("reverse")
    output, h_n = case.answer()
    output[1, 2, 3] = 7
    words = str(judge(case, output, h_n))
    assert "disagrees (value) by the step bound of float32" in words
    assert "first wrong: output at layer 0, reverse, t=2, batch 1, unit 3: expected " in words
    assert ", actual 7.0, error " in words


# Shape, dtype, NaN and infinity.


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (lambda o, h: (None, h), "dtype", "output is NoneType, expected a NumPy array"),
        (lambda o, h: (o, None), "dtype", "h_n is NoneType, expected a NumPy array"),
        (lambda o, h: (o.tolist(), h), "dtype", "output is list, expected a NumPy array"),
        (lambda o, h: (np.ma.array(o, mask=True), h), "dtype", "output is MaskedArray, expected a NumPy array"),
        (lambda o, h: (o, np.ma.array(h)), "dtype", "h_n is MaskedArray, expected a NumPy array"),
        (lambda o, h: (o.astype("float64"), h), "dtype", "output has dtype float64, expected float32"),
        (lambda o, h: (o, h.astype(h.dtype.newbyteorder("S"))), "dtype", "h_n has dtype float32 of foreign byte"),
        (lambda o, h: (o[:, :-1], h), "shape", r"output has shape (3, 4, 4), expected (3, 5, 4)"),
        (lambda o, h: (o.transpose(1, 0, 2), h), "shape", r"output has shape (5, 3, 4), expected (3, 5, 4)"),
        (lambda o, h: (o, h[0]), "shape", r"h_n has shape (3, 4), expected (1, 3, 4)"),
    ],
)
def test_an_answer_of_another_form_disagrees(change: Callable, reason: str, words: str) -> None:
    case = usual()
    verdict = judge(case, *change(*case.answer()))
    assert (verdict.outcome, verdict.reason, verdict.bound) == ("disagrees", reason, "")
    assert words in verdict.detail
    assert words in str(verdict)
    json.dumps(verdict.to_dict())
    assert judge_pair(case, case.answer(), change(*case.answer())) == verdict


# What must be exact.


@pytest.mark.parametrize("bound", ["step", "trajectory"])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_padding_is_exactly_zero_and_an_empty_sequence_keeps_h0(direction: str, bound: str) -> None:
    case = usual(direction, lengths=(5, 0, 3))
    output, h_n = case.answer()
    assert judge(case, output, h_n, bound=bound).outcome == "agrees"
    for batch, time in ((1, 0), (2, 3), (2, 4)):
        padded = output.copy()
        padded[batch, time, 0] = 1e-45
        verdict = judge(case, padded, h_n, bound=bound)
        assert named(verdict.first)[3:] == (time, batch, 0)
        assert verdict.outside == 1
    moved = h_n.copy()
    moved[0, 1, 2] = np.nextafter(moved[0, 1, 2], np.float32(1))
    verdict = judge(case, output, moved, bound=bound)
    assert (named(verdict.first), verdict.outside) == (("h_n", 0, direction, None, 1, 2), 1)


def test_without_steps_h_n_is_h0() -> None:
    case = usual(time=0)
    output, h_n = case.answer()
    assert judge(case, output, h_n).outcome == "agrees"
    assert judge(case, output, h_n * np.float32(2)).outcome == "disagrees"


# Which bound, which arithmetic.


def test_prefixes_give_the_step_bound_and_none_the_trajectory_bound() -> None:
    """A lower layer that is slightly wrong is seen through its prefix alone."""
    case = usual(num_layers=2)
    outputs, h_n = stack(case), case.answer().h_n
    outputs[0][0, 0, 0] += np.float32(1e-3)
    for kind in (list, tuple):
        seen = judge(case, outputs[-1], h_n, prefixes=kind(outputs[:-1]))
        assert (seen.outcome, seen.bound, seen.first.layer) == ("disagrees", "step", 0)
    unseen = judge(case, outputs[-1], h_n)
    assert (unseen.outcome, unseen.bound) == ("agrees", "trajectory")
    assert unseen.elements == h_n.size + outputs[-1].size < seen.elements


def test_a_prefix_of_another_form_disagrees() -> None:
    case = usual(num_layers=2)
    for prefix, reason in ((None, "dtype"), (case.x, "shape"), (np.ma.array(stack(case)[0]), "dtype")):
        verdict = judge(case, *case.answer(), prefixes=[prefix])
        assert (verdict.outcome, verdict.reason) == ("disagrees", reason)
        assert "prefixes[0]" in verdict.detail


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"case": None}, TypeError, "case: got NoneType, expected Case"),
        ({"case": "case.json"}, TypeError, "case: got str, expected Case"),
        ({"prefixes": (array for array in ())}, TypeError, "prefixes: got generator, expected a list or tuple"),
        ({"prefixes": 1}, TypeError, "prefixes: got int, expected a list or tuple"),
        ({"prefixes": np.zeros((1, 3, 5, 4), "float32")}, TypeError, "prefixes: got ndarray, expected a list or tuple"),
        ({"prefixes": []}, ValueError, "prefixes: got '0 arrays', expected 1, one for each lower layer"),
        ({"prefixes": [1, 2]}, ValueError, "prefixes: got '2 arrays', expected 1"),
        ({"bound": "step"}, ValueError, "prefixes: got None, expected the outputs of the first 1 layers"),
        ({"bound": "both"}, ValueError, "bound: got 'both', expected one of step, trajectory"),
        ({"bound": ""}, ValueError, "bound: got '', expected one of step"),
        ({"bound": np.zeros(2)}, ValueError, "bound: got array"),
        ({"declared": "float8"}, ValueError, "declared: got 'float8', expected one of float16"),
        ({"declared": ""}, ValueError, "declared: got '', expected one of float16"),
        ({"declared": ["float32"]}, ValueError, r"declared: got \['float32'\], expected one of float16"),
        ({"declared": np.dtype("float32")}, ValueError, "declared: got dtype"),
        ({"declared": "float64"}, ValueError, "declared: got 'float64', expected an arithmetic that stores float32"),
    ],
)
def test_a_bad_argument_is_named(change: dict, error: type[Exception], words: str) -> None:
    case = usual(num_layers=2)
    output, h_n = case.answer()
    with pytest.raises(error, match=words):
        judge(**{"case": case, "output": output, "h_n": h_n} | change)


@pytest.mark.parametrize("pair", [None, (), 1, "ab c"])
def test_a_pair_is_two_answers(pair: Any) -> None:
    case = usual()
    with pytest.raises(TypeError, match=r"expected: got .*, expected the two arrays output and h_n"):
        judge_pair(case, pair, case.answer())
    with pytest.raises(TypeError, match=r"actual: got .*, expected the two arrays output and h_n"):
        judge_pair(case, case.answer(), pair)
    with pytest.raises(TypeError, match="case: got NoneType, expected Case"):
        judge_pair(None, case.answer(), case.answer())


def test_tf32_accepts_what_float32_rejects() -> None:
    """The answer of weights and inputs of 11 significant bits is TF32's; nine bits are too few even for it."""
    case = usual()

    def narrowed(bits: int) -> tuple[np.ndarray, np.ndarray]:
        cells = [
            replace(cell, w_ih=keep_bits(cell.w_ih, bits), w_hh=keep_bits(cell.w_hh, bits)) for cell in case.parameters
        ]
        return replace(case, x=keep_bits(case.x, bits), parameters=cells).answer()

    assert judge(case, *narrowed(11), declared="tf32").outcome == "agrees"
    assert judge(case, *narrowed(11), declared="tf32").arithmetic == "tf32"
    assert judge(case, *narrowed(11)).outcome == "disagrees"
    assert judge(case, *narrowed(8), declared="tf32").outcome == "disagrees"


# The numbers of a verdict.


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
