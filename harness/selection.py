"""Which part of the tests a run was asked for: a part does not have to fill every combination of the count."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1] / "tests"
PROPERTIES = TESTS / "properties"
TESTPATHS = pytest.Config.ArgsSource.TESTPATHS


class Selection:
    """deselected: how many tests were.  stopped: why the run ended before its last test, if it did."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.deselected, self.stopped = 0, ""

    def judge_only(self) -> None:
        """Collect tests/properties alone where no path is given: the other tests judge no target that was named.

        Where none is given to the front door, it gives pytest the absolute path of tests, from whatever folder.
        """
        folder, given = self.config.invocation_params.dir, self.config.args
        if self.config.args_source is TESTPATHS or given == [str(TESTS)]:
            self.config.args = [str(PROPERTIES) if (folder / path).resolve() == TESTS else path for path in given]

    def reason(self) -> str:
        """The option that chose some of the tests, in words; empty where all that judges was run."""
        config = self.config
        if self.deselected:
            return f"{self.deselected} tests were deselected"
        if config.getoption("ignore") or config.getoption("ignore_glob"):
            return "some files were ignored"
        if self.stopped:
            return self.stopped
        whole = {PROPERTIES, *PROPERTIES.parents}
        folder = config.invocation_params.dir
        if config.args_source is not TESTPATHS and not any((folder / path).resolve() in whole for path in config.args):
            first, more = config.args[:3], len(config.args) - 3
            return f"only {' '.join(first)}{f' and {more} more' if more > 0 else ''} was run"
        if config.getoption("collectonly"):
            return "tests were only collected"
        return ""
