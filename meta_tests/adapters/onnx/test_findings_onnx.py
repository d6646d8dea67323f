"""What the ONNX runtimes and the exporters to ONNX got wrong or refuse: docs/findings.md, pinned.

A test that fails here says that a framework has changed: strike the finding, and widen the adapter's capabilities.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adapters
from meta_tests.common.frameworks import framework_adapter
from reference import Case, CellParameters, RNNSpec, judge
from reference.bounds.arithmetic import SIGMOID_TANH_UNITS
from reference.draws import draw_case

ROOT = Path(__file__).parents[3]


def loaded(name: str, model: Any) -> Any:
    """A model in a runtime: its inputs by name, to its outputs by name."""
    framework_adapter(name)
    maker = {"onnx": "reference_evaluator"}.get(name, name)
    return getattr(import_module("adapters.onnx.runtimes"), maker)().load(model)


def onnx_models() -> Any:
    framework_adapter("onnx")  # the models are made with the package of that name, whichever runtime is asked
    return import_module("adapters.onnx.models")


def model_of(case: Case, h0: bool = False, lengths: bool = False) -> Any:
    return onnx_models().stack_model(case.spec, case.parameters, h0=h0, lengths=lengths)


def usual(**asked: Any) -> Case:
    return draw_case(RNNSpec(3, 5, direction="bidirectional"), batch=2, time=4, layout="time_first", **asked)


def verdict_of(case: Case, answer: dict[str, np.ndarray]) -> str:
    """On an answer of one layer, to a time-first case."""
    return judge(case, answer["output"], answer["h_n"]).outcome


def test_the_reference_evaluator_ignores_sequence_lens() -> None:
    """The answer is, to the last bit, that of full sequences; ONNX Runtime stops each where it ends."""
    case = usual(lengths=(4, 2))
    model = model_of(case, lengths=True)
    feeds = {"x": case.x, "sequence_lens": np.array([4, 2], "int32")}
    full = loaded("onnx", model_of(case))({"x": case.x})
    answer = loaded("onnx", model)(feeds)
    assert all(np.array_equal(answer[name], full[name]) for name in answer)
    assert verdict_of(case, answer) == "disagrees"
    assert verdict_of(case, loaded("onnxruntime", model)(feeds)) == "agrees"


def test_the_reference_evaluator_has_no_relu() -> None:
    """The standard names it before the optional ones."""
    case = draw_case(RNNSpec(3, 5, nonlinearity="relu"), batch=2, time=4)
    with pytest.raises(RuntimeError, match="Unknown activation function 'Relu'"):
        loaded("onnx", model_of(case))


def test_the_reference_evaluator_uses_one_activation_for_both_directions() -> None:
    """Affine(x) = 2 x in the reverse direction is as good as absent."""
    onnx = framework_adapter("onnx").framework
    case = usual()
    model = model_of(case)
    node = model.graph.node[0]
    kept = [attribute for attribute in node.attribute if attribute.name != "activations"]
    del node.attribute[:]
    given = {"activations": ["Tanh", "Affine"], "activation_alpha": [0.0, 2.0], "activation_beta": [0.0, 0.0]}
    node.attribute.extend([*kept, *(onnx.helper.make_attribute(name, value) for name, value in given.items())])
    answer = loaded("onnx", model)({"x": case.x})
    assert verdict_of(case, answer) == "agrees", "with tanh in both"


@pytest.mark.parametrize("fixed", [False, True])
def test_openvino_ignores_sequence_lens_while_shapes_are_dynamic(fixed: bool) -> None:
    """The same model, compiled with the shapes that it is given, is right."""
    adapter = framework_adapter("openvino")
    case = usual(lengths=(4, 2))
    read = adapter.framework.Core().read_model(model_of(case, lengths=True).SerializeToString(), b"")
    if fixed:
        read.reshape({"x": [4, 2, 3], "sequence_lens": [2]})
    compiled = adapter.framework.Core().compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answers = compiled({"x": case.x, "sequence_lens": np.array([4, 2], "int32")})
    answer = {name: answers[name] for name in ("output", "h_n")}
    assert verdict_of(case, answer) == ("agrees" if fixed else "disagrees")
    full = Case(case.spec, case.parameters, case.x, layout="time_first")
    assert verdict_of(full, answer) == ("disagrees" if fixed else "agrees")


def test_openvino_multiplies_float32_in_bfloat16_where_the_processor_can() -> None:
    """By default; the answer says float32. Its own property says bfloat16 or float16 on such a processor."""
    adapter = framework_adapter("openvino")
    core = adapter.framework.Core()
    precision = core.get_property("CPU", "INFERENCE_PRECISION_HINT").to_string()
    case = usual()
    compiled = core.compile_model(core.read_model(model_of(case).SerializeToString(), b""), "CPU")
    answers = compiled({"x": case.x})
    answer = {name: answers[name] for name in ("output", "h_n")}
    assert answer["output"].dtype == np.float32
    assert verdict_of(case, answer) == ("agrees" if precision == "f32" else "disagrees")


def test_openvino_ignores_layout_1() -> None:
    """It takes x (batch, time, features) for (time, batch, features); the standard's own evaluator does not."""
    framework_adapter("openvino")
    onnx = framework_adapter("onnx").framework
    case = draw_case(RNNSpec(3, 5), batch=2, time=4)
    taken = Case(case.spec, case.parameters, case.x, layout="time_first")
    model = model_of(case)
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("layout", 1))
    del model.graph.node[1:], model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("Y_0", onnx.TensorProto.FLOAT, [None] * 4))
    right, wrong = (loaded(name, model)({"x": case.x})["Y_0"] for name in ("onnx", "openvino"))
    assert (right.shape, wrong.shape) == ((2, 4, 1, 5), (2, 1, 4, 5))
    for asked, output in ((case, right[:, :, 0]), (taken, wrong[:, 0])):
        verdict = judge(asked, np.ascontiguousarray(output), asked.answer().h_n, bound="trajectory")
        assert verdict.outcome == "agrees", verdict


def test_openvino_computes_float64_in_float32() -> None:
    case = usual(dtype="float64")
    answer = loaded("openvino", model_of(case))({"x": case.x})
    assert answer["output"].dtype == np.float64
    assert verdict_of(case, answer) == "disagrees"
    assert np.array_equal(answer["output"], answer["output"].astype("float32")), "no more digits than float32 has"
    relu = onnx_models().operator_model("Relu", np.dtype("float64"), 1)
    assert loaded("openvino", relu)({"a": np.array([np.inf])})["y"] == np.finfo("float32").max


def test_openvino_gives_bfloat16_as_float16_of_the_same_bits() -> None:
    """1.5 in is 1.9375 out. A NumPy array of bfloat16 is taken rightly in a call; openvino.Tensor refuses one."""
    openvino = framework_adapter("openvino").framework
    model = onnx_models().operator_model("Identity", np.dtype("bfloat16"), 1)
    a = np.array([1.5, -2.0, 3.25], "bfloat16")
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model.SerializeToString(), b""), "CPU")
    answer = compiled({"a": a})["y"]
    assert answer.dtype == np.float16
    assert answer.astype("float32").tolist() == [1.9375, -2.0, 2.15625]
    assert np.array_equal(answer.view(a.dtype), a)
    with pytest.raises(RuntimeError, match="Unsupported data type: bfloat16"):
        openvino.Tensor(a)


EMPTY_BATCH = """
import openvino
from adapters.onnx.models import stack_model
from reference import RNNSpec
from reference.draws import draw_parameters

spec = RNNSpec(3, 5)
core = openvino.Core()
model = core.read_model(stack_model(spec, draw_parameters(spec), lengths=True).SerializeToString(), b"")
model.reshape({"x": [4, 0, 3], "sequence_lens": [0]})
core.compile_model(model, "CPU")
"""


def test_openvino_ends_the_process_over_an_empty_batch_of_fixed_shape() -> None:
    """A division by zero in compile_model: no exception, but the signal SIGFPE."""
    framework_adapter("openvino")
    run = subprocess.run([sys.executable, "-c", EMPTY_BATCH], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == -8, run.stderr


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_relu_in_the_rnn_operator_hides_nan(name: str) -> None:
    """0 for NaN, and the steps that follow go on from 0. The operator Relu itself passes NaN on in ONNX Runtime."""
    case = draw_case(RNNSpec(3, 5, nonlinearity="relu"), batch=2, time=4, layout="time_first")
    case.x[1, 0, 1] = np.nan
    answer = loaded(name, model_of(case))({"x": case.x})
    assert not np.isnan(answer["output"]).any()
    assert not answer["output"][1, 0].any()
    assert np.isnan(case.answer().output[1:, 0]).all()
    alone = framework_adapter(name).activation(np.array([np.nan], "float32"), "relu")
    assert np.isnan(alone).all() == (name == "onnxruntime")


def test_tanh_in_onnx_runtimes_rnn_has_no_relative_accuracy() -> None:
    """It is computed as 2 sigmoid(2 a) - 1, whose error is a few u of 1, however small the answer.

    The operator Tanh is accurate to 6 u of its answer. A layer that passes on its input shows the former: a weight of
    1, no recurrence, no bias.
    """
    adapter = framework_adapter("onnxruntime")
    one = np.ones((1, 1), "float32")
    x = np.geomspace(1e-6, 1, 1000).astype("float32").reshape(1, -1, 1)
    case = Case(RNNSpec(1, 1, bias=False), [CellParameters(one, 0 * one)], x)
    answer = adapter.run(adapter.build(case.spec, case.parameters), x)
    verdict = judge(case, answer.output, answer.h_n)
    assert verdict.outcome == "disagrees"
    true, u = np.tanh(x.astype("float64")), 2.0**-24
    error = np.abs(answer.output - true)
    assert (error / true).max() > 1e4 * u
    assert error.max() <= 4 * u, "of 1"
    assert (np.abs(adapter.activation(x, "tanh") - true) / true).max() <= 6 * u


def test_tanh_in_onnx_runtimes_rnn_is_as_accurate_as_declared() -> None:
    """The assumption behind the arithmetic float32_sigmoid_tanh, swept: half of its room is used."""
    adapter = framework_adapter("onnxruntime")
    one = np.ones((1, 1), "float32")
    x = np.concatenate([np.linspace(-20, 20, 400_001), np.geomspace(1e-30, 1, 100_000)]).astype("float32")
    module = adapter.build(RNNSpec(1, 1, bias=False), [CellParameters(one, 0 * one)])
    error = np.abs(adapter.run(module, x.reshape(-1, 1, 1)).output.ravel() - np.tanh(x.astype("float64")))
    assert 2 < error.max() / 2.0**-24 < 3.1
    assert error.max() <= SIGMOID_TANH_UNITS * 2.0**-24


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_the_final_state_of_a_sequence_of_length_0_is_0(name: str) -> None:
    """Not initial_h; the standard leaves it open (onnx issue 1674)."""
    case = usual(h0=True, lengths=(4, 0))
    feeds = {"x": case.x, "h0": case.h0, "sequence_lens": np.array([4, 0], "int32")}
    answer = loaded(name, model_of(case, h0=True, lengths=True))(feeds)
    assert not answer["h_n"][:, 1].any()
    assert not answer["output"][:, 1].any()


def test_an_exported_bidirectional_layer_takes_no_empty_batch() -> None:
    adapter = framework_adapter("torch-onnx")
    case = draw_case(RNNSpec(3, 5, direction="bidirectional"), batch=2, time=4)
    module = adapter.build(case.spec, case.parameters)
    torch = adapter.framework
    module(True, (torch.zeros(2, 4, 3), None, None))
    with pytest.raises(Exception, match="Reshape"):
        module(True, (torch.zeros(0, 4, 3), None, None))
    with pytest.raises(adapters.Unsupported, match="batch 0 and direction bidirectional"):
        adapter.run(module, np.zeros((0, 4, 3), "float32"))


def test_the_newer_exporter_fixes_the_number_of_steps() -> None:
    """torch.export unrolls the layer: a number of steps that is asked to be dynamic is refused."""
    adapter = framework_adapter("torch-onnx")
    torch = adapter.framework
    dynamic = torch.export.Dim.DYNAMIC
    shapes = ({0: dynamic, 1: torch.export.Dim.AUTO},)
    with import_module("adapters.torch_onnx.modes").quiet(), pytest.raises(Exception, match="Failed to export"):
        torch.onnx.export(torch.nn.RNN(3, 5).eval(), (torch.zeros(4, 2, 3),), dynamo=True, verbose=False,
                          dynamic_shapes=shapes)  # fmt: skip
