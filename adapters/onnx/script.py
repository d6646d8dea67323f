"""The part of a stand-alone script that builds an ONNX model and runs it. It imports no framework here."""

from __future__ import annotations

import numpy as np

from reference import Case
from reference.spec import expect_word

from ..scripts.literals import text_literal
from ..scripts.script import ON_CPU, Native, expect_words, script

# Opset and IR version are those of onnx_models, which a test compares.
OPSET, IR_VERSION = 22, 10
ELEMENTS = {"float16": "FLOAT16", "bfloat16": "BFLOAT16", "float32": "FLOAT", "float64": "DOUBLE"}

_ONNXRUNTIME = """
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
answers = dict(zip(names, session.run(names, feeds)))
"""
_ONNX = """
names = [output.name for output in model.graph.output]
answers = dict(zip(names, ReferenceEvaluator(model).run(names, feeds)))
"""
_OPENVINO = """
core = openvino.Core()
network = core.read_model(model.SerializeToString(), b"")
{fixed}compiled = core.compile_model(network, "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})
answers = {{output.get_any_name(): array{taken} for output, array in compiled(feeds).items()}}
"""
_FIXED = """network.reshape({name: list(array.shape) for name, array in feeds.items()})  # else lengths are ignored
"""
# name of the adapter -> (what is called, what is imported, what is printed of it, how it is called)
RUNTIMES = {
    "onnxruntime": (
        "The RNN operator in ONNX Runtime",
        "import onnxruntime",
        '"ONNX Runtime", onnxruntime.__version__, "onnx", onnx.__version__',
        _ONNXRUNTIME,
    ),
    "onnx": (
        "The RNN operator in onnx.reference.ReferenceEvaluator",
        "from onnx.reference import ReferenceEvaluator",
        '"onnx", onnx.__version__',
        _ONNX,
    ),
    "openvino": (
        "The RNN operator of ONNX in OpenVINO",
        "import openvino",
        '"OpenVINO", openvino.__version__, "onnx", onnx.__version__',
        _OPENVINO,
    ),
}


def onnx_script(case: Case, runtime: str, device: str = "cpu") -> str:
    """The script of a case for one of RUNTIMES, on CPU; ValueError for another runtime or device."""
    expect_words(case, device, ON_CPU)
    expect_word("runtime", runtime, tuple(RUNTIMES))
    title, imported, versions, call = RUNTIMES[runtime]
    if runtime == "openvino":
        taken = ".view(ml_dtypes.bfloat16)" if case.dtype == "bfloat16" else ""  # which comes as float16
        call = call.format(fixed=_FIXED if _lengths(case) else "", taken=taken)
    needs_ml_dtypes = ["import ml_dtypes"] * (case.dtype == "bfloat16")
    imports = [*needs_ml_dtypes, "import onnx", imported, "from onnx import TensorProto, helper, numpy_helper"]
    lines = [_model(case), _feeds(case), call.strip(), _answer(case)]
    package = "onnx" if runtime == "onnx" else f"onnx, {runtime}"
    return script(case, Native(title, package, "\n".join(sorted(imports)), versions, "\n".join(lines)))


def _lengths(case: Case) -> bool:
    return case.lengths is not None and np.size(case.lengths) > 0


def _native(case: Case, array: str) -> str:
    """An array of the script in the case's dtype: those of bfloat16 are held in float32."""
    return f"{array}.astype(ml_dtypes.bfloat16)" if case.dtype == "bfloat16" else array


def _model(case: Case) -> str:
    spec = case.spec
    lengths = '"sequence_lens"' if case.lengths is not None else '""'
    state = '""' if case.h0 is None else 'f"h0_{layer}"'
    biases = 'f"B_{layer}": [np.concatenate(cell[2:]) for cell in halves],' if spec.bias else ""
    absent = "" if spec.bias else ' "",'
    wide = spec.output_size
    inputs = [f'value("x", ["time", "batch", {spec.input_size}])']
    if case.lengths is not None:
        inputs.append('helper.make_tensor_value_info("sequence_lens", TensorProto.INT32, ["batch"])')
    given = ""
    if case.h0 is not None:
        given = f"""
    inputs.append(value(f"h0_{{layer}}", [{spec.num_directions}, "batch", {spec.hidden_size}]))"""
    activation = text_literal({"tanh": "Tanh", "relu": "Relu"}[spec.nonlinearity])
    return f"""
def value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.{ELEMENTS[case.dtype]}, shape)


inputs = [{", ".join(inputs)}]
nodes, outputs, below = [], [], "x"
tensors = [numpy_helper.from_array(np.array([0, 0, {wide}]), "halves_together")]
for layer in range({spec.num_layers}):
    halves = cells[{spec.num_directions} * layer :][:{spec.num_directions}]
    weights = {{
        f"W_{{layer}}": [cell[0] for cell in halves],
        f"R_{{layer}}": [cell[1] for cell in halves],
        {biases}
    }}
    tensors += [numpy_helper.from_array({_native(case, "np.stack(weights[name])")}, name) for name in weights]
    nodes.append(
        helper.make_node(
            "RNN",
            [below, *weights,{absent} {lengths}, {state}],
            [f"Y_{{layer}}", f"h_n_{{layer}}"],
            hidden_size={spec.hidden_size},
            direction={text_literal(spec.direction)},
            activations=[{activation}] * {spec.num_directions},
        )
    )
    below = f"output_{{layer}}"
    nodes.append(helper.make_node("Transpose", [f"Y_{{layer}}"], [f"halves_{{layer}}"], perm=[0, 2, 1, 3]))
    nodes.append(helper.make_node("Reshape", [f"halves_{{layer}}", "halves_together"], [below])){given}
    outputs.append(value(below, ["time", "batch", {wide}]))
    outputs.append(value(f"h_n_{{layer}}", [{spec.num_directions}, "batch", {spec.hidden_size}]))
graph = helper.make_graph(nodes, "stack", inputs, outputs, tensors)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", {OPSET})], ir_version={IR_VERSION})""".replace(
        "        \n", ""
    )


def _feeds(case: Case) -> str:
    first = {"batch_first": "x.transpose(1, 0, 2)", "time_first": "x", "unbatched": "x[:, None]"}[case.layout]
    lines = [f'feeds = {{"x": {_native(case, f"np.ascontiguousarray({first})")}}}']
    if case.lengths is not None:
        lines.append('feeds["sequence_lens"] = np.array(lengths, dtype="int32")')
    if case.h0 is not None:
        batched = "h0[:, None]" if case.layout == "unbatched" else "h0"
        lines.append(f"for layer, states in enumerate(np.split({batched}, {case.spec.num_layers})):")
        lines.append(f'    feeds[f"h0_{{layer}}"] = {_native(case, "states")}')
    return "\n".join(lines)


def _answer(case: Case) -> str:
    there = {"batch_first": ".transpose(1, 0, 2)", "time_first": "", "unbatched": "[:, 0]"}[case.layout]
    state = "[:, 0]" if case.layout == "unbatched" else ""
    h_n = f'np.concatenate([answers[f"h_n_{{layer}}"] for layer in range({case.spec.num_layers})]){state}'
    return f'actual = {{"output": answers[below]{there}.astype("float64")}}\nactual["h_n"] = {h_n}.astype("float64")'
