"""What can be loaded here. NAME --check: does this adapter keep the contract? NAME CASE.json: run one case.

`python -m rnn_equivalence adapters --help` explains the options. `python -m adapters` takes the same, without click: a
failing case can be run again where NumPy and its framework are all that is installed.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from reference import Case
from reference.judging.judge import BOUNDS

from . import Adapter, available, load, try_any_version
from .conformance.self_check import self_check
from .contract import MODES, expect_device
from .running.guard import one_line, told, warnings_shown
from .running.trial import Trial, examine
from .running.usable import devices_of, expect_capabilities_on, usable

# what findings make of a trial: (trial, adapter, its name, bound) -> Trial; this package knows none
Explain = Callable[[Trial, Adapter, str, str | None], Trial]


def main(given: list[str] | None = None, explain: Explain | None = None) -> int:
    """Read the command line, and do what it asks; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m adapters", description=__doc__)
    for name in ("name", "case"):
        parser.add_argument(name, nargs="?")
    for option, default, words in (("--device", "cpu", None), ("--mode", "eager", MODES), ("--bound", None, BOUNDS)):
        parser.add_argument(option, default=default, choices=words)
    for flag in ("--check", "--script", "--any-version"):
        parser.add_argument(flag, action="store_true")
    asked = vars(parser.parse_args(given))
    if asked.pop("any_version"):
        try_any_version()
    return command(parser.error, **asked, explain=explain)


def command(
    fail: Callable[[str], NoReturn],
    name: str | None, case: str | None, device: str, mode: str, bound: str | None, check: bool, script: bool,
    explain: Explain | None = None,
) -> int:  # fmt: skip
    """List the adapters, check one, or run or print a case; returns the exit status. What cannot be done fails."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name or a message may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    asked = [option for option, of in (("--bound", bound), ("--check", check), ("--script", script)) if of]
    if len(asked) > 1:
        fail(f"argument {asked[1]}: not allowed with argument {asked[0]}")
    if name is None:
        found = available()
        for one in found:
            print(f"{one.name}: {f'{one.version} on {one.devices}' if one.loads else f'{one.state}: {one.problem}'}")
        return int(any(one.state == "crashed" for one in found))
    if (case is None) != check:
        fail("a case file is needed beside the adapter's name, or --check")
    try:
        read = _case(case) if case else None
        adapter = load(name)
        if not check:
            usable(adapter, name)
        if script and read:
            print(_script(adapter, name, read, device), end="")
            return 0
        expect_device(device, devices_of(adapter, name))
        if read is None:
            findings = self_check(adapter, device, name)
            print(*findings, sep="\n")
            return int(any(finding.problems for finding in findings))
        expect_capabilities_on(adapter, name, device)
    except (ImportError, ValueError) as error:
        fail(one_line(error))
    trial = examine(adapter, read, device, bound, mode=mode)
    trial = explain(trial, adapter, name, bound) if explain and ":" not in name else trial
    print(trial)
    if named := ", ".join(trial.findings) or (trial.message if trial.outcome == "left out" else ""):
        print(f"as {named} says: docs/findings.md")
    if diagnosis := trial.diagnosis():
        print(f"diagnosis: {diagnosis}")
    return 0 if trial.outcome in ("agrees", "finding") else 1


def _case(file: str) -> Case:
    """The case in a file. Raises ValueError, in one sentence, for anything else."""
    if Path(file).exists() and not Path(file).is_file():
        raise ValueError(f"{file}: got no regular file, expected a case file")
    try:
        return Case.load(file)
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from error


def _script(adapter: Adapter, name: str, case: Case, device: str) -> str:
    write = getattr(adapter, "script", None)
    if write is None:
        raise ValueError(f"--script: {name} writes no scripts: it has no method script(case, device)")
    try:
        with warnings_shown():
            return write(case, device)
    except Exception as error:  # a ValueError, and so Unsupported, speaks for itself
        raise ValueError(f"--script: {error if isinstance(error, ValueError) else told(error)}") from error


if __name__ == "__main__":
    raise SystemExit(main())
