"""run: pytest, of the suite's own tests, with files in the user's folder."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from . import INTERRUPTED, SUITE

# pytest's exit status -> ours, where that is another: what cannot be used, or names no test, is 2
STATUS: dict[int, int] = {
    pytest.ExitCode.INTERRUPTED: INTERRUPTED,
    pytest.ExitCode.USAGE_ERROR: 2,
    pytest.ExitCode.NO_TESTS_COLLECTED: 2,
}


class OneSentence:
    """A plugin of pytest, which says what it cannot use without its usage."""

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_parse(self) -> Generator[None, pytest.Config, pytest.Config]:
        try:
            return (yield)
        except pytest.UsageError as error:
            said = re.search("error: (.*)", str(error))
            raise pytest.UsageError(said[1] if said else str(error)) from None


def status_of(arguments: Sequence[str]) -> int:
    """Judge, with pytest's arguments; returns the exit status. Raises ValueError for tests that are not there."""
    tests = SUITE / "tests"
    given = [str(SUITE / word) if (SUITE / word).is_relative_to(tests) else word for word in arguments]  # tests/...
    named = [path for word in given if (path := Path(word.partition("::")[0])).is_relative_to(tests)]
    for path in named:
        if not path.exists():
            raise ValueError(f"{path.relative_to(SUITE)}: no such file, expected one of {tests}")
    cache = Path.cwd() / ".pytest_cache"
    ours = ["-c", str(SUITE / "pyproject.toml"), f"--rootdir={SUITE}", "-o", f"cache_dir={cache}"]
    status = pytest.main([*ours, *given, *([] if named else [str(tests)])], [OneSentence()])
    return STATUS.get(int(status), int(status))
