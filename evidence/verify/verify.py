"""What a third party may believe of a file: that it is unchanged, that its counts are those of its lines, that it holds
what this suite asks, and that its verdicts on the frozen corpus follow from cases, answers and declarations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..merge import expect_compatible
from ..record import corpus
from ..record.environment import suite
from ..record.reader import read
from ..record.runs import Evidence, Run, Unusable, miscounts
from ..words import one_line
from . import declarations
from .check import Check, few
from .ci_questions import redraw
from .questions import CORPUS, FOLDER, Tally
from .run_checks import header_problems, knows_its_features, test_problems, unfilled
from .target_checks import Target

RIGHT = (
    "The file is as it was written, its counts are those of its verdicts, it holds what this suite asks, and its "
    "verdicts on the frozen corpus follow from the answers kept, by this suite's reference, bounds and declarations. "
    "That these answers came from the frameworks and versions it names, and the verdicts on other cases, it cannot "
    "show: replay its cases, or record a run of your own and compare them (python -m rnn_equivalence diff). Who wrote "
    "it, only a SHA-256 published elsewhere can tell: "
)
COMPACT = (
    "Not verified: this is a compact record. The file is as it was written, its counts are those of its verdicts, and "
    "every case of the corpus was asked once. It keeps no answers and no drawn questions: whether its verdicts follow "
    "from answers, only the record in full can show. Verify that one; its SHA-256 is "
)


def command(file: Path) -> int:
    """Print what was checked, and what may be concluded: 0 where all is right and shown, else 1."""
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
    for line in run.verdicts:
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
            said = [*target.unsupported, *target.emulated, *target.arithmetics]
            words = "; ".join(f"{one.words}: {one.reason}" for one in said) or "nothing"
            yield f"{target.label} is {target.source!r}, code of its author's own, who claims of it: {words}."
        for target in run.header.targets:
            for one in target.unsupported:
                if one.features in declarations.of(target).varies:
                    yield f"That {target.label} has {one.words} unsupported, only its version tells: {one.reason}."
        there = run.header.suite
        if (there.version, there.commit) != (here["version"], here["commit"]) or there.modified:
            changed = ", whose files differed from it" if there.modified else ""
            yield f"By its own word, {run.name} was made by version {there.version}, commit {there.commit}{changed}."
