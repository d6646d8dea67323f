"""One case through one adapter: what a trial says of an answer, a refusal and a crash. No framework is needed."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import adapters
from adapters import Result
from adapters.__main__ import main
from adapters.running.trial import Stack, Trial, attempt, examine
from meta_tests.common.property_cases import faulty_answer
from meta_tests.common.references import (
    Complaining,
    Crashing,
    Declining,
    Doubling,
    Forbidding,
    Mirror,
    Refusing,
    Reusing,
    Showing,
    Writing,
)
from meta_tests.common.usual_case import usual
from reference import Case
from reference.faults import FAULTS


def facts(trial: Trial) -> tuple[str, str, str, str]:
    return trial.adapter, trial.version, trial.device, trial.outcome


def test_an_answer_is_judged() -> None:
    case = usual()
    trial = examine(Mirror(), case)
    assert facts(trial) == ("mirror", "1.2", "cpu", "agrees")
    assert trial.case is case
    assert trial.verdict is not None
    assert (trial.verdict.outcome, trial.verdict.bound, trial.message) == ("agrees", "step", "")
    wrong = examine(Doubling(), case, "cuda:0")
    assert facts(wrong) == ("mirror", "1.2", "cuda:0", "disagrees")
    assert wrong.verdict is not None
    assert wrong.verdict.outcome == "disagrees"


def test_what_only_a_finding_says_nothing_of_is_clouded() -> None:
    """Its own bound says that it is wrong: it is no case of which nothing was seen."""
    wrong, right = examine(Doubling(), usual()), examine(Mirror(), usual())
    assert right.verdict is not None
    says_nothing = replace(right, outcome="vacuous", verdict=replace(right.verdict, outcome="vacuous"))
    clouded = [trial.clouded for trial in (replace(wrong, outcome="vacuous"), wrong, right, says_nothing)]
    assert clouded == [True, False, False, False]


def test_what_disagrees_is_kept_and_diagnosed() -> None:
    case = usual()
    right, wrong, refused = (examine(adapter, case) for adapter in (Mirror(), Doubling(), Refusing()))
    assert right.answer is not None
    assert right.diagnosis(()) is None
    assert (refused.answer, refused.diagnosis(())) == (None, None)
    assert wrong.answer is not None
    assert np.array_equal(wrong.answer.output, 2 * case.answer().output)
    told = wrong.diagnosis(())
    assert told is not None
    assert (told.tried, told.explanations) == (0, ()), "of no faults none was tried"


def test_named_faults_are_tried_in_pairs_too() -> None:
    """Those two are not among the commonest, which are tried in pairs when none is named."""
    case, named = usual(), [FAULTS["h_n_zero"], FAULTS["output_rows_rotated"]]
    trial = Trial("one", "1", "cpu", case, "disagrees", answer=Result(*faulty_answer(named, case)))
    told = trial.diagnosis(named)
    assert told is not None
    assert [set(explanation.faults) for explanation in told.explanations] == [set(named)]


def test_an_answer_is_kept_from_what_the_adapter_writes_next() -> None:
    adapter, case = Reusing(), usual()
    first = examine(adapter, case)
    assert first.answer is not None
    before = first.answer.output.copy()
    examine(adapter, replace(case, x=case.x + 1))
    assert np.array_equal(first.answer.output, before)


@pytest.mark.parametrize(
    ("adapter", "outcome", "message"),
    [
        (Refusing(), "not offered", "not on a Sunday"),
        (Declining(), "not offered", "nobody can ask"),
        (Forbidding(), "refused", "BufferError: there is no state here"),
        (Crashing(), "crashed", "ZeroDivisionError: no units"),
        (Writing(), "disagrees", f"the adapter changed its arguments: the case was {usual().id}"),
    ],
)
def test_what_is_no_answer_says_why(adapter: Mirror, outcome: str, message: str) -> None:
    case = usual()
    trial = examine(adapter, case, "cuda:0")
    assert facts(trial) == ("mirror", "1.2", "cuda:0", outcome)
    assert trial.diagnosis(()) is None, "there is no answer to explain"
    assert trial.case is case
    assert (trial.verdict, trial.message) == (None, message)
    assert str(trial).startswith(f"mirror 1.2 on cuda:0: {outcome}: {message}\n")


def test_only_a_refusal_of_what_was_declared_is_one() -> None:
    """The same exception, of a case of which it is not declared, is a crash."""
    outcomes = [examine(Forbidding(), case).outcome for case in (usual(h0=False), usual(layout="unbatched", h0=False))]
    assert outcomes == ["agrees", "crashed"]


def test_a_frameworks_warning_is_a_warning() -> None:
    """Whatever the filter that turns ours into errors."""
    with pytest.warns(UserWarning, match="slow"):
        assert examine(Complaining(), usual()).outcome == "agrees"


def test_a_trial_says_what_was_asked() -> None:
    case = usual(lengths=(5, 2, 1))
    words = str(examine(Mirror(), case)).splitlines()
    assert words[0].startswith("mirror 1.2 on cpu: agrees by the step bound of float32: largest error ")
    asked = f"  x (3, 5, 3) float32, batch_first, h0 given, lengths [5, 2, 1], case {case.id}"
    assert words[1:] == [f"  {case.spec}", asked]
    plain = usual(h0=False)
    assert str(examine(Mirror(), plain)).endswith(f"batch_first, h0 zero, lengths None, case {plain.id}")


def test_each_part_of_a_stack_is_built_once() -> None:
    case, adapter = usual("bidirectional", 3, dtype="float64"), Mirror()
    stack = Stack(adapter, case)
    for _ in range(2):
        trial = examine(adapter, case, stack=stack)
        assert trial.outcome == "agrees"
        assert trial.verdict is not None
        assert trial.verdict.bound == "step"
    asked = [(spec.num_layers, cells, device, dtype) for spec, cells, device, dtype in adapter.built]
    assert asked == [(3, 6, "cpu", "float64"), (1, 2, "cpu", "float64"), (2, 4, "cpu", "float64")]


def test_a_stack_asks_for_capabilities_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some adapters make them anew for every device that is named."""
    asked, case, adapter = [], usual(), Mirror()

    def capabilities_on(_adapter: Any, device: str) -> Any:
        asked.append(device)
        return adapter.capabilities

    monkeypatch.setattr("adapters.running.trial.capabilities_on", capabilities_on)
    stack = Stack(adapter, case)
    assert [examine(adapter, case, stack=stack).outcome for _ in range(2)] == ["agrees", "agrees"]
    assert asked == ["cpu"]


@pytest.mark.parametrize("what", ["w_hh", "x", "h0", "lengths", "spec"])
def test_whatever_an_adapter_writes_into_is_seen(what: str) -> None:
    case = usual(lengths=(5, 2, 1))
    asked = case.id

    class Changing(Mirror):
        def run(self, *given: Any, **named: Any) -> Any:
            answer = super().run(*given, **named)
            if what == "spec":
                object.__setattr__(case.spec, "nonlinearity", "relu")
                return answer
            array = case.parameters[0].w_hh if what == "w_hh" else getattr(case, what)
            array.setflags(write=True)
            array.flat[-1] += 1
            return answer

    trial = examine(Changing(), case)
    told = f"the adapter changed its arguments: the case was {asked}"
    assert (trial.outcome, trial.message) == ("disagrees", told)


def test_the_trajectory_bound_needs_no_lower_layers() -> None:
    case, adapter = usual(num_layers=3), Mirror()
    trial = examine(adapter, case, "cuda:0", bound="trajectory")
    assert trial.outcome == "agrees"
    assert trial.verdict is not None
    assert trial.verdict.bound == "trajectory"
    assert [spec.num_layers for spec, *_ in adapter.built] == [3]
    assert [device for _, _, device, _ in adapter.built] == ["cuda:0"]
    one = examine(adapter, usual(), bound="trajectory").verdict
    assert one is not None
    assert one.bound == "trajectory", "though the step bound needs nothing more"


def test_lower_layers_that_the_framework_shows_are_the_ones_judged() -> None:
    case, adapter = usual(num_layers=2), Showing()
    assert examine(Showing(), case, bound="trajectory").outcome == "agrees", "the lower layer is not asked about"
    trial = examine(adapter, case)
    assert trial.outcome == "disagrees"
    assert trial.verdict is not None
    assert trial.verdict.first is not None
    assert trial.verdict.first.layer == 0
    assert len(adapter.built) == 1


def test_an_attempt_asks_for_lower_layers_only_when_told() -> None:
    case = usual(num_layers=2)
    for prefixes in (False, True):
        adapter = Mirror()
        result = attempt(Stack(adapter, case), case, *([prefixes] if prefixes else []))
        assert isinstance(result, Result)
        assert (result.prefixes is not None) == prefixes
        assert [device for _, _, device, _ in adapter.built] == ["cpu"] * (1 + prefixes)


# python -m adapters.


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["adapters", *arguments])
    return main()


@pytest.mark.parametrize(("name", "code", "outcome"), [("Mirror", 0, "agrees"), ("Doubling", 1, "disagrees (value)")])
def test_a_case_is_run_again_from_its_file(
    name: str, code: int, outcome: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    case = usual(num_layers=2)
    path, adapter = tmp_path / "case.json", f"meta_tests.adapters.running.test_trial:{name}"
    case.save(path)
    for flags, words in (
        ([], f"mirror 1.2 on cpu: {outcome} by the step bound"),
        (["--device", "cuda:0", "--bound", "trajectory"], f"mirror 1.2 on cuda:0: {outcome} by the trajectory bound"),
    ):
        assert command(monkeypatch, adapter, str(path), *flags) == code
        trial, end, diagnosis = capsys.readouterr().out.partition(f"case {case.id}\n")
        assert trial.startswith(words)
        assert end
        assert (diagnosis == "") == (code == 0), "what disagrees is diagnosed"
        assert code == 0 or "agrees with" in diagnosis


def test_without_a_name_every_adapter_is_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    found = [adapters.Availability("one", "loads", "1.0", ("cpu", "cuda:0")),
             adapters.Availability("two", "absent", None, (), "two is not installed: pip install two")]  # fmt: skip
    monkeypatch.setattr("adapters.__main__.available", lambda: found)
    assert command(monkeypatch) == 0
    told = "one: 1.0 on ('cpu', 'cuda:0')\ntwo: absent: two is not installed: pip install two\n"
    assert capsys.readouterr().out == told
    found.append(adapters.Availability("three", "crashed", "3", (), "installed, but fails: OSError: no bus"))
    assert command(monkeypatch) == 1
    assert capsys.readouterr().out == f"{told}three: crashed: installed, but fails: OSError: no bus\n"


def test_a_name_without_a_case_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        command(monkeypatch, "torch")
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith("error: a case file is needed beside the adapter's name, or --check\n")


def test_the_case_of_a_trial_is_the_callers_own() -> None:
    """It is asked as it is, not as a copy, so that an adapter that writes into it is seen."""
    case = usual()
    assert isinstance(examine(Writing(), case).case, Case)
    assert not case.x.any()
