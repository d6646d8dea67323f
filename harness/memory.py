"""The same values laid out differently in memory: what users pass when they slice, transpose or freeze arrays."""

from __future__ import annotations

import numpy as np

MEMORY = ("contiguous", "every other", "Fortran", "backwards", "read-only")


def in_memory(array: np.ndarray, kind: str) -> np.ndarray:
    """An array equal to `array`, laid out as `kind`, one of MEMORY, says."""
    if kind == "every other":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if kind == "Fortran":
        return np.asfortranarray(array)
    if kind == "backwards":
        return np.ascontiguousarray(array[::-1])[::-1]
    if kind == "read-only":
        frozen = array.copy()
        frozen.flags.writeable = False
        return frozen
    return array
