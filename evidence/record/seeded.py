"""Fixed cases by what they ask for: one value of each feature; and few that have every value that can be asked for.

Each idiom is asked the few. The numbers of a case are drawn from what it asks for: what another version of an adapter
offers more, or less, changes no other case, so that two runs can be compared case by case.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle, islice
from typing import Any

from adapters import FEATURES, Capabilities
from adapters.conformance.samples import sample
from adapters.contract import with_cell
from reference import Case

PROPERTY = "idioms, every feature"  # asks each idiom its cases
DRAWN = "idioms"  # asks each idiom a few that are drawn
USUAL: Mapping[str, Any] = {name: values[0] for name, values in FEATURES.items()} | {
    "num_layers": "1", "time": "more", "batch": "more", "h0": False,
}  # fmt: skip
# a narrow dtype comes with one layer: of more its bounds say little
TOGETHER: Mapping[str, tuple[Any, ...]] = {
    "dtype": ("float16", "float32", "float64", "bfloat16"),
    "num_layers": ("1", "2", "3 to 10"),
    "ends": (("lengths", "mixed"), ("mask", True), ("lengths", "with zeros"), ("lengths", "full")),
    "layout": ("batch_first", "time_first", "batch_first", "unbatched"),
    "direction": ("reverse", "forward", "bidirectional"),
    **{name: FEATURES[name] for name in ("nonlinearity", "bias", "h0")},
}
# of what trains: each cell, in rows of their own, as there is one layer
TRAINED = tuple(
    {"gradients": True, "cell": cell, "direction": direction, "lengths": lengths, "h0": True}
    for cell, direction, lengths in (
        ("gru", "bidirectional", "full"), ("lstm", "reverse", "mixed"), ("gru_reset_before", "forward", "full"),
        ("lstm", "forward", "full"),
    )
)  # fmt: skip
ROWS = 4
ALONE = (("time", "0"), ("time", "1"), ("batch", "0"), ("batch", "1"), ("values", "not finite"))


def case_of(asked: Mapping[str, Any], seed: int = 0) -> Case:
    """The case that asks for these features, and for the usual value of each other one; small, and always the same."""
    return sample({**USUAL, **with_cell(asked)}, seed, batch=4, time=4, hidden_size=5)


def rows(offered: Capabilities) -> Iterator[dict[str, Any]]:
    """Features of few cases, in which every value of every feature stands that an answer is expected of: several at
    once, and alone where that cannot be."""
    columns = {name: [v for v in values if _answered(offered, name, v)] for name, values in TOGETHER.items()}
    cells = () if "elman" in offered.supported("cell") else offered.supported("cell")
    columns |= {"cell": [*cells]} if cells else {}
    cell = {"cell": cells[0]} if cells else {}  # the usual one
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
        usual = (name, value) in {**USUAL, **cell}.items()
        if alone and not usual and not offered.no_answer({**USUAL, **cell, name: value}):
            yield {**cell, name: value} | ({"h0": True} if name == "cell" and True in offered.supported("h0") else {})
    yield from (asked for asked in TRAINED if not offered.no_answer({**USUAL, **asked}))


def _answered(offered: Capabilities, name: str, value: Any) -> bool:
    name, value = value if name == "ends" else (name, value)
    return value in offered.supported(name)


def cases_of(offered: Capabilities, refused: Iterable[tuple[tuple[str, Any], ...]] = ()) -> list[Case]:
    """The cases of rows.  refused: features that are refused together; a case that asks for each comes last."""
    said_no = [dict(several) for several in refused if not offered.not_offered({**USUAL, **dict(several)})]
    return [case_of(asked, zlib.crc32(repr(sorted(asked.items())).encode())) for asked in (*rows(offered), *said_no)]
