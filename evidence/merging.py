"""Several runs in one file: Keras' backends, shards, machines. Runs that contradict each other are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .compression import write
from .journal import run_digest
from .lines import dump
from .reading import Evidence, Run, Unusable, lines_of_runs
from .schema import VerdictLine
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
    body = b"".join(data for part in parts for data in lines_of_runs(part))
    merged: dict[str, Any] = {"kind": "merged", "runs": [run.end.sha256 for _, run in runs if run.end]}
    write(path, body + dump(merged | {"sha256": run_digest(body, merged)}))


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
    """One version on one kind of device does not answer a case rightly in one run and wrongly in another."""
    said: dict[tuple[str, ...], tuple[Evidence, Run, VerdictLine]] = {}
    for part, run in runs:
        versions = {target.label: target.version for target in run.header.targets}
        for line in run.verdicts:
            key = (line.target, versions[line.target], line.property, line.case)
            before, first, other = said.setdefault(key, (part, run, line))
            if first is not run and other.outcome != line.outcome:
                raise Unusable(
                    f"{before.path} and {part.path} contradict each other: {line.target} {versions[line.target]}, "
                    f"{line.property}, case {line.case}: {other.outcome} and {line.outcome}"
                )
