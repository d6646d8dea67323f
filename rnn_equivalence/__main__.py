"""One command line for all that the suite does.

In a clone: python -m rnn_equivalence COMMAND. Where the wheel is installed, rnn-equivalence COMMAND too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import click

HERE = Path(__file__).resolve().parent
SUITE = HERE / "suite" if (HERE / "suite").is_dir() else HERE.parent  # the wheel's copy, or the clone
TESTS = SUITE / "tests"
# what `python -m evidence` does, by its name there
OF_EVIDENCE = {
    "upgrade": "Judge two versions of a framework, each in a fresh environment: go or no-go.",
    "report": "Write a page (HTML) and a text (Markdown) of a record.",
    "verify": "Recompute a record's hashes, counts and verdicts, and say what may be concluded.",
    "diff": "Compare two records case by case: 0 is go, 1 no-go, 2 unusable input.",
    "merge": "Put several records into one file.",
    "compact": "Keep of a record what diff needs: the corpus, without answers.",
    "replay": "Run one case of a record again on what is installed here.",
    "finish": "Close a run that was cut off, as incomplete.",
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Does this framework, in this version, on this device, compute the recurrent layer that the equations define?"""
    put_the_suite_first()


def put_the_suite_first() -> None:
    """Our packages are found first, here and in child processes; the user's folder comes behind them.

    `adapters` is also the import name of somebody else's package. The user's folder is where a run leaves its files.
    """
    folder = str(Path.cwd())
    first = [str(SUITE), folder]
    sys.path[:] = first + [entry for entry in sys.path if entry not in ("", *first)]
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*first, *([inherited] if inherited else [])])
    os.environ["PYTHONSAFEPATH"] = "1"  # a child's own folder does not come before ours
    os.environ["RNN_EQUIVALENCE_FOLDER"] = folder


def run(arguments: list[str]) -> int:
    """Judge what is installed here. Takes pytest's options, and --framework, --adapter, --cases, --evidence, ..."""
    import pytest

    named = {
        argument for argument in arguments if (SUITE / argument).is_relative_to(TESTS)
    }  # by tests/..., as in a clone
    given = [str(SUITE / argument) if argument in named else argument for argument in arguments]
    cache = Path.cwd() / ".pytest_cache"
    ours = ["-c", str(SUITE / "pyproject.toml"), f"--rootdir={SUITE}", "-o", f"cache_dir={cache}"]
    return pytest.main([*ours, *given, *([] if named else [str(TESTS)])])


def adapters(arguments: list[str]) -> int:
    """Say what can be loaded here. NAME --check: does it keep the contract? NAME CASE.json: run one case."""
    return import_module("adapters.__main__").main(arguments)


def of_evidence(name: str) -> Callable[[list[str]], int]:
    return lambda arguments: import_module("evidence.__main__").main([name, *arguments])


def add(name: str, words: str, function: Callable[[list[str]], int]) -> None:
    """A command whose arguments, --help among them, are read by the function that is called."""

    @main.command(name, help=words, add_help_option=False, context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: tuple[str, ...]) -> None:
        raise SystemExit(function(list(arguments)))


add("run", str(run.__doc__), run)
add("adapters", str(adapters.__doc__), adapters)
for known, said in OF_EVIDENCE.items():
    add(known, said, of_evidence(known))

if __name__ == "__main__":
    main(prog_name="python -m rnn_equivalence")
