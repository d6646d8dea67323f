"""The settings of JAX that decide numbers, for all that runs on it: Flax, Equinox, and Keras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.experimental
import numpy as np

# JAX' words for the products of float32 in a mode; "highest" in all others, for IEEE float32
PRECISIONS = {"tf32": "tensorfloat32", "bfloat16_products": "bfloat16"}
X64 = "on for float64 alone (the adapter's choice)"
# before JAX 0.8 it is experimental
ENABLE_X64: Any = jax.enable_x64 if hasattr(jax, "enable_x64") else getattr(jax.experimental, "enable_x64")  # noqa: B009


@contextmanager
def numbers(dtype: Any, mode: str = "eager") -> Iterator[None]:
    """For this thread and as long as it lasts: the user's own settings stay as they are.

    float64 where that is asked for and nowhere else; products in IEEE arithmetic on a GPU too, but in the modes that
    allow others.
    """
    x64 = ENABLE_X64(np.dtype(dtype) == np.float64)
    with x64, jax.default_matmul_precision(PRECISIONS.get(mode, "highest")):
        yield
