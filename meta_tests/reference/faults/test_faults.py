"""The sensitivity gate: every known fault is seen in the cases that the properties draw, and what is none is not."""

from __future__ import annotations

import dataclasses
import functools
import operator
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness import profiles
from meta_tests.common.equivalent import EQUIVALENT, REASONS
from meta_tests.common.property_cases import DEFAULT, drawn_cases, pooled_cases, verdict_on, visible_in
from meta_tests.toy.cells import delay, pair
from meta_tests.toy.test_toy import stack
from reference import DIRECTIONS, LAYOUTS, Case, RNNSpec, cells, judge
from reference.cells import Weight
from reference.draws import draw_case
from reference.faults import COMMONEST, FAULTS, Fault, Where, implementation
from reference.faults.backward import FAULTS as BACKWARD
from reference.faults.machine import as_time_first, in_time_first
from reference.faults.weights import gate_by_gate, made_from, reordered
from reference.faults.where import ALWAYS
from reference.layout import state_tuple

pytest.importorskip("rich")
from evidence.record import corpus
from harness.pool import among
from meta_tests.common.faulty import ADAPTER_FAULTS
from meta_tests.kill_matrix import Row, counted, from_json, kills, markdown, properties, to_json
from tests.properties.test_sizes import equal_sizes

DOCS = Path(__file__).parents[3] / "docs"


EQUAL_SIZES = [case for direction in DIRECTIONS for layout in LAYOUTS for case in equal_sizes(direction, layout)]


def seen(fault: Fault, cases: tuple[Case, ...] | None = None) -> bool:
    """Whether the judge rejects the faulty reference on one of these cases, or on one of equal sizes, which all are
    asked; on one that a property draws when None."""
    asked = (*(drawn_cases() if cases is None else cases), *EQUAL_SIZES)
    return any(verdict_on([fault], case).outcome == "disagrees" for case in asked if visible_in(fault, case))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_fault_is_seen_within_the_default_number_of_examples(fault: Fault) -> None:
    assert seen(fault)


@pytest.mark.parametrize("pool", range(8))
def test_every_fault_is_seen_from_a_pool_of_keys(pool: int) -> None:
    """By a target that compiles, whose properties ask few keys: in any run, whatever its pool."""
    of_corpus = (case for name, case in corpus.cases().items() if among(pool, name))
    cases = (*pooled_cases(pool), *of_corpus)
    unseen = [name for name, fault in FAULTS.items() if not seen(fault, cases)]
    assert not unseen


@pytest.mark.parametrize("change", EQUIVALENT.values(), ids=EQUIVALENT)
def test_what_is_no_fault_is_never_seen(change: Fault) -> None:
    """Where the reason holds, so does the judge's verdict, in every dtype."""
    cases = [case for case in (*drawn_cases(), *drawn_cases(2, ("float16", "bfloat16"))) if visible_in(change, case)]
    assert cases
    assert not [case.id for case in cases if verdict_on([change], case).outcome == "disagrees"]


def test_that_gate_would_fail() -> None:
    """A change too small to see is not seen: the gate does not pass whatever is planted."""

    assert not seen(Fault("harmless", "inputs", "nothing is wrong", ALWAYS, asked=lambda case: case))


def test_the_gate_draws_as_many_examples_as_the_default_run() -> None:
    assert profiles.CASES["default"] == DEFAULT


def test_the_catalogue_is_in_order() -> None:
    """Names and words tell faults apart, and every fault does exactly one thing."""
    every = [*FAULTS.values(), *EQUIVALENT.values()]
    assert len({fault.says for fault in every}) == len({fault.name for fault in every}) == len(every)
    for fault in every:
        assert sum(kind is not None for kind in (fault.asked, fault.around, fault.step)) == 1, fault.name
        assert not re.search(r"[.A-Z]$", fault.says), fault.name
        assert fault.where.words, fault.name
    assert set(COMMONEST) <= set(FAULTS.values())
    assert EQUIVALENT.keys() == REASONS.keys()


GATES = ("left", "right")
TOY = (
    Weight("w_in", ("units", "features"), GATES), Weight("w_back", ("units", "states"), GATES),
    Weight("b_in", ("units",), GATES), Weight("b_back", ("units",), GATES),
)  # fmt: skip


def test_a_new_cell_gets_its_families_for_free() -> None:
    """From its weights alone: each array has the faults of its axes, and each pair of gates is exchanged."""
    made = {fault.name: fault for fault in made_from(TOY)}
    own = {name: names(name) for name in ("w_in", "w_back", "b_in", "b_back")}
    assert own["w_in"] >= {"transposed", "reshaped", "rows_rotated", "columns_reversed", "last_unit_not_copied"}
    assert own["w_back"] >= {"transposed", "transposed_in_reverse", "ignored", "diagonal", "negated"}
    assert own["b_in"] == own["b_back"] == {"ignored", "for_both", "in_float16", "in_bfloat16"}
    assert {"gates_left_and_right_exchanged", "weights_in_int8", "biases_kind_by_kind"} <= made.keys()
    assert made["w_in_and_w_back_exchanged"].says == "w_in and w_back are exchanged"


def names(of: str) -> set[str]:
    """What the toy's faults of one array are called, without its name."""
    return {fault.name.removeprefix(f"{of}_") for fault in made_from(TOY) if fault.name.startswith(f"{of}_")}


def test_an_array_is_changed_gate_by_gate() -> None:
    array = np.arange(24.0).reshape(6, 4)
    rolled = gate_by_gate(lambda rows: np.roll(rows, 1, axis=0), array, 2)
    assert rolled.tolist() == array[[2, 0, 1, 5, 3, 4]].tolist()
    exchanged = reordered(array, "abc", {"a": "c", "c": "a"})
    assert exchanged.tolist() == array[[4, 5, 2, 3, 0, 1]].tolist()


@pytest.mark.parametrize(("word", "weight"), [("toy_pair", "w_second"), ("toy_delay", "w_late")])
def test_faults_are_planted_in_cells_that_nobody_wrote_them_for(
    monkeypatch: pytest.MonkeyPatch, word: str, weight: str
) -> None:
    """In one with gates and a wider state, and in one with a hidden state. Its own weights have faults that show."""
    monkeypatch.setattr(cells, "CELLS", {**cells.CELLS, **pair.CELLS, **delay.CELLS})
    case = stack(cell=word)
    own = {fault.name: fault for fault in made_from(cells.cell_of(case.spec).weights(case.spec))}
    right = [case.answer().output, *state_tuple(case.answer().h_n)]
    changed = set()
    for fault in (FAULTS | own).values():
        output, h_n = implementation([fault], Case.answer)(case)
        faulty = [output, *state_tuple(h_n)]
        assert [(a.shape, a.dtype) for a in faulty] == [(a.shape, a.dtype) for a in right], fault.name
        if not all(map(np.array_equal, faulty, right)):
            changed.add(fault.name)
    assert {f"{weight}_{what}" for what in ("ignored", "negated", "rows_rotated", "diagonal")} <= changed
    assert {"w_ih_rows_rotated", "h0_ignored", "state_not_carried", "tanh_off_by_1e_minus_3", "h_n_zero"} <= changed


def test_a_fault_shows_only_where_it_says() -> None:
    """Where its condition does not hold, the faulty implementation is the right one, bit for bit."""
    fault = FAULTS["w_hh_transposed"]
    case = next(case for case in drawn_cases() if case.spec.hidden_size == 1)
    for faulty, right in zip(implementation([fault], Case.answer)(case), case.answer(), strict=True):
        assert np.array_equal(faulty, right)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_where_a_fault_is_said_not_to_show_it_does_not(fault: Fault) -> None:
    """Planted without the conditions that its words do not presuppose, in cases that do not meet them: it can be seen
    in none of them."""
    presupposed = [part for part in (fault.where.parts or (fault.where,)) if part.presupposed]
    unguarded = dataclasses.replace(fault, where=functools.reduce(operator.and_, presupposed, ALWAYS))
    cases = [case for case in drawn_cases() if visible_in(unguarded, case) and not visible_in(fault, case)]
    seen_in = [case.id for case in cases[:40] if verdict_on([unguarded], case).outcome == "disagrees"]
    assert not seen_in


def odd_cases() -> Iterator[Case]:
    for direction in DIRECTIONS:
        for layers in (1, 3):
            spec = RNNSpec(3, 4, layers, direction)
            usual = draw_case(spec, batch=3, time=4, h0=True)
            yield draw_case(spec, batch=0, time=4, h0=True)
            yield draw_case(spec, batch=3, time=0, h0=True)
            yield dataclasses.replace(usual, lengths=(0, 2, 0))
            yield dataclasses.replace(usual, x=np.full_like(usual.x, np.nan))
            yield draw_case(spec, batch=1, time=1, h0=True, lengths=(1,), layout="unbatched", dtype="bfloat16")
            yield draw_case(RNNSpec(1, 1, layers, direction, "relu", False), batch=1, time=1, dtype="float16")


@pytest.mark.parametrize("fault", [*FAULTS.values(), *EQUIVALENT.values()], ids=[*FAULTS, *EQUIVALENT])
def test_a_faulty_answer_is_an_answer(fault: Fault) -> None:
    """Of the right shapes and dtype, in odd cases too: a fault is seen by its numbers, not because it breaks down."""
    for case in odd_cases():
        for faulty, right in zip(implementation([fault], Case.answer)(case), case.answer(), strict=True):
            assert (faulty.shape, faulty.dtype) == (right.shape, right.dtype), case.spec


def test_conditions_join_in_words_and_in_sense() -> None:
    one, other = Where("one", lambda _case: True), Where("other", lambda _case: False)
    assert (one & other).words == "one, other"
    case = drawn_cases()[0]
    assert (one & one).holds(case)
    assert not (one & other).holds(case)


def test_two_faults_are_planted_together() -> None:
    """Each of them is needed: with one alone the answer is another."""
    case = next(
        case for case in drawn_cases()
        if case.spec.bias and case.h0 is not None and case.spec.hidden_size > 1 and case.x.shape[0] > 1
    )  # fmt: skip
    pair = [FAULTS["h0_ignored"], FAULTS["tanh_for_relu" if case.spec.nonlinearity == "relu" else "relu_for_tanh"]]
    both = implementation(pair, Case.answer)(case)
    for single in pair:
        alone = implementation([single], Case.answer)(case)
        assert not np.array_equal(both.output, alone.output)


@pytest.mark.parametrize("layout", ["batch_first", "time_first", "unbatched"])
def test_a_case_goes_to_time_first_and_back(layout: str) -> None:
    case = next(case for case in drawn_cases() if case.layout == layout and case.lengths is not None)
    assert as_time_first(case).layout == "time_first"
    output, h_n = in_time_first(case, Case.answer)
    assert judge(case, output, h_n, bound="trajectory").outcome != "disagrees"


def test_the_published_kill_matrix_is_of_this_catalogue() -> None:
    """Every fault has a row and was killed, what is no fault survived, and a property that sees none is explained."""
    content = (DOCS / "kill-matrix.json").read_text()
    assert len(content) < 40_000
    rows = from_json(content)
    assert len(rows) == len({row.name for row in rows})
    assert {row.name for row in rows} == FAULTS.keys() | ADAPTER_FAULTS.keys() | BACKWARD.keys() | EQUIVALENT.keys()
    assert {row.name for row in rows if row.exit != pytest.ExitCode.TESTS_FAILED} == set(EQUIVALENT)
    text = (DOCS / "kill-matrix.md").read_text()
    assert text.endswith(markdown(rows)), "the page says what the file says"
    for name in properties(rows):
        assert kills(rows, name) or f"`{name}` sees none" in text, f"the page does not say why {name} sees none"


@pytest.mark.parametrize(
    ("name", "status", "outcome", "as_it_should"),
    [("h0_ignored", 1, "killed", True), ("h0_ignored", 0, "survived", False), ("h0_ignored", 3, "exit 3", False),
     ("inputs_copied", 0, "survived", True), ("inputs_copied", 1, "killed", False),
     ("inputs_copied", 3, "exit 3", False)],
)  # fmt: skip
def test_a_suite_that_broke_down_has_killed_nothing(name: str, status: int, outcome: str, as_it_should: bool) -> None:
    row = Row(name, status, {"test_a": False, "test_b": True}, (1, 5))
    assert (row.outcome, row.as_it_should) == (outcome, as_it_should)
    assert kills([row], "test_b") == (not row.equivalent)
    assert kills([row], "test_a") == 0
    assert from_json(to_json([row])) == [row]


def test_a_kill_is_a_failed_test_and_a_skipped_one_is_none() -> None:
    report = """<testsuites><testsuite>
      <testcase name="test_a[x]"><failure/></testcase><testcase name="test_a[y]"/>
      <testcase name="test_b[x]"><skipped/></testcase><testcase name="test_c"><error/></testcase>
    </testsuite></testsuites>"""
    assert counted(report) == {"test_a": (1, 2), "test_c": (1, 1)}
    assert properties([]) == {}
