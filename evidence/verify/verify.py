"""What a third party may believe of a file: that it is unchanged, that its counts are those of its lines, that it holds
what this suite asks, and that its verdicts on the frozen corpus follow from cases, answers and declarations."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from adapters.capabilities import BASE, FEATURES

from ..merge import expect_compatible
from ..record import corpus
from ..record.environment import ROOT, VARIABLES, suite
from ..record.ledger import AXES, FIRST_AXES, IDIOMS
from ..record.reader import read
from ..record.runs import FAILED, Evidence, Run, Unusable, miscounts
from ..words import one_line
from . import declarations
from .added import in_full
from .again import redraw
from .check import Check, few, those
from .questions import CORPUS, FOLDER, Tally, function
from .target_checks import Target

EPOCH = datetime.fromtimestamp(0, UTC)
MOST_CASES = 10_000  # examples of a property, of a run of which a part was selected
MOST_PARAMETERS = 10  # of a test of the suite's own, on average: there are fewer
RIGHT = (
    "The file is as it was written, its counts are those of its verdicts, it holds what this suite asks, and its "
    "verdicts on the frozen corpus follow from the answers kept, by this suite's reference, bounds and declarations. "
    "That these answers came from the frameworks and versions it names, and the verdicts on other cases, it cannot "
    "show: replay its cases, or record a run of your own and compare them (python -m rnn_equivalence diff). Who wrote "
    "it, only a SHA-256 published elsewhere can tell: "
)
COMPACT = (
    "Not verified: this is a compact record. The file is as it was written, its counts are those of its verdicts, and "
    "every case of the corpus was asked once. It keeps no answers, and no drawn question that agrees: whether its "
    "verdicts follow from answers, only the record in full can show. Verify that one; its SHA-256 is "
)


def command(file: Path, sample: float | None = None) -> int:
    """Print what was checked, and what may be concluded: 0 where all is right and shown, else 1."""
    if sample is not None:
        raise Unusable("--sample: is for a record of a campaign, and this is one of a run: all of it is verified")
    evidence = read(file)
    checks = verify(evidence)
    for check in checks:
        print(f"{'WRONG' if check.problems else 'right'}  {one_line(check.checked)}")
        for problem in check.problems:
            print(f"         {one_line(problem)}")
    print(conclusion(evidence, checks))
    return int(any(check.problems for check in checks) or any(run.header.compact for run in evidence.runs))


def verify(evidence: Evidence) -> list[Check]:
    """Everything that can be checked. Hashes and the schema were checked on reading; frameworks are asked only for what
    they refused or crashed on in their own words, and only where they are installed."""
    checks = [Check(f"{len(evidence.runs)} run(s): every line has the form that docs/evidence.md describes")]
    for run in evidence.runs:
        checks += (found := _checks(run))
        if not any(one.problems for one in found) and (redrawn := redraw(run)):
            checks.append(redrawn)
    if len(evidence.runs) > 1:
        together = f"its {len(evidence.runs)} runs are different ones of one suite, and do not contradict each other"
        try:
            expect_compatible([(evidence, run) for run in evidence.runs])
            checks.append(Check(together))
        except Unusable as error:
            checks.append(Check(together, [str(error)]))
    if not any(run.header.targets for run in evidence.runs):
        checks.append(Check("some target was judged", ["there is none"]))
    return checks


def _checks(run: Run) -> list[Check]:
    asked, known = corpus.of(run.header.digests), knows_its_features(run)
    targets = {target.label: Target(run, target, asked) for target in run.header.targets}
    tally, wrong = Tally(run, asked), list[str]()
    unshown, elsewhere, left_out = Counter[str](), set[str](), run.header.digests.keys() - corpus.families().keys()
    for line in in_full(run.verdicts):
        family = corpus.family_of(line.corpus) if line.corpus and line.test.startswith(f"{FOLDER}{CORPUS}") else None
        if family in left_out:
            unshown[f"of the corpus of {family}, which this suite has not"] += 1
            elsewhere.add(line.test)
            continue
        tally.add(line)
        if known:
            name = f"{line.target}, {line.property}, {line.corpus or line.case}"
            wrong += [f"{name}: {words}" for words in targets[line.target].problems(line, targets)]
            wrong = few(wrong)
    questions = [*test_problems(run, tally, len(elsewhere)), *unfilled(run), *tally.problems()]
    return [
        Check(f"{run.name}: it came to its end, and its lines have its SHA-256", [*filter(None, [run.incomplete])]),
        Check(f"{run.name}: its header is of this suite, and agrees with itself", list(header_problems(run))),
        Check(f"{run.name}: its counts are those of its {len(run.verdicts)} verdicts", list(miscounts(run))),
        Check(f"{run.name}: each line agrees with itself and with what was declared", wrong, unshown),
        Check(f"{run.name}: each test asked what this suite asks in it", few([*questions, *tally.missing()])),
        *(target.check() for target in targets.values()),
    ]


def knows_its_features(run: Run) -> bool:
    """Whether a run's features are those of this suite, as many as it has: those of BASE at least, with all values. A
    suite that has more of them asks more, and an older record has not been asked it."""
    there, here = run.header.features, {name: list(values) for name, values in FEATURES.items()}
    return there.keys() >= BASE.keys() and there.items() <= here.items()


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
    begun, ended = header.run.started, run.end.finished if run.end else ""
    try:  # only a moment with a time zone has a difference to one in UTC
        times = [datetime.fromisoformat(text) - EPOCH for text in (begun, ended if run.end else begun)]
    except (ValueError, TypeError):
        times = []
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
        (sorted(times) != times or not times, f"begun {begun!r} and finished {ended!r}"),
        (header.run.draws >= IDIOMS and header.targets and not header.knows_idioms,
         "it draws as a suite does that asks idioms, and declares none"),
        (ours and header.targets and not header.knows_idioms, "made by this commit, and it declares no idioms"),
        (earlier and ours, f"made by this commit, and asked an earlier corpus, {'; '.join(earlier)}"),
    )  # fmt: skip


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
    targets, seen = len(run.header.targets), len(tally.asked)
    ours, own = tally.number + elsewhere, _tests_in("tests/notebooks", "tests/conventions")
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
    """Combinations and values of which an answer is expected, and without a case that agrees, or that a finding
    explains or leaves out: pytest fails then, where all was run."""
    if run.end is None or run.end.selection or run.end.exit_status != 0 or run.header.compact:
        return
    usual = {"mode": "eager"}  # a refusal of eager calls counts, as in Capabilities.supported
    for target in run.header.targets:
        said, ledger = declarations.of(target), run.ledger
        empty = [*ledger.unfilled(target.label, run.header.features,
                                  lambda of, said=said: said.not_offered(of) or said.refusals(usual | of))]  # fmt: skip
        if empty:
            yield f"{target.label}: pytest ended with status 0, and no case agrees of {'; '.join(empty[:5])}"


def conclusion(evidence: Evidence, checks: Sequence[Check]) -> str:
    """What a third party may conclude, in words."""
    if any(check.problems for check in checks):
        return "Do not cite this file: what is marked above is wrong with it, or missing."
    full = {run.header.compact.file for run in evidence.runs if run.header.compact}
    said = COMPACT + ", ".join(sorted(full)) if full else RIGHT + evidence.sha256
    return "\n".join([said, *_notes(evidence, checks)])


def _notes(evidence: Evidence, checks: Sequence[Check]) -> Iterator[str]:
    """What must be read beside it: what is not shown, and whose word it is."""
    for words, number in sum((check.unshown for check in checks), Counter()).items():
        yield f"Not shown: {number} verdicts: {words}."
    here = suite()
    for run in evidence.runs:
        if earlier := corpus.of(run.header.digests).earlier:
            yield f"{run.name} was asked an earlier corpus than this suite has: {'; '.join(earlier)}."
        for target in filter(declarations.is_foreign, run.header.targets):
            said = [*target.unsupported, *target.refused, *target.emulated, *target.arithmetics]
            words = "; ".join(f"{one.asked}: {one.reason}" for one in said) or "nothing"
            yield f"{target.label} is {target.source!r}, code of its author's own, who claims of it: {words}."
        for target, one, state in run.states:
            if state == "present":
                yield f"{target.label}, {target.version}: {one} is present."
        if not run.header.knows_idioms and run.header.targets:
            yield f"{run.name} is from before idioms were asked: it says nothing of other ways of a call than one."
        for target in run.header.targets:
            for one in target.idioms:
                if one.absent:
                    yield f"Not asked: {target.label} in the idiom {one.word!r}, which is absent: {one.absent}."
        there = run.header.suite
        if (there.version, there.commit) != (here["version"], here["commit"]) or there.modified:
            changed = ", whose files differed from it" if there.modified else ""
            yield f"By its own word, {run.name} was made by version {there.version}, commit {there.commit}{changed}."
