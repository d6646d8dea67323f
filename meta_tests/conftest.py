"""The suite's own tests need ball arithmetic in two files, which a user's own environment may lack."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

NEED_FLINT = ["reference/bounds/test_activation.py", "reference/bounds/test_ball.py"]
collect_ignore = [] if find_spec("flint") else NEED_FLINT


def pytest_report_header(config: pytest.Config) -> list[str]:
    if collect_ignore:
        return [f"absent: python-flint (pip install python-flint), so not run: {', '.join(collect_ignore)}"]
    return []
