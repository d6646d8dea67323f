"""Modes: what a broken one would show, one module called with many shapes, and from two threads."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import adapters
from adapters import FEATURES, Capabilities
from adapters.capabilities import MODES, beyond_base
from adapters.contract import features_of_case
from adapters.running.trial import Stack, attempt, examine
from meta_tests.common.frameworks import framework_adapter, skip_where_it_has_no_answer, with_elman
from reference import Case, RNNSpec, judge
from reference.draws import draw_case


def usual(direction: str = "bidirectional", batch: int = 3, time: int = 5, **asked: Any) -> Case:
    return draw_case(RNNSpec(3, 4, 2, direction), batch=batch, time=time, h0=True, **asked)


def torch_in_training(padded: Any, arguments: Any) -> Any:
    padded.rnn.dropout = 0.5
    return padded.train()


def torch_not_loaded(padded: Any, arguments: Any) -> Any:
    other = copy.deepcopy(padded)
    for parameter in other.parameters():
        parameter.fill_(0.5)
    return other


def torch_of_the_first_call(padded: Any, arguments: Any) -> Any:
    answer = padded(*arguments)
    return lambda *called: tuple(2 * value for value in answer)


@pytest.mark.parametrize(
    ("mode", "broken"),
    [("dropout", torch_in_training), ("saved", torch_not_loaded), ("traced", torch_of_the_first_call)],
)
def test_a_broken_mode_of_torch_is_seen(mode: str, broken: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = framework_adapter("torch")
    assert examine(adapter, usual(), mode=mode).outcome == "agrees"
    from adapters.torch import modes as torch_modes

    monkeypatch.setitem(torch_modes.MODES, mode, broken)
    assert examine(adapter, usual(), mode=mode).outcome == "disagrees"


def test_dropout_in_training_is_seen_in_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = framework_adapter("keras")
    assert examine(adapter, usual("forward"), mode="dropout").outcome == "agrees"
    from adapters.keras import modes as keras_modes

    monkeypatch.setitem(keras_modes.MODES, "dropout", keras_modes.MODES["train"])
    assert examine(adapter, usual("forward"), mode="dropout").outcome == "disagrees"


def in_modes() -> list[Any]:
    """Every mode of every framework that keeps something from call to call."""
    kept = ("scripted", "traced", "exported", "compiled", "functional", "predict", "unrolled", "eager")
    return [pytest.param(name, mode, id=f"{name}-{mode}") for name in adapters.KNOWN for mode in kept]


@pytest.mark.parametrize(("framework", "mode"), in_modes())
def test_one_module_answers_ten_calls_of_different_shapes(framework: str, mode: str) -> None:
    """Nothing of an earlier call is left: no shape, no graph, no state. Each shape is asked again after others.

    Some modes compile for each shape, and for each prefix of the stack: so the whole is judged, by its trajectory.
    """
    adapter = with_elman(framework_adapter(framework))
    if reason := adapter.capabilities.unsupported.get(("mode", mode)):
        trial = examine(adapter, usual(), mode=mode)
        assert (trial.outcome, trial.message) == ("not offered", f"mode {mode}: {reason}")
        return
    first = usual("forward")
    skip_where_it_has_no_answer(adapter, **features_of_case(first, mode))
    stack = Stack(adapter, first, mode=mode)
    shapes = [(3, 5), (1, 1), (3, 2), (3, 5), (5, 3), (1, 1), (3, 2), (5, 3), (1, 1), (3, 5)]
    for seed, (batch, time) in enumerate(shapes):
        drawn = usual("forward", batch, time, seed=seed)
        case = Case(first.spec, first.parameters, drawn.x, drawn.h0)
        result = attempt(stack, case)
        assert isinstance(result, adapters.Result), result
        verdict = judge(case, result.output, result.h_n, bound="trajectory")
        assert verdict.outcome == "agrees", f"call {seed}, batch {batch}, time {time}: {verdict}"


@pytest.mark.parametrize("framework", adapters.KNOWN)
def test_two_threads_may_call_one_module(framework: str) -> None:
    adapter = with_elman(framework_adapter(framework))
    cases = [usual(time=30, seed=0), usual(time=30, seed=1)]
    module = adapter.build(cases[0].spec, cases[0].parameters)
    alone = [adapter.run(module, **case.inputs) for case in cases]
    together: dict[tuple[int, int], np.ndarray] = {}

    def call(index: int) -> None:
        for turn in range(10):
            together[index, turn] = adapter.run(module, **cases[index].inputs).output

    threads = [threading.Thread(target=call, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(together) == 20, "every call answered"
    assert all(np.array_equal(output, alone[index].output) for (index, _), output in together.items())


def test_an_adapter_that_offers_no_mode_is_called_eagerly() -> None:
    adapter = adapters.load("meta_tests.common.references:Mirror")
    assert adapter.capabilities.supported("mode") == ("eager",)
    trial = examine(adapter, usual(), mode="compiled")
    assert (trial.outcome, trial.message) == ("not offered", "mode compiled: the adapter's build takes no mode")
    assert Capabilities({("mode", "eager"): "never"}).supported("mode") == ()


def test_features_may_be_unsupported_together_only() -> None:
    both = (("mode", "traced"), ("bias", False))
    capabilities = Capabilities(together={both: "it forgets the bias"}, offers=beyond_base())
    assert capabilities.supported("mode") == FEATURES["mode"] == tuple(MODES)
    assert not capabilities.not_offered({"mode": "traced", "bias": True})
    assert capabilities.not_offered({"mode": "traced", "bias": False, "h0": True}) == (
        "mode traced and bias False: it forgets the bias"
    )
    with pytest.raises(ValueError, match="expected one of FEATURES"):
        Capabilities(together={(("mode", "traced"), ("dropout", True)): "no such feature"})


def test_a_gpu_has_modes_that_a_cpu_has_not() -> None:
    adapter: Any = framework_adapter("torch")
    assert adapter.capabilities_on("cpu").not_offered({"mode": "fallback"}) == "mode fallback: a matter of CUDA"
    assert {"fallback", "moved"} <= set(adapter.capabilities_on("cuda:1").supported("mode"))
    on_cuda = set(adapter.capabilities_on("cuda").unsupported)
    assert set(adapter.capabilities_on("cpu").unsupported) - on_cuda == {("mode", "fallback"), ("mode", "moved")}
