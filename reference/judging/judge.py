"""The judge: compares an answer with what the reference expects, within the derived bounds."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..arguments import named_states
from ..bounds.arithmetic import ARITHMETICS, Arithmetic, arithmetic
from ..bounds.step import Enclosure, Expected, step_bound
from ..bounds.trajectory import DEAREST_PRODUCTS, products_cost, trajectory_bound
from ..cells import cell_of
from ..layout import from_state_tuple, sequence_to_time_first, state_to_batched, state_tuple, take_steps
from ..recurrence import Track, initial_states
from ..spec import dtype_name, expect, expect_word
from .case import Case
from .comparison import Comparison, Part, compare, equal_bits, first_outside, single
from .verdict import OWN_STEPS, PAIR, WITH_STEPS, Location, Verdict

BOUNDS = ("step", "trajectory")


def judge(
    case: Case,
    output: np.ndarray,
    h_n: Any,
    prefixes: Sequence[np.ndarray] | None = None,
    declared: str | None = None,
    bound: str | None = None,
) -> Verdict:
    """Does an answer agree with the reference?  np.allclose(actual, expected, rtol=0, atol=bound), element by element.

    output, h_n: the answer, in the case's layout and dtype (see reference.Result).
    prefixes: the output of the first 1, 2, ..., num_layers - 1 layers, each in the case's layout.
    declared: the arithmetic that is promised, a name of reference.bounds.arithmetic; the case's dtype when None.
    bound: "step", "trajectory", or None for the step bound wherever every layer's output is known. Where it is, the
    step bound also judges in place of a trajectory bound that takes more than DEAREST_PRODUCTS; it is the sharper one.
    Raises TypeError or ValueError for an undeclared arithmetic, one of another dtype, a step bound without the
    prefixes, and arguments of another kind; an output or h_n that is no such array disagrees.
    """
    promised, bound = question_of(case, prefixes, declared, bound)
    if wrong := wrong_form(case, output, h_n, prefixes or ()):
        return wrongly_formed(wrong, promised)
    if case.mask is not None:
        plain, order = case.without_mask()
        moved = _moved(case.layout, order, _Given(output, h_n, prefixes))
        return _put_back(judge(plain, *moved, promised.name, bound), order)
    with np.errstate(all="ignore"):
        layers = layers_of(case, output, prefixes or ())
        tracks = step_tracks(case, layers, promised) if bound == "step" else trajectory_tracks(case, promised)
        parts = parts_of_tracks(case, layers, h_n, tracks)
        return verdict_on(case, [compare(part) for part in parts], promised, bound)


class _Given(NamedTuple):
    """An answer in the case's layout."""

    output: np.ndarray
    h_n: Any
    prefixes: Sequence[np.ndarray] | None = None


def _moved(layout: str, order: np.ndarray, given: _Given) -> _Given:
    """An answer whose steps are put in another order."""
    lower = None if given.prefixes is None else [take_steps(array, order, layout) for array in given.prefixes]
    return _Given(take_steps(given.output, order, layout), given.h_n, lower)


def _put_back(verdict: Verdict, order: np.ndarray) -> Verdict:
    """The verdict on a case whose steps were put in another order, with its places named as they were given."""
    places = {"worst": verdict.worst, "first": verdict.first}
    moved = {name: place for name, place in places.items() if place is not None and place.time is not None}
    steps = {name: replace(place, time=int(order[place.time, place.batch])) for name, place in moved.items()}
    return replace(verdict, **steps)


def judge_pair(
    case: Case, expected: Sequence[Any], actual: Sequence[Any], declared: tuple[str | None, str | None] = (None, None)
) -> Verdict:
    """Do two answers to the same case agree?  Neither is the reference's: each may lie as far from it as the
    trajectory bound of its arithmetic allows, so they may lie both that far apart. Elements of equal bits agree,
    NaN and those of a vacuous bound too, and count as judged by a bound of 0; where all are, no bound is computed.
    Where the trajectory bound is vacuous, or too dear, each answer is judged by its own steps if every layer's output
    is known: they disagree if either is wrong. The verdict is then that of the worse answer, and `bound` names it.

    expected, actual: output and h_n, in the case's layout and dtype; and prefixes, if known.  declared: the arithmetic
    that is promised of each. All are as in judge, and so are the errors raised.
    """
    for field, answer in (("expected", expected), ("actual", actual)):
        if not isinstance(answer, list | tuple) or len(answer) not in (2, 3, 4):
            got = type(answer).__name__
            raise TypeError(f"{field}: got {got}, expected the two arrays output and h_n, and prefixes if known")
    answers = [_Given(*answer[:3]) for answer in (expected, actual)]  # gradients are not compared
    asked = [question_of(case, one.prefixes, name, "trajectory") for one, name in zip(answers, declared, strict=True)]
    (first, promised), bounds = zip(*asked, strict=True)
    for one in answers:
        if wrong := wrong_form(case, one.output, one.h_n, one.prefixes or ()):
            return wrongly_formed(wrong, promised)
    if case.mask is not None:
        plain, order = case.without_mask()
        e, a = (_moved(case.layout, order, one) for one in answers)
        return _put_back(judge_pair(plain, e, a, declared), order)
    with np.errstate(all="ignore"):
        arrays = ([one.output, *state_tuple(one.h_n)] for one in answers)
        if all(equal_bits(*pair).all() for pair in zip(*arrays, strict=True)):
            hidden = (_UNBOUNDED,) * (len(cell_of(case.spec).states) - 1)
            of_actual = of_expected = [Expected(_UNBOUNDED, _UNBOUNDED, hidden)] * case.spec.num_cells
        elif bounds == ("step", "step"):
            return _by_own_steps(case, answers, declared)
        else:
            of_actual = trajectory_tracks(case, promised)
            of_expected = of_actual if first == promised else trajectory_tracks(case, first)
        both = zip(answers, (of_expected, of_actual), strict=True)
        parts = (parts_of_tracks(case, layers_of(case, one.output), one.h_n, tracks) for one, tracks in both)
        seen = [compare(_apart(a, e)) for e, a in zip(*parts, strict=True)]
        verdict = verdict_on(case, seen, promised, PAIR)
    visible = all(_visible(case, one.prefixes) for one in answers)
    return _by_own_steps(case, answers, declared) if verdict.outcome == "vacuous" and visible else verdict


def _by_own_steps(case: Case, answers: Sequence[_Given], declared: Sequence[str | None]) -> Verdict:
    """The step bound's verdict on the worse of two answers."""
    severity = ("agrees", "vacuous", "disagrees")
    seen = [judge(case, *answer, name, "step") for answer, name in zip(answers, declared, strict=True)]
    named = [replace(verdict, bound=bound) for verdict, bound in zip(seen, OWN_STEPS, strict=True)]
    return max(named, key=lambda verdict: (severity.index(verdict.outcome), verdict.max_fraction))


# what stands for a bound where none is looked at: _apart takes 0 for elements of equal bits
_UNBOUNDED = Enclosure(*[np.zeros(())] * 3)


def _apart(actual: Part, expected: Part) -> Part:
    """An answer's part beside that of another answer: both bounds together, and none where the bits are equal."""
    value = expected.actual.astype(np.float64)
    same = equal_bits(actual.actual, expected.actual)
    between = actual.bound + expected.bound, actual.scale
    bound, scale = (np.where(same, *pair) for pair in zip(Enclosure.exactly(value)[1:], between, strict=True))
    return actual._replace(expected=value, bound=bound, scale=scale)


def question_of(
    case: Case, prefixes: Sequence[np.ndarray] | None, declared: str | None, bound: str | None
) -> tuple[Arithmetic, str]:
    """The arithmetic and the bound to judge by. Raises unless the arguments of judge say which."""
    if not isinstance(case, Case):
        raise TypeError(f"case: got {type(case).__name__}, expected Case")
    if declared is not None:
        expect_word("declared", declared, tuple(ARITHMETICS))
    promised = arithmetic(case.dtype if declared is None else declared)
    expect(promised.storage == case.dtype, "declared", promised.name, f"an arithmetic that stores {case.dtype}")
    if bound is not None:
        expect_word("bound", bound, BOUNDS)
    if not (prefixes is None or isinstance(prefixes, list | tuple)):
        raise TypeError(f"prefixes: got {type(prefixes).__name__}, expected a list or tuple of arrays")
    lower, visible = case.spec.num_layers - 1, _visible(case, prefixes)
    expect(visible or bound != "step", "prefixes", prefixes, f"the outputs of the first {lower} layers")
    if prefixes is not None:
        expect(len(prefixes) == lower, "prefixes", f"{len(prefixes)} arrays", f"{lower}, one for each lower layer")
    return promised, "step" if visible and (bound != "trajectory" or _too_dear(case)) else "trajectory"


def _visible(case: Case, prefixes: Sequence[np.ndarray] | None) -> bool:
    """Whether the output of every layer is known."""
    return case.spec.num_layers == 1 or prefixes is not None


def _too_dear(case: Case) -> bool:
    """Whether the trajectory bound of a case costs more than it is worth where the step bound can be asked."""
    time, batch, _ = sequence_to_time_first(case.x, case.layout).shape
    return products_cost(case.spec, time, batch) > DEAREST_PRODUCTS


def wrong_form(case: Case, output: Any, h_n: Any, prefixes: Sequence[Any]) -> tuple[str, str] | None:
    """The reason and a sentence when an array's shape or dtype is not what the case asks for."""
    batch = None if case.layout == "unbatched" else case.x.shape[0 if case.layout == "batch_first" else 1]
    output_shape = (*case.x.shape[:-1], case.spec.output_size)
    try:
        states = named_states(case.spec, h_n, "_n", batch)
    except TypeError as error:
        return "shape", str(error)
    lower = [(f"prefixes[{i}]", array, output_shape) for i, array in enumerate(prefixes)]
    for name, array, shape in [("output", output, output_shape), *states, *lower]:
        if type(array) is not np.ndarray:  # a masked array hides what it holds
            return "dtype", f"{name} is {type(array).__name__}, expected a NumPy array"
        if array.shape != shape:
            return "shape", f"{name} has shape {array.shape}, expected {shape}"
        if array.dtype != case.x.dtype:
            return "dtype", f"{name} has dtype {dtype_name(array.dtype)}, expected {case.dtype}"
    return None


def wrongly_formed(wrong: tuple[str, str], promised: Arithmetic) -> Verdict:
    """The verdict where an array is not what the case asks for.  wrong: the reason, and a sentence."""
    return Verdict("disagrees", wrong[0], "", promised.name, detail=wrong[1])


def layers_of(case: Case, output: np.ndarray, prefixes: Sequence[np.ndarray] = ()) -> dict[int, np.ndarray]:
    """The outputs of the layers that are known, by number, time first and batched."""
    known = [sequence_to_time_first(array, case.layout) for array in (*prefixes, output)]
    return dict(enumerate(known, case.spec.num_layers - len(known)))


def parts_of_tracks(case: Case, layers: dict[int, np.ndarray], h_n: Any, tracks: Iterable[Expected]) -> Iterator[Part]:
    """A whole answer beside what is expected, track by track.  layers: the outputs that are known."""
    answered = [state_to_batched(array, case.layout) for array in state_tuple(h_n)]
    for index, expected in enumerate(tracks):
        layer, direction = divmod(index, case.spec.num_directions)
        if layer in layers:
            yield Part(index, "output", layers[layer][..., case.spec.half(direction)], *expected.output)
        finals = zip(cell_of(case.spec).states, answered, (expected.h_n, *expected.hidden), strict=True)
        for state, final, enclosure in finals:
            yield single(index, f"{state.name}_n", final[index], enclosure)


class TimeFirst(NamedTuple):
    """What a case asks, time first and batched; x is a view."""

    case: Case
    x: np.ndarray
    states: tuple[np.ndarray, ...]
    lengths: np.ndarray | None

    def track(self, index: int, x: np.ndarray) -> Track:
        """One of the stack's, that reads this x."""
        spec, start = self.case.spec, tuple([state[index] for state in self.states])
        direction = spec.directions[index % spec.num_directions]
        return Track(cell_of(spec), self.case.parameters[index], x, start, self.lengths, direction)


def time_first(case: Case) -> TimeFirst:
    x = sequence_to_time_first(case.x, case.layout)
    states = initial_states(case.spec, x, case.h0, case.layout)
    return TimeFirst(case, x, states, None if case.lengths is None else np.atleast_1d(np.asarray(case.lengths)))


def step_tracks(case: Case, layers: dict[int, np.ndarray], promised: Arithmetic) -> Iterator[Expected]:
    asked, spec = time_first(case), case.spec
    for index in range(spec.num_cells):
        layer, d = divmod(index, spec.num_directions)
        track = asked.track(index, layers[layer - 1] if layer else asked.x)
        yield step_bound(track, layers[layer][..., spec.half(d)], promised)


def trajectory_tracks(case: Case, promised: Arithmetic) -> list[Expected]:
    _, x, states, lengths = time_first(case)
    return trajectory_bound(case.spec, case.parameters, x, from_state_tuple(states), lengths, promised)


def verdict_on(case: Case, seen: list[Comparison], promised: Arithmetic, bound: str) -> Verdict:
    """What the comparison of all parts of an answer says."""
    outside = sum(c.outside for c in seen)
    vacuous = sum(c.vacuous for c in seen)
    worst = max(seen, key=lambda c: c.max_fraction)
    largest = max(seen, key=lambda c: c.max_error)
    first = next((c.part for c in seen if c.outside), None)
    reason = "non-finite" if any(c.non_finite for c in seen) else "value"
    return Verdict(
        outcome="disagrees" if outside else "vacuous" if vacuous else "agrees",
        reason=reason if outside else "",
        bound=bound,
        arithmetic=promised.name,
        elements=sum(c.part.actual.size for c in seen),
        outside=outside,
        vacuous=vacuous,
        max_error=largest.max_error,
        max_ulps=_ulps(largest, promised),
        max_fraction=worst.max_fraction,
        mean_signed_residual=_mean_signed_residual(seen, promised),
        worst=_location(case, worst.part, worst.max_fraction_at),
        first=None if first is None else _location(case, first, first_outside(first, _direction(case, first))),
    )


def _direction(case: Case, part: Part) -> str:
    return case.spec.directions[part.track % case.spec.num_directions]


def _location(case: Case, part: Part, flat: int) -> Location | None:
    if not part.actual.size:
        return None
    (time, row), units = divmod(flat, part.actual[0].size), part.actual.shape[-1]
    batch, unit = divmod(row, units)
    values = [float(array[time, batch, unit]) for array in (part.expected, part.actual, part.bound)]
    layer = part.track // case.spec.num_directions
    step = time if part.array in WITH_STEPS else None
    return Location(part.array, layer, _direction(case, part), step, batch, unit, *values)


def _ulps(comparison: Comparison, promised: Arithmetic) -> float:
    """The largest error in units in the last place of the storage format at the expected value."""
    part = comparison.part
    if not part.actual.size or not math.isfinite(expected := part.expected.item(comparison.max_error_at)):
        return comparison.max_error
    magnitude = max(abs(expected), promised.smallest_normal)
    return float(comparison.max_error / (2 * promised.unit_roundoff * 2.0 ** np.floor(np.log2(magnitude))))


def _mean_signed_residual(seen: list[Comparison], promised: Arithmetic) -> float:
    """Mean of |actual| - |expected| over the outputs, in units of u times the largest expected value."""
    outputs = [c for c in seen if c.part.array == "output"]
    elements = sum(c.part.actual.size for c in outputs)
    scale = promised.unit_roundoff * max((c.largest_expected for c in outputs), default=0.0)
    return sum(c.magnitude for c in outputs) / elements / scale if elements and scale else 0.0
