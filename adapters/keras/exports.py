"""The ways in which users export a model, and ask what was written: as ways.py, whose functions these use."""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path

from .ways import called, keras, layers_of


def to_export(given, steps=None):
    """A functional model of x, of the initial states and of the mask, where they are, that answers outputs, then
    states; and the arrays that it is called with.  steps: how many x has, any when None."""
    dtype, start, mask = given.words["dtype"], given.start or (), [] if given.mask is None else [given.mask]
    entry = keras.Input((steps, given.x.shape[2]), dtype=dtype)
    states = [keras.Input(h.shape[1:], dtype=dtype) for h in start]
    masks = [keras.Input((steps,), dtype="bool") for _ in mask]
    inside = given._replace(x=entry, start=states or None, mask=masks[0] if masks else None)
    outputs, finals = called(inside, layers_of(given, return_state=True, zero_output_for_mask=True))
    model = keras.Model(one_or_all([entry, *states, *masks]), [*outputs, *finals])
    arrays = [keras.ops.convert_to_numpy(one) for one in (given.x, *start, *mask)]
    model(one_or_all(arrays))  # before it was called Keras exports none
    return model, arrays


def one_or_all(several):
    """What a model is given: of one Input its array alone."""
    return several if len(several) > 1 else several[0]


def answered(given, answers):
    """Outputs and states, of a list of both."""
    return answers[: len(given.weights)], answers[len(given.weights) :]


def savedmodel(given):
    """Model.export of a model of any length, and what TensorFlow loads of it."""
    saved = import_module("tensorflow").saved_model
    model, arrays = to_export(given)
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        loaded = saved.load(folder)
        return answered(given, [one.numpy() for one in loaded.serve(one_or_all(arrays))])


def exported_to_onnx(given, steps):
    """Model.export of a model of so many steps, in ONNX Runtime."""
    model, arrays = to_export(given, steps)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        model.export(path, format="onnx", verbose=False)
        session = import_module("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    return answered(given, session.run(None, dict(zip(names, arrays, strict=True))))


def onnx(given):
    """Model.export to ONNX of a model whose Input says how many steps there are."""
    return exported_to_onnx(given, given.x.shape[1])


def onnx_of_any_length(given):
    """Model.export to ONNX of a model whose Input says None of the steps."""
    return exported_to_onnx(given, None)


def exported_to_openvino(given, steps):
    """Model.export of a model of so many steps, in OpenVINO, which is told to compute in float32."""
    model, arrays = to_export(given, steps)
    core = import_module("openvino").Core()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.xml")
        model.export(str(path), format="openvino", verbose=False)
        compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        answers = compiled(arrays)
    return answered(given, [answers[number] for number in range(len(compiled.outputs))])


def openvino(given):
    """Model.export to OpenVINO of a model whose Input says how many steps there are."""
    return exported_to_openvino(given, given.x.shape[1])


def openvino_of_any_length(given):
    """Model.export to OpenVINO of a model whose Input says None of the steps."""
    return exported_to_openvino(given, None)


def through_torch(given, **words):
    """Model.export to a program of torch.export, and what torch loads of it.  words: each made of the arrays."""
    exported = import_module("torch").export
    model, arrays = to_export(given, given.x.shape[1])
    words = {word: make(arrays) for word, make in words.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.pt2")
        model.export(path, format="torch", verbose=False, **words)
        program = exported.load(path).module()
    return answered(given, program(one_or_all([keras.ops.convert_to_tensor(one) for one in arrays])))


def exported_program(given):
    """Model.export to a program of torch.export, for so many sequences and steps."""
    return through_torch(
        given,
        input_signature=lambda arrays: [one_or_all([keras.InputSpec(one.dtype.name, one.shape) for one in arrays])],
    )


def exported_program_of_any_batch(given):
    """Model.export to a program of torch.export, for so many steps and any number of sequences."""
    batch = import_module("torch").export.Dim("batch")
    return through_torch(given, dynamic_shapes=lambda arrays: [(one_or_all([{0: batch} for _ in arrays]),)])
