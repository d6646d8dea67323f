"""What goes wrong with an array, whatever it holds: axes mixed up, a part lost or read twice, numbers made narrower.

Each is a Change, or makes one. A change keeps the array's shape and dtype. States of a stack, and what is ordered like
them, come as (layers, directions, ...); an output has the directions side by side in its last axis.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Change = Callable[[np.ndarray], np.ndarray]

KEPT = 7 / 8  # of the numbers that a dropout leaves


def same(array: np.ndarray) -> np.ndarray:
    return array


def times(factor: float) -> Change:
    return lambda array: array * array.dtype.type(factor)


def transposed(matrix: np.ndarray) -> np.ndarray:
    """The matrix as it is where its transpose does not fit."""
    return matrix.T if len(matrix) == len(matrix.T) else matrix


def reshaped(matrix: np.ndarray) -> np.ndarray:
    """The numbers of the transpose, in their order in memory, in the matrix's own shape."""
    return matrix.T.reshape(matrix.shape)


def diagonal(matrix: np.ndarray) -> np.ndarray:
    return np.where(np.eye(*matrix.shape, dtype=bool), matrix, np.zeros_like(matrix))


def rolled(by: int, axis: int) -> Change:
    return lambda array: np.roll(array, by, axis)


def backwards(axis: int) -> Change:
    return lambda array: np.flip(array, axis)


def taken(indices: Sequence[int], axis: int) -> Change:
    """Only these stand along the axis, which has as many."""
    return lambda array: np.take(array, indices, axis)


def one_for_all(index: int, axis: int) -> Change:
    return lambda array: np.repeat(np.take(array, [index], axis), array.shape[axis], axis)


def zeroed(index: Any) -> Change:
    """Zero at these indices, as of a part that was not copied."""

    def lose(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[index] = 0
        return array

    return lose


def late(sequence: np.ndarray) -> np.ndarray:
    """(time, ...) one step late, zeros first."""
    return np.concatenate([np.zeros_like(sequence[:1]), sequence[:-1]])


def exchange_axes(first: int, second: int) -> Change:
    """Of equal sizes."""
    return lambda array: array.swapaxes(first, second)


def exchange_halves(output: np.ndarray) -> np.ndarray:
    return np.roll(output, output.shape[-1] // 2, axis=-1)


def interleave(output: np.ndarray) -> np.ndarray:
    """The halves of the last axis, unit by unit."""
    return np.stack(np.split(output, 2, axis=-1), axis=-1).reshape(output.shape)


def by_direction(stack: np.ndarray) -> np.ndarray:
    """(layers, directions, ...) as all layers of one direction, then all of the other."""
    return stack.swapaxes(0, 1).reshape(stack.shape)


def dropped_out(array: np.ndarray) -> np.ndarray:
    """One element of eight lost, always the same ones, and the others scaled to make up for it."""
    lost = np.arange(array.size).reshape(array.shape) % 8 == 0
    return np.where(lost, np.zeros_like(array), (array / KEPT).astype(array.dtype))


def decayed(array: np.ndarray) -> np.ndarray:
    return (array.astype(np.float64) * 0.99).astype(array.dtype)


def in_dtype(dtype: Any) -> Change:
    """Rounded to a narrower dtype."""
    return lambda array: array.astype(dtype).astype(array.dtype)


def significant(bits: int) -> Change:
    """Rounded to so many significant bits, to nearest; the exponents stay as they are."""

    def rounded(array: np.ndarray) -> np.ndarray:
        fraction, exponent = np.frexp(array.astype(np.float64))
        return np.ldexp(np.rint(fraction * 2.0**bits) / 2.0**bits, exponent).astype(array.dtype)

    return rounded


def quantised(array: np.ndarray) -> np.ndarray:
    """Rounded to 8-bit integers times a scale."""
    scale = max(float(np.abs(array).max()), np.finfo(np.float64).tiny) / 127
    return (np.rint(array.astype(np.float64) / scale) * scale).astype(array.dtype)
