"""A block: what stands beside each other is judged as it is alone, and no case of it hides another one."""

from __future__ import annotations

import json
import os

import pytest

pytest.importorskip("pydantic")

from adapters.contract import features_of_case
from adapters.running.trial import attempt, examine
from evidence.campaign.cases import OF_A_MODULE, case_of, group_of
from evidence.campaign.record import Block
from harness.campaign import block
from harness.campaign.block import ask_block, target_of, together
from harness.campaign.verify import problems
from meta_tests.common.campaigns import NAMED, ODD
from reference import Case

RIGHT, WRONG, RAISING, DEADLY = map(NAMED.format, ("Right", "Wrong", "Raising", "Deadly"))


@pytest.mark.parametrize("first", range(0, 2_000, 170))
def test_beside_each_other_and_alone_the_verdict_is_the_same(first: int) -> None:
    """Outcome and elements; the largest fraction too, but for the order in which BLAS adds."""
    of = target_of(RIGHT, "cpu", False)
    group, seeds = group_of(first), range(first, first + OF_A_MODULE)
    cases = [group.case(seed) for seed in seeds]
    stack, features = of.stack(cases[0]), features_of_case(cases[0])
    answers = [attempt(stack, case, True, features) for case in cases]
    one = together(group.part(first, first + OF_A_MODULE), cases, answers, of.capabilities.arithmetic(features))
    alone = [examine(of.adapter, case).verdict for case in cases]
    assert one.outcome == max((verdict.outcome for verdict in alone), key=["agrees", "vacuous", "disagrees"].index)
    assert one.elements == sum(verdict.elements for verdict in alone)
    assert f"{one.max_fraction:.6g}" == f"{max(verdict.max_fraction for verdict in alone):.6g}"


@pytest.mark.parametrize(("source", "outcome"), [(WRONG, "disagrees"), (RAISING, "crashed")])
def test_planted_one_wrong_case_is_found_with_its_seed(source: str, outcome: str) -> None:
    line, right = (ask_block(one, "cpu", 1_000, 1_020) for one in (source, RIGHT))
    (wrong,) = line["wrong"]
    assert (wrong["seed"], wrong["said"]["outcome"]) == (ODD, outcome)
    assert Case.from_json(wrong["said"]["content"]).id == case_of(ODD).id
    assert {name: sum(count.values()) for name, count in line["counts"].items()} == {"agrees": 19, outcome: 1}
    assert line["digest"] != right["digest"]
    assert (wrong["said"]["answer"] is None) == (outcome == "crashed")


def test_a_wrong_case_is_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask_block(WRONG, "cpu", 1_000, 1_020)["worst"]["seed"] == ODD
    of = ask_block(RIGHT, "cpu", 0, 1_00)["worst"]
    assert (
        f"{examine(target_of(RIGHT, 'cpu', False).adapter, case_of(of['seed'])).verdict.max_fraction:.3g}"
        == f"{of['fraction']:g}"
    )


def test_planted_what_is_judged_together_alone_would_hide_a_wrong_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of another shape is judged by itself."""
    of = target_of(RIGHT, "cpu", False)
    monkeypatch.setattr(of.adapter, "changed", lambda x, result: result._replace(output=result.output[..., :-1]),
                        raising=False)  # fmt: skip
    line = ask_block(RIGHT, "cpu", 1_000, 1_010)
    assert [wrong["said"]["verdict"]["reason"] for wrong in line["wrong"]] == ["shape"] * 3
    assert sum(line["counts"]["disagrees"].values()) == 10


def test_a_case_that_takes_its_process_down_is_one_crash() -> None:
    line = ask_block(DEADLY, "cpu", 1_010, 1_016, isolate=True)
    (wrong,) = line["wrong"]
    assert (wrong["seed"], sum(line["counts"]["agrees"].values())) == (ODD, 5)
    assert "SIGKILL" in wrong["said"]["message"]
    target_of(DEADLY, "cpu", True).child.close()


def test_a_block_that_cannot_be_asked_is_a_line_too() -> None:
    line = block.died(1_000, 1_020, "KilledWorker")
    assert sum(line["counts"]["crashed"].values()) == 20
    assert list(problems(Block.model_validate(line))) == []


def test_a_process_keeps_little_for_shapes_that_do_not_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless its user has set it otherwise."""
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    target_of.cache_clear()
    target_of(RIGHT, "cpu", False)
    assert (os.environ["LRU_CACHE_CAPACITY"], os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) == ("7", "16")


def test_what_is_not_offered_is_counted_so() -> None:
    """And asked by the suite's other tests: here its numbers are not even drawn for an answer."""
    source = "meta_tests.common.references:Mirror"
    counts = ask_block(source, "cpu", 0, 200)["counts"]
    assert set(counts) == {"agrees", "not offered"}
    assert json.dumps(counts)
