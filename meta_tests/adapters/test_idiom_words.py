"""What an idiom says of itself: what it answers beside run, and that it compiles for each case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters import Refusal, Result
from adapters.contract import Idiom
from adapters.numpy.adapter import ReferenceAdapter
from adapters.running.trial import examine
from evidence.record.journal import Journal
from evidence.record.ledger import Ledger
from evidence.record.seeded import cases_of
from harness.target import Target
from reference import Case, RNNSpec
from reference.draws import draw_case

EMPTY = Refusal("ValueError or RuntimeError", "no step")
USUAL = {"mask": True, "time": "0", "mode": "eager"}


class Compiling(ReferenceAdapter):
    """The reference, in an idiom that compiles, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Case] = []
        self.idioms = {"compiled": Idiom("by a compiler", self.answer, compiles=True)}

    def answer(self, case: Case, device: str) -> Result:
        self.asked.append(case)
        return Result(*case.answer())


def test_an_idiom_answers_what_run_is_refused_or_cannot_ask() -> None:
    run = replace(ReferenceAdapter.capabilities, offers=(), refused={(("time", "0"),): EMPTY},
                  unsupported={("mask", True): "there is none"})  # fmt: skip
    plain, wide = (Idiom("", lambda case, device: Result(None, None), answers=answers)
                   for answers in ((), ((("mask", True),), (("time", "0"),))))  # fmt: skip
    assert plain.narrowed(run).no_answer(USUAL) == "mask True: there is none"
    assert plain.narrowed(run).refusal(USUAL) == EMPTY
    assert wide.narrowed(run).no_answer(USUAL) == ""
    assert wide.narrowed(run).supported("mask") == (False, True)


def test_an_idiom_is_refused_in_its_own_words() -> None:
    run = replace(ReferenceAdapter.capabilities, refused={(("time", "0"),): EMPTY})
    own = Refusal("TypeError", "nothing")
    idiom = Idiom("", lambda case, device: Result(None, None), refused={(("time", "0"),): own})
    assert idiom.narrowed(run).refusal(USUAL) == own


def test_a_refusal_may_be_of_several_types() -> None:
    assert EMPTY.fits("RuntimeError: there is no step")
    assert not EMPTY.fits("TypeError: there is no step")


def test_of_an_idiom_that_compiles_one_fixed_case_is_asked_and_in_a_record_all() -> None:
    adapter: Any = Compiling()
    target = Target(adapter, "cpu", Ledger(), "none", pool=3)
    every = [case.id for case in cases_of(target.offered("compiled"))]
    (one,) = target.fixed("compiled")
    assert one.id in every
    assert {target.fixed("compiled")[0].id for target in (replace(target, pool=pool) for pool in range(60))} == {*every}
    recorded = replace(target, journal=object.__new__(Journal))
    assert [case.id for case in recorded.fixed("compiled")] == every


def test_lower_layers_are_not_compiled_and_a_stack_is_judged_by_its_trajectory() -> None:
    adapter = Compiling()
    trial = examine(adapter, draw_case(RNNSpec(3, 5, 3), batch=2, time=4), idiom="compiled")
    assert trial.outcome == "agrees"
    assert len(adapter.asked) == 1
    assert trial.verdict is not None
    assert trial.verdict.bound == "trajectory"
