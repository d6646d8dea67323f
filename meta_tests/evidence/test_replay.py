"""Replaying a case of a record: it is found, it is the case that was asked, and no code is run that a file names."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("pydantic")

import adapters
from evidence.record import corpus
from evidence.record.reader import Evidence, Unusable, read
from evidence.replay import case_of, find, mode_of, replay, source_of
from meta_tests.common import command
from meta_tests.common.records import edited, few, record, recording
from meta_tests.common.references import Doubling, Mirror
from meta_tests.common.wrong import Wrong, ask_idioms, known


class Other(Doubling):
    name = "other"


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    drawn = [replace(case, x=case.x / 2) for case in few()[:2]]
    return record(tmp_path / "run.json", Mirror(), Other(), cases=[*few(), *drawn])


def test_a_case_is_found_by_id_name_or_number(evidence: Evidence) -> None:
    name, case = next(iter(corpus.cases().items()))
    for given in (case.id, case.id[:6], name, "000"):
        line, asked = find(evidence, given, "mirror cpu")
        assert (line.case, asked.label) == (case.id, "mirror cpu")
        assert case_of(line, asked) is case


def test_the_target_that_failed_is_meant_where_only_one_did(evidence: Evidence) -> None:
    line, asked = find(evidence, "000", None)
    assert (line.outcome, asked.label) == ("disagrees", "other cpu")


@pytest.mark.parametrize(
    ("name", "label", "words"),
    [
        ("ffffffffffffffff", None, "no case 'ffffffffffffffff', expected an id"),
        ("000", "torch cpu", "no case '000' of torch cpu"),
        ("", None, "no case ''"),
        ("05", None, "no case '05', expected an id .or at least its first 4 digits"),
    ],
)
def test_what_is_not_there_is_said(evidence: Evidence, name: str, label: str | None, words: str) -> None:
    with pytest.raises(Unusable, match=words):
        find(evidence, name, label)


def test_two_targets_have_to_be_told_apart(tmp_path: Path) -> None:
    class Second(Mirror):
        name = "second"

    with pytest.raises(Unusable, match="was asked of mirror cpu, second cpu: say which, with --target"):
        find(record(tmp_path / "run.json", Mirror(), Second()), "000", None)


def test_a_drawn_case_is_kept_where_it_did_not_agree(evidence: Evidence) -> None:
    drawn = [line for line in evidence.runs[0].verdicts if line.corpus is None]
    kept = [line for line in drawn if line.content]
    assert {line.target for line in kept} == {"other cpu"}
    targets = {target.label: target for target in evidence.runs[0].header.targets}
    other = targets["other cpu"]
    assert case_of(kept[0], other).id == kept[0].case
    right = next(line for line in drawn if line.target == "mirror cpu")
    with pytest.raises(Unusable, match="was not kept: a record keeps the corpus"):
        case_of(right, targets["mirror cpu"])
    with pytest.raises(Unusable, match="the case that was kept is "):
        case_of(kept[0].model_copy(update={"case": "0" * 16}), other)
    with pytest.raises(Unusable, match="format: got None"):
        case_of(kept[0].model_copy(update={"content": "{}"}), other)


def test_it_is_run_again(evidence: Evidence, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["replay", str(evidence.path), "000", "--target", "mirror cpu"]
    assert command.main([*arguments, "--adapter", "meta_tests.common.references:Mirror"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("recorded: mirror 1.2 on cpu: agrees, ")
    assert "\nmirror 1.2 on cpu: agrees by the step bound" in out
    assert command.main([*arguments, "--adapter", "meta_tests.common.references:Doubling"]) == 1
    assert "disagrees (value)" in capfd.readouterr().out


def test_it_is_run_in_the_mode_that_was_recorded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "run.json", Mirror())
    path = edited(tmp_path / "run.json", '"mode":"eager"},"sizes"', '"mode":"compiled"},"sizes"')
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))  # without its end, it is read
    name = next(line.corpus for line in read(path).runs[0].verdicts if line.features["mode"] == "compiled")
    asked = ["replay", str(path), name, "--adapter", "meta_tests.common.references:Refusing"]
    assert command.main(asked) == 1
    out = capfd.readouterr().out
    assert out.startswith("recorded: mirror 1.2 on cpu, in mode compiled: agrees")
    assert "not offered: mode compiled: the adapter's build takes no mode" in out
    assert command.main([*asked, "--mode", "eager"]) == 2
    assert "was not asked in mode 'eager', expected one of compiled" in capfd.readouterr().err


def test_it_is_run_in_the_idiom_that_was_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case of an idiom is made anew, and its word is handed on; where several were asked it, one must be named."""
    with known(), recording(tmp_path / "run.json", Wrong("F-906"), selection="a part") as (target,):
        ask_idioms(target, "last output", "twice")
    evidence, commands = read(tmp_path / "run.json"), []
    line = next(line for line in evidence.runs[0].verdicts if line.idiom == "last output")

    def run(command: list[str], **words: object) -> SimpleNamespace:
        commands.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    with known():
        with pytest.raises(Unusable, match="was asked in the idioms last output, twice: say which, with --idiom"):
            replay(evidence, line.case, None, None, False)
        with pytest.raises(Unusable, match="was not asked in the idiom 'held', expected one of last output, twice"):
            replay(evidence, line.case, None, None, False, idiom="held")
        assert replay(evidence, line.case, None, None, False, idiom="last output") == 0
        assert replay(evidence, line.case, None, None, True, idiom="twice") == 0
    assert [command[-2:] for command in commands] == [
        ["--mode=eager", "--idiom=last output"], ["--script", "--idiom=twice"]
    ]  # fmt: skip


PUBLISHED = Path(__file__).parents[2] / "evidence" / "published" / "evidence.compact.json.xz"


def test_every_number_and_target_of_the_published_record_can_be_replayed() -> None:
    """An exact number of the corpus is meant, also where an id begins so; eager, also where a mode was refused."""
    evidence = read(PUBLISHED)
    labels = {target.label: target for run in evidence.runs for target in run.header.targets}
    assert {source_of(target) for target in labels.values()} <= set(adapters.KNOWN)
    run = evidence.runs[0]
    torch = tuple(line for line in run.verdicts if line.corpus and line.target == "torch cpu")
    few_lines = replace(evidence, runs=(replace(run, verdicts=torch),))
    for name, case in corpus.cases().items():
        line, asked = find(few_lines, name.split()[0], "torch cpu")
        assert (line.case, line.corpus, asked.label, line.features["mode"]) == (case.id, name, "torch cpu", "eager")
    for label in labels:
        line, asked = find(evidence, "000 forward batch_first tanh float32 plain", label)
        outcome = "not offered" if label == "equinox cpu" else "agrees"  # Equinox has no Elman cell
        assert (line.outcome, asked.label, line.features["mode"]) == (outcome, label, "eager")
    line, _ = find(evidence, "000", "torch cpu", "functional")
    assert line.outcome == "not offered"
    every = ", ".join(sorted(labels.keys() - {"equinox cpu"}))
    with pytest.raises(Unusable, match=re.escape(f"case 000 was asked of {every}: say which, with --target")):
        find(evidence, "000", None)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("device", "cpu --help", "device: got 'cpu --help', expected cpu, cuda, or cuda: and a number"),
        ("device", "cuda:0'); import os #", "device: got"),
        ("device", "", "device: got ''"),
        ("backend", "os", "backend: got 'os', expected tensorflow, torch, jax, numpy or openvino"),
        ("source", "meta_tests.common.references:Mirror", "code of its own"),
    ],
)
def test_what_a_record_names_is_checked_before_anything_is_run(
    evidence: Evidence, field: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"adapter": "keras", "source": "keras", "backend": "jax"}
    header = evidence.runs[0].header
    targets = [target.model_copy(update=known | {field: value}) for target in header.targets]
    run = replace(evidence.runs[0], header=header.model_copy(update={"targets": targets}))
    monkeypatch.setattr("evidence.replay.subprocess.run", lambda *a, **k: pytest.fail("it was run"))
    for script in (False, True):
        with pytest.raises(Unusable, match=re.escape(words)):
            replay(replace(evidence, runs=(run,)), "000", "mirror cpu", None, script)


def test_a_mode_that_is_none_is_refused(evidence: Evidence) -> None:
    line = next(iter(evidence.runs[0].verdicts))
    with pytest.raises(Unusable, match="mode: got 'quick', expected one of eager, "):
        mode_of(line.model_copy(update={"features": line.features | {"mode": "quick"}}))


def test_code_that_a_file_names_is_not_run(evidence: Evidence, capfd: pytest.CaptureFixture[str]) -> None:
    assert command.main(["replay", str(evidence.path), "000", "--target", "mirror cpu"]) == 2
    assert "the run judged 'meta_tests.common.references:Mirror', code of its own" in capfd.readouterr().err
    (_, asked) = find(evidence, "000", "mirror cpu")
    for source in ("os:abort", "--help", "a b", "", "torch-", "numpy"):
        with pytest.raises(Unusable, match="code of its own"):
            source_of(asked.model_copy(update={"source": source}))
    for source in ("torch", "torch-onnx"):
        assert source_of(asked.model_copy(update={"source": source})) == source


def test_the_record_is_the_same_after_reading(evidence: Evidence) -> None:
    assert read(evidence.path) == evidence
