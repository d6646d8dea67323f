"""An upgrade: what is installed on each side. That it works end to end is shown in the README: it needs an index."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
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
    with pytest.raises(Unusable, match=r"--old: the constraints name none of flax, jax, keras, onnx, .*, torch"):
        upgrading.side("old", tmp_path, tmp_path, [str(tmp_path / "none.txt")])


def test_looser_constraints_are_tried_and_at_last_pip_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def pip(command: list[Any], **options: Any) -> subprocess.CompletedProcess[str]:
        seen.append((tmp_path / "old" / "constraints.txt").read_text().split())
        return subprocess.CompletedProcess(command, int(len(seen) < 2), "", "ResolutionImpossible")

    monkeypatch.setattr(upgrading.venv, "create", lambda folder, **options: folder.mkdir(exist_ok=True))
    monkeypatch.setattr(upgrading.subprocess, "run", pip)
    side = upgrading.side("old", tmp_path, tmp_path, ["torch==2.9"])
    upgrading.install(side, (["a==1", "b==1"], ["a==1"]))
    assert seen == [["a==1", "b==1"], ["a==1"]]
    seen.clear()
    with pytest.raises(Unusable, match=r"old: pip could not install torch==2\.9:\nResolutionImpossible"):
        upgrading.install(side, (["a==1"],))


@pytest.mark.parametrize(("adapter", "status"), [(Moved, 0), (Doubling, 1)])
def test_its_exit_status_is_that_of_the_difference(
    adapter: type[Mirror],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With environments that are only folders, and records made here."""
    monkeypatch.setattr(upgrading, "install", lambda side, attempts: side.folder.mkdir())
    monkeypatch.setattr(upgrading, "freeze", lambda side: [])
    made = {"old": Mirror, "new": adapter}
    monkeypatch.setattr(upgrading, "record", lambda side: record(side.record, made[side.name]()))
    arguments = ["upgrade", "--from", "torch==2.9", "--to", "torch==2.13.0", "--output", str(tmp_path / "up")]
    assert command.main(arguments) == status
    (folder,) = (tmp_path / "up").iterdir()
    files = ["difference.json", "difference.md", "new.json", "old.json"]
    assert sorted(path.name for path in folder.iterdir()) == files
    assert f"the records and the difference: {folder}" in capsys.readouterr().out
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    assert command.main(arguments) == status
    assert len(list((tmp_path / "up").iterdir())) == 2
    assert {path: path.read_bytes() for path in kept} == kept


def test_two_upgrades_at_once_do_not_disturb_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second begins, and ends, while the first records its old side."""
    monkeypatch.setattr(upgrading, "install", lambda side, attempts: side.folder.mkdir())
    monkeypatch.setattr(upgrading, "freeze", lambda side: [])
    begun: list[Path] = []

    def slowly(side: upgrading.Side) -> None:
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


def test_a_corpus_that_cannot_be_run_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    side = upgrading.side("old", tmp_path, tmp_path, ["torch==2.9"])
    done = subprocess.CompletedProcess([], 4, "", "ERROR: no framework to judge")
    monkeypatch.setattr(upgrading.subprocess, "run", lambda *given, **options: done)
    with pytest.raises(Unusable, match="old: the corpus could not be run: ERROR: no framework to judge"):
        upgrading.record(side)
