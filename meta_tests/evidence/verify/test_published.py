"""What this release publishes: a report, the SHA-256 of the record in full, and a compact record that diff can use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("pydantic")

from evidence.record import corpus, seeded
from evidence.record.reader import read
from evidence.verify.verify import conclusion, verify
from findings import all_findings
from meta_tests.make_published_tables import TARGETS

ROOT = Path(__file__).parents[3]
PUBLISHED = ROOT / "evidence" / "published"
COMPACT = PUBLISHED / "evidence.compact.json.xz"


def test_the_published_record_is_compact_and_nothing_is_wrong_with_it() -> None:
    evidence = read(COMPACT)
    checks = verify(evidence)
    assert [problem for check in checks for problem in check.problems] == []
    assert conclusion(evidence, checks).startswith("Not verified: this is a compact record.")
    labels = {target.label for run in evidence.runs for target in run.header.targets}
    assert labels == {f"{name} cpu" for name in ("reference", *TARGETS)}
    assert not any(run.header.suite.modified for run in evidence.runs)
    verdicts = [line for run in evidence.runs for line in run.verdicts]
    assert {line.corpus for line in verdicts} - {None} == corpus.cases().keys()
    kept = [line for line in verdicts if line.corpus is None and line.property != seeded.PROPERTY]
    drawn = [line for line in kept if not line.property.startswith("finding ")]
    assert all(line.outcome != "agrees" for line in drawn)


def test_the_published_headline_and_the_page_of_findings_agree() -> None:
    """What the record has present is in the headline, and on the page as seen wrong in that version."""
    evidence = read(COMPACT)
    report = (PUBLISHED / "evidence.md").read_text(encoding="utf-8").partition("| target | version |")[0]
    page, known = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8"), {one.id: one for one in all_findings()}
    assert evidence.present
    assert evidence.present.keys() <= set(re.findall(r"F-[0-9]{3}", report))
    for name, versions in evidence.present.items():
        assert f"[{name}](#{name.lower()})" in page
        numbers = {version.split()[1].partition("+")[0] for version in versions}
        assert all(any(number in seen for seen in known[name].wrong) for number in numbers), name


def test_the_report_names_the_record_in_full() -> None:
    (full,) = {run.header.compact.file for run in read(COMPACT).runs if run.header.compact}
    assert full in (PUBLISHED / "evidence.md").read_text(encoding="utf-8")


def test_what_is_published_is_small() -> None:
    assert sum(path.stat().st_size for path in PUBLISHED.iterdir()) < 1e6
