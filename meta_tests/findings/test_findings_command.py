"""python -m rnn_equivalence findings: which findings the versions here have, on a page and for a program."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.numpy.adapter import ReferenceAdapter
from findings import command as module
from findings.command import command, main, page, rows_of
from findings.finding import What
from meta_tests.findings.checks import Answers
from meta_tests.findings.test_checks import RIGHT, wrong
from reference.faults import FAULTS

ROOT = Path(__file__).parents[2]
OF_FLOAT32 = replace(RIGHT, trigger={**RIGHT.trigger, "dtype": ("float32",)})
OF_FLOAT64 = {"trigger": {**RIGHT.trigger, "dtype": ("float64",)}, "case": replace(RIGHT.case, dtype="float64")}
FINDINGS = (
    OF_FLOAT32,
    replace(RIGHT, id="F-901", what=What(fault=FAULTS["w_hh_transposed"]), **OF_FLOAT64),
    replace(RIGHT, id="F-902", case=replace(RIGHT.case, direction="forward"), trigger={}),
    replace(RIGHT, id="F-903", device="cuda"),
    replace(RIGHT, id="F-904", framework="nothing"),
)


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference, which ignores lengths where RIGHT says so, and findings that say it rightly and amiss."""
    adapter: Any = Answers(ReferenceAdapter(), wrong)
    adapter.devices = lambda: ("cpu",)
    adapter.script = lambda case, device, way: f"# {case.id} on {device} in {way}\n"
    monkeypatch.setattr(module, "all_findings", lambda: FINDINGS)
    monkeypatch.setattr(module, "findings_of", lambda _: [one for one in FINDINGS if one.framework == "reference"])
    monkeypatch.setattr(module, "load", lambda _: adapter)


def test_each_state_is_told() -> None:
    assert {row.id: row.state for row in rows_of("reference")} == {
        "F-900": "present", "F-901": "changed", "F-902": "gone", "F-903": "not asked"
    }  # fmt: skip


def test_the_page_begins_with_what_matters() -> None:
    told = "\n".join(page(rows_of("reference")))
    places = [told.index(words) for words in ("1 finding present", "CHANGED", "F-901", "Present", "F-900", "Gone from",
                                              "F-902", "Not asked: F-903: no cuda is here")]  # fmt: skip
    assert places == sorted(places)
    assert told.count("avoid: Run forward.") == 2


def test_a_program_gets_a_list_of_objects(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "--framework", "reference"]) == 1, "one has changed"
    told = json.loads(capsys.readouterr().out)
    needed = {"id", "state", "framework", "version", "kind", "title", "link", "avoid", "backend", "what"}
    assert all(needed <= one.keys() for one in told)
    assert [one["state"] for one in told] == ["present", "changed", "gone", "not asked"]


def test_a_script_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--script", "F-900"]) == 0
    assert capsys.readouterr().out == f"# {RIGHT.case.case().id} on cpu in eager\n"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--framework", "toch"], "--framework: got 'toch', expected one of torch"),
        (["--script", "F-1"], "--script: got 'F-1', expected the id of a finding"),
    ],
)
def test_wrong_input_is_refused(given: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_what_is_not_installed_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Any:
        raise module.LoadError(f"{name} is missing", absent=True)

    monkeypatch.setattr(module, "load", load)
    rows = list(rows_of("reference"))
    assert {(row.state, row.version) for row in rows} == {("not asked", None)}
    assert command(pytest.fail, ["reference"], False, None) == 0


def test_it_runs_without_click() -> None:
    code = "import sys; sys.modules['click'] = None; from rnn_equivalence.__main__ import main; main()"
    run = subprocess.run([sys.executable, "-c", code, "findings", "--framework", "reference", "--json"], cwd=ROOT,
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert (run.returncode, json.loads(run.stdout)) == (0, []), run.stderr
