"""Is an answer that of the reference with known faults planted in it? It is judged element by element.

A fault that asks another question changes the case. One `around` the layer moves the elements of right answers: tags
show where each comes from, so that the right answer is known again from the faulty one, and judged by its own steps.
What is put in their place must be there exactly, and copies must be equal. One in the arithmetic is judged by steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..bounds.arithmetic import Arithmetic
from ..bounds.step import Enclosure
from ..cells import cell_of
from ..faults import Fault, implementation
from ..faults.machine import as_time_first
from ..judging.case import Case
from ..judging.comparison import Part, compare
from ..judging.judge import judge, question_of, verdict_on, wrong_form
from ..judging.verdict import Verdict
from ..layout import sequence_to_time_first, state_to_batched
from .elements import Elements, changed
from .tags import SIDES, Numbered, Tags

OUTCOMES = ("agrees", "vacuous", "disagrees")  # of several ways to plant the faults, the first of these counts


def judge_planted(
    case: Case,
    output: np.ndarray,
    h_n: np.ndarray,
    prefixes: Sequence[np.ndarray] | None,
    declared: str | None,
    faults: Sequence[Fault],
) -> Verdict:
    """Does an answer agree with the reference in which these faults are planted, in whatever order?

    The arguments are those of judge, and so are the errors raised. The prefixes may come from the call itself, or each
    from one of its own, which has the faults too. An element is vacuous where its bound says nothing, and where a fault
    computes it in another way than by a step, or by a change that keeps the order of numbers.
    Raises NotImplementedError for a cell whose step is more than one activation of one sum.
    """
    promised, _ = question_of(case, prefixes, declared, None)
    if not cell_of(case.spec).signed:
        expected = "elman: the steps of others have no bound here"
        raise NotImplementedError(f"planted: got the cell {case.spec.cell}, expected {expected}")
    if wrong := wrong_form(case, output, h_n, prefixes or ()):
        return Verdict("disagrees", wrong[0], "", promised.name, detail=wrong[1])
    given = [sequence_to_time_first(array, case.layout) for array in (*(prefixes or ()), output)]
    arrays = [*given, state_to_batched(h_n, case.layout)]
    asked, around = ([one for one in faults if getattr(one, kind)] for kind in ("asked", "around"))
    question = as_time_first(_all_asked(asked, case))
    if len(asked) == len(faults):  # the quick way, by which most are found; an answer may still be right in another one
        verdict = judge(question, given[-1], arrays[-1], prefixes and given[:-1], promised.name)
        if verdict.outcome != "disagrees":
            return verdict
    steps = [fault for fault in faults if fault.step and fault.where.holds(question)]
    seen: list[Verdict] = []
    with np.errstate(all="ignore"):
        for moving, own in itertools.product(itertools.permutations(around), (True, False)):
            verdict = _verdict(case, arrays, promised, [*asked, *moving, *steps], own)
            seen += [verdict] if verdict is not None else []
            if seen[-1].outcome == "agrees":
                break
    return min(seen, key=lambda verdict: OUTCOMES.index(verdict.outcome))


class _Tagged(NamedTuple):
    """What comes out for tags: the arrays of the answer, time first."""

    tags: Tags
    arrays: list[np.ndarray]


def _verdict(
    case: Case, arrays: Sequence[np.ndarray], promised: Arithmetic, faults: Sequence[Fault], own: bool
) -> Verdict | None:
    """arrays: the outputs that are known, that of the whole stack last, and h_n, time first.  own: whether each prefix
    has a call of its own.  None where that cannot be, or makes no difference."""
    several = [_tagged(case, faults, side, len(arrays) - 2, own) for side in SIDES]
    if None in several:
        return None
    first, second = [one for one in several if one is not None]
    numbered = Numbered((first.tags, second.tags))
    sources = [numbered.source(*pair) for pair in zip(first.arrays, second.arrays, strict=True)]
    changes = [fault.monotone for fault in faults if fault.monotone]
    elements = Elements(numbered, promised, case.x.dtype, [fault for fault in faults if fault.step])
    if not changes:  # else the right numbers are not known any more
        elements.show(sources, arrays)
    elements.enclose()
    ends = itertools.accumulate((array.size for array in arrays), initial=0)
    enclosures = [elements.expected(source, before) for source, before in zip(sources, ends, strict=False)]
    for change in changes:
        enclosures = [changed(enclosure, change, case.x.dtype) for enclosure in enclosures]
    seen = [compare(part) for part in _parts(case, arrays, enclosures)]
    return verdict_on(case, seen, promised, "step" if elements.sharp and not changes else "trajectory")


def _tagged(case: Case, faults: Sequence[Fault], side: int, lower: int, own: bool) -> _Tagged | None:
    tags, question = Tags(side), _wide(_all_asked(faults, case))
    run = implementation([fault for fault in faults if fault.around and not fault.monotone], tags.run)
    answers = [(question, run(question))]
    if own:
        below = [_wide(_all_asked(faults, case.prefix(layers))) for layers in range(1, lower + 1)]
        answers = [*((one, run(one)) for one in below), *answers]
    elif lower and len(tags.questions) == 1:
        (whole,) = tags.questions
        below = [whole.prefix(layers) for layers in range(1, lower + 1)]
        answers = [*((one, tags.answer(one)) for one in below), *answers]
    else:
        return None
    arrays = [sequence_to_time_first(answer.output, one.layout) for one, answer in answers]
    same = all(array.shape == arrays[-1].shape for array in arrays)
    return _Tagged(tags, [*arrays, state_to_batched(answers[-1][1].h_n, question.layout)]) if same else None


def _all_asked(faults: Sequence[Fault], case: Case) -> Case:
    """The question that is answered in place of a case."""
    for fault in faults:
        if fault.asked:
            form = case if fault.as_given else as_time_first(case)
            case = fault.asked(form) if fault.where.holds(form) else case
    return case


def _wide(case: Case) -> Case:
    """In float64, which has room for tags."""
    h0 = None if case.h0 is None else case.h0.astype(np.float64)
    return replace(case, parameters=[one.astype("float64") for one in case.parameters],
                   x=case.x.astype(np.float64), h0=h0)  # fmt: skip


def _parts(case: Case, arrays: Sequence[np.ndarray], enclosures: Sequence[Enclosure]) -> Iterator[Part]:
    spec, first = case.spec, case.spec.num_layers + 1 - len(arrays)
    for layer, (array, enclosure) in enumerate(zip(arrays[:-1], enclosures[:-1], strict=True), first):
        for d in range(spec.num_directions):
            half = np.s_[..., spec.half(d)]
            found = [whole[half] for whole in (array, *enclosure)]
            yield Part(layer * spec.num_directions + d, "output", *found)
    for track in range(spec.num_cells):
        yield Part(track, "h_n", *(whole[track : track + 1] for whole in (arrays[-1], *enclosures[-1])))
