"""What a record says of findings: which are present, gone or changed, in the version that was judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("pydantic")

from evidence.record.reader import Unusable, read
from meta_tests.common.records import record, recording
from meta_tests.common.report import ASKED, evidence_of, finding, header, line, pinned, target
from meta_tests.common.wrong import FINDINGS, Wrong, ask_findings, known

EXPLAINED = line("disagrees") | {"outcome": "finding", "findings": ["F-001"]}


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        ([pinned()], "present"),
        ([pinned("agrees")], "gone"),
        ([pinned("disagrees")], "changed"),
        ([pinned("crashed")], "changed"),
        ([pinned("not offered")], "changed"),
        ([pinned(), pinned("agrees")], "changed"),
        ([pinned("agrees"), EXPLAINED], "gone"),
        ([EXPLAINED], "present"),
        ([line()], "not asked"),
    ],
)
def test_the_pinned_case_says_what_state_a_finding_is_in(tmp_path: Path, lines: list, state: str) -> None:
    head = header(targets=[target("one cpu") | {"findings": [finding()]}])
    (run,) = evidence_of(tmp_path, *lines, head=head).runs
    assert run.state("one cpu", "F-001") == state


def test_a_run_records_every_finding_of_a_framework_and_the_answer_to_its_case(tmp_path: Path) -> None:
    with known(), recording(tmp_path / "run.json", Wrong("F-901", "F-906")) as (asked,):
        ask_findings(asked)
    (run,) = read(tmp_path / "run.json").runs
    (of,) = run.header.targets
    assert {one.id: run.state(of.label, one.id) for one in of.findings} == {
        name: "present" if name in ("F-901", "F-906") else "gone" for name in FINDINGS
    }
    assert read(tmp_path / "run.json").present == {name: {f"reference {of.version}"} for name in ("F-901", "F-906")}
    assert of.findings[0].model_dump()["trigger"] == {"nonlinearity": ["relu"], "dtype": ["float32"]}
    assert of.findings[0].what == "agrees with the reference if both biases are ignored"
    lines = {one.property: one for one in run.verdicts}
    assert lines["finding F-906"].idiom == "twice"
    assert all(one.answer for one in lines.values())
    assert lines["finding F-901"].findings == ["F-901"]


def test_in_an_older_record_what_was_not_offered_was_called_refused(tmp_path: Path) -> None:
    old = target("one cpu")
    del old["refused"]
    lines = [line(), line("refused", features=ASKED | {"lengths": "with zeros"})]
    for head, outcome in ((header(targets=[old]), "not offered"), (header(), "refused")):
        (run,) = evidence_of(tmp_path, *lines, head=head).runs
        assert run.header.older == (outcome == "not offered")
        assert [one.outcome for one in run.verdicts] == ["agrees", outcome]


@pytest.mark.parametrize("link", ["http://a", "https://a/<b>", "https://a b", 'https://a/"', "javascript:alert(1)", ""])
def test_a_link_that_is_none_is_refused(tmp_path: Path, link: str) -> None:
    head = header(targets=[target("one cpu") | {"findings": [finding(link=link)]}])
    with pytest.raises(Unusable, match="link: String should match pattern"):
        evidence_of(tmp_path, head=head)


def test_a_header_is_read_without_what_is_new(tmp_path: Path) -> None:
    path = record(tmp_path / "run.json", Wrong()).path
    first = json.loads(path.read_text().splitlines()[0])
    assert {"refused", "findings"} <= first["targets"][0].keys()
