"""The settings below Keras that decide numbers: put in place for each call, whatever the user's are; and what is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any

import keras

BACKEND = keras.backend.backend()
# JAX' words for the products of float32 in a mode; "highest" in all others, for IEEE float32
PRECISIONS = {"tf32": "tensorfloat32", "bfloat16_products": "bfloat16"}


def settings(mode: str = "eager") -> AbstractContextManager[Any]:
    """The settings of a mode, until the context ends."""
    if BACKEND == "tensorflow":
        return _tensorflow(mode == "tf32")
    if BACKEND == "jax":
        return import_module("jax").default_matmul_precision(PRECISIONS.get(mode, "highest"))
    if BACKEND == "torch":
        return import_module("adapters.torch_settings").settings(mode)
    raise ValueError(f"Keras backend: got {BACKEND!r}, expected tensorflow, jax or torch")


@contextmanager
def _tensorflow(tf32: bool) -> Iterator[None]:
    config = import_module("tensorflow").config.experimental
    before = config.tensor_float_32_execution_enabled()
    config.enable_tensor_float_32_execution(tf32)
    try:
        yield
    finally:
        config.enable_tensor_float_32_execution(before)


def environment() -> dict[str, Any]:
    """Keras, and its backend's versions and settings that decide numbers."""
    framework = import_module(BACKEND)
    about = {"Keras": keras.__version__, "Keras backend": BACKEND, "floatx": keras.config.floatx()}
    about[BACKEND] = str(framework.__version__)
    if BACKEND == "tensorflow":
        build = framework.sysconfig.get_build_info()
        about["CUDA"], about["cuDNN"] = build.get("cuda_version"), build.get("cudnn_version")
        about["TF32"] = "off (the adapter's choice)"
        about["intra-op threads"] = framework.config.threading.get_intra_op_parallelism_threads()
    elif BACKEND == "jax":
        about["jaxlib"] = import_module("jaxlib").__version__
        about["x64"] = framework.config.jax_enable_x64
        about["matmul precision"] = "highest (the adapter's choice)"
        about["platform"] = framework.default_backend()
    elif BACKEND == "torch":
        about["CUDA"] = framework.version.cuda
        about["float32 matmul precision"] = "highest (the adapter's choice)"
        about["deterministic algorithms"] = framework.are_deterministic_algorithms_enabled()
    return about
