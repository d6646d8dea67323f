"""The judge of gradients of a part of an answer: of its last step, of halves that are merged, of final states alone.

Neither the states nor the deltas are seen. The states lie where the trajectory bound has them; the deltas are enclosed
from the cotangents down to x, as a stack's are (chain.py). So no probe is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ..backward import Gradients
from ..bounds.arithmetic import Arithmetic
from ..bounds.gradients import enclosure
from ..bounds.step import Enclosure
from ..bounds.unseen import Sums, counted, enclosed_gradients
from ..calculus.balls import Ball
from ..calculus.returns import Back, BallReturns
from ..cells import cell_of
from ..layout import sequence_to_time_first, state_to_batched, state_tuple, take_steps
from ..recurrence import Track, initial_states
from ..spec import expect
from .case import Case
from .chain import single, verdict_of
from .comparison import Part
from .gradients import wrong_sums
from .judge import question_of, trajectory_tracks
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

    def parts(promised: Arithmetic) -> Iterable[Part]:
        return _Part(case, view, gradients, promised).parts()

    return judge_shown(case, view, gradients, declared, parts, f"what is shown, {view}")


def judge_shown(case: Case, view: View, gradients: Any, declared: str | None,
                parts: Callable[[Arithmetic], Iterable[Part]], of: str) -> Verdict:  # fmt: skip
    """The verdict on gradients of which no step is seen.  parts: what is compared, by the arithmetic that is promised.
    of: what they are, in words."""
    promised, _ = question_of(case, None, declared, "trajectory")
    expect(case.cotangents is not None, "cotangents", None, "those of a case that asks for gradients")
    if not isinstance(gradients, Gradients):
        raise TypeError(f"gradients: got {type(gradients).__name__}, expected Gradients")
    wrong = wrong_form(view, case, gradients.output, gradients.h_n) or wrong_sums(case, case.spec, gradients)
    if wrong is not None:
        return Verdict("disagrees", wrong[0], "", promised.name, detail=wrong[1])
    return verdict_of(case, promised, partial(parts, promised), of)


class _Part:
    """The gradients of a case, and what was expected of them.

    case: without a mask; its steps are in the order that makes it so.  tracks: of that order too.
    """

    def __init__(self, case: Case, view: View, gradients: Gradients, promised: Arithmetic) -> None:
        self.view, self.gradients, self.promised, self.asked = view, gradients, promised, case
        self.case, order = (case, None) if case.mask is None else case.without_mask()
        self.tracks = trajectory_tracks(self.case, promised)
        self.expected = shown_of(view, case, whole_of(case, put_back(self.tracks, order)))
        g_output, self.g_finals = pulled_back(view, case, self.expected[0], promised)
        if order is None:
            self.g_output, self.of_x = g_output, gradients.x
        else:
            self.g_output = g_output.each(lambda a: take_steps(a, order, "time_first"))
            self.of_x = take_steps(gradients.x, order, case.layout)
        self.x = sequence_to_time_first(self.case.x, case.layout)
        self.states = initial_states(case.spec, self.x, case.h0, case.layout)
        self.lengths = None if self.case.lengths is None else np.atleast_1d(np.asarray(self.case.lengths))

    def parts(self) -> Iterator[Part]:
        answer = as_shown(self.view, self.asked, self.gradients.output, self.gradients.h_n)
        yield from parts_of(self.view, self.asked, answer, self.expected, self.promised)
        sums, g = [], self.g_output
        for layer in reversed(range(self.case.spec.num_layers)):
            tracks, g = self._layer(layer, g)
            sums[:0] = tracks
        x = sequence_to_time_first(self.of_x, self.case.layout)
        yield Part(0, "dx", x, *enclosure(g, self.promised))
        yield from self._by_states_and_weights(sums)

    def _layer(self, layer: int, g: Back) -> tuple[list[Sums], Back]:
        """What is expected of a layer's tracks, and of its x."""
        spec, (time, batch, _) = self.case.spec, self.x.shape
        first, sums, below = layer * spec.num_directions, [], None
        if layer:
            below = _beside([one.output for one in self.tracks[first - spec.num_directions : first]])
        x, radius = (self.x, None) if below is None else (below.value, below.radius)
        for d, direction in enumerate(spec.directions):
            k, half, start = first + d, spec.half(d), tuple(state[first + d] for state in self.states)
            track = Track(cell_of(spec), self.case.parameters[k], x, start, self.lengths, direction)
            finals = [one.each(lambda a, k=k: a[k]) for one in self.g_finals]
            of_half = g.each(lambda a, half=half: a[..., half])
            seen = Ball(*self.tracks[k].output[:2])
            sums.append(enclosed_gradients(track, radius, seen, of_half, finals, self.promised, spec.num_directions))
        returns = BallReturns(self.promised, 1, len(self.case.parameters[0].w_ih), time, batch)
        of_x = counted(self.lengths, returns.added_up([one.x for one in sums]))
        return sums, Back(of_x.value, of_x.radius) if layer else of_x

    def _by_states_and_weights(self, sums: list[Sums]) -> Iterator[Part]:
        names = [state.name for state in cell_of(self.case.spec).states]
        initial = [state_to_batched(state, self.case.layout) for state in state_tuple(self.gradients.h0)]
        for k, track in enumerate(sums):
            for name, actual, one in zip(names, initial, track.states, strict=True):
                yield single(k, f"d{name}0", actual[k], one)
            for name, one in track.parameters.items():
                actual = self.gradients.parameters[k].arrays()[name]
                yield single(k, f"d{name}", np.atleast_2d(actual), one.each(np.atleast_2d))


def _beside(outputs: list[Enclosure]) -> Ball:
    return Ball(*(np.concatenate(arrays, axis=-1) for arrays in zip(*(one[:2] for one in outputs), strict=True)))
