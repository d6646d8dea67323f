"""The verdicts on the corpus made anew: the reference judges each kept answer again, as anyone may who has NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from reference import Case, Verdict, judge
from reference.encoding import decode

from ..record.corpus import PROPERTY, Corpus
from ..record.lines import answer_id
from ..record.schema import Answer, Judgement, VerdictLine
from .consistency import UNCOMPARED
from .declarations import Declared
from .figures import close

EXACT = ("reason", "bound", "arithmetic", "elements", "outside", "vacuous", "detail")
FIGURES = ("max_error", "max_ulps", "max_fraction")
UNSHOWN = "the answer was not kept, and no kept answer has its bits"
COMPACT = "a compact record keeps no answers: they are in the record in full"
LAST_BITS = "float64, with figures (of the mean signed residual: sums of many) that are others by the last bits of sums"


class Rejudged:
    """The answers of one run, as they come by: those of the corpus serve for other properties too, where the bits are
    the same.

    shown: how many verdicts were made anew.
    """

    def __init__(self, asked: Corpus, compact: bool) -> None:
        self.shown, self.cases, self.compact = 0, asked.cases, compact
        self._needed = {name for tested, one in asked.asked.items() if tested != PROPERTY for name in one.names}
        self._kept: dict[tuple[str, str], tuple[str | None, Answer]] = {}

    def problems(self, line: VerdictLine, declared: Declared, bound: str) -> tuple[list[str], str]:
        """What is wrong with a verdict on a case of the corpus; and why it is not shown, empty where it is.

        The line has a verdict.  bound: the one that its property judges by.
        """
        assert line.verdict is not None
        assert line.corpus is not None
        if line.answer is not None and line.property == PROPERTY and line.corpus in self._needed:
            self._kept[line.target, line.case] = line.answer_id, line.answer
        if line.verdict.reason in UNCOMPARED:
            return [], "an answer of another shape or dtype is not kept"
        given, same = self._kept.get((line.target, line.case), (None, None))
        answer = line.answer or (same if given is not None and given == line.answer_id else None)
        if answer is None:
            if self.compact or line.property != PROPERTY:
                return [], COMPACT if self.compact else UNSHOWN
            return [f"recorded as {line.outcome}, and no answer is kept that shows it"], ""
        case = self.cases[line.corpus]
        try:
            found, unshown = _again(case, line, line.verdict, answer, declared.arithmetic(line.features), bound)
        except (TypeError, ValueError) as error:
            return [str(error)], ""
        if found and line.answer is None and case.spec.num_layers > 1 and bound == "step":
            return [], UNSHOWN  # the lower layers' outputs may differ
        self.shown += not (found or unshown)
        return found, unshown


def _again(
    case: Case, line: VerdictLine, said: Judgement, answer: Answer, declared: str, bound: str
) -> tuple[list[str], str]:
    output, h_n, prefixes = arrays(answer)
    given = answer_id(output, h_n)
    verdict = judge(case, output, h_n, prefixes=prefixes if bound == "step" else None, declared=declared, bound=bound)
    problems = [f"the answer is {given}, the line says {line.answer_id}"] if given != line.answer_id else []
    exact = [] if line.outcome == verdict.outcome else ["outcome"]
    exact += [name for name in EXACT if getattr(said, name) != getattr(verdict, name)]
    figures = list(_figures(said, verdict))
    if case.dtype == "float64" and not exact and figures and _plausible(case, said, verdict, output, h_n):
        return problems, LAST_BITS
    if differs := [*exact, *figures]:
        problems.append(f"recorded as {line.outcome}, with another {', '.join(differs)} than the answer's: {verdict}")
    return problems, ""


def _figures(said: Judgement, verdict: Verdict) -> Iterator[str]:
    """Figures and places that are others."""
    yield from (name for name in FIGURES if not close(getattr(said, name), getattr(verdict, name)))
    residuals = said.mean_signed_residual, verdict.mean_signed_residual  # small differences of large sums
    if not close(*residuals) and not close(*(value + np.copysign(1.0, residuals[0]) for value in residuals)):
        yield "mean_signed_residual"
    for name in ("worst", "first"):
        here, there = getattr(said, name), getattr(verdict, name)
        if here is None or there is None:
            if here is not there:
                yield name
        elif not all(
            close(one, other) if isinstance(one, float) else one == other
            for one, other in ((getattr(here, key), value) for key, value in vars(there).items())
        ):
            yield name


def _plausible(case: Case, said: Judgement, verdict: Verdict, output: np.ndarray, h_n: np.ndarray) -> bool:
    """Whether float64 figures could be those of another BLAS: the bound covers either's own sums, so a fraction of it
    is 1 apart at most, and what the answer was at the places named is in it."""
    near = abs(said.max_fraction - verdict.max_fraction) <= 1 or not np.isfinite(verdict.max_fraction)
    near = near and abs(said.mean_signed_residual - verdict.mean_signed_residual) <= max(said.elements, 1)
    for place in (said.worst, said.first):
        if place is None or (place.array == "output" and place.layer != case.spec.num_layers - 1):
            continue
        answer = output if place.array == "output" else h_n
        near = near and bool((answer == place.actual).any() or np.isnan(place.actual))
    return near


def arrays(answer: Answer) -> tuple[np.ndarray, np.ndarray, list[np.ndarray] | None]:
    """Output, h_n and prefixes of a kept answer. Raises TypeError or ValueError where they are no arrays."""
    lower = None if answer.prefixes is None else [decode("prefixes", array.model_dump()) for array in answer.prefixes]
    return decode("output", answer.output.model_dump()), decode("h_n", answer.h_n.model_dump()), lower
