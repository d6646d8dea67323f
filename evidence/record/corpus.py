"""The frozen corpus: the cases that every recorded run is asked, so that two versions can be compared case by case.

The cases are stored, bit for bit: no version of NumPy or Hypothesis can draw them otherwise. `harness/make_corpus.py`
made them once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import ml_dtypes  # noqa: F401 (makes np.dtype("bfloat16") known)

from adapters.contract import MODES
from reference import DIRECTIONS, Case

PATH = Path(__file__).with_name("corpus.jsonl")
FORMAT = "rnn-equivalence corpus 1"
PROPERTY = "corpus"  # the property that asks all of it, by the step bound
TRAJECTORY = "corpus, whole trajectory"
# what is asked in a mode: one layer; two layers with initial states and lengths; three layers, or a wide one
WIDE = ("tanh float32 plain", "relu float32 full", "tanh float64 equal sizes")
IN_MODE = {
    "mixed": ("tanh float16 plain", "relu bfloat16 full", "tanh float16 equal sizes"),
    "sequential": ("tanh float32 plain", "relu float32 full", "tanh float64 plain"),
}
NARROW_PRODUCTS = ("tf32", "bfloat16_products")  # taken where they pay: a wide case is asked too


@dataclass(frozen=True)
class Asked:
    """One property's questions about the corpus: in which mode, judged by which bound, of which cases, by name."""

    mode: str
    bound: str
    names: tuple[str, ...]


@cache
def cases() -> Mapping[str, Case]:
    """Name -> case, in the order of the file; arrays are read-only. Raises ValueError for a file of another kind."""
    first, *lines = PATH.read_text(encoding="utf-8").splitlines()
    if json.loads(first) != {"format": FORMAT}:
        raise ValueError(f"{PATH.name}: got a file that begins {first[:80]!r}, expected {FORMAT!r}")
    entries = [json.loads(line) for line in lines]
    return MappingProxyType({entry["name"]: _frozen(Case.from_json(json.dumps(entry["case"]))) for entry in entries})


@cache
def names() -> Mapping[str, str]:
    """Case id -> name."""
    return MappingProxyType({case.id: name for name, case in cases().items()})


@cache
def asked() -> Mapping[str, Asked]:
    """Property -> what every recorded run asks of each target, once."""
    growing = tuple(name for name in cases() if name.split()[1] in ("time", "depth"))
    found = {PROPERTY: Asked("eager", "step", tuple(cases())), TRAJECTORY: Asked("eager", "trajectory", growing)}
    for mode in MODES:
        if mode != "eager":
            ends = tuple(end for direction in DIRECTIONS for end in _ends(mode, direction))
            found[f"{PROPERTY}, {mode}"] = Asked(mode, "step", tuple(name for name in cases() if name.endswith(ends)))
    return MappingProxyType(found)


def _ends(mode: str, direction: str) -> list[str]:
    """How the names of the cases end that are asked in a mode."""
    ends = [f"{direction} batch_first {words}" for words in IN_MODE.get(mode, WIDE)]
    return [*ends, f"vectors 64 {direction} float32"] if mode in NARROW_PRODUCTS else ends


@cache
def digest() -> str:
    """SHA-256 of all names and ids: two runs are compared only where it is the same."""
    return hashlib.sha256("\n".join(f"{name} {case.id}" for name, case in cases().items()).encode()).hexdigest()


def _frozen(case: Case) -> Case:
    for array in (case.x, case.h0, *(array for cell in case.parameters for array in cell.arrays().values())):
        if array is not None:
            array.setflags(write=False)
    return case
