"""The judge of an answer that shows only part of what the reference answers, or shows it otherwise: a view of it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..backward import Gradients
from ..bounds.arithmetic import Arithmetic
from ..bounds.step import Enclosure, Expected
from ..layout import sequence_to_time_first, take_steps
from .case import Case
from .chain import judge_stack
from .comparison import Part, compare, says_the_same, vacuous_elements
from .gradients import judge_gradients, probe
from .judge import judge, question_of, step_tracks, trajectory_tracks, verdict_on, wrongly_formed
from .parts import parts_of, put_back, shown_of, whole_of, wrong_shown
from .pullback import part_gradients
from .second_derivatives import judge_twice, second_gradients
from .verdict import Verdict
from .view import WHOLE, View, answer_of, as_shown, held, sequence_of, valid_of
from .view_gradients import judge_part


def judge_view(
    case: Case,
    view: View,
    output: np.ndarray | None,
    h_n: Any,
    prefixes: Sequence[np.ndarray] | None = None,
    declared: str | None = None,
    bound: str | None = None,
    gradients: Gradients | None = None,
) -> Verdict:
    """Does what a call shows agree with the same view of the reference's answer?

    output, h_n: in the case's layout and dtype, as view.answer_of gives them; None where the view shows none. The other
    arguments are judge's, and so are the errors raised. By the step bound where each layer's output is shown at every
    step, with its halves beside each other; else by the trajectory bound, each operation that merges two halves rounded
    once. An output that is held must be repeated exactly.
    gradients: of a case with cotangents, of which nothing else is judged; those of a stack by its prefixes too. Of a
    part of an answer they are those of cotangents of that part (pullback.shown_cotangents).
    """
    if case.cotangents is not None:
        return _on_gradients(case, view, gradients, prefixes or (), declared)
    if view == WHOLE:
        return judge(case, output, h_n, prefixes, declared, bound)  # type: ignore[arg-type] - None is an answer's fault
    by_steps = view.output == "every step" and not view.merges(case.spec.num_directions)
    promised, bound = question_of(case, prefixes, declared, bound)
    bound = bound if by_steps else "trajectory"
    if wrong := wrong_shown(view, case, output, h_n, prefixes or ()):
        return wrongly_formed(wrong, promised)
    if view.masked == "held" and by_steps:
        assert output is not None
        verdict, zeroed = _unheld(view, case, output, promised)
        return verdict or judge_view(case, view._replace(masked="zero"), zeroed, h_n, prefixes, promised.name, bound)
    plain, order = (case, None) if case.mask is None else case.without_mask()
    with np.errstate(all="ignore"):
        answer = as_shown(view, case, output, h_n)
        layers = {n: sequence_to_time_first(array, case.layout) for n, array in enumerate(prefixes or ())}
        if by_steps and answer.output is not None:
            layers[case.spec.num_layers - 1] = answer.output
        if bound == "step":
            moved = layers if order is None else {n: take_steps(a, order, "time_first") for n, a in layers.items()}
            expected = put_back([*step_tracks(plain, moved, promised)], order)
        else:
            expected = put_back(trajectory_tracks(plain, promised), order)
        below = _parts_below(case, layers, expected) if bound == "step" else ()
        whole = whole_of(case, expected)
        parts = *below, *parts_of(view, case, answer, shown_of(view, case, whole), promised)
        return verdict_on(case, [compare(part) for part in parts], promised, bound)


def _on_gradients(
    case: Case, view: View, gradients: Any, prefixes: Sequence[np.ndarray], declared: str | None
) -> Verdict:
    if view.differentiation == "forward":
        return judge_stack(probe(case), gradients, (), declared, forward_mode=True)
    if view.differentiation == "twice":
        return judge_twice(case, gradients, declared)
    if not view.of_all:
        return judge_part(case, view, gradients, declared)
    if case.spec.num_layers > 1:
        return judge_stack(case, gradients, prefixes, declared)
    return judge_gradients(case, gradients, declared)


def gradients_shown(view: View, case: Case) -> Gradients:
    """What the reference answers to a call of this view that asks for gradients."""
    if view.differentiation == "twice":
        return second_gradients(case)
    return case.gradients() if view.of_all else part_gradients(view, case)


def widest(view: View, case: Case, declared: str | None) -> float:
    """The largest trajectory bound of what is shown; NaN where some bound says nothing."""
    promised, _ = question_of(case, None, declared, "trajectory")
    plain, order = (case, None) if case.mask is None else case.without_mask()
    with np.errstate(all="ignore"):
        whole = whole_of(case, put_back(trajectory_tracks(plain, promised), order))
        answer = as_shown(view, case, *answer_of(view, case, *case.answer()))
        parts = [*parts_of(view, case, answer, shown_of(view, case, whole), promised)]
    vacuous = any(vacuous_elements(*part[3:]).any() for part in parts)
    return np.nan if vacuous else max(float(part.bound.max(initial=0)) for part in parts)


def _parts_below(case: Case, layers: dict[int, np.ndarray], tracks: Sequence[Expected]) -> Iterator[Part]:
    for index, expected in enumerate(tracks[: -case.spec.num_directions]):
        layer, direction = divmod(index, case.spec.num_directions)
        yield Part(index, "output", layers[layer][..., case.spec.half(direction)], *expected.output)


@np.errstate(all="ignore")
def _unheld(
    view: View, case: Case, output: np.ndarray, promised: Arithmetic
) -> tuple[Verdict | None, np.ndarray | None]:
    """An output that is held, with zero where no step counts; or the verdict on one that does not repeat itself."""
    actual, valid = sequence_to_time_first(output, case.layout), valid_of(case)
    repeated, zero = held(view, case, actual), actual.dtype.type(0)
    if says_the_same(actual, repeated).all():
        return None, sequence_of(WHOLE, case, np.where(valid[..., None], actual, zero))
    first, seen = case.spec.num_cells - case.spec.num_directions, []
    for d in range(case.spec.num_directions):
        half = np.s_[..., case.spec.half(d)]
        exactly = Enclosure.exactly(repeated[half].astype(np.float64))
        seen.append(compare(Part(first + d, "output", actual[half], *exactly)))
    return verdict_on(case, seen, promised, "step"), None
