"""What can be loaded here. NAME --check: does this adapter keep the contract? NAME CASE.json: run one case.

`python -m rnn_equivalence adapters --help` explains the options. `python -m adapters` takes the same, without click: a
failing case can be run again where NumPy and its framework are all that is installed.
"""

import argparse
import io
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NoReturn

from reference import Case
from reference.judging.judge import BOUNDS

from . import Adapter, available, load, try_any_version
from .conformance.self_check import self_check
from .contract import MODES, expect_device, idiom_of
from .running.child import Child, ChildStack
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
    options = ("--device", "cpu", None), ("--mode", "eager", MODES), ("--idiom", "", None), ("--bound", None, BOUNDS)
    for option, default, words in options:
        parser.add_argument(option, default=default, choices=words)
    for flag in ("--check", "--script", "--any-version"):
        parser.add_argument(flag, action="store_true")
    asked = vars(parser.parse_args(given))
    if asked.pop("any_version"):
        try_any_version()
    return command(parser.error, **asked, explain=explain)


def command(
    fail: Callable[[str], NoReturn],
    name: str | None, case: str | None, device: str, mode: str, idiom: str, bound: str | None, check: bool,
    script: bool, explain: Explain | None = None,
) -> int:  # fmt: skip
    """List the adapters, check one, or run or print a case; returns the exit status. What cannot be done fails."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name or a message may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    asked = [option for option, of in (("--bound", bound), ("--check", check), ("--script", script)) if of]
    ways = [option for option, of in (("--mode", mode != "eager"), ("--idiom", idiom), ("--check", check)) if of]
    for one in (several for several in (asked, ways) if len(several) > 1):
        fail(f"argument {one[1]}: not allowed with argument {one[0]}")
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
        idiom_of(adapter, idiom)
        if script and read:
            print(script_of(adapter, name, read, device, idiom or mode), end="")
            return 0
        expect_device(device, devices_of(adapter, name))
        if read is None:
            findings = self_check(adapter, device, name)
            print(*findings, sep="\n")
            return int(any(finding.problems for finding in findings))
        expect_capabilities_on(adapter, name, device)
        trial = trial_of(adapter, name, read, device, bound, mode, idiom)
    except (ImportError, ValueError) as error:
        fail(one_line(error))
    trial = explain(trial, adapter, name, bound) if explain and ":" not in name else trial
    print(words_of(trial))
    return 0 if trial.outcome in ("agrees", "finding") else 1


def words_of(trial: Trial) -> str:
    """All that is said of a trial: what came of it, as which findings, and what would explain it."""
    named = ", ".join(trial.findings) or (trial.message if trial.outcome == "left out" else "")
    told_by, diagnosis = named and f"as {named} says: docs/findings.md", trial.diagnosis()
    return "\n".join(filter(None, (str(trial), told_by, diagnosis and f"diagnosis: {diagnosis}")))


def trial_of(
    adapter: Adapter, name: str, case: Case, device: str, bound: str | None = None, mode: str = "eager", idiom: str = ""
) -> Trial:
    """What comes of a case. Raises ValueError where the idiom cannot be asked here."""
    way = idiom_of(adapter, idiom)
    if way and way.absent:
        raise ValueError(f"--idiom: {idiom} is absent: {way.absent}")
    with closing(Child(name)) as child:
        apart = ChildStack(child, adapter, case, device, mode, idiom) if way and way.isolate else None
        return examine(adapter, case, device, bound, apart, mode, idiom)


def _case(file: str) -> Case:
    """The case in a file. Raises ValueError, in one sentence, for anything else."""
    if Path(file).exists() and not Path(file).is_file():
        raise ValueError(f"{file}: got no regular file, expected a case file")
    try:
        return Case.load(file)
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from error


def script_of(adapter: Adapter, name: str, case: Case, device: str, way: str) -> str:
    """A case as a stand-alone script, in a mode or an idiom. Raises ValueError, in a sentence, where there is none."""
    write = getattr(adapter, "script", None)
    if write is None:
        raise ValueError(f"--script: {name} writes no scripts: it has no method script(case, device)")
    try:
        with warnings_shown():
            return write(case, device) if way == "eager" else write(case, device, way)
    except Exception as error:  # a ValueError, and so Unsupported, speaks for itself
        raise ValueError(f"--script: {error if isinstance(error, ValueError) else told(error)}") from error


if __name__ == "__main__":
    raise SystemExit(main())
