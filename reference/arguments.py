"""What forward, Case and the adapters accept: every argument is checked before any arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .cells import cell_of
from .layout import sequence_axes, state_axes
from .spec import LAYOUTS, CellParameters, RNNSpec, expect, expect_array, expect_word, short


def check_parameters(spec: RNNSpec, parameters: Sequence[CellParameters]) -> None:
    """Raise unless `parameters` fit `spec`: one for each track, layer by layer, forward before reverse."""
    if not isinstance(spec, RNNSpec):
        raise TypeError(f"spec: got {type(spec).__name__}, expected RNNSpec")
    if not isinstance(parameters, Sequence):
        raise TypeError(f"parameters: got {type(parameters).__name__}, expected a sequence of CellParameters")
    if len(parameters) != spec.num_cells:
        expected = f"{spec.num_cells} (num_layers {spec.num_layers} x num_directions {spec.num_directions})"
        expect(False, "parameters", f"{len(parameters)} cells", expected)
    for index, track in enumerate(parameters):
        if not isinstance(track, CellParameters):
            raise TypeError(f"parameters[{index}]: got {type(track).__name__}, expected CellParameters")
        shapes = cell_shapes(spec, index // spec.num_directions)
        given = {field: array.shape for field, array in track.arrays().items()}
        if given == shapes and track.dtype == parameters[0].dtype:
            continue  # the words below take NumPy longer than a step of a small cell
        name = f"parameters[{index}] ({spec.cell_name(index)})"
        for field in sorted(shapes.keys() | given.keys()):
            none = "no array (spec.bias is False)" if field in ("b_ih", "b_hh") else "no array"
            expect(given.get(field) == shapes.get(field), f"{name} {field}",
                   given.get(field, "no array"), str(shapes.get(field, none)))  # fmt: skip
        _expect_dtype(f"{name} dtype", track.dtype, parameters[0].dtype, "as in parameters[0]")


def cell_shapes(spec: RNNSpec, layer: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights of a layer's tracks, by name."""
    return spec.shapes[min(layer, 1)]


def check_inputs(spec: RNNSpec, x: Any, h0: Any, lengths: Any, layout: str, dtype: np.dtype, mask: Any = None) -> None:
    """Raise unless x, h0, lengths and mask fit `spec` and `layout`, as forward has them, in the parameters' dtype."""
    expect_word("layout", layout, LAYOUTS)
    axes = sequence_axes(layout)
    expect_array("x", x, len(axes))
    _expect_dtype("x dtype", x.dtype, dtype, "the parameters'")
    expect(x.shape[-1] == spec.input_size, f"x {axes}", x.shape, f"input_size {spec.input_size} on the last axis")
    time = x.shape[axes.index("time")]
    batch = x.shape[axes.index("batch")] if "batch" in axes else None
    if h0 is not None:
        for name, array, shape in named_states(spec, h0, "0", batch):
            expect_array(name, array, len(shape))
            _expect_dtype(f"{name} dtype", array.dtype, dtype, "x's")
            expect(array.shape == shape, f"{name} {state_axes(layout)}", array.shape, str(shape))
    if lengths is not None:
        _check_lengths(lengths, () if batch is None else (batch,), time)
    if mask is not None:
        expect(lengths is None, "lengths", lengths, "None beside a mask, which says what they say")
        if type(mask) is not np.ndarray or mask.dtype != np.bool_:
            given = mask.dtype.name if isinstance(mask, np.ndarray) else type(mask).__name__
            raise TypeError(f"mask: got {given}, expected an array of booleans")
        expect(mask.shape == x.shape[:-1], f"mask {axes[:-1]}", mask.shape, f"{x.shape[:-1]}, as x has")


def named_states(spec: RNNSpec, given: Any, when: str, batch: int | None) -> list[tuple[str, Any, tuple[int, ...]]]:
    """Each state of h0 or h_n with its name ("h0", "c0"; "h_n", "c_n") and the shape that it should have.

    when: "0" or "_n".  batch: None when unbatched.  Raises TypeError unless there are as many as the cell has.
    """
    states = cell_of(spec).states
    if len(states) > 1 and not (isinstance(given, tuple) and len(given) == len(states)):
        got = f"{len(given)} arrays" if isinstance(given, tuple) else type(given).__name__
        names = ", ".join(f"{state.name}{when}" for state in states)
        raise TypeError(f"h{when}: got {got}, expected a tuple of {len(states)} arrays: {names}")
    axes = (spec.num_cells,) if batch is None else (spec.num_cells, batch)
    pairs = zip(states, given if len(states) > 1 else (given,), strict=True)
    return [(f"{state.name}{when}", array, (*axes, state.size)) for state, array in pairs]


def check_cotangents(spec: RNNSpec, x: np.ndarray, layout: str, cotangents: Any) -> tuple[Any, Any]:
    """Raise unless these are (g_output, g_h_n), of the shapes of output and h_n, in x's dtype; either may be None."""
    if not isinstance(cotangents, list | tuple) or len(cotangents) != 2:
        got = type(cotangents).__name__
        raise TypeError(f"cotangents: got {got}, expected the pair g_output and g_h_n, either of which may be None")
    g_output, g_h_n = cotangents
    axes = sequence_axes(layout)
    expect(g_output is not None or g_h_n is not None, "cotangents", cotangents, "one at least that is not None")
    given = [] if g_output is None else [("g_output", g_output, (*x.shape[:-1], spec.output_size))]
    if g_h_n is not None:
        batch = x.shape[axes.index("batch")] if "batch" in axes else None
        given += [(f"g_{name}", array, shape) for name, array, shape in named_states(spec, g_h_n, "_n", batch)]
    for name, array, shape in given:
        expect_array(name, array, len(shape))
        _expect_dtype(f"{name} dtype", array.dtype, x.dtype, "x's")
        expect(array.shape == shape, name, array.shape, str(shape))
    return g_output, g_h_n


def _expect_dtype(field: str, given: np.dtype, expected: np.dtype, whose: str) -> None:
    if given != expected:  # only then their names, which take NumPy longer than a step of a small cell
        expect(False, field, given.name, f"{expected.name}, {whose}")


def _check_lengths(given: Any, shape: tuple[int, ...], time: int) -> None:
    """Raise unless `given` holds integers from 0 to `time`, of this shape; True and False are none."""
    if isinstance(given, Sequence):
        for index, length in enumerate(given):
            if isinstance(length, bool | np.bool_):
                raise TypeError(f"lengths[{index}]: got {length!r}, expected an integer")
    elif type(given) is not np.ndarray and not isinstance(given, int | np.integer):
        raise TypeError(f"lengths: got {type(given).__name__}, expected an integer, integers or None")
    try:
        lengths = np.asarray(given)
    except ValueError as error:  # a ragged list
        raise TypeError(f"lengths: got {short(given)}, expected integers") from error
    if lengths.dtype.kind not in "iu" and (lengths is given or lengths.size):  # an empty list is of NumPy's float64
        raise TypeError(f"lengths: got dtype {lengths.dtype.name}, expected integers")
    expected = f"{shape}, one for each sequence" if shape else "a single integer, as the layout is unbatched"
    expect(lengths.shape == shape, "lengths shape", lengths.shape, expected)
    inside = (lengths >= 0) & (lengths <= time)
    expect(bool(np.all(inside)), "lengths", lengths.tolist(), f"integers from 0 to {time}, the number of time steps")
