"""The layer in question: its sizes and words (RNNSpec) and its weights (CellParameters)."""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from . import cells

# direction of a layer -> those of its tracks, in the order of their parameters and states
TRACKS = {"forward": ("forward",), "reverse": ("reverse",), "bidirectional": ("forward", "reverse")}
DIRECTIONS = tuple(TRACKS)
LAYOUTS = ("batch_first", "time_first", "unbatched")
NONLINEARITIES = ("tanh", "relu")
# the fields of RNNSpec in 0.1.0, which its JSON always has
FIRST = ("input_size", "hidden_size", "num_layers", "direction", "nonlinearity", "bias")
# the fields that only some cells have, and the cells whose activations are no choice
OF_CELLS = {**dict.fromkeys(("peepholes", "input_forget", "projection_size"), ("lstm",)), "clip": ("elman", "lstm")}
GATED = ("gru", "gru_reset_before", "lstm")
DTYPES = ("float16", "bfloat16", "float32", "float64")

# One length for each sequence of the batch, a single one for an unbatched sequence, or None: all are full.
Lengths = int | Sequence[int] | np.ndarray | None

# an argument in a message: whole where a person would read it, never the numbers of a layer
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 20


def short(given: object) -> str:
    """An argument's repr, cut where it is long."""
    return _SHORT.repr(given)


def expect(condition: bool | np.bool_, field: str, given: object, expected: str) -> None:
    """Raise ValueError naming the field, what was given and what was expected."""
    if not condition:
        raise ValueError(f"{field}: got {short(given)}, expected {expected}")


def expect_word(field: str, given: object, words: Collection[str]) -> None:
    expect(isinstance(given, str) and given in words, field, given, f"one of {', '.join(words)}")


@dataclass(frozen=True)
class RNNSpec:
    """A stack of recurrent layers. With the cell "elman": h_t = nonlinearity(w_ih x_t + b_ih + w_hh h_{t-1} + b_hh).

    input_size: features of x.  hidden_size: units of every layer and direction.
    num_layers: layers in the stack; layer l > 0 reads layer l - 1's output.
    direction: "forward", "reverse" (from the last valid step to the first) or "bidirectional".
    nonlinearity: "tanh" or "relu", of the cell "elman"; the others have no choice, and are "tanh".
    bias: whether b_ih and b_hh are there.  cell: one of reference.cells.CELLS.
    peepholes, input_forget, projection_size: of the cell "lstm" alone, as reference.cells.lstm has them.
    clip: of "elman" and "lstm", the largest magnitude of what an activation is taken of, as ONNX defines it.
    projection_size 0 and clip None stand for none.
    layout, held: how the native module is called that an adapter read this from, kept for the one that is built of it;
    None where it was not read. They are no part of the equations: specs that differ in them alone are equal.
    layout: one of LAYOUTS.  held: whether the output at a masked step, or beyond a length, is that of the step before,
    and not 0.
    Raises TypeError or ValueError, naming the field, for anything else.
    """

    input_size: int
    hidden_size: int
    num_layers: int = 1
    direction: str = "forward"
    nonlinearity: str = "tanh"
    bias: bool = True
    cell: str = "elman"
    peepholes: bool = False
    input_forget: bool = False
    projection_size: int = 0
    clip: float | None = None
    layout: str | None = field(default=None, compare=False, repr=False)
    held: bool | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("input_size", "hidden_size", "num_layers"):
            given = getattr(self, name)
            if isinstance(given, bool | np.bool_) or not isinstance(given, int | np.integer):
                raise TypeError(f"{name}: got {short(given)}, expected an integer of at least 1")
            expect(given >= 1, name, given, "an integer of at least 1")
            object.__setattr__(self, name, int(given))
        expect_word("direction", self.direction, DIRECTIONS)
        expect_word("nonlinearity", self.nonlinearity, NONLINEARITIES)
        for name in ("bias", "peepholes", "input_forget"):
            given = getattr(self, name)
            if not isinstance(given, bool | np.bool_):
                raise TypeError(f"{name}: got {short(given)}, expected True or False")
            object.__setattr__(self, name, bool(given))
        expect_word("cell", self.cell, cells.CELLS)
        self._check_variants()
        if self.layout is not None:
            expect_word("layout", self.layout, LAYOUTS)
        if self.held is not None and not isinstance(self.held, bool):
            raise TypeError(f"held: got {short(self.held)}, expected True, False or None")

    def _check_variants(self) -> None:
        """What only some cells have."""
        size, clip = self.projection_size, self.clip
        if isinstance(size, bool | np.bool_) or not isinstance(size, int | np.integer):
            raise TypeError(f"projection_size: got {short(size)}, expected an integer of at least 0")
        expect(0 <= size < self.hidden_size, "projection_size", size, f"0, or less than hidden_size {self.hidden_size}")
        object.__setattr__(self, "projection_size", int(size))
        if clip is not None:
            if isinstance(clip, bool | np.bool_) or not isinstance(clip, int | float | np.integer | np.floating):
                raise TypeError(f"clip: got {short(clip)}, expected a number above 0, or None")
            expect(0 < clip < float("inf"), "clip", clip, "a finite number above 0, or None")
            object.__setattr__(self, "clip", float(clip))
        for one in fields(self):
            value = getattr(self, one.name)
            if value != one.default and self.cell not in OF_CELLS.get(one.name, (self.cell,)):
                expect(False, one.name, value, f"{one.default}, as the cell {self.cell} has none")
        if self.cell in GATED and self.nonlinearity != "tanh":
            expect(False, "nonlinearity", self.nonlinearity, f"tanh, as the cell {self.cell} has no other")

    def to_dict(self) -> dict[str, Any]:
        """What the equations depend on, by name: the fields of 0.1.0, and newer ones that are not at their defaults.

        So no id of a case changes when a field is added, and every older case stays readable.
        """
        given = {one: getattr(self, one.name) for one in fields(self) if one.compare}
        return {one.name: value for one, value in given.items() if one.name in FIRST or value != one.default}

    @functools.cached_property
    def directions(self) -> tuple[str, ...]:
        """The directions of each layer, in the order of their parameters and states."""
        return TRACKS[self.direction]

    @property
    def num_directions(self) -> int:
        return len(self.directions)

    @property
    def num_cells(self) -> int:
        """Tracks in the stack, num_layers * num_directions: one CellParameters and one of each state for each."""
        return self.num_layers * self.num_directions

    @functools.cached_property
    def made(self) -> cells.Cell:
        """The cell, with these sizes."""
        return cells.CELLS[self.cell](self)

    @property
    def state_size(self) -> int:
        """Features of one track's output: the size of its cell's first state."""
        return self.made.states[0].size

    @property
    def output_size(self) -> int:
        """Features of the output, num_directions * state_size."""
        return self.num_directions * self.state_size

    def half(self, direction: int) -> slice:
        """The features of an output that a direction answers, by its number in `directions`."""
        size = self.state_size
        return slice(direction * size, (direction + 1) * size)

    def layer_input_size(self, layer: int) -> int:
        return self.input_size if layer == 0 else self.output_size

    @functools.cached_property
    def shapes(self) -> tuple[dict[str, tuple[int, ...]], ...]:
        """The shapes of a track's weights, by name: in the first layer, and, where there are more, in every other."""
        weights, sizes = self.made.weights(self), {"units": self.hidden_size, "states": self.state_size}
        each = ({**sizes, "features": self.layer_input_size(layer)} for layer in range(min(self.num_layers, 2)))
        return tuple({weight.name: weight.shape(sizes) for weight in weights} for sizes in each)

    def cell_name(self, index: int) -> str:
        """The name of track `index` in the order of parameters and h_n: "layer 1, reverse"."""
        layer, direction = divmod(index, self.num_directions)
        return f"layer {layer}, {self.directions[direction]}"


# the rank of each array that CellParameters names
_RANKS = {"w_ih": 2, "w_hh": 2, "b_ih": 1, "b_hh": 1}


@dataclass(frozen=True, eq=False)
class CellParameters:
    """The weights of one track, a layer in one direction, of one floating dtype; rows are units, as torch keeps them.

    w_ih: (gates * hidden_size, layer input size).  w_hh: (gates * hidden_size, state size).
    b_ih, b_hh: (gates * hidden_size,), or both None.  more: by name, what a cell has beside these; elman has nothing.
    Raises TypeError for anything but floating NumPy arrays and ValueError for wrong ranks.
    """

    w_ih: np.ndarray
    w_hh: np.ndarray
    b_ih: np.ndarray | None = None
    b_hh: np.ndarray | None = None
    more: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        expect_array("w_ih", self.w_ih, 2)
        expect_array("w_hh", self.w_hh, 2)
        if (self.b_ih is None) != (self.b_hh is None):
            words = "b_ih absent, b_hh given" if self.b_ih is None else "b_ih given, b_hh absent"
            expect(False, "b_ih, b_hh", words, "both or neither")
        if not isinstance(self.more, Mapping):
            raise TypeError(f"more: got {type(self.more).__name__}, expected a mapping of names to arrays")
        expect(not _RANKS.keys() & self.more.keys(), "more", sorted(self.more), f"none of {', '.join(_RANKS)}")
        arrays = self.arrays()
        for name, array in list(arrays.items())[2:]:  # w_ih and w_hh are checked
            expect_array(name, array, _RANKS.get(name))
        dtype = self.dtype
        if any(array.dtype != dtype for array in arrays.values()):
            expect(False, "parameters", {name: array.dtype.name for name, array in arrays.items()}, "one dtype")

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> CellParameters:
        """The parameters of which `arrays` answers this."""
        first = {name: array for name, array in arrays.items() if name in _RANKS}
        return cls(**first, more={name: array for name, array in arrays.items() if name not in _RANKS})

    @property
    def dtype(self) -> np.dtype:
        return self.w_ih.dtype

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that are there, by name."""
        named = {"w_ih": self.w_ih, "w_hh": self.w_hh, "b_ih": self.b_ih, "b_hh": self.b_hh, **self.more}
        return {name: array for name, array in named.items() if array is not None}

    def astype(self, dtype: Any) -> CellParameters:
        return CellParameters.of({name: array.astype(dtype) for name, array in self.arrays().items()})


def expect_array(field: str, given: object, rank: int | None) -> None:
    """Raise TypeError or ValueError unless `given` is a floating NumPy array of that rank, of any when it is None.

    A subclass is none: a masked array's hidden values and a matrix's product are not an array's.
    """
    if type(given) is not np.ndarray:
        raise TypeError(f"{field}: got {type(given).__name__}, expected a NumPy array")
    if dtype_name(given.dtype) not in DTYPES:
        if given.dtype.name in DTYPES:
            raise TypeError(f"{field}: got dtype {dtype_name(given.dtype)}, expected native byte order")
        raise TypeError(f"{field}: got dtype {given.dtype.name}, expected one of {', '.join(DTYPES)}")
    if rank not in (None, given.ndim):
        expect(False, f"{field} rank", given.ndim, f"{rank} axes (its shape is {given.shape})")


@functools.cache  # NumPy takes longer for a name than for a step of a small cell
def dtype_name(dtype: np.dtype) -> str:
    """A dtype's name, with its byte order where that is not the machine's own."""
    return dtype.name if dtype.isnative else f"{dtype.name} of foreign byte order ({dtype.str})"
