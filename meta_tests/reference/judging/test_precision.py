"""Precisions: which arithmetic is promised, that it is what is judged by, and that a narrower one is seen."""

from __future__ import annotations

import numpy as np
import pytest

import adapters
from adapters import Capabilities
from adapters.running.trial import examine
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.references import Mirror
from reference import Case, CellParameters, RNNSpec, diagnose, judge
from reference.draws import draw_case
from reference.faults import Fault, implementation
from reference.faults.arithmetic import of_operands
from reference.faults.changes import significant
from reference.faults.where import ALWAYS

WIDE = Capabilities(arithmetics={(("dtype", "bfloat16"),): "bfloat16_accumulate_float32"})


def usual(dtype: str = "float32", hidden: int = 64, layers: int = 1) -> Case:
    return draw_case(RNNSpec(hidden + 1, hidden, layers), batch=16, time=5, dtype=dtype, h0=True)


def with_operands_of(bits: int) -> Mirror:
    """The reference, with the operands of its products rounded to so many significant bits."""

    rounded = Fault("rounded", "arithmetic", "operands are rounded", ALWAYS, **of_operands(significant(bits)))

    class Rounded(Mirror):
        def run(self, module, **inputs):
            return adapters.Result(*implementation([rounded], Case.answer)(Case(*module, **inputs)))

    return Rounded()


# bits of the operands -> the arithmetics of float32 in which products of them are right
RIGHT = {24: ("float32", "tf32", "bfloat16_products"), 11: ("tf32", "bfloat16_products"), 8: ("bfloat16_products",)}
RIGHT[6] = ()


@pytest.mark.parametrize("declared", ["float32", "tf32", "bfloat16_products"])
@pytest.mark.parametrize("bits", RIGHT)
def test_products_narrower_than_declared_are_seen(bits: int, declared: str) -> None:
    adapter = with_operands_of(bits)
    adapter.capabilities = Capabilities(arithmetics={(("dtype", "float32"),): declared})
    trial = examine(adapter, usual(hidden=3))
    assert trial.outcome == ("agrees" if declared in RIGHT[bits] else "disagrees")
    assert trial.arithmetic == trial.verdict.arithmetic == declared


def test_a_narrow_accumulator_is_seen_where_a_wide_one_is_declared() -> None:
    """Every partial sum is rounded to bfloat16; of many positive terms the last ones are lost."""

    class Narrow(Mirror):
        def run(self, module, **inputs):
            _, (cell,) = module
            x, states = inputs["x"], [inputs["h0"][0]]
            for t in range(x.shape[1]):
                a = np.zeros_like(states[-1])
                for weight, operand in ((cell.w_ih, x[:, t]), (cell.w_hh, states[-1])):
                    for k in range(weight.shape[1]):
                        a = (a + operand[:, k, None] * weight[None, :, k]).astype(x.dtype)
                states.append(np.tanh(a).astype(x.dtype))
            return adapters.Result(np.stack(states[1:], axis=1), states[-1][None])

    positive = draw_case(RNNSpec(400, 2, bias=False), batch=4, time=2, h0=True)
    (cell,) = positive.parameters
    cell = CellParameters(np.abs(cell.w_ih) / 400, np.abs(cell.w_hh)).astype("bfloat16")
    case = Case(positive.spec, [cell], np.abs(positive.x).astype("bfloat16"), positive.h0.astype("bfloat16"))
    adapter = Narrow()
    assert examine(adapter, case).outcome in ("agrees", "vacuous"), "which plain bfloat16 allows"
    adapter.capabilities = WIDE
    trial = examine(adapter, case)
    assert trial.outcome == "disagrees"
    assert diagnose(case, *trial.answer[:2], declared=trial.arithmetic).tried > 0


def test_a_wide_accumulator_says_something_where_plain_bfloat16_is_vacuous() -> None:
    case, adapter = usual("bfloat16", 300), framework_adapter("torch")
    trial = examine(adapter, case)
    assert trial.outcome == "agrees"
    assert judge(case, *trial.answer[:2]).outcome == "vacuous"


def test_of_several_declared_arithmetics_the_first_is_taken() -> None:
    capabilities = Capabilities(
        arithmetics={(("dtype", "float32"), ("mode", "tf32")): "tf32", (("dtype", "float32"),): "bfloat16_products"}
    )
    assert capabilities.arithmetic({"dtype": "float32", "mode": "tf32"}) == "tf32"
    assert capabilities.arithmetic({"dtype": "float32", "mode": "eager"}) == "bfloat16_products"
    assert capabilities.arithmetic({"dtype": "float64", "mode": "tf32"}) == "float64"
    with pytest.raises(ValueError, match="arithmetic: got 'exact'"):
        Capabilities(arithmetics={(("dtype", "float32"),): "exact"})


@pytest.mark.parametrize("mode", ["tf32", "bfloat16_products"])
@pytest.mark.parametrize("framework", adapters.KNOWN)
def test_where_a_setting_has_an_effect_it_is_seen(framework: str, mode: str) -> None:
    """What is computed in narrower products is wrong as IEEE float32, and right as declared."""
    adapter, case = framework_adapter(framework), usual()
    if refusal := adapter.capabilities.not_offered({"mode": mode, "cell": case.spec.cell}):
        pytest.skip(f"{framework}: {refusal}")
    allowed, ieee = (examine(adapter, case, mode=of) for of in (mode, "eager"))
    assert (allowed.outcome, ieee.outcome) == ("agrees", "agrees")
    if np.array_equal(allowed.answer.output, ieee.answer.output):
        pytest.skip(f"{framework}: the setting changes nothing on this processor")
    assert judge(case, *allowed.answer[:2]).outcome == "disagrees"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("framework", adapters.KNOWN)
def test_mixed_precision_answers_as_a_layer_of_the_narrow_dtype(framework: str, dtype: str) -> None:
    """Weights in float32 that the narrow dtype holds exactly: the same question, and the same arithmetic."""
    adapter, case = framework_adapter(framework), usual(dtype, 12)
    if refusal := adapter.capabilities.not_offered({"mode": "mixed", "dtype": dtype}):
        pytest.skip(f"{framework}: {refusal}")
    trial = examine(adapter, case, mode="mixed")
    assert trial.outcome == "agrees"
    assert trial.answer.output.dtype == case.x.dtype


def test_what_autocast_does_not_reach_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that goes on in float32 under autocast answers in float32."""
    adapter = framework_adapter("torch")
    from adapters.torch import modes as torch_modes

    monkeypatch.setattr(torch_modes.torch, "autocast", lambda *_: torch_modes.nullcontext())
    trial = examine(adapter, usual("bfloat16", 12), mode="mixed")
    assert (trial.outcome, trial.verdict.reason) == ("disagrees", "dtype")


def test_torchs_settings_are_the_users_own_afterwards() -> None:
    torch = framework_adapter("torch").framework
    from adapters.torch.settings import settings

    def state() -> tuple:
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        return (torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled(), cudnn.enabled,
                cudnn.allow_tf32, matmul.allow_fp16_reduced_precision_reduction)  # fmt: skip

    torch.set_float32_matmul_precision("medium")
    try:
        before = state()
        with settings("tf32"):
            assert state() == ("high", False, True, True, False)
        with settings():
            assert state() == ("highest", False, True, False, False)
        with settings("deterministic"):
            assert state() == ("highest", True, True, False, False)
        with settings("fallback"):
            assert state() == ("highest", False, False, False, False)
        with pytest.raises(ZeroDivisionError), settings("deterministic"):
            _ = 1 / 0
        assert state() == before
        with settings("deterministic", "cpu"):
            assert state() == ("highest", True, *before[2:]), "the CPU obeys two of them, and the others stay"
        torch.use_deterministic_algorithms(True, warn_only=True)
        with settings("deterministic"):
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        torch.use_deterministic_algorithms(False)
        assert examine(framework_adapter("torch"), usual()).outcome == "agrees", "whatever the user allows"
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.use_deterministic_algorithms(False)
