"""What a case asks of cells on JAX, in words of their user's: JAX and NumPy, and nothing of this suite.

A script for a bug report has this source in it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Asked(NamedTuple):
    """What is asked. Of time first, x has the axis of time first; of an unbatched sequence no array has one of batch.

    cell: "elman", "gru" or "lstm".  cells: of each track w_ih and w_hh, and b_ih and b_hh where there are biases: rows
    are units, gate by gate: r z n, or i f g o.  x: (batch, time, features).  h0: (tracks, batch, units), of an LSTM
    the pair (h, c), or None.  lengths: of each sequence, or None.
    """

    cell: str
    cells: Any
    x: Any
    h0: Any
    lengths: Any
    direction: str
    nonlinearity: str
    dtype: str
    time_first: bool

    @property
    def tracks(self) -> int:
        """How many a layer has."""
        return 2 if self.direction == "bidirectional" else 1

    def last(self, n: int) -> bool:
        """Whether the layer whose first track is n is the last."""
        return n + self.tracks == len(self.cells)

    @property
    def time_axis(self) -> int:
        """Of x and of an output."""
        return 0 if self.time_first or np.ndim(self.x) == 2 else 1


def array(asked: Asked, numbers: Any) -> Any:
    """A JAX array of the dtype; of the narrower one where jax_enable_x64 is off. One that is differentiated stays."""
    if isinstance(numbers, jax.Array):
        return numbers
    return jnp.asarray(np.array(numbers, jnp.dtype(asked.dtype), order="C"))
