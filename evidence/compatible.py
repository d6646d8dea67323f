"""Whether runs can stand in one file: when they are merged, and when such a file is verified."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from .record.reading import Evidence, Run, Unusable
from .record.schema import Outcome, question


def expect_compatible(runs: Sequence[tuple[Evidence, Run]]) -> None:
    """Raise Unusable where a run is there twice, is of another suite or corpus, or contradicts another."""
    _expect_different(runs)
    _expect_one_suite(runs)
    _expect_one_word(runs)


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
