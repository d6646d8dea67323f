"""Flax NNX: nnx.SimpleCell in nnx.RNN and nnx.Bidirectional, several of them in nnx.Sequential.

nnx.Sequential hands no carries and no lengths on, so that run calls layer after layer.

JAX compiles nnx.RNN anew in each eager call. Its cache on disk, which is the user's to switch on, makes the suite some
four times as fast: JAX_COMPILATION_CACHE_DIR=..., JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 and
JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1 in the environment.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

# JAX takes three quarters of a GPU's memory otherwise, and there are other frameworks in the process
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import flax
import jax
import numpy as np
from flax import nnx

from reference import Case, CellParameters, Lengths, RNNSpec
from reference.arguments import check_inputs

from ..contract import (
    Capabilities,
    NotOffered,
    Result,
    expect_activation,
    expect_build,
    expect_dense,
    features_of,
    layout_of,
)
from .modes import BUILT_WITH, LACKING, MODES, PRECISIONS, InMode
from .read import ACTIVATIONS, device_of, dtype_of, every_layer, read, spec_of, stack_of
from .script import flax_script

# JAX keeps every program that it compiles, and each eager call of nnx.RNN compiles one: 3.6 MB, measured. After so many
# calls they are forgotten, which takes no time that could be measured.
CALLS_KEPT = 20
SEQUENTIAL = "nnx.Sequential hands no carries and no lengths on; the adapter calls layer after layer"


class FlaxAdapter:
    """nnx.SimpleCell in nnx.RNN and nnx.Bidirectional, on CPU and CUDA."""

    name = "flax"
    framework: Any = flax
    version = f"{flax.__version__} on jax {jax.__version__}"
    capabilities = Capabilities(
        unsupported={
            ("lengths", "with zeros"): "of a length of 0, nnx.RNN answers the carry after the last padded step",
            ("mask", True): "nnx.RNN takes lengths (seq_lengths) and no mask",
            **{("mode", mode): reason for mode, reason in LACKING.items()},
        },
        emulated={
            ("bias", False): "SimpleCell always has a bias; the adapter takes it out of dense_i",
            ("lengths", "mixed"): "nnx.RNN goes on beyond seq_lengths; the adapter sets those outputs to zero",
            **{("num_layers", n): SEQUENTIAL for n in ("2", "3 to 10")},
        },
        arithmetics={
            (("dtype", "float16"),): "float16_accumulate_float32",
            (("dtype", "bfloat16"),): "bfloat16_accumulate_float32",
            (("dtype", "float32"), ("mode", "tf32")): "tf32",
            (("dtype", "float32"), ("mode", "bfloat16_products")): "bfloat16_products",
        },
        offers=tuple(("mode", mode) for mode in MODES),
    )

    def __init__(self) -> None:
        self._calls = 0

    def devices(self) -> tuple[str, ...]:
        return ("cpu", *(f"cuda:{index}" for index in range(len(_gpus()))))

    def environment(self) -> dict[str, Any]:
        """Versions below Flax, hardware, and the settings that decide numbers; run makes its own of two of them."""
        return {
            "Flax": flax.__version__,
            "JAX": jax.__version__,
            "jaxlib": importlib.metadata.version("jaxlib"),
            "x64": "on for float64 alone (the adapter's choice)",
            "matmul precision": "highest (the adapter's choice)",
            "XLA_FLAGS": os.environ.get("XLA_FLAGS"),
            "platform": (_gpus() or jax.devices("cpu"))[0].client.platform_version,
            "GPUs": ", ".join(device.device_kind for device in _gpus()) or None,
        }

    def build(
        self,
        spec: RNNSpec,
        parameters: Sequence[CellParameters],
        device: str = "cpu",
        dtype: str | None = None,
        mode: str = "eager",
        layout: str | None = None,
    ) -> Any:
        """An nnx.RNN or nnx.Bidirectional, or an nnx.Sequential of several: Flax's own classes and no other.

        Called natively, it takes x (batch, time, input_size), with time first where `layout` is time_first, or
        (time, input_size) where it is unbatched and time is not first; it answers the last layer's output. One layer
        takes initial_carry, seq_lengths and return_carry=True as well; nnx.Sequential hands none of these on: its
        `layers` are called one after another. Beyond seq_lengths a Flax layer answers what it computes of the
        padding: neither zeros nor the last state, whatever spec.held says.
        """
        parameters = expect_build(self, spec, parameters, device, dtype, mode)
        words: dict[str, Any] = {"time_major": layout_of(spec, layout) == "time_first"}
        with settings(_device(device), parameters[0].dtype):
            cells = [_cell(spec, cell) for cell in parameters]
            options = BUILT_WITH.get(mode, {})
            if spec.direction == "bidirectional":
                rnns = [nnx.RNN(cell, **options) for cell in cells]
                layers = [nnx.Bidirectional(*pair, **words) for pair in zip(rnns[::2], rnns[1::2], strict=True)]
            else:
                words |= {"reverse": spec.direction == "reverse", "keep_order": True, **options}
                layers = [nnx.RNN(cell, **words) for cell in cells]
            stack = stack_of(layers)
            return stack if mode == "eager" else InMode(stack, mode)

    def run(
        self,
        module: Any,
        x: np.ndarray,
        h0: np.ndarray | None = None,
        lengths: Lengths = None,
        layout: str = "batch_first",
        mask: np.ndarray | None = None,
    ) -> Result:
        """Of what build returns, or of a user's own layer or nnx.Sequential that read takes."""
        if not isinstance(module, nnx.RNN | nnx.Bidirectional | nnx.Sequential | InMode):
            raise NotOffered(f"module: got {type(module).__name__}, expected what build returns: build(*read(module))")
        stack, mode = (module.stack, module.mode) if isinstance(module, InMode) else (module, "eager")
        called = module.every_layer if isinstance(module, InMode) else partial(every_layer, module)
        spec, dtype, device = spec_of(stack), dtype_of(stack), device_of(stack)
        check_inputs(spec, x, h0, lengths, layout, dtype, mask)
        self.capabilities.require(features_of(spec, x, h0, lengths, layout, mask=mask, mode=mode))
        given = None if lengths is None or not np.size(lengths) else np.asarray(lengths, np.int32)
        with settings(device, dtype, mode):
            outputs, carries = called(
                tensor(x, device),
                None if h0 is None else [tensor(h, device) for h in h0],
                None if given is None else tensor(given, device),
                layout == "time_first",
            )
            h_n = np.stack([np.array(carry) for carry in carries])
        self._calls += 1
        if self._calls % CALLS_KEPT == 0:
            jax.clear_caches()
        arrays = [_ended(np.array(output), given, layout) for output in outputs]
        return Result(arrays[-1], h_n, arrays[:-1])

    def dense(self, weight: np.ndarray, bias: np.ndarray, x: np.ndarray, device: str = "cpu") -> np.ndarray:
        expect_dense(self, weight, bias, x, device)
        with settings(_device(device), weight.dtype):
            head = nnx.Linear(*weight.T.shape, kernel_init=_given(weight.T), bias_init=_given(bias), rngs=nnx.Rngs(0))
            return np.array(head(tensor(x, _device(device))))

    def activation(self, a: np.ndarray, nonlinearity: str, device: str = "cpu") -> np.ndarray:
        expect_activation(self, a, nonlinearity, device)
        with settings(_device(device), a.dtype):
            return np.array(ACTIVATIONS[nonlinearity][0](tensor(a, _device(device))))

    def read(self, module: Any) -> tuple[RNNSpec, list[CellParameters]]:
        """Of what build returns, a SimpleCell, an RNN, a Bidirectional one, or a list or Sequential of these.

        spec.layout is time_first where the layers are time_major. A SimpleCell is read as a layer of that cell.
        """
        return read(module)

    def script(self, case: Case, device: str = "cpu") -> str:
        return flax_script(case, device)


@contextmanager
def settings(device: Any, dtype: np.dtype, mode: str = "eager") -> Iterator[None]:
    """What decides numbers in JAX, for this thread and as long as it lasts: the user's own settings stay as they are.

    float64 where that is asked for and nowhere else; products in IEEE arithmetic on a GPU too, but in the modes that
    allow others; the device.
    """
    x64 = jax.enable_x64(dtype == np.float64)
    with x64, jax.default_matmul_precision(PRECISIONS.get(mode, "highest")), jax.default_device(device):
        yield


def tensor(array: np.ndarray, device: Any) -> Any:
    """A JAX array of the same values and dtype. It is copied first: JAX may share NumPy's memory."""
    return jax.device_put(np.array(array, order="C"), device)


def _gpus() -> list[Any]:
    """JAX's CUDA devices; asked for by name where there are none, JAX raises."""
    return [device for device in jax.devices() if device.platform == "gpu"]


def _device(name: str) -> Any:
    """JAX's device of one of the names that devices() gives, or of "cuda"."""
    kind, _, index = name.partition(":")
    return jax.devices(kind)[int(index or 0)]


def _given(array: np.ndarray) -> Callable[..., Any]:
    """An initializer that gives these values, on the default device."""
    return lambda key, shape, dtype: jax.device_put(np.array(array, order="C"))


def _cell(spec: RNNSpec, cell: CellParameters) -> Any:
    """A SimpleCell of these weights: columns of its kernels are units, and its one bias is the sum of both."""
    bias = np.zeros(spec.hidden_size, cell.dtype) if cell.b_ih is None else cell.b_ih + cell.b_hh
    simple = nnx.SimpleCell(
        cell.w_ih.shape[1],
        spec.hidden_size,
        dtype=cell.dtype,
        param_dtype=cell.dtype,
        activation_fn=ACTIVATIONS[spec.nonlinearity][0],
        kernel_init=_given(cell.w_ih.T),
        recurrent_kernel_init=_given(cell.w_hh.T),
        bias_init=_given(bias),
        rngs=nnx.Rngs(0),
    )
    if not spec.bias:
        simple.dense_i.use_bias, simple.dense_i.bias = False, nnx.data(None)
    return simple


def _ended(output: np.ndarray, lengths: np.ndarray | None, layout: str) -> np.ndarray:
    """An output with zeros beyond each sequence's length, in place."""
    if lengths is not None:
        time = output.shape[1 if layout == "batch_first" else 0]
        ended = np.arange(time) >= lengths[..., None]  # (batch, time), or (time,) when unbatched
        output[ended.T if layout == "time_first" else ended] = 0
    return output
