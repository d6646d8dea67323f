"""What the judge says of one case."""

import math
from dataclasses import asdict, dataclass
from typing import Any

OUTCOMES = ("agrees", "disagrees", "vacuous")
# the bounds of two answers: both together, or the step bound of the worse one
GRADIENT = "gradient"  # the bound of gradients, and of the answer beside them
WITH_STEPS = ("output", "delta", "dx")  # arrays that have an element for each step
PAIR = "twice the trajectory"
OWN_STEPS = ("first answer's step", "second answer's step")


@dataclass(frozen=True)
class Location:
    """One element of an answer: where it is, what was expected there, what came, and what was allowed.

    array: "output" or "h_n", "c_n"; of gradients "delta", "dx", "dh0", "dc0" or a weight's, "dw_ih".
    layer, batch, unit: counted from 0; of a weight's gradient its row and column.  time: the step; None in an array
        that has none.
    """

    array: str
    layer: int
    direction: str
    time: int | None
    batch: int
    unit: int
    expected: float
    actual: float
    bound: float

    @property
    def error(self) -> float:
        """|actual - expected|: 0 where both are the same infinity or NaN, infinite where one is another."""
        error = abs(self.actual - self.expected)
        if not math.isnan(error):
            return error
        both_nan = math.isnan(self.actual) and math.isnan(self.expected)
        return 0.0 if both_nan or self.actual == self.expected else math.inf

    @property
    def place(self) -> str:
        """The cell and the step: "layer 1, reverse, t=3"; in h_n the cell alone."""
        return f"layer {self.layer}, {self.direction}{'' if self.time is None else f', t={self.time}'}"

    def __str__(self) -> str:
        return (
            f"{self.array} at {self.place}, batch {self.batch}, unit {self.unit}: "
            f"expected {self.expected!r}, actual {self.actual!r}, error {self.error:.3g}, bound {self.bound:.3g}"
        )


@dataclass(frozen=True)
class Verdict:
    """Whether an answer agrees with the reference.

    outcome: "agrees"; "disagrees"; or "vacuous", where some bound is too wide to mean anything and
        nothing was found outside the bounds.
    reason: of a disagreement: "value", "non-finite", "shape" or "dtype"; else empty.
    bound: which bound decided, "step", "trajectory" or GRADIENT, of two answers PAIR or one of OWN_STEPS; empty when
        the arrays could not be compared.
    arithmetic: the declared arithmetic that was judged.
    elements, outside, vacuous: elements compared, outside their bound, with a meaningless bound.
    max_error: largest absolute error.  max_ulps: the same in units in the last place of the expected value,
        at the element where it is largest.  max_fraction: largest error as a fraction of its bound.
    mean_signed_residual: mean of (|actual| - |expected|), in units of u times the output's scale: it shows
        a systematic shift far below any bound, and is reported, never judged by.
    worst: the element with the largest fraction.  first: the first element outside its bound, by layer, then time.
    detail: a sentence where shape or dtype is wrong, and where gradients are: where they begin to be.
    """

    outcome: str
    reason: str
    bound: str
    arithmetic: str
    elements: int = 0
    outside: int = 0
    vacuous: int = 0
    max_error: float = 0.0
    max_ulps: float = 0.0
    max_fraction: float = 0.0
    mean_signed_residual: float = 0.0
    worst: Location | None = None
    first: Location | None = None
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        if self.detail:
            return f"{self.outcome} ({self.reason}): {self.detail}"
        text = (
            f"{self.outcome}{f' ({self.reason})' if self.reason else ''} by the {self.bound} bound of {self.arithmetic}"
            f": largest error {self.max_error:.3g} ({self.max_ulps:.3g} ulp), {self.max_fraction:.3g} of its bound; "
            f"{self.outside} of {self.elements} elements outside, {self.vacuous} with a vacuous bound"
        )
        if self.bound in OWN_STEPS:
            text += "; the trajectory bound says nothing, or is too dear: each answer was judged by its own steps"
        if self.bound == PAIR and self.outcome == "vacuous":
            text += "; the outputs of the lower layers are not known, so neither answer was judged by its own steps"
        for name, where in (("first wrong", self.first), ("worst", self.worst)):
            if where is not None and self.outcome == "disagrees":
                text += f"\n  {name}: {where}"
        return text
