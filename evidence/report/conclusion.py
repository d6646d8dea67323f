"""The first sentence of the report, and what must be said beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..record.reader import Evidence, Run
from ..words import joined, many
from .columns import Column, columns


@dataclass(frozen=True)
class Conclusion:
    """What came of it all.

    level: "good", "warn" (nothing is wrong, and something is missing) or "bad".
    word: the verdict's name.  sentence: the verdict.  warnings: what else must be read first.  notes: what is no fault.
    """

    level: str
    word: str
    sentence: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def conclude(evidence: Evidence) -> Conclusion:
    """Everything agrees only if nothing disagreed, crashed or failed, and every run is complete."""
    found = columns(evidence)
    total = sum((column.outcomes for column in found), Counter())
    faults, warnings = _faults(evidence, found, total), _warnings(evidence)
    if faults:
        words = "bad", "disagrees", f"Not everything agrees: {joined(faults)}."
    elif any(run.incomplete for run in evidence.runs):
        seen = f"the {many(total['agrees'], 'answer')} judged before agree" if total["agrees"] else "nothing was judged"
        words = "warn", "incomplete", f"No verdict: {_incomplete(evidence)}; {seen}."
    elif not total["agrees"]:
        words = "warn", "nothing judged", "No verdict: no answer was found to agree, and none to disagree."
    else:
        words = _agreement(evidence, len(found), total["agrees"])
    return Conclusion(*words, warnings, _notes(total))


def _agreement(evidence: Evidence, targets: int, agreeing: int) -> tuple[str, str, str]:
    within = f"{many(agreeing, 'answer')} of {many(targets, 'target')} lie within their bounds."
    if any(run.end and run.end.selection for run in evidence.runs):
        return "warn", "part of the suite", f"All that was asked agrees, but not all was asked: {within}"
    return "good", "agrees", f"Everything agrees: {within}"


def _incomplete(evidence: Evidence) -> str:
    cut = sum(bool(run.incomplete) for run in evidence.runs)
    if len(evidence.runs) == 1:
        return "the run is incomplete"
    return f"{cut} of {len(evidence.runs)} runs {'is' if cut == 1 else 'are'} incomplete"


def _faults(evidence: Evidence, found: list[Column], total: Counter[str]) -> list[str]:
    """What is wrong, in counts."""
    tests = sum((tests_of(run) for run in evidence.runs), Counter())
    undeclared, failed = sum(column.undeclared for column in found), tests["failed"] + tests["error"]
    faults = []
    if total["disagrees"]:
        faults.append(f"{many(total['disagrees'], 'answer')} disagree{'s' * (total['disagrees'] == 1)}")
    if total["crashed"]:
        faults.append(f"{total['crashed']:,} crashed")
    if undeclared:
        was = "was" if undeclared == 1 else "were"
        faults.append(f"{many(undeclared, 'question')} {was} refused without being declared unsupported")
    if failed:
        faults.append(f"{many(failed, 'test')} failed")
    if tests["xfailed"]:
        faults.append(f"{many(tests['xfailed'], 'test')} failed as was known")
    miscounted = sum(_miscounted(run) for run in evidence.runs)
    if miscounted:
        faults.append(f"the last line of {many(miscounted, 'run')} counts other verdicts than there are")
    if not faults and any(run.end and run.end.exit_status == 1 for run in evidence.runs):
        missing = sum(len(c.missing) for c in found if c.run.end and c.run.end.exit_status == 1)
        faults.append(
            f"{many(missing, 'supported cell or value', 'supported cells or values')} got no case that agrees"
            if missing
            else "pytest ended with status 1"
        )
    return faults


def _miscounted(run: Run) -> bool:
    """Whether a run's last line adds its verdicts up otherwise than they do."""
    if run.end is None:
        return False
    said = Counter({(label, word): n for label, words in run.end.outcomes.items() for word, n in words.items() if n})
    return said != Counter((line.target, line.outcome) for line in run.verdicts)


def _warnings(evidence: Evidence) -> tuple[str, ...]:
    several = len(evidence.runs) > 1
    named = [(f"Run {number}" if several else "This run", run) for number, run in enumerate(evidence.runs, 1)]
    cut = [f"{which} is incomplete: {run.incomplete}. What it did not ask is not known."
           for which, run in named if run.incomplete]  # fmt: skip
    narrow = [f"{which} is only a part of the suite: {run.end.selection}."
              for which, run in named if run.end and run.end.selection]  # fmt: skip
    changed = [which for which, run in named if run.header.suite.modified]
    files = "made with a suite whose files differ from the commit"
    modified = [f"{joined(changed)} {'was' if len(changed) == 1 else 'were'} {files}."] if changed else []
    return (*cut, *narrow, *modified)


def _notes(total: Counter[str]) -> tuple[str, ...]:
    notes = []
    if total["vacuous"]:
        is_are = "is" if total["vacuous"] == 1 else "are"
        notes.append(f"{many(total['vacuous'], 'answer')} {is_are} vacuous: the bound is too wide to say anything.")
    if total["refused"]:
        was = "was" if total["refused"] == 1 else "were"
        notes.append(f"{many(total['refused'], 'question')} {was} refused; the table below says what is unsupported.")
    return tuple(notes)


def tests_of(run: Run) -> Counter[str]:
    """Tests by outcome: as the run's end counts them; before it, those known not to have passed."""
    return Counter(run.end.tests) if run.end else Counter(line.outcome for line in run.tests)
