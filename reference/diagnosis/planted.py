"""Is an answer that of the reference with known faults planted in it? It is judged element by element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..faults import Fault
from ..judging.case import Case
from ..judging.judge import judge
from ..judging.verdict import Verdict
from .explanation import Answer


def judge_planted(
    case: Case,
    output: np.ndarray,
    h_n: np.ndarray,
    prefixes: Sequence[np.ndarray] | None,
    declared: str | None,
    faults: Sequence[Fault],
) -> Verdict:
    """Does an answer agree with the reference in which these faults are planted? The arguments are those of judge."""
    verdict = judge(case, output, h_n, prefixes, declared)
    answer = Answer(case, output, h_n, prefixes, declared)
    found = answer.explanations([tuple(faults)])
    return replace(verdict, outcome="agrees" if found else "disagrees")
