"""Which kind of record a file is, and which function does a command for it: the one place that tells them apart."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from reference.spec import short

from .campaign import record as campaigns
from .record.lines import FORMAT, Unusable, read_lines

# the format of a record -> command -> its module in evidence/ and its function
OF: dict[str, dict[str, str]] = {
    FORMAT: {
        "report": "report:command", "verify": "verify.verify:command", "merge": "merge:command",
        "diff": "compare.difference:command",
    },
    campaigns.FORMAT: {
        "report": "campaign.report:command", "verify": "campaign.verify:command", "merge": "campaign.compare:merge",
        "diff": "campaign.compare:diff",
    },
}  # fmt: skip


def format_of(path: Path) -> str:
    """The format that a file names, one of OF. That of a run where it names none: its reader says what is wrong.

    Raises Unusable for another.
    """
    try:
        first = json.loads(next(iter(read_lines(path)), b"null"))
    except (FileNotFoundError, Unusable, ValueError, RecursionError):
        return FORMAT
    given = first.get("format") if isinstance(first, dict) else None
    if given is not None and given not in OF:
        raise Unusable(f"{path.name}: got format {short(given)}, expected {' or '.join(map(repr, OF))}")
    return given or FORMAT


def command(name: str, *paths: Path, campaign: dict[str, Any], run: dict[str, Any], **given: Any) -> int:
    """Do a command for a record, or several of one kind.  campaign, run: arguments of the one kind alone; of the other
    kind none may be given. Raises Unusable."""
    kinds = {format_of(path) for path in paths}
    if len(kinds) > 1:
        raise Unusable(f"{', '.join(map(str, paths))}: got {' and '.join(sorted(kinds))}, expected records of one kind")
    (kind,) = kinds
    of_other = run if kind == campaigns.FORMAT else campaign
    for option, value in of_other.items():
        if value and not callable(value):
            raise Unusable(f"--{option.removeprefix('as_')}: is not for a record of the format {kind!r}")
    module, _, function = OF[kind][name].partition(":")
    own = campaign if kind == campaigns.FORMAT else run
    return getattr(import_module(f"evidence.{module}"), function)(**given, **own)


def report(file: Path, output: Path | None, summary: bool) -> int:
    return command("report", file, campaign={}, run={}, file=file, output=output, summary=summary)


def verify(file: Path, sample: float | None, **asking: Any) -> int:
    return command("verify", file, campaign={"sample": sample, **asking}, run={}, file=file)


def merge(file: Path, parts: tuple[Path, ...]) -> int:
    return command("merge", *parts, campaign={}, run={}, file=file, parts=parts)


def diff(old: Path, new: Path, as_json: bool, as_markdown: bool, **asking: Any) -> int:
    return command("diff", old, new, campaign=asking, run={"as_markdown": as_markdown}, old=old, new=new,
                   as_json=as_json)  # fmt: skip
