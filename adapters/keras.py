"""Keras SimpleRNN, alone, stacked and in Bidirectional; written against `keras` alone, on whatever backend it has."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow prints its start-up banner on stderr otherwise

import keras
import numpy as np

from reference import Case, CellParameters, Lengths, RNNSpec
from reference.arguments import check_inputs, check_parameters

from .contract import Capabilities, Result, Unsupported, cast_exactly, expect_device, features_of
from .keras_models import RNNStack, recurrent_layers, simple_rnns, spec_of
from .keras_modes import BUILT_WITH, LACKING, WRONG_TOGETHER, InMode
from .keras_script import keras_device, keras_script

BACKEND = keras.backend.backend()

# Where result_type narrows float64, a float64 layer multiplies in float32 and says nothing (keras issue 23704).
NARROWED = (
    {}
    if keras.backend.result_type("float64", "float64") == "float64"
    else {("dtype", "float64"): f"on {BACKEND}, Keras computes the products of float64 tensors in float32"}
)


class KerasAdapter:
    """keras SimpleRNN on the backend that KERAS_BACKEND names."""

    name = "keras"
    backend = BACKEND
    framework: Any = keras
    version = f"{keras.__version__} on {BACKEND} {import_module(BACKEND).__version__}"
    capabilities = Capabilities(
        unsupported={
            ("time", "0"): "SimpleRNN reads the first step before it starts (slice index 0 out of bounds)",
            **NARROWED,
            **{("mode", mode): reason for mode, reason in LACKING.items()},
        },
        together=WRONG_TOGETHER,
        emulated={
            ("layout", "time_first"): "Keras 3 has batch-first layers only; the adapter transposes",
            ("layout", "unbatched"): "Keras layers are batched; the adapter adds and removes a batch of 1",
            ("direction", "reverse"): "go_backwards answers in processing order; the adapter puts it in time order",
        },
    )

    def devices(self) -> tuple[str, ...]:
        return ("cpu", *(f"cuda:{index}" for index in range(_gpu_count())))

    def environment(self) -> dict[str, Any]:
        """Keras, and its backend's versions and settings that decide numbers."""
        return {"Keras": keras.__version__, "Keras backend": BACKEND, "floatx": keras.config.floatx(), **_backend()}

    def build(
        self,
        spec: RNNSpec,
        parameters: Sequence[CellParameters],
        device: str = "cpu",
        dtype: str | None = None,
        mode: str = "eager",
    ) -> Any:
        self.capabilities.require({"mode": mode})
        check_parameters(spec, parameters)
        parameters = cast_exactly(parameters, dtype)
        expect_device(device, self.devices())
        dtype = parameters[0].dtype.name
        with on(device):
            stack = [_layer(spec, layer, dtype, mode) for layer in range(spec.num_layers)]
            cells = [simple for layer in stack for simple in simple_rnns(layer)]
            for simple, cell in zip(cells, parameters, strict=True):
                simple.cell.set_weights(_to_keras(cell))
            model = RNNStack(stack, dtype=dtype)
        model.device = device
        return model if mode == "eager" else InMode(model, mode)

    def run(
        self,
        module: Any,
        x: np.ndarray,
        h0: np.ndarray | None = None,
        lengths: Lengths = None,
        layout: str = "batch_first",
    ) -> Result:
        called = module.every_layer if isinstance(module, RNNStack) else module
        module, mode = (module.model, module.mode) if isinstance(module, InMode) else (module, "eager")
        if not isinstance(module, RNNStack):
            raise Unsupported(f"module: got {type(module).__name__}, expected what build returns: build(*read(module))")
        spec = spec_of(module)
        check_inputs(spec, x, h0, lengths, layout, np.dtype(module.compute_dtype))
        self.capabilities.require(features_of(spec, x, h0, lengths, layout, mode))
        x, h0 = _batch_first(x, h0, layout)
        mask = None if lengths is None else np.arange(x.shape[1]) < np.atleast_1d(np.asarray(lengths))[:, None]
        with on(getattr(module, "device", "cpu")):
            outputs, states = called(
                tensor(x),
                None if h0 is None else [tensor(h) for h in h0],
                None if mask is None else tensor(mask),
            )
        arrays = [_from_batch_first(array_of(output), layout) for output in outputs]
        h_n = np.stack([array_of(state) for state in states])
        return Result(arrays[-1], h_n[:, 0] if layout == "unbatched" else h_n, arrays[:-1])

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        expect_device(device, self.devices())
        with on(device):
            head = keras.layers.Dense(len(weight), dtype=weight.dtype.name)
            head.build((None, weight.shape[1]))
            head.set_weights([np.array(weight.T, order="C"), np.array(bias)])
            return array_of(head(tensor(x)))

    def activation(self, a: np.ndarray, nonlinearity: str) -> np.ndarray:
        with on("cpu"):
            return array_of(keras.activations.get(nonlinearity)(tensor(a)))

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """Of an RNNStack, a SimpleRNN, a Bidirectional one, or a sequential or functional model that stacks them.

        What is read is what inference computes: dropout and recurrent_dropout have no effect on it. The state
        that a stateful layer carries from call to call is not a parameter: it is the next call's h0.
        """
        spec = spec_of(module)
        return spec, [_from_keras(simple.cell) for layer in recurrent_layers(module) for simple in simple_rnns(layer)]

    def script(self, case: Case, device: str = "cpu") -> str:
        x64 = bool(BACKEND == "jax" and import_module("jax").config.jax_enable_x64)
        return keras_script(case, device, BACKEND, x64)


def on(device: str) -> AbstractContextManager[Any]:
    """Keras' scope for a device."""
    return keras.device(keras_device(device, BACKEND))


def _gpu_count() -> int:
    if BACKEND == "torch":  # keras.distribution is not implemented on it
        return import_module("torch").cuda.device_count()
    if BACKEND in ("tensorflow", "jax"):
        return sum(device.startswith(("gpu", "cuda")) for device in keras.distribution.list_devices())
    return 0


def _backend() -> dict[str, Any]:
    framework = import_module(BACKEND)
    about: dict[str, Any] = {BACKEND: str(framework.__version__)}
    if BACKEND == "tensorflow":
        build = framework.sysconfig.get_build_info()
        about["CUDA"], about["cuDNN"] = build.get("cuda_version"), build.get("cudnn_version")
        about["TF32"] = framework.config.experimental.tensor_float_32_execution_enabled()
        about["intra-op threads"] = framework.config.threading.get_intra_op_parallelism_threads()
    elif BACKEND == "jax":
        about["jaxlib"] = import_module("jaxlib").__version__
        about["x64"] = framework.config.jax_enable_x64
        about["matmul precision"] = framework.config.jax_default_matmul_precision
        about["platform"] = framework.default_backend()
    elif BACKEND == "torch":
        about["CUDA"] = framework.version.cuda
        about["float32 matmul precision"] = framework.get_float32_matmul_precision()
        about["deterministic algorithms"] = framework.are_deterministic_algorithms_enabled()
    return about


def tensor(array: np.ndarray) -> Any:
    """A tensor of the same values and dtype: without being told, Keras makes float32 of float64 on torch.

    The array is copied: a backend may refuse its strides, or share its memory.
    """
    return keras.ops.convert_to_tensor(np.array(array, order="C"), dtype=array.dtype.name)


def array_of(value: Any) -> np.ndarray:
    """A NumPy copy of a tensor or variable on any device."""
    with warnings.catch_warnings():
        # TensorFlow's bfloat16 tensors and torch's do not know NumPy 2's copy keyword, and are copied all the same
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy keyword", DeprecationWarning)
        return np.array(keras.ops.convert_to_numpy(value))


def _layer(spec: RNNSpec, layer: int, dtype: str, mode: str) -> Any:
    simple = keras.layers.SimpleRNN(
        spec.hidden_size,
        activation=spec.nonlinearity,
        use_bias=spec.bias,
        recurrent_initializer="zeros",  # as all weights, replaced at once; the default's QR lacks bfloat16
        return_sequences=True,
        return_state=True,
        zero_output_for_mask=True,
        go_backwards=spec.direction == "reverse",
        dtype=dtype,
        **BUILT_WITH.get(mode, {}),
    )
    built = keras.layers.Bidirectional(simple, dtype=dtype) if spec.direction == "bidirectional" else simple
    built.build((None, None, spec.layer_input_size(layer)))
    return built


def _to_keras(cell: CellParameters) -> list[np.ndarray]:
    """[kernel, recurrent_kernel, bias]: columns are units, and the one bias is the sum of both."""
    weights = [np.array(w.T, order="C") for w in (cell.w_ih, cell.w_hh)]
    return weights if cell.b_ih is None else [*weights, cell.b_ih + cell.b_hh]


def _from_keras(cell: Any) -> CellParameters:
    """A SimpleRNNCell's weights: its bias becomes b_ih, and b_hh is zero."""
    w_ih, w_hh = (np.ascontiguousarray(array_of(w).T) for w in (cell.kernel, cell.recurrent_kernel))
    b_ih = array_of(cell.bias) if cell.use_bias else None
    return CellParameters(w_ih, w_hh, b_ih, None if b_ih is None else np.zeros_like(b_ih))


def _batch_first(x: np.ndarray, h0: np.ndarray | None, layout: str) -> tuple[np.ndarray, np.ndarray | None]:
    if layout == "unbatched":
        return x[None], None if h0 is None else h0[:, None]
    return (x.transpose(1, 0, 2) if layout == "time_first" else x), h0


def _from_batch_first(output: np.ndarray, layout: str) -> np.ndarray:
    if layout == "unbatched":
        return output[0]
    return output.transpose(1, 0, 2) if layout == "time_first" else output
