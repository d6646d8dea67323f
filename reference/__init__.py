"""What a recurrent layer computes, and how far rounding may move it. NumPy only.

spec: sizes, words, weights.  elman: the cell's equations.  recurrence: scan, directions, stack.
layout, arguments: the axes, and what is accepted.  case: one question.  bounds, comparison, judging, verdict: the answer to it.
"""

from .case import Case
from .recurrence import Result, forward
from .judging import judge
from .spec import DIRECTIONS, DTYPES, LAYOUTS, NONLINEARITIES, CellParameters, RNNSpec
from .verdict import OUTCOMES, Location, Verdict

__all__ = [
    "DIRECTIONS",
    "DTYPES",
    "LAYOUTS",
    "NONLINEARITIES",
    "OUTCOMES",
    "Case",
    "CellParameters",
    "Location",
    "RNNSpec",
    "Result",
    "Verdict",
    "forward",
    "judge",
]
