"""docs/findings.md says what the files of findings say, and nothing else."""

from __future__ import annotations

from findings import all_findings
from meta_tests.make_findings_page import PAGE, page


def test_the_page_is_made_of_the_files() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m meta_tests.make_findings_page writes it"


def test_it_tells_of_each_finding_how_to_avoid_it() -> None:
    text = page()
    for finding in all_findings():
        assert f"### {finding.id}\n" in text
        assert finding.avoid in text
        assert finding.link in text
