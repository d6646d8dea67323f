"""Several runs in one file: Keras' backends, shards, machines. Runs that contradict each other are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import get_args

from .record.compression import lines, write
from .record.lines import sealed
from .record.reader import read
from .record.runs import Evidence, Run, Unusable, miscounts
from .record.schema import Outcome, question


def command(file: Path, parts: Sequence[Path]) -> int:
    """Merge the parts into a file, and print its name."""
    merge([read(path) for path in parts], file)
    print(file)
    return 0


def merge(parts: Sequence[Evidence], path: Path) -> None:
    """Write the runs of all parts, unchanged and in their order, into one file. Raises Unusable, saying why not."""
    if path.exists():
        raise Unusable(f"{path}: it is there already, and the first file named is the one to write")
    runs = [(part, run) for part in parts for run in part.runs]
    if len(runs) < 2:
        raise Unusable(f"{len(runs)} run to merge, expected at least two")
    for part, run in runs:
        for problem in (*([run.incomplete] if run.incomplete else []), *miscounts(run)):
            raise Unusable(f"{part.path}: {run.name}: {problem}")
    expect_compatible(runs)
    write(path, merged(map(_lines_of_runs, parts), [run.end.sha256 for _, run in runs if run.end]))


def merged(runs: Iterable[Iterable[bytes]], digests: list[str]) -> Iterator[bytes]:
    """The lines of all runs, and the line that merges them."""
    whole = hashlib.sha256()
    for line in chain.from_iterable(runs):
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


def expect_compatible(runs: Sequence[tuple[Evidence, Run]]) -> None:
    """Raise Unusable where a run is there twice, is of another suite or corpus, or contradicts another."""
    seen: dict[str, Path] = {}
    first_part, first = runs[0]
    for part, run in runs:
        if run.name in seen:
            raise Unusable(f"{part.path}: the run {run.name} is in {seen[run.name]} already")
        seen[run.name] = part.path
        for name, of in (("suite", "suite"), ("corpus", "digests"), ("features", "features"), ("axes", "axes")):
            one, other = (getattr(of_run.header, of) for of_run in (first, run))
            if one != other:
                raise Unusable(f"{first_part.path} and {part.path} differ in their {name}: {one} and {other}")
    _expect_one_word(runs)


def _expect_one_word(runs: Sequence[tuple[Evidence, Run]]) -> None:
    """One version on one kind of device does not answer a question rightly in one run and wrongly in another."""
    said: dict[bytes, tuple[int, str]] = {}  # a digest of the question -> where it was asked first, and what came of it
    where = {(number, outcome): (number, outcome) for number in range(len(runs)) for outcome in get_args(Outcome)}
    for number, (part, run) in enumerate(runs):
        versions = {target.label: target.version for target in run.header.targets}
        for line in run.verdicts:
            asked = repr((question(line), versions[line.target])).encode()
            first, outcome = said.setdefault(hashlib.sha256(asked).digest()[:16], where[number, line.outcome])
            if first != number and outcome != line.outcome:
                raise Unusable(
                    f"{runs[first][0].path} and {part.path} contradict each other: {line.target} "
                    f"{versions[line.target]}, {line.property}, case {line.case}, "
                    f"{line.features.get('mode', 'in its only mode')}: {outcome} and {line.outcome}"
                )
