"""checks_of, in another project: beside a foreign package `adapters`, with checks that die, of what is no adapter."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.common.process import ROOT
from reference import DIRECTIONS
from rnn_equivalence import checks_of

THEIRS = """
import sys
import adapters

assert adapters.THEIRS

import pytest
from rnn_equivalence import checks_of


@pytest.mark.parametrize("check", checks_of("mine:Dying"))
def test_my_layer(check):
    check()


def test_nothing_of_the_suite_is_here():
    assert not {"reference.judging", "harness", "evidence", "adapters.contract"} & {*sys.modules}
"""
DYING = """
import os
from adapters.numpy.adapter import ReferenceAdapter

class Dying(ReferenceAdapter):
    def run(self, module, x, *given, **named):
        if x.dtype == "float16" and x.ndim == 2:
            os._exit(7)
        return super().run(module, x, *given, **named)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Another project, that has a package `adapters` of somebody else's, a `reference` and a conftest of its own."""
    for name in ("adapters", "reference"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("THEIRS = True\n")
    (tmp_path / "conftest.py").write_text("import adapters, reference\n")
    (tmp_path / "mine.py").write_text(DYING)
    (tmp_path / "test_mine.py").write_text(THEIRS)
    (tmp_path / "rnn_equivalence").symlink_to(ROOT / "rnn_equivalence")  # as a wheel is: nothing else beside it
    return tmp_path


def test_a_foreign_adapters_does_no_harm_and_a_check_that_dies_fails_alone(project: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHONPATH"))}
    environment["COLUMNS"] = "200"
    run = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"], cwd=project,
                         env=environment, capture_output=True, text=True, check=False)  # fmt: skip
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    failed = [line for line in run.stdout.splitlines() if line.startswith("FAILED")]
    wanted = [f"{direction} unbatched {word} float16" for direction in DIRECTIONS for word in ("tanh", "relu")]
    end = "- AssertionError: its process died: exit status 7"
    assert failed == [f"FAILED test_mine.py::test_my_layer[{name}] {end}" for name in wanted]
    assert int(re.findall(r"(\d+) passed", run.stdout)[-1]) > 80


@pytest.mark.parametrize(
    ("adapter", "device", "words"),
    [
        ("mxnet", "cpu", "adapter: got 'mxnet', expected one of torch, "),
        ("no_such_module:Adapter", "cpu", "No module named 'no_such_module'"),
        ("json:JSONDecoder", "cpu", "json:JSONDecoder: its name is "),
        ("reference", "cuda", "device: got 'cuda', expected one of cpu"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(adapter: str, device: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as failure:
        checks_of(adapter, device)
    assert "\n" not in str(failure.value)
