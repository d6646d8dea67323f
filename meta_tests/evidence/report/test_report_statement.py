"""The statement beside a report: it has the published form, names the file, and says what the page says."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evidence import report
from evidence.record.reader import read
from evidence.report.columns import columns
from evidence.report.statement import statement
from meta_tests.common.report import (
    ASKED,
    FEATURES,
    ended,
    evidence_of,
    failed_test,
    finding,
    finished,
    header,
    line,
    pinned,
    target,
)

ROOT = Path(__file__).parents[3]

# https://github.com/in-toto/attestation, spec/v1/statement.md, digest_set.md, resource_descriptor.md, test-result.md
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern="^[0-9a-f]{40}$")]


class Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Digest(Form):
    """Of the algorithms that the text names those that we use."""

    sha256: Sha256 | None = None
    git: Commit | None = Field(None, alias="gitCommit")

    @model_validator(mode="after")
    def _one(self) -> Digest:
        assert (self.sha256 is None) != (self.git is None)
        return self


class Descriptor(Form):
    """One of uri, digest and content it must have; ours have a digest, as a subject must."""

    name: Annotated[str, Field(min_length=1)]
    digest: Digest
    annotations: dict[str, Any] = {}


class Predicate(Form):
    result: Literal["PASSED", "WARNED", "FAILED"]
    configuration: Annotated[list[Descriptor], Field(min_length=1)]
    passedTests: list[str]  # noqa: N815
    warnedTests: list[str]  # noqa: N815
    failedTests: list[str]  # noqa: N815


class Statement(Form):
    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: Annotated[list[Descriptor], Field(min_length=1)]
    predicateType: Literal["https://in-toto.io/attestation/test-result/v0.1"]  # noqa: N815
    predicate: Predicate


def said(folder: Path, *lines: Any, **words: Any) -> dict[str, Any]:
    evidence = evidence_of(folder, *lines, **words)
    made = statement(evidence, columns(evidence))
    Statement.model_validate_json(json.dumps(made))
    return made["predicate"]


def test_it_says_what_the_page_says(tmp_path: Path) -> None:
    passed = said(tmp_path, line())
    assert (passed["result"], passed["passedTests"]) == ("PASSED", ["one cpu, 1.0"])
    failed = said(tmp_path, line(), line("disagrees"), failed_test())
    assert failed["result"] == "FAILED"
    assert failed["failedTests"] == ["one cpu, 1.0", "tests/test_a.py::test_b[x]"]
    head = header(targets=[target("one cpu") | {"findings": [finding()]}])
    warned = said(tmp_path, line(), pinned(), head=head)
    assert (warned["result"], warned["warnedTests"]) == ("WARNED", ["one cpu, 1.0"])


def test_a_target_is_told_by_cell_and_the_reference_is_none(tmp_path: Path) -> None:
    head = header("one cpu", "reference cpu", features=FEATURES | {"cell": ["elman", "gru", "lstm"]})
    asked = [line(label=label, features=ASKED | {"cell": cell})
             for label in ("one cpu", "reference cpu") for cell in ("elman", "gru")]  # fmt: skip
    lacks = line("not offered", features=ASKED | {"cell": "lstm", "lengths": "with zeros"})
    assert said(tmp_path, *asked, lacks, head=head)["passedTests"] == ["one cpu, 1.0: elman", "one cpu, 1.0: gru"]


def test_it_names_the_file_the_commit_the_corpus_and_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, text = tmp_path / "run.json.gz", finished(header(), [line()], ended())
    path.write_bytes(gzip.compress(text))
    assert report.command(path) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path / f'run.{kind}'}" for kind in ("html", "md", "intoto.json")
    ]
    made = json.loads((tmp_path / "run.intoto.json").read_text(encoding="ascii"))
    Statement.model_validate_json(json.dumps(made))
    digests = {one["name"]: one["digest"]["sha256"] for one in made["subject"]}
    assert digests == {
        "run.json.gz": hashlib.sha256(path.read_bytes()).hexdigest(),
        "run.json": hashlib.sha256(text).hexdigest(),
    }
    configuration = made["predicate"]["configuration"]
    assert [one["name"].split()[0] for one in configuration] == ["rnn-equivalence", "corpus", "run"]
    assert configuration[0]["digest"] == {"gitCommit": "c" * 40}
    (run,) = read(path).runs
    assert run.end is not None
    assert configuration[2]["digest"] == {"sha256": run.end.sha256}
    assert configuration[2]["annotations"]["targets"] == {"one cpu": "1.0"}


@pytest.mark.parametrize(("at", "wrong"), [
    ("result", "GOOD"), ("configuration", [{"name": "without a digest"}]), ("passedTests", [1]), ("more", 1),
])  # fmt: skip
def test_the_schema_refuses_another_form(at: str, wrong: Any, tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, line())
    made = statement(evidence, columns(evidence))
    made["predicate"][at] = wrong
    with pytest.raises(ValidationError):
        Statement.model_validate_json(json.dumps(made))


def test_the_action_signs_the_predicate_of_the_statement(tmp_path: Path) -> None:
    """Its step that reports, run as it stands; the step that signs takes the files that this one names."""
    action = (ROOT / "action.yml").read_text(encoding="utf-8")
    script = textwrap.dedent(action.split("- name: Report\n")[1].split("run: |\n")[1].split("\n\n")[0])
    evidence = evidence_of(tmp_path, line())
    files = {name: tmp_path / name.lower() for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    given = {"FOLDER": tmp_path, "EVIDENCE": evidence.path.name, "STATUS": 0, "RUNNER_TEMP": tmp_path, **files}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **{name: str(value) for name, value in given.items()}, "PATH": path}
    subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], cwd=ROOT, env=environment, check=True, capture_output=True
    )
    predicate = json.loads((tmp_path / "predicate.json").read_text(encoding="ascii"))
    assert predicate == json.loads((tmp_path / "run.intoto.json").read_text(encoding="ascii"))["predicate"]
    assert (tmp_path / "github_output").read_text(encoding="ascii") == "written=true\n"
    assert "predicate-path: ${{ runner.temp }}/predicate.json" in action
    assert (
        f"predicate-type: {Statement.model_validate(statement(evidence, columns(evidence))).predicateType}\n" in action
    )
