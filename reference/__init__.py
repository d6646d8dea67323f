"""What a recurrent layer computes, and how far rounding may move it. NumPy only.

spec: sizes, words, weights.  cells: the equations.  calculus: what they are read with, numbers or bounds.
recurrence: the forward pass: scan, directions, stack.
layout, arguments: the axes, and what is accepted.  case: one question.
bounds: how far off an answer may be.  judging, comparison, verdict: what is said of it.
faults: how implementations go wrong.  diagnosis, explaining: which fault would explain a wrong answer.
"""

from .case import Case
from .diagnosis import Diagnosis, diagnose
from .explaining import Explanation
from .judging import judge, judge_pair
from .recurrence import Result, forward
from .spec import DIRECTIONS, DTYPES, LAYOUTS, NONLINEARITIES, CellParameters, Lengths, RNNSpec
from .verdict import OUTCOMES, Location, Verdict

__all__ = [
    "DIRECTIONS",
    "DTYPES",
    "LAYOUTS",
    "NONLINEARITIES",
    "OUTCOMES",
    "Case",
    "CellParameters",
    "Diagnosis",
    "Explanation",
    "Lengths",
    "Location",
    "RNNSpec",
    "Result",
    "Verdict",
    "diagnose",
    "forward",
    "judge",
    "judge_pair",
]
