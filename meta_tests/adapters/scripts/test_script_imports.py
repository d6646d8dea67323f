"""What writes the scripts of a framework imports none: records are replayed where other frameworks are installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from meta_tests.repository.test_house import FRAMEWORKS, ROOT

SCRIPTS = sorted(path.parent.name for path in (ROOT / "adapters").glob("*/script.py"))


def imported_without(module: str, frameworks: set[str]) -> str:
    """What the interpreter says of a module where these are not installed; empty if nothing."""
    code = f"import sys; sys.modules.update(dict.fromkeys({sorted(frameworks)})); import {module}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_written_where_no_framework_is_installed(name: str) -> None:
    assert not imported_without(f"adapters.{name}.script", FRAMEWORKS)


def test_a_module_that_imports_one_is_named() -> None:
    assert "import of onnx halted" in imported_without("adapters.onnx.changes", FRAMEWORKS)
