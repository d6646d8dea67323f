"""Numbers of one verdict that no answer has, whatever was asked: of its largest error, and at the places it names."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from reference.bounds.arithmetic import Arithmetic, arithmetic

from ..record.schema import Judgement, Place, VerdictLine
from .questions import PAIR


def impossible(line: VerdictLine, said: Judgement) -> Iterator[str]:
    """What is wrong with a verdict on an answer whose elements were compared."""
    judged = arithmetic(said.arithmetic)
    yield from _ulps(line, said, judged)
    for name, place in (("worst", said.worst), ("first", said.first)):
        if place is not None and (wrong := _numbers(line, said, place, judged)):
            yield f"{name}: {wrong}"


def _ulps(line: VerdictLine, said: Judgement, judged: Arithmetic) -> Iterator[str]:
    """The largest error is counted in the last places of one expected value: they differ by a power of two."""
    if not (0 < said.max_error < math.inf and 0 < said.max_ulps < math.inf):
        return
    unit = said.max_error / said.max_ulps / (2 * judged.unit_roundoff)  # the power of two below the expected value
    most = 1.0 if _is_small(line) and not (said.bound == PAIR and said.outside) else math.inf
    if math.frexp(unit)[0] != 0.5 or not judged.smallest_normal <= unit <= most:
        yield f"a largest error of {said.max_error:.3g} is not {said.max_ulps:.3g} ulp of any expected value"


def _numbers(line: VerdictLine, said: Judgement, place: Place, judged: Arithmetic) -> str:
    """What is wrong with the numbers at a place; empty where nothing is."""
    stored = {"actual": place.actual, **({"expected": place.expected} if said.bound == PAIR else {})}
    for name, value in stored.items():
        if not _is_stored(value, judged.storage):
            return f"{name} {value!r} is no number of {judged.storage}"
    small = _is_small(line)
    if said.bound != PAIR and ((small and abs(place.expected) > 1) or (_never_negative(line) and place.expected < 0)):
        return f"no layer of {line.features['nonlinearity']} is expected to answer {place.expected!r}"
    if line.features["nonlinearity"] == "tanh" and not said.vacuous and place.bound >= 1:
        return f"a bound of {place.bound!r} says nothing, and no element is counted as vacuous"
    return ""


def _is_stored(value: float, dtype: str) -> bool:
    with np.errstate(over="ignore"):
        return math.isnan(value) or float(np.float64(value).astype(np.dtype(dtype))) == value


def _is_small(line: VerdictLine) -> bool:
    """Whether no expected value is above 1: only an initial state can be, which an empty sequence gives back."""
    return line.features["nonlinearity"] == "tanh" and not line.features["h0"]


def _never_negative(line: VerdictLine) -> bool:
    return line.features["nonlinearity"] == "relu" and not line.features["h0"]
