"""How a known fault is tried against an answer, alone or with another.

- A fault that asks another question: by the judge itself, and that question's own bounds.
- A fault in the arithmetic: every state has to follow from the state before it by the faulty step.
- Any other, and any where the lower layers are not known or contradict it: it is planted in the reference, and the two
  answers have to lie as close as two correct ones may. One allowance serves all elements there, which may be as wide as
  the error itself; so faulty.py, which knows a bound of each element that it can follow, must not refute it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..bounds.arithmetic import arithmetic
from ..bounds.trajectory import trajectory_bound
from ..calculus.balls import Open, Sums
from ..calculus.slopes import Activation
from ..cells import cell_of
from ..faults import Fault, implementation
from ..faults.machine import (
    all_asked,
    as_time_first,
    in_order,
    initial_states,
    layer_case,
    lengths_of,
    states_before,
    zero_padding,
)
from ..faults.views import answer_with
from ..judging.case import Case
from ..judging.comparison import settle, vacuous_elements
from ..judging.judge import judge
from ..judging.partial import judge_view
from ..judging.verdict import Location
from ..judging.view import WHOLE, View
from ..layout import each_state, last_states, sequence_to_time_first, state_to_batched, state_tuple, valid_steps
from ..recurrence import Result
from .faulty import judge_planted

# A fault explains an error if less than this part of it is left: one that does nothing in a case explains none.
LEFT = 1 / 2
# Numbers that a case's states hold, above which following each of them through a fault takes seconds.
LARGEST_FOLLOWED = 50_000


@dataclass(frozen=True)
class Explanation:
    """A fault, or a pair of them, with which the reference gives the answer that was seen.

    error: the largest absolute difference that is left.  fraction: the largest part of what is allowed there.
    """

    faults: tuple[Fault, ...]
    error: float
    fraction: float

    def __str__(self) -> str:
        says = " and ".join(fault.says for fault in self.faults)
        return f"{says} (error {self.error:.1g}, {100 * self.fraction:.2g} % of the bound)"


class Answer:
    """An answer that disagrees, and its case: as given, and time first (usual, output, h_n, prefixes)."""

    def __init__(
        self, case: Case, output: np.ndarray, h_n: Any, prefixes: Sequence[np.ndarray] | None, declared: str | None
    ) -> None:
        self.case, self.actual, self.declared = case, Result(output, h_n), declared or case.dtype
        self.usual = as_time_first(case)
        self.output = sequence_to_time_first(output, case.layout)
        self.h_n = each_state(lambda h: state_to_batched(h, case.layout), h_n)
        self.given = prefixes
        lower = [sequence_to_time_first(prefix, case.layout) for prefix in prefixes or ()]
        self.prefixes = lower if len(lower) == case.spec.num_layers - 1 else None

    @property
    def first(self) -> Location | None:
        """The first wrong element."""
        return judge(self.case, *self.actual, self.given, self.declared).first

    @property
    def followed(self) -> bool:
        """Whether each element can be followed through a fault: where a step is one activation, of a case so small."""
        size = self.actual.output.size * self.case.spec.num_layers
        return cell_of(self.case.spec).signed and size <= LARGEST_FOLLOWED

    @functools.cached_property
    def allowed(self) -> float:
        """How far two correct answers may lie apart: twice the largest trajectory bound. A fault moves numbers about,
        so no element keeps a bound of its own. NaN, which allows nothing, where some bound is vacuous."""
        case = self.usual if self.usual.mask is None else self.usual.without_mask()[0]
        lengths = None if case.lengths is None else np.asarray(case.lengths)
        judged = arithmetic(self.declared)
        tracks = trajectory_bound(case.spec, case.parameters, case.x, case.h0, lengths, judged)
        vacuous = any(vacuous_elements(*track.output).any() for track in tracks)
        return np.nan if vacuous else 2 * max(float(track.output.bound.max(initial=0)) for track in tracks)

    @functools.cached_property
    def steps(self) -> list[tuple[Case, np.ndarray]] | None:
        """None where a state is not known, or a step is more than one activation."""
        if self.prefixes is None or not cell_of(self.case.spec).signed:
            return None
        return _steps(self.usual, [*self.prefixes, self.output], self.h_n)

    @functools.cached_property
    def unexplained(self) -> float:
        """The largest error of the answer as a whole."""
        return apart(self.case.answer(), self.actual)

    def visible(self, faults: Iterable[Fault]) -> list[Fault]:
        """The faults that could show in this case."""
        return [*visible(faults, self.case)]

    def explanations(self, candidates: Iterable[tuple[Fault, ...]]) -> tuple[Explanation, ...]:
        """Those of the candidates that explain the answer, best first. Which of two faults is the outer one matters:
        what one of them does may hide the other."""
        found = []
        for candidate in candidates:
            orders = dict.fromkeys((candidate, candidate[::-1]))
            found += itertools.islice(filter(None, map(self._explain, orders)), 1)
        return tuple(sorted(found, key=lambda explanation: explanation.error))

    def _explain(self, faults: tuple[Fault, ...]) -> Explanation | None:
        if len(faults) == 1 and faults[0].step and self.steps is not None:
            return self._by_steps(faults[0], self.steps)
        if self.prefixes is not None and all(fault.asked for fault in faults):
            found = self._by_judging(faults, self.prefixes)
            # the lower layers' outputs may come from calls of their own, which a fault touched in another way
            if found or not self.prefixes:
                return found
        return self._by_comparing(faults)

    def _by_judging(self, faults: tuple[Fault, ...], prefixes: list[np.ndarray]) -> Explanation | None:
        """By the step bound of the question that was answered."""
        asked = as_time_first(all_asked(faults, self.case))
        verdict = judge(asked, self.output, self.h_n, prefixes, self.declared, "step")
        agrees = verdict.outcome == "agrees"
        return Explanation(faults, verdict.max_error, verdict.max_fraction) if agrees else None

    def _by_comparing(self, faults: tuple[Fault, ...]) -> Explanation | None:
        """By the distance to the answer of the reference with these faults planted in it."""
        planted = implementation(faults, Case.answer)(self.case)
        error = apart(planted, self.actual)
        used = used_part(np.array(error), self.allowed)
        if not (used <= 1 and error < LEFT * self.unexplained) or self._refutes(faults, planted):
            return None
        return Explanation(faults, error, used)

    def _refutes(self, faults: tuple[Fault, ...], planted: Result) -> bool:
        """Whether some element lies where these faults cannot have put it. planted: what the reference with them
        answers. faulty.py plants those that ask another question outermost, and knows of no order that differs."""
        if not self.followed:
            return False
        ordered = sorted(faults, key=lambda fault: fault.asked is None)
        if apart(implementation(ordered, Case.answer)(self.case), planted):
            return False
        return judge_planted(self.case, *self.actual, self.given, self.declared, faults).outcome == "disagrees"

    def _by_steps(self, fault: Fault, steps: list[tuple[Case, np.ndarray]]) -> Explanation | None:
        """By the distance of every state from the faulty step that leads to it."""
        run, largest, fraction, unexplained = implementation([fault], Case.answer), 0.0, 0.0, 0.0
        for asked, states in steps:
            expected = run(asked).output[0]
            error = _errors(expected, states)
            used = used_part(error, _allowed_in_a_step(asked, expected, fault.arithmetic or self.declared))
            if not used <= 1:
                return None
            largest, fraction = max(largest, float(error.max(initial=0))), max(fraction, used)
            unexplained = max(unexplained, float(_errors(asked.answer().output[0], states).max(initial=0)))
        return Explanation((fault,), largest, fraction) if largest < LEFT * unexplained else None


def _steps(case: Case, layers: list[np.ndarray], h_n: np.ndarray) -> list[tuple[Case, np.ndarray]] | None:
    """Each track's steps, every one asked by itself, with the states they led to; None where some states are not
    those of the output: a final state that is none, or numbers in the padding.

    case: time first.  layers: the output of each layer (time, batch, features).
    """
    steps, lengths, directions = [], lengths_of(case), case.spec.num_directions
    for index in range(len(case.parameters)):
        layer, d = divmod(index, directions)
        track = layer_case(case, layer, layers[layer - 1] if layer else case.x, d=d)
        states = np.split(layers[layer], directions, axis=-1)[d]
        final = last_states(in_order(track, states), initial_states(track)[0], lengths)
        elsewhere = (zero_padding(states, lengths), states), (final, h_n[index])
        if any(_errors(*pair).any() for pair in elsewhere):
            return None
        # all valid steps as one batch of sequences of a single step, each from the state before it
        valid, spec = valid_steps(lengths, len(states)), replace(track.spec, direction="forward")
        x, before = track.x[valid], states_before(track, states)[valid]
        steps.append((Case(spec, track.parameters, x[None], before[None], None, "time_first"), states[valid]))
    return steps


def _allowed_in_a_step(case: Case, expected: np.ndarray, name: str) -> np.ndarray:
    """How far two states may lie apart that follow from the same one, by any activation of slope up to 1.

    case: steps by themselves (every_step_alone).  expected: the states (steps, hidden_size).  name: of the
    arithmetic.  NaN where that says nothing.
    """
    sums, cell = _Preactivations(arithmetic(name)), cell_of(case.spec)
    weights = sums.weights(case.parameters[0])
    (total,) = cell.step(sums, weights, cell.project(sums, weights, case.x[0]), (initial_states(case)[0],))
    model = sums.model(total)
    inputs = model.inputs([operand for _, operand in total.products])
    radius = model.radius(inputs)
    activation = sums.activation_bound(expected.astype(np.float64), case.spec.nonlinearity, model)
    allowed = radius + model.beta * np.abs(inputs @ model.weights) + activation
    return np.where(allowed < model.scale(radius), 2 * allowed, np.nan)


class _Preactivations(Sums):
    """A step that ends before its activation."""

    def activated(self, total: Open, activation: Activation) -> Open:
        return total


def _errors(expected: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """The absolute differences; infinite where only one of them is NaN or infinite."""
    error = np.abs(np.subtract(actual, expected, dtype=np.float64))
    return settle(error, actual, expected)


def used_part(error: np.ndarray, allowed: np.ndarray | float) -> float:
    """The largest part of the allowed difference that an error takes: nothing where there is none, NaN where nothing
    is known to be allowed."""
    return float(np.where((error == 0) & ~np.isnan(allowed), 0, error / allowed).max(initial=0))


def apart(expected: Sequence[Any], actual: Sequence[Any]) -> float:
    """The largest absolute difference of what two answers show; None where nothing is shown."""
    shown = [(state_tuple(one), state_tuple(other)) for one, other in zip(expected, actual, strict=False)
             if one is not None]  # fmt: skip
    errors = (_errors(*pair).max(initial=0) for several in shown for pair in zip(*several, strict=True))
    return float(max(errors, default=0.0))


def visible(faults: Iterable[Fault], case: Case, view: View = WHOLE) -> Iterator[Fault]:
    """The faults that could show in a case, where an answer shows what a view says."""
    usual = as_time_first(case)
    for fault in faults:
        if fault.where.holds(case if fault.as_given else usual) and (not fault.shown or fault.shown(view)):
            yield fault


def shows(faults: tuple[Fault, ...], case: Case, view: View = WHOLE) -> bool:
    """Whether the judge sees the faults in the reference's answer to a case."""
    faulty = implementation(faults, Case.answer)
    prefixes = [faulty(case.prefix(layers)).output for layers in range(1, case.spec.num_layers)]
    return judge_view(case, view, *answer_with(faults, view, case), prefixes).outcome == "disagrees"
