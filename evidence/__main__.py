"""python -m evidence: report, compare, check, replay and merge what `pytest --evidence FILE` recorded.

Exit status: 0 yes, 1 no, 2 an input that cannot be used.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path

INSTALL = "python3 -m pip install -c constraints.txt pydantic jinja2 matplotlib"

try:
    from . import merge as merging
    from . import replay as replaying
    from . import words
    from .compare import difference
    from .compare import text as difference_text
    from .compare import upgrade as upgrading
    from .record import journal, reading, schema
    from .verify import verify as verifying
except ModuleNotFoundError as missing:
    sys.exit(f"python -m evidence: {missing}; {INSTALL}")


def report(given: argparse.Namespace) -> int:
    try:
        from . import report as pages  # it needs packages that the other commands do not
    except ModuleNotFoundError as missing:
        raise reading.Unusable(f"report: {missing}; {INSTALL}") from None

    evidence = reading.read(given.file)
    if given.summary:
        print(pages.summary(evidence), end="")
        return 0
    folder = Path(given.output or given.file.parent)
    folder.mkdir(parents=True, exist_ok=True)
    name = given.file.name.removesuffix(".gz").removesuffix(".json")
    html, markdown = (folder / f"{name}.{kind}" for kind in ("html", "md"))
    pages.write(evidence, html, markdown)
    print(f"{html}\n{markdown}")
    return 0


def diff(given: argparse.Namespace) -> int:
    found = difference.difference(reading.read(given.old), reading.read(given.new))
    if given.json:
        sys.stdout.writelines(difference_text.json_parts(found))
    elif given.markdown:
        print(difference_text.to_markdown(found), end="")
    else:
        difference_text.show(found)
    return 0 if found.go else 1


def verify(given: argparse.Namespace) -> int:
    evidence = reading.read(given.file)
    findings = verifying.verify(evidence)
    for finding in findings:
        print(f"{'WRONG' if finding.problems else 'right'}  {words.one_line(finding.checked)}")
        for problem in finding.problems:
            print(f"         {words.one_line(problem)}")
    print(verifying.conclusion(evidence, findings))
    return 1 if any(finding.problems for finding in findings) else 0


def replay(given: argparse.Namespace) -> int:
    return replaying.replay(reading.read(given.file), given.case, given.target, given.adapter, given.script, given.mode)


def merge(given: argparse.Namespace) -> int:
    merging.merge([reading.read(path) for path in given.parts], given.file)
    print(given.file)
    return 0


def finish(given: argparse.Namespace) -> int:
    if (run := reading.read(given.file).runs[-1]).end is not None:
        raise reading.Unusable(f"{given.file}: the run {run.name} has its last line: name it as it was to be named")
    print(journal.finish(given.file))
    return 0


def upgrade(given: argparse.Namespace) -> int:
    return upgrading.upgrade(given.old, given.new, given.output)


def print_schema(given: argparse.Namespace) -> int:
    print(json.dumps(schema.json_schema(), indent=1))
    return 0


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="python -m evidence", description=__doc__)
    commands = whole.add_subparsers(required=True, metavar="COMMAND")

    def command(function: object, name: str, words: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=words, description=words)
        added.set_defaults(run=function)
        return added

    added = command(report, "report", "write a page (HTML) and a text (Markdown) of a run")
    added.add_argument("file", type=Path)
    added.add_argument("--output", type=Path, metavar="FOLDER", help="where to (default: beside FILE)")
    added.add_argument("--summary", action="store_true", help="print a short Markdown summary instead")
    added = command(diff, "diff", "compare two runs case by case: 0 is go, 1 no-go, 2 unusable input")
    added.add_argument("old", type=Path)
    added.add_argument("new", type=Path)
    kind = added.add_mutually_exclusive_group()
    kind.add_argument("--json", action="store_true", help="every case, for a program")
    kind.add_argument("--markdown", action="store_true", help="the tables, for a page")
    added = command(verify, "verify", "recompute hashes, counts and verdicts, and say what may be concluded")
    added.add_argument("file", type=Path)
    added = command(replay, "replay", "run one case of a record again on what is installed here")
    added.add_argument("file", type=Path)
    added.add_argument("case", help="a case's id, or four or more digits of it, or its name or number in the corpus")
    added.add_argument("--target", metavar="LABEL", help="which target, where several were asked")
    added.add_argument("--mode", help="in which it was asked (default: eager, where it was)")
    added.add_argument("--adapter", metavar="MODULE:CLASS", help="what to run, where the run judged your own adapter")
    added.add_argument("--script", action="store_true", help="print a stand-alone script instead, for a bug report")
    added = command(merge, "merge", "put several runs into one file; contradictions are refused")
    added.add_argument("file", type=Path, help="the file to write")
    added.add_argument("parts", type=Path, nargs="+", help="the files to merge")
    added = command(finish, "finish", "close a run that was cut off, as incomplete; nothing that it wrote is lost")
    added.add_argument("file", type=Path, help="FILE.partial")
    added = command(upgrade, "upgrade", "run the corpus in two fresh environments, and compare")
    upgrading.add_arguments(added)
    command(print_schema, "schema", "print the JSON Schema of a line")
    return whole


def main(arguments: list[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a record's words may be in any script
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    given = parser().parse_args(arguments)
    try:
        return given.run(given)
    except (reading.Unusable, OSError) as error:
        print(f"python -m evidence: {words.visible(str(error))}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
