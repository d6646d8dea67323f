"""Every command that a document, a workflow or the report names can be given as it stands.

The commands are found by kind: those of a block marked sh, lines behind "$ ", words in backquotes that begin with a
program, and the steps of workflows. Cheap ones are run, on records with the names that the documents use. Of the others
each word is held against the parser that would read it: click's, pytest's, argparse's, the noxfile's sessions, the
packages of constraints.txt.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("click")
pytest.importorskip("pydantic")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

import adapters
from evidence.compare.upgrade import package
from evidence.record.reader import Evidence
from evidence.record.schema import VerdictLine
from evidence.report.instructions import reproduce, verify
from evidence.report.problems import replay
from meta_tests.common import command
from meta_tests.common.records import few, record
from meta_tests.common.report import ASKED, FEATURES, evidence_of, header, line, target
from rnn_equivalence.commands import click, commands
from tests.frameworks import framework_adapter

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "meta_tests/README.md", "action.yml", ".ci/run")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / ".github" / "workflows").glob("*.yml")),
]
PROGRAMS = r"(?:[A-Z_]+=\S+ )*(?:python3?|pytest|nox|pip|rnn-equivalence) "
BLOCK = re.compile(r"^```(sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(rf"`({PROGRAMS}[^`]*)`")
STEP = re.compile(rf"^ *(?:- )?(?:run: )?({PROGRAMS}.*)$", re.MULTILINE)
# what stands for a word of the reader's own
WORDS = "FILE|NAME|CASE|RUN|SEED|N|ID|LABEL|FOLDER|SUBCOMMAND|COMMAND|OLD|NEW|FULL|COMPACT|FRAMEWORK|DEVICE"
OWN = re.compile(rf"\b(?:{WORDS})\b|MODULE:CLASS|\.\.\.|my_package|known\.toml")
SHELL = ("cd", "git", "eval", "gh", "mkdir", "echo", "exit", "set")
CHEAP = ("report", "badge", "diff", "verify", "replay", "merge", "compact", "finish", "schema")


def written(path: Path) -> Iterator[str]:
    """The commands of a document, a line each."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    if path.suffix != ".md":
        yield from (found.strip() for found in STEP.findall(text))
        return
    for kind, block in BLOCK.findall(text):
        lines = [line for line in block.splitlines() if line.strip() and not line.startswith("#")]
        yield from (line.removeprefix("$ ") for line in lines if kind == "sh" or line.startswith("$ "))
    yield from (
        " ".join(found.split()) for found in INLINE.findall(re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    )


def parts(line: str) -> Iterator[list[str]]:
    """The words of each command of a shell line, without variables, comments and redirections."""
    line = re.sub(r"\$\{\{.*?\}\}", "X", line)
    for words in re.split(r"\s(?:&&|\|\|?|;)\s", re.sub(r"(?:\|\||\d?>>?|<<<?) .*$|^set -\S+;", "", line)):
        given = shlex.split(words, comments=True)
        while given and re.fullmatch(r"[A-Z_]+=.*", given[0]):
            del given[0]
        if given:
            yield given


def problem(words: list[str], config: pytest.Config) -> str:
    """What is wrong with a command; empty where nothing is."""
    program, *given = Path(words[0]).name, *words[1:]
    if program in SHELL:
        return ""
    if program.startswith("python"):
        if given[:1] != ["-m"]:
            return "" if given[:1] in (["-"], ["-c"]) else f"no module: {words}"
        program, *given = given[1:] or [""]
    check = {
        "venv": by_name,
        "rnn_equivalence": by_click,
        "rnn-equivalence": by_click,
        "pytest": by_pytest,
        "nox": by_nox,
        "pip": by_pip,
    }
    return check.get(program, by_source)(given, config) if program in check else by_source([program, *given], config)


def by_name(given: list[str], config: pytest.Config) -> str:
    """Of the standard library: the one argument is the folder that git ignores."""
    return "" if given == [".venv"] else f"no environment of a known name: {given}"


def by_click(given: list[str], config: pytest.Config) -> str:
    name, *given = given or ["--help"]
    if name == "run" and "--help" not in given:
        return by_pytest(given, config)
    if name.startswith("-") or OWN.search(name):
        return "" if name in ("--help", "--version") or OWN.search(name) else f"no option {name}"
    if name not in commands.commands:
        return f"no command {name}"
    try:
        commands.commands[name].make_context(name, list(given))
    except click.exceptions.Exit:  # of --help
        return ""
    except click.ClickException as error:  # a text may name a command without its arguments
        return error.format_message() if given else ""
    return ""


def by_pytest(given: list[str], config: pytest.Config) -> str:
    try:
        own = {"N": "1", "SEED": "1"}
        known = config._parser.parse(["README.md" if word.startswith("$") else own.get(word, word) for word in given])
    except (pytest.UsageError, SystemExit) as error:
        return str(error)
    paths = [one for one in known.file_or_dir if not OWN.search(one) and "*" not in one]
    return "; ".join(f"no path {one}" for one in paths if not (ROOT / one.partition("::")[0]).exists())


@cache
def sessions() -> dict[str, list[str]]:
    """Session -> the ids of its parameters, as the noxfile tells them to nox."""
    found: dict[str, list[str]] = {}

    def session(function: Any = None, **given: Any) -> Any:
        if function is None:
            return session
        found[function.__name__] = getattr(function, "ids", [])
        return function

    def parametrize(name: str, some: list[str]) -> Any:
        return lambda function: setattr(function, "ids", some) or function

    words = {"session": session, "parametrize": parametrize, "param": lambda *given, **words: words["id"]}
    stub = SimpleNamespace(**words, Session=object, options=SimpleNamespace(), project=SimpleNamespace())
    code = (ROOT / "noxfile.py").read_text(encoding="utf-8").replace("import nox\n", "")
    exec(compile(code, "noxfile.py", "exec"), {"nox": stub, "__name__": "noxfile"})
    return found


def by_nox(given: list[str], config: pytest.Config) -> str:
    words, _, more = " ".join(given).partition(" -- ")
    if words in ("--list", "-l"):
        return ""
    wanted = words.removeprefix("-s ").split()
    if not words.startswith("-s ") or not wanted:
        return f"got {words}, expected -s SESSION"
    for word in wanted:
        name, _, parameter = word.rstrip(")").partition("(")
        if name not in sessions() and not OWN.search(name) and word != "X":
            return f"no session {name}"
        if parameter and parameter != "X" and parameter not in sessions()[name]:
            return f"no {name}({parameter})"
    return by_session(wanted[0], shlex.split(more), config) if more else ""


def by_session(name: str, given: list[str], config: pytest.Config) -> str:
    """Words that a session hands on: to a command of ours, to a module of ours, to pytest; or it takes them itself."""
    source = next(ast.unparse(node) for node in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body
                  if getattr(node, "name", "") == name)  # fmt: skip
    given = [word for word in given if repr(word) not in source]
    run = re.search(r"'-m', '([\w.]+)'(?:, '([a-z]+)')?", source)
    if run and run[1] == "rnn_equivalence":
        return by_click([run[2], *given], config)
    if run and run[1].split(".")[0] in ("meta_tests", "benchmarks") and "pytest" not in source:
        return by_source([run[1], *given], config)
    return "" if name == "mutation" else by_pytest(given, config)


def by_pip(given: list[str], config: pytest.Config) -> str:
    known = set(re.findall(r'"([\w-]+)>=', (ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    known |= set(re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))
    lower = {name.lower().replace("_", "-") for name in known}
    words = iter(word for word in given if word not in ("install", "--quiet", "--no-deps"))
    for word in words:
        if word in ("-c", "-r"):
            file = next(words, "")
            if not (ROOT / file).is_file() and "$" not in file:
                return f"no file {file}"
        elif word != "." and "$" not in word and package(word).lower().replace("_", "-") not in lower:
            return f"no package {word}"
    return ""


def by_source(words: list[str], config: pytest.Config) -> str:
    """A module that is there, and options of which it speaks."""
    name, *given = words
    path = ROOT / name.replace(".", "/")
    files = [file for file in (path.with_suffix(".py"), path / "__main__.py") if file.is_file()]
    if not files:
        return f"no program {name}"
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    named = (word.partition("=")[0] for word in given if word.startswith("--"))
    return "; ".join(f"{name}: no option {word}" for word in named if f'"{word}"' not in source)


def problems(lines: Iterator[str], config: pytest.Config) -> list[str]:
    return [f"{line}: {said}" for line in lines for words in parts(line) if (said := problem(words, config))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_of_a_document_can_be_given(path: Path, pytestconfig: pytest.Config) -> None:
    pytest.importorskip("xdist")  # whose options the documents name
    assert problems(written(path), pytestconfig) == []


@pytest.mark.parametrize("name", adapters.KNOWN)
def test_every_command_of_a_report_can_be_given(name: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    pytest.importorskip("xdist")
    told = target(f"{name} cpu") | {"source": name, "backend": "numpy" if name == "keras" else ""}
    wrong = line("disagrees", f"{name} cpu", features=ASKED | {"mode": "saved"}, idiom="held")
    head = header(targets=[told, target("one cpu")], features=FEATURES | {"mode": ["eager", "saved"]})
    made = evidence_of(tmp_path, wrong, head=head)
    said = [*reproduce(made.runs[0]).splitlines()[1:], verify(made), replay(made, made_line(made))]
    assert problems(iter(said), pytestconfig) == []


def made_line(evidence: Evidence) -> VerdictLine:
    return next(iter(evidence.runs[0].verdicts))


def test_every_command_that_a_program_prints_can_be_given(pytestconfig: pytest.Config) -> None:
    """As far as it stands in the source; what a program puts into it is a word of its own."""
    rooms = [ROOT / room for room in ("adapters", "evidence", "findings", "harness", "reference", "rnn_equivalence")]
    texts = [path.read_text(encoding="utf-8") for room in rooms for path in room.rglob("*.py")]
    pips = [found for text in texts for found in re.findall(r"pip install [^\"'`{;)\\]+", text)]
    ours = [found for text in texts for found in re.findall(r"python -m rnn_equivalence [a-z]+", text)]
    assert len(pips) > 8
    assert len(ours) > 3
    assert problems(iter(pips), pytestconfig) == []
    assert {found.split()[3] for found in ours} <= set(commands.commands)


WRONG = """
python -m rnn_equivalence sing
python -m rnn_equivalence verify run.json --loud
python -m rnn_equivalence findings && python3 -m nox -s no
pytest --frame torch
pytest tests/nowhere
pytest run.json && cargo test
nox -s evidences
nox -s "alone(mxnet)"
nox -s upgrade -- --from a --into b
nox -s tables -- --daily
nox -s evidence -- --every
pip install -c constraint.txt numpy
pip install numpi
python -m meta_tests.make_tea
python -m meta_tests.tables x --daily
"""


@pytest.mark.parametrize("line", WRONG.strip().splitlines())
def test_planted_a_command_that_cannot_be_given_is_named(line: str, pytestconfig: pytest.Config) -> None:
    pytest.importorskip("xdist")
    assert problems(iter([line]), pytestconfig)


def test_commands_are_found(tmp_path: Path) -> None:
    """In each of the ways in which documents write them; more than a hundred in all."""
    page = tmp_path / "page.md"
    page.write_text(
        "`pytest -v` and\n```sh\nnox -s a  # b\n```\n```console\n$ pytest x\n...\n```\n```text\npytest no\n```\n"
    )
    assert list(written(page)) == ["nox -s a  # b", "pytest x", "pytest -v"]
    assert sum(len(list(written(path))) for path in DOCUMENTS) > 100


def reads_a_record(words: list[str]) -> bool:
    return words[1:3] == ["-m", "rnn_equivalence"] and len(words) > 4 and words[3] in CHEAP


def cheap() -> list[str]:
    """The commands of documents that read a record, each once."""
    lines = dict.fromkeys(line for path in DOCUMENTS if path.suffix == ".md" for line in written(path))
    found = dict.fromkeys(shlex.join(words) for line in lines for words in parts(line) if reads_a_record(words))
    return [line for line in found if not OWN.search(line)]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that documents speak of."""
    folder = tmp_path_factory.mktemp("records")
    made = record(folder / "run.json", adapters.load("reference")).path
    for name in ("old.json", "new.json", "all.json", "b.json"):
        shutil.copy(made, folder / name)
    record(folder / "a.json", adapters.load("reference"), cases=few()[:2])
    return folder


@pytest.mark.parametrize("line", cheap())
def test_a_command_that_reads_a_record_runs_as_it_stands(
    line: str, records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may say no, as of a part of the suite; it may not say that it cannot be used."""
    shutil.copytree(records, tmp_path, dirs_exist_ok=True)
    if "--script" in line:  # the reference writes none
        (tmp_path / "run.json").unlink()
        record(tmp_path / "run.json", framework_adapter("torch"))
    if " merge " in line:
        (tmp_path / "all.json").unlink()
    if "finish" in line:
        *lines, _ = (tmp_path / "run.json").read_bytes().splitlines(keepends=True)
        (tmp_path / "run.json").unlink()
        (tmp_path / "run.json.partial").write_bytes(
            b"".join(lines).replace(b'"complete": true', b'"complete":false', 1)
        )
    (tmp_path / "evidence").symlink_to(ROOT / "evidence")
    monkeypatch.chdir(tmp_path)
    assert command.main(shlex.split(line)[3:]) in (0, 1)
