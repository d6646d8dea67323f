"""How to make a run again, how to verify its record, and how to cite it."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from adapters import KNOWN

from ..record.reader import Evidence, Run
from ..record.schema import Header

CITATION = Path(__file__).parents[2] / "CITATION.cff"
TOOLS = "numpy ml_dtypes hypothesis pytest pytest-xdist rich click pydantic jinja2 matplotlib"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")


def reproduce(run: Run) -> str:
    """Commands that make a run again, as far as its header tells."""
    suite, targets = run.header.suite, run.header.targets
    address = _citation("repository-code")
    wanted = dict.fromkeys([*TOOLS.split(), *_frameworks(run.header)])
    own = dict.fromkeys(target.source for target in targets if ":" in target.source)
    return "\n".join(
        [
            *(f"{shlex.join(['git', 'clone', of, 'rnn-equivalence'])} && cd rnn-equivalence" for of in address[:1]),
            *([] if address else ["# in a clone of rnn-equivalence:"]),
            *([shlex.join(["git", "checkout", suite.commit])] if suite.commit else []),
            shlex.join(["python3", "-m", "pip", "install", "-c", "constraints.txt", *wanted]),
            *(f"# and what {shlex.quote(source)} needs, which its author knows" for source in own),
            _pytest(run.header),
        ]
    )


def _frameworks(header: Header) -> list[str]:
    """The distributions that the known adapters of a run need, Keras' backend among them."""
    names: list[str] = []
    for target in header.targets:
        if target.source in KNOWN:
            needed = KNOWN[target.source][2].removeprefix("pip install ").split()
            names += [name for name in needed if target.source != "keras" or name == "keras"]
        if target.source == "keras" and NAME.fullmatch(target.backend):
            names += {"numpy": ["jax"], "openvino": ["scipy"]}.get(target.backend, [])  # which Keras imports there
            names.append(target.backend)
    return names


def _pytest(header: Header) -> str:
    run = header.run
    variables = {name: text for name, text in header.environment.variables.items() if re.fullmatch(r"[A-Z0-9_]+", name)}
    variables["HYPOTHESIS_PROFILE"] = run.profile
    command = ["python3", "-m", "pytest", "tests/properties", "--evidence=run.json", "--cases", str(run.cases)]
    command += [] if run.seed is None else [f"--hypothesis-seed={run.seed}"]
    command += [] if run.shrink else ["--no-shrink"]
    devices: dict[str, list[str]] = {}
    for target in header.targets:
        devices.setdefault(target.source, []).append(target.device)
        if target.source == "keras":
            variables["KERAS_BACKEND"] = target.backend
    for source in devices:
        command += ["--adapter" if ":" in source else "--framework", source]
    first, *others = list(devices.values()) or [[]]
    for device in first if all(some == first for some in others) else []:  # else none need be named
        command += ["--device", device]
    return " ".join([*(f"{name}={shlex.quote(text)}" for name, text in sorted(variables.items())), shlex.join(command)])


def documents() -> str:
    """Where the documents are; empty while CITATION.cff names no repository."""
    return "".join(f"{of.rstrip('/')}/tree/main/docs" for of in _citation("repository-code")[:1])


def verify(evidence: Evidence) -> str:
    return shlex.join(["python", "-m", "rnn_equivalence", "verify", evidence.path.name])


class Citation(NamedTuple):
    """The same reference as a sentence and as BibTeX."""

    text: str
    bibtex: str


def citation(evidence: Evidence) -> Citation:
    """Who, what, which version and commit, and which record."""
    title, authors = _citation("title")[0], " and ".join(_citation(" +- name"))
    suites = list(dict.fromkeys((r.header.suite.version, r.header.suite.commit or "no commit") for r in evidence.runs))
    versions = ", ".join(f"version {version} (commit {commit[:12]})" for version, commit in suites)
    note = f"Evidence: SHA-256 {', '.join(run.end.sha256 if run.end else 'an incomplete run' for run in evidence.runs)}"
    date = max((run.end.finished if run.end else run.header.run.started for run in evidence.runs), default="")[:10]
    fields = {"title": title, "author": authors, "version": versions, "date": date, "year": date[:4], "note": note}
    lines = {name: re.sub(r"([&%$#_])", r"\\\1", re.sub(r"[\\{}\r\n]", " ", text)) for name, text in fields.items()}
    lines["author"] = f"{{{lines['author']}}}"  # who are no first and last names
    bibtex = [f"  {name} = {{{text.strip()}}}," for name, text in lines.items()]
    return Citation(
        f"{authors}. {title}, {versions}, {date}. {note}.", "\n".join(["@software{rnn-equivalence,", *bibtex, "}"])
    )


def _citation(name: str) -> list[str]:
    """The values of a field of CITATION.cff, which has each on a line."""
    return re.findall(rf'^{name}: *"?(.*?)"? *$', CITATION.read_text(encoding="utf-8"), re.MULTILINE)
