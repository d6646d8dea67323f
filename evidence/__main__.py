"""python -m evidence: report, compare, check, replay and merge what `pytest --evidence FILE` recorded.

Exit status: 0 yes, 1 no, 2 an input that cannot be used.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

INSTALL = "python3 -m pip install -c constraints.txt pydantic jinja2 matplotlib"

try:
    from . import merge, replay, words
    from .compare import difference, upgrade
    from .record import journal, schema
    from .record.reader import read
    from .record.runs import Unusable
    from .verify import verify
except ModuleNotFoundError as missing:
    sys.exit(f"python -m evidence: {missing}; {INSTALL}")


def report(file: Path, output: Path | None = None, summary: bool = False) -> int:
    """Write a page and a text of a record into a folder, or print a short summary."""
    try:
        from . import report as pages  # it needs packages that the other commands do not
    except ModuleNotFoundError as missing:
        raise Unusable(f"report: {missing}; {INSTALL}") from None

    evidence = read(file)
    if any(run.header.compact for run in evidence.runs):
        raise Unusable(f"{file}: it is compact, and a report is made of the record in full")
    if summary:
        print(pages.summary(evidence), end="")
        return 0
    folder = output or file.parent
    folder.mkdir(parents=True, exist_ok=True)
    name = file.name.removesuffix(".gz").removesuffix(".json")
    html, markdown = (folder / f"{name}.{kind}" for kind in ("html", "md"))
    pages.write(evidence, html, markdown)
    print(f"{html}\n{markdown}")
    return 0


REQUIREMENTS = {"nargs": "+", "metavar": "REQUIREMENT", "required": True}
FLAG = {"action": "store_true"}
FILE = {"type": Path}
# Command -> the function that does it, what it does, and its arguments as argparse takes them.
COMMANDS: dict[str, tuple[Callable[..., int], str, dict[str, dict[str, Any]]]] = {
    "report": (report, "write a page (HTML) and a text (Markdown) of a run", {
        "file": FILE,
        "--output": FILE | {"metavar": "FOLDER", "help": "where to (default: beside FILE)"},
        "--summary": FLAG | {"help": "print a short Markdown summary instead"}}),
    "diff": (difference.command, "compare two runs case by case: 0 is go, 1 no-go, 2 unusable input", {
        "old": FILE,
        "new": FILE,
        "--json": FLAG | {"dest": "as_json", "help": "every case, for a program"},
        "--markdown": FLAG | {"dest": "as_markdown", "help": "the tables, for a page"}}),
    "verify": (verify.command, "recompute hashes, counts and verdicts, and say what may be concluded", {"file": FILE}),
    "replay": (replay.command, "run one case of a record again on what is installed here", {
        "file": FILE,
        "case": {"help": "a case's id, or four or more digits of it, or its name or number in the corpus"},
        "--target": {"metavar": "LABEL", "help": "which target, where several were asked"},
        "--mode": {"help": "in which it was asked (default: eager, where it was)"},
        "--adapter": {"metavar": "MODULE:CLASS", "help": "what to run, where the run judged your own adapter"},
        "--script": FLAG | {"help": "print a stand-alone script instead, for a bug report"}}),
    "merge": (merge.command, "put several runs into one file; contradictions are refused", {
        "file": FILE | {"help": "the file to write"},
        "parts": FILE | {"nargs": "+", "help": "the files to merge"}}),
    "compact": (merge.command_compact, "keep of a record what diff needs: the corpus, without answers", {
        "full": FILE | {"help": "the record in full"},
        "file": FILE | {"help": "the file to write"}}),
    "finish": (journal.command, "close a run that was cut off, as incomplete; nothing that it wrote is lost", {
        "file": FILE | {"help": "FILE.partial"}}),
    "upgrade": (upgrade.upgrade, "run the corpus in two fresh environments, and compare", {
        "--from": REQUIREMENTS | {"dest": "old", "help": "keras==3.5.0 ..., or one constraints file"},
        "--to": REQUIREMENTS | {"dest": "new", "help": "the same, of the other side"},
        "--output": FILE | {"default": upgrade.OUTPUT, "metavar": "FOLDER", "help":
            "in which each upgrade gets a folder of its own, for the records and the difference"}}),
    "schema": (schema.command, "print the JSON Schema of a line", {}),
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a record's words may be in any script
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    parser = argparse.ArgumentParser(prog="python -m evidence", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, (_, about, wanted) in COMMANDS.items():
        command = commands.add_parser(name, help=about, description=about)
        for argument, options in wanted.items():
            command.add_argument(argument, **options)
    given = vars(parser.parse_args(arguments))
    function, *_ = COMMANDS[given.pop("command")]
    try:
        return function(**given)
    except (Unusable, OSError) as error:
        print(f"python -m evidence: {words.visible(str(error))}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
