"""What a run's header and last line say: held against this version of the suite, and against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from itertools import product

from adapters.contract import FEATURES

from ..record.environment import ROOT, VARIABLES
from ..record.ledger import CELL, Ledger
from ..record.reading import Run
from . import declarations
from . import questions as asked
from .check import FAILED
from .questions import Tally

MOST_CASES = 10_000  # examples of a property, of a run of which a part was selected
MOST_PARAMETERS = 10  # of a test of the suite's own, on average: there are fewer


def header_problems(run: Run) -> Iterator[str]:
    """What a header says of itself, of the suite and of the targets, where it can be known."""
    header, about = run.header, run.header.environment
    if {name: list(values) for name, values in FEATURES.items()} != header.features:
        yield "its features are not those of this version of the suite"
    for target in header.targets:
        yield from declarations.wrong(header, target)
    yield from declarations.absent(header)
    numpy = {name.lower(): version for name, version in about.packages.items()}.get("numpy")
    if numpy != about.NumPy:
        yield f"NumPy {about.NumPy}, and the packages of the record have {numpy}"
    if header.run.seed is None and header.run.profile != "ci":
        yield f"no seed, and the profile {header.run.profile!r} draws new cases in each run"
    profile = about.variables.get("HYPOTHESIS_PROFILE", header.run.profile)
    if profile != header.run.profile or profile not in ("ci", "default", "nightly") or not header.run.cases:
        yield f"profile {header.run.profile!r} of {header.run.cases} cases; HYPOTHESIS_PROFILE is {profile!r}"
    if unlisted := sorted(about.variables.keys() - set(VARIABLES)):
        yield f"environment variables that no run records: {', '.join(unlisted)[:200]}"
    if header.run.cases > max(len(run.verdicts), MOST_CASES):
        yield f"{header.run.cases:,} examples of each property, and there are {len(run.verdicts):,} verdicts"
    times = [_moment(text) for text in (header.run.started, run.end.finished if run.end else header.run.started)]
    if None in times or times[0] > times[1]:  # type: ignore[operator]
        yield f"begun {header.run.started!r} and finished {run.end.finished if run.end else ''!r}"


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.utcoffset() is not None else None


def test_problems(run: Run, tally: Tally) -> Iterator[str]:
    """Whether as many tests were run as this suite has."""
    if run.end is None or run.incomplete:
        return
    if unknown := run.end.tests.keys() - {"passed", "skipped", *FAILED}:
        yield f"tests that ended as {', '.join(sorted(unknown))}: no test of this suite does"
    ended = Counter((line.test, line.outcome) for line in run.tests)
    yield from (
        f"{test[:200]!r} ended {times} times as {outcome}" for (test, outcome), times in ended.items() if times > 1
    )
    for name in {test for test, _ in ended if test.startswith(asked.FOLDER) and "::" in test}:
        if name.split("[")[0].removeprefix(asked.FOLDER) not in asked.TESTS:
            yield f"{name[:200]!r}: this suite has no such test"
    errors = run.end.tests.get("error", 0)  # which a test may have beside another outcome
    total = sum(run.end.tests.values()) - errors
    targets, seen = len(run.header.targets), len({*tally.asked, *tally.vacuous})
    ours, own = asked.number_for_a_target() * targets, _tests_in("tests/notebooks", "tests/conventions")
    most = ours + MOST_PARAMETERS * (own + _tests_in("meta_tests")) * (1 + targets)
    whole = ours <= total + errors and (total <= ours or ours + own <= total)
    if not (whole or run.end.selection) or total > most or seen > total + errors:
        yield (
            f"{total:,} tests ended, {seen:,} left verdicts: tests/properties has {ours:,} for these targets, and the "
            f"whole suite from {ours + own:,} to {most:,}"
        )


@cache
def _tests_in(*folders: str) -> int:
    """How many test functions there are below these folders, parameters not counted."""
    files = (path for folder in folders for path in (ROOT / folder).rglob("test_*.py"))
    return sum(path.read_text(encoding="utf-8").count("\ndef test_") for path in files)


def unfilled(run: Run, ledger: Ledger) -> Iterator[str]:
    """Supported cells and values without a case that agrees: pytest fails then, where the whole suite was run."""
    if run.end is None or run.end.selection or run.end.exit_status != 0:
        return
    for target in run.header.targets:
        declared = declarations.of(target)
        cells: list[dict[str, str | bool]] = [
            dict(zip(CELL, cell, strict=True)) for cell in product(*(FEATURES[name] for name in CELL))
        ]
        empty = [
            " ".join(map(str, cell.values()))
            for cell in cells
            if not declared.refusals(cell) and not ledger.cell_cases(target.label, cell.values(), "agrees")
        ] + [
            f"{name} {value}"
            for name, values in FEATURES.items()
            for value in values
            if not declared.refusals({name: value}) and not ledger.cases(target.label, name, value, "agrees")
        ]
        if empty:
            yield f"{target.label}: pytest ended with status 0, and no case agrees of {', '.join(empty[:5])}"
