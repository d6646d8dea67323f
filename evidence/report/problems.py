"""What is wrong: the first sentence of the report, what must be said beside it, and each test that did not pass."""

import shlex
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from findings.finding import KINDS
from reference.judging.verdict import Location, Verdict
from reference.judging.view import View

from ..record.runs import Evidence, Run, miscounts
from ..record.schema import FindingLine, VerdictLine
from ..words import cut, joined, many, value
from .columns import Column, Wrong, judged


class Conclusion(NamedTuple):
    """What came of it all.

    level: "good", "warn" (nothing is wrong that is not known, and something is missing or known to be) or "bad".
    word: the verdict's name.  sentence: the verdict.  warnings: what else must be read first.  notes: what is no fault.
    brief: the verdict in a few words, for a badge.
    """

    level: str
    word: str
    sentence: str
    warnings: list[str]
    notes: list[str]
    brief: str

    @property
    def short(self) -> str:
        """The sentence without the versions that have findings."""
        before, present, _ = self.sentence.partition(" present in ")
        return f"{before} present." if present else self.sentence


class Present(NamedTuple):
    """A finding that some targets have: in which versions, and how many verdicts it explains, or leaves out."""

    finding: FindingLine
    where: str
    explains: int


def findings(found: list[Column], kind: str, state: str = "present") -> list[Present]:
    """The findings of a kind that are in a state in some version, by their ids."""
    lines: dict[str, FindingLine] = {}
    where: dict[str, dict[str, None]] = {}
    explains = Counter[str]()
    for column in found:
        for one in column.findings.get(state, ()):
            if one.kind == kind:
                lines[one.id] = one
                where.setdefault(one.id, {})[version_of(column)] = None
                explains[one.id] += column.explained[one.id]
    return [Present(lines[one], joined([*where[one]]), explains[one]) for one in sorted(lines)]


def version_of(column: Column) -> str:
    """A framework in its version: "keras 3.15.1 on torch 2.13.0"."""
    return f"{column.target.adapter} {column.target.version}"


def headline(found: list[Column]) -> str:
    """How many findings are present, where, and which; empty where none is. Documented defaults are not among them."""
    ids: dict[tuple[str, ...], dict[str, None]] = {}  # those of a version -> which versions have these
    for version in dict.fromkeys(map(version_of, found)):
        of = [column for column in found if version_of(column) == version]
        if here := tuple(one.finding.id for one in findings(of, "fault")):
            ids.setdefault(here, {})[version] = None
    parts = [f"in {joined([*versions])}: {', '.join(here)}" for here, versions in ids.items()]
    number = len({one for here in ids for one in here})
    return f"{many(number, 'finding')} present {'; '.join(parts)}" if parts else ""


def conclude(evidence: Evidence, found: list[Column]) -> Conclusion:
    """Everything agrees only if nothing disagreed, crashed or failed, no finding is present and every run complete."""
    total = sum((column.outcomes for column in judged(found)), Counter())
    cut, agree = sum(bool(run.incomplete) for run in evidence.runs), total["agrees"]
    present, documented = headline(found), [one.finding.id for one in findings(found, "documented")]
    brief = f"{agree:,} agree"
    if wrong := _wrong(evidence, found, sum((column.outcomes for column in found), Counter())):
        words = "bad", "disagrees", f"Not everything agrees: {joined(wrong)}."
        brief = wrong[0]
    elif cut:
        runs = f"{cut} of {len(evidence.runs)} runs {_is(cut)}" if len(evidence.runs) > 1 else "the run is"
        seen = f"the {many(agree, 'answer')} judged before agree" if agree else "nothing was judged"
        words = "warn", "incomplete", f"No verdict: {runs} incomplete; {seen}."
        brief = "incomplete"
    elif not agree:
        words = "warn", "nothing judged", "No verdict: no answer was found to agree, and none to disagree."
        brief = "nothing judged"
    elif present:
        words = "warn", "findings", f"{agree:,} answers agree; {present}."
        brief += f", {present.split(' present')[0]}"
    else:
        within = f"{many(agree, 'answer')} of {many(len(judged(found)), 'target')} lie within their bounds"
        words = "good", "agrees", f"Everything agrees: {within}."
        if documented:
            defaults = many(len(documented), "documented default")
            words = "good", "agrees", f"{within}; where {defaults} is at work, they differ: {', '.join(documented)}."
        if any(run.end and run.end.selection for run in evidence.runs):
            words = "warn", "part of the suite", f"All that was asked agrees, but not all was asked: {within}."
    gone = [f"{one.finding.id} in {one.where}" for kind in KINDS for one in findings(found, kind, "gone")]
    right = [f"Gone, of what other versions have wrong: {'; '.join(gone)}."] if gone else []
    return Conclusion(*words, _warnings(evidence), [*_idioms(found), *_notes(total), *right], brief)


def _is(count: int, past: bool = False) -> str:
    return (("are", "were"), ("is", "was"))[count == 1][past]


def _wrong(evidence: Evidence, found: list[Column], total: Counter[str]) -> list[str]:
    tests = sum((tests_of(run) for run in evidence.runs), Counter())
    failed, undeclared = tests["failed"] + tests["error"], total["undeclared"]
    refused = f"{many(undeclared, 'question')} {_is(undeclared, past=True)} refused without being declared so"
    changed = [f"{one.finding.id} in {one.where}" for kind in KINDS for one in findings(found, kind, "changed")]
    miscounted = sum(any(miscounts(run)) for run in evidence.runs)
    counted = {
        f"{many(total['disagrees'], 'answer')} disagree{'s' * (total['disagrees'] == 1)}": total["disagrees"],
        f"{many(len(changed), 'finding')} changed: {', '.join(changed)}": len(changed),
        f"{total['crashed']:,} crashed": total["crashed"],
        refused: undeclared,
        f"{many(failed, 'test')} failed": failed,
        f"{many(tests['xfailed'], 'test')} failed as was known": tests["xfailed"],
        f"the last line of {many(miscounted, 'run')} counts other verdicts than there are": miscounted,
    }
    wrong = [words for words, count in counted.items() if count]
    if not wrong and any(run.end and run.end.exit_status == 1 for run in evidence.runs):
        missing = sum(column.missing() for column in found if column.run.end and column.run.end.exit_status == 1)
        values = many(missing, "supported combination or value", "supported combinations or values")
        wrong.append(f"{values} got no case that agrees" if missing else "pytest ended with status 1")
    return wrong


def _warnings(evidence: Evidence) -> list[str]:
    """What a reader must know first: runs that are incomplete, a part of the suite, or of changed files."""
    several = len(evidence.runs) > 1
    named = [(f"Run {number}" if several else "This run", run) for number, run in enumerate(evidence.runs, 1)]
    cut = [f"{which} is incomplete: {run.incomplete}. What it did not ask is not known."
           for which, run in named if run.incomplete]  # fmt: skip
    narrow = [f"{which} is only a part of the suite: {run.end.selection}."
              for which, run in named if run.end and run.end.selection]  # fmt: skip
    changed = [which for which, run in named if run.header.suite.modified]
    files = f"{_is(len(changed), past=True)} made with a suite whose files differ from the commit"
    return [*cut, *narrow, *([f"{joined(changed)} {files}."] if changed else [])]


def _notes(total: Counter[str]) -> list[str]:
    vacuous, refused, lacks, left = (total[word] for word in ("vacuous", "refused", "not offered", "left out"))
    notes = {
        f"{many(vacuous, 'answer')} {_is(vacuous)} vacuous: the bound is too wide to say anything.": vacuous,
        f"{many(refused, 'question')} {_is(refused, past=True)} refused by a framework, as declared below.": refused,
        f"{many(lacks, 'question')} {_is(lacks)} not offered: an adapter has no way to ask.": lacks,
        f"{many(left, 'case')} {_is(left, past=True)} left out: the findings named say why.": left,
    }
    return [words for words, count in notes.items() if count]


def _idioms(found: list[Column]) -> list[str]:
    """In how many ways of a call, beside the adapters' own, something was asked. An idiom of several targets counts for
    each."""
    cases = sum(outcomes.total() for column in found for outcomes in column.idioms.values())
    asked = sum(len(column.idioms) for column in found)
    absent = sum(bool(one.absent) for column in found for one in column.target.idioms)
    lacking = f"; {absent} {_is(absent)} absent on this machine" if absent else ""
    asked_in = f"{many(asked, 'idiom')}, other ways of a call, {_is(asked, past=True)} asked in {many(cases, 'case')}"
    return [f"{asked_in}{lacking}."] if asked or absent else []


def tests_of(run: Run) -> Counter[str]:
    """Tests by outcome: as the run's end counts them; before it, those known not to have passed."""
    return Counter(run.end.tests) if run.end else Counter(line.outcome for line in run.tests)


class Problem(NamedTuple):
    """A test that did not pass, or that holds an answer which is wrong.

    run: its number, 0 where there is one alone.  message: what pytest said.  wrong: the answers, by target and outcome.
    """

    run: int
    test: str
    outcome: str
    message: str
    wrong: list[Wrong]


def problems(evidence: Evidence, found: list[Column]) -> Iterator[Problem]:
    """Disagreements, crashes, undeclared refusals and tests that failed, in the order of the file."""
    for number, run in enumerate(evidence.runs, 1):
        said = {line.test: (line.outcome, cut(line.message)) for line in run.tests if line.outcome != "skipped"}
        of_run = [column.wrong for column in found if column.run is run]
        for test in dict.fromkeys([*(test for wrong in of_run for test in wrong), *said]):
            groups = [group for wrong in of_run for group in wrong.get(test, {}).values()]
            yield Problem(number * (len(evidence.runs) > 1), test, *said.get(test, ("not known", "")), groups)


def skipped(evidence: Evidence) -> dict[str, list[str]]:
    """Why tests were skipped -> their names."""
    reasons: dict[str, list[str]] = {}
    for run in evidence.runs:
        for line in run.tests:
            if line.outcome == "skipped":
                reasons.setdefault(cut(line.message), []).append(line.test)
    return reasons


def replay(evidence: Evidence, line: VerdictLine) -> str:
    """What runs a case again: it names the target where the file holds several, and an adapter of the user's own."""
    sources = {target.label: target.source for run in evidence.runs for target in run.header.targets}
    command = ["python", "-m", "rnn_equivalence", "replay", evidence.path.name, line.case]
    command += ["--target", line.target] if len(sources) > 1 else []
    command += [f"--mode={mode}"] if (mode := str(line.features.get("mode", "eager"))) != "eager" else []
    command += [f"--idiom={line.idiom}"] if line.idiom else []
    command += ["--adapter", sources[line.target]] if ":" in sources[line.target] else []
    return shlex.join(command)


def asked(line: VerdictLine) -> str:
    """The case in one line; a size is said as a number, not as the feature that it falls under."""
    idiom = f", in the idiom {line.idiom!r}, which shows: {View(**line.view)}" if line.idiom else ""
    features = {**line.features, **line.sizes.model_dump(exclude_defaults=True)}
    return ", ".join(f"{name} {value(of)}" for name, of in features.items()) + idiom


def said(line: VerdictLine) -> str:
    """What the judge said, in its own words, and why there is no verdict, where there is none."""
    verdict = ""
    if line.verdict is not None:
        about: dict[str, Any] = line.verdict.model_dump()
        places: dict[str, Any] = {name: Location(**about[name]) for name in ("worst", "first") if about[name]}
        verdict = str(Verdict(line.outcome, **about | places))
    return cut("\n".join(filter(None, (verdict, line.message))))
