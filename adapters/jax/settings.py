"""The settings of JAX that decide numbers: put in place for each call, whatever the user has; devices; what is told."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# JAX takes three quarters of a GPU's memory otherwise, when it first uses it; there are other frameworks in the process
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import numpy as np

from .numbers import X64, numbers


@contextmanager
def settings(device: Any, dtype: np.dtype, mode: str = "eager") -> Iterator[None]:
    """What decides numbers, and the device, for this thread and as long as it lasts."""
    with numbers(dtype, mode), jax.default_device(device):
        yield


def tensor(array: np.ndarray, device: Any) -> Any:
    """A JAX array of the same values and dtype. It is copied first: JAX may share NumPy's memory."""
    return jax.device_put(np.array(array, order="C"), device)


def gpus() -> list[Any]:
    """JAX's CUDA devices; asked for by name where there are none, JAX raises."""
    return [device for device in jax.devices() if device.platform == "gpu"]


def device_named(name: str) -> Any:
    """JAX's device of one of the names that an adapter's devices() gives, or of "cuda"."""
    kind, _, index = name.partition(":")
    return jax.devices(kind)[int(index or 0)]


def environment(**versions: str) -> dict[str, Any]:
    """Versions above JAX, as given, and of JAX, hardware, and the settings that decide numbers; run makes its own of
    two of them."""
    return {
        **versions,
        "JAX": jax.__version__,
        "jaxlib": importlib.metadata.version("jaxlib"),
        "x64": X64,
        "matmul precision": "highest (the adapter's choice)",
        "XLA_FLAGS": os.environ.get("XLA_FLAGS"),
        "platform": (gpus() or jax.devices("cpu"))[0].client.platform_version,
        "GPUs": ", ".join(device.device_kind for device in gpus()) or None,
    }
