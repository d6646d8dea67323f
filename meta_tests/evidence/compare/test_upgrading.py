"""An upgrade: what is installed on each side. docs/upgrade.md shows that it works: it needs an index."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

pytest.importorskip("pydantic")

from evidence.compare import upgrade as upgrading
from evidence.record.journal import partial_path
from evidence.record.reader import Unusable
from meta_tests.common import command
from meta_tests.common.records import record
from meta_tests.common.references import Doubling, Mirror, Moved


def test_a_package_comes_with_those_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert upgrading.companions(["keras==3.5.0"]) == ["keras", "tensorflow"]
    assert upgrading.companions(["tensorflow==2.19"]) == ["keras", "tensorflow"]
    assert upgrading.companions(["torch==2.9"]) == ["torch"]
    assert upgrading.companions(["jax<1"]) == ["keras", "jax"]
    assert upgrading.companions(["numpy==2.0"]) == []
    assert upgrading.companions(["onnxruntime==1.30"]) == ["onnx", "onnxruntime"]
    assert upgrading.companions(["openvino==2026.3", "flax"]) == ["onnx", "openvino", "flax"]
    assert upgrading.companions(["onnxscript"]) == ["torch", "onnx", "onnxruntime", "onnxscript"]
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert upgrading.companions(["keras==3.5.0"]) == ["torch"]
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert upgrading.companions(["Keras == 3.5.0"]) == ["keras", "jax"]
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    assert upgrading.companions(["keras==3.5.0"]) == ["keras", "jax"]
    monkeypatch.setenv("KERAS_BACKEND", "openvino")
    assert upgrading.companions(["keras==3.15.0"]) == ["keras", "openvino", "scipy"]


@pytest.mark.parametrize(
    ("requirement", "name"),
    [("keras==3.5.0", "keras"), ("ML_dtypes>=0.4", "ml-dtypes"), ("a.b[c]~=1", "a-b"), ("torch", "torch")],
)
def test_a_requirement_has_a_name(requirement: str, name: str) -> None:
    assert upgrading.package(requirement) == name


@pytest.mark.parametrize("given", ["--index-url=x", "keras @ https://example.org/k.whl", "", "no/such/file.txt"])
def test_what_is_no_requirement_is_refused(given: str, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"expected a requirement such as keras==3\.5\.0, or a constraints file"):
        upgrading.side("old", tmp_path, tmp_path, [given])


def test_a_constraints_file_asks_for_the_frameworks_that_it_pins(tmp_path: Path) -> None:
    (tmp_path / "pins.txt").write_text("numpy==2.0.2\ntorch==2.9.0  # ours\n")
    side = upgrading.side("old", tmp_path, tmp_path, [str(tmp_path / "pins.txt")])
    assert side.asked == ("torch==2.9.0",)
    assert side.pins == ("numpy==2.0.2", "torch==2.9.0")
    assert side.requirements[0] == "torch==2.9.0"
    (tmp_path / "none.txt").write_text("numpy==2.0.2\n")
    with pytest.raises(
        Unusable, match=r"--old: the constraints name none of ai-edge-litert, equinox, flax, jax, .*, torch, tract"
    ):
        upgrading.side("old", tmp_path, tmp_path, [str(tmp_path / "none.txt")])


class Pip:
    """Stands for the commands of an upgrade: what each pip was asked, and what it answers.

    fails: which installations fail, by their number.  frozen: side -> what stands in its environment.
    """

    def __init__(self, fails: tuple[int, ...] = (), **frozen: str) -> None:
        self.fails, self.frozen, self.seen = fails, frozen, list[list[str]]()

    def run(self, command: list[Any], *hear: Any, **options: Any) -> tuple[int, str]:
        if "freeze" in command:
            return 0, self.frozen[command[command.index("freeze") - 1].parts[-3]]
        if "venv" in command:
            assert ("--without-pip" in command) == upgrading.PIP
            command[-1].mkdir()
            return 0, ""
        assert command[0] == (
            sys.executable if upgrading.PIP else command[command.index("-c") + 1].parent / "bin" / "python"
        )
        self.seen.append(command[command.index("-c") + 1].read_text().split())
        failed = len(self.seen) - 1 in self.fails
        return int(failed), "ResolutionImpossible" * failed


@pytest.mark.parametrize("ours", [True, False])
def test_looser_constraints_are_tried_and_at_last_pip_is_quoted(
    ours: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pip of this Python; and, where it has none, with pip of the environment."""
    monkeypatch.setattr(upgrading, "PIP", ours)
    pip: Any = Pip(fails=(0,))
    upgrading.install(pip, (["a==1", "b==1"], ["a==1"]), upgrading.side("old", tmp_path, tmp_path, ["torch==2.9"]))
    assert pip.seen == [["a==1", "b==1"], ["a==1"]]
    pip = Pip(fails=(0,))
    with pytest.raises(Unusable, match=r"new: pip could not install torch==2\.9:\nResolutionImpossible"):
        upgrading.install(pip, (["a==1"],), upgrading.side("new", tmp_path, tmp_path, ["torch==2.9"]))


@pytest.mark.parametrize(
    ("old", "new", "fails", "seen"),
    [
        ("torch==2.9\na==1\nnumpy==2.0\n", "torch==2.10\na==1\nnumpy==2.0\nc==1\n", (), []),
        ("torch==2.9\na==1\nnumpy==2.0\n", "torch==2.10\na==2\nnumpy==2.0\n", (), [["a==1", "numpy==2.0"]]),
        ("torch==2.9\na==1\nnumpy==2.0\n", "torch==2.10\na==2\nnumpy==2.0\n", (0, 1),
         [["a==1", "numpy==2.0"], ["numpy==2.0"]]),
        ("torch==2.9\nWARNING: a==1 is old\n", "torch==2.10\na==2\n", (), []),
    ],
)  # fmt: skip
def test_the_second_side_gets_what_the_first_has_of_all_else(
    old: str, new: str, fails: tuple[int, ...], seen: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another version of a package stands there; as it is, where pip finds no way."""
    monkeypatch.setattr(upgrading, "PIP", True)
    sides = [upgrading.side(name, tmp_path, tmp_path, [f"torch=={name}"]) for name in ("old", "new")]
    for side in sides:
        side.folder.mkdir()
    pip: Any = Pip(fails, old=old, new=new)
    upgrading.align(pip, *sides, {"torch"})
    assert pip.seen == seen


@pytest.mark.parametrize(("adapter", "status"), [(Moved, 0), (Doubling, 1)])
def test_its_exit_status_is_that_of_the_difference(
    adapter: type[Mirror],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With environments that are only folders, and records made here."""
    monkeypatch.setattr(upgrading, "install", lambda both, attempts, side: side.folder.mkdir())
    monkeypatch.setattr(upgrading, "freeze", lambda both, side: [])
    made = {"old": Mirror, "new": adapter}
    monkeypatch.setattr(upgrading, "record", lambda both, side: record(side.record, made[side.name]()))
    arguments = ["upgrade", "--from", "torch==2.9", "--to", "torch==2.13.0", "--output", str(tmp_path / "up")]
    assert command.main(arguments) == status
    (folder,) = (tmp_path / "up").iterdir()
    files = ["difference.json", "difference.md", "new.json", "old.json"]
    assert sorted(path.name for path in folder.iterdir()) == files
    said = capsys.readouterr().out
    assert f"the records and the difference: {folder}" in said
    each = r"\d+\.\d s \(old \d+\.\d, new \d+\.\d\), "
    assert re.search(rf"environments {each}judging {each}comparing \d+\.\d s; all, .*, \d+\.\d s\n$", said)
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    assert command.main(arguments) == status
    assert len(list((tmp_path / "up").iterdir())) == 2
    assert {path: path.read_bytes() for path in kept} == kept


def test_two_upgrades_at_once_do_not_disturb_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second begins, and ends, while the first records its old side."""
    monkeypatch.setattr(upgrading, "install", lambda both, attempts, side: side.folder.mkdir())
    monkeypatch.setattr(upgrading, "freeze", lambda both, side: [])
    begun: list[Path] = []

    def slowly(both: Any, side: upgrading.Side) -> None:
        partial_path(side.record).touch(exist_ok=False)
        begun.append(side.record)
        if len(begun) == 1:
            assert upgrading.command(["torch==2.9"], ["torch==2.13.0"], tmp_path) == 0
        partial_path(side.record).unlink()
        record(side.record, Mirror())

    monkeypatch.setattr(upgrading, "record", slowly)
    assert upgrading.command(["torch==2.9"], ["torch==2.13.0"], tmp_path) == 0
    assert len(set(begun)) == 4


def test_a_constraints_file_that_is_none_is_refused(tmp_path: Path) -> None:
    large, binary, long = (tmp_path / name for name in ("large", "binary", "long"))
    large.write_bytes(b"torch==2.9\n" * 100_000)
    binary.write_bytes(b"torch==2.9\xff")
    long.write_text("torch==" + "9" * 2_000)
    for path, words in (
        (large, "expected at most 1,048,576"),
        (binary, "can't decode byte"),
        (long, "at most 1000 char"),
    ):
        with pytest.raises(Unusable, match=words):
            upgrading.side("old", tmp_path, tmp_path, [str(path)])
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Unusable, match="expected a requirement such as"):
        upgrading.side("old", tmp_path, tmp_path, [str(tmp_path / "fifo")])


@pytest.mark.parametrize("step", ["install", "record"])
def test_both_sides_are_installed_and_judged_at_once(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the other to begin; then the old side fails, and it is the old side that is named."""
    began = Barrier(2, timeout=60)

    def meet(both: Any, *given: Any) -> None:
        began.wait()
        if given[-1].name == "old":
            raise Unusable("old: no space left")
        both.run([sys.executable, "-c", "import time; time.sleep(600)"])

    monkeypatch.setattr(upgrading, "install", lambda both, attempts, side: side.folder.mkdir())
    monkeypatch.setattr(upgrading, "freeze", lambda both, side: [])
    monkeypatch.setattr(upgrading, step, meet)
    with pytest.raises(Unusable, match=r"^old: no space left$"):
        upgrading.command(["torch==2.9"], ["torch==2.13.0"], tmp_path)


def test_the_cases_of_findings_are_asked_beside_the_corpus(tmp_path: Path) -> None:
    asked: list[Any] = []

    class Both:
        def run(self, command: list[Any], hear: Any, **options: Any) -> tuple[int, str]:
            asked.extend(command)
            return 0, ""

    upgrading.record(Both(), upgrading.side("old", tmp_path, tmp_path, ["torch==2.9"]))  # type: ignore[arg-type]
    assert {"tests/properties/test_corpus.py", "tests/properties/test_findings.py"} <= set(asked)


def test_what_a_run_says_of_its_progress_is_passed_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["....", "12 of 856 tests, 9 cases, 3 a second: test_x", "2 failed, 854 passed in 10.51s", "cases: 8"]

    class Told:
        def run(self, command: list[Any], hear: Any, **options: Any) -> tuple[int, str]:
            for line in lines:
                hear(line)
            return 0, "\n".join(lines)

    told: Any = Told()
    upgrading.record(told, upgrading.side("new", tmp_path, tmp_path, ["torch==2.9"]))
    assert capsys.readouterr().out.splitlines() == ["new: running the corpus", *(f"new: {line}" for line in lines[1:3])]


def test_a_corpus_that_cannot_be_run_is_no_result(tmp_path: Path) -> None:
    class Failed:
        def run(self, *given: Any, **options: Any) -> tuple[int, str]:
            return 4, "ERROR: no framework to judge"

    failed: Any = Failed()
    with pytest.raises(Unusable, match="old: the corpus could not be run: ERROR: no framework to judge"):
        upgrading.record(failed, upgrading.side("old", tmp_path, tmp_path, ["torch==2.9"]))
