"""The oldest versions that the adapters take. An older one is refused before it is imported."""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Mapping

# Set to anything, it lets every version be tried, in child processes too: what --any-version does.
ANY_VERSION = "RNN_EQUIVALENCE_ANY_VERSION"
# torch is the exception: nothing older than 2.13 was run, and what the adapters call is in torch since 2.6
TORCH = "2.6"
# An adapter, or Keras on a backend -> a distribution, and the oldest version of it with which the adapter was run. The
# extras of pyproject.toml have the same bounds.
OLDEST: Mapping[str, Mapping[str, str]] = {
    "torch": {"torch": TORCH},
    "keras": {"keras": "3.5"},
    "keras on tensorflow": {"tensorflow": "2.17"},
    "keras on jax": {"jax": "0.4.31"},  # 0.4.30 has no matmul precision "highest"
    "keras on torch": {"torch": TORCH},
    "keras on numpy": {"keras": "3.7", "jax": "0.4.31"},  # 3.6 keeps no mask, and has no device; it imports JAX
    "keras on openvino": {"keras": "3.15", "openvino": "2026.0", "scipy": "1.13"},  # 3.14 has no GRU and no LSTM
    "flax": {"flax": "0.12.2"},  # older ones do not load with today's JAX
    "equinox": {"equinox": "0.11.4", "jax": "0.4.31"},  # 0.13.0 and older do not load with JAX 0.10
    "mlx": {"mlx": "0.30.6", "mlx-cpu": "0.30.6"},  # 0.29 reads a view of a view wrongly: F-351
    "onnx": {"onnx": "1.23"},  # 1.22 has no bidirectional RNN, runs reverse forward, takes no lengths
    "onnxruntime": {"onnx": "1.19", "onnxruntime": "1.21"},  # onnx 1.18 does not know bfloat16; 1.20 has no opset 22
    "torch-onnx": {"torch": TORCH, "onnx": "1.19", "onnxruntime": "1.21", "onnxscript": "0.6.2"},
    "openvino": {"onnx": "1.19", "openvino": "2025.0"},
    "tract": {"onnx": "1.23", "tract": "0.23.0"},  # 0.22 reads every answer as float32: F-398
    # LiteRT 1.0 answers nothing with NumPy 2
    "litert": {"keras": "3.5", "tensorflow": "2.19", "ai-edge-litert": "1.2", "tf_keras": "2.19"},
    "paddle": {"paddlepaddle": "2.6.2"},
}


def try_any_version() -> None:
    """Refuse no version from now on, in this process and in those that it starts."""
    os.environ[ANY_VERSION] = "1"


def expect_versions(adapter: str) -> None:
    """Raise ImportError, naming both versions, where something older is installed than an adapter takes.

    A newer version than any that was run is not refused, nor one that no distribution tells.
    """
    for distribution, oldest in OLDEST.get(adapter, {}).items():
        try:
            found = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
        if refusal := refused(distribution, found, oldest):
            raise ImportError(refusal)


def refused(distribution: str, version: str, oldest: str) -> str:
    """Why a version is refused: it is older than the oldest. Empty where it is not, and where any is to be tried."""
    if os.environ.get(ANY_VERSION) or numbers(version) >= numbers(oldest):
        return ""
    return f"{distribution} {version}: this adapter needs {oldest} or newer; --any-version tries it"


def numbers(version: str) -> tuple[int, ...]:
    """3.5.0rc1 is 3.5.0."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
