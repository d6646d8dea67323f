"""The front door: one command line, and checks_of. In a wheel, `suite/` beside this file holds everything else."""

import os
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITE = HERE / "suite" if (HERE / "suite").is_dir() else HERE.parent  # the wheel's copy, or the clone
INTERRUPTED = 130  # the exit status of what the user interrupted: 128 + SIGINT, as a shell has it


def paths(behind: Iterable[str]) -> dict[str, str]:
    """Variables for child processes: our packages are found first, then what is in these folders.

    `adapters` is also the import name of somebody else's package. The user's folder is where a run leaves its files.
    """
    folders = [str(SUITE), *(os.path.abspath(folder) for folder in behind)]  # noqa: PTH100 - "" is the user's folder
    return {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(folders)),
        "PYTHONSAFEPATH": "1",  # a child's own folder does not come before ours
        "RNN_EQUIVALENCE_FOLDER": str(Path.cwd()),
    }


from .checks import checks_of  # noqa: E402 (it takes its paths from here)

__all__ = ["checks_of"]
