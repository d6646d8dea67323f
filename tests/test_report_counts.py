"""The report's tables: what was counted of each target, and the state of each cell."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from evidence import report
from evidence.ledger import CELL

from .reported import ASKED, FEATURES, Page, evidence_of, header, line


def test_the_features_of_these_tests_make_cells() -> None:
    assert set(CELL) <= set(FEATURES) == set(ASKED)


def test_the_counts_are_those_of_the_record(tmp_path: Path) -> None:
    lines = [line()] * 3 + [line("disagrees")] * 2 + [line("vacuous"), line("crashed"), line("crashed", "two cpu")]
    made = evidence_of(tmp_path, *lines, head=header("one cpu", "two cpu"))
    markdown = report.summary(made)
    assert "| one cpu | 1.0 | 3 | 2 | 1 | 0 | 1 |" in markdown
    assert "| two cpu | 1.0 | 0 | 0 | 0 | 0 | 1 |" in markdown
    assert "gone is absent: No module named 'gone'" in markdown
    text = Page(report.render_html(made)).text
    assert "one cpu 1.0 3 2 1 0 1 two cpu 1.0 0 0 0 0 1" in text
    assert "agrees 3 disagrees 2 vacuous 1 refused 0 crashed 2 absent 1" in text


def test_every_state_of_a_cell_is_shown(tmp_path: Path) -> None:
    of = [("agrees", "1"), ("disagrees", "2"), ("vacuous", "3"), ("refused", "4")]
    lines = [line(outcome, features=ASKED | {"time": time}) for outcome, time in of]
    head = header(features=FEATURES | {"time": ["1", "2", "3", "4", "5"]})
    rows = [
        row
        for row in report.render_markdown(evidence_of(tmp_path, *lines, head=head)).splitlines()
        if "| time |" in row
    ]
    assert rows == [
        "| time | 1 | ✓ 1 | ∅ absent |",
        "| time | 2 | ✗ 1 of 1 | ∅ absent |",
        "| time | 3 | ≈ 1 | ∅ absent |",
        "| time | 4 | ! 1 of 1 refused | ∅ absent |",
        "| time | 5 | · not asked | ∅ absent |",
    ]
    assert "| lengths | with zeros | — unsupported | ∅ absent |" in report.render_markdown(evidence_of(tmp_path))


def test_a_relation_fills_no_cell(tmp_path: Path) -> None:
    made = evidence_of(tmp_path, line(), line(relation=True))
    assert "| direction | forward | ✓ 1 | ∅ absent |" in report.render_markdown(made)
    assert "| one cpu | 1.0 | 2 | 0 | 0 | 0 | 0 |" in report.summary(made)
