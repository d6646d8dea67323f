"""Keras SimpleRNN, alone, stacked and in Bidirectional; written against `keras` alone, on whatever backend it has."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow prints its start-up banner on stderr otherwise

import keras
import numpy as np

from reference import Case, CellParameters, Lengths, RNNSpec
from reference.arguments import check_inputs

from .contract import Capabilities, Result, Unsupported, expect_build, expect_device, features_of, with_modes
from .keras_models import RNNStack, recurrent_layers, simple_rnns, spec_of
from .keras_modes import BUILT_WITH, LACKING, ON_CUDA, TOGETHER, InMode
from .keras_script import keras_device, keras_script
from .keras_settings import environment, settings

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
            **{("mode", mode): reason for mode, reason in (LACKING | ON_CUDA).items()},
        },
        together=TOGETHER,
        emulated={
            ("layout", "time_first"): "Keras 3 has batch-first layers only; the adapter transposes",
            ("layout", "unbatched"): "Keras layers are batched; the adapter adds and removes a batch of 1",
            ("direction", "reverse"): "go_backwards answers in processing order; the adapter puts it in time order",
            ("mode", "sequential"): "a sequential model shows no states: h_n is taken from its output",
        },
        arithmetics={
            (("dtype", "float16"),): "float16_accumulate_float32",
            (("dtype", "bfloat16"),): "bfloat16_accumulate_float32",
            (("dtype", "float32"), ("mode", "tf32")): "tf32",
            (("dtype", "float32"), ("mode", "bfloat16_products")): "bfloat16_products",
        },
    )

    def capabilities_on(self, device: str) -> Capabilities:
        return with_modes(self.capabilities, ON_CUDA) if device.startswith("cuda") else self.capabilities

    def devices(self) -> tuple[str, ...]:
        return ("cpu", *(f"cuda:{index}" for index in range(_gpu_count())))

    def environment(self) -> dict[str, Any]:
        return environment()

    def build(
        self,
        spec: RNNSpec,
        parameters: Sequence[CellParameters],
        device: str = "cpu",
        dtype: str | None = None,
        mode: str = "eager",
    ) -> Any:
        parameters = expect_build(self, spec, parameters, device, dtype, mode)
        self.capabilities_on(device).require({"dtype": parameters[0].dtype.name})  # of which weights are kept exactly
        dtype = parameters[0].dtype.name
        if mode == "mixed":
            dtype, parameters = f"mixed_{dtype}", [cell.astype("float32") for cell in parameters]
        with on(device):
            stack = [_layer(spec, layer, dtype, mode) for layer in range(spec.num_layers)]
            cells = [simple for layer in stack for simple in simple_rnns(layer)]
            for simple, cell in zip(cells, parameters, strict=True):
                simple.cell.set_weights(_to_keras(cell))
            model = RNNStack(stack, dtype=dtype)
        model.device = device
        return model if mode == "eager" else InMode(model, mode, spec)

    def run(
        self,
        module: Any,
        x: np.ndarray,
        h0: np.ndarray | None = None,
        lengths: Lengths = None,
        layout: str = "batch_first",
        mask: np.ndarray | None = None,
    ) -> Result:
        if not isinstance(module, RNNStack | InMode):
            raise Unsupported(f"module: got {type(module).__name__}, expected what build returns: build(*read(module))")
        called, model, mode = _call(module)
        spec = module.spec if isinstance(module, InMode) else spec_of(module)
        device = getattr(model, "device", "cpu")
        check_inputs(spec, x, h0, lengths, layout, np.dtype(model.compute_dtype), mask)
        self.capabilities_on(device).require(features_of(spec, x, h0, lengths, layout, mask=mask, mode=mode))
        x, h0, mask = _batch_first(x, h0, mask, layout)
        if lengths is not None:
            mask = np.arange(x.shape[1]) < np.atleast_1d(np.asarray(lengths))[:, None]
        with on(device, mode):
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

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        expect_device(device, self.devices())
        with on(device):
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


@contextmanager
def on(device: str, mode: str = "eager") -> Iterator[None]:
    """Keras' scope for a device, with the settings of a mode."""
    with keras.device(keras_device(device, BACKEND)), settings(mode):
        yield


def _call(module: RNNStack | InMode) -> tuple[Any, RNNStack, str]:
    """What is called, the model that it calls, and the mode."""
    if isinstance(module, InMode):
        return module, module.model, module.mode
    return module.every_layer, module, "eager"


def _gpu_count() -> int:
    if BACKEND == "torch":  # keras.distribution is not implemented on it
        return import_module("torch").cuda.device_count()
    if BACKEND in ("tensorflow", "jax"):
        return sum(device.startswith(("gpu", "cuda")) for device in keras.distribution.list_devices())
    return 0


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
        return_state=mode != "sequential",
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


def _batch_first(
    x: np.ndarray, h0: np.ndarray | None, mask: np.ndarray | None, layout: str
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    if layout == "unbatched":
        return x[None], None if h0 is None else h0[:, None], None if mask is None else mask[None]
    if layout == "time_first":
        return x.transpose(1, 0, 2), h0, None if mask is None else mask.T
    return x, h0, mask


def _from_batch_first(output: np.ndarray, layout: str) -> np.ndarray:
    if layout == "unbatched":
        return output[0]
    return output.transpose(1, 0, 2) if layout == "time_first" else output
