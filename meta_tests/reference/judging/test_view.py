"""What a call shows of an answer: the right part is never rejected, and each wrong one is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, product
from typing import Any

import numpy as np
import pytest

from meta_tests.common.every_view import VIEWS, differ
from meta_tests.common.implementations import Machine, Unit
from meta_tests.common.scale import at_night
from meta_tests.tables.false_alarms import BATCH_OF_CASES, Picks, draw_batch, draw_machine, run
from reference import DIRECTIONS, DTYPES, LAYOUTS, Case, RNNSpec, Verdict, judge
from reference.bounds.arithmetic import ARITHMETICS, arithmetic
from reference.bounds.step import Enclosure
from reference.draws import draw_case
from reference.faults import Fault
from reference.faults.machine import as_time_first
from reference.faults.views import VIEW_FAULTS, seen_in
from reference.judging.comparison import Part, compare
from reference.judging.partial import judge_view
from reference.judging.view import WHOLE, View, answer_of, merged
from reference.layout import each_state, state_tuple

MASK = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 0, 1]], bool)  # none its own reversal
ENDS = ({}, {"lengths": (4, 0, 5)}, {"mask": MASK})
MERGES = ("sum", "mul", "ave")


def drawn(spec: RNNSpec, ends: dict[str, Any], layout: str, dtype: str, seed: int = 1) -> Case:
    """A case of three sequences of five steps; unbatched, of the first alone."""
    rows = 1 if layout == "unbatched" else 3
    lengths = ends["lengths"][:rows] if "lengths" in ends else None
    case = draw_case(spec, batch=rows, time=5, dtype=dtype, seed=seed, h0=True, layout=layout, lengths=lengths)
    if "mask" not in ends:
        return case
    mask = {"batch_first": MASK, "time_first": MASK.T, "unbatched": MASK[0]}[layout]
    return replace(case, mask=mask)


def answers(case: Case) -> tuple[np.ndarray, Any, list[np.ndarray]]:
    output, h_n = case.answer()
    return output, h_n, [case.prefix(n).answer().output for n in range(1, case.spec.num_layers)]


def loops(view: View, case: Case) -> tuple[Any, Any]:
    """What a view shows of the reference's answer, one number after another."""
    case, spec = as_time_first(case), case.spec
    (time, rows, _), directions, units = case.x.shape, spec.directions, spec.state_size
    output, h_n = case.answer()
    states = state_tuple(h_n)

    def counts(t: int, b: int) -> bool:
        if case.mask is not None:
            return bool(case.mask[t, b])
        return case.lengths is None or t < np.asarray(case.lengths)[b]

    def before(b: int, d: int, u: int) -> Any:
        return state_tuple(case.h0)[0][d - len(directions), b, u] if view.first == "h0" else output.dtype.type(0)

    def at(t: int, b: int, d: int, u: int) -> Any:
        while view.masked == "held" and not counts(t, b):
            t += {"forward": -1, "reverse": 1}[directions[d]]
            if not 0 <= t < time:
                return before(b, d, u)
        return output[t, b, d * units + u]

    def last(b: int, d: int, u: int) -> Any:
        steps = [t for t in range(time) if counts(t, b)]
        if not steps:
            return before(b, d, u)
        return output[{"forward": steps[-1], "reverse": steps[0]}[directions[d]], b, d * units + u]

    def together(halves: list[list[Any]]) -> list[Any]:
        if view.halves == "concat" or len(halves) == 1:
            return [number for half in halves for number in half]
        how = {"sum": lambda a, b: a + b, "mul": lambda a, b: a * b, "ave": lambda a, b: (a + b) / a.dtype.type(2)}
        return [how[view.halves](a, b) for a, b in zip(*halves, strict=True)]

    def features(number: Any, *where: int) -> list[Any]:
        return together([[number(*where, d, u) for u in range(units)] for d in range(len(directions))])

    given = {
        "every step": lambda: [[features(at, t, b) for b in range(rows)] for t in range(time)],
        "last step": lambda: [features(last, b) for b in range(rows)],
        "none": lambda: None,
    }[view.output]()
    tracks = {"every layer": range(spec.num_cells), "last layer": range(spec.num_cells)[-len(directions) :]}
    final = [[[list(state[k, b]) for b in range(rows)] for k in tracks[view.states]]
             for state in states] if view.states != "none" else None  # fmt: skip
    return given, final


@pytest.mark.parametrize("cell", ["elman", "lstm"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_what_a_view_shows_is_what_loops_find(direction: str, cell: str) -> None:
    """One number after another, by code of its own, in every layout."""
    for view, layers, ends, layout in product(VIEWS, (1, 2), ENDS, LAYOUTS):
        case = drawn(RNNSpec(2, 3, layers, direction, cell=cell), ends, layout, "float32")
        output, h_n = answer_of(view, case, *case.answer())
        expected, states = loops(view, case)
        if expected is None:
            assert output is None
        else:
            expected = np.array(expected, np.float32)
            batch, time = (0, 1) if layout == "batch_first" else (1, 0)
            expected = expected.transpose(1, 0, 2) if view.output == "every step" and batch == 0 else expected
            expected = expected.squeeze(-2) if layout == "unbatched" else expected
            assert np.array_equal(output, expected), (view, layers, ends, layout, time)
        assert (h_n is None) == (states is None)
        for mine, theirs in zip(state_tuple(h_n), states or (), strict=False):
            theirs = np.array(theirs, np.float32)
            assert np.array_equal(mine, theirs[:, 0] if layout == "unbatched" else theirs), (view, layers, ends)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layers", [1, 2])
def test_the_references_own_answer_agrees(layers: int, dtype: str, direction: str) -> None:
    """Of two layers in 16 bits the trajectory bound may say nothing."""
    layouts = cycle(LAYOUTS)
    for view, ends in product(VIEWS, ENDS):
        for layout in LAYOUTS if at_night(0, 1) else (next(layouts),):
            case = drawn(RNNSpec(2, 3, layers, direction), ends, layout, dtype)
            verdict = judged(case, view)
            vague = layers == 2 and dtype in ("float16", "bfloat16") and verdict.bound == "trajectory"
            expected = ("agrees", "vacuous") if vague else ("agrees",)
            assert verdict.outcome in expected, (view, ends, layout, verdict)


def judged(case: Case, view: View, *faults: Fault, asked: View | None = None) -> Verdict:
    """The verdict on the reference's answer in a view, with faults in what it shows."""
    output, h_n, lower = answers(case)
    told, show = seen_in(view, as_time_first(case), faults)
    return judge_view(case, asked or view, *answer_of(told, case, output, h_n, show), lower)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_gated_cells_have_views_too(cell: str) -> None:
    for view, direction, ends in product(VIEWS, DIRECTIONS, ENDS):
        case = drawn(RNNSpec(2, 3, 1, direction, cell=cell), ends, "batch_first", "float64")
        assert judged(case, view).outcome == "agrees", (view, direction, ends)


def test_without_steps_or_rows_there_is_nothing_to_be_wrong() -> None:
    for view, direction, (batch, time) in product(VIEWS, DIRECTIONS, ((0, 3), (3, 0), (0, 0))):
        case = draw_case(RNNSpec(2, 3, 2, direction), batch=batch, time=time, h0=True)
        output, h_n = answer_of(view, case, *case.answer())
        assert judge_view(case, view, output, h_n).outcome == "agrees"
        if view.output == "last step" and time == 0:
            assert output is not None
            assert output.any() == (view.first == "h0" and batch > 0), "of a sequence without steps it is zero, or h0"


# --- machines


def put_together(view: View, machine: Machine, output: np.ndarray, units: int, way: int) -> np.ndarray:
    """Halves that are merged as the machine computes, each operation rounded and flushed as its own are."""
    unit = Unit(machine)
    narrow = machine.declared.computed

    def rounded(array: np.ndarray, flush_only: bool = False) -> np.ndarray:
        if way & 1 and machine.declared.accumulator_roundoff < machine.declared.operation_roundoff:
            array = unit.round(array, "float32")
        return unit.round(array, narrow)

    a, b = (unit.flushed(half.astype(unit.carrier), narrow) for half in (output[..., :units], output[..., units:]))
    if view.halves == "mul":
        whole = rounded(a * b)
    elif view.halves == "sum":
        whole = rounded(a + b)
    elif way & 2:
        whole = rounded(rounded(a / 2) + rounded(b / 2))
    else:
        whole = rounded(rounded(a + b) / 2)
    return whole.astype(output.dtype)


def machine_answer(
    view: View, machine: Machine, case: Case, output: np.ndarray, h_n: np.ndarray, way: int
) -> tuple[Any, Any]:
    if not view.merges(case.spec.num_directions):
        return answer_of(view, case, output, h_n)
    apart, states = answer_of(view._replace(halves="concat"), case, output, h_n)
    assert apart is not None
    with np.errstate(all="ignore"):
        return put_together(view, machine, apart, case.spec.state_size, way), states


@pytest.mark.parametrize("name", ARITHMETICS)
def test_no_correct_machine_is_rejected_in_any_view(name: str) -> None:
    """Cases of simulated machines, each in a view of its own, with halves merged in every way."""
    pick, said, largest = Picks(7), [], 0.0
    for seed in range(at_night(13, 400)):
        machine, batch = draw_machine(name, 1000 + seed), draw_batch(name, 1000 + seed)
        with np.errstate(all="ignore"):
            layers, h_n = run(machine, batch)
        for k in range(BATCH_OF_CASES):
            case, view = batch.case(k), pick(*VIEWS)
            answer = machine_answer(view, machine, case, layers[-1][k], h_n[:, k], pick(0, 1, 2, 3))
            prefixes = [layer[k] for layer in layers[:-1]] if pick(True, False) else None
            verdict = judge_view(case, view, *answer, prefixes, name)
            assert verdict.outcome != "disagrees", (seed, k, view, verdict)
            said.append(verdict.outcome)
            largest = max(largest, verdict.max_fraction)
    assert len(said) > 2 * said.count("vacuous")
    assert 0.3 < largest <= 1


@pytest.mark.parametrize("halves", MERGES)
@pytest.mark.parametrize("name", ARITHMETICS)
def test_halves_at_the_ends_of_their_bounds_may_be_merged_in_any_way(name: str, halves: str) -> None:
    """Numbers of every size, subnormal ones and those next to overflow too, each anywhere in its ball."""
    declared, view = ARITHMETICS[name], View(halves=halves)
    random, largest = np.random.Generator(np.random.PCG64(5)), 0.0
    for seed in range(8):
        machine = replace(draw_machine(name, seed), flush=bool(seed & 1))
        with np.errstate(all="ignore"):
            computed, parts = halves_in_balls(machine, random)
            expected = merged(view, parts, declared)
            for way in range(4):
                given = put_together(view, machine, computed, computed.shape[-1] // 2, way)
                told = compare(Part(0, "output", given, *expected))
                assert not told.outside, (seed, way)
                largest = max(largest, told.max_fraction)
    assert 0.49 < largest <= 1


def halves_in_balls(machine: Machine, random: np.random.Generator) -> tuple[np.ndarray, list[Enclosure]]:
    """Numbers of a machine, (1, 1, two halves), and the balls in which they lie: at an end, in the middle, or exact."""
    declared, shape = machine.declared, (2, 4000)
    low, high = np.log2(declared.smallest_normal), np.log2(declared.largest)
    sizes = random.choice([0, low / 2, high / 2, low, high], shape)
    exponent = np.where(random.random(shape[1:]) < 0.5, sizes, sizes[0]) + random.uniform(-3, 3, shape)
    value = random.choice([-1, 0, 1], shape, p=[0.45, 0.1, 0.45]) * np.exp2(np.clip(exponent, low - 3, high - 0.01))
    radius = random.choice([0, 2, 64], shape) * declared.operation_roundoff * np.abs(value)
    whole = Unit(replace(machine, flush=False))  # what it was given may be subnormal
    kept = whole.round(value + random.choice([-1, 0, 1], shape) * radius, declared.computed)
    radius = np.where(np.isfinite(kept), np.maximum(radius, np.abs(kept - value)), np.inf).astype(np.float64)
    arrays = value, radius * (1 + 2.0**-50), 2 * np.abs(value) + 1
    parts = [Enclosure(*(array[d, None, None] for array in arrays)) for d in range(2)]
    return kept.reshape(1, 1, -1).astype(declared.storage), parts


# --- what is wrong


def parts_seen(case: Case, view: View, declared: str | None = None) -> list[Part]:
    """What is compared where the reference's own answer is judged."""
    seen: list[Part] = []
    with pytest.MonkeyPatch.context() as patch:
        for module in ("partial", "judge"):
            patch.setattr(f"reference.judging.{module}.compare", lambda part: [seen.append(part), compare(part)][1])
        output, h_n, lower = answers(case)
        judge_view(case, view, *answer_of(view, case, output, h_n), lower, declared)
    return seen


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_element_that_is_moved_is_wrong(dtype: str, direction: str) -> None:
    """By three times the largest bound; where it stands at a masked step too."""
    random = np.random.Generator(np.random.PCG64(3))
    for view, ends in product(VIEWS, ENDS):
        if view == WHOLE:
            continue
        case = drawn(RNNSpec(2, 2, 1, direction), ends, "batch_first", dtype)
        by = 3 * max(float(part.bound.max(initial=0)) for part in parts_seen(case, view))
        assert 0 < by < 0.5
        output, h_n = answer_of(view, case, *case.answer())
        given = [one.copy() for one in (output, h_n) if one is not None]
        for array in given:
            for at in random.choice(array.size, 3, replace=False):
                before = array.flat[at]
                array.flat[at] = float(before) + max(by, 2 * arithmetic(dtype).unit_roundoff)
                moved = iter(given)
                answer = [None if one is None else next(moved) for one in (output, h_n)]
                verdict = judge_view(case, view, *answer)
                assert verdict.outcome == "disagrees", (view, ends, at)
                array.flat[at] = before


def asked_in(fault: Fault) -> Iterator[tuple[Case, View]]:
    """Cases and views in which a fault shows."""
    assert fault.shown is not None
    views = [view for view in VIEWS if fault.shown(view)]
    for number, (direction, layers, ends) in enumerate(product(DIRECTIONS, (1, 2), ENDS)):
        case = drawn(RNNSpec(2, 3, layers, direction), ends, "batch_first", "float32")
        if fault.where.holds(as_time_first(case)):
            for view in views[number % at_night(8, 1) :: at_night(8, 1)]:
                yield case, view


@pytest.mark.parametrize("name", VIEW_FAULTS)
def test_each_confusion_is_seen(name: str) -> None:
    fault, seen = VIEW_FAULTS[name], 0
    for case, view in asked_in(fault):
        output, h_n = case.answer()
        told, show = seen_in(view, as_time_first(case), [fault])
        given, right = answer_of(told, case, output, h_n, show), answer_of(view, case, output, h_n)
        differs = differ(given, right, 1e-3)
        verdict = judged(case, view, fault)
        assert verdict.outcome == ("disagrees" if differs else "agrees"), (view, case.spec, verdict)
        seen += differs
    assert seen >= 3


def test_what_is_shown_has_its_form() -> None:
    """A shape, a dtype, a kind of array; an array too many, or one too few."""
    for view, layout in product(VIEWS, LAYOUTS):
        case = drawn(RNNSpec(2, 3, 2, "bidirectional"), {}, layout, "float32")
        output, h_n = answer_of(view, case, *case.answer())
        wrong: list[tuple[str, Any, Any]] = []
        for name, (one, other) in {"output": (output, h_n), "h_n": (h_n, output)}.items():
            changed: list[tuple[str, Any]] = [("shape", np.zeros(3, np.float32))]
            if one is not None:
                changed = [("shape", one[..., :1]), ("shape", one[None]), ("dtype", one.astype(np.float64)),
                           ("dtype", one.tolist())]  # fmt: skip
                changed += [("shape" if view != WHOLE else "dtype", None)]
            wrong += [(reason, *((array, other) if name == "output" else (other, array))) for reason, array in changed]
        for reason, *given in wrong:
            verdict = judge_view(case, view, *given)
            assert (verdict.outcome, verdict.reason) == ("disagrees", reason), (view, verdict)


def test_a_state_of_an_lstm_that_is_not_shown_is_missed() -> None:
    case = drawn(RNNSpec(2, 3, cell="lstm"), {}, "batch_first", "float32")
    view = View(output="last step")
    output, h_n = answer_of(view, case, *case.answer())
    assert judge_view(case, view, output, h_n).outcome == "agrees"
    assert judge_view(case, view, output, h_n[0]).reason == "shape"
    assert judge_view(case, view, output, each_state(lambda state: state[:, :1], h_n)).reason == "shape"


def test_an_unknown_word_is_said() -> None:
    case = drawn(RNNSpec(2, 3), {}, "batch_first", "float32")
    with pytest.raises(ValueError, match="view output: got 'first step', expected one of every step, last step, none"):
        View.parse({"output": "first step"})
    with pytest.raises(ValueError, match="view: got 'steps', expected one of output, states, masked, halves"):
        View.parse({"steps": "all"})
    for words in ({"output": "first"}, {"states": "some"}):
        with pytest.raises(ValueError, match=r"got '(first|some)', expected one of"):
            answer_of(View(**words), case, *case.answer())
    with pytest.raises(KeyError, match="kept"):
        answer_of(View(masked="kept"), case, *case.answer())


# --- what says nothing


def of(value: float, bound: float, scale: float = 1.0) -> Enclosure:
    return Enclosure(*(np.array([one]) for one in (value, bound, scale)))


NAN, INF = of(np.nan, 0), of(np.inf, 0)


@pytest.mark.parametrize(
    ("halves", "one", "other", "value", "bound"),
    [
        ("sum", NAN, of(1, 0.1), np.nan, 0), ("mul", of(0, 0), NAN, np.nan, 0), ("ave", NAN, of(0, np.inf), np.nan, 0),
        ("sum", INF, of(1, 0.1), np.inf, 0), ("sum", INF, of(-np.inf, 0), np.nan, 0), ("ave", INF, INF, np.inf, 0),
        ("sum", INF, of(0, np.inf), np.inf, np.inf), ("mul", INF, of(-1, 0.1), -np.inf, 0),
        ("mul", INF, of(0.1, 0.2), np.inf, np.inf), ("mul", INF, of(0, 0), np.nan, 0),
        ("mul", INF, of(1e-39, 0), np.inf, np.inf), ("mul", INF, of(1e-37, 1e-40), np.inf, 0),
        ("sum", of(3e38, 1), of(3e38, 1), 6e38, np.inf), ("ave", of(3e38, 1), of(3e38, 1), 3e38, np.inf),
        ("mul", of(1e30, 1), of(1e30, 1), 1e60, np.inf), ("sum", of(0, 0), of(0, 0), 0, 0),
        ("mul", of(0, 0), of(5, 1), 0, 0), ("mul", of(0, 0), of(5, np.inf), 0, np.inf),
    ],
)  # fmt: skip
def test_what_is_not_finite_is_certain_or_vacuous(
    halves: str, one: Enclosure, other: Enclosure, value: float, bound: float
) -> None:
    with np.errstate(all="ignore"):
        for pair in ((one, other), (other, one)):
            found = merged(View(halves=halves), pair, arithmetic("float32"))
            assert np.array_equal(found.bound, [bound])
            assert not np.isfinite(bound) or np.array_equal(found.value, [value], equal_nan=True)


@pytest.mark.parametrize(("halves", "scale"), [("sum", 5.0), ("ave", 2.5), ("mul", 6.0)])
def test_a_bound_says_nothing_where_it_lets_zero_pass_for_any_answer(halves: str, scale: float) -> None:
    parts = of(0.5, 0.1, 2.0), of(0.25, 0.1, 3.0)
    assert merged(View(halves=halves), parts, None).scale == scale
    alone = merged(View(halves=halves), (of(0, 0), parts[1]), None)  # a half that is zero for certain adds none
    assert alone.scale == {"sum": 3.0, "ave": 1.5, "mul": 1.0}[halves]


@pytest.mark.parametrize("halves", MERGES)
def test_a_nan_comes_out_of_merged_halves(halves: str) -> None:
    case = drawn(RNNSpec(2, 3, 1, "bidirectional"), {}, "batch_first", "float32")
    case.x[0, 2, 0] = np.nan
    view = View(halves=halves)
    output, h_n = answer_of(view, case, *case.answer())
    assert output is not None
    assert np.isnan(output).any()
    assert judge_view(case, view, output, h_n).outcome != "disagrees"
    assert judge_view(case, view, np.nan_to_num(output), h_n).outcome in ("disagrees", "vacuous")


def test_the_whole_view_is_judged_as_ever() -> None:
    case = drawn(RNNSpec(2, 3, 2, "bidirectional"), {}, "batch_first", "float32")
    output, h_n, lower = answers(case)
    assert judge_view(case, WHOLE, output, h_n, lower) == judge(case, output, h_n, lower)
