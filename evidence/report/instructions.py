"""How to make a run again, how to verify its record, and how to cite it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from adapters import KNOWN

from ..record.reader import Evidence, Run
from ..record.schema import Header

CITATION = Path(__file__).parents[2] / "CITATION.cff"
RECORDER = ("numpy", "ml_dtypes", "hypothesis", "pytest", "pytest-xdist", "rich", "pydantic", "jinja2", "matplotlib")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")


def reproduce(run: Run) -> str:
    """Commands that make a run again, as far as its header tells."""
    suite, header = run.header.suite, run.header
    wanted = dict.fromkeys([*RECORDER, *_frameworks(header)])
    checkout = [shlex.join(["git", "checkout", suite.commit])] if suite.commit else []
    own = [target.source for target in header.targets if ":" in target.source]
    return "\n".join(
        [
            _clone(),
            *checkout,
            shlex.join(["python3", "-m", "pip", "install", "-c", "constraints.txt", *wanted]),
            *(f"# and what {shlex.quote(source)} needs, which its author knows" for source in dict.fromkeys(own)),
            _pytest(header),
        ]
    )


def _clone() -> str:
    """Where the suite is to be had, by its CITATION.cff; that a clone is needed, where that tells no address."""
    found = re.search(r'^repository-code: *"?(.*?)"? *$', _text(CITATION), re.MULTILINE)
    where = f"{shlex.join(['git', 'clone', found[1], 'rnn-equivalence'])} && cd rnn-equivalence" if found else ""
    return where or "# in a clone of rnn-equivalence:"


def _frameworks(header: Header) -> list[str]:
    """The distributions that the known adapters of a run need, Keras' backend among them."""
    names: list[str] = []
    for target in header.targets:
        if target.source in KNOWN:
            needed = KNOWN[target.source][2].removeprefix("pip install ").split()
            names += [name for name in needed if target.source != "keras" or name == "keras"]
        if target.source == "keras" and NAME.fullmatch(target.backend):
            names.append(target.backend)
    return names


def _pytest(header: Header) -> str:
    run = header.run
    variables = {name: text for name, text in header.environment.variables.items() if re.fullmatch(r"[A-Z0-9_]+", name)}
    variables["HYPOTHESIS_PROFILE"] = run.profile
    for target in header.targets:
        if target.source == "keras":
            variables["KERAS_BACKEND"] = target.backend
    command = ["python3", "-m", "pytest", "tests/properties", "--evidence=run.json", "--cases", str(run.cases)]
    command += [] if run.seed is None else [f"--hypothesis-seed={run.seed}"]
    command += [] if run.shrink else ["--no-shrink"]
    for target in header.targets:
        option = "--adapter" if ":" in target.source else "--framework"
        command += [] if target.source in command else [option, target.source]
    for device in _devices(header):
        command += ["--device", device]
    return " ".join([*(f"{name}={shlex.quote(text)}" for name, text in sorted(variables.items())), shlex.join(command)])


def _devices(header: Header) -> list[str]:
    """The devices of all targets, where they are the same for each adapter; else none need be named."""
    of: dict[str, list[str]] = {}
    for target in header.targets:
        of.setdefault(target.source, []).append(target.device)
    first, *others = list(of.values()) or [[]]
    return first if all(devices == first for devices in others) else []


def verify(evidence: Evidence) -> str:
    """The command that checks the record."""
    return shlex.join(["python", "-m", "evidence", "verify", evidence.path.name])


@dataclass(frozen=True)
class Citation:
    """The same reference as a sentence and as BibTeX."""

    text: str
    bibtex: str


def citation(evidence: Evidence, path: Path | None = None) -> Citation:
    """Who, what, which version and commit, and which record."""
    about = _about(path or CITATION)
    suites = list(dict.fromkeys((r.header.suite.version, r.header.suite.commit or "no commit") for r in evidence.runs))
    versions = ", ".join(f"version {version} (commit {commit[:12]})" for version, commit in suites)
    runs = ", ".join(run.end.sha256 if run.end else "an incomplete run" for run in evidence.runs)
    date = max((run.end.finished if run.end else run.header.run.started for run in evidence.runs), default="")[:10]
    note = f"Evidence: SHA-256 {runs}"
    text = f"{about['authors']}. {about['title']}, {versions}, {date}. {note}."
    fields = {"title": about["title"], "author": f"{{{about['authors']}}}", "version": versions, "date": date,
              "year": date[:4], "note": note}  # fmt: skip
    lines = [f"  {name} = {{{_tex(text, name)}}}," for name, text in fields.items()]
    return Citation(text, "\n".join(["@software{rnn-equivalence,", *lines, "}"]))


def _tex(text: str, name: str) -> str:
    """Text of a BibTeX field. Braces stay only around the authors, who are no first and last names."""
    inner = re.sub(r"([&%$#_])", r"\\\1", re.sub(r"[\\{}\r\n]", " ", text)).strip()
    return f"{{{inner}}}" if name == "author" else inner


def _about(path: Path) -> dict[str, str]:
    """Title and authors of a CITATION.cff: the two of its fields that are needed, one to a line."""
    text = _text(path)
    title = re.search(r'^title: *"?(.*?)"? *$', text, re.MULTILINE)
    names = re.findall(r'^ +- name: *"?(.*?)"? *$', text, re.MULTILINE)
    return {"title": title[1] if title else "rnn-equivalence", "authors": " and ".join(names) or "The authors"}


def _text(path: Path) -> str:
    """What a file holds; nothing, where it is not there."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
