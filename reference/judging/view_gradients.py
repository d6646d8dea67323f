"""The judge of gradients of a part of an answer: of its last step, of halves that are merged, of final states alone.

Neither the states nor the deltas are seen. The states lie where the trajectory bound has them; the deltas are enclosed
from the cotangents down to x, as a stack's are (chain.py). So no probe is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ..backward import Gradients
from ..bounds.arithmetic import Arithmetic
from ..bounds.gradients import enclosure
from ..bounds.step import Enclosure
from ..bounds.unseen import Sums, enclosed_gradients
from ..calculus.balls import Ball
from ..calculus.returns import Back
from ..layout import sequence_to_time_first, take_steps
from ..spec import expect
from .case import Case
from .chain import taken_back, verdict_of
from .comparison import Part
from .gradients import parts_of_sums, wrong_sums
from .judge import question_of, time_first, trajectory_tracks, wrongly_formed
from .parts import parts_of, put_back, shown_of, whole_of
from .pullback import pulled_back
from .verdict import Verdict
from .view import View, as_shown, wrong_form


def judge_part(case: Case, view: View, gradients: Any, declared: str | None = None) -> Verdict:
    """Are these the gradients of what a view shows, for the cotangents that it shows of the case's
    (pullback.shown_cotangents)?  The detail names the arrays that are not.

    gradients: output and h_n as the view shows them, which are judged too; the others as backward answers them.
    declared: the arithmetic that is promised.
    """
    return judge_shown(
        case, view, gradients, declared, partial(_parts, case, view, gradients), f"what is shown, {view}"
    )


def judge_shown(case: Case, view: View, gradients: Any, declared: str | None,
                parts: Callable[[Arithmetic], Iterator[Part]], of: str) -> Verdict:  # fmt: skip
    """The verdict on gradients of which no step is seen.  parts: what is compared, by the arithmetic that is promised.
    of: what they are, in words."""
    promised, _ = question_of(case, None, declared, "trajectory")
    expect(case.cotangents is not None, "cotangents", None, "those of a case that asks for gradients")
    if not isinstance(gradients, Gradients):
        raise TypeError(f"gradients: got {type(gradients).__name__}, expected Gradients")
    if wrong := wrong_form(view, case, gradients.output, gradients.h_n) or wrong_sums(case, case.spec, gradients):
        return wrongly_formed(wrong, promised)
    return verdict_of(case, promised, parts(promised), of)


def _parts(case: Case, view: View, gradients: Gradients, promised: Arithmetic) -> Iterator[Part]:
    plain, order = (case, None) if case.mask is None else case.without_mask()
    enclosed = trajectory_tracks(plain, promised)
    expected = shown_of(view, case, whole_of(case, put_back(enclosed, order)))
    yield from parts_of(view, case, as_shown(view, case, gradients.output, gradients.h_n), expected, promised)
    (g, g_finals), g_x = pulled_back(view, case, expected[0], promised), gradients.x
    if order is not None:
        g, g_x = g.each(lambda a: take_steps(a, order, "time_first")), take_steps(g_x, order, case.layout)
    asked, directions = time_first(plain), case.spec.num_directions
    outputs = [
        _beside([one.output for one in enclosed[k : k + directions]]) for k in range(0, len(enclosed), directions)
    ]

    def of_track(k: int, g_half: Back) -> Sums:
        x, radius = (asked.x, None) if k < directions else outputs[k // directions - 1][:2]
        seen, of_finals = Ball(*enclosed[k].output[:2]), [one.each(lambda a: a[k]) for one in g_finals]
        return enclosed_gradients(asked.track(k, x), radius, seen, g_half, of_finals, promised, directions)

    tracks, of_x = taken_back(asked, g, of_track, promised)
    yield Part(0, "dx", sequence_to_time_first(g_x, case.layout), *enclosure(of_x, promised))
    yield from parts_of_sums(plain, gradients, tracks)


def _beside(outputs: list[Enclosure]) -> Ball:
    return Ball(*(np.concatenate(arrays, axis=-1) for arrays in zip(*(one[:2] for one in outputs), strict=True)))
