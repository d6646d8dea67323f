"""Keras SimpleRNN, alone, stacked and in Bidirectional; written against `keras` alone, on whatever backend it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np

from reference import Case, CellParameters, Lengths, RNNSpec
from reference.arguments import check_inputs

# Before keras itself is imported: it refuses what cannot be used.
from .settings import BACKEND, environment, settings  # isort: split

import keras

from ..contract import (
    Capabilities,
    NotOffered,
    Result,
    expect_activation,
    expect_build,
    expect_dense,
    features_of,
    layout_of,
    with_modes,
)
from .models import Stack, array_of, one_by_one, plain, simple_rnns
from .modes import BUILT_WITH, LACKING, MODES, ON_CUDA, TOGETHER, InMode
from .read import read_model, reading
from .script import keras_device, keras_script

# Where result_type narrows float64, a float64 layer multiplies in float32 and says nothing (keras issue 23704). JAX
# itself makes float32 of it by default, also under a Keras whose result_type does not say so.
NARROWED = {("dtype", "float64"): f"on {BACKEND}, Keras computes the products of float64 tensors in float32"}
if BACKEND == "jax" and not import_module("jax").config.jax_enable_x64:
    NARROWED = {("dtype", "float64"): "JAX makes float32 of float64 unless jax_enable_x64 is set"}
elif keras.backend.result_type("float64", "float64") == "float64":
    NARROWED = {}


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
        offers=(("mask", True), *(("mode", mode) for mode in MODES)),
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
        layout: str | None = None,
    ) -> Any:
        """A functional keras.Model of plain layers: model(x) and model(x, mask=mask) answer [output, *final states].

        x (batch, time, features), whatever layout the spec was read in: Keras layers are batch first, so another
        one that is asked for is refused. output (batch, time, units), in time order; a state (batch, units) for each
        cell. At a masked step the output is zero, or, where spec.held, that of the step processed before.

        It can be saved as a .keras file, and loaded, with Keras alone. It takes no initial states, because Keras
        forgets the mask of a sequence that a layer is given beside a state; its layers take both, one by one:
        layer(x, initial_state=[...], mask=mask). Layers on top of each other that go backwards are one RNN layer of
        stacked cells, since Keras hands on the output of such a layer in processing order and the mask in time order.
        """
        parameters = expect_build(self, spec, parameters, device, dtype, mode)
        if layout is not None and layout_of(spec, layout) != "batch_first":
            raise NotOffered(f"layout {layout}: Keras layers are batch first")
        if spec.held and spec.direction == "bidirectional":
            raise NotOffered("held: got True, expected False: Bidirectional answers zero at masked steps")
        self.capabilities_on(device).require({"dtype": parameters[0].dtype.name})  # of which weights are kept exactly
        dtype = parameters[0].dtype.name
        if mode == "mixed":
            dtype, parameters = f"mixed_{dtype}", [cell.astype("float32") for cell in parameters]
        with on(device):
            stack = Stack([_layer(spec, layer, dtype, mode) for layer in range(spec.num_layers)])
            cells = [simple for layer in stack.layers for simple in simple_rnns(layer)]
            for simple, cell in zip(cells, parameters, strict=True):
                simple.cell.set_weights(_to_keras(cell))
            if mode != "eager":
                return InMode(stack, mode, spec, device)
            model = plain(stack)
        model.device = device
        return model

    def run(
        self,
        module: Any,
        x: np.ndarray,
        h0: np.ndarray | None = None,
        lengths: Lengths = None,
        layout: str = "batch_first",
        mask: np.ndarray | None = None,
    ) -> Result:
        called, spec, mode, dtype = _call(module)
        device = getattr(module, "device", "cpu")
        check_inputs(spec, x, h0, lengths, layout, np.dtype(dtype), mask)
        self.capabilities_on(device).require(features_of(spec, x, h0, lengths, layout, mask=mask, mode=mode))
        x, h0, mask = _batch_first(x, h0, mask, layout)
        if lengths is not None:
            mask = np.arange(x.shape[1]) < np.atleast_1d(np.asarray(lengths))[:, None]
        with on(device, mode):
            outputs, states = called(
                tensor(x), None if h0 is None else [tensor(h) for h in h0], None if mask is None else tensor(mask)
            )
        arrays = [array_of(output) for output in outputs]
        if spec.held and mask is not None:  # where the layers hold their output, the suite's answer is zero
            arrays = [np.where(mask[..., None], array, array.dtype.type(0)) for array in arrays]
        arrays = [_from_batch_first(array, layout) for array in arrays]
        h_n = np.stack([array_of(state) for state in states])
        return Result(arrays[-1], h_n[:, 0] if layout == "unbatched" else h_n, arrays[:-1])

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        expect_dense(self, weight, bias, x, device)
        with on(device):
            head = keras.layers.Dense(len(weight), dtype=weight.dtype.name)
            head.build((None, weight.shape[1]))
            head.set_weights([np.array(weight.T, order="C"), np.array(bias)])
            return array_of(head(tensor(x)))

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        expect_activation(self, a, nonlinearity, device)
        with on(device):
            return array_of(keras.activations.get(nonlinearity)(tensor(a)))

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """Of a SimpleRNN, a Bidirectional one, RNN of SimpleRNNCells, or a sequential or functional model that
        stacks them, such as build returns.

        What is read is what inference computes: dropout and recurrent_dropout have no effect on it. What build makes
        of it answers as the module does, with masks too: the sequence, or its last output, and the final states.
        Raises NotOffered, with the reason, for anything else.
        """
        return read_model(module)

    def script(self, case: Case, device: str = "cpu") -> str:
        x64 = bool(BACKEND == "jax" and import_module("jax").config.jax_enable_x64)
        return keras_script(case, device, BACKEND, x64)


@contextmanager
def on(device: str, mode: str = "eager") -> Iterator[None]:
    """Keras' scope for a device, with the settings of a mode."""
    with keras.device(keras_device(device, BACKEND)), settings(mode):
        yield


def _call(module: Any) -> tuple[Any, RNNSpec, str, str]:
    """What is called, its spec, the mode, and the dtype that it computes in."""
    if isinstance(module, InMode):
        return module, module.spec, module.mode, module.stack.compute_dtype
    spec, _ = read_model(module)
    layers = reading(module).layers
    if not all(layer.return_sequences and layer.return_state for layer in layers):
        raise NotOffered(f"module: got {type(module).__name__}, expected a model that answers whole sequences and all "
                         "states, such as build(*read(module))")  # fmt: skip
    stack = one_by_one(layers)
    return stack.every_layer, spec, "eager", stack.compute_dtype


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


def _layer(spec: RNNSpec, layer: int, dtype: str, mode: str) -> Any:
    simple = keras.layers.SimpleRNN(
        spec.hidden_size,
        activation=spec.nonlinearity,
        use_bias=spec.bias,
        recurrent_initializer="zeros",  # as all weights, replaced at once; the default's QR lacks bfloat16
        return_sequences=True,
        return_state=mode != "sequential",
        zero_output_for_mask=not spec.held,
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
