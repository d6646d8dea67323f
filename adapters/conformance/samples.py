"""Small cases, one for whatever may be asked: for the self-check, and for the checks in another project's own tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from reference import Case, CellParameters, RNNSpec
from reference.arguments import cell_shapes
from reference.cells import cell_of
from reference.layout import from_state_tuple

from ..contract import FEATURES, Adapter, Capabilities, Result, capabilities_on, with_cell

# the values of a feature in the order in which they are taken, where nothing is said of it
PREFERRED: dict[str, tuple[Any, ...]] = FEATURES | {
    "h0": (False, True),
    "num_layers": ("2", "1", "3 to 10"),
    "time": ("more", "1", "0"),
    "batch": ("more", "1", "0"),
}
LAYERS = {"1": 1, "2": 2, "3 to 10": 3}
INPUT_SIZE, HIDDEN_SIZE = 3, 6
COMBINED = ("direction", "layout", "nonlinearity", "dtype")
FULL = {"h0": True, "lengths": "mixed"}


def features(capabilities: Capabilities, **wanted: Any) -> dict[str, Any]:
    """What a usual case asks of an adapter, with what is wanted in it."""
    usual = {
        name: next((value for value in values if value in capabilities.supported(name)), values[0])
        for name, values in PREFERRED.items()
    }
    if wanted.get("layout", usual["layout"]) == "unbatched":
        usual["batch"] = "1"
    return usual | with_cell(wanted)


def sample(asked: Mapping[str, Any], seed: int = 0, batch: int = 4, time: int = 5) -> Case:
    """A case that asks for these features. Its parameters are the same for every size of batch and time."""
    spec = RNNSpec(INPUT_SIZE, HIDDEN_SIZE, LAYERS[asked["num_layers"]],
                   asked["direction"], asked["nonlinearity"], asked["bias"], asked.get("cell", "elman"),
                   peepholes=asked["peepholes"], input_forget=asked["input_forget"],
                   projection_size=4 if asked["projection"] else 0, clip=0.5 if asked["clip"] else None)  # fmt: skip
    rng, dtype, unbatched = np.random.default_rng(seed), asked["dtype"], asked["layout"] == "unbatched"
    batch = {"0": 0, "1": 1}.get(asked["batch"], batch)
    time = {"0": 0, "1": 1}.get(asked["time"], time)
    parameters = [
        CellParameters.of({
            name: rng.uniform(-0.5, 0.5, shape).astype(dtype)
            for name, shape in cell_shapes(spec, index // spec.num_directions).items()
        })
        for index in range(spec.num_cells)
    ]  # fmt: skip
    sequence = {"batch_first": (batch, time), "time_first": (time, batch), "unbatched": (time,)}[asked["layout"]]
    x = rng.uniform(-1, 1, (*sequence, spec.input_size)).astype(dtype)
    if asked["values"] == "not finite" and x.size:
        x.flat[0] = np.nan
    h0 = None
    if asked["h0"]:
        rows = (spec.num_cells,) if unbatched else (spec.num_cells, batch)
        h0 = from_state_tuple([rng.uniform(-1, 1, (*rows, state.size)).astype(dtype) for state in cell_of(spec).states])
    lengths = _lengths(asked["lengths"], 1 if unbatched else batch, time)
    mask = rng.uniform(size=sequence) < 0.7 if asked["mask"] else None
    return Case(spec, parameters, x, h0, lengths[0] if unbatched and lengths else lengths, asked["layout"], mask)


def _lengths(kind: str, batch: int, time: int) -> list[int] | None:
    """Unsorted, the first the longest, the last of none where zeros are asked for."""
    if kind == "full":
        return None
    lengths = [min(time, 1 + (3 * row + 2) % max(time, 1)) for row in range(batch)]
    if batch > 1:
        lengths[0] = time
    return [*lengths[:-1], 0] if kind == "with zeros" and batch else lengths


def combinations(capabilities: Capabilities, *names: str) -> Iterator[dict[str, Any]]:
    """Every combination of supported values of these features with which a usual case is answered."""
    for values in product(*(capabilities.supported(name) for name in names)):
        wanted = dict(zip(names, values, strict=True))
        if not capabilities.no_answer(features(capabilities, **wanted)):
            yield wanted


@dataclass(frozen=True)
class Subject:
    """An adapter on a device, to be checked.  source: what loads it; empty where that is not known.

    excused: whether its framework is known to be wrong where a case has these features.
    """

    adapter: Adapter
    device: str = "cpu"
    source: str = ""
    excused: Callable[[Mapping[str, Any]], bool] = lambda features: False

    @property
    def capabilities(self) -> Capabilities:
        return capabilities_on(self.adapter, self.device)

    def case(self, seed: int = 0, **wanted: Any) -> Case:
        """A usual case, with what is wanted in it, whether it is supported or not."""
        return sample(features(self.capabilities, **wanted), seed)

    def cases(self, *names: str) -> Iterator[tuple[dict[str, Any], Case]]:
        """A case for every combination of supported values of these features that is not excused."""
        for wanted in combinations(self.capabilities, *names):
            if not self.excused(features(self.capabilities, **wanted)):
                yield wanted, self.case(**wanted)

    def build(self, case: Case, dtype: str | None = None) -> Any:
        return self.adapter.build(case.spec, case.parameters, self.device, dtype or case.dtype)

    def answer(self, case: Case) -> Result:
        return self.adapter.run(self.build(case), **case.inputs)


def everything(capabilities: Capabilities) -> Iterator[tuple[str, list[Case]]]:
    """Every combination of direction, layout, nonlinearity and dtype that is supported: its name, and its cases, the
    second with initial states and lengths, where the adapter takes these. Then every other supported value of a feature
    in a usual case: its name, and a case that asks for it.
    """
    full = {name: value for name, value in FULL.items() if value in capabilities.supported(name)}
    for wanted in combinations(capabilities, *COMBINED):
        asked = [features(capabilities, **wanted), features(capabilities, **wanted, **full)]
        able = [one for one in asked if not capabilities.no_answer(one)]
        yield " ".join(wanted.values()), [sample(one, seed) for seed, one in enumerate(able)]
    for name in (name for name in FEATURES if name not in (*COMBINED, "mode")):
        for wanted in combinations(capabilities, name):
            yield f"{name} {wanted[name]}", [sample(features(capabilities, **wanted))]
