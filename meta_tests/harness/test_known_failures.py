"""pytest --known-failures: what is listed must fail, must be there, and must have fixed cases; the record says so."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters import FEATURES, Result
from evidence.record.ledger import AXES, Ledger
from harness import known_failures
from harness.known_failures import KnownFailure
from harness.plugin import Plugin
from harness.summary import Summary
from harness.target import Target
from meta_tests.common import process
from meta_tests.common.process import ROOT
from meta_tests.common.references import Doubling, Mirror

DOUBLING = ("--adapter", "meta_tests.common.references:Doubling", "--device", "cpu")
MIRROR = ("--adapter", "meta_tests.common.references:Mirror", "--device", "cpu")
EMPTY = "tests/properties/test_equivalence.py::test_an_empty_batch_gives_empty_answers"
LAYERS = ("tests/properties/test_equivalence.py::test_every_layer_count_to_ten", "-k", "forward-3 or forward-7")
ENTRY = """
[[failure]]
target = "{}"
property = "{}"
case = "{}"
reason = "twice what it should be"
link = "https://example.org/1"
"""
ALL = ENTRY.format("mirror cpu", "test_every_layer_count_to_ten", "*")


class GivenUp(BaseException):
    """No failure of a layer: it is not caught as one."""


class Giving(Mirror):
    def run(self, module: Any, **inputs: Any) -> Result:
        raise GivenUp


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def suite(tmp_path: Path) -> Run:
    """pytest with a list of known failures."""

    def run(entries: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "known.toml").write_text(entries)
        # with an equals sign: a path by itself would become the rootdir
        return process.suite(*arguments, f"--known-failures={tmp_path / 'known.toml'}")

    return run


@pytest.mark.parametrize("processes", ["0", "2"])
def test_what_is_listed_is_expected_to_fail(suite: Run, processes: str) -> None:
    run = suite(ALL, *LAYERS, *DOUBLING, "-n", processes)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    assert "2 xfailed" in run.stdout.splitlines()[-1]
    assert "mirror cpu, test_every_layer_count_to_ten [*]: 2 failed as expected: twice what it should be (https" in (
        run.stdout
    )
    assert "twice what it should be (https://example.org/1)" in run.stdout


def test_one_case_is_named_by_what_pytest_shows_in_brackets(suite: Run) -> None:
    run = suite(ALL.replace('"*"', '"forward-7"'), *LAYERS, *DOUBLING)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 28 deselected, 1 xfailed" in run.stdout.splitlines()[-1]


@pytest.mark.parametrize("processes", ["0", "2"])
def test_an_expected_failure_that_passes_makes_the_run_fail(suite: Run, processes: str) -> None:
    run = suite(ALL.replace('"*"', '"forward-7"'), *LAYERS, *MIRROR, "-n", processes)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout[-3000:] + run.stderr
    assert "1 failed, 1 passed" in run.stdout.splitlines()[-1]
    assert "FAILED: mirror cpu, test_every_layer_count_to_ten [forward-7]: 1 passed: take it out of known.toml" in (
        run.stdout
    )


def test_another_failure_than_an_assertion_is_not_expected(suite: Run) -> None:
    """What breaks in the suite itself, such as an answer that cannot be judged, is no known failure."""
    run = suite(ALL, *LAYERS, "--adapter", "meta_tests.harness.test_known_failures:Giving", "--device", "cpu")
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout[-3000:] + run.stderr
    assert "2 failed" in run.stdout.splitlines()[-1]


def test_an_entry_that_fits_nothing_makes_a_whole_run_fail(suite: Run) -> None:
    """Whole is what testpaths names; here that is one file, so that the test is short."""
    stale = ENTRY.format("mirror cpu", "test_every_layer_count_to_ten", "sideways-*")
    run = suite(stale, "--override-ini=testpaths=meta_tests/harness/test_scale.py", *MIRROR)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout[-3000:] + run.stderr
    assert "FAILED: mirror cpu, test_every_layer_count_to_ten [sideways-*]: stale: it fits no test that was run" in (
        run.stdout
    )


def test_of_a_part_of_the_suite_a_stale_entry_is_only_reported(suite: Run) -> None:
    run = suite(ENTRY.format("mirror cpu", "no_such_test", "*"), EMPTY, *MIRROR)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    assert "mirror cpu, no_such_test [*]: fits no test that was run (only tests/properties" in run.stdout
    assert "stale" not in run.stdout


@pytest.mark.parametrize(("part", "status"), [("", pytest.ExitCode.TESTS_FAILED), ("only a part", pytest.ExitCode.OK)])
def test_stale_entries_alone_make_a_run_fail(tmp_path: Path, part: str, status: pytest.ExitCode) -> None:
    """Whatever else the run came to, and not where only a part was run."""
    (tmp_path / "known.toml").write_text(ALL)
    known = known_failures.KnownFailures(tmp_path / "known.toml")
    session = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    run = SimpleNamespace(worker=False, selection=SimpleNamespace(reason=lambda: part),
                          summary=Summary([], [], Ledger()), known=known)  # fmt: skip
    Plugin.finish(run, session)
    assert session.exitstatus == status
    known.came[0]["skipped"] += 1
    assert known.stale(), "a test that was skipped did not fail"
    known.came[0]["xfailed"] += 1
    assert not known.stale()


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_property_with_drawn_cases_cannot_be_listed(suite: Run, processes: str) -> None:
    run = suite(ENTRY.format("*", "test_answers_agree*", "*"), "tests/properties/test_equivalence.py", *MIRROR,
                "-k", "answers_agree", "-n", processes)  # fmt: skip
    assert run.returncode == (pytest.ExitCode.USAGE_ERROR if processes == "0" else pytest.ExitCode.TESTS_FAILED)
    told = run.stdout + run.stderr
    assert "the cases of test_answers_agree_with_the_reference are drawn, so it cannot be expected to fail" in told
    assert "narrow what the adapter declares that it supports" in told


def test_a_test_that_two_entries_mean_is_an_error(suite: Run) -> None:
    run = suite(ALL + ALL.replace('"*"', '"forward-7"'), *LAYERS, *MIRROR)
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "test_every_layer_count_to_ten[mirror-cpu-forward-7] is meant by two entries" in run.stderr


MALFORMED = {
    "[[failure": "Expected",
    "": r"known.toml: got \[\], expected \[\[failure\]\] entries only",
    "failure = 3": r"expected \[\[failure\]\] entries only",
    "failure = [3]": "failure 1: got 3, expected a table",
    ALL + 'because = "so"': "failure 1 because: got field 'because', expected target, property, case, reason, link",
    ALL.replace("reason", "raisin"): "failure 1 raisin: got field 'raisin', expected",
    ALL.replace('reason = "twice what it should be"', ""): "failure 1 reason: got nothing, expected target",
    ALL.replace('"*"', "7"): "failure 1 case: got 7, expected text",
    ALL.replace("https://example.org/1", " "): "failure 1 link: got '', expected text",
    ALL + ALL: "failure 2: target, property and case are those of failure 1",
    ALL + '[other]\nx = "1"': r"got \['failure', 'other'\], expected \[\[failure\]\] entries only",
}


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_file_names_the_field(tmp_path: Path, text: str) -> None:
    (tmp_path / "known.toml").write_text(text)
    with pytest.raises(pytest.UsageError, match=MALFORMED[text]):
        known_failures.read(tmp_path / "known.toml")


def test_a_file_that_is_not_there_or_not_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "known.toml").write_bytes(b"\xff")
    for name in ("known.toml", "gone.toml"):
        with pytest.raises(pytest.UsageError, match=f"--known-failures: {name}: "):
            known_failures.read(tmp_path / name)


def test_the_example_in_the_document_is_a_list(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    (tmp_path / "known.toml").write_text(text)
    (entry,) = known_failures.read(tmp_path / "known.toml")
    assert isinstance(entry, KnownFailure)
    assert entry.fits("plain loop cpu", "test_the_corpus", "345 saturated float32")
    assert not entry.fits("plain loop cpu", "test_the_corpus", "345 saturated float64")
    assert not entry.fits("torch cpu", "test_the_corpus", "345 saturated float32")


def test_the_record_counts_them_apart_and_claims_no_agreement(suite: Run, tmp_path: Path) -> None:
    """The verdicts stay what they are: disagrees. The combinations that hold nothing else are empty."""
    pytest.importorskip("pydantic")
    from evidence import report
    from evidence.record.reader import read
    from evidence.record.runs import miscounts

    made = suite(ALL, *LAYERS, *DOUBLING, "--evidence", str(tmp_path / "run.json"))
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr
    evidence = read(tmp_path / "run.json")
    (run,) = evidence.runs
    assert run.end.tests == {"xfailed": 2}
    assert {line.outcome for line in run.tests} == {"xfailed"}
    assert next(iter(run.tests)).message.startswith("known failure: twice what it should be (https://example.org/1)\n")
    assert run.end.outcomes == {"mirror cpu": {"disagrees": 2}}
    assert not list(miscounts(run))
    conclusion = report.model(evidence)["conclusion"]
    assert (conclusion.level, conclusion.word) == ("bad", "disagrees")
    assert conclusion.sentence == "Not everything agrees: 2 answers disagree and 2 tests failed as was known."
    assert "known failure: twice what it should be" in report.render_html(evidence)


def test_a_combination_with_known_failures_alone_is_still_missing() -> None:
    """A known failure is a verdict like any other: it disagrees, and fills no combination."""
    target, ledger = Target(Doubling(), "cpu", Ledger(), "meta_tests.common.references:Doubling"), Ledger()
    asked = {name: values[0] for name, values in FEATURES.items()}
    ledger.record(target.label, "equivalence", asked, "disagrees")
    combination = ", ".join(str(asked[name]) for name in AXES)
    assert f"{target.label}: {combination}" in Summary([target], [], ledger).missing()


IDIOMS = "tests/properties/test_idioms.py"
CALLING = ("--adapter", "meta_tests.common.references:Calling", "--device", "cpu")


def test_an_idiom_is_selected_and_listed_by_its_word(suite: Run, tmp_path: Path) -> None:
    """In the name of a test its spaces are underscores."""
    fixed = f"{IDIOMS}::test_every_feature_in_an_idiom"
    known = suite(ENTRY.format("calling cpu", "test_every_feature_in_an_idiom", "held"), fixed, *CALLING, "-v", "-rs",
                  f"--junitxml={tmp_path / 'run.xml'}")  # fmt: skip
    assert known.returncode == 0, known.stdout[-3000:]
    assert "1 passed, 1 skipped, 1 xfailed" in known.stdout
    assert "the idiom elsewhere is absent: there is no other machine" in known.stdout
    assert re.search(r"calling cpu 2 in \d+ cases, 1 absent", known.stdout)
    assert '<property name="idiom" value="held"' in (tmp_path / "run.xml").read_text()
    some = suite(ENTRY.format("calling cpu", "*", "none"), IDIOMS, *CALLING, "-k", "last_output")
    assert "2 passed" in some.stdout, some.stdout[-3000:]
    drawn = suite(ENTRY.format("calling cpu", "test_answers_in_an_idiom*", "held"), IDIOMS, *CALLING)
    assert drawn.returncode != 0
    assert "are drawn, so it cannot be expected to fail" in drawn.stdout + drawn.stderr
