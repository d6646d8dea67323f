"""docs/adapters.md: its example runs as it stands, and its two lines work in a project that is elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import SkipTest

import pytest

from adapters.conformance.checks import checks_of
from meta_tests.common.references import Doubling, Mirror

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
EXAMPLE = next(text for language, text in BLOCKS if language == "python")
TWO_LINES = next(text for _, text in BLOCKS if "checks_of" in text)


def python(folder: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Python in a folder, which is on its path; and `path`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHONPATH"))}
    environment["HYPOTHESIS_PROFILE"] = "ci"
    environment["PYTHONPATH"] = os.pathsep.join(str(p) for p in (path, folder) if p)
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True,
                          check=False)  # fmt: skip


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.splitlines()) < 40


def test_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    """In a folder elsewhere: the self-check, a property with all its cells, and the whole corpus."""
    (tmp_path / "plain.py").write_text(EXAMPLE)
    checked = python(tmp_path, "-m", "rnn_equivalence", "adapters", "plain:PlainLoop", "--check", path=ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    asked = [f"{ROOT / 'tests' / 'properties'}", "-k", "self_check or agree or drawn or unsupported or the_corpus"]
    run = python(tmp_path, "-m", "pytest", f"--rootdir={ROOT}", f"-c{ROOT / 'pyproject.toml'}", *asked,
                 "--adapter", "plain:PlainLoop", "--cases", "2", "-v", "-p", "no:cacheprovider")  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    assert "plain loop cpu: layout unbatched is not offered: not written yet" in run.stdout


def test_an_example_that_forgets_a_bias_fails(tmp_path: Path) -> None:
    wrong = EXAMPLE.replace(" + cell.b_hh", "")
    assert wrong != EXAMPLE
    (tmp_path / "plain.py").write_text(wrong)
    run = python(tmp_path, "-m", "pytest", f"--rootdir={ROOT}", f"-c{ROOT / 'pyproject.toml'}",
                 str(ROOT / "tests/properties/test_equivalence.py"), "-k", "answers_agree and forward-float32",
                 "--adapter", "plain:PlainLoop", "-q", "-p", "no:cacheprovider")  # fmt: skip
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout[-3000:] + run.stderr
    assert "diagnosis: agrees with the reference if b_hh is ignored" in run.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Another project, with a package `tests` and a conftest of its own, that has the suite's clone on its path."""
    (tmp_path / "pyproject.toml").write_text(f'[tool.pytest.ini_options]\npythonpath = ["{ROOT.as_posix()}", "."]\n')
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").write_text("THEIRS = True\n")
    (tmp_path / "tests" / "conftest.py").write_text("from tests import THEIRS\n")
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    (tmp_path / "my_package" / "my_adapter.py").write_text(EXAMPLE.replace("PlainLoop", "MyAdapter"))
    (tmp_path / "tests" / "test_layer.py").write_text(TWO_LINES)
    return tmp_path


def outcomes(run: subprocess.CompletedProcess[str]) -> dict[str, int]:
    last = run.stdout.splitlines()[-1]
    return {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped|error)", last)}


def test_another_project_asks_everything_in_two_lines(project: Path) -> None:
    run = python(project, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider")
    assert run.returncode == 0, run.stdout + run.stderr
    came = outcomes(run)
    assert came["passed"] > 25
    assert came["skipped"] == 4, "laziness, zeros beyond lengths, round trip, product and activation"
    assert "it has no read" in run.stdout


def test_another_project_is_told_what_is_wrong(project: Path) -> None:
    path = project / "my_package" / "my_adapter.py"
    path.write_text(path.read_text().replace(" + cell.b_hh", "").replace("cell.astype(cell.dtype) for", "cell for"))
    run = python(project, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    assert "FAILED tests/test_layer.py::test_my_layer[self-check: parameters are copied]" in run.stdout
    assert "FAILED tests/test_layer.py::test_my_layer[forward batch_first tanh float64]" in run.stdout
    assert "FAILED tests/test_layer.py::test_my_layer[bias True]" in run.stdout
    assert "test_my_layer[bias False]" not in run.stdout
    assert "diagnosis: agrees with the reference if b_hh is ignored" in run.stdout


def test_every_check_of_a_wrong_adapter_says_what_came() -> None:
    failures = {}
    for check in checks_of(Doubling()):
        try:
            check()
        except SkipTest:
            continue
        except AssertionError as failure:
            failures[check.__name__] = str(failure)
    assert len(failures) == sum("disagrees (value)" in told for told in failures.values()) > 50
    assert "bidirectional unbatched relu bfloat16" in failures


def test_every_cell_and_feature_of_an_adapter_that_can_do_everything_is_asked() -> None:
    names = [check.__name__ for check in checks_of(Mirror())]
    assert len(names) == len(set(names)) == 12 + 72 + 26
    some = {"lengths with zeros", "values not finite", "mask True", "time 0", "num_layers 3 to 10", "cell elman"}
    assert some <= set(names)
