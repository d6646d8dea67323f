"""The case that shows a finding, as its file says it: sizes and features, a seed, and numbers that are set by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from adapters.capabilities import MODES, features_of
from reference import Case, RNNSpec
from reference.draws import draw_case
from reference.spec import expect_word, short

SPEC = ("input_size", "hidden_size", "num_layers", "direction", "nonlinearity", "bias", "cell")
DRAWN = ("batch", "time", "dtype", "seed", "h0", "layout", "rounded", "input_scale", "weight_scale")
LARGEST = 10_000  # numbers of x, of a state, of a weight


@dataclass(frozen=True)
class Set:
    """An element, or a whole array, that is set to a number.

    array: "x", "h0" or "track N NAME", as in "track 0 w_ih".  at: indices, of the leading axes; all when empty.
    """

    array: str
    value: float
    at: tuple[int, ...] = ()


@dataclass(frozen=True)
class Pinned:
    """A case in a few words: what reference.draws.draw_case and RNNSpec are told, and how the framework is called.

    lengths: of each sequence.  mask: for each sequence, 1 where a step counts and 0 where it does not.
    mode, idiom: how it is called.  set: numbers that are not drawn.
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
    set: tuple[Set, ...] = ()

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Pinned:
        """From a table of a finding's file. Raises ValueError or TypeError, naming the field."""
        kinds = {field.name: str(field.type) for field in fields(cls)}
        for name, value in given.items():
            if name not in kinds:
                raise ValueError(f"case {name}: expected one of {', '.join(kinds)}")
            expected = {"int": int, "str": str, "bool": bool, "float": (int, float)}.get(kinds[name], list)
            if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
                raise ValueError(f"case {name}: got {short(value)}, expected {kinds[name]}")
        missing = [name for name in ("batch", "time", "input_size", "hidden_size") if name not in given]
        if missing:
            raise ValueError(f"case {missing[0]}: got nothing, expected a number")
        words = dict(given)
        if "lengths" in words:
            words["lengths"] = tuple(words["lengths"])
        if "mask" in words:
            words["mask"] = tuple(map(tuple, words["mask"]))
        words["set"] = tuple(Set(one["array"], one["value"], tuple(one.get("at", ()))) for one in words.get("set", ()))
        pinned = cls(**words)
        expect_word("case mode", pinned.mode, tuple(MODES))
        sizes = (pinned.batch * pinned.time * max(pinned.input_size, 1), pinned.hidden_size**2 * pinned.num_layers)
        if min(sizes) < 0 or max(sizes) > LARGEST:
            raise ValueError(f"case: got {max(sizes):,} numbers in an array, expected at most {LARGEST:,}")
        return pinned

    def case(self) -> Case:
        """The case itself; the same on every machine."""
        spec = RNNSpec(**{name: getattr(self, name) for name in SPEC})
        drawn = draw_case(spec, **{name: getattr(self, name) for name in DRAWN}, lengths=self.lengths)
        mask = None if self.mask is None else np.array(self.mask, bool)
        if mask is not None and self.layout == "time_first":
            mask = np.ascontiguousarray(mask.T)
        case = replace(drawn, mask=mask[0] if mask is not None and self.layout == "unbatched" else mask)
        for one in self.set:
            self._array(case, one.array)[one.at or ...] = one.value
        return case

    @staticmethod
    def _array(case: Case, name: str) -> np.ndarray:
        if name in ("x", "h0"):
            found = getattr(case, name)
        else:
            track, number, weight = name.split()
            expect_word("case set array", track, ("track",))
            found = case.parameters[int(number)].arrays().get(weight)
        if not isinstance(found, np.ndarray):
            raise ValueError(f"case set array: got {name!r}, expected x, h0 or an array such as 'track 0 w_ih'")
        return found

    def features(self) -> dict[str, Any]:
        """What it asks of an adapter."""
        case = self.case()
        return features_of(case.spec, **case.inputs, mode=self.mode)
