"""A relation between answers that are wrong as a finding says: it need not hold; between others it must."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adapters.numpy.adapter import ReferenceAdapter
from evidence.record.ledger import Ledger
from findings import Finding
from findings.finding import PLANTED, What
from harness.relations import answer, check_pair
from harness.target import Target
from meta_tests.common.features import USUAL
from meta_tests.findings.checks import Answers

IGNORED = Finding(
    "F-901", "Lengths are ignored", "fault", "reference", "none known", "Give none.", ("1",), (),
    trigger={"lengths": ("mixed", "with zeros")}, what=What(fault=PLANTED["lengths_ignored"]),
    case=replace(USUAL, lengths=(4, 2, 3)),
)  # fmt: skip
CASE = replace(USUAL, direction="reverse", lengths=(4, 2, 3)).case()


def target_of(*names: str) -> Target:
    """The reference with these faults."""
    faults = [PLANTED[name] for name in names]
    target = Target(Answers(ReferenceAdapter(), lambda _: faults), "cpu", Ledger(), "reference")
    vars(target)["findings"] = [IGNORED]
    return target


def reversal(target: Target) -> None:
    """Reverse is forward on the reversed sequence, each within its own length: put together from another answer."""
    order = np.stack([np.r_[np.arange(length)[::-1], np.arange(length, 4)] for length in (4, 2, 3)])[..., None]
    x = np.take_along_axis(CASE.x, order, axis=1)
    flipped = answer(target, replace(CASE, spec=replace(CASE.spec, direction="forward"), x=x))
    put_back = flipped._replace(output=np.take_along_axis(flipped.output, order, axis=1))
    check_pair(target, "reversal", CASE, answer(target, CASE), put_back)


def test_it_is_a_finding_where_each_answer_is_wrong_as_the_finding_says() -> None:
    target = target_of("lengths_ignored")
    reversal(target)
    assert target.ledger.relations[target.label, "reversal", "finding"] == 1


@pytest.mark.parametrize("names", [["lengths_one_less"], ["lengths_ignored", "x_one_step_late"]])
def test_it_disagrees_where_an_answer_is_wrong_in_another_way(names: list[str]) -> None:
    with pytest.raises(AssertionError, match="reversal"):
        reversal(target_of(*names))


def test_the_answer_that_is_wrong_is_told_and_why() -> None:
    with pytest.raises(AssertionError) as raised:
        reversal(target_of("x_one_step_late"))
    said = str(raised.value)
    assert "answer 1 of 2, by reference cpu, disagrees with the reference: disagrees (value)" in said
    assert f"diagnosis: agrees with the reference if {PLANTED['x_one_step_late'].says} (error " in said


def test_answers_that_are_right_by_themselves_are_said_to_be() -> None:
    """Of two answers put together wrongly."""
    target = target_of()
    right = answer(target, CASE)
    with pytest.raises(AssertionError, match="each of the 1 answers agrees with the reference by itself"):
        check_pair(target, "reversal", CASE, right, right._replace(output=-right.output))
