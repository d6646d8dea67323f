"""A compact record: small enough to be kept beside the code, and enough for `diff`.

It has each run's header, its verdicts on the corpus, and of what else was asked those that do not agree, without
answers; its tests that did not pass; and its end, with counts made anew. Its header says of which record it was made,
so that no reader takes it for the record in full.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from .merge import merged
from .record.compression import write
from .record.ledger import Ledger, sums
from .record.lines import dump, sealed
from .record.reader import read
from .record.runs import Evidence, Run, Unusable, miscounts


def command(full: Path, file: Path) -> int:
    """Write the compact record of one in full, and print its name."""
    if file.exists():
        raise Unusable(f"{file}: it is there already, expected a name that is free")
    compact(read(full), file)
    print(file)
    return 0


def compact(evidence: Evidence, path: Path) -> None:
    """Write the compact record. Raises Unusable for a run that did not end, is miscounted, or is compact already."""
    for run in evidence.runs:
        already = ["it is compact already"] if run.header.compact else []
        for problem in (*already, *([run.incomplete] if run.incomplete else []), *miscounts(run)):
            raise Unusable(f"{evidence.path}: {run.name}: {problem}")
    runs = [[*_lines(evidence, run)] for run in evidence.runs]
    digests = [lines[-1][-67:-3].decode() for lines in runs]
    write(path, runs[0] if len(runs) == 1 else merged(runs, digests))


def _lines(evidence: Evidence, run: Run) -> Iterator[bytes]:
    """The lines of one run."""
    assert run.end is not None
    made_of = {"file": evidence.sha256, "run": run.end.sha256, "verdicts": len(run.verdicts)}
    header = run.header.model_dump(exclude_unset=True) | {"compact": made_of}
    kept = [line.model_dump(exclude={"answer", "content"})
            for line in run.verdicts if line.outcome != "agrees" or (line.corpus and not line.relation)]  # fmt: skip
    ledger, found = Ledger(tuple(run.header.axes)), hashlib.sha256()
    for line in kept:
        ledger.add(line)
    lines = [header, *kept, *(line.model_dump() for line in run.tests)]
    for text in map(dump, lines):
        found.update(text)
        yield text
    end = run.end.model_dump(exclude={"sha256"}) | {"lines": len(lines) + 1} | sums(ledger, run.header.model_dump())
    yield sealed(found, end)
