"""What can be loaded here. NAME --check: does this adapter keep the contract? NAME CASE.json: run one case."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

from reference import Case
from reference.judging.judge import BOUNDS

from . import KNOWN, Adapter, available, load
from .conformance.self_check import self_check
from .contract import MODES, expect_device
from .running.guard import one_line, told, warnings_shown
from .running.trial import examine
from .running.usable import devices_of, expect_capabilities_on, usable


def main(given: list[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name or a message may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    parser = _parser()
    arguments = parser.parse_args(given)
    if arguments.name is None:
        found = available()
        for one in found:
            print(f"{one.name}: {f'{one.version} on {one.devices}' if one.loads else f'{one.state}: {one.problem}'}")
        return 1 if any(one.state == "crashed" for one in found) else 0
    if (arguments.case is None) != arguments.check:
        parser.error("a case file is needed beside the adapter's name, or --check")
    try:
        case = None if arguments.case is None else _case(arguments.case)
        adapter = load(arguments.name)
        if not arguments.check:
            usable(adapter, arguments.name)
        if arguments.script and case:
            print(_script(adapter, case, arguments), end="")
            return 0
        expect_device(arguments.device, devices_of(adapter, arguments.name))
        if case is None:
            findings = self_check(adapter, arguments.device, arguments.name)
            print(*findings, sep="\n")
            return 1 if any(finding.problems for finding in findings) else 0
        expect_capabilities_on(adapter, arguments.name, arguments.device)
    except (ImportError, ValueError) as error:
        parser.error(one_line(error))
    trial = examine(adapter, case, arguments.device, arguments.bound, mode=arguments.mode)
    print(trial)
    if diagnosis := trial.diagnosis():
        print(f"diagnosis: {diagnosis}")
    return 0 if trial.outcome == "agrees" else 1


def _case(file: str) -> Case:
    """The case in a file. Raises ValueError, in one sentence, for anything else."""
    if Path(file).exists() and not Path(file).is_file():
        raise ValueError(f"{file}: got no regular file, expected a case file")
    try:
        return Case.load(file)
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: {error}") from error


def _script(adapter: Adapter, case: Case, arguments: argparse.Namespace) -> str:
    write: Any = getattr(adapter, "script", None)
    if write is None:
        raise ValueError(f"--script: {arguments.name} writes no scripts: it has no method script(case, device)")
    try:
        with warnings_shown():
            return write(case, arguments.device)
    except ValueError as refusal:  # Unsupported too
        raise ValueError(f"--script: {refusal}") from refusal
    except Exception as error:
        raise ValueError(f"--script: {told(error)}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m adapters", description=__doc__)
    parser.add_argument("name", nargs="?", help=f"an adapter: {', '.join(KNOWN)}, or module:Class")
    parser.add_argument("case", nargs="?", help="a case file, as a failing test writes it")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--mode", choices=MODES, default="eager", help="how the module is called (default: eager)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--bound", choices=BOUNDS, help="the bound to judge by (default: step)")
    what.add_argument("--check", action="store_true", help="run the self-check: does the adapter keep the contract?")
    what.add_argument("--script", action="store_true",
                      help="run nothing: print the case as a stand-alone Python script, for a bug report")  # fmt: skip
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
