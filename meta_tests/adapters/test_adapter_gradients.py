"""Every framework's own gradients: of a probed layer each element is judged, and none is wrong; faults are seen."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from adapters import load
from adapters.running.trial import Modules, Stack, examine
from meta_tests.common.asked_gradients import differentiating, verdict_on_gradients
from meta_tests.common.frameworks import present_of
from meta_tests.common.gradients import gradient_case
from meta_tests.common.scale import nightly
from reference import CellParameters, probe

FRAMEWORKS = ("torch", "keras", "flax")
NAMES = ("tanh", "relu", "gru", "gru_reset_before", "lstm")
# the words of each, and the features that it asks for
WAYS: tuple[dict[str, Any], ...] = (
    {"direction": "bidirectional", "lengths": [5, 2, 1]},
    {"direction": "reverse", "dtype": "float64", "only": "output", "h0": False},
    {"direction": "forward", "lengths": [4, 5, 1], "only": "h_n"},
    {"direction": "bidirectional", "dtype": "bfloat16", "h0": False},
    {"direction": "bidirectional", "mask": True, "dtype": "float64"},
)
DECLARED = {"bfloat16": "bfloat16_accumulate_float32"}
Patch = pytest.MonkeyPatch


def offered(adapter: Any, name: str, words: dict[str, Any]) -> bool:
    """Whether the adapter has the cell, and takes the mask; where a finding says that a dtype is wrong, no gradient is
    right."""
    cell = "elman" if name in ("tanh", "relu") else name
    features = {"cell": cell, "mask": words.get("mask", False)}
    dtype = words.get("dtype", "float32")
    wrong = dtype == "float64" and present_of(adapter, dtype=dtype)
    return not wrong and not adapter.capabilities.not_offered(features)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_gradients_of_a_framework_agree(framework: str, name: str) -> None:
    """By day one way in three of each cell, another one for each."""
    adapter = differentiating(framework)
    ways = [words for words in WAYS if offered(adapter, name, words)]
    if not ways:
        pytest.skip(f"{framework} has no {name}")
    for words in ways if nightly() else ways[NAMES.index(name) % 3 :: 3]:
        verdict = verdict_on_gradients(adapter, gradient_case(name, **words), DECLARED.get(words.get("dtype", "")))
        assert verdict.outcome == "agrees", verdict


@pytest.mark.parametrize("layout", ["batch_first", "time_first", "unbatched"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_framework_answers_in_every_layout_and_its_module_stays(framework: str, layout: str) -> None:
    adapter, alone = differentiating(framework), layout == "unbatched"
    for lengths in (None, [4] if alone else [5, 2, 1]):
        case = gradient_case("tanh", direction="reverse", layout=layout, batch=1 if alone else 3, lengths=lengths)
        assert verdict_on_gradients(adapter, case).outcome == "agrees"
    module = adapter.build(case.spec, case.parameters)
    answer, (_, (before,)) = adapter.run(module, **case.inputs), adapter.read(module)
    adapter.gradients(module, **case.inputs, cotangents=case.cotangents)
    again, (_, (after,)) = adapter.run(module, **case.inputs), adapter.read(module)
    assert np.array_equal(answer.output, again.output)
    assert np.array_equal(answer.h_n, again.h_n)
    assert all(map(np.array_equal, before.arrays().values(), after.arrays().values()))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_stacks_of_a_framework_are_those_of_the_reference(framework: str) -> None:
    adapter = differentiating(framework)
    case = gradient_case("tanh", layers=2, direction="bidirectional", h0=False)
    found = adapter.gradients(adapter.build(case.spec, case.parameters), **case.inputs, cotangents=case.cotangents)
    expected = case.gradients()
    pairs = [(found.x, expected.x), (found.h0, expected.h0)]
    for one, other in zip(found.parameters, expected.parameters, strict=True):
        pairs += zip(one.arrays().values(), other.arrays().values(), strict=True)
    assert all(np.abs(a - b).max() < 2.0**-16 for a, b in pairs)


def keras_forgets(patch: Patch) -> None:
    """No step hands anything back to the one before."""
    keras = differentiating("keras").framework
    cell = keras.layers.SimpleRNNCell
    right = cell.call

    def call(self: Any, sequence: Any, states: Any, training: bool = False) -> Any:
        return right(self, sequence, [keras.ops.stop_gradient(state) for state in states], training)

    patch.setattr(cell, "call", call)


def flax_forgets(patch: Patch) -> None:
    jax, cell = import_module("jax"), differentiating("flax").framework.nnx.SimpleCell
    right = cell.__call__
    patch.setattr(cell, "__call__", lambda self, carry, x: right(self, jax.lax.stop_gradient(carry), x))


def torch_forgets(patch: Patch) -> None:
    """The initial state is handed nothing."""
    layer = differentiating("torch").framework.nn.RNN
    right = layer.forward
    patch.setattr(layer, "forward", lambda self, x, hx: right(self, x, hx.detach()))


PLANTED = {"keras": (keras_forgets, "delta at t = 3"), "flax": (flax_forgets, "delta at t = 3"),
           "torch": (torch_forgets, "dh0 only")}  # fmt: skip


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_planted_a_framework_that_forgets_is_seen(framework: str, monkeypatch: Patch) -> None:
    """Its forward pass is right."""
    adapter = differentiating(framework)
    plant, detail = PLANTED[framework]
    plant(monkeypatch)
    verdict = verdict_on_gradients(adapter, gradient_case("tanh"))
    assert verdict.outcome == "disagrees"
    assert verdict.detail.startswith(detail), verdict.detail


@pytest.mark.parametrize("framework", ["keras", "flax"])
def test_planted_a_merged_bias_that_hands_its_gradient_to_one_is_seen(framework: str, monkeypatch: Patch) -> None:
    adapter = differentiating(framework)
    gradients = import_module(f"adapters.{framework}.gradients")
    right = gradients.parameters_of
    monkeypatch.setattr(gradients, "parameters_of", lambda *given, gradients: right(*given))
    assert verdict_on_gradients(adapter, gradient_case("tanh")).detail.startswith("db_hh only")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_some_modes_have_no_gradients_and_say_so(framework: str) -> None:
    adapter, case = differentiating(framework), probe(gradient_case("tanh"))
    saved = adapter.build(case.spec, case.parameters, mode="saved")
    with pytest.raises(ValueError, match=r"gradients True and mode saved: they are asked in the mode eager or "):
        adapter.gradients(saved, **case.inputs, cotangents=case.cotangents)
    with pytest.raises(TypeError, match="cotangents: got NoneType"):
        adapter.gradients(adapter.build(case.spec, case.parameters), **case.inputs)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_function_that_is_kept_answers_with_other_weights_and_numbers(framework: str) -> None:
    """What was compiled for one case is asked another of its shape."""
    adapter = differentiating(framework)
    if adapter.compiles is None:
        pytest.skip(f"{framework} keeps nothing")
    mode, case = adapter.compiles.mode, gradient_case("tanh")
    modules = Modules(adapter, adapter.compiles, "cpu")
    for scale in (1, 0.5):
        one = replace(case, x=case.x * case.x.dtype.type(scale), parameters=tuple(
            CellParameters.of({name: array * array.dtype.type(scale) for name, array in track.arrays().items()})
            for track in case.parameters
        ))  # fmt: skip
        trial = examine(adapter, one, stack=Stack(adapter, one, mode=mode, kept=modules))
        assert trial.outcome == "agrees", str(trial)


def test_planted_in_one_mode_or_idiom_a_gradient_that_stops_is_seen_there_alone(monkeypatch: Patch) -> None:
    differentiating("torch")
    modes, idioms = (import_module(f"adapters.torch.{name}") for name in ("modes", "ways"))
    monkeypatch.setitem(modes.MODES, "traced", lambda padded, arguments: lambda x, hx, n: padded(x, hx.detach(), n))
    monkeypatch.setattr(idioms, "strided", lambda rnn, x, h0: rnn(x, h0.detach()))
    adapter, case = type(load("torch"))(), gradient_case("tanh")
    ways = {"mode": "eager"}, {"mode": "traced"}, {"mode": "deterministic"}, {"idiom": "strided"}, {"idiom": "sorted"}
    came = [examine(adapter, case, **words).outcome for words in ways]
    assert came == ["agrees", "disagrees", "agrees", "disagrees", "agrees"]
