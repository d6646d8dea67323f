"""What is behind the findings of the ONNX runtimes and the exporters: an assumption, and how they are asked."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from adapters.running.trial import examine
from meta_tests.common.features import case_with
from meta_tests.common.frameworks import framework_adapter
from reference import DIRECTIONS, CellParameters, RNNSpec
from reference.bounds.arithmetic import SIGMOID_TANH_UNITS
from reference.draws import draw_case


def test_tanh_in_onnx_runtimes_rnn_is_as_accurate_as_its_arithmetic_says() -> None:
    """The assumption behind float32_sigmoid_tanh, swept: half of its room is used."""
    adapter = framework_adapter("onnxruntime")
    one = np.ones((1, 1), "float32")
    x = np.concatenate([np.linspace(-20, 20, 400_001), np.geomspace(1e-30, 1, 100_000)]).astype("float32")
    module = adapter.build(RNNSpec(1, 1, bias=False), [CellParameters(one, 0 * one)])
    error = np.abs(adapter.run(module, x.reshape(-1, 1, 1)).output.ravel() - np.tanh(x.astype("float64")))
    assert error.max() <= SIGMOID_TANH_UNITS / 2 * 1.1 * 2.0**-24


@pytest.mark.parametrize("h0", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("batch", [2, 4])
def test_layout_1_is_asked_as_the_standard_has_it(batch: int, direction: str, h0: bool) -> None:
    """Its own evaluator agrees: what another runtime gets wrong is not the model."""
    case = draw_case(RNNSpec(3, 5, direction=direction), batch=batch, time=4, h0=h0)
    assert examine(framework_adapter("onnx"), case, idiom="layout 1").outcome == "agrees"


def test_two_activations_are_asked_as_the_standard_has_it() -> None:
    """ONNX Runtime agrees: what others get wrong is not the model."""
    case = draw_case(RNNSpec(3, 5, 2, "bidirectional", "relu"), batch=2, time=4, h0=True)
    assert examine(framework_adapter("onnxruntime"), case, idiom="two activations").outcome == "agrees"


def test_the_newest_opset_is_one_that_the_runtime_loads() -> None:
    framework_adapter("onnxruntime")
    runtime = import_module("adapters.onnx.runtimes")
    newest = runtime.newest_opset(runtime.onnxruntime().load)
    assert runtime.OPSET <= newest <= import_module("onnx.defs").onnx_opset_version()


def test_a_model_that_cannot_be_loaded_is_no_older_opset() -> None:
    def load(model: Any) -> Any:
        raise ZeroDivisionError(model.opset_import[0].version)

    framework_adapter("onnx")
    with pytest.raises(ZeroDivisionError):
        import_module("adapters.onnx.runtimes").newest_opset(load)


def test_providers_that_are_not_here_are_absent() -> None:
    adapter: Any = framework_adapter("onnxruntime")
    here = {*adapter.framework.get_available_providers()}
    absent = {word for word, idiom in adapter.idioms.items() if idiom.absent}
    assert absent == {*adapter.framework.get_all_providers()} - here


REFUSED = [
    ("onnxruntime", "eager", {"dtype": "float64"}),
    ("onnxruntime", "eager", {"dtype": "bfloat16"}),
    ("onnx", "eager", {"time": "0"}),
    ("torch-onnx", "eager", {"dtype": "float64"}),
    ("torch-onnx", "eager", {"dtype": "bfloat16"}),
    ("torch-onnx", "exported", {"dtype": "bfloat16"}),
    ("torch-onnx", "eager", {"time": "0"}),
    ("torch-onnx", "exported", {"time": "0"}),
    ("torch-onnx", "eager", {"lengths": "with zeros"}),
    ("torch-onnx", "exported", {"lengths": "mixed"}),
]


@pytest.mark.parametrize(("name", "mode", "asked"), REFUSED)
def test_the_framework_itself_refuses(name: str, mode: str, asked: dict[str, Any]) -> None:
    """Or, in another version, answers, and agrees."""
    trial = examine(framework_adapter(name), case_with(**asked), mode=mode)
    assert trial.outcome in ("refused", "agrees"), trial


def test_an_export_of_other_lengths_does_not_hide_a_refusal() -> None:
    """torch refuses a length of 0 when it exports; an export that is there would answer."""
    adapter = framework_adapter("torch-onnx")
    case = case_with(lengths="mixed")
    module = adapter.build(case.spec, case.parameters)
    adapter.run(module, **case.inputs)
    with pytest.raises(RuntimeError, match="has to be greater than 0"):
        adapter.run(module, case.x, lengths=[4, 0, 3])
    with pytest.raises(RuntimeError, match="larger than 0"):
        adapter.run(module, case.x[:, :0])


def test_the_newer_exporter_takes_float64() -> None:
    """Only the RNN operator lacks it."""
    assert examine(framework_adapter("torch-onnx"), case_with(dtype="float64"), mode="exported").outcome == "agrees"
