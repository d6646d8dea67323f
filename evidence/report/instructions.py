"""How to make a run again, how to verify its record, and how to cite it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from ..reading import Evidence, Run
from ..schema import Header

CITATION = Path(__file__).parents[2] / "CITATION.cff"
RECORDER = ("numpy", "ml_dtypes", "hypothesis", "pytest", "pytest-xdist", "rich", "pydantic", "jinja2", "matplotlib")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")


def reproduce(run: Run) -> str:
    """Commands that make a run again, as far as its header tells."""
    suite = run.header.suite
    wanted = [*RECORDER, *_frameworks(run.header)]
    checkout = [shlex.join(["git", "checkout", suite.commit])] if suite.commit else []
    return "\n".join(
        [
            "git clone <this repository> && cd rnn-equivalence",
            *checkout,
            shlex.join(["python3", "-m", "pip", "install", "-c", "constraints.txt", *wanted]),
            _pytest(run.header),
        ]
    )


def _frameworks(header: Header) -> list[str]:
    """Distributions that the targets and their backends are named after, as far as they were installed."""
    installed = {name.lower(): name for name in header.environment.packages if NAME.fullmatch(name)}
    names = [name.lower() for target in header.targets for name in (target.adapter, target.backend)]
    return list(dict.fromkeys(installed[name] for name in names if name in installed))


def _pytest(header: Header) -> str:
    run = header.run
    variables = {name: text for name, text in header.environment.variables.items() if re.fullmatch(r"[A-Z0-9_]+", name)}
    variables["HYPOTHESIS_PROFILE"] = run.profile
    command = ["python3", "-m", "pytest", "tests/properties", "--evidence", "run.json", "--cases", str(run.cases)]
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
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        text = ""
    title = re.search(r'^title: *"?(.*?)"? *$', text, re.MULTILINE)
    names = re.findall(r'^ +- name: *"?(.*?)"? *$', text, re.MULTILINE)
    return {"title": title[1] if title else "rnn-equivalence", "authors": " and ".join(names) or "The authors"}
