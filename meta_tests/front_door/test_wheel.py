"""The wheel: installed beside somebody else's `adapters`, and called from another folder, it judges as a clone does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("hatchling")
pytest.importorskip("pydantic")

from evidence.record.environment import ROOT, suite
from evidence.record.reader import read

JUDGE = ("run", "--framework=reference", "--cases=1", "-q", "-n1", "tests/properties/test_corpus.py")

DOUBLES = """
import adapters

class Doubles(type(adapters.load("reference"))):
    name = "doubles"

    def run(self, *given, **named):
        output, h_n, *more = super().run(*given, **named)
        return adapters.Result(2 * output, h_n, *more)
"""


class Installed:
    """A fresh environment that has the wheel, a foreign package `adapters`, and what this environment has."""

    def __init__(self, folder: Path) -> None:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
        (wheel,) = folder.glob("*.whl")
        self.names = set(zipfile.ZipFile(wheel).namelist())
        self.home = folder / "environment"
        venv.create(self.home, with_pip=True)
        self.bin = self.home / ("Scripts" if os.name == "nt" else "bin")
        install = [self.bin / "python", "-m", "pip", "install", "--no-deps", "--no-index", str(wheel)]
        subprocess.run(install, check=True, capture_output=True)
        (self.packages,) = {path.parent for path in self.home.rglob("rnn_equivalence")}
        here = [entry for entry in sys.path if entry.endswith("site-packages")]
        (self.packages / "of-this-environment.pth").write_text("\n".join(here), encoding="utf-8")
        self.plant("adapters", 'raise ImportError("the foreign adapters")')
        for name in ("keras", "jax", "openvino"):  # which take long to load
            self.plant(name, f"raise ModuleNotFoundError('hidden', name={name!r})")
        self.suite = self.packages / "rnn_equivalence" / "suite"
        self.before = self.files()

    def plant(self, package: str, code: str) -> None:
        """A package before that of this environment."""
        (self.packages / package).mkdir()
        (self.packages / package / "__init__.py").write_text(f"{code}\n")

    def __call__(
        self, folder: Path, *arguments: str, module: bool = False, before: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Call the command in a folder.  before: what starts it."""
        command = [self.bin / "python", "-m", "rnn_equivalence"] if module else [self.bin / "rnn-equivalence"]
        command = [*before, *command]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
        return subprocess.run([*command, *arguments], cwd=folder, env=environment, text=True, capture_output=True,
                              check=False)  # fmt: skip

    def files(self) -> set[Path]:
        """All that lies in the environment, beside what Python compiles."""
        return {path for path in self.home.rglob("*") if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("wheel"))


def test_nothing_of_ours_stands_at_the_top_of_site_packages(installed: Installed) -> None:
    top = {path.name.split(".")[0].split("-")[0] for path in installed.packages.iterdir()}
    assert "rnn_equivalence" in top
    assert not top & {"reference", "harness", "evidence", "tests", "meta_tests", "conftest"}
    assert not (installed.suite / "__init__.py").exists()
    assert not (installed.suite / "meta_tests").exists()


# what the suite opens: templates, corpora, tables; of the clone's root, what says who we are
FOLDERS = ("flax", "keras", "onnx", "paddle", "scripts", "torch", "torch_onnx")
DATA = [*(f"adapters/{folder}/script.txt" for folder in FOLDERS),
        *(f"evidence/report/{name}" for name in ("page.html", "style.css", "text.md")),
        "evidence/record/corpora/elman.jsonl", "evidence/verify/declarations.json", "evidence/verify/questions.json",
        "docs/kill-matrix.json", "pyproject.toml", "constraints.txt", "CITATION.cff", "commit.json"]  # fmt: skip


def absent(names: set[str], wanted: list[str]) -> list[str]:
    return [name for name in wanted if f"rnn_equivalence/suite/{name}" not in names]


def test_the_wheel_has_what_the_suite_opens(installed: Installed) -> None:
    """And each file that lies beside the modules which it has, so that a data file of tomorrow is in it too."""
    assert absent(installed.names, DATA) == []
    assert absent(installed.names - {f"rnn_equivalence/suite/{DATA[0]}"}, DATA) == [DATA[0]], "that check can fail"
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    tracked = subprocess.run(["git", "ls-files", *wheel["force-include"]], cwd=ROOT, text=True, capture_output=True,
                             check=True).stdout.splitlines()  # fmt: skip
    assert len(tracked) > 100
    assert absent(installed.names, tracked) == []


def test_every_test_of_the_wheel_can_be_imported(installed: Installed, tmp_path: Path) -> None:
    rooms = ("tests/properties", "tests/notebooks", "tests/conventions")
    done = installed(tmp_path, "run", "--framework=reference", "--collect-only", "-q", *rooms)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    assert "tests/conventions/" in done.stdout


@pytest.fixture(scope="module")
def judged(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is not the suite's, from which the wheel has judged."""
    folder = tmp_path_factory.mktemp("judged")
    done = installed(folder, *JUDGE, "--evidence=run.json")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_wheel_judges_from_another_folder(installed: Installed, judged: Path) -> None:
    made = read(judged / "run.json")
    assert sum(1 for _ in made.runs[0].verdicts) > 100
    assert made.runs[0].header.suite.model_dump() == suite()  # the clone's commit, as the build hook wrote it
    assert installed.files() == installed.before


def test_the_wheel_verifies_and_reports(installed: Installed, judged: Path) -> None:
    verified = installed(judged, "verify", "run.json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "WRONG" not in verified.stdout
    if find_spec("jinja2") and find_spec("matplotlib"):
        reported = installed(judged, "report", "run.json", "--output", "pages")
        assert reported.returncode == 0, reported.stderr
        assert "faults planted in a real adapter" in (judged / "pages" / "run.md").read_text(encoding="utf-8")
    left = {path.name for path in judged.iterdir()}
    assert left <= {"run.json", "pages", ".hypothesis", ".pytest_cache", ".benchmarks"}
    assert installed.files() == installed.before


def test_an_adapter_of_the_user_fails_in_the_folder_of_the_user(installed: Installed, tmp_path: Path) -> None:
    """And the case that it leaves there can be run again by the command that the failure names."""
    (tmp_path / "mine.py").write_text(DOUBLES, encoding="utf-8")
    done = installed(tmp_path, "run", "--adapter=mine:Doubles", "--cases=1", "--no-shrink", "-q", "tests/properties",
                     "-k", "test_the_corpus and forward", "-x")  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    (case, *_) = (tmp_path / "out" / "failures").rglob("*.json")
    assert f"rnn_equivalence adapters mine:Doubles {case.relative_to(tmp_path)}" in done.stdout
    again = installed(tmp_path, "adapters", "mine:Doubles", str(case.relative_to(tmp_path)), module=True)
    assert again.returncode == 1, again.stdout + again.stderr
    assert "disagrees" in again.stdout


def test_that_test_would_fail_where_ours_is_a_package(installed: Installed, tmp_path: Path) -> None:
    """With an __init__.py in suite/, pytest puts site-packages first: what is judged is then somebody else's.

    Seen in a process of xdist, which has not imported ours before pytest begins.
    """
    package = installed.suite / "__init__.py"
    package.touch()
    try:
        done = installed(tmp_path, *JUDGE)
    finally:
        package.unlink()
    assert done.returncode not in (0, 1)
    assert "the foreign adapters" in done.stdout + done.stderr


def test_the_wheel_says_what_can_be_loaded(installed: Installed, tmp_path: Path) -> None:
    done = installed(tmp_path, "adapters")
    assert "torch: " in done.stdout, done.stderr
    assert {"run", "campaign", "compact"} <= set(installed(tmp_path, "--help").stdout.split())
    told = installed(tmp_path, "run", "--framework=reference", "--", "--help").stdout  # pytest's own help
    assert told.count("--adapter=MODULE:CLASS") == 1
    assert installed(tmp_path, "sing").returncode == 2
    assert f", commit {suite()['commit']}" in installed(tmp_path, "--version").stdout


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A folder of the user's that has packages of our names, and settings of pytest, that must not be read."""
    for name in ("adapters", "reference", "tests", "harness", "findings", "evidence"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f'raise ImportError("the user\'s {name}")\n')
    (tmp_path / "conftest.py").write_text('raise ImportError("the user\'s conftest")\n')
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    return tmp_path


WITHOUT_PRIVILEGE = ("setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override", "--")


def test_a_read_only_installation_judges_and_reads_nothing_of_the_users(installed: Installed, crowded: Path) -> None:
    """Its owner may not write there either: an administrator is asked without the privilege to do so."""
    before = WITHOUT_PRIVILEGE if os.name == "posix" and os.geteuid() == 0 else ()
    if before and not shutil.which(before[0]):
        pytest.skip("setpriv is not here, without which an administrator may write everywhere")
    folders = [installed.packages, *(path for path in installed.packages.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        touched = subprocess.run([*before, "touch", str(installed.suite / "new")], check=False, capture_output=True)
        assert touched.returncode != 0, "that test can fail"
        done = installed(crowded, *JUDGE, "--evidence=run.json", before=before)
        assert done.returncode == 0, done.stdout + done.stderr
        verified = installed(crowded, "verify", "run.json", module=True, before=before)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        torch = pytest.importorskip("torch")
        torch.save(torch.nn.LSTM(3, 4), crowded / "lstm.pt")
        judged = installed(crowded, "judge", "lstm.pt", "--script", "lstm.py", before=before)
        assert judged.returncode == 0, judged.stdout + judged.stderr
        assert "agrees by the step bound" in judged.stdout
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_another_project_has_its_checks_of_the_wheel(installed: Installed, tmp_path: Path) -> None:
    """Where `import adapters` is somebody else's."""
    (tmp_path / "mine.py").write_text("from adapters.numpy.adapter import ReferenceAdapter\n", encoding="utf-8")
    code = (
        "from rnn_equivalence import checks_of; checks = checks_of('mine:ReferenceAdapter'); checks[0](); checks[20]()"
    )
    done = subprocess.run([installed.bin / "python", "-c", f"{code}; print(len(checks))"], cwd=tmp_path, text=True,
                          capture_output=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 90
