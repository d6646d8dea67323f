"""Arrays as tensors, and back; in a dtype that is the default meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import paddle

from reference.spec import dtype_name


def tensor(array: np.ndarray) -> Any:
    """A tensor with a copy of the numbers. Paddle takes an array of uint16 for the bits of bfloat16."""
    return paddle.to_tensor(array.view(np.uint16) if dtype_name(array.dtype) == "bfloat16" else array)


def array_of(value: Any) -> np.ndarray:
    """A NumPy copy of a tensor."""
    array = np.array(value.detach().numpy())
    return array.view("bfloat16") if value.dtype == paddle.bfloat16 else array


@contextmanager
def default_dtype(dtype: np.dtype) -> Iterator[None]:
    """In which what Paddle makes is of this dtype. The user's random numbers stay as they are."""
    before, users = paddle.get_default_dtype(), paddle.get_rng_state()
    paddle.set_default_dtype(getattr(paddle, dtype_name(dtype)))
    try:
        yield
    finally:
        paddle.set_default_dtype(before)
        paddle.set_rng_state(users)
