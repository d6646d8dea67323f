"""Many failures, few causes: what tells wrong cases from right ones, and what a run says of its failures."""

from __future__ import annotations

import functools
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from adapters.capabilities import FEATURES, features_of_case
from evidence.record import corpus
from harness.causes import Failed, _place, by_causes, errors_of
from harness.rules import Row, Rule, rule_of
from meta_tests.common.process import suite

PLANTED = "meta_tests.common.references"
LAYERS = "tests/properties/test_equivalence.py::test_every_layer_count_to_ten"
DRAWN = "tests/properties/test_equivalence.py::test_answers_agree_with_the_reference"
NARROW = "tests/properties/test_equivalence.py::test_narrow_dtypes_agree_with_the_reference"
RULE = (r"all \d+ wrong cases have time more, direction other than forward and lengths other than full; "
        r"none of the \d+ that agree has all three")  # fmt: skip


def rows(*several: tuple[str, ...], each: int = 1) -> Counter[Row]:
    return Counter({frozenset(row): each for row in several})


def every(wrong: tuple[str, ...] = ("lengths mixed", "not forward")) -> tuple[Counter[Row], Counter[Row]]:
    """Cases of all directions, lengths and dtypes, wrong where the lengths are mixed and a direction is reverse."""
    all_of = {(f"direction {d}", f"lengths {n}", f"dtype {t}") for d in ("forward", "reverse", "bidirectional")
              for n in ("full", "mixed", "with zeros") for t in ("float32", "float64")}  # fmt: skip
    bad = {row for row in all_of if row[0] != "direction forward" and row[1] == "lengths mixed"}
    return rows(*bad, each=2), rows(*(all_of - bad), each=3)


def test_the_fewest_values_that_separate_are_named() -> None:
    wrong, right = every()
    rule = rule_of(wrong, right)
    assert rule.separates
    assert str(rule) == (
        "all 8 wrong cases have lengths mixed and direction other than forward; none of the 42 that agree has both"
    )


def test_a_rule_that_does_not_separate_says_how_many() -> None:
    """A wrong case that it does not cover, and right ones that it does; a third value would explain too little."""
    wrong, right = every()
    right[frozenset({"direction reverse", "lengths mixed", "dtype float16"})] = 1
    wrong[frozenset({"direction forward", "lengths full", "dtype float16"})] = 1
    rule = rule_of(wrong, right)
    assert not rule.separates
    assert str(rule) == (
        "8 of 9 wrong cases have lengths mixed and direction other than forward, and 1 of the 43 that agree"
    )


@pytest.mark.parametrize(
    ("wrong", "right", "words"),
    [
        (rows(("h0 True",)), rows(), "all 1 cases are wrong, and none agrees"),
        (rows(("h0 True",), each=4), rows(("h0 True",), each=5),
         "no three features tell the 4 wrong cases from the 5 that agree"),
        (rows(("h0 True", "bias True")), rows(("h0 False", "bias True")),
         "all 1 wrong cases have h0 True; none of the 1 that agree has it"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_said(wrong: Counter[Row], right: Counter[Row], words: str) -> None:
    assert str(rule_of(wrong, right)) == words


def test_without_a_wrong_case_there_is_no_rule() -> None:
    assert rule_of(Counter(), rows(("h0 True",))) == Rule((), 0, 0, 0, 1)


def test_failures_are_grouped_by_the_cause_that_most_of_them_may_have() -> None:
    """A small case that several faults explain goes with the larger one that tells them apart."""
    several = [Failed(str(n), "disagrees", "t", causes, 1, "") for n, causes in enumerate(("ab", "b", "cb", "d"))]
    assert [[one.test for one in group] for group in by_causes(several)] == [["0", "1", "2"], ["3"]]
    assert {one.causes[0] for group in by_causes(several) for one in group} == {"b", "d"}


def test_each_of_several_errors_that_a_test_found_is_a_failure() -> None:
    first, second, third = AssertionError("a"), AssertionError("b"), ValueError("c")
    group = BaseExceptionGroup("several", [first, BaseExceptionGroup("more", [second, third])])
    assert errors_of(group) == [first, second, third]
    assert errors_of(first) == [first]


@functools.cache
def run(adapter: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Of six tests that draw their cases, and three that do not."""
    return suite(LAYERS, DRAWN, NARROW, f"--adapter={PLANTED}:{adapter}", "--device=cpu",
                 "-k", "-1] or (float32 or float16) and not forward", *arguments)  # fmt: skip


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_run_says_of_its_failures_what_they_have_in_common_and_one_diagnosis(processes: str) -> None:
    said = run("Leaking", "-n", processes).stdout
    assert run("Leaking", "-n", processes).returncode == pytest.ExitCode.TESTS_FAILED
    assert re.search(rf"\n1\. leaking cpu, \d+ failures: {RULE}\n", said), said
    assert re.search(r"= \d+ failures, 1 cause =", said)
    assert said.count("diagnosis: agrees with the reference if the reverse direction starts in the padding") == 1
    assert said.count("replay: ") == 1
    for words in ("Falsifying", "Failing test case", "Traceback", "hypothesis/", "_ _ _", "no diagnosis", "FAILURES"):
        assert words not in said
    assert len(said.splitlines()) < 40, "one screen"


def test_an_exception_beside_is_another_cause() -> None:
    said = run("Falling").stdout.partition("short test summary")[0]  # in CI pytest names there what failed, too
    assert re.search(r"= \d+ failures, 2 causes =", said)
    assert re.search(r"\d\. falling cpu, .*: all \d+ wrong cases have dtype float16; none of the \d+ that agree", said)
    assert said.count("crashed: MemoryError: no place for ") == 1
    assert said.count("the reverse direction starts in the padding") == 1


@pytest.mark.parametrize("more", ["--tb=long", "-vv"])
def test_each_failure_is_told_where_that_is_asked_for(more: str) -> None:
    said = run("Leaking", more).stdout
    assert "= FAILURES =" in said
    assert ("Failing test case" in said or "Falsifying" in said) == (more == "--tb=long")
    assert re.search(RULE, said)


def test_a_record_keeps_each_failure_and_says_the_same(tmp_path: Path) -> None:
    said = suite(LAYERS, f"--adapter={PLANTED}:Leaking", "--device=cpu", "-k=-1]", f"--evidence={tmp_path / 'a.json'}")
    assert "2 failures, 1 cause" in said.stdout
    assert (tmp_path / "a.json").read_text(encoding="utf-8").count('"kind":"test"') == 2


def test_what_is_expected_to_fail_is_no_failure(tmp_path: Path) -> None:
    entry = ('[[failure]]\ntarget = "leaking cpu"\nproperty = "test_every_layer_count_to_ten"\ncase = "reverse-1"\n'
             'reason = "known"\nlink = "https://example.org/1"\n')  # fmt: skip
    (tmp_path / "known.toml").write_text(entry)
    known = f"--known-failures={tmp_path / 'known.toml'}"
    said = suite(LAYERS, f"--adapter={PLANTED}:Leaking", "--device=cpu", "-k=-1]", known).stdout
    assert "1 failure, 1 cause" in said
    assert "1 failed, 1 passed" in said.splitlines()[-1]


def test_a_right_adapter_has_no_causes() -> None:
    said = run("Mirror")
    assert said.returncode == 0
    assert "cause" not in said.stdout


def test_no_name_of_a_case_is_taken_for_a_feature() -> None:
    """One that holds every feature was called "full", as lengths are of which none is shorter."""
    from tests.properties.test_corpus import test_the_corpus

    (named,) = (mark for mark in test_the_corpus.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]
    for name, case in corpus.cases().items():
        shown, features = named.kwargs["ids"](name), features_of_case(case)
        for value in FEATURES["lengths"]:
            assert f" {value}" not in shown or features["lengths"] == value


def test_a_group_is_told_by_its_smallest_case_that_says_most() -> None:
    """A diagnosis says more than none, and a case that can be asked again more than two answers that were compared."""
    texts = {"replay: a": 1, "diagnosis: x\nthe case, of which two answers": 2, "diagnosis: x\nreplay: c": 4,
             "diagnosis: x\nreplay: b": 3}  # fmt: skip
    several = [Failed("t", "disagrees", "l", ["x"], size, text) for text, size in texts.items()]
    assert min(several, key=_place).text == "diagnosis: x\nreplay: b"
