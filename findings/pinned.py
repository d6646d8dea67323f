"""The case that shows a finding, as its file says it: sizes and features, a seed, and numbers that are set by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from adapters.capabilities import MODES, features_of_case
from reference import LAYOUTS, Case, RNNSpec
from reference.arguments import check_inputs
from reference.draws import draw_case
from reference.layout import state_tuple
from reference.spec import DTYPES, expect, expect_word

from .fields import several, table

SPEC = tuple(one.name for one in fields(RNNSpec) if one.compare)
DRAWN = ("batch", "time", "dtype", "seed", "h0", "layout", "rounded", "input_scale", "weight_scale",
         "gradients")  # fmt: skip
SIZES = ("batch", "time", "input_size", "hidden_size", "num_layers")
LARGEST = 10_000  # numbers of x, of a state, of a weight


@dataclass(frozen=True)
class Set:
    """An element, or a whole array, that is set to a number.

    array: "x", "h0", "c0" (of an lstm) or "track N NAME", as in "track 0 w_ih".  at: indices, of the leading axes; all
    when empty.
    """

    array: str
    value: float
    at: tuple[int, ...] = ()

    @classmethod
    def parse(cls, where: str, given: Any) -> Set:
        words = table(where, given, {"array": str, "value": float}, {"at": list})
        return cls(words["array"], words["value"], several(f"{where} at", words.get("at", []), int))


@dataclass(frozen=True)
class Pinned:
    """A case in a few words: what reference.draws.draw_case and RNNSpec are told, and how the framework is called.

    lengths: of each sequence.  mask: for each sequence, 1 where a step counts and 0 where it does not.
    gradients: of which cotangents are drawn, a word of reference.draws.COTANGENTS; none are asked for when empty.
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
    gradients: str = ""

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Pinned:
        words = table("case", given, NEEDED, KINDS)
        if "lengths" in words:
            words["lengths"] = several("case lengths", words["lengths"], int)
        if "mask" in words:
            words["mask"] = tuple(several(f"case mask {row}", steps, int) for row, steps in enumerate(words["mask"]))
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
            with np.errstate(over="ignore"):  # beyond the largest number of a narrow dtype it is infinity
                array[one.at or ...] = one.value
        check_inputs(spec, case.x, case.h0, case.lengths, case.layout, case.x.dtype, case.mask)
        return case

    @staticmethod
    def _array(case: Case, name: str) -> np.ndarray:
        arrays = {"x": case.x, **dict(zip(("h0", "c0"), state_tuple(case.h0), strict=False))}
        for number, track in enumerate(case.parameters):
            arrays |= {f"track {number} {weight}": array for weight, array in track.arrays().items()}
        if not isinstance(found := arrays.get(name), np.ndarray):
            raise ValueError(f"case set array: got {name!r}, expected x, h0, c0 or an array such as 'track 0 w_ih'")
        return found

    def features(self) -> dict[str, Any]:
        """What it asks of an adapter."""
        return features_of_case(self.case(), self.mode)


SCALAR = {"int": int, "str": str, "bool": bool, "float": float, "float | None": float}
KINDS = {one.name: SCALAR.get(str(one.type), list) for one in fields(Pinned)}  # field -> its kind in a file
NEEDED = {name: KINDS[name] for name in ("batch", "time", "input_size", "hidden_size")}


def _expect_sense(pinned: Pinned) -> None:
    """Raise ValueError, naming the field, where no case can be made of these words and sizes."""
    for name, known in (("mode", MODES), ("dtype", DTYPES), ("layout", LAYOUTS)):
        expect_word(f"case {name}", getattr(pinned, name), tuple(known))
    sizes = [getattr(pinned, name) for name in SIZES]
    numbers = max(sizes[0] * sizes[1] * max(sizes[2], 1), sizes[3] ** 2 * max(sizes[4], 1))
    expect(min(sizes) >= 0 and numbers <= LARGEST, f"case {', '.join(SIZES)}", sizes,
           f"sizes of at least 0, and at most {LARGEST:,} numbers in an array")  # fmt: skip
    expect(pinned.seed >= 0, "case seed", pinned.seed, "an integer of at least 0")
    for name in ("input_scale", "weight_scale"):
        expect(0 < getattr(pinned, name) < float("inf"), f"case {name}", getattr(pinned, name), "a number above 0")
    alone = pinned.layout != "unbatched" or pinned.batch == 1
    expect(alone, "case batch", pinned.batch, "1 of an unbatched sequence")
    for name, rows in (("lengths", pinned.lengths), ("mask", pinned.mask)):
        expect(rows is None or len(rows) == pinned.batch, f"case {name}", rows, f"{pinned.batch} entries, one each")
    masked = pinned.mask or ()
    expect(all(len(steps) == pinned.time and {*steps} <= {0, 1} for steps in masked), "case mask", pinned.mask,
           f"{pinned.time} of 0 or 1 for each sequence")  # fmt: skip
