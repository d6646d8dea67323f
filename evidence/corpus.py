"""The frozen corpus: the cases that every recorded run is asked, so that two versions can be compared case by case.

The cases are stored, bit for bit: no version of NumPy or Hypothesis can draw them otherwise. `tests/make_corpus.py`
made them once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import ml_dtypes  # noqa: F401 (makes np.dtype("bfloat16") known)

from reference import Case

PATH = Path(__file__).with_name("corpus.jsonl")
FORMAT = "rnn-equivalence corpus 1"
PROPERTY = "corpus"  # the property that asks all of it, by the step bound, and whose answers are kept


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
def digest() -> str:
    """SHA-256 of all names and ids: two runs are compared only where it is the same."""
    return hashlib.sha256("\n".join(f"{name} {case.id}" for name, case in cases().items()).encode()).hexdigest()


def _frozen(case: Case) -> Case:
    for array in (case.x, case.h0, *(array for cell in case.parameters for array in cell.arrays().values())):
        if array is not None:
            array.setflags(write=False)
    return case
