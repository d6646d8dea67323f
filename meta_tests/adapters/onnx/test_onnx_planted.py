"""Faults planted in the builder of the ONNX models, and in torch's exports: the judge sees each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from adapters.running.trial import examine
from meta_tests.common.frameworks import framework_adapter
from reference import Case, RNNSpec
from reference.draws import draw_case

RUNTIMES = ("onnxruntime", "onnx", "openvino", "tract")
Replace = Callable[[str, Any], None]


def usual(**asked: Any) -> Case:
    return draw_case(RNNSpec(3, 5, 2, "bidirectional"), batch=2, time=4, h0=True, **asked)


def no_input_bias(models: Any, plant: Any) -> None:
    weights = models._weights
    dropped = lambda cell: replace(cell, b_ih=np.zeros_like(cell.b_ih))  # noqa: E731
    plant(models, "_weights", lambda spec, layer, cells: weights(spec, layer, [*map(dropped, cells)]))


def directions_swapped(models: Any, plant: Any) -> None:
    weights = models._weights
    plant(models, "_weights", lambda spec, layer, cells: weights(spec, layer, cells[::-1]))


def recurrent_weights_transposed(models: Any, plant: Any) -> None:
    weights = models._weights
    turned = lambda cell: replace(cell, w_hh=cell.w_hh.T)  # noqa: E731
    plant(models, "_weights", lambda spec, layer, cells: weights(spec, layer, [*map(turned, cells)]))


def halves_not_side_by_side(models: Any, plant: Any) -> None:
    """As a Reshape of Y alone does: its shape is right."""
    layer_of = models._layer

    def layer(*given: Any) -> list[Any]:
        nodes = layer_of(*given)
        nodes[1].attribute[0].ints[:] = [0, 1, 2, 3]
        return nodes

    plant(models, "_layer", layer)


def initial_states_lost(models: Any, plant: Any) -> None:
    """The graph takes them, and starts at zero."""
    layer_of = models._layer
    lost = lambda spec, layer, inputs, output: layer_of(spec, layer, [*inputs[:5], ""], output)  # noqa: E731
    plant(models, "_layer", lost)


FAULTS = (no_input_bias, directions_swapped, recurrent_weights_transposed, halves_not_side_by_side, initial_states_lost)


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_a_fault_of_the_builder_is_seen(name: str, fault: Any, monkeypatch: pytest.MonkeyPatch):
    adapter = framework_adapter(name)
    if fault is not None:
        fault(import_module("adapters.onnx.models"), monkeypatch.setattr)
    trial = examine(adapter, usual())
    assert trial.outcome == ("agrees" if fault is None else "disagrees"), trial


def lengths_lost(models: Any, plant: Any) -> None:
    forward = models.PaddedRNN.forward
    plant(models.PaddedRNN, "forward", lambda self, x, hx=None, lengths=None: forward(self, x + 0 * lengths[0], hx))


def states_swapped(models: Any, plant: Any) -> None:
    forward = models.PaddedRNN.forward
    plant(models.PaddedRNN, "forward", lambda self, x, hx=None, lengths=None: forward(self, x, hx.flip(0), lengths))


def not_flipped_back(models: Any, plant: Any) -> None:
    flipped = models.flipped

    def once(x: Any, lengths: Any, batch_first: bool) -> Any:
        return flipped(x, lengths, batch_first) if x.shape[-1] == 3 else x  # features, and not units

    plant(models, "flipped", once)


@pytest.mark.parametrize(
    ("fault", "direction"),
    [(lengths_lost, "bidirectional"), (states_swapped, "bidirectional"), (not_flipped_back, "reverse")],
)
def test_a_fault_of_an_export_is_seen(fault: Any, direction: str, monkeypatch: pytest.MonkeyPatch):
    adapter = framework_adapter("torch-onnx")
    case = draw_case(RNNSpec(3, 5, 2, direction), batch=3, time=4, h0=True, lengths=(2, 4, 3))
    assert examine(adapter, case).outcome == "agrees"
    fault(import_module("adapters.torch.models"), monkeypatch.setattr)
    trial = examine(adapter, case)
    assert trial.outcome == "disagrees", trial


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_a_fault_of_the_newer_exporter_is_seen(direction: str, monkeypatch: pytest.MonkeyPatch):
    adapter = framework_adapter("torch-onnx")
    case = draw_case(RNNSpec(3, 5, 1, direction), batch=3, time=4, h0=True)
    assert examine(adapter, case, mode="exported").outcome == "agrees"
    forward = import_module("adapters.torch.models").PaddedRNN.forward
    lost = lambda self, x, hx=None, lengths=None: forward(self, x, None, lengths)  # noqa: E731
    monkeypatch.setattr(import_module("adapters.torch.models").PaddedRNN, "forward", lost)
    trial = examine(adapter, case, mode="exported")
    assert trial.outcome == "disagrees", trial
