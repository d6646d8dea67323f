"""One command line for all that the suite does.

In a clone: python -m rnn_equivalence COMMAND. Where the wheel is installed, rnn-equivalence COMMAND too.
"""

import os
import sys
from pathlib import Path

from . import SUITE, paths


def main() -> None:
    """Do what the command line asks, and exit with its status."""
    put_the_suite_first()
    try:
        from .commands import commands
    except ModuleNotFoundError as missing:
        if missing.name == "click":  # NumPy and a framework may be all there is
            from adapters.__main__ import main as adapters
            from findings.command import main as findings
            from findings.states import told

            match sys.argv[1:2]:
                case ["adapters"]:
                    sys.exit(adapters(sys.argv[2:], told))
                case ["findings"]:
                    sys.exit(findings(sys.argv[2:]))
        print(f"{missing}; python3 -m pip install -c constraints.txt numpy ml_dtypes click", file=sys.stderr)
        sys.exit(2)
    commands()


def put_the_suite_first() -> None:
    """Our packages are found first, here and in child processes; the user's folder comes behind them."""
    inherited = os.environ.get("PYTHONPATH")
    os.environ |= paths(["", *(inherited.split(os.pathsep) if inherited else [])])
    first = [str(SUITE), str(Path.cwd())]
    sys.path[:] = first + [entry for entry in sys.path if entry not in ("", *first)]


if __name__ == "__main__":
    main()
