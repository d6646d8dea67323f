"""Numbers for cases, from a seed: the same on every version of NumPy and Hypothesis.

Weights are asymmetric and full of digits, because constant or symmetric ones hide transpositions, and short
ones hide narrow products; by default they are scaled as torch initialises them, so that tanh is not saturated.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import ml_dtypes  # noqa: F401 (makes np.dtype("bfloat16") known)
import numpy as np

from .arguments import cell_shapes
from .cells import cell_of
from .judging.case import Case
from .layout import from_state_tuple, sequence_axes
from .spec import CellParameters, RNNSpec, expect_word

ROUNDED_STEP = 1 / 8
# the same values laid out differently: what users pass when they slice, transpose or freeze arrays
MEMORY = ("contiguous", "every other", "Fortran", "backwards", "read-only")


# parts of an answer of which cotangents are drawn
COTANGENTS = ("all", "output", "final states", "last step")


class Draw:
    """A stream of numbers from a seed.

    It uses PCG64's raw 64-bit words, whose stream NumPy guarantees, and arithmetic that is exact.
    rounded: four significant bits, never zero, for cases that a person can read; every dtype holds them exactly.
    """

    def __init__(self, seed: int, rounded: bool = False) -> None:
        self._words = np.random.PCG64(seed)
        self._rounded = rounded

    def uniform(self, shape: tuple[int, ...], scale: float = 1.0) -> np.ndarray:
        """float64 values in [-scale, scale); when rounded, 1/8, 2/8, ... 8/8 of the power of two nearest to scale."""
        words = self._words.random_raw(math.prod(shape)).reshape(shape)
        if self._rounded:
            magnitude = (words >> np.uint64(3)) % np.uint64(8) + np.uint64(1)
            return np.where(words & np.uint64(1), 1.0, -1.0) * magnitude * ROUNDED_STEP * 2.0 ** round(np.log2(scale))
        return ((words >> np.uint64(11)) * 2.0**-52 - 1) * scale

    def several(self, shapes: Sequence[tuple[int, ...]], scale: float = 1.0) -> Iterator[np.ndarray]:
        """What `uniform` answers for each of the shapes in turn, as views of what it answers for all at once."""
        sizes = [math.prod(shape) for shape in shapes]
        values = self.uniform((sum(sizes),), scale)
        starts = itertools.accumulate(sizes, initial=0)
        return (values[at : at + size].reshape(shape) for at, size, shape in zip(starts, sizes, shapes, strict=False))


def draw_parameters(
    spec: RNNSpec, dtype: Any = "float32", seed: int = 0, scale: float = 1.0, rounded: bool = False
) -> list[CellParameters]:
    """The weights of the spec's cell in +-scale / sqrt(hidden_size): torch's own initialisation when scale is 1."""
    tracks = [cell_shapes(spec, index // spec.num_directions) for index in range(spec.num_cells)]
    shapes = [shape for track in tracks for shape in track.values()]
    arrays = Draw(seed, rounded).several(shapes, scale / math.sqrt(spec.hidden_size))
    return [CellParameters.of({name: next(arrays).astype(dtype) for name in track}) for track in tracks]


def draw_case(
    spec: RNNSpec,
    *,
    batch: int,
    time: int,
    dtype: Any = "float32",
    seed: int = 0,
    weight_scale: float = 1.0,
    input_scale: float = 1.0,
    h0: bool = False,
    lengths: Sequence[int] | None = None,
    layout: str = "batch_first",
    rounded: bool = False,
    mask: bool = False,
    weights: int | None = None,
    gradients: str = "",
) -> Case:
    """A case of the given sizes. Unbatched: batch is 1, and lengths, if any, has one entry.

    h0: whether every state of the cell is given at the start.
    mask: whether about three steps in ten are masked, wherever they lie.  weights: their seed; `seed` when None.
    gradients: of what cotangents are drawn, one of COTANGENTS; the case has none when empty.
    """
    draw = Draw(seed + 1, rounded)
    sizes = {"batch": batch, "time": time, "feature": spec.input_size}
    shape = tuple(sizes[axis] for axis in sequence_axes(layout))
    x = draw.uniform(shape, input_scale).astype(dtype)
    rows = () if layout == "unbatched" else (batch,)
    states = (draw.uniform((spec.num_cells, *rows, state.size)).astype(dtype) for state in cell_of(spec).states)
    case = Case(
        spec,
        draw_parameters(spec, dtype, seed if weights is None else weights, weight_scale, rounded),
        x,
        from_state_tuple(list(states)) if h0 else None,
        lengths[0] if lengths is not None and layout == "unbatched" else lengths,
        layout,
        Draw(seed + 2).uniform(shape[:-1]) < 0.4 if mask else None,
    )
    return with_cotangents(case, gradients, seed + 3, rounded) if gradients else case


def with_cotangents(case: Case, of: str, seed: int, rounded: bool = False) -> Case:
    """The case with cotangents in [-1, 1) of one of COTANGENTS: of output and final states, or of one of them; those of
    the output at the last step alone."""
    expect_word("cotangents", of, COTANGENTS)
    draw, spec = Draw(seed, rounded), case.spec
    g_output = draw.uniform((*case.x.shape[:-1], spec.output_size)).astype(case.x.dtype)
    axes = sequence_axes(case.layout)
    if of == "last step":
        g_output[(slice(None),) * axes.index("time") + (slice(0, -1),)] = 0
    rows = tuple(size for axis, size in zip(axes, case.x.shape, strict=True) if axis == "batch")
    states = (draw.uniform((spec.num_cells, *rows, one.size)).astype(case.x.dtype) for one in cell_of(spec).states)
    g_h_n = from_state_tuple(list(states))
    given = (None if of == "final states" else g_output), (g_h_n if of in ("all", "final states") else None)
    return replace(case, cotangents=given)


def in_memory(array: np.ndarray, kind: str) -> np.ndarray:
    """An array equal to `array`, laid out as `kind`, one of MEMORY, says."""
    match kind:
        case "contiguous":
            return array
        case "every other":
            wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
            wide[..., ::2] = array
            return wide[..., ::2]
        case "Fortran":
            return np.asfortranarray(array)
        case "backwards":
            return np.ascontiguousarray(array[::-1])[::-1]
        case "read-only":
            frozen = array.copy()
            frozen.flags.writeable = False
            return frozen
    raise ValueError(f"kind: got {kind!r}, expected one of {', '.join(MEMORY)}")
