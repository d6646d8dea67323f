"""Whether the last line of a run says what its lines add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from .ledger import Ledger, sums
from .runs import Run


def wrong_sums(run: Run, ledger: Ledger) -> Iterator[str]:
    """Where the last line says something else than the verdicts, which were counted, and the other lines."""
    if run.end is None:
        return
    lines, counted = len(run.verdicts) + len(run.tests) + 2, sums(ledger, run.header.model_dump())
    if run.end.lines != lines:
        yield f"the last line speaks of {run.end.lines} lines, there are {lines}"
    for target, outcomes in counted["outcomes"].items():
        if run.end.outcomes.get(target) != outcomes:
            yield f"{target}: the last line says {run.end.outcomes.get(target)}, its verdicts add up to {outcomes}"
    if others := sorted(run.end.outcomes.keys() - counted["outcomes"].keys()):
        yield f"the last line counts verdicts of {', '.join(others)}, which the header does not know"
    if [line.model_dump() for line in run.end.cells] != counted["cells"]:
        yield "the combinations of the last line are not those that its verdicts fill"
    tests = Counter(line.outcome for line in run.tests)
    for word in ("failed", "error", "skipped", "xfailed"):
        if tests[word] != run.end.tests.get(word, 0):
            yield f"the last line speaks of {run.end.tests.get(word, 0)} tests with {word}, there are {tests[word]}"
    failed, fails = tests["failed"] or tests["error"], any("fails: " in line.problem for line in run.header.absent)
    if run.end.exit_status == 1 and run.end.selection and not (failed or fails):
        yield "pytest ended with status 1, and no test failed"
    if run.end.exit_status == 0 and failed:
        yield "pytest ended with status 0, and tests failed"


def miscounts(run: Run) -> Iterator[str]:
    """The same, of verdicts that are still to be counted."""
    ledger = Ledger(tuple(run.header.axes))
    for line in run.verdicts:
        ledger.add(vars(line))
    yield from wrong_sums(run, ledger)
