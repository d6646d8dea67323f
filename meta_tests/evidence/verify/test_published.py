"""The evidence that this release publishes is what its verification says, and the documents name it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pydantic")

from evidence.record.reader import read
from evidence.verify.verify import verify

ROOT = Path(__file__).parents[3]
PUBLISHED = ROOT / "evidence" / "published"


def test_the_published_evidence_can_be_verified() -> None:
    evidence = read(PUBLISHED / "evidence.json.gz")
    assert [problem for finding in verify(evidence) for problem in finding.problems] == []
    labels = [target.label for run in evidence.runs for target in run.header.targets]
    first = ["torch", "keras/tensorflow", "onnxruntime", "onnx", "torch-onnx", "openvino", "reference"]
    assert labels == [f"{name} cpu" for name in (*first, "keras/torch", "keras/jax", "flax")]
    assert not any(run.header.suite.modified for run in evidence.runs)
    assert evidence.sha256 in (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")


def test_its_report_is_of_that_file() -> None:
    evidence = read(PUBLISHED / "evidence.json.gz")
    for name in ("evidence.html", "evidence.md"):
        assert evidence.sha256 in (PUBLISHED / name).read_text(encoding="utf-8")
