"""The part of a stand-alone script that builds an ONNX model and runs it. It imports no framework here."""

from __future__ import annotations

from reference import Case
from reference.spec import expect_word

from ..scripts.script import ON_CPU, Native, script

# Opset and IR version are those of models.py, which a test compares.
OPSET, IR_VERSION = 22, 10
ELEMENTS = {"float16": "FLOAT16", "bfloat16": "BFLOAT16", "float32": "FLOAT", "float64": "DOUBLE"}

MODEL = """
def value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.$element, shape)


def native(array):
    return np.ascontiguousarray(array)  #? !bfloat16
    return np.ascontiguousarray(array).astype(ml_dtypes.bfloat16)  #? bfloat16


inputs = [value("x", ["time", "batch", $input_size])]
inputs.append(helper.make_tensor_value_info("sequence_lens", TensorProto.INT32, ["batch"]))  #? lengths
nodes, outputs, below = [], [], "x"
tensors = [numpy_helper.from_array(np.array([0, 0, $output_size]), "halves_together")]
for layer in range($num_layers):
    halves = cells[$directions * layer :][:$directions]
    weights = {
        f"W_{layer}": [cell[0] for cell in halves],
        f"R_{layer}": [cell[1] for cell in halves],
        f"B_{layer}": [np.concatenate(cell[2:]) for cell in halves],  #? bias
    }
    tensors += [numpy_helper.from_array(native(np.stack(weights[name])), name) for name in weights]
    given = [below, *weights, *[""] * (3 - len(weights)), "", ""]
    given[4] = "sequence_lens"  #? lengths
    given[5] = f"h0_{layer}"  #? h0
    below = f"output_{layer}"
    nodes.append(
        helper.make_node(
            "RNN",
            given,
            [f"Y_{layer}", f"h_n_{layer}"],
            hidden_size=$hidden_size,
            direction="$direction",
            activations=["$operator"] * $directions,
        )
    )
    nodes.append(helper.make_node("Transpose", [f"Y_{layer}"], [f"halves_{layer}"], perm=[0, 2, 1, 3]))
    nodes.append(helper.make_node("Reshape", [f"halves_{layer}", "halves_together"], [below]))
    inputs.append(value(f"h0_{layer}", [$directions, "batch", $hidden_size]))  #? h0
    outputs.append(value(below, ["time", "batch", $output_size]))
    outputs.append(value(f"h_n_{layer}", [$directions, "batch", $hidden_size]))
graph = helper.make_graph(nodes, "stack", inputs, outputs, tensors)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", $opset)], ir_version=$ir_version)
feeds = {"x": native(x$to_time_first)}
feeds["sequence_lens"] = np.array(lengths, dtype="int32")  #? lengths
feeds |= {f"h0_{layer}": native(states) for layer, states in enumerate(np.split(h0$state, $num_layers))}  #? h0
"""
ANSWER = """
h_n = np.concatenate([answers[f"h_n_{layer}"] for layer in range($num_layers)])$state_back
actual = {"output": answers[below]$from_time_first.astype("float64"), "h_n": h_n.astype("float64")}
"""
IMPORTS = """
import ml_dtypes  #? bfloat16
import onnx
$imported
from onnx import TensorProto, helper, numpy_helper
"""
# name of the runtime -> (what is called, what it needs, what is imported, what is printed of it, how it is called)
RUNTIMES = {
    "onnxruntime": (
        "The RNN operator in ONNX Runtime",
        "onnx, onnxruntime",
        "import onnxruntime",
        '"ONNX Runtime", onnxruntime.__version__, "onnx", onnx.__version__',
        """
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
answers = dict(zip(names, session.run(names, feeds)))
""",
    ),
    "onnx": (
        "The RNN operator in onnx.reference.ReferenceEvaluator",
        "onnx",
        "from onnx.reference import ReferenceEvaluator",
        '"onnx", onnx.__version__',
        """
names = [output.name for output in model.graph.output]
answers = dict(zip(names, ReferenceEvaluator(model).run(names, feeds)))
""",
    ),
    "openvino": (
        "The RNN operator of ONNX in OpenVINO",
        "onnx, openvino",
        "import openvino",
        '"OpenVINO", openvino.__version__, "onnx", onnx.__version__',
        """
core = openvino.Core()
network = core.read_model(model.SerializeToString(), b"")
network.reshape({name: list(array.shape) for name, array in feeds.items()})  # else lengths are ignored  #? packed
compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
answers = {output.get_any_name(): array for output, array in compiled(feeds).items()}
answers = {name: array.view(ml_dtypes.bfloat16) for name, array in answers.items()}  # it comes as float16  #? bfloat16
""",
    ),
}


def onnx_script(case: Case, runtime: str, device: str = "cpu") -> str:
    """The script of a case for one of RUNTIMES, on CPU; ValueError for another runtime or device."""
    expect_word("runtime", runtime, tuple(RUNTIMES))
    title, package, imported, versions, call = RUNTIMES[runtime]
    more = {
        "imported": imported,
        "element": ELEMENTS.get(case.dtype),
        "operator": {"tanh": "Tanh", "relu": "Relu"}.get(case.spec.nonlinearity),
        "opset": OPSET,
        "ir_version": IR_VERSION,
    }
    return script(case, Native(title, package, IMPORTS, versions, MODEL + call + ANSWER, ON_CPU), device, more)
