"""The layer in question: its sizes and words (RNNSpec) and its weights (CellParameters)."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

DIRECTIONS = ("forward", "reverse", "bidirectional")
LAYOUTS = ("batch_first", "time_first", "unbatched")
NONLINEARITIES = ("tanh", "relu")
# the fields of RNNSpec in 0.1.0, which its JSON always has
FIRST = ("input_size", "hidden_size", "num_layers", "direction", "nonlinearity", "bias")
DTYPES = ("float16", "bfloat16", "float32", "float64")

# One length for each sequence of the batch, a single one for an unbatched sequence, or None: all are full.
Lengths = int | Sequence[int] | np.ndarray | None


# what a message shows of an argument: whole where a person would read it, never the numbers of a layer
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


def expect_word(field: str, given: object, words: tuple[str, ...]) -> None:
    expect(isinstance(given, str) and given in words, field, given, f"one of {', '.join(words)}")


def _positive_integer(field: str, given: Any) -> int:
    if isinstance(given, bool | np.bool_) or not isinstance(given, int | np.integer):
        raise TypeError(f"{field}: got {short(given)}, expected an integer of at least 1")
    expect(given >= 1, field, given, "an integer of at least 1")
    return int(given)


@dataclass(frozen=True)
class RNNSpec:
    """A stack of Elman layers: h_t = nonlinearity(w_ih x_t + b_ih + w_hh h_{t-1} + b_hh).

    input_size: features of x.  hidden_size: units of every layer and direction.
    num_layers: layers in the stack; layer l > 0 reads layer l - 1's output.
    direction: "forward", "reverse" (from the last valid step to the first) or "bidirectional".
    nonlinearity: "tanh" or "relu".  bias: whether b_ih and b_hh are there.
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
    layout: str | None = field(default=None, compare=False, repr=False)
    held: bool | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("input_size", "hidden_size", "num_layers"):
            object.__setattr__(self, name, _positive_integer(name, getattr(self, name)))
        expect_word("direction", self.direction, DIRECTIONS)
        expect_word("nonlinearity", self.nonlinearity, NONLINEARITIES)
        if not isinstance(self.bias, bool | np.bool_):
            raise TypeError(f"bias: got {short(self.bias)}, expected True or False")
        object.__setattr__(self, "bias", bool(self.bias))
        if self.layout is not None:
            expect_word("layout", self.layout, LAYOUTS)
        if self.held is not None and not isinstance(self.held, bool):
            raise TypeError(f"held: got {short(self.held)}, expected True, False or None")

    def to_dict(self) -> dict[str, Any]:
        """What the equations depend on, by name: the fields of 0.1.0, and newer ones that are not at their defaults.

        So no id of a case changes when a field is added, and every older case stays readable.
        """
        given = [one for one in fields(self) if one.compare]
        values = {one.name: getattr(self, one.name) for one in given}
        return {one.name: values[one.name] for one in given if one.name in FIRST or values[one.name] != one.default}

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions of each layer, in the order of their parameters and states."""
        return ("forward", "reverse") if self.direction == "bidirectional" else (self.direction,)

    @property
    def num_directions(self) -> int:
        return len(self.directions)

    @property
    def num_cells(self) -> int:
        """Cells in the stack, num_layers * num_directions: one CellParameters and one state each."""
        return self.num_layers * self.num_directions

    @property
    def output_size(self) -> int:
        """Features of the output, num_directions * hidden_size."""
        return self.num_directions * self.hidden_size

    def layer_input_size(self, layer: int) -> int:
        return self.input_size if layer == 0 else self.output_size

    def cell_name(self, index: int) -> str:
        """The name of cell `index` in the order of parameters and h_n: "layer 1, reverse"."""
        layer, direction = divmod(index, self.num_directions)
        return f"layer {layer}, {self.directions[direction]}"


@dataclass(frozen=True, eq=False)
class CellParameters:
    """The weights of one layer in one direction; rows are output units, as torch keeps them.

    w_ih: (hidden_size, layer input size).  w_hh: (hidden_size, hidden_size).
    b_ih, b_hh: (hidden_size,), or both None.  All of one floating dtype.
    Raises TypeError for anything but floating NumPy arrays and ValueError for wrong ranks.
    """

    w_ih: np.ndarray
    w_hh: np.ndarray
    b_ih: np.ndarray | None = None
    b_hh: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name, rank in (("w_ih", 2), ("w_hh", 2)):
            expect_array(name, getattr(self, name), rank)
        expect((self.b_ih is None) == (self.b_hh is None), "b_ih, b_hh", self._biases_given(),
               "both or neither")  # fmt: skip
        for name in ("b_ih", "b_hh"):
            if getattr(self, name) is not None:
                expect_array(name, getattr(self, name), 1)
        dtypes = {name: array.dtype.name for name, array in self.arrays().items()}
        expect(len(set(dtypes.values())) == 1, "parameters", dtypes, "one dtype")

    def _biases_given(self) -> str:
        return ", ".join(f"{name} {'absent' if b is None else 'given'}"
                         for name, b in (("b_ih", self.b_ih), ("b_hh", self.b_hh)))  # fmt: skip

    @property
    def dtype(self) -> np.dtype:
        return self.w_ih.dtype

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that are there, by name."""
        named = {"w_ih": self.w_ih, "w_hh": self.w_hh, "b_ih": self.b_ih, "b_hh": self.b_hh}
        return {name: array for name, array in named.items() if array is not None}

    def astype(self, dtype: Any) -> CellParameters:
        return CellParameters(**{name: a.astype(dtype) for name, a in self.arrays().items()})


def expect_array(field: str, given: object, rank: int) -> None:
    """Raise TypeError or ValueError unless `given` is a floating NumPy array of that rank.

    A subclass is none: a masked array's hidden values and a matrix's product are not an array's.
    """
    if type(given) is not np.ndarray:
        raise TypeError(f"{field}: got {type(given).__name__}, expected a NumPy array")
    if given.dtype.name not in DTYPES:
        raise TypeError(f"{field}: got dtype {given.dtype.name}, expected one of {', '.join(DTYPES)}")
    if not given.dtype.isnative:
        raise TypeError(f"{field}: got dtype {dtype_name(given.dtype)}, expected native byte order")
    expect(given.ndim == rank, f"{field} rank", given.ndim, f"{rank} axes (its shape is {given.shape})")


def dtype_name(dtype: np.dtype) -> str:
    """A dtype's name, with its byte order where that is not the machine's own."""
    return dtype.name if dtype.isnative else f"{dtype.name} of foreign byte order ({dtype.str})"
