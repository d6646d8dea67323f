"""What a framework was seen to get wrong is asked in every run: its pinned case says whether this version has it.

Present passes, and is named in the headline; gone passes; wrong in another way fails. docs/findings.md lists them.
"""

from __future__ import annotations

import pytest

from findings import Finding
from harness.target import Target


def test_the_pinned_case(target: Target, finding: Finding | None) -> None:
    if finding is None:
        pytest.skip(f"{target.label}: no finding is known")
    target.check_finding(finding)
