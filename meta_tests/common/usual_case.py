"""What the tests of the judge share: a usual case, and the place of an element in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference import Case, Location, RNNSpec
from reference.draws import draw_case

HIDDEN, TIME, BATCH = 4, 5, 3
# so far off that no other element, which sees it through tanh, comes near its fraction of the bound
FAR = np.float32(1_000)


def usual(direction: str = "forward", num_layers: int = 1, layout: str = "batch_first", **changes: Any) -> Case:
    batch = 1 if layout == "unbatched" else BATCH
    spec = RNNSpec(3, HIDDEN, num_layers, direction)
    return draw_case(spec, **{"batch": batch, "time": TIME, "h0": True, "layout": layout} | changes)


def stack(case: Case) -> list[np.ndarray]:
    """The outputs of the first 1, 2, ... layers; the last is the whole stack's."""
    return [case.prefix(layers).answer().output.copy() for layers in range(1, case.spec.num_layers + 1)]


def place(case: Case, layer: int, direction: int, time: int, batch: int, unit: int) -> tuple[int, ...]:
    """The index of an element in an output, from the axes of its layout."""
    feature = direction * HIDDEN + unit
    return {"batch_first": (batch, time, feature), "time_first": (time, batch, feature), "unbatched": (time, feature)}[
        case.layout
    ]


def named(location: Location | None) -> tuple:
    assert location is not None
    return location.array, location.layer, location.direction, location.time, location.batch, location.unit
