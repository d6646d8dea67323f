"""The reference's backward pass: by differences with fifty digits, and what must change nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from meta_tests.common.gradients import SPECS, gradient_case, states_after
from reference import Case, CellParameters, Gradients, backward
from reference.layout import from_state_tuple, state_tuple

flint = pytest.importorskip("flint")
STEP = 2.0**-60  # of a difference: its error is some STEP^2, and fifty digits hold what is left
# a sum of some hundred float64 numbers of size 10
ROUNDED = 2.0**-40


def exactly(array: np.ndarray) -> np.ndarray:
    return np.frompyfunc(flint.arb, 1, 1)(array.astype(np.float64)).astype(object)


def functions(clip: float | None) -> dict[str, Any]:
    def limited(a: Any) -> Any:
        return a if clip is None else max(min(a, flint.arb(clip)), flint.arb(-clip))

    one = {"sigmoid": lambda a: 1 / (1 + (-a).exp()), "tanh": lambda a: a.tanh(), "clip": limited,
           "relu": lambda a: a if a > 0 else flint.arb(0)}  # fmt: skip
    return {name: np.frompyfunc(of, 1, 1) for name, of in one.items()}


def asked(case: Case, arrays: dict[str, np.ndarray]) -> Any:
    """The number whose gradients are asked for, of one forward track, time first, in arb."""
    g_output, g_h_n = case.cotangents
    states = [arrays[f"h0 {k}"][0] for k in range(len(state_tuple(case.h0)))]
    total, of = flint.arb(0), functions(case.spec.clip)
    for t in range(len(case.x)):
        states = states_after(case.spec, arrays, arrays["x"][t], states, of)
        total += (exactly(g_output[t]) * states[0]).sum()
    return total + sum((exactly(g[0]) * state).sum() for g, state in zip(state_tuple(g_h_n), states, strict=True))


def named(x: np.ndarray, states: Any, parameters: CellParameters) -> dict[str, np.ndarray]:
    return {"x": x, **{f"h0 {k}": one for k, one in enumerate(state_tuple(states))}, **parameters.arrays()}


@pytest.mark.parametrize("name", SPECS)
def test_differences_with_fifty_digits_agree(name: str) -> None:
    """The derivative in a random direction of each array, so that no element hides."""
    case = gradient_case(name, batch=2, time=4, dtype="float64", layout="time_first", sizes=(2, 3))
    found = named(*case.gradients()[:2], case.gradients().parameters[0])
    random, before = np.random.Generator(np.random.PCG64(1)), flint.ctx.dps
    flint.ctx.dps = 50
    try:
        arrays = {field: exactly(array) for field, array in named(case.x, case.h0, case.parameters[0]).items()}
        for field, array in arrays.items():
            for _ in range(2):
                way = random.uniform(-1, 1, array.shape)
                ends = (asked(case, {**arrays, field: array + s * exactly(way)}) for s in (STEP, -STEP))
                difference = float((next(ends) - next(ends)) / (2 * STEP))
                assert abs(difference - float((way * found[field]).sum())) < ROUNDED, field
    finally:
        flint.ctx.dps = before


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
def test_lengths_masks_and_layouts_ask_the_same(name: str, direction: str) -> None:
    """Each sequence by itself, of its own length, is the same question; gradients of weights add up."""
    case = gradient_case(name, layers=2, direction=direction, lengths=[5, 2, 0], dtype="float64")
    found = case.gradients()
    g_output, g_h_n = case.cotangents
    alone = []
    for b, length in enumerate(np.asarray(case.lengths)):
        h0, g = (from_state_tuple([state[:, b] for state in state_tuple(one)]) for one in (case.h0, g_h_n))
        alone.append(backward(case.spec, case.parameters, case.x[b, :length], h0, None, "unbatched",
                              cotangents=(g_output[b, :length], g)))  # fmt: skip
        assert np.abs(found.x[b, :length] - alone[-1].x).max(initial=0) < ROUNDED
        assert not found.x[b, length:].any()
        for several, one in zip(state_tuple(found.h0), state_tuple(alone[-1].h0), strict=True):
            assert np.abs(several[:, b] - one).max() < ROUNDED
    for index, track in enumerate(found.parameters):
        for field, array in track.arrays().items():
            total = sum(one.parameters[index].arrays()[field] for one in alone)
            assert np.abs(array - total).max() < ROUNDED
    steps = np.arange(5) < np.asarray(case.lengths)[:, None]
    same(found, replace(case, lengths=None, mask=steps).gradients())


def same(one: Gradients, other: Gradients) -> None:
    for a, b in zip(one.parameters, other.parameters, strict=True):
        assert all(np.array_equal(*pair) for pair in zip(a.arrays().values(), b.arrays().values(), strict=True))
    assert np.array_equal(one.x, other.x)
    assert all(np.array_equal(*pair) for pair in zip(state_tuple(one.h0), state_tuple(other.h0), strict=True))
    assert np.array_equal(one.output, other.output)


@pytest.mark.parametrize("name", ["tanh", "gru", "lstm"])
@pytest.mark.parametrize("junk", [3.0, np.nan, np.inf])
def test_what_stands_in_padding_changes_nothing(name: str, junk: float) -> None:
    holed = np.array([[True, False, True, True, False], [False] * 5, [False, True, True, True, True]])
    case = gradient_case(name, direction="bidirectional", dtype="float64")
    for masked in (replace(case, mask=holed), replace(case, lengths=[5, 3, 0])):
        found = masked.gradients()
        steps = holed if masked.mask is not None else np.arange(5) < np.array([[5], [3], [0]])
        x, g_output = (np.where(steps[..., None], array, junk) for array in (case.x, case.cotangents[0]))
        same(found, replace(masked, x=x, cotangents=(g_output, case.cotangents[1])).gradients())
        assert not found.x[~steps].any()
        assert all(np.isfinite(array).all() for track in found.parameters for array in track.arrays().values())


@pytest.mark.parametrize("name", SPECS)
def test_float32_and_narrower_follow(name: str) -> None:
    """float32's gradients are float64's to float32's digits, and a 16-bit dtype's to its own."""
    for dtype, allowed in (("float32", 2.0**-17), ("bfloat16", 2.0**-3)):
        case = gradient_case(name, dtype=dtype)
        wide = Case(case.spec, [track.astype("float64") for track in case.parameters], case.x.astype("float64"),
                    tuple(map(np.float64, case.h0)) if isinstance(case.h0, tuple) else case.h0.astype("float64"),
                    cotangents=(case.cotangents[0].astype("float64"), None))  # fmt: skip
        found = replace(case, cotangents=(case.cotangents[0], None)).gradients()
        assert (found.x.dtype, found.parameters[0].dtype) == (case.x.dtype, case.x.dtype)
        expected = wide.gradients()
        assert np.abs(found.x.astype("float64") - expected.x).max() < allowed * np.abs(expected.x).max()


def test_a_case_with_cotangents_is_the_same_when_it_is_read_again() -> None:
    for name, only in (("gru", ""), ("lstm", ""), ("lstm", "output"), ("tanh", "h_n")):
        case = gradient_case(name, only=only)
        again = Case.from_json(case.to_json())
        assert again.id == case.id != replace(case, cotangents=None).id
        same(again.gradients(), case.gradients())
    assert "cotangents" not in replace(case, cotangents=None).content()


def test_arguments_that_do_not_fit_are_refused() -> None:
    case = gradient_case("lstm")
    g_output, (g_h, g_c) = case.cotangents
    refused: tuple[tuple[Any, str], ...] = (
        (None, "cotangents: got NoneType, expected the pair g_output and g_h_n"),
        ((g_output,), "cotangents: got tuple, expected the pair"),
        ((None, None), "cotangents: got (None, None), expected one at least that is not None"),
        ((g_output[:1], None), "g_output: got (1, 5, 4), expected (3, 5, 4)"),
        ((g_output.astype("float64"), None), "g_output dtype: got 'float64', expected float32, x's"),
        ((None, g_h), "h_n: got ndarray, expected a tuple of 2 arrays"),
        ((None, (g_h, g_c[0])), "g_c_n rank: got 2, expected 3 axes"),
    )
    for given, message in refused:
        with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}"):
            backward(case.spec, case.parameters, **case.inputs, cotangents=given)
    with pytest.raises(TypeError, match=r"^cotangents: got NoneType"):
        replace(case, cotangents=None).gradients()
