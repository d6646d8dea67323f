"""Which findings the versions in a record have, as its verdicts say: `findings FILE`."""

from collections.abc import Iterator
from pathlib import Path

from findings.command import Row, show

from .record.reader import Evidence, read
from .words import visible


def command(file: Path, as_json: bool) -> int:
    """Print them; returns 1 where one has changed."""
    rows = list(rows_of(read(file)))
    show(rows, as_json)
    return int(any(row.state == "changed" for row in rows))


def rows_of(evidence: Evidence) -> Iterator[Row]:
    for target, one, state in (known for run in evidence.runs for known in run.states):
        why = f"the run did not ask it of {target.label}" if state == "not asked" else ""
        title, what, link, avoid = map(visible, (one.title, one.what, one.link, one.avoid))
        yield Row(one.id, state, visible(target.adapter), visible(target.version), visible(target.backend),
                  one.kind, title, what, link, avoid, why)  # fmt: skip
