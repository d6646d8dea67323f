"""python -m adapters: what can be loaded here.  python -m adapters NAME CASE.json: run one case."""

from __future__ import annotations

import argparse

from reference import Case
from reference.judging import BOUNDS

from . import Adapter, available, load
from .contract import MODES, Unsupported
from .trial import examine


def main() -> int:
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.name is None:
        for found in available():
            print(f"{found.name}: {found.problem or f'{found.version} on {found.devices}'}")
        return 0
    if arguments.case is None:
        parser.error("a case file is needed beside the adapter's name")
    try:
        case = Case.load(arguments.case)
    except (OSError, TypeError, ValueError) as error:
        parser.error(f"{arguments.case}: {error}")
    try:
        adapter = load(arguments.name)
    except (ImportError, TypeError, ValueError) as error:
        parser.error(str(error))
    if not arguments.script:
        return _examine(adapter, case, arguments)
    write = getattr(adapter, "script", None)
    if write is None:
        parser.error(f"--script: {arguments.name} writes no scripts: it has no method script(case, device)")
    try:
        print(write(case, arguments.device), end="")
    except Unsupported as refusal:
        parser.error(f"--script: {refusal}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m adapters", description=__doc__)
    parser.add_argument("name", nargs="?", help="an adapter: torch, keras, or module:Class")
    parser.add_argument("case", nargs="?", help="a case file, as a failing test writes it")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--mode", choices=MODES, default="eager", help="how the module is called (default: eager)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--bound", choices=BOUNDS, help="the bound to judge by (default: step)")
    what.add_argument("--script", action="store_true",
                      help="run nothing: print the case as a stand-alone Python script, for a bug report")  # fmt: skip
    return parser


def _examine(adapter: Adapter, case: Case, arguments: argparse.Namespace) -> int:
    trial = examine(adapter, case, arguments.device, arguments.bound, mode=arguments.mode)
    print(trial)
    if diagnosis := trial.diagnosis():
        print(f"diagnosis: {diagnosis}")
    return 0 if trial.outcome == "agrees" else 1


if __name__ == "__main__":
    raise SystemExit(main())
