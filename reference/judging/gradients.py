"""The judge of gradients: a layer whose backward pass is seen by a probe, element by element.

The probe is hidden_size more features of x for each gate and direction. They are exactly 0, and the identity stands as
their weights: the forward pass is the same, and the gradient with respect to them is the cotangent of each gate's sum.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..arguments import cell_shapes, check_parameters
from ..backward import Gradients, batched_cotangents
from ..bounds.arithmetic import Arithmetic
from ..bounds.gradients import ExpectedGradients, enclosure, gradient_bound
from ..bounds.step import Enclosure
from ..calculus.returns import BallReturns
from ..cells import cell_of
from ..layout import sequence_to_time_first, state_to_batched, state_tuple, take_steps, valid_steps
from ..spec import CellParameters, RNNSpec, expect
from .case import Case
from .comparison import Part, compare, outside_bound, single
from .judge import parts_of_tracks, question_of, time_first, verdict_on, wrong_form, wrongly_formed
from .verdict import GRADIENT, Verdict
from .view import WHOLE, View, blank


def elements(spec: RNNSpec, batch: int, time: int, view: View = WHOLE) -> int:
    """How many numbers are compared: output and final states, as a view shows them, and all gradients; of one layer of
    which all is shown the deltas too."""
    tracks, states = spec.num_directions, sum(state.size for state in cell_of(spec).states)
    shapes = [cell_shapes(spec, layer) for layer in range(spec.num_layers)]
    probed = shapes[0]["w_ih"][0] if spec.num_layers == 1 and view.probed else 0  # the probe's features of each track
    weights = sum(math.prod(shape) for one in shapes for shape in one.values()) + probed * probed * tracks
    if view.probed:
        steps = tracks * (spec.num_layers * spec.state_size + probed)
        return batch * time * (steps + spec.input_size) + tracks * (2 * batch * states * spec.num_layers + weights)
    rows = {"every step": time, "last step": 1, "none": 0}[view.output]
    shown = rows * spec.state_size * (1 if view.merges(tracks) else tracks)
    finals = {"every layer": spec.num_layers, "last layer": 1, "none": 0}[view.states]
    of_states = tracks * states * (finals + spec.num_layers)
    return batch * (shown + of_states + time * spec.input_size) + tracks * weights


def probe(case: Case) -> Case:
    """The case of the probed layer, whose gradients judge_gradients judges. Its forward pass is that of the case.

    Raises ValueError for a stack: its layers are asked one by one, each with the gradient by the input of the next.
    """
    spec, rows = probed_spec(case), len(case.parameters[0].w_ih)
    more = spec.input_size - case.spec.input_size
    parameters = []
    for d, track in enumerate(case.parameters):
        identity = np.zeros((rows, more), track.dtype)
        identity[:, d * rows : (d + 1) * rows] = np.eye(rows, dtype=track.dtype)
        w_ih = np.concatenate([track.w_ih, identity], axis=1)
        parameters.append(CellParameters.of(track.arrays() | {"w_ih": w_ih}))
    x = np.concatenate([case.x, np.zeros((*case.x.shape[:-1], more), case.x.dtype)], axis=-1)
    return replace(case, spec=spec, parameters=parameters, x=x)


def probed_spec(case: Case) -> RNNSpec:
    """Of the probed layer. Raises ValueError for a stack."""
    spec = case.spec
    expect(spec.num_layers == 1, "num_layers", spec.num_layers, "1: a stack is asked layer by layer")
    return replace(spec, input_size=spec.input_size + spec.num_directions * len(case.parameters[0].w_ih))


def judge_gradients(case: Case, gradients: Any, declared: str | None = None) -> Verdict:
    """Are these gradients of the probed layer, probe(case), right?  Element by element, as judge.

    gradients: as backward answers them; output and h_n are judged first, then the deltas, then what is made of them.
    The verdict's detail says where a wrong backward pass starts.  declared: the arithmetic that is promised.
    Raises TypeError or ValueError for a case without cotangents, for a stack, and as judge does.
    """
    promised, _ = question_of(case, None, declared, None)
    probed = probed_spec(case)
    if case.cotangents is None:
        raise TypeError("cotangents: got None, expected a case that asks for gradients")
    if wrong := wrong_gradients(case, probed, gradients):
        return wrongly_formed(wrong, promised)
    if case.mask is not None:
        plain, order = case.without_mask()
        x, output = (take_steps(array, order, case.layout) for array in (gradients.x, gradients.output))
        return judge_gradients(plain, gradients._replace(x=x, output=output), promised.name)
    with np.errstate(all="ignore"):
        return _Answer(case, gradients, promised).verdict()


def wrong_gradients(
    case: Case, spec: RNNSpec, gradients: Any, lower: Sequence[np.ndarray] = ()
) -> tuple[str, str] | None:
    """The reason and a sentence where an array has another shape or dtype than it has of a spec; None where none.

    lower: the outputs of a stack's lower layers.
    """
    if not isinstance(gradients, Gradients):
        raise TypeError(f"gradients: got {type(gradients).__name__}, expected Gradients")
    if wrong := wrong_form(case, gradients.output, gradients.h_n, lower):
        return wrong
    return wrong_sums(case, spec, gradients)


def wrong_sums(case: Case, spec: RNNSpec, gradients: Gradients) -> tuple[str, str] | None:
    """The same of the gradients by x, by the initial states and by the weights."""
    if wrong := wrong_form(case, blank(case)[0], gradients.h0, ()):
        return wrong[0], f"gradient of h0: {wrong[1]}"
    shape, x = (*case.x.shape[:-1], spec.input_size), gradients.x
    if type(x) is not np.ndarray or (x.shape, x.dtype) != (shape, case.x.dtype):
        got = f"{type(x).__name__} {np.shape(x)}"
        return "shape", f"gradient of x is {got}, expected {case.dtype} {shape}"
    try:
        check_parameters(spec, gradients.parameters)
    except (TypeError, ValueError) as error:
        return "shape", f"gradients of {error}"
    return None


def parts_of_sums(case: Case, gradients: Gradients, tracks: Iterable[Any]) -> Iterator[Part]:
    """The gradients by initial states and by weights.  tracks: what is expected, with states and parameters as
    bounds.unseen.Sums has them."""
    names = [state.name for state in cell_of(case.spec).states]
    initial = [state_to_batched(state, case.layout) for state in state_tuple(gradients.h0)]
    for k, track in enumerate(tracks):
        for name, actual, one in zip(names, initial, track.states, strict=True):
            yield single(k, f"d{name}0", actual[k], one)
        for name, one in track.parameters.items():
            actual = gradients.parameters[k].arrays()[name]
            yield single(k, f"d{name}", np.atleast_2d(actual), one.each(np.atleast_2d))


class _Answer:
    """The gradients of a case without a mask, time first and batched, and what was expected of them."""

    def __init__(self, case: Case, gradients: Gradients, promised: Arithmetic) -> None:
        self.case, self.spec, self.promised = case, case.spec, promised
        self.gradients, self.asked = gradients, time_first(case)
        self.rows = len(case.parameters[0].w_ih)
        self.output, self.g_x = (sequence_to_time_first(a, case.layout) for a in (gradients.output, gradients.x))
        self.tracks = [self._track(d) for d in range(self.spec.num_directions)]

    def _delta(self, d: int) -> np.ndarray:
        first = self.spec.input_size + d * self.rows
        return self.g_x[..., first : first + self.rows]

    def _track(self, d: int) -> ExpectedGradients:
        spec, x, half = self.spec, self.asked.x, self.spec.half(d)
        g_output, g_finals = batched_cotangents(spec, x, self.case.layout, self.case.cotangents)
        return gradient_bound(self.asked.track(d, x), self.output[..., half], self._delta(d), g_output[..., half],
                              [one[d] for one in g_finals], self.promised, spec.num_directions)  # fmt: skip

    def parts(self) -> tuple[list[Part], ...]:
        """In the order in which they are judged: the forward pass, the deltas, and what is made of them."""
        layers, forward = {0: self.output}, [track.forward for track in self.tracks]
        sums = [track._replace(parameters=track.parameters | {"w_ih": self._with_probe(d, track.parameters["w_ih"])})
                for d, track in enumerate(self.tracks)]  # fmt: skip
        return (
            [*parts_of_tracks(self.case, layers, self.gradients.h_n, forward)],
            [Part(d, "delta", self._delta(d), *delta) for d, delta in enumerate(self._deltas())],
            [Part(0, "dx", self.g_x[..., : self.spec.input_size], *self._of_x()),
             *parts_of_sums(self.case, self.gradients, sums)],
        )  # fmt: skip

    def _deltas(self) -> list[Enclosure]:
        """An infinite delta makes NaN of the others of its step, which the probe multiplies it by 0 for."""
        deltas = [track.delta for track in self.tracks]
        if all(np.isfinite(one.bound.sum()) for one in deltas):
            return deltas
        unknown = np.any([np.isinf(one.bound).any(axis=-1, keepdims=True) for one in deltas], axis=0)
        return [one._replace(bound=np.where(unknown, np.inf, one.bound)) for one in deltas]

    def _with_probe(self, d: int, w_ih: Enclosure) -> Enclosure:
        """The probe's features are 0, and 0 times a delta may be NaN where that is not finite."""
        none = Enclosure.exactly(np.zeros((self.rows, self.g_x.shape[-1] - self.spec.input_size)))
        finite = np.all(np.isfinite(self._delta(d).astype(np.float64)), axis=(0, 1))[:, None]
        none = none._replace(bound=np.where(finite, none.bound, np.inf))
        return Enclosure(*(np.concatenate(pair, axis=1) for pair in zip(w_ih, none, strict=True)))

    def _of_x(self) -> Enclosure:
        """dx is one sum of both directions' products; exactly zero where no step counts."""
        x, lengths = self.asked.x, self.asked.lengths
        returns = BallReturns(self.promised, 1, self.rows, *x.shape[:2])
        parts = [track.x.each(self.asked.track(d, x).in_order) for d, track in enumerate(self.tracks)]
        whole = enclosure(returns.added_up(parts), self.promised)
        if lengths is None:
            return whole
        counts = valid_steps(lengths, len(x))[..., None]
        return Enclosure(*(np.where(counts, a, beyond) for a, beyond in zip(whole, (0, 0, 1), strict=True)))

    def verdict(self) -> Verdict:
        seen = [[compare(part) for part in parts] for parts in self.parts()]
        verdict = verdict_on(self.case, [*itertools.chain(*seen)], self.promised, GRADIENT)
        forward, deltas, sums = ([one.part for one in several if one.outside] for several in seen)
        detail = ""
        if forward:
            detail = f"{forward[0].array} of the forward pass: the gradients are of another layer, and are not judged"
        elif deltas:
            detail = "; ".join(map(self._starts, deltas))
        elif sums:
            names = sorted({*map(self._of_track, sums)})
            only = " only" if len(names) == 1 else ""
            detail = f"{', '.join(names)}{only}: the deltas are right, their sums are not"
        return replace(verdict, detail=detail)

    def _of_track(self, part: Part) -> str:
        directions = self.spec.directions
        return part.array if len(directions) == 1 or part.array == "dx" else f"{part.array} {directions[part.track]}"

    def _starts(self, part: Part) -> str:
        """Where wrong deltas start: at the last step that was taken, as gradients go back from it."""
        outside = outside_bound(part.actual, part.expected, part.bound)
        direction, steps = self.spec.directions[part.track], np.flatnonzero(outside.any(axis=(1, 2)))
        t = int(steps[-1] if direction == "forward" else steps[0])
        batch, row = (int(index) for index in np.argwhere(outside[t])[0])
        gates = next(w for w in cell_of(self.spec).weights(self.spec) if w.name == "w_ih").gates
        size = self.rows // len(gates)
        names = [gates[k] for k in sorted({int(one) // size for one in np.flatnonzero(outside[t].any(axis=0))})]
        of = f" of {', '.join(names)}" if any(names) else ""
        values = [float(a[t, batch, row]) for a in (part.expected, part.actual, part.bound)]
        told = "expected {!r}, actual {!r}, bound {:.3g}".format(*values)
        where = "" if self.spec.num_directions == 1 else f", {direction}"
        return f"delta{of} at t = {t}{where}: batch {batch}, unit {row % size}: {told}; {int(outside.sum())} outside"
