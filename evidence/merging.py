"""Several runs in one file: Keras' backends, shards, machines. Runs that contradict each other are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import get_args

from .compression import lines, write
from .lines import sealed
from .reading import Evidence, Run, Unusable
from .schema import Outcome, question
from .verifying import miscounts


def merge(parts: Sequence[Evidence], path: Path) -> None:
    """Write the runs of all parts, unchanged and in their order, into one file. Raises Unusable, saying why not."""
    if path.exists():
        raise Unusable(f"{path}: it is there already, and the first file named is the one to write")
    runs = [(part, run) for part in parts for run in part.runs]
    if len(runs) < 2:
        raise Unusable(f"{len(runs)} run to merge, expected at least two")
    _expect_complete(runs)
    _expect_different(runs)
    _expect_one_suite(runs)
    _expect_one_word(runs)
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


def _expect_different(runs: Sequence[tuple[Evidence, Run]]) -> None:
    seen: dict[str, Path] = {}
    for part, run in runs:
        if run.name in seen:
            raise Unusable(f"{part.path}: the run {run.name} is in {seen[run.name]} already")
        seen[run.name] = part.path


def _expect_one_suite(runs: Sequence[tuple[Evidence, Run]]) -> None:
    """All runs were made by the same state of the suite, on the same corpus: their counts can stand side by side."""
    first_part, first = runs[0]
    for part, run in runs[1:]:
        for name, one, other in (
            ("suite", first.header.suite, run.header.suite),
            ("corpus", first.header.corpus, run.header.corpus),
            ("features", first.header.features, run.header.features),
        ):
            if one != other:
                raise Unusable(f"{first_part.path} and {part.path} differ in their {name}: {one} and {other}")


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
