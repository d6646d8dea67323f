"""Small cases, one for whatever may be asked: for the self-check, for idioms, for the tests of another project."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from reference import Case, RNNSpec
from reference.draws import draw_case

from ..contract import FEATURES, Adapter, Capabilities, Result, capabilities_on, with_cell
from ..running.trial import Stack

# the values of a feature in the order in which they are taken, where nothing is said of it
PREFERRED: dict[str, tuple[Any, ...]] = FEATURES | {
    "h0": (False, True),
    "num_layers": ("2", "1", "3 to 10"),
    "time": ("more", "1", "0"),
    "batch": ("more", "1", "0"),
}
LAYERS = {"1": 1, "2": 2, "3 to 10": 3}
SIZE = {"0": 0, "1": 1}
LENGTHS = {"full": None, "mixed": (3, 1, 4, 2), "with zeros": (3, 0, 4, 2)}
INPUT_SIZE, HIDDEN_SIZE = 3, 6
CLIP = 0.5  # which about half of all sums exceed
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
    if wanted.get("gradients"):  # the layers of a stack are asked one by one
        usual["num_layers"] = "1"
    if wanted.get("nonlinearity", "tanh") != "tanh":  # which an Elman layer alone has
        usual["cell"] = "elman"
    return usual | with_cell(wanted)


def sample(
    asked: Mapping[str, Any], seed: int = 0, batch: int = 4, time: int = 5, hidden_size: int = HIDDEN_SIZE
) -> Case:
    """The small case that asks for these features; always the same. Its parameters are so for every batch and time."""
    batch = 1 if asked["layout"] == "unbatched" else SIZE.get(asked["batch"], batch)
    time = SIZE.get(asked["time"], time)
    lengths = (0,) if batch == 1 and asked["lengths"] == "with zeros" else LENGTHS[asked["lengths"]]
    case = draw_case(
        RNNSpec(INPUT_SIZE, hidden_size, LAYERS[asked["num_layers"]], asked["direction"], asked["nonlinearity"],
                asked["bias"], asked.get("cell", "elman"), asked["peepholes"], asked["input_forget"],
                (hidden_size - 2) * asked["projection"], CLIP if asked["clip"] else None),
        dtype=asked["dtype"],
        seed=seed,
        h0=asked["h0"],
        lengths=None if lengths is None else tuple(min(length, time) for length in lengths[:batch]),
        layout=asked["layout"],
        mask=asked["mask"],
        gradients="all" if asked["gradients"] else "",
        batch=batch,
        time=time,
    )  # fmt: skip
    if asked["values"] == "not finite" and case.x.size:
        case.x.flat[0] = np.nan
    return case


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
        return Stack(self.adapter, case, self.device).answer(case)


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
