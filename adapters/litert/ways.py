"""How users convert Keras models for LiteRT, and ask what came of it. Each function stands in scripts as it is here.

model: a keras.Model whose inputs have names.  content: the bytes of a .tflite file.  feeds: arrays by the names of the
inputs. What is asked answers the model's outputs, in their order.
"""

from __future__ import annotations

from typing import Any


def silent(function: Any, *given: Any, **words: Any) -> Any:
    """What a function answers, without what Keras prints of each export."""
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        return function(*given, **words)


def signature_of(model: Any) -> list[Any]:
    """The shapes and dtypes of a model's inputs, with their names."""
    import tensorflow as tf

    return [tf.TensorSpec(one.shape, one.dtype, name=one.name) for one in model.inputs]


def from_keras_model(model: Any) -> bytes:
    import tensorflow as tf

    return silent(tf.lite.TFLiteConverter.from_keras_model(model).convert)


def function_of(model: Any) -> Any:
    """A concrete function that calls a model."""
    import tensorflow as tf

    return tf.function(lambda *inputs: model(list(inputs))).get_concrete_function(*signature_of(model))


def from_concrete_functions(model: Any) -> bytes:
    """Of a function, and the model whose variables it reads."""
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_concrete_functions([function_of(model)], model).convert()


def from_a_function_alone(model: Any) -> bytes:
    """Of a function alone: what comes of it has no signature."""
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_concrete_functions([function_of(model)]).convert()


def from_variables(model: Any) -> bytes:
    """Of a function, and a module of the variables that it reads. With a model of Keras 2 itself the functions of every
    layer are saved, which takes minutes where several were made."""
    import tensorflow as tf

    read: Any = tf.Module()
    read.variables_of_the_model = model.variables
    return tf.lite.TFLiteConverter.from_concrete_functions([function_of(model)], read).convert()


def from_saved_model(model: Any) -> bytes:
    """Of a folder, as keras.export.ExportArchive writes it."""
    import tempfile

    import keras
    import tensorflow as tf

    archive: Any = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", lambda *inputs: model(list(inputs)), input_signature=signature_of(model))
    with tempfile.TemporaryDirectory() as folder:
        silent(archive.write_out, folder, verbose=False)
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def exported(model: Any) -> bytes:
    """By Keras itself, which is told the shapes: else it makes the number of sequences dynamic, and the file needs
    TensorFlow's own kernels, which LiteRT lacks."""
    import tempfile
    from pathlib import Path

    specs = signature_of(model)
    words = {"input_signature": [specs] if len(specs) > 1 else specs}
    with tempfile.TemporaryDirectory() as folder:
        silent(model.export, f"{folder}/model.tflite", format="litert", verbose=False, **words)
        return Path(folder, "model.tflite").read_bytes()


def inference_exported(model: Any) -> bytes:
    """Of a folder, as Model.export of Keras 2 writes it."""
    import tempfile

    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        silent(model.export, folder)
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def in_order(answers: dict[str, Any]) -> list[Any]:
    """Outputs by the number at the end of their names: output_0, output_1, ...; or Identity, Identity_1."""
    import re

    return [answers[name] for name in sorted(answers, key=lambda name: int(re.findall(r"\d+", f"0 {name}")[-1]))]


def by_signature(content: bytes, feeds: dict[str, Any], **words: Any) -> list[Any]:
    """By the runner of the one signature."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, **words)
    return in_order(interpreter.get_signature_runner()(**feeds))


def tensors_of(interpreter: Any, feeds: dict[str, Any]) -> list[Any]:
    """By set_tensor, invoke and get_tensor. An input is named after that of the model, in words of its own."""
    for one in interpreter.get_input_details():
        name = one["name"].removeprefix("serving_default_").partition(":")[0]
        interpreter.set_tensor(one["index"], feeds[name])
    interpreter.invoke()
    answers = {one["name"]: interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()}
    return in_order(answers)


def by_tensors(content: bytes, feeds: dict[str, Any], **words: Any) -> list[Any]:
    """By an interpreter whose tensors are allocated."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, **words)
    interpreter.allocate_tensors()
    return tensors_of(interpreter, feeds)


def resized(content: bytes, feeds: dict[str, Any]) -> list[Any]:
    """By an interpreter whose inputs are resized first."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    for one in interpreter.get_input_details():
        name = one["name"].removeprefix("serving_default_").partition(":")[0]
        interpreter.resize_tensor_input(one["index"], feeds[name].shape)
    interpreter.allocate_tensors()
    return tensors_of(interpreter, feeds)


def another(feeds: dict[str, Any]) -> dict[str, Any]:
    """Another question of the same shapes."""
    return {name: array if array.dtype == bool else -array for name, array in feeds.items()}


def asked_before(content: bytes, feeds: dict[str, Any], reset: bool = False) -> list[Any]:
    """By an interpreter of a file that answered another question before, with two threads.  reset: whether its
    variables are then set back."""
    import tempfile
    from pathlib import Path

    from ai_edge_litert.interpreter import Interpreter

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.tflite").write_bytes(content)
        interpreter = Interpreter(f"{folder}/model.tflite", num_threads=2)
    interpreter.allocate_tensors()
    tensors_of(interpreter, another(feeds))
    if reset:
        interpreter.reset_all_variables()
    return tensors_of(interpreter, feeds)


def set_back(content: bytes, feeds: dict[str, Any]) -> list[Any]:
    """By one that answered another question before, and whose variables are then set back."""
    return asked_before(content, feeds, reset=True)


def by_reference_kernels(content: bytes, feeds: dict[str, Any]) -> list[Any]:
    """By the kernels that are written for clearness, and not for speed."""
    from ai_edge_litert.interpreter import OpResolverType

    return by_tensors(content, feeds, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)


def without_delegates(content: bytes, feeds: dict[str, Any]) -> list[Any]:
    """By the kernels of LiteRT alone: no part is handed to XNNPACK."""
    from ai_edge_litert.interpreter import OpResolverType

    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return by_tensors(content, feeds, experimental_op_resolver_type=resolver)


def by_a_compiled_model(content: bytes, *asked: dict[str, Any]) -> list[Any]:
    """By LiteRT's CompiledModel, of the one signature, on the CPU: what it answers to the last that is asked."""
    import numpy as np
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.interpreter import Interpreter

    model = CompiledModel.from_buffer(content)
    (key, names), *_ = model.get_signature_list().items()
    inputs = {name: model.create_input_buffer_by_name(key, name) for name in names["inputs"]}
    outputs = {name: model.create_output_buffer_by_name(key, name) for name in names["outputs"]}
    for feeds in asked:
        for name, buffer in inputs.items():
            buffer.write(np.ascontiguousarray(feeds[name]))
        model.run_by_name(key, inputs, outputs)
    # CompiledModel tells no shapes before 2.1, and none of a loop's states
    details = Interpreter(model_content=content).get_signature_runner(key).get_output_details()
    shapes = {name: one["shape"] for name, one in details.items()}
    return in_order({
        name: np.array(buffer.read(int(np.prod(shapes[name])), np.float32)).reshape(shapes[name])
        for name, buffer in outputs.items()
    })  # fmt: skip


def by_a_compiled_model_asked_before(content: bytes, feeds: dict[str, Any]) -> list[Any]:
    """By one that answered another question before, in the same buffers."""
    return by_a_compiled_model(content, another(feeds), feeds)


def by_tensorflow(content: bytes, feeds: dict[str, Any]) -> list[Any]:
    """By tf.lite.Interpreter, which TensorFlow still has beside LiteRT's."""
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    return tensors_of(interpreter, feeds)
