"""The faults that explain an answer which shows part: each is judged as planted, kind by kind until one explains it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..faults import Fault
from ..faults.masks import MASK_FAULTS
from ..faults.views import answer_with
from ..judging.case import Case
from ..judging.partial import widest
from ..judging.view import View
from .explanation import LEFT, Explanation, apart, used_part, visible
from .faulty import judge_planted

Given = tuple[Any, Any, Any, str | None]  # output, h_n, prefixes, and the arithmetic that is declared


def explanations_in(
    view: View, case: Case, answer: Given, faults: Iterable[Fault], paired: Iterable[Fault]
) -> tuple[tuple[Explanation, ...], int, int]:
    """What explains an answer, best first, and how many faults, and how many pairs, were tried.

    Faults in what is shown are tried first, those that findings name last of the single ones; of a case with a mask
    those in masks too.
    """
    seen = [*visible((*faults, *(MASK_FAULTS.values() if case.mask is not None else ())), case, view)]
    kinds: list[Sequence[tuple[Fault, ...]]] = [
        [(one,) for one in seen if one.shown],
        [(one,) for one in seen if not one.shown and one.family != "found"],
        [(one,) for one in seen if one.family == "found"],
        list(itertools.combinations(visible(paired, case, view), 2)),
    ]
    tried, found = 0, ()
    for tried in range(1, len(kinds) + 1):
        if found := tuple(sorted(_explained(view, case, answer, kinds[tried - 1]), key=lambda one: one.error)):
            break
    singles, pairs = (sum(map(len, several)) for several in (kinds[: min(tried, 3)], kinds[3:tried]))
    return found, singles, pairs


def _explained(view: View, case: Case, answer: Given, candidates: Sequence[tuple[Fault, ...]]) -> Iterator[Explanation]:
    """A fault explains an error if the judge says so, or, of numbers that it knows no bound for, if the answer lies as
    close to the faulty one as two may; and if less than LEFT of the error is left."""
    allowed, unexplained = 2 * widest(view, case, answer[3]), apart(answer_with((), view, case), answer)
    for faults in candidates:
        verdict = judge_planted(case, *answer, faults, view)
        error, used = verdict.max_error, verdict.max_fraction
        if verdict.outcome == "vacuous":
            error = apart(answer_with(faults, view, case), answer)
            used = used_part(np.array(error), allowed)
        if verdict.outcome != "disagrees" and used <= 1 and error < LEFT * unexplained:
            yield Explanation(faults, error, used)
