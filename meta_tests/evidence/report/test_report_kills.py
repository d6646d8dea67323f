"""The kill matrix in the report: this repository's is shown, and one that is none is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from evidence import report
from evidence.report import kills
from meta_tests.common.report import evidence_of, line


def test_the_kill_matrix_of_this_repository() -> None:
    matrix = kills.kill_matrix()
    assert isinstance(matrix, kills.KillMatrix)
    rows = json.loads(kills.PATH.read_text())["rows"]
    assert len(matrix.faults) + len(matrix.spared) == len(rows) > 0
    assert all(set(row.seen_by) <= {*matrix.properties.values()} for row in matrix.rows)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "rnn-equivalence kill matrix 2", "adapter": 1, "rows": [1]}']
)
def test_a_kill_matrix_that_is_none_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(kills, "PATH", tmp_path / "kill-matrix.json")
    assert "There is no kill matrix" in report.render_html(evidence_of(tmp_path, line()))
    kills.PATH.write_text(text)
    assert "The kill matrix is left out" in report.render_html(evidence_of(tmp_path, line()))
    assert "The kill matrix is left out" in report.render_markdown(evidence_of(tmp_path, line()))
