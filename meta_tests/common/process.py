"""The suite in a process of its own, as its user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def suite(
    *arguments: str,
    before: str = "pass",
    cache: bool = False,
    root: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """pytest with these arguments, of the profile ci.

    before: Python to run in its process first.  cache: whether pytest may write its cache.  environment: variables
    beside those of this process; pytest's own and PYTHONPATH are left out.  options: those of subprocess.run.
    """
    code = f"import sys\n{before}\nimport pytest\nsys.exit(pytest.main(sys.argv[1:]))"
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHONPATH"))}
    usual |= {"HYPOTHESIS_PROFILE": "ci", "COLUMNS": "200", **(environment or {})}
    command = [sys.executable, "-c", code, "-q", *([] if cache else ["-p", "no:cacheprovider"]), *arguments]
    return subprocess.run(command, cwd=root, env=usual, capture_output=True, text=True, check=False, **options)
