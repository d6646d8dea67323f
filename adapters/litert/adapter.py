"""Keras' SimpleRNN, GRU and LSTM, converted by TensorFlow and run by the interpreter of LiteRT, on CPU.

Each recurrent layer becomes a loop (WHILE), as Keras 3 marks none for the converter's fused UnidirectionalSequenceLSTM;
that is asked in idioms, of the LSTM of Keras 2.
Quantized models are not asked for: the arithmetic of their weights and operands has no bound here.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np

from reference import Case, CellParameters, RNNSpec

# before Keras: on another backend there is no converter
from .settings import keras, tensorflow  # isort: split

import ai_edge_litert

from ..contract import Capabilities, Compiles, Idiom, Refusal, Result, expect_device
from ..inputs import Framework, Inputs, Known, expect_built
from ..keras.mapping import MAPPING, h_n_of
from ..keras.modes import plain
from ..keras.read import read_model
from ..readers import refuse
from .idioms import NO_KERAS_2, RUN, WAYS, Way
from .models import feeds_of, in_keras, in_tf_keras, model_of, stack_of
from .script import litert_script

NO_KERNEL = Refusal("ConverterError", "Some ops are not supported by the native TFLite runtime")
NO_STEPS = Refusal("ValueError", "slice index 0 of dimension 1 out of bounds")
NO_SEQUENCES = Refusal("ValueError", "Invalid tensor size")
NO_TYPE = Refusal("ValueError", "Unsupported TensorFlow type")


class LiteRTStack:
    """What build returns: the weights of a stack, and each model that run asked for once it is converted.

    Weights are constants of a model, and so are the sizes of its inputs.
    """

    def __init__(self, spec: RNNSpec, parameters: Sequence[CellParameters]) -> None:
        self.spec, self.parameters = spec, [cell.astype(cell.dtype) for cell in parameters]
        self._stack = stack_of(spec, self.parameters)
        self._lock, self._converted = threading.Lock(), dict[Any, bytes]()

    @property
    def model(self) -> Any:
        """The stack as a plain keras.Model of x (batch, time, features), of any sizes, as Keras' adapter has it."""
        return plain(stack_of(self.spec, self.parameters))

    def content(self, feeds: dict[str, np.ndarray]) -> bytes:
        """The bytes of a .tflite file that takes arrays of these shapes, by these names."""
        sizes = feeds["x"].shape[:2]
        with self._lock:
            key = sizes, tuple(feeds)
            if key not in self._converted:
                self._converted[key] = RUN.convert(model_of(self._stack, sizes, [*feeds]))
            return self._converted[key]


class LiteRTAdapter(Framework):
    """The interpreter of ai_edge_litert, given models that TensorFlow converts of Keras layers."""

    name = "litert"
    framework: Any = ai_edge_litert
    version = f"{version('ai-edge-litert')} of TensorFlow {tensorflow.__version__}"
    capabilities = Capabilities(
        refused={
            **{(("dtype", dtype),): NO_KERNEL for dtype in ("float64", "float16")},
            (("dtype", "bfloat16"),): NO_TYPE,
            (("time", "0"),): NO_STEPS,
            (("batch", "0"),): NO_SEQUENCES,
        },
        emulated={
            ("layout", "time_first"): "Keras 3 has batch-first layers only; the adapter transposes",
            ("layout", "unbatched"): "Keras layers are batched; the adapter adds and removes a batch of 1",
            ("direction", "reverse"): "go_backwards answers in processing order; the model puts it in time order",
        },
        offers=(("mask", True), *(("cell", cell) for cell in MAPPING if cell != "elman")),
    )
    compiles = Compiles(weights=True)

    def __init__(self) -> None:
        self.idioms = {
            word: Idiom(way.says, partial(self._in_a_way, way), way.view, way.without, way.refused,
                        absent=way.absent, answers=way.answers, compiles=True)
            for word, way in WAYS.items()
        }  # fmt: skip

    def environment(self) -> dict[str, Any]:
        return {
            "LiteRT": version("ai-edge-litert"),
            "TensorFlow": str(tensorflow.__version__),
            "Keras": str(keras.__version__),
            "tf_keras": None if NO_KERAS_2 else version("tf_keras"),
            "delegate": "XNNPACK (LiteRT's default)",
        }

    def _make(self, spec: RNNSpec, parameters: list[CellParameters], device: str, mode: str, layout: str | None) -> Any:
        """A LiteRTStack: its model is a plain keras.Model, batch first, of any sizes."""
        refuse(f"layout {layout}", {"Keras layers are batch first": layout not in (None, "batch_first")})
        refuse("held", {"the converted model answers zero at masked steps": spec.held})
        return LiteRTStack(spec, parameters)

    def _known(self, module: Any) -> Known:
        expect_built(module, LiteRTStack)
        return Known(module, module.spec, module.parameters[0].dtype)

    def _run(self, known: Known, inputs: Inputs) -> Result:
        inputs = inputs.to("batch_first")
        feeds = feeds_of(known.spec, inputs)
        return self._result(known.spec, inputs, RUN.ask(known.native.content(feeds), feeds))

    def _in_a_way(self, way: Way, case: Case, device: str) -> Result:
        """The answer to a case by a model that is made, converted or asked in another way."""
        expect_device(device, self.devices())
        lengths = None if case.lengths is None else np.atleast_1d(np.asarray(case.lengths))
        inputs = Inputs(case.x, case.h0, lengths, case.mask, case.layout, case.layout).to("batch_first")
        feeds, (batch, time) = feeds_of(case.spec, inputs), inputs.x.shape[:2]
        sizes = None if "batch" in way.any_size else batch, None if "time" in way.any_size else time
        made = {"keras": in_keras, "tf_keras": in_tf_keras}[way.layers]
        model = made(case.spec, case.parameters, sizes, [*feeds], **way.built)
        result = self._result(case.spec, inputs, way.ask(way.convert(model), feeds))
        shown = {"output": way.view.output, "prefixes": way.view.output, "h_n": way.view.states}
        return result._replace(**{part: None for part, what in shown.items() if what == "none"})

    def _result(self, spec: RNNSpec, inputs: Inputs, answers: Sequence[np.ndarray]) -> Result:
        """Of the outputs of a model: each layer's, and the final states."""
        outputs, states = (
            [np.array(one) for one in some] for some in (answers[: spec.num_layers], answers[spec.num_layers :])
        )
        return inputs.result(outputs, h_n_of(spec, states) if states else None)

    def _dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str) -> np.ndarray:
        head = keras.layers.Dense(len(weight), dtype=weight.dtype.name)
        rows = x.reshape(-1, x.shape[-1])
        head.build(rows.shape)
        head.set_weights([np.array(weight.T, order="C"), np.array(bias)])
        return self._of_a_layer(head, rows).reshape(*x.shape[:-1], len(weight))

    def _activation(self, a: np.ndarray, nonlinearity: str, device: str) -> np.ndarray:
        return self._of_a_layer(keras.layers.Activation(nonlinearity, dtype=a.dtype.name), a.reshape(-1, 1)).reshape(
            a.shape
        )

    def _of_a_layer(self, layer: Any, x: np.ndarray) -> np.ndarray:
        entry = keras.Input(batch_shape=x.shape, dtype=x.dtype.name, name="x")
        (answer,) = RUN.ask(RUN.convert(keras.Model([entry], layer(entry))), {"x": np.ascontiguousarray(x)})
        return np.array(answer)

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """Of what build returns, or of a Keras model that is to be converted; a converted one keeps operators, and no
        layers."""
        refuse(
            "module", {"got bytes, expected a Keras model: a .tflite file keeps no layers": isinstance(module, bytes)}
        )
        return read_model(module.model if isinstance(module, LiteRTStack) else module)[:2]

    def script(self, case: Case, device: str = "cpu", way: str = "eager") -> str:
        return litert_script(case, device, way)
