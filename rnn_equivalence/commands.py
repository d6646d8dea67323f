"""The commands: their arguments, and the function of the suite that does each. Its module is loaded when it is called.

Exit status: 0 yes, 1 no, 2 an input that cannot be used, 130 the user interrupted it.
"""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from adapters import KNOWN, try_any_version
from adapters.contract import MODES
from adapters.running.guard import one_line
from evidence.words import visible
from reference import LAYOUTS, limits
from reference.judging.judge import BOUNDS

from . import INTERRUPTED

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


@contextmanager
def one_sentence() -> Iterator[None]:
    """What click cannot use is said without the usage."""
    try:
        yield
    except click.UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # which no click before 8.2 has
            raise
        raise Unusable(one_line(error.format_message())) from error


class Commands(click.Group):
    def make_context(self, *given: Any, **named: Any) -> click.Context:
        with one_sentence():
            return super().make_context(*given, **named)

    def invoke(self, ctx: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a name may hold what the terminal cannot show
                stream.reconfigure(errors="backslashreplace")
        try:
            with one_sentence():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)  # which says nothing of the question


def any_version() -> click.Option:
    """--any-version, as pytest takes it: for this process, and for those that it starts."""

    def heard(context: click.Context, parameter: click.Parameter, given: bool) -> None:
        if given:
            try_any_version()

    said = "Try versions older than those that were tried."
    return click.Option(["--any-version"], is_flag=True, expose_value=False, callback=heard, help=said)


PATH = click.Path(path_type=Path)
COUNT = click.IntRange(0, limits.CASE_AXIS)
FILE = click.Argument(["file"], type=PATH)
FOLDER = {"type": PATH, "metavar": "FOLDER"}
REQUIREMENTS = {"multiple": True, "required": True, "metavar": "REQUIREMENT..."}
# command -> its module in evidence/ and its function, what it does, its arguments
OF_EVIDENCE: dict[str, tuple[str, str, list[click.Parameter]]] = {
    "report": ("report:command", "Write a page (HTML), a text (Markdown) and an in-toto statement of a record.", [
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
    "verify": ("verify.verify:command", "Recompute hashes, counts, verdicts, and say what may be concluded.", [
        FILE,
        click.Option(["--sample"], type=float, metavar="PART",
                     help="Of a campaign: the part of its blocks that is asked again (default 0.001).")]),
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


def version(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    if given:
        from evidence.record.environment import suite

        known = suite()
        commit = f", commit {known['commit']}{', changed' * known['modified']}" if known["commit"] else ""
        click.echo(f"rnn-equivalence {known['version']}{commit}")
        context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=version, help="And its commit.")
def commands() -> None:
    """Does this framework compute the recurrent layer that the equations define?"""


@commands.command(context_settings={"help_option_names": ["--help"], "ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: tuple[str, ...]) -> None:
    """Judge what is installed here, by pytest, whose options it takes: run -- --help names them all.

    \b
    --framework NAME         Only this one; may be repeated, as the next two.
    --adapter MODULE:CLASS   Your own adapter.
    --device DEVICE          Only on this one: cpu, cuda, cuda:1, ...
    --cases N                How many cases are drawn for each property.
    --evidence FILE          Record every verdict in it, for report, verify, diff.
    --strict-findings        Fail where the version at hand has a finding.
    --known-failures FILE    Tests that are expected to fail, and why.
    --isolate                Run every case in a process of its own.
    --any-version            Judge versions older than those that were tried too.
    -n auto, -v, -q, -k ...  Processes; more, or less, to read; which tests.
    """
    from .run import status_of

    try:
        sys.exit(status_of(arguments))
    except ValueError as error:
        raise Unusable(str(error)) from error


@commands.command(
    epilog=f"NAME is one of {', '.join(KNOWN)}, or module:Class. CASE is a file that a failing test wrote."
)
@click.argument("name", required=False)
@click.argument("case", required=False)
@click.option("--device", default="cpu", show_default=True, help="Where the layer runs.")
@click.option("--mode", type=click.Choice(MODES), default="eager", metavar="WORD", help="How the module is called.")
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
        called("evidence.findings:command", file=file, as_json=given["as_json"])
    from findings.command import command

    sys.exit(command(click.get_current_context().fail, **given))


@commands.command(
    epilog="MODEL is a .pt, .keras or .onnx file, or module:object. What needs code of a file is refused."
)
@click.argument("models", nargs=-1, required=True, type=click.Path(), metavar="MODEL [MODEL]")
@click.option("--layer", default="", metavar="WORDS", help="Of a state_dict: 'LSTM(3, 5, num_layers=2)'.")
@click.option("--inputs", type=PATH, metavar="FILE", help=".npy: x; .npz: x, h0, c0, lengths, mask; else drawn.")
@click.option("--seed", default=0, type=COUNT, metavar="N", show_default=True, help="Of what is drawn.")
@click.option("--batch", default=4, type=COUNT, metavar="N", show_default=True, help="Sequences that are drawn.")
@click.option("--time", default=10, type=COUNT, metavar="N", show_default=True, help="Steps that are drawn.")
@click.option("--layout", type=click.Choice(LAYOUTS), metavar="AXES", help=f"Of x: {', '.join(LAYOUTS)}.")
@click.option("--device", default="cpu", show_default=True, help="Where the layer runs.")
@click.option("--idiom", default="", metavar="WORD", help="Another way to call the layer: docs/adapters.md.")
@click.option("--framework", default="", metavar="NAME", help="Ask this one, given the model's parameters.")
@click.option("--script", type=PATH, metavar="FILE", help="Write a stand-alone script of a case here.")
def judge(**given: Any) -> None:
    """Does a model of my own compute its equations here? Of two: are they the same function on this input?

    A larger model is judged layer by layer. Exit status 0: yes; 1: no.
    """
    from adapters.own import Question
    from reference.spec import expect

    from .judge import Way, command

    models, drawn = given.pop("models"), {name: given.pop(name) for name in ("seed", "batch", "time", "layout")}
    way = Way(given.pop("device"), given.pop("idiom"), given.pop("framework"))
    try:
        expect(len(models) < 3, "MODEL", models, "one, or two to compare")
        sys.exit(command(models, **given, way=way, question=Question({}, **drawn)))
    except (ImportError, MemoryError, OSError, TypeError, ValueError) as error:
        raise Unusable(one_line(error)) from error


# the function of a command for records of runs -> that for records of campaigns
OF_CAMPAIGNS = {
    "evidence.report:command": "evidence.campaign.report:command",
    "evidence.verify.verify:command": "harness.campaign.verify:command",
    "evidence.merge:command": "evidence.campaign.record:merge",
    "evidence.compare.difference:command": "harness.campaign.compare:command",
}


def _for_its_kind(name: str, given: dict[str, Any]) -> str:
    """The function that does a command for records of the kind that the files are, as their first lines say."""
    if name not in OF_CAMPAIGNS:
        return name
    lines, read = import_module("evidence.record.lines"), [given[of] for of in ("file", "old", "new") if of in given]
    kinds = {lines.format_of(path) for path in given.get("parts") or read}
    if len(kinds) > 1:
        raise lines.Unusable(f"got a {' and a '.join(sorted(kinds))}, expected records of one kind")
    return name if kinds == {"run"} else OF_CAMPAIGNS[name]


def called(name: str, **given: Any) -> None:
    """Call the function, module:function, of a command, and exit with its status. Raises Unusable, in a sentence."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a record's words may be in any script
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    cannot_be_used = import_module("evidence.record.lines").Unusable
    try:
        module, _, function = _for_its_kind(name, given).partition(":")
        command = getattr(import_module(module), function)
    except ModuleNotFoundError as missing:
        raise Unusable(f"{missing}; {INSTALL}") from missing
    except cannot_be_used as error:
        raise Unusable(visible(str(error))) from error
    try:
        sys.exit(command(**given))
    except (cannot_be_used, OSError) as error:
        raise Unusable(visible(str(error))) from error


@commands.command()
@click.option("--framework", metavar="NAME", help="Which framework is asked.")
@click.option("--adapter", metavar="MODULE:CLASS", help="Your own adapter, in its place.")
@click.option("--device", default="cpu", show_default=True, help="Where the layer runs.")
@click.option("--seeds", required=True, metavar="FIRST:BEHIND", help="Which cases: 0:1000000 is a million.")
@click.option("--shard", metavar="I/N", help="The I-th of N parts of them, I from 0 to N - 1.")
@click.option("--evidence", "file", required=True, type=PATH, metavar="FILE", help="Record every block in it.")
@click.option("--resume", is_flag=True, help="Go on with FILE.partial, where there is one.")
@click.option("--isolate", is_flag=True, help="Run every case in a process of its own.")
@click.option("--processes", type=click.IntRange(1, 1_000), metavar="N", help="On this machine.")
@click.option("--dask", metavar="ADDRESS", help="On the workers of this Dask scheduler.")
def campaign(framework: str | None, adapter: str | None, **given: Any) -> None:
    """Judge a framework on as many cases as there are seeds: docs/campaigns.md.

    Exit status 1: a case did not agree.
    """
    if (framework is None) == (adapter is None) or (given["processes"] and given["dask"]):
        raise Unusable("got both or none, expected one of --framework and --adapter, and of --processes and --dask")
    if framework is not None and framework not in KNOWN:
        raise Unusable(f"--framework: got {framework!r}, expected one of {', '.join(KNOWN)}")
    called("harness.campaign.run:command", source=framework or adapter, **given)


for one in (adapters, judge, campaign):
    one.params.append(any_version())
for name, (function, said, arguments) in OF_EVIDENCE.items():
    kind = Upgrade if name == "upgrade" else click.Command
    hidden = name == "schema"  # the list of all commands fits a screen
    does = partial(called, f"evidence.{function}")
    commands.add_command(kind(name, params=arguments, help=said, callback=does, hidden=hidden))
