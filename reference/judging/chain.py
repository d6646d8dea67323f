"""The judge of a stack's gradients as one module; and its layers as cases of their own, each of which has a probe.

Nothing shows the deltas of a stack's layers, so each is enclosed, from the cotangents that are given down to x
(bounds/unseen.py). That holds for any correct backward pass of these states, and is wider than what a probe allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..backward import Gradients, batched_cotangents
from ..bounds.arithmetic import Arithmetic
from ..bounds.forward_mode import PathReturns, terms_of, widened
from ..bounds.gradients import enclosure
from ..bounds.step import Enclosure
from ..bounds.unseen import KnownReturns, UnseenGradients, counted, unseen_gradients
from ..calculus.returns import Back, BallReturns
from ..cells import cell_of
from ..layout import each_state, sequence_to_time_first, state_to_batched, state_tuple, take_steps
from ..recurrence import Track, initial_states
from ..spec import expect
from .case import Case
from .comparison import Comparison, Part, compare, equal_bits
from .gradients import wrong_gradients
from .judge import question_of, verdict_on
from .verdict import GRADIENT, Verdict


def one_layer(case: Case, layer: int, x: np.ndarray, g_output: np.ndarray | None) -> Case:
    """One layer of a stack, given its input, and the gradient by the input of the layer above."""
    spec, tracks = case.spec, slice(layer * case.spec.num_directions, (layer + 1) * case.spec.num_directions)
    return replace(
        case,
        spec=replace(spec, num_layers=1, input_size=x.shape[-1]),
        parameters=case.parameters[tracks],
        x=x,
        h0=each_state(lambda state: state[tracks], case.h0),
        cotangents=(g_output, each_state(lambda state: state[tracks], case.cotangents[1])),
    )


def below(case: Case, layers: int) -> Case:
    """The first layers of a stack, asked as it is for gradients, but of no part of their answer."""
    nothing = np.zeros((*case.x.shape[:-1], case.spec.output_size), case.x.dtype)
    return replace(case.prefix(layers), cotangents=(nothing, None))


def judge_stack(case: Case, gradients: Any, lower: Sequence[np.ndarray], declared: str | None = None,
                forward_mode: bool = False) -> Verdict:  # fmt: skip
    """Are these gradients of a stack right?  Element by element; the detail names the arrays that are not.

    gradients: as backward answers them.  lower: the outputs of the first 1, 2, ... layers alone, whose bits are those
    in the stack (A6): where final states show others, nothing is known of what comes of them, and it is vacuous.
    declared: the arithmetic that is promised.  forward_mode: whether they were computed in it, of one layer alone.
    """
    promised, _ = question_of(case, lower, declared, None)
    expect(case.cotangents is not None, "cotangents", None, "those of a case that asks for gradients")
    wrong = wrong_gradients(case, case.spec, gradients, lower)
    if wrong is not None:
        return Verdict("disagrees", wrong[0], "", promised.name, detail=wrong[1])
    if case.mask is not None:
        plain, order = case.without_mask()
        x, output, *lower = (take_steps(a, order, case.layout) for a in (gradients.x, gradients.output, *lower))
        return judge_stack(plain, gradients._replace(x=x, output=output), lower, promised.name, forward_mode)
    judged, of = (_InForwardMode, "in forward mode") if forward_mode else (_Stack, "the stack as one module")
    return verdict_of(case, promised, lambda: judged(case, gradients, lower, promised).parts(), of)


def verdict_of(case: Case, promised: Arithmetic, parts: Callable[[], Iterable[Part]], of: str) -> Verdict:
    """The verdict on gradients by these parts; its detail names those of `of` that are wrong."""
    with np.errstate(all="ignore"):
        seen = [compare(part) for part in parts()]
        verdict = verdict_on(case, seen, promised, GRADIENT)
    detail = "; ".join(told(case, one) for one in seen if one.outside)
    return replace(verdict, detail=detail and f"{of}: {detail}")


def told(case: Case, seen: Comparison) -> str:
    part, directions = seen.part, case.spec.directions
    layer, d = divmod(part.track, len(directions))
    of = "" if part.array == "dx" else f" of layer {layer}{f', {directions[d]}' if len(directions) > 1 else ''}"
    at = seen.max_fraction_at
    bound = float(part.bound.flat[at])
    return f"{part.array}{of} is off by {seen.max_error:.3g} where {bound:.3g} is the bound"


class _Layer(NamedTuple):
    """What was expected of a layer's tracks, and of its x."""

    tracks: Sequence[UnseenGradients]
    x: Back


class _Stack:
    """The gradients of a case without a mask, time first and batched, and what was expected of them."""

    def __init__(self, case: Case, gradients: Gradients, lower: Sequence[np.ndarray], promised: Arithmetic) -> None:
        self.case, self.spec, self.gradients, self.promised = case, case.spec, gradients, promised
        self.x, *self.outputs = (sequence_to_time_first(a, case.layout) for a in (case.x, *lower, gradients.output))
        self.states = initial_states(self.spec, self.x, case.h0, case.layout)
        self.lengths = None if case.lengths is None else np.atleast_1d(np.asarray(case.lengths))
        g_output, self.g_finals = batched_cotangents(self.spec, self.x, case.layout, case.cotangents)
        layers, g = [], Back(g_output.astype(np.float64))
        for layer in reversed(range(self.spec.num_layers)):
            layers.insert(0, self._layer(layer, g))
            g = Back(layers[0].x.value, layers[0].x.radius)
        self.layers = layers

    def _layer(self, layer: int, g: Back, returns_of: type[KnownReturns] = KnownReturns) -> _Layer:
        spec, time, batch = self.spec, *self.x.shape[:2]
        x, tracks = self.x if layer == 0 else self.outputs[layer - 1], []
        for d, direction in enumerate(spec.directions):
            k, half = layer * spec.num_directions + d, spec.half(d)
            start = tuple(state[k] for state in self.states)
            track = Track(cell_of(spec), self.case.parameters[k], x, start, self.lengths, direction)
            g_half, g_finals = g.each(lambda a, half=half: a[..., half]), [one[k] for one in self.g_finals]
            answered = self.outputs[layer][..., half]
            tracks.append(
                unseen_gradients(track, answered, g_half, g_finals, self.promised, spec.num_directions, returns_of)
            )
        returns = BallReturns(self.promised, 1, len(self.case.parameters[0].w_ih), time, batch)
        return _Layer(tracks, counted(self.lengths, returns.added_up([track.x for track in tracks])))

    def parts(self) -> Iterator[Part]:
        """Of which nothing is known where lower layers alone answered other bits: all but they themselves."""
        known = (self._first_other() + 1) * self.spec.num_directions
        for part in self.forward():
            yield part if part.track < known else _unknown(part)
        for part in self.backward():
            yield part if known > self.spec.num_cells else _unknown(part)

    def _first_other(self) -> int:
        """The first layer whose output ends in other bits than its final state has in the stack; their number where
        none does."""
        h_n = state_to_batched(state_tuple(self.gradients.h_n)[0], self.case.layout)
        time, batch, _ = self.x.shape
        ends = np.full(batch, time) if self.lengths is None else self.lengths
        rows = np.flatnonzero(ends)
        for k, final in enumerate(h_n):
            layer, d = divmod(k, self.spec.num_directions)
            last = ends[rows] - 1 if self.spec.directions[d] == "forward" else 0
            if not equal_bits(
                self.outputs[layer][last, rows, self.spec.half(d)], np.ascontiguousarray(final[rows])
            ).all():
                return layer
        return self.spec.num_layers

    def forward(self) -> Iterator[Part]:
        names = [state.name for state in cell_of(self.spec).states]
        finals = [state_to_batched(state, self.case.layout) for state in state_tuple(self.gradients.h_n)]
        for k, track in self._tracks():
            layer, d = divmod(k, self.spec.num_directions)
            yield Part(k, "output", self.outputs[layer][..., self.spec.half(d)], *track.forward.output)
            for name, final, one in zip(names, finals, (track.forward.h_n, *track.forward.hidden), strict=True):
                yield single(k, f"{name}_n", final[k], one)

    def backward(self) -> Iterator[Part]:
        x = sequence_to_time_first(self.gradients.x, self.case.layout)
        yield Part(0, "dx", x, *enclosure(self.layers[0].x, self.promised))
        names = [state.name for state in cell_of(self.spec).states]
        initial = [state_to_batched(state, self.case.layout) for state in state_tuple(self.gradients.h0)]
        for k, track in self._tracks():
            for name, actual, one in zip(names, initial, track.states, strict=True):
                yield single(k, f"d{name}0", actual[k], one)
            for name, one in track.parameters.items():
                actual = self.gradients.parameters[k].arrays()[name]
                yield single(k, f"d{name}", np.atleast_2d(actual), one.each(np.atleast_2d))

    def _tracks(self) -> Iterator[tuple[int, UnseenGradients]]:
        return enumerate(track for layer in self.layers for track in layer.tracks)


class _InForwardMode(_Stack):
    """The same of one layer whose gradients were computed in forward mode: bounds/forward_mode.py."""

    def _layer(self, layer: int, g: Back, returns_of: type[KnownReturns] = KnownReturns) -> _Layer:
        exact, finals = super()._layer(layer, g, returns_of), self.g_finals
        self.g_finals = [np.abs(one) for one in finals]
        paths, self.g_finals = super()._layer(layer, g.each(np.abs), PathReturns), finals
        terms = terms_of(g.value, finals)

        def of(one: Any, magnitudes: Any) -> Any:
            return widened(one, magnitudes, self.promised, terms)

        tracks = [
            one._replace(
                states=tuple(map(of, one.states, other.states)),
                parameters={name: of(array, other.parameters[name]) for name, array in one.parameters.items()},
            )
            for one, other in zip(exact.tracks, paths.tracks, strict=True)
        ]
        return _Layer(tracks, of(exact.x, paths.x))


def _unknown(part: Part) -> Part:
    return part._replace(bound=np.full(part.bound.shape, np.inf))


def single(track: int, name: str, actual: np.ndarray, expected: Enclosure) -> Part:
    """An array without steps."""
    return Part(track, name, actual[None], *(a[None] for a in expected))
