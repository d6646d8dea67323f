"""The case that shows a finding, as its file says it: sizes and features, a seed, and numbers that are set by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from adapters.capabilities import MODES, features_of
from reference import LAYOUTS, Case, RNNSpec
from reference.arguments import check_inputs
from reference.draws import draw_case
from reference.spec import DTYPES, expect_word, short

SPEC = ("input_size", "hidden_size", "num_layers", "direction", "nonlinearity", "bias", "cell",
        "peepholes", "input_forget", "projection_size", "clip")  # fmt: skip
DRAWN = ("batch", "time", "dtype", "seed", "h0", "layout", "rounded", "input_scale", "weight_scale")
SIZES = ("batch", "time", "input_size", "hidden_size", "num_layers")
LARGEST = 10_000  # numbers of x, of a state, of a weight


@dataclass(frozen=True)
class Set:
    """An element, or a whole array, that is set to a number.

    array: "x", "h0" or "track N NAME", as in "track 0 w_ih".  at: indices, of the leading axes; all when empty.
    """

    array: str
    value: float
    at: tuple[int, ...] = ()

    @classmethod
    def parse(cls, where: str, given: Any) -> Set:
        """From a table. Raises ValueError, naming the field."""
        if not isinstance(given, dict) or {"array", "value"} - {*given} or {*given} - {"array", "value", "at"}:
            raise ValueError(f"{where}: got {short(given)}, expected a table of array, value and, if need be, at")
        if not isinstance(given["array"], str):
            raise ValueError(f"{where} array: got {short(given['array'])}, expected text")
        if isinstance(given["value"], bool) or not isinstance(given["value"], int | float):
            raise ValueError(f"{where} value: got {short(given['value'])}, expected a number")
        return cls(given["array"], given["value"], _integers(f"{where} at", given.get("at", [])))


@dataclass(frozen=True)
class Pinned:
    """A case in a few words: what reference.draws.draw_case and RNNSpec are told, and how the framework is called.

    lengths: of each sequence.  mask: for each sequence, 1 where a step counts and 0 where it does not.
    mode, idiom: how it is called.  isolate: in a process of its own, which it may take down.
    set: numbers that are not drawn.
    """

    batch: int
    time: int
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
    dtype: str = "float32"
    seed: int = 0
    h0: bool = False
    layout: str = "batch_first"
    rounded: bool = False
    input_scale: float = 1.0
    weight_scale: float = 1.0
    lengths: tuple[int, ...] | None = None
    mask: tuple[tuple[int, ...], ...] | None = None
    mode: str = "eager"
    idiom: str = ""
    isolate: bool = False
    set: tuple[Set, ...] = ()

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Pinned:
        """From a table of a finding's file. Raises ValueError or TypeError, naming the field."""
        kinds = {field.name: str(field.type) for field in fields(cls)}
        for name, value in given.items():
            if name not in kinds:
                raise ValueError(f"case {name}: expected one of {', '.join(kinds)}")
            kind = kinds[name].removesuffix(" | None")
            expected = {"int": int, "str": str, "bool": bool, "float": (int, float)}.get(kind, list)
            if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
                raise ValueError(f"case {name}: got {short(value)}, expected {kinds[name]}")
        missing = [name for name in ("batch", "time", "input_size", "hidden_size") if name not in given]
        if missing:
            raise ValueError(f"case {missing[0]}: got nothing, expected a number")
        words = dict(given)
        if "lengths" in words:
            words["lengths"] = _integers("case lengths", words["lengths"])
        if "mask" in words:
            words["mask"] = tuple(_integers(f"case mask {row}", steps) for row, steps in enumerate(words["mask"]))
        words["set"] = tuple(Set.parse(f"case set {number}", one) for number, one in enumerate(words.get("set", ())))
        pinned = cls(**words)
        _expect_sense(pinned)
        return pinned

    def case(self) -> Case:
        """The case itself; the same on every machine. Raises ValueError, naming the field, where there is none."""
        spec = RNNSpec(**{name: getattr(self, name) for name in SPEC})
        drawn = draw_case(spec, **{name: getattr(self, name) for name in DRAWN}, lengths=self.lengths)
        mask = None if self.mask is None else np.array(self.mask, bool)
        if mask is not None and self.layout == "time_first":
            mask = np.ascontiguousarray(mask.T)
        case = replace(drawn, mask=mask[0] if mask is not None and self.layout == "unbatched" else mask)
        for one in self.set:
            array = self._array(case, one.array)
            if len(one.at) > array.ndim or any(not 0 <= i < size for i, size in zip(one.at, array.shape, strict=False)):
                raise ValueError(f"case set {one.array} at: got {list(one.at)}, expected indices of {array.shape}")
            array[one.at or ...] = one.value
        check_inputs(spec, case.x, case.h0, case.lengths, case.layout, case.x.dtype, case.mask)
        return case

    @staticmethod
    def _array(case: Case, name: str) -> np.ndarray:
        track, number, weight = [*name.split(), "", "", ""][:3]
        if name in ("x", "h0"):
            found = getattr(case, name)
        elif track == "track" and number.isdecimal() and int(number) < len(case.parameters):
            found = case.parameters[int(number)].arrays().get(weight)
        else:
            found = None
        if not isinstance(found, np.ndarray):
            raise ValueError(f"case set array: got {name!r}, expected x, h0 or an array such as 'track 0 w_ih'")
        return found

    def features(self) -> dict[str, Any]:
        """What it asks of an adapter."""
        case = self.case()
        return features_of(case.spec, **case.inputs, mode=self.mode)


def _integers(name: str, values: Any) -> tuple[int, ...]:
    if not isinstance(values, list | tuple) or not all(type(value) is int for value in values):
        raise ValueError(f"{name}: got {short(values)}, expected a list of integers")
    return tuple(values)


def _expect_sense(pinned: Pinned) -> None:
    """Raise ValueError, naming the field, where no case can be made of these words and sizes."""
    for name, known in (("mode", MODES), ("dtype", DTYPES), ("layout", LAYOUTS)):
        expect_word(f"case {name}", getattr(pinned, name), tuple(known))
    sizes = [getattr(pinned, name) for name in SIZES]
    numbers = max(sizes[0] * sizes[1] * max(sizes[2], 1), sizes[3] ** 2 * max(sizes[4], 1))
    if min(sizes) < 0 or numbers > LARGEST:
        expected = f"sizes of at least 0, and at most {LARGEST:,} numbers in an array"
        raise ValueError(f"case {', '.join(SIZES)}: got {sizes}, expected {expected}")
    if pinned.seed < 0:
        raise ValueError(f"case seed: got {pinned.seed}, expected an integer of at least 0")
    for name in ("input_scale", "weight_scale"):
        if not 0 < getattr(pinned, name) < float("inf"):
            raise ValueError(f"case {name}: got {getattr(pinned, name)}, expected a number above 0")
    if pinned.layout == "unbatched" and pinned.batch != 1:
        raise ValueError(f"case batch: got {pinned.batch}, expected 1 of an unbatched sequence")
    for name, rows in (("lengths", pinned.lengths), ("mask", pinned.mask)):
        if rows is not None and len(rows) != pinned.batch:
            raise ValueError(f"case {name}: got {len(rows)} entries, expected one for each of {pinned.batch}")
    if any(len(steps) != pinned.time or {*steps} - {0, 1} for steps in pinned.mask or ()):
        raise ValueError(f"case mask: got {short(pinned.mask)}, expected {pinned.time} of 0 or 1 for each sequence")
