"""What a recurrent layer computes, and how far rounding may move it. NumPy only.

spec: sizes, words, weights.  cells: the equations.  calculus: what they are read with, numbers or bounds.
recurrence: the forward pass.  layout, arguments: the axes, and what is accepted.
bounds: how far off an answer may be.  judging: one question, and what is said of an answer to it.
faults: how implementations go wrong.  diagnosis: which fault would explain a wrong answer.
"""

from .backward import Gradients, backward
from .diagnosis.diagnosis import Diagnosis, diagnose
from .diagnosis.explanation import Explanation
from .judging.case import Case
from .judging.gradients import judge_gradients, probe
from .judging.judge import judge, judge_pair
from .judging.verdict import OUTCOMES, Location, Verdict
from .recurrence import Result, forward
from .spec import DIRECTIONS, DTYPES, LAYOUTS, NONLINEARITIES, CellParameters, Lengths, RNNSpec

__all__ = [
    "DIRECTIONS", "DTYPES", "LAYOUTS", "NONLINEARITIES", "OUTCOMES", "Case", "CellParameters", "Diagnosis",
    "Explanation", "Gradients", "Lengths", "Location", "RNNSpec", "Result", "Verdict", "backward", "diagnose",
    "forward", "judge", "judge_gradients", "judge_pair", "probe",
]  # fmt: skip
