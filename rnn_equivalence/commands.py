"""The commands: their arguments, and the function of the suite that does each. Its module is loaded when it is called.

Exit status: 0 yes, 1 no, 2 an input that cannot be used, 130 the user interrupted it.
"""

import io
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from adapters import KNOWN, try_any_version
from adapters.contract import MODES
from evidence.words import visible
from reference.judging.judge import BOUNDS

from . import SUITE

INTERRUPTED = 130  # 128 + SIGINT, as a shell has it
INSTALL = "python3 -m pip install -c constraints.txt pydantic jinja2 matplotlib"


class Upgrade(click.Command):
    """Its options take one value or more: --from A B is read as --from A --from B."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given, several, option = [], ("--from", "--to"), ""
        for word in args:
            if word.startswith("-"):
                option = word.partition("=")[0]
                given += [] if word in several else [word]
            else:
                given += [option, word] if option in several else [word]
        return super().parse_args(ctx, given)


class Unusable(click.ClickException):
    exit_code = 2


def any_version() -> click.Option:
    """--any-version, as pytest takes it: for this process, and for those that it starts."""

    def heard(context: click.Context, parameter: click.Parameter, given: bool) -> None:
        if given:
            try_any_version()

    said = "Try older versions too than those that the adapters were run with."
    return click.Option(["--any-version"], is_flag=True, expose_value=False, callback=heard, help=said)


PATH = click.Path(path_type=Path)
FILE = click.Argument(["file"], type=PATH)
FOLDER = {"type": PATH, "metavar": "FOLDER"}
REQUIREMENTS = {"multiple": True, "required": True, "metavar": "REQUIREMENT..."}
# command -> its module in evidence/ and its function, what it does, its arguments
OF_EVIDENCE: dict[str, tuple[str, str, list[click.Parameter]]] = {
    "report": ("report:command", "Write a page (HTML) and a text (Markdown) of a record.", [
        FILE,
        click.Option(["--output"], **FOLDER, help="Where to (default: beside FILE)."),
        click.Option(["--summary"], is_flag=True, help="Print a short Markdown summary instead.")]),
    "badge": ("report:command_badge", "Print the badge of a record, as JSON for shields.io, for a README.", [
        FILE,
        click.Option(["--output"], type=PATH, metavar="NAME", help="Write it into this file.")]),
    "diff": ("compare.difference:command", "Compare two records case by case: 0 is go, 1 no-go, 2 unusable input.", [
        click.Argument(["old"], type=PATH), click.Argument(["new"], type=PATH),
        click.Option(["--json", "as_json"], is_flag=True, help="Every case, for a program."),
        click.Option(["--markdown", "as_markdown"], is_flag=True, help="The tables, for a page.")]),
    "verify": ("verify.verify:command", "Recompute hashes, counts, verdicts, and say what may be concluded.", [FILE]),
    "replay": ("replay:command", "Run one case of a record again on what is installed here.\n\n"
               "CASE is a case's id, or four or more digits of it, or its name or number in the corpus.", [
        FILE,
        click.Argument(["case"]),
        click.Option(["--target"], metavar="LABEL", help="Which target, where several were asked."),
        click.Option(["--mode"], help="In which it was asked (default: eager, where it was)."),
        click.Option(["--idiom"], help="In which it was asked (default: the adapter's own way, where it was)."),
        click.Option(["--adapter"], metavar="MODULE:CLASS", help="What to run, where the run judged your own adapter."),
        click.Option(["--script"], is_flag=True, help="Print a stand-alone script instead, for a bug report."),
        any_version()]),
    "merge": ("merge:command", "Put several records into FILE. Contradictions are refused.",
              [FILE, click.Argument(["parts"], type=PATH, nargs=-1, required=True)]),
    "compact": ("merge:command_compact", "Keep in FILE what diff needs of the record FULL, without answers.",
                [click.Argument(["full"], type=PATH), FILE]),
    "finish": ("record.journal:command", "Close FILE.partial, of a run that was cut off, as incomplete.", [FILE]),
    "upgrade": ("compare.upgrade:command", "Judge two versions, each in a fresh environment: go or no-go.", [
        click.Option(["--from", "old"], **REQUIREMENTS, help="keras==3.5.0 ..., or one constraints file."),
        click.Option(["--to", "new"], **REQUIREMENTS, help="The same, of the other side."),
        click.Option(["--output"], **FOLDER, help="Where each upgrade gets a folder (default: out/upgrade)."),
        any_version()]),
    "schema": ("record.schema:command", "Print the JSON Schema of a record's line.", []),
}  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Does this framework, in this version, on this device, compute the recurrent layer that the equations define?"""


@commands.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: tuple[str, ...]) -> None:
    """Judge what is installed here. Takes pytest's options, and --framework, --adapter, --cases, --evidence, ..."""
    import pytest

    tests = SUITE / "tests"
    given = [str(SUITE / word) if (SUITE / word).is_relative_to(tests) else word for word in arguments]  # tests/...
    named = any(Path(word).is_relative_to(tests) for word in given)
    cache = Path.cwd() / ".pytest_cache"
    ours = ["-c", str(SUITE / "pyproject.toml"), f"--rootdir={SUITE}", "-o", f"cache_dir={cache}"]
    sys.exit(pytest.main([*ours, *given, *([] if named else [str(tests)])]))


@commands.command(
    epilog=f"NAME is one of {', '.join(KNOWN)}, or module:Class. CASE is a file that a failing test wrote."
)
@click.argument("name", required=False)
@click.argument("case", required=False)
@click.option("--device", default="cpu", show_default=True, help="Where the layer runs.")
@click.option("--mode", type=click.Choice(MODES), default="eager", show_default=True, help="How the module is called.")
@click.option("--idiom", default="", metavar="WORD", help="Another way in which the layer is called: docs/adapters.md.")
@click.option("--bound", type=click.Choice(BOUNDS), help="The bound to judge by (default: step).")
@click.option("--check", is_flag=True, help="Run the self-check: does the adapter keep the contract?")
@click.option("--script", is_flag=True, help="Run nothing: print the case as a stand-alone script, for a bug report.")
def adapters(**given: Any) -> None:
    """Say what can be loaded here. NAME --check: does it keep the contract? NAME CASE.json: run one case."""
    from adapters.__main__ import command
    from findings.states import told

    sys.exit(command(click.get_current_context().fail, **given, explain=told))


@commands.command()
@click.argument("file", required=False, type=PATH)
@click.option("--framework", multiple=True, metavar="NAME", help="Of this framework only; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects, for a program.")
@click.option("--script", metavar="ID", help="Print the stand-alone script of a finding's case, and ask nothing.")
def findings(file: Path | None, **given: Any) -> None:
    """Which known faults the installed versions have, and how to avoid each. FILE: those of a record.

    Each finding's own case is asked of what is installed here. Exit status 1: one is wrong in another way than known.
    """
    if file is not None:
        if given["script"] or given["framework"]:
            raise Unusable("FILE: got it beside --framework or --script, expected it alone or with --json")
        evidence("findings:command", file=file, as_json=given["as_json"])
    from findings.command import command

    sys.exit(command(click.get_current_context().fail, **given))


adapters.params.append(any_version())


def evidence(name: str, **given: object) -> None:
    """Call a command of the evidence. Raises Unusable, in a sentence."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a record's words may be in any script
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        module, _, function = name.partition(":")
        command = getattr(import_module(f"evidence.{module}"), function)
        cannot_be_used = import_module("evidence.record.runs").Unusable
    except ModuleNotFoundError as missing:
        raise Unusable(f"{missing}; {INSTALL}") from missing
    try:
        sys.exit(command(**given))
    except (cannot_be_used, OSError) as error:
        raise Unusable(visible(str(error))) from error
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)  # which says nothing of the question


for name, (function, said, arguments) in OF_EVIDENCE.items():
    kind = Upgrade if name == "upgrade" else click.Command
    commands.add_command(kind(name, params=arguments, help=said, callback=partial(evidence, function)))
