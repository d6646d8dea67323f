"""Fixed cases by what they ask for: one value of each feature; and few that have every value that can be asked for.

Each idiom is asked the few. The numbers of a case are drawn from what it asks for: what another version of an adapter
offers more, or less, changes no other case, so that two runs can be compared case by case.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle, islice
from typing import Any

import numpy as np

from adapters import FEATURES, Capabilities
from adapters.contract import with_cell
from reference import Case, RNNSpec
from reference.draws import draw_case

PROPERTY = "idioms, every feature"  # asks each idiom its cases
DRAWN = "idioms"  # asks each idiom a few that are drawn
USUAL: Mapping[str, Any] = {name: values[0] for name, values in FEATURES.items()} | {
    "num_layers": "1", "time": "more", "batch": "more", "h0": False,
}  # fmt: skip
CLIP = 0.5  # which about half of all sums exceed
PROJECTED = 3  # of 5 units
SIZE = {"0": 0, "1": 1, "more": 4}
LENGTHS = {"full": None, "mixed": (3, 1, 4, 2), "with zeros": (3, 0, 4, 2)}
# a narrow dtype comes with one layer: of more its bounds say little
TOGETHER: Mapping[str, tuple[Any, ...]] = {
    "dtype": ("float16", "float32", "float64", "bfloat16"),
    "num_layers": ("1", "2", "3 to 10"),
    "ends": (("lengths", "mixed"), ("mask", True), ("lengths", "with zeros"), ("lengths", "full")),
    "layout": ("batch_first", "time_first", "batch_first", "unbatched"),
    "direction": ("reverse", "forward", "bidirectional"),
    **{name: FEATURES[name] for name in ("nonlinearity", "bias", "h0")},
}
ROWS = 4
ALONE = (("time", "0"), ("time", "1"), ("batch", "0"), ("batch", "1"), ("values", "not finite"))


def case_of(asked: Mapping[str, Any], seed: int = 0) -> Case:
    """The case that asks for these features, and for the usual value of each other one; small, and always the same."""
    asked = {**USUAL, **with_cell(asked)}
    batch = 1 if asked["layout"] == "unbatched" else SIZE[asked["batch"]]
    time, lengths = SIZE[asked["time"]], LENGTHS[asked["lengths"]]
    case = draw_case(
        RNNSpec(3, 5, {"1": 1, "2": 2, "3 to 10": 3}[asked["num_layers"]], asked["direction"], asked["nonlinearity"],
                asked["bias"], asked["cell"], asked["peepholes"], asked["input_forget"],
                PROJECTED * asked["projection"], CLIP if asked["clip"] else None),
        batch=batch,
        time=time,
        dtype=asked["dtype"],
        seed=seed,
        h0=asked["h0"],
        lengths=None if lengths is None else tuple(min(length, time) for length in lengths[:batch]),
        layout=asked["layout"],
        mask=asked["mask"],
    )  # fmt: skip
    if asked["values"] == "not finite":
        case.x.flat[0] = np.nan
    return case


def rows(offered: Capabilities) -> Iterator[dict[str, Any]]:
    """Features of few cases, in which every value of every feature stands that an answer is expected of: several at
    once, and alone where that cannot be."""
    columns = {name: [v for v in values if _answered(offered, name, v)] for name, values in TOGETHER.items()}
    met: set[tuple[str, Any]] = set()
    for row in zip(*(islice(cycle(values), ROWS) for values in columns.values()), strict=True):
        asked = dict(zip(columns, row, strict=True))
        asked |= [asked.pop("ends")]
        if not offered.no_answer({**USUAL, **asked}):
            met |= asked.items()
            yield asked
    wanted = [(name, v) for name, values in FEATURES.items() if name != "mode" for v in values]
    for name, value in wanted:
        alone = (name, value) in ALONE or (name, value) not in met
        if alone and (name, value) not in USUAL.items() and not offered.no_answer({**USUAL, name: value}):
            yield {name: value} | ({"h0": True} if name == "cell" and True in offered.supported("h0") else {})


def _answered(offered: Capabilities, name: str, value: Any) -> bool:
    name, value = value if name == "ends" else (name, value)
    return value in offered.supported(name)


def cases_of(offered: Capabilities, refused: Iterable[tuple[tuple[str, Any], ...]] = ()) -> list[Case]:
    """The cases of rows.  refused: features that are refused together; a case that asks for each comes last."""
    said_no = [dict(several) for several in refused if not offered.not_offered({**USUAL, **dict(several)})]
    return [case_of(asked, zlib.crc32(repr(sorted(asked.items())).encode())) for asked in (*rows(offered), *said_no)]
