"""Which findings the installed versions have, and how to avoid each: their own cases are asked, and no others."""

import argparse
import json
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from adapters import KNOWN, Adapter, LoadError, load
from adapters.running.guard import one_line, warnings_shown

from .finding import Finding, all_findings
from .states import STATES, State, findings_of, states_of

WIDTH = 100


@dataclass(frozen=True)
class Row:
    """A finding, and its state, one of STATES, in a version.

    version: of the framework; None where it is not installed.  backend: of that version; those that have the finding,
    where it was not asked.  why: why it was not asked, or what came of its case where it has changed; else empty.
    """

    id: str
    state: str
    framework: str
    version: str | None
    backend: str
    kind: str
    title: str
    what: str
    link: str
    avoid: str
    why: str = ""

    @property
    def where(self) -> str:
        backend = self.backend and f"on {self.backend}"
        parts = self.framework, self.version, "" if backend in (self.version or "") else backend
        return " ".join(filter(None, parts))


def main(given: list[str]) -> int:
    """The same as `python -m rnn_equivalence findings`, where click is not installed."""
    parser = argparse.ArgumentParser(prog="python -m rnn_equivalence findings", description=__doc__)
    parser.add_argument("--framework", action="append", default=[])
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--script")
    return command(parser.error, **vars(parser.parse_args(given)))


def command(fail: Callable[[str], NoReturn], framework: Sequence[str], as_json: bool, script: str | None) -> int:
    """Print the findings of what is installed, or the script of one; returns the exit status. What cannot be fails."""
    for name in framework:
        if name not in KNOWN:
            fail(f"--framework: got {name!r}, expected one of {', '.join(KNOWN)}")
    try:
        if script is not None:
            print(script_of(script), end="")
            return 0
        asked = [name for name in KNOWN if name in framework or not framework]
        rows = [row for name in asked for row in rows_of(name)]
    except ValueError as error:
        fail(one_line(error))
    show(rows, as_json)
    return int(any(row.state == "changed" for row in rows))


def script_of(name: str) -> str:
    """The stand-alone script of a finding's case. Raises ValueError, in a sentence, where there is none here."""
    known = {finding.id: finding for finding in all_findings()}
    if name not in known:
        raise ValueError(f"--script: got {name!r}, expected the id of a finding, such as {next(iter(known), 'F-001')}")
    finding, adapter = known[name], _adapter(known[name].framework)
    if isinstance(adapter, str):
        raise ValueError(f"--script: {adapter}")
    if not finding.concerns(finding.framework, getattr(adapter, "backend", "")):
        raise ValueError(f"--script: {name} {_elsewhere(finding, adapter)}")
    write: Any = getattr(adapter, "script")  # noqa: B009 (an adapter need not have it)
    return write(finding.case.case(), finding.device, finding.case.idiom or finding.case.mode)


def rows_of(framework: str) -> Iterator[Row]:
    """A row for each finding of a framework: asked, where it is of what is installed here."""
    of = [finding for finding in all_findings() if finding.framework == framework]
    adapter = _adapter(framework) if of else ""
    if isinstance(adapter, str):
        yield from (_row(State(finding, "not asked"), why=adapter) for finding in of)
        return
    with warnings_shown():
        warnings.showwarning = lambda *_: None  # what a framework warns of is told by a run
        states = {state.finding.id: state for state in states_of(adapter, framework, findings_of(adapter))}
    for finding in of:
        state = states.get(finding.id) or State(finding, "not asked")
        yield _row(state, adapter, _why(state, adapter))


def _why(state: State, adapter: Adapter) -> str:
    """Why a finding was not asked, or what came of its case where it has changed; else empty."""
    if state.state == "changed" and state.trial:
        return one_line(state.trial.verdict or f"{state.trial.outcome}: {state.trial.message}")
    if state.state != "not asked":
        return ""
    here = state.finding.concerns(adapter.name, getattr(adapter, "backend", ""))
    return f"no {state.finding.device} is here" if here else _elsewhere(state.finding, adapter)


def _adapter(framework: str) -> Adapter | str:
    try:
        return load(framework)
    except LoadError as error:
        return f"{framework} {'is not installed' if error.absent else 'does not load'}: {error}"


def _elsewhere(finding: Finding, adapter: Adapter) -> str:
    here = getattr(adapter, "backend", "")
    return f"is of {finding.framework} on {' or '.join(finding.backends)}, which is on {here}"


def _row(state: State, adapter: Adapter | None = None, why: str = "") -> Row:
    one = state.finding
    backend = getattr(adapter, "backend", "") if state.state != "not asked" else " or ".join(one.backends)
    return Row(one.id, state.state, one.framework, adapter.version if adapter else None, backend, one.kind, one.title,
               str(one.what), one.link, one.avoid, why)  # fmt: skip


def show(rows: Sequence[Row], as_json: bool) -> None:
    print(json.dumps([asdict(row) for row in rows], indent=1) if as_json else "\n".join(page(rows)))


def page(rows: Iterable[Row]) -> Iterator[str]:
    """What a user reads: what has changed, what is present, what is documented, what is gone, what was not asked."""
    rows = list(rows)
    in_state = {state: [row for row in rows if row.state == state] for state in STATES}
    present = in_state["present"]
    faults, documented = ([row for row in present if row.kind == kind] for kind in ("fault", "documented"))
    yield f"{len(faults)} finding{'' if len(faults) == 1 else 's'} present in what is installed here."
    for title, some in (
        ("CHANGED: wrong in another way than is known", in_state["changed"]),
        ("Present", faults),
        ("Documented, and not what every user expects", documented),
    ):
        for where in dict.fromkeys(row.where for row in some):
            yield f"\n{title}: {where}"
            for row in (row for row in some if row.where == where):
                yield f"\n  {row.id} {row.title}"
                yield textwrap.fill(row.avoid, WIDTH, initial_indent="    avoid: ", subsequent_indent="           ")
                yield f"    what:  {row.what}\n    link:  {row.link}"
                if row.why:
                    yield f"    came:  {row.why}"
    if present:
        yield f"\nA script that shows one: python -m rnn_equivalence findings --script {present[0].id}"
    yield ""
    for where in dict.fromkeys(row.where for row in in_state["gone"]):
        yield f"Gone from {where}: {', '.join(row.id for row in in_state['gone'] if row.where == where)}"
    for why in dict.fromkeys(row.why for row in in_state["not asked"]):
        yield f"Not asked: {', '.join(row.id for row in in_state['not asked'] if row.why == why)}: {why}"
