"""What can be loaded here. NAME --check: does this adapter keep the contract? NAME CASE.json: run one case."""

from __future__ import annotations

import argparse

from reference import Case
from reference.judging import BOUNDS

from . import KNOWN, Adapter, available, load
from .contract import MODES
from .self_check import self_check
from .trial import examine


def main() -> int:
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.name is None:
        for found in available():
            print(f"{found.name}: {found.problem or f'{found.version} on {found.devices}'}")
        return 0
    if (arguments.case is None) != arguments.check:
        parser.error("a case file is needed beside the adapter's name, or --check")
    case = None if arguments.case is None else _case(parser, arguments.case)
    try:
        adapter = load(arguments.name)
    except (ImportError, TypeError, ValueError) as error:
        parser.error(str(error))
    if case is None:
        return _check(adapter, arguments)
    if not arguments.script:
        return _examine(adapter, case, arguments)
    write = getattr(adapter, "script", None)
    if write is None:
        parser.error(f"--script: {arguments.name} writes no scripts: it has no method script(case, device)")
    try:
        print(write(case, arguments.device), end="")
    except ValueError as refusal:  # Unsupported, or a device that is none
        parser.error(f"--script: {refusal}")
    return 0


def _case(parser: argparse.ArgumentParser, file: str) -> Case:
    try:
        return Case.load(file)
    except (OSError, TypeError, ValueError) as error:
        parser.error(f"{file}: {error}")


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


def _check(adapter: Adapter, arguments: argparse.Namespace) -> int:
    findings = self_check(adapter, arguments.device, arguments.name)
    for finding in findings:
        print(finding)
    return 1 if any(finding.problems for finding in findings) else 0


def _examine(adapter: Adapter, case: Case, arguments: argparse.Namespace) -> int:
    trial = examine(adapter, case, arguments.device, arguments.bound, mode=arguments.mode)
    print(trial)
    if diagnosis := trial.diagnosis():
        print(f"diagnosis: {diagnosis}")
    return 0 if trial.outcome == "agrees" else 1


if __name__ == "__main__":
    raise SystemExit(main())
