"""LiteRT's adapter: faults planted in the models that it converts are seen, scripts ask the same, modules are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from adapters import NotOffered
from adapters.running.trial import examine
from meta_tests.adapters.scripts.test_script import execute
from meta_tests.common.frameworks import framework_adapter
from meta_tests.repository.test_house import imported
from reference import Case, RNNSpec
from reference.draws import draw_case


@pytest.fixture
def adapter() -> Any:
    return framework_adapter("litert")


def usual(cell: str = "elman", direction: str = "bidirectional", **asked: Any) -> Case:
    spec = RNNSpec(3, 5, 2, direction, cell=cell)
    return draw_case(spec, batch=3, time=4, h0=True, lengths=(4, 2, 3), **asked)


def states_lost(models: Any, adapter: Any) -> Callable[..., Any]:
    feeds_of = models.feeds_of
    return lambda spec, inputs: {name: 0 * array if name.startswith("start") else array
                                 for name, array in feeds_of(spec, inputs).items()}  # fmt: skip


def mask_lost(models: Any, adapter: Any) -> Callable[..., Any]:
    feeds_of = models.feeds_of
    return lambda spec, inputs: {name: array | True if name == "mask" else array
                                 for name, array in feeds_of(spec, inputs).items()}  # fmt: skip


@pytest.mark.parametrize("fault", [None, states_lost, mask_lost])
def test_a_fault_in_what_is_fed_is_seen(adapter: Any, fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault is not None:
        module = import_module("adapters.litert.adapter")
        monkeypatch.setattr(module, "feeds_of", fault(import_module("adapters.litert.models"), adapter))
    assert examine(adapter, usual()).outcome == ("agrees" if fault is None else "disagrees")


def test_directions_that_are_exchanged_are_seen(adapter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("adapters.litert.models")
    fill = module.fill
    monkeypatch.setattr(module, "fill", lambda spec, layers, cells: fill(
        spec, layers, [cells[n ^ 1] for n in range(len(cells))]))  # fmt: skip
    assert examine(adapter, replace(usual(), lengths=None)).outcome == "disagrees"


@pytest.mark.parametrize(("cell", "word"), [("elman", "eager"), ("gru", "any length"), ("lstm", "from a Keras model"),
                                              ("gru", "Keras 2"), ("lstm", "fused LSTM time first")])  # fmt: skip
def test_a_script_asks_what_the_adapter_asks(adapter: Any, cell: str, word: str) -> None:
    case = usual(cell) if "fused" not in word else replace(usual(cell, "reverse"), lengths=None)
    trial = examine(adapter, case, idiom=word.replace("eager", ""))
    assert trial.answer is not None, trial
    text = adapter.script(case, "cpu", word)
    names, code, printed = execute(text)
    assert code == 0, printed
    assert np.array_equal(names["actual"]["output"], trial.answer.output.astype(np.float64))
    assert ("h_n" in names["actual"]) == (trial.answer.h_n is not None)
    if trial.answer.h_n is not None:
        h_n = trial.answer.h_n[0] if cell == "lstm" else trial.answer.h_n
        assert np.array_equal(names["actual"]["h_n"], h_n.astype(np.float64))


def test_a_script_imports_what_it_says_and_no_more(adapter: Any) -> None:
    needed = {"numpy", "keras", "tensorflow", "ai_edge_litert"}
    assert imported(adapter.script(usual("gru"))) - {"base64", "os", "sys", "re", "typing", "importlib"} == needed


def test_a_way_without_a_script_is_not_offered(adapter: Any) -> None:
    with pytest.raises(NotOffered, match=r"^way: got 'traced', expected eager, "):
        adapter.script(usual(), "cpu", "traced")


def test_what_was_converted_is_not_read(adapter: Any) -> None:
    with pytest.raises(NotOffered, match="keeps no layers"):
        adapter.read(b"TFL3")


def test_a_keras_model_is_read_and_converted(adapter: Any) -> None:
    case = replace(usual("gru"), lengths=None)
    model = adapter.build(case.spec, case.parameters).model
    spec, parameters = adapter.read(model)
    assert (spec.cell, spec.num_layers, spec.direction) == ("gru", 2, "bidirectional")
    assert np.array_equal(parameters[0].w_ih, case.parameters[0].w_ih)
