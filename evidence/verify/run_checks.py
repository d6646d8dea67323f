"""What a run's header and last line say: held against this version of the suite, and against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from itertools import product

from adapters.contract import FEATURES

from ..record import corpus
from ..record.environment import ROOT, VARIABLES, suite
from ..record.ledger import AXES, FIRST_AXES
from ..record.runs import Run
from . import declarations
from .check import FAILED, those
from .questions import FOLDER, Tally, function

MOST_CASES = 10_000  # examples of a property, of a run of which a part was selected
MOST_PARAMETERS = 10  # of a test of the suite's own, on average: there are fewer
# Features of every record. A suite that has more of them asks more, and an older record has not been asked it.
FIRST_FEATURES = {"direction", "layout", "nonlinearity", "dtype", "bias", "h0", "lengths", "mask", "values",
                  "num_layers", "time", "batch", "mode"}  # fmt: skip


def knows_its_features(run: Run) -> bool:
    """Whether a run's features are those of this suite, as many as it has: the first ones at least, with all values."""
    there = run.header.features
    return FIRST_FEATURES <= there.keys() <= FEATURES.keys() and all(
        list(FEATURES[name]) == there[name] for name in there
    )


def header_problems(run: Run) -> Iterator[str]:
    """What a header says of itself, of the suite and of the targets, where it can be known."""
    header, about = run.header, run.header.environment
    for target in header.targets:
        yield from declarations.wrong(header, target)
    yield from declarations.absent(header)
    numpy = {name.lower(): version for name, version in about.packages.items()}.get("numpy")
    profile = about.variables.get("HYPOTHESIS_PROFILE", header.run.profile)
    strange = profile != header.run.profile or profile not in ("ci", "default", "nightly") or not header.run.cases
    unlisted = sorted(about.variables.keys() - set(VARIABLES))
    many = f"{header.run.cases:,} examples of each property, and there are {len(run.verdicts):,} verdicts"
    times = [_moment(text) for text in (header.run.started, run.end.finished if run.end else header.run.started)]
    earlier, here = corpus.of(header.digests).earlier, suite()
    ours = here["commit"] is not None and header.suite.commit == here["commit"] and not header.suite.modified
    yield from those(
        (not knows_its_features(run), "its features are not those of this version of the suite"),
        (tuple(header.axes) not in (AXES, FIRST_AXES), f"it counts combinations of {', '.join(header.axes)}"),
        (numpy != about.NumPy, f"NumPy {about.NumPy}, and the packages of the record have {numpy}"),
        (header.run.seed is None and header.run.profile != "ci",
         f"no seed, and the profile {header.run.profile!r} draws new cases in each run"),
        (strange, f"profile {header.run.profile!r} of {header.run.cases} cases; HYPOTHESIS_PROFILE is {profile!r}"),
        (unlisted, f"environment variables that no run records: {', '.join(unlisted)[:200]}"),
        (header.run.cases > max(len(run.verdicts), MOST_CASES), many),
        (None in times or times[0] > times[1],  # type: ignore[operator]
         f"begun {header.run.started!r} and finished {run.end.finished if run.end else ''!r}"),
        (earlier and ours, f"made by this commit, and asked an earlier corpus, {'; '.join(earlier)}"),
    )  # fmt: skip


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.utcoffset() is not None else None


def test_problems(run: Run, tally: Tally, elsewhere: int) -> Iterator[str]:
    """Whether as many tests were run as this suite has.  elsewhere: tests of families that it has not."""
    if run.end is None or run.incomplete:
        return
    if unknown := run.end.tests.keys() - {"passed", "skipped", *FAILED}:
        yield f"tests that ended as {', '.join(sorted(unknown))}: no test of this suite does"
    ended = Counter((line.test, line.outcome) for line in run.tests)
    yield from (f"{test[:200]!r} ended {n} times as {outcome}" for (test, outcome), n in ended.items() if n > 1)
    for name in {test for test, _ in ended if test.startswith(FOLDER) and "::" in test}:
        if function(name) not in tally.tests:
            yield f"{name[:200]!r}: this suite has no such test"
    errors = run.end.tests.get("error", 0)  # which a test may have beside another outcome
    total = sum(run.end.tests.values()) - errors
    targets, seen = len(run.header.targets), len(tally.names)
    ours, own = tally.number * targets + elsewhere, _tests_in("tests/notebooks", "tests/conventions")
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


def unfilled(run: Run) -> Iterator[str]:
    """Supported combinations and values without a case that agrees: pytest fails then, where all was run."""
    if run.end is None or run.end.selection or run.end.exit_status != 0 or run.header.compact:
        return
    features, ledger, came = run.header.features, run.ledger, run.ledger.by_combination()
    combinations = [
        dict(zip(ledger.axes, values, strict=True)) for values in product(*(features[name] for name in ledger.axes))
    ]
    for target in run.header.targets:
        declared, label = declarations.of(target), target.label
        empty = [
            " ".join(map(str, combination.values()))
            for combination in combinations
            if not declared.refusals(combination) and not came[label, *map(str, combination.values())]["agrees"]
        ] + [
            f"{name} {value}"
            for name, values in features.items()
            for value in values
            if not declared.refusals({name: value}) and not ledger.cases(label, name, value, "agrees")
        ]
        if empty:
            yield f"{label}: pytest ended with status 0, and no case agrees of {', '.join(empty[:5])}"
