"""The report and the badge name the findings that are present, each with its link and how to avoid it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from evidence import report
from evidence.record.reader import Evidence
from meta_tests.common import command
from meta_tests.common.report import Page, evidence_of, finding, header, line, pinned, target
from meta_tests.evidence.report.test_report_conclusion import heading

FINDINGS = [finding(1), finding(2), finding(3, kind="documented", title="A default"), finding(4)]


def made(folder: Path, *lines: dict[str, Any], **changes: Any) -> Evidence:
    """Of two frameworks that may have the same findings."""
    targets = [target(label) | {"findings": FINDINGS} for label in ("one cpu", "two cpu")]
    return evidence_of(folder, line(), line(), *lines, head=header(targets=targets), **changes)


def test_the_headline_counts_what_is_present_and_names_it(tmp_path: Path) -> None:
    one = made(tmp_path, pinned(number=2), pinned(), pinned("agrees", 4), pinned(number=3))
    assert heading(one) == "3 answers agree; 2 findings present in one 1.0: F-001, F-002."
    both = made(tmp_path, pinned(), pinned(label="two cpu"), pinned(number=2, label="two cpu"))
    assert heading(both) == "2 answers agree; 2 findings present in one 1.0: F-001; in two 1.0: F-001, F-002."
    same = made(tmp_path, pinned(), pinned(label="two cpu"))
    assert heading(same) == "2 answers agree; 1 finding present in one 1.0 and two 1.0: F-001."
    html = report.render_html(same)
    assert 'class="verdict warn"' in html
    assert "<title>findings: " in html
    assert "Everything agrees" not in html


def test_each_has_a_line_with_its_link_and_how_to_avoid_it(tmp_path: Path) -> None:
    evidence = made(tmp_path, pinned(), pinned("agrees", 4), pinned(number=3), line("left out", message="F-001"))
    text = Page(report.render_html(evidence)).text
    first, rest = text.split("Documented defaults", 1)
    assert "Findings F-001 It is wrong in the 1th way (one 1.0; 2 verdicts) To avoid it: Use another." in first
    assert "Reported: https://example.org/issues/1" in first
    assert "F-003" not in first.split("Findings")[1]
    documented, gone = rest.split("Gone, of what other versions have wrong: ", 1)
    assert "F-003 A default (one 1.0; 1 verdict)" in documented
    assert gone.startswith("F-004 in one 1.0.")
    assert "F-004" not in documented
    assert "https://example.org/issues/1" in Page(report.render_html(evidence)).links
    brief = report.render_markdown(evidence, brief=True)
    assert "F-001 It is wrong in the 1th way (one 1.0; 2 verdicts). To avoid it: Use another. Reported: <" in brief
    assert "<https://example.org/issues/1>" in brief
    assert "1 case was left out: the findings named say why." in brief


def test_documented_defaults_are_not_in_the_count_and_yet_not_everything_agrees(tmp_path: Path) -> None:
    said = "2 answers of 2 targets lie within their bounds; where 1 documented default is at work, they differ: F-003."
    assert heading(made(tmp_path, pinned(number=3))) == said


def test_one_that_has_changed_is_bad(tmp_path: Path) -> None:
    evidence = made(tmp_path, pinned("disagrees"), pinned(number=2), exit_status=1)
    assert heading(evidence) == "Not everything agrees: 1 answer disagrees and 1 finding changed: F-001 in one 1.0."
    assert 'class="verdict bad"' in report.render_html(evidence)


def test_a_finding_in_a_disagreement_is_no_excuse(tmp_path: Path) -> None:
    evidence = made(tmp_path, pinned(), line("disagrees"), exit_status=1)
    assert heading(evidence) == "Not everything agrees: 1 answer disagrees."
    assert "F-001" in report.render_markdown(evidence, brief=True)


@pytest.mark.parametrize(
    ("lines", "message", "color"),
    [
        ([], "2 agree", "brightgreen"),
        ([pinned(number=3)], "2 agree", "brightgreen"),
        ([pinned(), pinned(number=2), pinned(label="two cpu")], "2 agree, 2 findings", "yellow"),
        ([pinned(), line("disagrees")], "1 answer disagrees", "red"),
    ],
)
def test_the_badge_is_made_of_the_conclusion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[Any], message: str, color: str
) -> None:
    evidence = made(tmp_path, *lines)
    assert command.main(["badge", str(evidence.path)]) == 0
    badge = {"schemaVersion": 1, "label": "rnn-equivalence", "message": message, "color": color}
    assert json.loads(capsys.readouterr().out) == badge
    assert command.main(["badge", str(evidence.path), "--output", str(tmp_path / "badge.json")]) == 0
    assert json.loads((tmp_path / "badge.json").read_text()) == badge


def test_a_compact_record_has_no_badge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evidence, small = made(tmp_path), tmp_path / "small.json"
    assert command.main(["compact", str(evidence.path), str(small)]) == 0
    assert command.main(["badge", str(small)]) == 2
    assert "a badge is made of the record in full" in capsys.readouterr().err
