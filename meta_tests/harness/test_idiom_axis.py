"""Idioms as an axis of a run: each is a test, is asked what it offers, and is named where it is wrong."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters import FEATURES, Capabilities, Refusal
from adapters.__main__ import main
from adapters.contract import Idiom, NotOffered, features_of, features_of_case
from evidence.record.ledger import Ledger
from evidence.record.seeded import USUAL, cases_of
from harness.target import Target
from meta_tests.common.process import ROOT, suite
from meta_tests.common.usual_case import usual
from meta_tests.common.views import NO_MASK, NO_WAY_BACK, VIEWS, WITHOUT, Views, Wrong
from reference import Case
from reference.judging.view import WHOLE, View

IDIOMS = "tests/properties/test_idioms.py"
SOURCE = "meta_tests.common.views"
WORDS = (*VIEWS, "limited", "refusing", "apart", "elsewhere")


def target(kind: type[Views] = Views, **idioms: Idiom) -> Target:
    adapter = kind()
    adapter.idioms |= idioms
    return Target(adapter, "cpu", Ledger(), f"{SOURCE}:{kind.__name__}")


def came(of: Target, word: str) -> set[str]:
    """What came of the fixed cases of an idiom."""
    outcomes = set()
    for case in cases_of(of.offered(word), of.idioms[word].refused):
        outcomes.add(of.ask("idioms", case, None, of.stack(case, "eager", word)).outcome)
    of.close()
    return outcomes


def ids(*arguments: str) -> list[str]:
    run = suite(IDIOMS, "--collect-only", "--device=cpu", *arguments)
    assert run.returncode == pytest.ExitCode.OK, run.stdout + run.stderr
    return re.findall(r"::(\w+)\[(.+)\]", run.stdout)


def test_each_idiom_is_collected_for_both_properties() -> None:
    found = ids(f"--adapter={SOURCE}:Views")
    assert sorted(found) == sorted(
        (test, f"views-cpu-{word.replace(' ', '_')}")
        for word in WORDS
        for test in ("test_every_feature_in_an_idiom", "test_answers_in_an_idiom_agree_with_the_reference")
    )


def test_a_target_without_idioms_has_one_test_of_each_property_which_is_skipped() -> None:
    run = suite(IDIOMS, "--adapter=meta_tests.common.references:Mirror", "--device=cpu", "-rs", "-v")
    assert run.returncode == pytest.ExitCode.OK, run.stdout + run.stderr
    assert "mirror cpu: no idiom is declared" in run.stdout
    assert "2 skipped" in run.stdout


def test_right_idioms_pass_and_one_that_is_absent_is_skipped() -> None:
    run = suite(IDIOMS, f"--adapter={SOURCE}:Views", "--device=cpu", "-rs")
    assert run.returncode == pytest.ExitCode.OK, run.stdout + run.stderr
    assert "views cpu: the idiom elsewhere is absent: there is no other machine here" in run.stdout
    assert f"{2 * len(WORDS) - 2} passed, 2 skipped" in run.stdout


def test_a_wrong_idiom_is_named_and_its_case_replayed(tmp_path: Path) -> None:
    run = suite(IDIOMS, f"--adapter={SOURCE}:Wrong", "--device=cpu")
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    failed = re.findall(r"^FAILED .*\[(.+?)\]", run.stdout, re.M)
    assert failed == ["wrong-views-cpu-last_output"] * 2
    assert "in the idiom 'last output': disagrees" in run.stdout
    replay = re.findall(r"replay: python (-m rnn_equivalence adapters .*--idiom 'last output')", run.stdout)[-1]
    for said, status in ((replay, 1), (replay.replace(":Wrong", ":Views"), 0)):
        again = subprocess.run(
            [sys.executable, *shlex.split(said)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert again.returncode == status, again.stdout + again.stderr
        assert "in the idiom 'last output': " in again.stdout


@pytest.mark.parametrize("word", [*VIEWS, "limited"])
def test_every_value_of_every_feature_that_an_idiom_offers_is_met(word: str) -> None:
    offered = target().offered(word)
    met = {pair for case in cases_of(offered) for pair in features_of_case(case).items()}
    wanted = {(name, value) for name in FEATURES if name not in ("mode", "cell") for value in offered.supported(name)}
    assert not wanted - met


@pytest.mark.parametrize("refused", [{}, {(("direction", "reverse"),): Refusal("ValueError", "no")}])
@pytest.mark.parametrize("left", [
    {("layout", "unbatched"): "no"}, {("dtype", "float32"): "no"}, {("h0", True): "no", ("lengths", "mixed"): "no"},
    {("num_layers", "2"): "no", ("direction", "bidirectional"): "no", ("mask", True): "no"},
])  # fmt: skip
def test_what_is_left_is_met_whatever_is_not_offered(left: Mapping[Any, str], refused: Mapping[Any, Refusal]) -> None:
    offered = Capabilities(unsupported=left, refused=refused, offers=(("mask", True),))
    cases = cases_of(offered)
    asked = [features_of_case(case) for case in cases]
    assert not any(offered.no_answer(features) for features in asked)
    wanted = {(name, value) for name in FEATURES if name not in ("mode", "cell") for value in offered.supported(name)}
    missing = wanted - {pair for features in asked for pair in features.items()}
    assert all(offered.no_answer({**USUAL, **dict([pair])}) for pair in missing)
    assert len(cases) < 20


def test_what_an_idiom_does_without_is_not_asked() -> None:
    views = target()
    assert came(views, "limited") == {"agrees"}
    masked = usual(mask=True)
    assert views.offered("limited").not_offered(features_of(masked.spec, **masked.inputs)) == f"mask True: {NO_MASK}"
    assert views.ask("idioms", masked, None, views.stack(masked, "eager", "limited")).outcome == "not offered"
    unlimited = target(limited=views.idioms["limited"]._replace(without={}))
    with pytest.raises(AssertionError, match="crashed: KeyError: 'it is asked what it says that it is not asked'"):
        came(unlimited, "limited")


def test_every_reason_of_without_is_used() -> None:
    told = target().offered("limited")
    for several, why in WITHOUT.items():
        assert told.not_offered({**USUAL, **dict(several)}).endswith(why)


def test_what_an_idiom_refuses_is_asked_and_refused() -> None:
    views = target()
    assert came(views, "refusing") == {"agrees", "refused"}
    undeclared = target(refusing=views.idioms["refusing"]._replace(refused={}))
    with pytest.raises(AssertionError, match=f"crashed: RuntimeError: {NO_WAY_BACK}"):
        came(undeclared, "refusing")
    other = {(("direction", "reverse"),): Refusal("RuntimeError", "other words")}
    with pytest.raises(AssertionError, match="crashed: RuntimeError"):
        came(target(refusing=views.idioms["refusing"]._replace(refused=other)), "refusing")


def test_an_idiom_that_may_take_the_process_down_is_asked_in_one_of_its_own() -> None:
    views = target()
    assert came(views, "apart") == {"agrees"}
    with pytest.raises(AssertionError, match="crashed: RuntimeError: it may take the process down"):
        came(target(apart=views.idioms["apart"]._replace(isolate=False)), "apart")


def test_an_idiom_is_judged_by_what_it_shows() -> None:
    """As another view its answer disagrees, by a sentence that says what is shown."""
    views = target()
    for word, view in VIEWS.items():
        assert came(views, word) <= {"agrees", "vacuous"}
        other = View(output="none") if view != View(output="none") else WHOLE
        with pytest.raises(AssertionError, match=f"in the idiom {word!r}: disagrees"):
            came(target(**{word: views.idioms[word]._replace(view=other)}), word)


# python -m adapters NAME CASE --idiom WORD


def ask(capsys: pytest.CaptureFixture, *given: str, kind: str = "Views") -> tuple[int, str]:
    status = main([f"{SOURCE}:{kind}", *given])
    return status, capsys.readouterr().out


@pytest.fixture
def case(tmp_path: Path) -> str:
    usual(num_layers=2).save(tmp_path / "case.json")
    return str(tmp_path / "case.json")


def test_a_case_is_asked_in_an_idiom(case: str, capsys: pytest.CaptureFixture) -> None:
    for kind, status, came_of_it in (("Views", 0, "agrees"), ("Wrong", 1, "disagrees")):
        told = ask(capsys, case, "--idiom", "last output", kind=kind)
        assert told[0] == status
        assert f"on cpu, in the idiom 'last output': {came_of_it}" in told[1]
    assert ask(capsys, case, kind="Wrong")[0] == 0, "run's own way is right"
    assert ask(capsys, case, "--idiom", "apart")[0] == 0, "in a process of its own"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--idiom", "lost output"], "idiom: got 'lost output', expected one of "),
        (["--idiom", "elsewhere"], "--idiom: elsewhere is absent: there is no other machine here"),
        (["--idiom", "held", "--mode", "saved"], "argument --idiom: not allowed with argument --mode"),
    ],
)
def test_what_is_no_idiom_here_is_one_sentence(given: list[str], words: str, case: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as end:
        main([f"{SOURCE}:Views", case, *given])
    assert end.value.code == 2
    assert words in capsys.readouterr().err


class Writing(Wrong):
    """It writes a script of each way that it has."""

    def script(self, case: Case, device: str = "cpu", way: str = "eager") -> str:
        if way not in ("eager", "unrolled", *self.idioms):
            raise NotOffered(f"way {way}: it has none")
        return f"print('{way}')\n"


def test_a_script_is_written_of_an_idiom_or_a_mode(case: str, capsys: pytest.CaptureFixture) -> None:
    name = f"{__name__}:Writing"
    for given, way in (
        ([], "eager"),
        (["--idiom", "last output"], "last output"),
        (["--mode", "unrolled"], "unrolled"),
    ):
        assert main([name, case, "--script", *given]) == 0
        assert capsys.readouterr().out == f"print('{way}')\n"
    with pytest.raises(SystemExit):
        main([name, case, "--script", "--mode", "saved"])
    assert "--script: way saved: it has none" in capsys.readouterr().err
