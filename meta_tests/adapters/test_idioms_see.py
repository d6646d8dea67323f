"""Every idiom sees what it is there for: a fault planted in the framework that shows in this idiom, and in run not.

The faults are in meta_tests/adapters/FRAMEWORK/idiom_faults.py. Each is asked the fixed cases of the idiom.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest

import adapters
from adapters.contract import features_of_case
from adapters.running.child import Child, ChildStack
from adapters.running.trial import Stack, Trial, examine
from evidence.record.ledger import Ledger
from evidence.record.seeded import ROWS, cases_of
from findings import explained
from findings.states import left_out
from harness.target import Target
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.idiom_faults import CHOSEN, Planted, file_of, in_child, planted_in
from meta_tests.common.scale import at_night, nightly, skip_by_day
from meta_tests.common.views import one_too_many
from reference import Case, forward

WRONG = ("disagrees", "crashed")
Plant = Callable[[pytest.MonkeyPatch], None]
VIEWS = "meta_tests.common.views:Views"
WRONG_VIEWS = "meta_tests.common.views:Wrong"
NAMES = (*adapters.KNOWN, VIEWS)
FAULTS = [(name, word, number) for name in NAMES for word, several in planted_in(name).items()
          for number in range(len(several))]  # fmt: skip


class Asked:
    """A target without a fault in it, and what its idioms are asked.

    cases: the fixed ones, of an idiom, and of run's own way under the empty word.
    """

    def __init__(self, target: Target) -> None:
        self.target, self.cases = target, dict[str, tuple[Case, ...]]()

    def of(self, word: str) -> tuple[Case, ...]:
        """The cases of an idiom; the states of the findings are known by which they are judged with a fault in it."""
        if word not in self.cases:
            target = self.target
            offered, refused = (
                (target.offered(word), target.idioms[word].refused) if word else (target.capabilities, ())
            )
            cases = tuple(cases_of(offered, refused))
            for case in cases:
                target.present(features_of_case(case), word)
            self.cases[word] = cases
        return self.cases[word]

    def silent(self, word: str) -> bool:
        """Whether findings of this version leave out every case of an idiom."""
        return all(
            left_out(self.target.present(features, word), features, word)
            for features in map(features_of_case, self.of(word))
        )

    def came(self, case: Case, idiom: str, child: Child | None = None) -> Trial:
        """What came of a case, by the findings of this version.  child: which is asked, where there is one."""
        target, features = self.target, features_of_case(case)
        present, way = target.present(features, idiom), (target.adapter, case, target.device, "eager")
        if reason := left_out(present, features, idiom):
            name, version = target.adapter.name, target.adapter.version
            return Trial(name, version, target.device, case, "left out", message=reason, idiom=idiom)
        stack = ChildStack(child, *way, idiom) if child else Stack(*way, idiom=idiom)
        return explained(examine(target.adapter, case, target.device, stack=stack), present, features)

    def not_seen(self, word: str, plant: Plant, child: Child | None = None) -> Iterator[str]:
        """In words, what is amiss with a planted fault: the idiom does not see it, or run's own way does too.

        This fails where the idiom is wrong without it: by day in the case that sees it, at night in any.
        """
        own, cases = self.of("")[: at_night(ROWS, 100)], self.of(word)
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            sees = next((case for case in cases if self.came(case, word, child).outcome in WRONG), None)
            if sees is None:
                yield f"{word}: none of its {len(cases)} cases sees it"
            seen = next((trial for trial in (self.came(case, "") for case in own) if trial.outcome in WRONG), None)
            if seen:
                yield f"{word}: run's own way sees it too: {seen}"
        if sees:
            self.target.check("idioms, every feature", *(cases if nightly() else [sees]), idiom=word)


@functools.cache
def asked_of(name: str) -> Asked:
    return Asked(Target(framework_adapter(name), "cpu", Ledger(), name))


@pytest.mark.parametrize("name", NAMES)
def test_every_idiom_has_a_fault_that_it_shows(name: str) -> None:
    here = {word for word, idiom in asked_of(name).target.idioms.items() if not idiom.absent}
    assert not {*here} - {*planted_in(name)}, f"{name}: of these PLANTED in {file_of(name)} has none"


@pytest.mark.parametrize(("name", "word", "number"), FAULTS, ids=[":".join(map(str, one)) for one in FAULTS])
def test_a_fault_is_seen_in_its_idiom_alone(name: str, word: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_by_day(8, name, word, number)
    asked, planted = asked_of(name), planted_in(name)[word][number]
    idiom = asked.target.idioms.get(word)
    if idiom is None or idiom.absent:
        pytest.skip(f"{name} has no idiom {word} here: {idiom.absent if idiom else 'not on this backend'}")
    if asked.silent(word):
        pytest.skip(f"{name}: a finding that is present here leaves out all that {word} is asked")
    monkeypatch.setenv(CHOSEN, f"{name}:{word}:{number}")
    child = Child(f"{in_child.__module__}:{in_child.__name__}") if idiom.isolate else None
    try:
        told = list(asked.not_seen(word, planted.plant, child))
    finally:
        asked.target.close()
        if child:
            child.close()
    assert not told, f"{planted.says}: {'; '.join(told)}"


def test_a_fault_that_is_not_seen_fails() -> None:
    (told,) = asked_of(VIEWS).not_seen("last output", lambda patch: None)
    assert "none of its" in told


def test_a_fault_that_run_sees_too_fails() -> None:
    def everywhere(patch: pytest.MonkeyPatch) -> None:
        one_too_many(patch)
        patch.setattr("adapters.numpy.adapter.forward", lambda spec, parameters, x, *more: forward(
            spec, parameters, -x, *more))  # fmt: skip

    (told,) = asked_of(VIEWS).not_seen("last output", everywhere)
    assert "run's own way sees it too" in told


def test_an_idiom_that_is_wrong_without_a_fault_fails() -> None:
    with pytest.raises(AssertionError, match="disagrees") as failed:
        list(asked_of(WRONG_VIEWS).not_seen("last output", one_too_many))
    assert "in the idiom 'last output'" in str(failed.value)
    assert "--idiom 'last output'" in str(failed.value)


def test_the_words_of_another_adapter_in_a_folder_are_not_its_own() -> None:
    both = {"word": (Planted("a", one_too_many, of=("onnx",)), Planted("b", one_too_many))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("meta_tests.common.views.PLANTED", both)
        assert [one.says for one in planted_in(VIEWS)["word"]] == ["b"]
