"""A run as its user meets it: what warns, what crashes, what cannot be written, and what is no name at all."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import adapters
from adapters.__main__ import main
from harness import failures, plugin
from harness import targets as choosing
from harness.failures import Folder
from meta_tests.common import references as mirror
from meta_tests.common.process import ROOT, suite
from meta_tests.common.usual_case import usual
from reference import Case

CORPUS = "tests/properties/test_corpus.py"
REFERENCES = "meta_tests.common.references"
MIRROR = ("--adapter", f"{REFERENCES}:Mirror", "--device", "cpu")


def ended(path: Path) -> dict[str, object]:
    """The last line of a record."""
    return json.loads(path.read_text(encoding="utf-8").splitlines()[-1])


def test_warnings_are_no_verdicts_and_are_told_once(tmp_path: Path) -> None:
    """Of every kind, in every call, even where the user makes errors of warnings."""
    run = suite(
        "tests/properties",
        "-k",
        "keeps_the_contract or primitives or port and forward or step and one",
        "--adapter=meta_tests.common.warner:Alarmist",
        "-Werror",
        "-vv",
        f"--evidence={tmp_path}/run.json",
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    assert ended(tmp_path / "run.json")["exit_status"] == 0
    told = run.stdout.partition("warnings of the frameworks")[2].partition("\n=")[0]
    lines = [re.sub(r" \(shown \d+ times?\)", "", line) for line in told.splitlines()[1:]]
    assert sorted(lines) == [
        "DeprecationWarning: imported", "FutureWarning: devices", "ImportWarning: environment", "OwnWarning: dense",
        "PendingDeprecationWarning: made", "ResourceWarning: activation", "RuntimeWarning: run",
        "SyntaxWarning: capabilities", "UnicodeWarning: read", "UserWarning: build at <object object at 0x...>",
    ]  # fmt: skip


def test_our_own_tests_keep_warnings_as_errors(tmp_path: Path) -> None:
    import warnings

    with pytest.raises(UserWarning, match="ours"):
        warnings.warn("ours", stacklevel=1)


def without_override() -> None:
    """Root may write where nobody may, but for this; it holds for the process that is about to be started."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


@pytest.mark.skipif(sys.platform != "linux", reason="it is Linux' way to take a right from root")
def test_a_read_only_clone_at_a_path_that_is_not_ascii_loses_nothing(tmp_path: Path) -> None:
    """On a terminal of ASCII: pytest's cache, Hypothesis' and our failures cannot be written; the record can."""
    clone, written = tmp_path / "klön", tmp_path / "wörk"
    written.mkdir()
    for name in ("adapters", "reference", "tests", "evidence", "findings", "harness", "meta_tests"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("published", "data"))
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, clone / name)
    subprocess.run(["git", "init", "-q", str(clone)], check=False)  # whose answers name the path
    for path in (clone, *clone.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    eigen = f"from {REFERENCES} import Doubling\nclass Eigen(Doubling):\n    name = 'größe'\n"
    (written / "eigen.py").write_text(eigen, encoding="utf-8")
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TMPDIR": str(written),
                   "PYTHONPATH": str(written)}  # fmt: skip
    run = suite(CORPUS, "-k", "step and one and forward", "--adapter=eigen:Eigen", "--device=cpu", "--no-shrink",
                f"--evidence={written / 'rün.json'}", root=clone, environment=environment,
                cache=True, preexec_fn=without_override)  # fmt: skip
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout[-3000:] + run.stderr
    assert not (clone / "out").exists()
    assert ended(written / "rün.json")["exit_status"] == 1
    assert "PytestCacheWarning" in run.stdout
    assert "the case is not where failing cases are kept" in run.stdout
    assert "| target" in run.stdout, "the tables have lines of ASCII"
    (kept, *_) = written.glob("rnn-equivalence-*/*.json")
    again = subprocess.run([sys.executable, "-m", "adapters", "eigen:Eigen", str(kept)], cwd=clone, text=True,
                           env=os.environ | environment, capture_output=True, check=False)  # fmt: skip
    assert again.returncode == 1, again.stderr
    assert r"gr\xf6\xdfe 1.2 on cpu: disagrees" in again.stdout


def test_the_record_survives_another_plugin_that_fails(tmp_path: Path) -> None:
    """pytest's JUnit XML is written at the end of the session, too: here its folder is a file."""
    (tmp_path / "file").touch()
    run = suite(CORPUS, "-k", "step and one", *MIRROR, f"--evidence={tmp_path / 'run.json'}",
                f"--junitxml={tmp_path / 'file' / 'run.xml'}")  # fmt: skip
    assert run.returncode != 0
    assert "FileExistsError" in run.stderr
    assert ended(tmp_path / "run.json")["exit_status"] == pytest.ExitCode.INTERNAL_ERROR


KNOWN = {
    "there": (f"{REFERENCES}:Mirror", "numpy", "pip install there"),
    "broken": (f"{REFERENCES}:Unloadable", "numpy", "pip install broken"),
    "nowhere": (f"{REFERENCES}:Nowhere", "numpy", "pip install nowhere"),
    "gone": (f"{REFERENCES}:Mirror", "no-such-distribution", "pip install gone"),
    "alone": (f"{REFERENCES}:Alone", "numpy", "pip install alone openvino"),
}


def test_what_is_installed_and_fails_makes_a_run_fail_that_did_not_choose() -> None:
    """The header and the summary tell it from what is absent. Who names a framework is not concerned."""
    few = (CORPUS, "-k", "step and one", "--device=cpu", "-v")
    before = f"import adapters; adapters.KNOWN = {KNOWN!r}; sys.modules['openvino'] = None"
    run = suite(*few, before=before)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    assert "6 passed" in run.stdout
    assert "crashed: broken (installed, but fails: OSError: libbroken.so: no such file)" in run.stdout
    assert "crashed: nowhere (installed, but fails: devices() is empty" in run.stdout
    assert "absent: gone (no-such-distribution is not installed: pip install gone)" in run.stdout
    assert "absent: alone (installed, but not usable: import of openvino halted" in run.stdout
    assert "FAILED: installed, and does not load: broken, nowhere" in run.stdout
    rows = dict(re.findall(r"│ (broken|gone|alone) .*│ (\w+) +│\n", run.stdout))
    assert rows == {"broken": "crashed", "gone": "absent", "alone": "absent"}
    assert suite(*few, *MIRROR, "--collect-only", before=before).returncode == 0


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("raise ImportError('Keras 3.0.0 is refused: expected 3.5 or newer')", "absent"),  # by an adapter's own range
        ("import openvino", "absent"),  # a companion that is not installed
        ("import no_such_dependency", "crashed"),  # a framework's own dependency
        ("from json import no_such_name", "crashed"),
        ("raise ValueError('the wrong setting')", "crashed"),
        ("raise SystemExit(3)", "crashed"),
        ("import warnings; warnings.warn('old', DeprecationWarning)", "loads"),
    ],
)
@pytest.mark.usefixtures("recwarn")
def test_absent_and_crashed_are_told_apart(words: str, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def imported(name: str) -> object:
        exec(compile(words, str(ROOT / "adapters" / "planted.py"), "exec"))  # as if a file of ours said so
        return mirror

    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(adapters, "KNOWN", {"planted": ("adapters.planted:Mirror", "numpy", "pip install it")})
    monkeypatch.setattr(adapters.importlib, "import_module", imported)
    (found,) = adapters.available()
    assert found.state == state, found.problem
    assert found.loads == (not found.problem)


@pytest.mark.parametrize("name", ["ml_dtypes", "hypothesis"])
def test_a_package_that_the_suite_needs_and_lacks_is_named(name: str, tmp_path: Path) -> None:
    """An interpreter without site-packages, given all that is there but this one."""
    for path in Path(str(pytest.__file__)).parents[1].iterdir():
        if name not in path.name:
            (tmp_path / path.name).symlink_to(path)
    command = [sys.executable, "-S", "-m", "pytest", "meta_tests/harness/test_scale.py", "-p", "no:cacheprovider"]
    run = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True,
                         text=True, check=False)  # fmt: skip
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    expected = f"ERROR: No module named {name!r}; pip install -c constraints.txt numpy ml_dtypes hypothesis\n"
    assert (run.stdout.strip(), run.stderr) == ("", expected)


NO_ADAPTERS = {
    "": "adapter: got '', expected one of torch, keras",
    ":Mirror": "adapter: got ':Mirror', expected one of",
    f"{REFERENCES}:": "adapter: got 'meta_tests.common.references:', expected one of",
    f"{REFERENCES}:Mirror.run": "adapter: got 'meta_tests.common.references:Mirror.run', expected one of",
    "../mirror.py:Mirror": "adapter: got '../mirror.py:Mirror', expected one of",
    "refernce": "did you mean 'reference'?",
    "os:path": "adapter os:path: path of os is a module, expected a class",
    "os:getcwd": "os:getcwd: its name is None, expected str",
    f"{REFERENCES}:Mirrors": f"adapter {REFERENCES}:Mirrors: {REFERENCES} has no 'Mirrors'",
    f"{REFERENCES}:Unloadable": "adapter meta_tests.common.references:Unloadable: OSError: libbroken.so: no such file",
    "meta_tests.harness.test_run:Syntax": "adapter meta_tests.harness.test_run:Syntax: SyntaxError: invalid syntax",
    f"{REFERENCES}:Misnamed": r"its name is 'two\nlines', expected printable text on one line, of 1 to 200 characters",
    f"{REFERENCES}:Letters": "devices() is 'cpu', expected at least one name, such as ('cpu',)",
    f"{REFERENCES}:Nowhere": "devices() is empty, expected at least one name",
    f"{REFERENCES}:Lost": f"{REFERENCES}:Lost: devices() raised RuntimeError: the bus is gone",
    f"{REFERENCES}:Undeclaring": "its capabilities is {'cpu': 'everything'}, expected Capabilities",
    f"{REFERENCES}:Compiling": "its compiles is True, expected Compiles(mode) of a mode that it offers",
    f"{REFERENCES}:Elsewhere": "its compiles is Compiles(mode='traced', weights=True), expected Compiles(mode) of",
    f"{REFERENCES}:Fixed": f"{REFERENCES}:Fixed: it has no method set_weights",
}


def __getattr__(name: str) -> object:
    if name == "Syntax":
        return lambda: compile("class A(:", "a.py", "exec")
    raise AttributeError(name)


@pytest.mark.parametrize("name", NO_ADAPTERS)
def test_what_is_no_adapter_is_refused_in_one_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By python -m adapters, with exit status 2, and by pytest --adapter."""
    usual().save(tmp_path / "case.json")
    assert NO_ADAPTERS[name] in refused(monkeypatch, capsys, name, str(tmp_path / "case.json"))
    with pytest.raises(pytest.UsageError) as error:
        choosing.devices(choosing.load(name), [], name)
    assert NO_ADAPTERS[name] in str(error.value)
    assert "\n" not in str(error.value)


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What python -m adapters says of arguments that it refuses: the line after those that show its usage."""
    monkeypatch.setattr(sys, "argv", ["adapters", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    usage, _, line = capsys.readouterr().err.rpartition("error: ")
    assert usage.startswith("usage: ")
    assert line.count("\n") == 1
    return line


def test_what_is_no_case_file_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe that nobody writes into would be waited for."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("[1")
    for name, words in (("pipe", "no regular file"), ("", "no regular file"), ("text", "not JSON"), ("no", "No such")):
        assert words in refused(monkeypatch, capsys, "reference", str(tmp_path / name))


def test_a_device_that_is_not_there_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usual().save(tmp_path / "case.json")
    for asked in (str(tmp_path / "case.json"), "--check"):
        words = refused(monkeypatch, capsys, "reference", asked, "--device", "cuda")
        assert words == "device: got 'cuda', expected one of cpu\n"


def test_two_runs_leave_their_failures_apart_and_the_processes_of_one_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "FAILURES", tmp_path)
    one, other, case = Folder(), Folder(), usual()
    paths = [folder.save(case) for folder in (one, one, other)]
    assert paths[0] == paths[1] != paths[2], "a run's own file is replaced by the smaller case"
    monkeypatch.setenv("PYTEST_CURRENT_TEST", f"tests/test_a.py::{'long' * 100}[a/b] (call)")
    paths += [one.save(case)]
    monkeypatch.setenv("PYTEST_CURRENT_TEST", f"tests/test_a.py::{'long' * 100}[a-b] (call)")
    paths += [one.save(case)]
    assert len({Path(path).name for path in paths}) == 3
    assert all(Case.load(path).id == case.id for path in paths)
    worker = SimpleNamespace(workerinput={})
    config = SimpleNamespace(getoption={"pool": 5, "hypothesis_seed": "7"}.__getitem__)
    plugin.Plugin.pytest_configure_node(SimpleNamespace(run="the-run", config=config), worker)
    assert worker.workerinput == {"run": "the-run", "drawn": {"pool": 5, "hypothesis_seed": "7"}}


@pytest.mark.parametrize("path", ["README.md", "action.yml", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))])
def test_options_that_name_a_file_are_written_with_an_equals_sign(path: str) -> None:
    """pytest takes a path that stands by itself, once it exists, for the place of its configuration."""
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not re.findall(r"--(?:evidence|known-failures) \S+", text)
