"""Right gradients agree, in whatever shape they come; wrong ones disagree, and the verdict says where it starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from meta_tests.common.gradients import SPECS, gradient_case
from reference import Case, CellParameters, Gradients, judge_gradients, probe
from reference.faults.backward import FAULTS, BackwardFault
from reference.layout import state_tuple

LASTS: tuple[dict[str, Any], ...] = ({}, {"lengths": [5, 2, 0]}, {"mask": True}, {"only": "output"}, {"only": "h_n"})


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("words", LASTS, ids=str)
def test_the_references_gradients_agree(name: str, words: dict[str, Any]) -> None:
    for direction, dtype in (("forward", "float32"), ("reverse", "float64"), ("bidirectional", "float32")):
        case = gradient_case(name, direction=direction, dtype=dtype, **words)
        verdict = judge_gradients(case, probe(case).gradients())
        assert (verdict.outcome, verdict.bound) == ("agrees", "gradient"), verdict
        assert verdict.max_fraction < 0.5


@pytest.mark.parametrize("name", SPECS)
def test_the_probe_changes_no_answer(name: str) -> None:
    """Exact zeros are added; of the gradients those by what was there stay as they were, but for their roundings."""
    case = gradient_case(name, direction="bidirectional", dtype="float64")
    one, probed = case.gradients(), probe(case).gradients()
    assert np.abs(one.output - probed.output).max() < 2.0**-48
    assert np.abs(one.x - probed.x[..., :3]).max() < 2.0**-46
    assert not any(track.w_ih[:, 3:].any() for track in probed.parameters)


@pytest.mark.parametrize("layout", ["batch_first", "time_first", "unbatched"])
def test_layouts_and_one_step_alone(layout: str) -> None:
    for name in ("relu", "gru", "lstm"):
        case = gradient_case(name, layout=layout, batch=1 if layout == "unbatched" else 3)
        g_output = np.zeros_like(case.cotangents[0])
        g_output[(slice(None), 2) if layout == "batch_first" else 2] = 1
        for cotangents in (case.cotangents, (g_output, None)):
            asked = replace(case, cotangents=cotangents)
            assert judge_gradients(asked, probe(asked).gradients()).outcome == "agrees"


def planted() -> list[tuple[str, str]]:
    return [(name, cell) for name, fault in FAULTS.items() for cell in fault.cells]


def asked_of(fault: BackwardFault, cell: str, **words: Any) -> Case:
    spec = {"elman": "tanh"}.get(cell, cell)
    direction = "bidirectional" if "reverse" in fault.needs else "forward"
    lengths = [6, 3, 2] if "lengths" in fault.needs else None
    return gradient_case(spec, direction=direction, time=6, lengths=lengths, **words)


@pytest.mark.parametrize(("name", "cell"), planted())
def test_planted_a_wrong_backward_pass_is_seen_and_named(name: str, cell: str) -> None:
    narrow = () if name == "narrow_sums" else (("float16", (4, 32)), ("bfloat16", (3, 4)))
    for dtype, sizes in (("float32", (3, 4)), ("float64", (3, 4)), ("float32", (4, 32)), *narrow):
        fault = FAULTS[name]
        case = asked_of(fault, cell, dtype=dtype, sizes=sizes)
        verdict = judge_gradients(case, fault.plant(probe(case)), f"{dtype}_of_float32" if "16" in dtype else None)
        assert verdict.outcome == "disagrees", verdict
        assert fault.seen(verdict.detail, 6), verdict.detail
        assert verdict.detail in str(verdict)


def same_sign(dtype: str, time: int) -> Case:
    """All is positive, so that what rounding takes from a sum adds up."""
    case = gradient_case("relu", dtype=dtype, time=time, batch=1, weight_scale=0.3)
    arrays = {name: np.abs(array) for name, array in case.parameters[0].arrays().items()}
    g_output, g_h_n = map(np.abs, case.cotangents)
    return replace(case, parameters=[CellParameters.of(arrays)], x=np.abs(case.x), cotangents=(g_output, g_h_n))


@pytest.mark.parametrize(("dtype", "time"), [("bfloat16", 100), ("float16", 1000)])
def test_planted_sums_that_are_stored_after_every_step_must_be_declared(dtype: str, time: int) -> None:
    case = same_sign(dtype, time)
    right = probe(case).gradients()
    assert judge_gradients(case, right, f"{dtype}_accumulate_float32").outcome == "agrees"
    states = np.concatenate([case.h0[0][:, None], right.output[:, :-1]], axis=1)[0]
    total = np.zeros_like(right.parameters[0].w_hh)
    for delta, h in zip(right.x[0, ::-1, 3:], states[::-1], strict=True):
        total += np.outer(delta, h)
    wrong = right._replace(parameters=[replace(right.parameters[0], w_hh=total)])
    verdict = judge_gradients(case, wrong, f"{dtype}_accumulate_float32")
    assert verdict.outcome == "disagrees"
    assert verdict.detail.startswith("dw_hh only")
    assert judge_gradients(case, wrong, f"{dtype}_added_by_step").outcome == "agrees"


def test_an_infinite_delta_says_nothing_of_those_beside_it() -> None:
    """0 times infinity is NaN, in whatever the probe shows of that step; without an infinity it is wrong."""
    case = gradient_case("relu", dtype="float16", layout="time_first")
    large = replace(case, cotangents=(np.full_like(case.cotangents[0], 6e4), case.cotangents[1]))
    right = probe(large).gradients()
    x = np.where(np.isinf(right.x).any(axis=-1, keepdims=True), np.float16(np.nan), right.x)
    assert np.isnan(x).any()
    assert judge_gradients(large, right._replace(x=x), "float16_of_float32").outcome == "vacuous"
    finite = probe(case).gradients()
    finite.x[1, 0, 3:] = np.nan
    assert judge_gradients(case, finite, "float16_of_float32").outcome == "disagrees"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_relu_of_nan_hands_its_cotangent_on_or_drops_it(dtype: str) -> None:
    """torch does the one, the reference the other; of a number it is known."""
    case = gradient_case("relu", dtype=dtype, layout="time_first", direction="forward")
    case.x[0, 0] = np.nan  # and so every state of the first sequence
    right = probe(case).gradients()
    assert judge_gradients(case, right).outcome == "vacuous"
    x = right.x.copy()
    x[-1, 0, 3:] = (case.cotangents[0][-1, 0].astype(float) + case.cotangents[1][0, 0].astype(float)).astype(x.dtype)
    assert "the deltas are right, their sums are not" in judge_gradients(case, right._replace(x=x)).detail
    x[-1, 1, 3:] += 1
    assert judge_gradients(case, right._replace(x=x)).detail.startswith("delta at t = 4: batch 1")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_step_that_is_not_finite_makes_nothing_wrong(value: float) -> None:
    """Its deltas are NaN, and so is what the probe, which is 0, is multiplied by."""
    for name in ("tanh", "gru", "lstm"):
        case = gradient_case(name, direction="bidirectional")
        case.x[1, 2] = value
        assert judge_gradients(case, probe(case).gradients()).outcome == "vacuous"


def changed(right: Gradients, field: str) -> Gradients:
    """One number of one array, by a thousandth."""
    given = right._asdict()
    if field in given:
        several = [array.copy() for array in state_tuple(given[field])]
        several[-1].flat[-1] *= 1.001
        return right._replace(**{field: several[0] if len(several) == 1 else tuple(several)})
    arrays = {name: array.copy() for name, array in right.parameters[-1].arrays().items()}
    arrays[field].flat[0] *= 1.001
    return right._replace(parameters=[*right.parameters[:-1], type(right.parameters[0]).of(arrays)])


@pytest.mark.parametrize("name", ["tanh", "gru", "lstm", "projection", "peepholes"])
def test_planted_one_number_is_seen_in_every_array(name: str) -> None:
    case = gradient_case(name, direction="bidirectional")
    right = probe(case).gradients()
    for field in ("x", "h0", "output", "h_n", *right.parameters[0].arrays()):
        verdict = judge_gradients(case, changed(right, field))
        assert verdict.outcome == "disagrees", field
        start = {"x": "delta", "h0": "d", "output": "output of the forward", "h_n": "of the forward"}.get(
            field, "d" + field
        )
        assert start in verdict.detail, verdict.detail


def test_a_probe_that_is_handed_something_by_its_weights_is_seen() -> None:
    case = gradient_case("gru")
    right = probe(case).gradients()
    w_ih = right.parameters[0].w_ih.copy()
    w_ih[0, -1] = 1e-30
    wrong = right._replace(parameters=[replace(right.parameters[0], w_ih=w_ih)])
    assert judge_gradients(case, wrong).detail.startswith("dw_ih only")


def test_sums_of_subnormal_products_may_be_flushed_to_zero() -> None:
    """Where the radius of the sum, which is a product of both factors, underflows itself."""
    case = gradient_case("gru", dtype="float64")
    g_output, g_h_n = (one * 1e-155 for one in case.cotangents)
    case = replace(case, x=case.x * 1e-154, cotangents=(g_output, g_h_n))
    right = probe(case).gradients()
    assert right.parameters[0].w_ih.any()
    flushed = replace(right.parameters[0], w_ih=np.zeros_like(right.parameters[0].w_ih))
    assert judge_gradients(case, right._replace(parameters=[flushed])).outcome == "agrees"


@pytest.mark.parametrize("junk", [np.nan, np.inf, 1.0])
def test_what_stands_in_padding_changes_no_verdict(junk: float) -> None:
    for name in ("tanh", "gru", "lstm"):
        case = gradient_case(name, lengths=[5, 2, 1])
        steps = np.arange(5) < np.array([[5], [2], [1]])
        x, g_output = (np.where(steps[..., None], a, junk).astype("float32") for a in (case.x, case.cotangents[0]))
        spoilt = replace(case, x=x, cotangents=(g_output, case.cotangents[1]))
        answer = probe(case).gradients()
        assert judge_gradients(spoilt, answer).to_dict() == judge_gradients(case, answer).to_dict()
        of_x = answer.x.copy()
        of_x[1, 3] = 2.0**-100
        assert judge_gradients(spoilt, answer._replace(x=of_x)).outcome == "disagrees"


def test_forms_and_words_that_do_not_fit() -> None:
    case = gradient_case("gru")
    right = probe(case).gradients()
    for wrong, words in (
        (right._replace(x=right.x[..., :3]), "gradient of x is ndarray (3, 5, 3)"),
        (right._replace(h0=right.h0[0]), "gradient of h0: "),
        (right._replace(parameters=case.parameters), "gradients of parameters[0]"),
        (right._replace(output=right.output[:1]), "output has shape (1, 5, 4)"),
    ):
        verdict = judge_gradients(case, wrong)
        assert (verdict.outcome, verdict.reason) == ("disagrees", "shape")
        assert verdict.detail.startswith(words)
    with pytest.raises(ValueError, match="num_layers: got 2"):
        probe(gradient_case("gru", layers=2))
    with pytest.raises(TypeError, match="cotangents: got None"):
        judge_gradients(replace(case, cotangents=None), right)
    with pytest.raises(TypeError, match="gradients: got tuple"):
        judge_gradients(case, tuple(right))  # pyright: ignore[reportArgumentType]


def test_empty_cases_are_judged() -> None:
    shapes: tuple[dict[str, Any], ...] = ({"time": 0}, {"batch": 0}, {"time": 1})
    for words in shapes:
        for name in ("tanh", "gru", "lstm"):
            case = gradient_case(name, **words)
            assert judge_gradients(case, probe(case).gradients()).outcome == "agrees"
