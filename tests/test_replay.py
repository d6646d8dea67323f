"""Replaying a case of a record: it is found, it is the case that was asked, and no code is run that a file names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pydantic")

from evidence import __main__ as command
from evidence import corpus
from evidence.reading import Evidence, Unusable, read
from evidence.replaying import case_of, find, source_of

from .mirror import Doubling, Mirror
from .recorded import edited, few, record


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
        assert case_of(line) is case


def test_the_target_that_failed_is_meant_where_only_one_did(evidence: Evidence) -> None:
    line, asked = find(evidence, "000", None)
    assert (line.outcome, asked.label) == ("disagrees", "other cpu")


@pytest.mark.parametrize(
    ("name", "label", "words"),
    [
        ("ffffffffffffffff", None, "no case 'ffffffffffffffff', expected an id"),
        ("000", "torch cpu", "no case '000' of torch cpu"),
        ("", None, "begins 9 cases"),
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
    assert case_of(kept[0]).id == kept[0].case
    right = next(line for line in drawn if line.target == "mirror cpu")
    with pytest.raises(Unusable, match="was not kept: a record keeps the corpus"):
        case_of(right)
    with pytest.raises(Unusable, match="the case that was kept is "):
        case_of(kept[0].model_copy(update={"case": "0" * 16}))
    with pytest.raises(Unusable, match="format: got None"):
        case_of(kept[0].model_copy(update={"content": "{}"}))


def test_it_is_run_again(evidence: Evidence, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["replay", str(evidence.path), "000", "--target", "mirror cpu"]
    assert command.main([*arguments, "--adapter", "tests.mirror:Mirror"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("recorded: mirror 1.2 on cpu: agrees, ")
    assert "\nmirror 1.2 on cpu: agrees by the step bound" in out
    assert command.main([*arguments, "--adapter", "tests.mirror:Doubling"]) == 1
    assert "disagrees (value)" in capfd.readouterr().out


def test_it_is_run_in_the_mode_that_was_recorded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "run.json", Mirror())
    path = edited(tmp_path / "run.json", '"mode":"eager"},"sizes"', '"mode":"compiled"},"sizes"')
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))  # without its end, it is read
    asked = ["replay", str(path), "000", "--adapter", "tests.mirror:Refusing"]
    assert command.main(asked) == 1
    assert "refused: mode compiled: the adapter's build takes no mode" in capfd.readouterr().out


def test_code_that_a_file_names_is_not_run(evidence: Evidence, capfd: pytest.CaptureFixture[str]) -> None:
    assert command.main(["replay", str(evidence.path), "000", "--target", "mirror cpu"]) == 2
    assert "the run judged 'tests.mirror:Mirror', code of its own" in capfd.readouterr().err
    (_, asked) = find(evidence, "000", "mirror cpu")
    for source in ("os:abort", "--help", "a b", ""):
        with pytest.raises(Unusable, match="code of its own"):
            source_of(asked.model_copy(update={"source": source}))
    assert source_of(asked.model_copy(update={"source": "torch"})) == "torch"


def test_the_record_is_the_same_after_reading(evidence: Evidence) -> None:
    assert read(evidence.path) == evidence
