"""How users load ONNX models and ask them, in other ways than run: each function answers by the names of outputs.

Each imports what it needs, and stands in scripts as it is here. model: an onnx.ModelProto.  feeds: arrays by the names
of its inputs.
"""

from __future__ import annotations

from typing import Any


def evaluator_of_a_file(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """The model lies in a file, and its weights in another beside it."""
    import tempfile

    import onnx
    from onnx.reference import ReferenceEvaluator

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/stack.onnx"
        onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=64)
        evaluator = ReferenceEvaluator(path)
    names = [output.name for output in model.graph.output]
    return dict(zip(names, evaluator.run(names, feeds), strict=True))


def session_of_a_file(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """The model lies in a file, and its weights in another beside it."""
    import tempfile

    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/stack.onnx"
        onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=64)
        session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def session_of_a_level(model: Any, feeds: dict[str, Any], level: str) -> dict[str, Any]:
    """A session with another level of graph optimization."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def session_of_a_provider(model: Any, feeds: dict[str, Any], provider: str) -> dict[str, Any]:
    """A session of another execution provider, and the CPU's for what it does not compute."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=[provider, "CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def session_asked_before(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """A session that answered for more steps: for its last output first, by arrays that are not contiguous."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    session.run(None, {**feeds, "x": -np.concatenate([feeds["x"], feeds["x"]])})
    names = [output.name for output in session.get_outputs()][::-1]
    given = {name: np.stack([array, -array], axis=-1)[..., 0] for name, array in feeds.items()}
    return dict(zip(names, session.run(names, given), strict=True))


def session_of_a_saved_model(model: Any, feeds: dict[str, Any], kind: str) -> dict[str, Any]:
    """Of the file that another session saved once it had optimized the model.  kind: of the file, "onnx" or "ort"."""
    import tempfile

    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns that the file is for a processor like this one
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = f"{folder}/stack.{kind}"
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        session = onnxruntime.InferenceSession(f"{folder}/stack.{kind}", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def session_in_parallel(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """Nodes are computed side by side, of OrtValues."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    options.inter_op_num_threads = options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in feeds.items()}
    answers = session.run_with_ort_values(names, values)
    return {name: answer.numpy() for name, answer in zip(names, answers, strict=True)}


def io_binding(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """The inputs are bound to arrays, and the outputs to memory of the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    binding, names = session.io_binding(), [output.name for output in session.get_outputs()]
    for name, array in feeds.items():
        binding.bind_cpu_input(name, array)
    for name in names:
        binding.bind_output(name)
    session.run_with_iobinding(binding)
    return dict(zip(names, binding.copy_outputs_to_cpu(), strict=True))


def compiled(model: Any, feeds: dict[str, Any], settings: dict[str, str]) -> dict[str, Any]:
    """The model is read and compiled, and its shapes stay as they are."""
    import openvino

    core = openvino.Core()
    answers = core.compile_model(core.read_model(model.SerializeToString(), b""), "CPU", settings)(feeds)
    return dict(zip([output.name for output in model.graph.output], answers.values(), strict=True))


def compiled_as_it_comes(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """The model is read and compiled, with no setting and no device named."""
    import openvino

    core = openvino.Core()
    answers = core.compile_model(core.read_model(model.SerializeToString(), b""))(feeds)
    return dict(zip([output.name for output in model.graph.output], answers.values(), strict=True))


def with_fixed_shapes(network: Any, feeds: dict[str, Any]) -> Any:
    """The network; its shapes are fixed where there are lengths, which are ignored else."""
    if "sequence_lens" in feeds and feeds["sequence_lens"].size:
        network.reshape({name: list(array.shape) for name, array in feeds.items()})
    return network


def compiled_for_throughput(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """A compiled model with the performance hint of throughput."""
    import openvino

    core = openvino.Core()
    network = with_fixed_shapes(core.read_model(model.SerializeToString(), b""), feeds)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
    answers = core.compile_model(network, "CPU", settings)(feeds)
    return dict(zip([output.name for output in model.graph.output], answers.values(), strict=True))


def converted(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """openvino.convert_model of a file."""
    import tempfile

    import onnx
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/stack.onnx"
        onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=64)
        network = openvino.convert_model(path)
        with_fixed_shapes(network, feeds)
        answers = openvino.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(feeds)
    return dict(zip([output.name for output in model.graph.output], answers.values(), strict=True))


def exported_and_imported(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """A compiled model that was exported and imported."""
    import openvino

    core = openvino.Core()
    network = with_fixed_shapes(core.read_model(model.SerializeToString(), b""), feeds)
    exported = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).export_model()
    answers = core.import_model(exported, "CPU")(feeds)
    return dict(zip([output.name for output in model.graph.output], answers.values(), strict=True))


def asked_before(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """A request that answered another question before, while a second request is under way."""
    import openvino

    core = openvino.Core()
    network = core.read_model(model.SerializeToString(), b"")
    other = {name: -array for name, array in feeds.items()} | {"x": -feeds["x"][: (len(feeds["x"]) + 1) // 2]}
    if "sequence_lens" in feeds and feeds["sequence_lens"].size:
        with_fixed_shapes(network, feeds)
        other = {name: -array for name, array in feeds.items()} | {"sequence_lens": feeds["sequence_lens"][::-1].copy()}
    compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    first, second = compiled.create_infer_request(), compiled.create_infer_request()
    first.infer(other)
    second.start_async(other)
    first.start_async(feeds)
    first.wait()
    second.wait()
    answers = [first.get_output_tensor(number).data.copy() for number in range(len(compiled.outputs))]
    return dict(zip([output.name for output in model.graph.output], answers, strict=True))


def torch_tensor(array: Any) -> Any:
    import torch

    return torch.tensor(array.astype("float64")).to(getattr(torch, array.dtype.name))


def torch_layer(model: Any) -> Any:
    """torch's layer that has the model's weights."""
    import numpy as np
    import torch
    from onnx import helper, numpy_helper

    arrays = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in ("RNN", "GRU", "LSTM")]
    order = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 2, 3, 1]}[nodes[0].op_type]  # torch's gates, in ONNX's
    activation = next(helper.get_attribute_value(one)[0] for one in nodes[0].attribute if one.name == "activations")
    more = {"nonlinearity": activation.decode().lower()} if nodes[0].op_type == "RNN" else {}
    (directions, _, size), hidden, bias = arrays["W_0"].shape, arrays["R_0"].shape[2], "B_0" in arrays
    layer = getattr(torch.nn, nodes[0].op_type)(
        size,
        hidden,
        num_layers=len(nodes),
        bias=bias,
        bidirectional=directions == 2,
        dtype=torch_tensor(arrays["W_0"]).dtype,
        **more,
    )
    with torch.no_grad():
        for n in range(len(nodes)):
            for d, end in enumerate(("", "_reverse")[:directions]):
                halves = np.split(arrays[f"B_{n}"][d], 2) if bias else []
                given = {"weight_ih": arrays[f"W_{n}"][d], "weight_hh": arrays[f"R_{n}"][d]}
                for name, array in {**given, **dict(zip(("bias_ih", "bias_hh"), halves, strict=False))}.items():
                    gates = np.split(array, len(order))
                    getattr(layer, f"{name}_l{n}{end}").copy_(torch_tensor(np.concatenate([gates[g] for g in order])))
    return layer


def packing(layer: Any) -> Any:
    """A module of x, states where they are given, and lengths, by which it packs for a layer."""
    import torch

    class Packing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Any, *given: Any) -> Any:
            *states, lengths = given
            packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths.long(), enforce_sorted=False)
            output, final = self.layer(packed, *as_torch_has(states))
            return torch.nn.utils.rnn.pad_packed_sequence(output, total_length=len(x))[0], final

    return Packing()


def as_torch_has(states: list[Any]) -> list[Any]:
    """h, or the pair of h and c, or nothing."""
    return [tuple(states)] if len(states) > 1 else states


def converted_from_torch(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """openvino.convert_model of torch's layer that has the model's weights; sequences are packed by lengths."""
    import warnings

    import openvino

    feeds = {name: feeds[name] for name in sorted(feeds, key="sequence_lens".__eq__)}  # the lengths last
    x, *more = map(torch_tensor, feeds.values())
    module, example = torch_layer(model), (x, *as_torch_has(more))
    if "sequence_lens" in feeds:
        module, example = packing(module), (x, *more)
    with warnings.catch_warnings():  # of torch, which is about to drop what the conversion traces with
        warnings.simplefilter("ignore")
        network = openvino.convert_model(module, example_input=example)
    answers = openvino.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([*feeds.values()])
    return dict(zip(("output", "h_n", "c_n"), answers.values(), strict=False))
