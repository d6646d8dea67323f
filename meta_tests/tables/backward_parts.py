"""How often the judge of gradients of a part rejects a correct backward pass: never, if the bound is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from meta_tests.common.backward import BackUnit, Backward, Passed, passed
from meta_tests.tables.backward import draw_backward, draw_spec
from meta_tests.tables.false_alarms import BATCH_OF_CASES
from meta_tests.tables.gated import Count, Drawn, draw
from reference import Case, CellParameters, Gradients, RNNSpec, Verdict
from reference.draws import Draw
from reference.judging.partial import judge_view
from reference.judging.pullback import shown_cotangents
from reference.judging.view import View
from reference.layout import from_state_tuple, state_tuple

# what users are shown who train; each with both directions where halves are merged
VIEWS = (
    View(output="last step", states="none"), View(output="last step"), View(output="none"), View(states="none"),
    View(halves="sum"), View(states="none", halves="mul"), View(output="last step", states="none", halves="ave"),
    View(output="last step", states="none", halves="mul"),
)  # fmt: skip


class Tracks(NamedTuple):
    """Cases of the same shapes in one direction or two.  given: of each direction what it is drawn.  cases: with
    cotangents of the whole answer.  shown: those of what is shown, (case, ...)."""

    view: View
    given: Sequence[Drawn]
    cases: Sequence[Case]
    output: np.ndarray | None
    finals: Sequence[np.ndarray]


def draw_tracks(name: str, cell: str, seed: int, view: View, count: int, spec: RNNSpec | None) -> Tracks:
    numbers, one = Draw(seed + 5), spec or draw_spec(cell, seed)
    given = [draw(name, cell, seed, count, one)]
    if view.halves != "concat":
        other = draw(name, cell, seed + 7919, count, one)  # another time and batch: its weights alone are taken
        start = [numbers.uniform(a.shape).astype(a.dtype) for a in given[0].start]
        given.append(other._replace(x=given[0].x, start=start))
    whole = replace(one, direction="bidirectional") if len(given) > 1 else one
    cases = [_case(numbers, given, whole, k) for k in range(count)]
    shown = [shown_cotangents(view, case) for case in cases]
    outputs = [g for g, _ in shown if g is not None]
    output = np.stack(outputs) if outputs else None
    finals = [np.stack(one) for one in zip(*(state_tuple(g) for _, g in shown), strict=True)]
    if view.states == "none":
        finals = [np.zeros((count, len(given), *a.shape[1:]), a.dtype) for a in given[0].start]
    return Tracks(view, given, cases, output, finals)


def _case(numbers: Draw, given: Sequence[Drawn], spec: RNNSpec, k: int) -> Case:
    """One of them, with cotangents of its whole answer."""
    first = given[0]
    sizes = [state.shape[1:] for state in first.start]
    g = numbers.uniform((*first.x.shape[1:3], spec.output_size)).astype(first.x.dtype)
    finals = [numbers.uniform((len(given), *size)).astype(first.x.dtype) for size in sizes]
    h0 = from_state_tuple([np.stack([one.start[n][k] for one in given]) for n in range(len(sizes))])
    tracks = [CellParameters.of({name: array[k] for name, array in one.weights.items()}) for one in given]
    return Case(spec, tracks, first.x[k], h0, None, "time_first", cotangents=(g, from_state_tuple(finals)))


def forwards(array: np.ndarray, d: int) -> np.ndarray:
    """(case, time, ...) of a direction, from the order of time to that of processing, and back."""
    return array[:, ::-1] if d else array


def handed(unit: BackUnit, tracks: Tracks, halves: Sequence[np.ndarray], d: int) -> np.ndarray:
    """What the shown part of a direction's output is handed, stored."""
    g, storage = tracks.output, unit.declared.storage
    assert g is not None
    g = g[:, None] if tracks.view.output == "last step" else g
    exact = {"concat": lambda: g, "sum": lambda: g, "ave": lambda: g.astype(unit.carrier) / 2,
             "mul": lambda: g.astype(unit.carrier) * halves[1 - d].astype(unit.carrier)}  # fmt: skip
    return unit.round(exact[tracks.view.halves](), storage)


def together(unit: BackUnit, view: View, halves: Sequence[np.ndarray]) -> np.ndarray:
    """What is shown of the halves, stored."""
    a, *other = (half.astype(unit.carrier) for half in halves)
    exact = {"concat": lambda: a, "sum": lambda: a + other[0], "ave": lambda: unit.one(a + other[0]) / 2,
             "mul": lambda: a * other[0]}  # fmt: skip
    return unit.round(exact[view.halves](), unit.declared.storage).astype(halves[0].dtype)


def run(machine: Backward, tracks: Tracks) -> tuple[np.ndarray | None, list[Passed]]:
    """What a machine shows of the output, and what it hands back, of each direction."""
    unit, view = BackUnit(machine), tracks.view

    def one(d: int, g: np.ndarray, finals: list[np.ndarray]) -> Passed:
        of = tracks.given[d]
        return passed(machine, of.spec, of.weights, forwards(of.x, d), of.start, g, finals)

    first = tracks.given[0]
    shape = (*first.x.shape[:3], first.start[0].shape[-1])
    nothing = np.zeros(shape, first.x.dtype)
    finals = [[one[:, d] for one in tracks.finals] for d in range(len(tracks.given))]
    if tracks.output is None:
        return None, [one(d, nothing, finals[d]) for d in range(len(tracks.given))]
    states = [one(d, nothing, finals[d]).states[0] for d in range(len(tracks.given))]
    last = view.output == "last step"
    halves = [h[:, -1:] if last else forwards(h, d) for d, h in enumerate(states)]
    found = []
    for d in range(len(tracks.given)):
        g = handed(unit, tracks, halves, d)
        whole = np.zeros(shape, unit.carrier)
        whole[:, -1:] = g if last else whole[:, -1:]
        found.append(one(d, whole if last else forwards(g, d), finals[d]))
    shown = together(unit, view, halves)
    return shown[:, 0] if last else shown, found


def verdicts(machine: Backward, name: str, cell: str, seed: int, view: View, count: int = BATCH_OF_CASES,
             spec: RNNSpec | None = None) -> Iterator[Verdict]:  # fmt: skip
    tracks = draw_tracks(name, cell, seed, view, count, spec)
    with np.errstate(all="ignore"):
        output, found = run(machine, tracks)
        unit, several = BackUnit(machine), [forwards(one.x, d) for d, one in enumerate(found)]
        x = unit.round(sum((one.astype(unit.carrier) for one in several[1:]), several[0].astype(unit.carrier)),
                       unit.declared.storage).astype(several[0].dtype)  # fmt: skip
    for k, case in enumerate(tracks.cases):
        weights = [CellParameters.of({n: np.ascontiguousarray(a[k]) for n, a in one.weights.items()}) for one in found]
        h0 = [np.stack(of) for of in zip(*([a[k] for a in one.start] for one in found), strict=True)]
        h_n = [np.stack(of) for of in zip(*([a[k, -1] for a in one.states] for one in found), strict=True)]
        shown: Any = None if view.states == "none" else from_state_tuple(h_n)
        out: Any = None if output is None else np.ascontiguousarray(output[k])
        answer = Gradients(np.ascontiguousarray(x[k]), from_state_tuple(h0), weights, out, shown)
        yield judge_view(case, view, out, shown, None, machine.gated.machine.arithmetic, gradients=answer)


def count(name: str, cell: str, seeds: Iterable[int]) -> Count:
    """Of a batch of cases of each seed, which says in which view."""
    outcomes, largest = Counter[str](), 0.0
    for seed in seeds:
        for verdict in verdicts(draw_backward(name, seed), name, cell, seed, VIEWS[seed % len(VIEWS)]):
            outcomes[verdict.outcome] += 1
            largest = max(largest, verdict.max_fraction)
    return Count(outcomes.total(), outcomes["disagrees"], outcomes["vacuous"], largest)
