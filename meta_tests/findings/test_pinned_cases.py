"""Every finding of what is installed here: its case, its neighbours, and what it may not hide.

By day all but the case itself is asked of one finding in ten, which other versions choose anew. Who writes a finding
asks all: HYPOTHESIS_PROFILE=nightly pytest meta_tests/findings/test_pinned_cases.py -k F-123
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters.running.guard import NO_WORDS
from findings import Finding, all_findings
from meta_tests.common.frameworks import framework_adapter
from meta_tests.common.scale import skip_by_day

from . import checks
from .checks import Asked

pytestmark = pytest.mark.parametrize("finding", all_findings(), ids=lambda finding: finding.id)


@functools.cache
def asked_of(framework: str) -> Asked:
    return Asked(framework_adapter(framework), framework)


def asked(finding: Finding) -> Asked:
    """The adapter of a finding, and what it has; skips the test where its backend or device is another."""
    found = asked_of(finding.framework)
    if finding.id not in found.states:
        backend = getattr(found.adapter, "backend", "") or "without a backend"
        pytest.skip(f"{finding.framework} is {backend} here, {finding.id} is of {', '.join(finding.backends)}")
    if found.states[finding.id].state == "not asked":
        pytest.skip(f"{finding.id} is of the device {finding.device}")
    return found


def asked_by_day(finding: Finding) -> Asked:
    """The same, of those that are asked by day."""
    found = asked(finding)
    skip_by_day(10, finding.id, found.adapter.version)
    return found


def test_the_case_is_present_or_gone(finding: Finding) -> None:
    found = asked(finding)
    state = found.states[finding.id]
    assert state.state in ("present", "gone"), f"{finding}: {finding.what}\n{state.trial}"
    right = found.adapter.version in finding.right
    assert not (state.present and right), f"{finding.id}: {found.adapter.version} was seen right"


def test_its_neighbours_agree(finding: Finding) -> None:
    assert not "\n".join(checks.too_narrow(finding, asked_by_day(finding)))


def test_every_case_inside_is_as_it_says(finding: Finding) -> None:
    assert not "\n".join(checks.not_as_said(finding, asked_by_day(finding)))


def test_another_fault_inside_is_not_hidden(finding: Finding) -> None:
    assert not "\n".join(checks.taken_for_it(finding, asked_by_day(finding)))


def test_its_script_shows_it_alone(finding: Finding, tmp_path: Path) -> None:
    found = asked_by_day(finding)
    adapter: Any = found.adapter
    pinned, state = finding.case, found.states[finding.id].state
    (tmp_path / "script.py").write_text(adapter.script(pinned.case(), "cpu", pinned.idiom or pinned.mode), "utf-8")
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    usual |= {"KERAS_BACKEND": adapter.backend} if getattr(adapter, "backend", "") else {}
    run = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=usual, capture_output=True, text=True,
                         check=False)  # fmt: skip
    expected = {"present": (1,), "gone": (0,)}[state]
    assert run.returncode in expected or (found.isolates(pinned) and run.returncode < 0), run.stdout + run.stderr
    if finding.what.exception and state == "present":
        raised, said = finding.what.exception, " ".join(run.stderr.split())
        assert raised.exception in said if raised.words == NO_WORDS else raised.within(said)
