"""The settings below Keras that decide numbers: put in place for each call, whatever the user has; and what is told."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import Any

from ..versions import expect_versions

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow prints its start-up banner on stderr otherwise

BACKENDS = ("tensorflow", "torch", "jax", "numpy", "openvino")


def _backend() -> str:
    """The backend that Keras has, or that KERAS_BACKEND names; ImportError for one that this adapter cannot use."""
    if named := os.environ.get("KERAS_BACKEND"):
        _expect_usable(named)
    try:
        backend = import_module("keras").backend.backend()
    except ModuleNotFoundError as error:
        package = str(error.name).removesuffix(".signal")  # scipy.signal is what Keras imports on OpenVINO
        if package not in (*BACKENDS, "scipy"):
            raise
        raise ImportError(f"Keras on {named or package}: {package} is not installed; pip install {package}") from error
    _expect_usable(backend)  # which may be named in Keras' own configuration file
    return backend


def _expect_usable(backend: str) -> None:
    if backend not in BACKENDS:
        raise ImportError(f"Keras on {backend}: this adapter runs on {', '.join(BACKENDS)}; KERAS_BACKEND names one")
    expect_versions(f"keras on {backend}")


BACKEND = _backend()
VERSION = str(import_module(BACKEND).__version__)
VERSION = VERSION.partition("-")[0] if BACKEND == "openvino" else VERSION  # whose builds add to it
# the name of a backend that differentiates nothing, and is asked on the CPU alone; empty for the others
FORWARD_ALONE = {"numpy": "NumPy", "openvino": "OpenVINO"}.get(BACKEND, "")

import keras  # noqa: E402 (only where it can be used)
import numpy as np  # noqa: E402

from .script import keras_device  # noqa: E402


@contextmanager
def on(device: str, dtype: Any, mode: str = "eager") -> Iterator[None]:
    """Keras' scope for a device, with the settings of a mode, until the context ends.

    dtype: of the layers: on JAX, float64 is there for float64 and for nothing else, whatever the user's setting is.
    """
    with untouched(device), SETTINGS[BACKEND](dtype, mode):
        yield


def untouched(device: str, *_: Any) -> AbstractContextManager[Any]:
    """Keras' scope for a device alone: whatever else decides numbers is as the user has it. On NumPy, which has one
    device, Keras 3.5 has no such scope; on OpenVINO none has an effect."""
    return nullcontext() if FORWARD_ALONE else keras.device(keras_device(device, BACKEND))


@contextmanager
def _tensorflow(dtype: Any, mode: str) -> Iterator[None]:
    config = import_module("tensorflow").config.experimental
    before = config.tensor_float_32_execution_enabled()
    config.enable_tensor_float_32_execution(mode == "tf32")
    try:
        yield
    finally:
        config.enable_tensor_float_32_execution(before)


SETTINGS: dict[str, Callable[[Any, str], AbstractContextManager[Any]]] = {
    "tensorflow": _tensorflow,
    "torch": lambda dtype, mode: import_module("adapters.torch.settings").settings(mode),
    "jax": lambda dtype, mode: import_module("adapters.jax.numbers").numbers(dtype, mode),
    **dict.fromkeys(("numpy", "openvino"), lambda dtype, mode: nullcontext()),  # they have none
}


def gpu_count() -> int:
    if BACKEND == "torch":  # keras.distribution is not implemented on it
        return import_module("torch").cuda.device_count()
    if FORWARD_ALONE:
        return 0
    return sum(device.startswith(("gpu", "cuda")) for device in keras.distribution.list_devices())


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


def environment() -> dict[str, Any]:
    """Keras, and its backend's versions and settings that decide numbers."""
    framework = import_module(BACKEND)
    about = {"Keras": keras.__version__, "Keras backend": BACKEND, "floatx": keras.config.floatx()}
    about[BACKEND] = str(framework.__version__)
    if BACKEND == "tensorflow":
        build = framework.sysconfig.get_build_info()
        about |= {"CUDA": build.get("cuda_version"), "cuDNN": build.get("cudnn_version")}
        about["TF32"] = "off (the adapter's choice)"
        about["intra-op threads"] = framework.config.threading.get_intra_op_parallelism_threads()
    if BACKEND == "torch":
        about |= {"CUDA": framework.version.cuda, "float32 matmul precision": "highest (the adapter's choice)"}
        about["deterministic algorithms"] = framework.are_deterministic_algorithms_enabled()
    if BACKEND == "jax":
        about |= {"jaxlib": import_module("jaxlib").__version__, "x64": import_module("adapters.jax.numbers").X64}
        about |= {"matmul precision": "highest (the adapter's choice)", "platform": framework.default_backend()}
    return about
