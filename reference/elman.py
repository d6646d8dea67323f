"""The Elman cell (J. L. Elman, Finding structure in time, Cognitive Science 14, 1990).

    a_t = w_ih x_t + b_ih + b_hh + w_hh h_{t-1}
    h_t = phi(a_t),  phi = tanh or relu

A cell of another kind is another file like this one: its equations, and the slopes that the error
bounds need.
"""

from __future__ import annotations

import numpy as np

from .spec import CellParameters


def project(parameters: CellParameters, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """w_ih x_t + b_ih + b_hh for every step at once: one matrix product, out of the recurrence.

    x: (time, batch, input size).  Returns (time, batch, hidden_size), in `out` if it is given: an array of
    that shape, which may be some of the columns of a wider one.
    """
    time, batch, features = x.shape
    hidden = len(parameters.w_ih)
    projected = np.empty((time, batch, hidden), x.dtype) if out is None else out
    rows = projected.reshape(time * batch, hidden)  # a view, as time and batch are neighbours
    np.matmul(x.reshape(time * batch, features), parameters.w_ih.T, out=rows)  # without out, bfloat16 gives float32
    if parameters.b_ih is not None:
        rows += parameters.b_ih + parameters.b_hh
    return projected


def step(projected: np.ndarray, h: np.ndarray, w_hh_transposed: np.ndarray, nonlinearity: str) -> np.ndarray:
    """h_t from the projected input and h_{t-1}, both (batch, hidden_size); overwrites `projected`."""
    projected += np.matmul(h, w_hh_transposed)
    return activate(projected, nonlinearity, out=projected)


def activate(a: np.ndarray, nonlinearity: str, out: np.ndarray | None = None) -> np.ndarray:
    """phi(a), elementwise. relu(NaN) is NaN."""
    return np.tanh(a, out=out) if nonlinearity == "tanh" else np.maximum(a, a.dtype.type(0), out=out)


def slope(a: np.ndarray, nonlinearity: str) -> np.ndarray:
    """phi'(a), elementwise: 1 - tanh(a)^2, or 1 where a > 0."""
    return 1 - np.tanh(a) ** 2 if nonlinearity == "tanh" else (a > 0).astype(a.dtype)
