"""The command line: what it takes, what it says of what it cannot use, and what works without click."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("click")

import adapters.__main__ as click_free
from findings.states import told
from meta_tests.common import command
from meta_tests.common.usual_case import usual
from rnn_equivalence.commands import commands

ROOT = Path(__file__).parents[2]
WITHOUT_CLICK = (
    "import runpy, sys; sys.modules['click'] = None; sys.argv[0] = 'x'; runpy.run_module({!r}, run_name='__main__')"
)
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "action.yml", ROOT / ".github" / "workflows" / "ci.yml",
         *(ROOT / "docs").glob("*.md")]  # fmt: skip


def without_click(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT_CLICK.format(module), *arguments], cwd=ROOT, text=True,
                          capture_output=True, check=False)  # fmt: skip


@pytest.mark.parametrize("module", ["rnn_equivalence", "adapters"])
def test_without_click_a_case_is_run_again_and_an_adapter_checked(module: str, tmp_path: Path) -> None:
    usual().save(tmp_path / "case.json")
    asked = ["adapters"] if module == "rnn_equivalence" else []
    run = without_click(module, *asked, "reference", str(tmp_path / "case.json"), "--device", "cpu", "--bound", "step")
    assert (run.returncode, run.stderr) == (0, "")
    assert "agrees by the step bound" in run.stdout
    assert without_click(module, *asked, "reference", "--check").returncode == 0


def test_without_click_the_suite_judges() -> None:
    run = without_click("pytest", "-q", "-p", "no:cacheprovider", "tests/properties/test_self_check.py",
                        "--framework=reference")  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr


def test_without_click_every_other_command_says_what_is_missing() -> None:
    run = without_click("rnn_equivalence", "verify", "run.json")
    assert run.returncode == 2
    assert run.stderr.endswith("; python3 -m pip install -c constraints.txt numpy ml_dtypes click\n")
    assert "click" in run.stderr.split(";")[0]
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["torch", "--check"], ["a:B", "case.json", "--device", "cuda:1"], ["torch", "c", "--mode=saved", "--script"],
     ["torch", "c", "--bound", "trajectory", "--mode", "train"]],
)  # fmt: skip
def test_adapters_is_read_alike_with_and_without_click(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(click_free, "command", lambda fail, **given: seen.append(given) or 1)
    assert click_free.main(arguments) == command.main(["adapters", *arguments]) == 1
    explains = [given.pop("explain") for given in seen]
    assert seen[0] == seen[1]
    assert explains == [None, told], "a room below findings knows none"


@pytest.mark.parametrize("arguments", [["--mode", "quick"], ["--bound", "none"], ["--nonsense"], ["a", "b", "c"]])
def test_what_adapters_does_not_take_is_refused_with_and_without_click(arguments: list[str]) -> None:
    assert command.main(["adapters", *arguments]) == 2
    with pytest.raises(SystemExit) as end:
        click_free.main(arguments)
    assert end.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sing"], "Error: No such command 'sing'."),
        (["--nonsense"], "Error: No such option"),
        (["adapters", "mxnet", "--check"], "Error: adapter: got 'mxnet', expected one of "),
        (["adapters", "torch", "case.json", "--bound=none"], "Error: Invalid value for '--bound'"),
        (["replay"], "Error: Missing argument 'FILE'."),
        (["judge"], "Error: Missing argument 'MODEL [MODEL]'."),
        (["upgrade", "--from", "a"], "Error: Missing option '--to'."),
        (["schema", "more"], "Error: Got unexpected extra argument (more)"),
        (["run", "tests/properties/no_such_test.py"], "Error: tests/properties/no_such_test.py: no such file"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_without_the_usage(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(words)
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nonsense"], "ERROR: unrecognized arguments: --nonsense"),
        (["--cases", "few"], "ERROR: argument --cases: invalid int value: 'few'"),
        (["--framework=mxnet"], "ERROR: --framework: got 'mxnet', expected one of "),
    ],
)
def test_what_run_cannot_use_is_one_sentence_too(arguments: list[str], words: str) -> None:
    run = subprocess.run([sys.executable, "-m", "rnn_equivalence", "run", *arguments], cwd=ROOT, text=True,
                         capture_output=True, check=False)  # fmt: skip
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(words)
    assert run.stderr.strip().count("\n") == 0


def test_no_tests_and_an_interrupt_are_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for status, ours in ((0, 0), (1, 1), (2, 130), (3, 3), (4, 2), (5, 2)):
        monkeypatch.setattr(pytest, "main", lambda *given, status=status: pytest.ExitCode(status))
        assert command.main(["run", "-k", "nothing"]) == ours


SCREEN = (24, 80)


@pytest.mark.parametrize("name", ["", *commands.commands])
def test_the_help_of_every_command_fits_a_screen(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([*filter(None, [name]), "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert 5 < len(lines) < SCREEN[0], "the prompt takes a line"
    assert max(map(len, lines)) <= SCREEN[1]


def test_version_says_the_commit(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--version"]) == 0
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True, capture_output=True, check=False).stdout
    said = capsys.readouterr().out
    assert re.match(r"rnn-equivalence \d+\.\d+\.\d+", said)
    assert commit.strip() in said


@pytest.mark.parametrize(
    ("typed", "offered"), [("rnn-equivalence ju", "judge"), ("rnn-equivalence judge --fra", "--framework")]
)
def test_the_shell_completes(typed: str, offered: str) -> None:
    asked = {"_RNN_EQUIVALENCE_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    code = "import sys; sys.argv[0] = 'rnn-equivalence'; from rnn_equivalence.__main__ import main; main()"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **asked}, text=True,
                         capture_output=True, check=False)  # fmt: skip
    assert f",{offered}\n" in run.stdout, run.stderr


@pytest.mark.parametrize(
    ("arguments", "old", "new", "output"),
    [
        (["--from", "a==1", "b", "--to", "a==2"], ("a==1", "b"), ("a==2",), None),
        (["--to=a==2", "b", "--from=a==1", "--output", "here"], ("a==1",), ("a==2", "b"), Path("here")),
    ],
)
def test_upgrade_takes_one_requirement_or_more(
    arguments: list[str], old: tuple[str], new: tuple[str], output: Path | None
) -> None:
    context = commands.commands["upgrade"].make_context("upgrade", arguments)
    assert context.params == {"old": old, "new": new, "output": output}


@pytest.mark.parametrize(
    "arguments", [["--from", "a", "--to"], ["--from", "--to", "a"], ["a", "--from", "a", "--to", "b"]]
)
def test_upgrade_without_a_requirement_is_refused(arguments: list[str]) -> None:
    assert command.main(["upgrade", *arguments]) == 2


def test_who_interrupts_gets_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 would be a no-go."""

    def interrupt(*given: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("evidence.compare.upgrade.side", interrupt)
    assert command.main(["upgrade", "--from", "a==1", "--to", "a==2", "--output", str(tmp_path)]) == 130
    monkeypatch.setattr("adapters.own.load", interrupt)
    (tmp_path / "lstm.pt").touch()
    assert command.main(["judge", str(tmp_path / "lstm.pt")]) == 130


def test_evidence_is_another_name_of_the_front_door() -> None:
    ran = [subprocess.run([sys.executable, "-m", module, "verify", "nowhere.json"], cwd=ROOT, text=True,
                          capture_output=True, check=False) for module in ("evidence", "rnn_equivalence")]  # fmt: skip
    assert ran[0].stderr == ran[1].stderr == "Error: nowhere.json: no such file\n"
    assert ran[0].returncode == ran[1].returncode == 2


def unknown(text: str) -> set[str]:
    """The commands of ours that a text names and nobody has; any of an older name."""
    named = set(re.findall(r"(?:python3? -m rnn_equivalence|\brnn-equivalence) ([a-z]+)\b", text))
    return (named - set(commands.commands)) | set(re.findall(r"python3? -m (?:evidence|adapters) [\w-]+", text))


def test_the_documents_name_commands_that_exist_and_by_one_name() -> None:
    texts = [path.read_text(encoding="utf-8") for path in TEXTS]
    assert sum("-m rnn_equivalence" in text for text in texts) > 5
    assert set().union(*map(unknown, texts)) <= {"python -m adapters on"}


def test_that_test_would_fail() -> None:
    assert unknown("`python -m rnn_equivalence sing` and `python -m evidence verify x`") == {
        "sing", "python -m evidence verify",
    }  # fmt: skip


def extras_of(noxfile: str, session: str) -> set[str]:
    """The words that a session of the noxfile says to `install`."""
    (function,) = (node for node in ast.parse(noxfile).body if getattr(node, "name", "") == session)
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
    return {str(argument.value) for call in calls if ast.unparse(call.func) == "install" for argument in call.args
            if isinstance(argument, ast.Constant)}  # fmt: skip


def test_where_all_tests_run_nothing_that_they_need_is_missing() -> None:
    """Else test_wheel.py would be skipped by everybody, and nobody would see it."""
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    needed = {"keras-export", "proof", "evidence", "campaign", "wheel"}
    assert extras_of(noxfile, "tests") == extras_of(noxfile, "nightly") == needed
    assert "wheel" not in extras_of(noxfile.replace(', "wheel")', ")"), "tests")
    assert "python3 -m nox -s tests\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
