"""Is an answer that of the reference with known faults planted in it? It is judged element by element.

A fault that asks another question changes the case. One `around` the layer moves the elements of right answers: tags
show where each comes from, so that the right answer is known again from the faulty one, and judged by its own steps.
What is put in their place must be there exactly, and copies must be equal. One in the arithmetic is judged by steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..bounds.arithmetic import Arithmetic
from ..bounds.step import Enclosure
from ..faults import Fault, implementation
from ..faults.machine import all_asked, as_time_first, packed, unpacked
from ..faults.views import seen_in
from ..judging.case import Case
from ..judging.comparison import Part, compare
from ..judging.judge import question_of, verdict_on
from ..judging.partial import judge_view
from ..judging.parts import parts_of, wrong_shown
from ..judging.verdict import Verdict
from ..judging.view import WHOLE, Show, Shown, View, as_shown, sequence_of, shown
from ..layout import each_state, from_state_tuple, sequence_to_time_first, state_to_batched, state_tuple
from .elements import Elements, changed
from .tags import SIDES, Numbered, Tags

OUTCOMES = ("agrees", "vacuous", "disagrees")  # of several ways to plant the faults, the first of these counts


def judge_planted(
    case: Case,
    output: np.ndarray | None,
    h_n: Any,
    prefixes: Sequence[np.ndarray] | None,
    declared: str | None,
    faults: Sequence[Fault],
    view: View = WHOLE,
) -> Verdict:
    """Does an answer agree with the reference in which these faults are planted, in whatever order?

    The arguments are those of judge_view, and so are the errors raised. The prefixes may come from the call itself, or
    each from one of its own, which has the faults too. An element is vacuous where its bound says nothing, and where a
    fault computes it in another way than by a step, or by a change that keeps the order of numbers; or by a step of a
    cell whose step is more than one activation of one sum.
    """
    promised, _ = question_of(case, prefixes, declared, None)
    if wrong := wrong_shown(view, case, output, h_n, prefixes or ()):
        return Verdict("disagrees", wrong[0], "", promised.name, detail=wrong[1])
    below = [sequence_to_time_first(array, case.layout) for array in prefixes or ()]
    asked, around = ([one for one in faults if getattr(one, kind)] for kind in ("asked", "around"))
    question = as_time_first(all_asked(asked, case))
    view, show = seen_in(view, question, faults)
    answer = _Answer(view, below, as_shown(view, case, output, h_n), show)
    # the quick way, by which most are found; an answer may still be right in another one
    if show is shown and all(one.asked or one.shown for one in faults):
        given = sequence_of(view, question, answer.shown.output), from_state_tuple(answer.shown.states or (None,))
        verdict = judge_view(question, view, *given, prefixes and below, promised.name)
        if verdict.outcome != "disagrees":
            return verdict
    steps = [fault for fault in faults if fault.step and fault.where.holds(question)]
    seen: list[Verdict] = []
    with np.errstate(all="ignore"):
        for moving, own in itertools.product(itertools.permutations(around), (True, False)[: 1 + bool(below)]):
            verdict = _verdict(case, answer, promised, [*asked, *moving, *steps], own)
            seen += [verdict] if verdict is not None else []
            if seen[-1].outcome == "agrees":
                break
    return min(seen, key=lambda verdict: OUTCOMES.index(verdict.outcome))


class _Answer(NamedTuple):
    """What an answer shows, time first: the outputs of lower layers, where they are known, and what the view shows.

    show: what puts it there.
    """

    view: View
    below: list[np.ndarray]
    shown: Shown
    show: Show

    @property
    def arrays(self) -> list[np.ndarray]:
        output = [] if self.shown.output is None else [self.shown.output]
        return [*self.below, *output, *self.shown.states]


def _verdict(case: Case, answer: _Answer, promised: Arithmetic, faults: Sequence[Fault], own: bool) -> Verdict | None:
    """own: whether each prefix has a call of its own.  None where that cannot be, or makes no difference."""
    both = Tags(SIDES[0]), Tags(SIDES[1])
    came = [_tagged(case, faults, tags, answer, own) for tags in both]
    if not all(came):
        return None
    numbered = Numbered(both)
    sources = [numbered.source(*pair) for pair in zip(*came, strict=True)]
    changes = [fault.monotone for fault in faults if fault.monotone]
    elements = Elements(numbered, promised, case.x.dtype, [fault for fault in faults if fault.step])
    # where halves are merged, or numbers changed, the right ones are not known any more
    merges = answer.view.merges(case.spec.num_directions) and answer.shown.output is not None
    known = [not changes and not (merges and number == len(answer.below)) for number in range(len(sources))]
    if any(known):
        elements.show([*itertools.compress(sources, known)], [*itertools.compress(answer.arrays, known)])
    elements.enclose()
    sizes = (source.tag.size * there for source, there in zip(sources, known, strict=True))
    enclosures = [elements.expected(source, before)
                  for source, before in zip(sources, itertools.accumulate(sizes, initial=0), strict=False)]  # fmt: skip
    for change in changes:
        enclosures = [changed(enclosure, change, case.x.dtype) for enclosure in enclosures]
    seen = [compare(part) for part in _parts(case, answer, enclosures, promised)]
    return verdict_on(case, seen, promised, "step" if elements.sharp and not changes else "trajectory")


def _tagged(case: Case, faults: Sequence[Fault], tags: Tags, like: _Answer, own: bool) -> list[np.ndarray]:
    """What comes out for tags, and would be shown: arrays as those of an answer, but that no halves are merged. Empty
    where that cannot be, or makes no difference."""
    question, lower = _wide(all_asked(faults, case)), len(like.below)
    run = implementation([fault for fault in faults if fault.around and not fault.monotone], tags.run)
    answers = [(question, run(question))]
    if own:
        below = [_wide(all_asked(faults, case.prefix(layers))) for layers in range(1, lower + 1)]
        answers = [*((one, run(one)) for one in below), *answers]
    elif lower and len(tags.questions) == 1:
        (whole,) = tags.questions
        below = [whole.prefix(layers) for layers in range(1, lower + 1)]
        answers = [*((one, tags.answer(one)) for one in below), *answers]
    else:
        return []
    *below, output = [sequence_to_time_first(answer.output, one.layout) for one, answer in answers]
    if any(array.shape != output.shape for array in below):
        return []
    states = state_tuple(unpacked(case.spec, packed(answers[-1][1].h_n)))
    seen = like.show(like.view, question, output, [state_to_batched(state, question.layout) for state in states])
    return like._replace(below=below, shown=seen).arrays


def _wide(case: Case) -> Case:
    """In float64, which has room for tags."""
    h0 = each_state(lambda state: state.astype(np.float64), case.h0)
    return replace(case, parameters=[one.astype("float64") for one in case.parameters],
                   x=case.x.astype(np.float64), h0=h0)  # fmt: skip


def _parts(case: Case, answer: _Answer, enclosures: Sequence[Enclosure], promised: Arithmetic) -> Iterator[Part]:
    spec, lower = case.spec, len(answer.below)
    for layer, (array, enclosure) in enumerate(zip(answer.below, enclosures[:lower], strict=True)):
        for d in range(spec.num_directions):
            half = np.s_[..., spec.half(d)]
            yield Part(layer * spec.num_directions + d, "output", *(whole[half] for whole in (array, *enclosure)))
    output = None if answer.shown.output is None else enclosures[lower]
    states = enclosures[lower + (output is not None) :]
    yield from parts_of(answer.view, case, answer.shown, (output, tuple(states)), promised)
