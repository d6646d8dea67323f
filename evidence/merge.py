"""Several runs in one file: Keras' backends, shards, machines. Runs that contradict each other are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from .compatible import expect_compatible
from .record.compression import lines, write
from .record.lines import sealed
from .record.reading import Evidence, Run, Unusable
from .verify.verify import miscounts


def merge(parts: Sequence[Evidence], path: Path) -> None:
    """Write the runs of all parts, unchanged and in their order, into one file. Raises Unusable, saying why not."""
    if path.exists():
        raise Unusable(f"{path}: it is there already, and the first file named is the one to write")
    runs = [(part, run) for part in parts for run in part.runs]
    if len(runs) < 2:
        raise Unusable(f"{len(runs)} run to merge, expected at least two")
    _expect_complete(runs)
    expect_compatible(runs)
    write(path, _merged(parts, [run.end.sha256 for _, run in runs if run.end]))


def _merged(parts: Sequence[Evidence], digests: list[str]) -> Iterator[bytes]:
    """The lines of all runs, and the line that merges them."""
    whole = hashlib.sha256()
    for line in chain.from_iterable(map(_lines_of_runs, parts)):
        whole.update(line)
        yield line
    yield sealed(whole, {"kind": "merged", "runs": digests})


def _lines_of_runs(part: Evidence) -> Iterator[bytes]:
    """The lines of a file's runs as they stand there, without the line that merges them."""
    found, before = hashlib.sha256(), b""
    for line in lines(part.path):
        found.update(line)
        yield before
        before = line
    if found.hexdigest() != part.sha256:
        raise Unusable(f"{part.path}: it was changed while it was read")
    if len(part.runs) == 1:
        yield before


def _expect_complete(runs: Sequence[tuple[Evidence, Run]]) -> None:
    for part, run in runs:
        for problem in (*([run.incomplete] if run.incomplete else []), *miscounts(run)):
            raise Unusable(f"{part.path}: {run.name}: {problem}")
