"""For the tests of another project: the checks of its adapter, as tests.

They are asked in a process of their own, in which our packages are found first: another package `adapters` in the
user's process does no harm, and a check that takes its process down fails alone. So this file imports nothing of ours.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import SkipTest

from . import paths


def checks_of(adapter: str, device: str = "cpu") -> list[Callable[[], None]]:
    """The checks of an adapter: its self-check, and all that it can be asked.

    adapter: "module:Class", importable where this is called.  device: one that it has.
    Each check is called without arguments, and raises AssertionError, or unittest.SkipTest where there is nothing to
    ask. Its __name__ is what pytest calls it. Raises ValueError, in a sentence, for an adapter that cannot be used.
    """
    process = _Process(adapter, device)
    return [process.check(name) for name in process.begin()]


class _Process:
    """The process that is asked. It is begun anew where a check took it down."""

    def __init__(self, adapter: str, device: str) -> None:
        self._command = [sys.executable, "-m", "adapters.conformance.checks", str(adapter), device]
        self._process: subprocess.Popen[str] | None = None
        atexit.register(self.end)

    def begin(self) -> list[str]:
        """The names of all checks."""
        self.end()
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
                                         env={**os.environ, **paths(sys.path)})  # fmt: skip
        said = self._said()
        if "names" not in said:
            raise ValueError(said.get("wrong") or said["failed"])
        return said["names"]

    def check(self, name: str) -> Callable[[], None]:
        check: Any = partial(self._ask, name)
        check.__name__ = name
        return check

    def end(self) -> None:
        if self._process is not None:
            self._process.communicate()  # it ends where there is nothing more to read

    def _ask(self, name: str) -> None:
        __tracebackhide__ = True
        if self._process is None or self._process.poll() is not None:
            self.begin()
        assert self._process is not None
        assert self._process.stdin is not None
        print(json.dumps(name), file=self._process.stdin, flush=True)
        came = self._said()
        if "skipped" in came:
            raise SkipTest(came["skipped"])
        if "failed" in came:
            raise AssertionError(came["failed"])

    def _said(self) -> dict[str, Any]:
        """The next line; what became of the process where it says none."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else {"failed": f"its process died: exit status {self._process.wait()}"}
