"""Numbers of one verdict that no answer has, whatever was asked: its errors, and the values at the places it names."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from reference.bounds.arithmetic import Arithmetic, arithmetic

from ..record.schema import Judgement, Place, VerdictLine
from .check import those
from .questions import PAIR

# the reference's float64 sums differ in their last bits from one BLAS to another; a float64 answer's error is no larger
REPEATABLE = 2.0**-20


def close(one: float, other: float) -> bool:
    """Whether two figures are the same but for the last bits of the reference's float64 sums."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=REPEATABLE)


def impossible(line: VerdictLine, said: Judgement) -> Iterator[str]:
    """What is wrong with a verdict on an answer whose elements were compared."""
    judged = arithmetic(said.arithmetic)
    yield from _errors(line, said, judged)
    yield from _worst(line, said)
    yield from _ulps(line, said, judged)
    for name, place in (("worst", said.worst), ("first", said.first)):
        if place is not None and (wrong := _numbers(line, said, place, judged)):
            yield f"{name}: {wrong}"


def _errors(line: VerdictLine, said: Judgement, judged: Arithmetic) -> Iterator[str]:
    """Errors that no answer with this outcome has."""
    errors = {"max_error": said.max_error, "max_ulps": said.max_ulps, "max_fraction": said.max_fraction}
    bad = [name for name, value in errors.items() if not value >= 0]
    finite = all(math.isfinite(value) for value in (*errors.values(), said.mean_signed_residual))
    fraction, inside = f"the largest error is {said.max_fraction:.3g} of its bound", not said.outside
    residual, most = said.mean_signed_residual, _most_residual(line, said, judged)
    other = (said.max_error == 0) != (said.max_ulps == 0) or (said.max_error == 0 and said.max_fraction > 0)
    of = f"{said.max_error:.3g}, {said.max_ulps:.3g} ulp, {said.max_fraction:.3g} of its bound"
    yield from those(
        (bad and inside, f"{', '.join(bad)}: below 0 or no number"),
        (not finite and inside, "figures that are not finite, and nothing is outside"),
        (said.reason == "value" and not said.max_fraction > 1, f"elements outside, and {fraction}"),
        (inside and said.max_fraction > 1, f"nothing outside, and {fraction}"),
        (other, f"a largest error of {of}"),
        (abs(residual) > most, f"a mean signed residual of {residual:.3g}, by these errors it is at most {most:.3g}"),
    )


def _most_residual(line: VerdictLine, said: Judgement, judged: Arithmetic) -> float:
    """The largest mean signed residual: the largest error, over u times an expected value, and what the sums round."""
    rounded = float(max(said.elements, 1)) if line.features["dtype"] == "float64" else REPEATABLE
    if said.max_error == 0:
        return rounded
    expected = abs(said.worst.expected) if said.worst is not None and said.worst.array == "output" else 0.0
    scale = judged.unit_roundoff * expected
    return said.max_error / scale * (1 + REPEATABLE) + rounded if scale > 0 else math.inf


def _worst(line: VerdictLine, said: Judgement) -> Iterator[str]:
    """Whether the errors are those of the worst element, and the first one is outside."""
    if said.first is not None and said.first.error <= said.first.bound:
        yield "first: it lies inside its bound"
    if said.worst is None:
        if said.max_fraction or (said.elements and line.sizes.time):
            yield "the worst element is not named"
        return
    error, bound = said.worst.error, said.worst.bound
    if error and not bound > 0:
        return  # its fraction is no number
    fraction = error / bound if error else 0.0
    meaningless = said.vacuous and said.max_fraction == 0  # elements whose bound says nothing are left out of it
    of, at = f"the largest error is {said.max_fraction!r} of its bound", f"at the worst element {fraction!r}"
    yield from those(
        (not close(fraction, said.max_fraction) and not meaningless, f"{of}, {at}"),
        (error > said.max_error, f"a largest error of {said.max_error!r}, at the worst element {error!r}"),
    )


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
    phi, expected = line.features["nonlinearity"], place.expected
    negative = phi == "relu" and not line.features["h0"] and expected < 0
    if said.bound != PAIR and ((_is_small(line) and abs(expected) > 1) or negative):
        return f"no layer of {phi} is expected to answer {expected!r}"
    if phi == "tanh" and not said.vacuous and place.bound >= 1:
        return f"a bound of {place.bound!r} says nothing, and no element is counted as vacuous"
    return ""


def _is_stored(value: float, dtype: str) -> bool:
    with np.errstate(over="ignore"):
        return math.isnan(value) or float(np.float64(value).astype(np.dtype(dtype))) == value


def _is_small(line: VerdictLine) -> bool:
    """Whether no expected value is above 1: only an initial state can be, which an empty sequence gives back."""
    return line.features["nonlinearity"] == "tanh" and not line.features["h0"]
