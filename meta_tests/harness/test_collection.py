"""What is collected: without a path the suite's judging alone, and of a named target what judges it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from evidence.verify.questions import number_for_a_target
from meta_tests.common.process import ROOT, suite

MIRROR = ("--adapter", "meta_tests.common.references:Mirror", "--device", "cpu")


def collected(*arguments: str) -> Counter[str]:
    """How many tests pytest collects below each folder: of tests/, below the folders in it."""
    few = (
        f"import adapters; adapters.KNOWN = {{'mirror': ({MIRROR[1]!r}, 'numpy', '')}}"  # frameworks take long to load
    )
    run = suite("--collect-only", *arguments, before=few)
    assert run.returncode == pytest.ExitCode.OK, run.stdout[-3000:] + run.stderr
    tests = [line for line in run.stdout.splitlines() if "::" in line]
    return Counter("/".join(test.split("/")[: 2 if test.startswith("tests/") else 1]) for test in tests)


def test_without_a_path_nothing_of_the_suites_own_tests_is_collected() -> None:
    assert set(collected()) == {"tests/properties", "tests/notebooks", "tests/conventions"}


@pytest.mark.parametrize("path", [(), ("tests/properties",)])
def test_of_a_named_target_only_what_judges_it_is_collected(path: tuple[str, ...]) -> None:
    assert collected(*MIRROR, *path) == {"tests/properties": number_for_a_target()}


def test_the_front_door_collects_of_a_named_target_only_what_judges_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rnn_equivalence", "run", *MIRROR, "--collect-only", "-q"]
    usual = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    run = subprocess.run(command, cwd=tmp_path, env=usual | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
                         check=False)  # fmt: skip
    assert run.returncode == pytest.ExitCode.OK, run.stdout[-3000:] + run.stderr
    tests = [line.split("::")[0] for line in run.stdout.splitlines() if "::" in line]
    assert len(tests) == number_for_a_target()
    assert {Path(test).parent.as_posix().removeprefix(f"{ROOT}/") for test in tests} == {"tests/properties"}


def test_a_path_is_collected_whatever_target_is_named() -> None:
    assert set(collected(*MIRROR, "tests")) == {"tests/properties", "tests/notebooks", "tests/conventions"}
    assert set(collected(*MIRROR, "meta_tests/harness/test_table.py")) == {"meta_tests"}


def test_a_named_target_without_a_path_is_a_whole_run(tmp_path: Path) -> None:
    """In two processes: its counts are enforced, and its record says that nothing was left out.

    In one: test_an_honest_adapter_that_can_do_little_passes.
    """
    run = suite(*MIRROR, "--cases=1", "-n2", f"--evidence={tmp_path / 'run.json'}")
    assert run.returncode == pytest.ExitCode.OK, run.stdout[-3000:] + run.stderr
    end = json.loads((tmp_path / "run.json").read_text(encoding="utf-8").splitlines()[-1])
    assert end["selection"] == ""
    assert sum(end["tests"].values()) == number_for_a_target()
    assert "Every supported combination and feature got at least one case that agrees." in run.stdout
