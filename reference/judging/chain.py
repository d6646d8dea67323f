"""The judge of a stack's gradients as one module; and its layers as cases of their own, each of which has a probe.

Nothing shows the deltas of a stack's layers, so each is enclosed, from the cotangents that are given down to x
(bounds/unseen.py). That holds for any correct backward pass of these states, and is wider than what a probe allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..backward import Gradients, batched_cotangents
from ..bounds.arithmetic import Arithmetic
from ..bounds.forward_mode import PathReturns, terms_of, widened
from ..bounds.gradients import enclosure
from ..bounds.unseen import KnownReturns, UnseenGradients, counted, unseen_gradients
from ..calculus.returns import Back, BallReturns
from ..layout import each_state, sequence_to_time_first, state_to_batched, state_tuple, take_steps
from ..spec import expect
from .case import Case
from .comparison import Comparison, Part, compare, equal_bits
from .gradients import parts_of_sums, wrong_gradients
from .judge import TimeFirst, layers_of, parts_of_tracks, question_of, time_first, verdict_on, wrongly_formed
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
    if wrong := wrong_gradients(case, case.spec, gradients, lower):
        return wrongly_formed(wrong, promised)
    if case.mask is not None:
        plain, order = case.without_mask()
        x, output, *lower = (take_steps(a, order, case.layout) for a in (gradients.x, gradients.output, *lower))
        return judge_stack(plain, gradients._replace(x=x, output=output), lower, promised.name, forward_mode)
    of = "in forward mode" if forward_mode else "the stack as one module"
    return verdict_of(case, promised, _parts(case, gradients, lower, forward_mode, promised), of)


def verdict_of(case: Case, promised: Arithmetic, parts: Iterator[Part], of: str) -> Verdict:
    """The verdict on gradients by these parts, made as they are read; its detail names those of `of` that are wrong."""
    with np.errstate(all="ignore"):
        seen = [compare(part) for part in parts]
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


def _parts(
    case: Case, gradients: Gradients, lower: Sequence[np.ndarray], forward_mode: bool, promised: Arithmetic
) -> Iterator[Part]:
    """Of a case without a mask. Where lower layers alone answered other bits nothing is known but of these layers."""
    layers, g_x = layers_of(case, gradients.output, lower), sequence_to_time_first(gradients.x, case.layout)
    tracks, of_x = (_in_forward_mode if forward_mode else _expected)(case, layers, promised)
    known = (_first_other(case, layers, gradients.h_n) + 1) * case.spec.num_directions
    for part in parts_of_tracks(case, layers, gradients.h_n, [track.forward for track in tracks]):
        yield part if part.track < known else _unknown(part)
    for part in (Part(0, "dx", g_x, *enclosure(of_x, promised)), *parts_of_sums(case, gradients, tracks)):
        yield part if known > case.spec.num_cells else _unknown(part)


def taken_back(
    asked: TimeFirst, g: Back, of_track: Callable[[int, Back], Any], promised: Arithmetic
) -> tuple[list[Any], Back]:
    """What is expected of each track, layer by layer from the last one down, and of x.

    g: what is handed to the output.  of_track: what is expected of a track, given its number and what it is handed.
    """
    spec, (time, batch, _), tracks = asked.case.spec, asked.x.shape, []
    returns, of_x = BallReturns(promised, 1, len(asked.case.parameters[0].w_ih), time, batch), g
    for layer in reversed(range(spec.num_layers)):
        first = layer * spec.num_directions
        found = [of_track(first + d, g.each(lambda a, d=d: a[..., spec.half(d)])) for d in range(spec.num_directions)]
        of_x = counted(asked.lengths, returns.added_up([track.x for track in found]))
        g, tracks[:0] = Back(of_x.value, of_x.radius), found
    return tracks, of_x


def _expected(case: Case, layers: dict[int, np.ndarray], promised: Arithmetic, magnitudes: bool = False,
              ) -> tuple[list[UnseenGradients], Back]:  # fmt: skip
    """magnitudes: whether those of all paths back are added up, in the place of what the paths hand back."""
    asked, spec = time_first(case), case.spec
    g_output, g_finals = batched_cotangents(spec, asked.x, case.layout, case.cotangents)
    g, returns_of = Back(g_output.astype(np.float64)), KnownReturns
    if magnitudes:
        g, g_finals, returns_of = g.each(np.abs), [*map(np.abs, g_finals)], PathReturns

    def of_track(k: int, g_half: Back) -> UnseenGradients:
        layer, d = divmod(k, spec.num_directions)
        track, answered = asked.track(k, layers[layer - 1] if layer else asked.x), layers[layer][..., spec.half(d)]
        of_finals = [one[k] for one in g_finals]
        return unseen_gradients(track, answered, g_half, of_finals, promised, spec.num_directions, returns_of)

    return taken_back(asked, g, of_track, promised)


def _in_forward_mode(
    case: Case, layers: dict[int, np.ndarray], promised: Arithmetic
) -> tuple[list[UnseenGradients], Back]:
    """The same of one layer whose gradients were computed in forward mode: bounds/forward_mode.py."""
    (exact, of_x), (paths, of_paths) = (_expected(case, layers, promised, magnitudes) for magnitudes in (False, True))
    x = sequence_to_time_first(case.x, case.layout)
    terms = terms_of(*batched_cotangents(case.spec, x, case.layout, case.cotangents))

    def of(one: Any, magnitudes: Any) -> Any:
        return widened(one, magnitudes, promised, terms)

    tracks = [
        one._replace(
            states=tuple(map(of, one.states, other.states)),
            parameters={name: of(array, other.parameters[name]) for name, array in one.parameters.items()},
        )
        for one, other in zip(exact, paths, strict=True)
    ]
    return tracks, of(of_x, of_paths)


def _first_other(case: Case, layers: dict[int, np.ndarray], h_n: Any) -> int:
    """The first layer whose output ends in other bits than its final state has in the stack; their number where none
    does."""
    time, batch, _ = layers[0].shape
    ends = np.full(batch, time) if case.lengths is None else np.atleast_1d(np.asarray(case.lengths))
    rows = np.flatnonzero(ends)
    for k, final in enumerate(state_to_batched(state_tuple(h_n)[0], case.layout)):
        layer, d = divmod(k, case.spec.num_directions)
        last = ends[rows] - 1 if case.spec.directions[d] == "forward" else 0
        answered = layers[layer][last, rows, case.spec.half(d)]
        if not equal_bits(answered, np.ascontiguousarray(final[rows])).all():
            return layer
    return case.spec.num_layers


def _unknown(part: Part) -> Part:
    return part._replace(bound=np.full(part.bound.shape, np.inf))
