"""The report's tables: what was counted of each target, and the state of each cell."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from evidence import report
from evidence.record.ledger import FIRST_AXES
from evidence.record.reader import read
from evidence.report.columns import columns
from meta_tests.common.records import multiplied
from meta_tests.common.references import Mirror
from meta_tests.common.report import ASKED, FEATURES, Page, case_of, evidence_of, header, line, target


def test_the_features_of_these_tests_make_cells() -> None:
    assert set(FIRST_AXES) <= set(FEATURES) == set(ASKED)


def test_the_counts_are_those_of_the_record(tmp_path: Path) -> None:
    lines = [line()] * 3 + [line("disagrees")] * 2 + [line("vacuous"), line("crashed"), line("crashed", "two cpu")]
    made = evidence_of(tmp_path, *lines, head=header("one cpu", "two cpu"))
    markdown = report.render_markdown(made, brief=True)
    assert "| one cpu | 1.0 | 3 | 2 | 0 | 1 | 0 | 0 | 0 | 1 |" in markdown
    assert "| two cpu | 1.0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 1 |" in markdown
    assert "gone is absent: No module named 'gone'" in markdown
    text = Page(report.render_html(made)).text
    assert "one cpu 1.0 3 2 0 1 0 0 0 1 two cpu 1.0 0 0 0 0 0 0 0 1" in text
    assert "agrees 3 disagrees 2 finding 0 vacuous 1 refused 0 not offered 0 left out 0 crashed 2 absent 1" in text


def test_every_state_of_a_cell_is_shown(tmp_path: Path) -> None:
    of = [("agrees", "1"), ("disagrees", "2"), ("vacuous", "3"), ("refused", "4"), ("finding", "6")]
    lines = [line(outcome, features=ASKED | {"time": time}) for outcome, time in of]
    lines.append(line("left out", features=ASKED | {"time": "7"}, message="F-001"))
    head = header(features=FEATURES | {"time": ["1", "2", "3", "4", "5", "6", "7"]})
    rows = [
        row
        for row in report.render_markdown(evidence_of(tmp_path, *lines, head=head)).splitlines()
        if "| time |" in row
    ]
    assert rows == [
        "| time | 1 | ✓ 1 | ∅ absent |",
        "| time | 2 | ✗ 1 of 1 | ∅ absent |",
        "| time | 3 | ≈ 1 | ∅ absent |",
        "| time | 4 | ! 1 of 1 undeclared | ∅ absent |",
        "| time | 5 | · not asked | ∅ absent |",
        "| time | 6 | ▲ 1 of 1 | ∅ absent |",
        "| time | 7 | ◌ left out | ∅ absent |",
    ]
    assert "| lengths | with zeros | — not offered | ∅ absent |" in report.render_markdown(evidence_of(tmp_path))
    refusal = target("one cpu")["refused"][0] | {"features": {"bias": False}}
    said_no = target("one cpu") | {"unsupported": [], "refused": [refusal]}
    made = evidence_of(tmp_path, line("refused", features=ASKED | {"bias": False}), head=header(targets=[said_no]))
    assert "| bias | no | ⊘ refused | ∅ absent |" in report.render_markdown(made)


def test_no_verdict_is_kept_but_those_that_a_page_shows(tmp_path: Path) -> None:
    """What memory a report takes does not grow with the record."""
    path = tmp_path / "run.json"
    (column,) = columns(read(multiplied(path, 2_000, Mirror())))
    assert column.outcomes.total() == 2_000
    assert (column.growing, column.wrong) == ([], {})
    many = [line("disagrees", case=case_of(time)) for time in (5, 4, 3)] + [line()] * 3
    (column,) = columns(evidence_of(tmp_path, *many))
    ((_, some),) = column.wrong["tests/test_a.py::test_b[x]"].items()
    assert (some.count, list(some.cases)) == (3, [case_of(time).id for time in (5, 4, 3)])
    assert (some.shown.case, some.shown.content, some.shown.answer) == (case_of(3).id, None, None)


def test_a_relation_fills_no_cell(tmp_path: Path) -> None:
    made = evidence_of(tmp_path, line(), line(relation=True))
    assert "| direction | forward | ✓ 1 | ∅ absent |" in report.render_markdown(made)
    assert "| one cpu | 1.0 | 2 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |" in report.render_markdown(made, brief=True)
