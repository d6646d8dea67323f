"""The judge: what it says, of which element, and what it refuses to judge."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from meta_tests.common.implementations import keep_bits
from meta_tests.common.usual_case import BATCH, FAR, HIDDEN, TIME, named, place, stack, usual
from reference import DIRECTIONS, LAYOUTS, judge, judge_pair

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
