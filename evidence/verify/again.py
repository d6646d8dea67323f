"""What is asked again of what is installed here, in processes of their own: this package knows no framework.

The questions of the profile ci are drawn again: the same version of Hypothesis draws the same ones every time. Refused
and crashed cases of the corpus, and of findings, are asked again: `python -m adapters.running.child` answers each with
a line of JSON.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reference import Case

from ..record.environment import ROOT, packages
from ..record.ledger import DRAWS
from ..record.lines import Unusable
from ..record.reader import read
from ..record.runs import Run
from ..record.schema import TargetLine, VerdictLine, question
from . import declarations
from .added import in_full
from .check import Check, few
from .declarations import entry_of, public, version_of
from .questions import ANSWER, CORPUS, FOLDER, LAYER

DRAWING = 300.0  # seconds for each target
ASKED = FOLDER
FINDINGS = "test_findings.py"
LEFT_OUT = (CORPUS, FINDINGS, "test_primitives.py", "test_self_check.py")  # what draws nothing, or is no verdict
DRAWN_BY = ("hypothesis", "numpy")
PATIENCE = 60.0  # seconds for all that is asked of one target again
NOT_SHOWN = "refused or crashed in the framework's own words, and not asked again: "
OTHER_PROCESSOR = "an exception of a finding that some processors alone have; this one answers"
ANSWERED = "it is answered"
Questions = defaultdict[str, Counter[int]]  # test -> its questions


def redraw(run: Run) -> Check | None:
    """Whether a whole run of the profile ci left the verdicts that it draws; None for another run."""
    header = run.header
    if header.run.profile != "ci" or header.compact or run.end is None or run.end.selection or run.incomplete:
        return None
    checked = f"{run.name}: its questions are those that the profile ci draws"
    here, there = ({name.lower(): version for name, version in found.items()}
                   for found in (packages(), header.environment.packages))  # fmt: skip
    other = [f"{name} {there.get(name)}" for name in DRAWN_BY if here.get(name) != there.get(name)]
    try:
        if header.run.draws != DRAWS:
            raise Unusable("another version of this suite drew them otherwise")
        if other:
            raise Unusable(f"{' and '.join(other)} is not installed here")
        drawn, vacuous = _drawn(run)
    except (Unusable, OSError, subprocess.TimeoutExpired) as error:
        reason = f"of the profile ci, not drawn again: {str(error)[-300:]}"
        return Check(f"{checked}: not shown", [], Counter({reason: len(run.verdicts)}))
    asked, also = _questions(run.verdicts)
    # a test that failed shrinks, one with a vacuous answer draws anew, and one without an answer, as a finding says,
    # ends: there an answer decides what is asked
    compared, number = sorted((asked.keys() | drawn.keys()) - run.failed - vacuous - also), len(drawn)
    problems = [
        f"{test}: {(asked[test] - drawn[test]).total()} questions that it does not draw, "
        f"{(drawn[test] - asked[test]).total()} that it draws are missing"
        for test in compared
        if asked[test] != drawn[test]
    ]
    return Check(f"{checked} ({number} tests, drawn again)", few(problems))


def _questions(lines: Iterable[VerdictLine]) -> tuple[Questions, set[str]]:
    """The questions of each test, with their sizes; and the tests with a vacuous answer, or without one."""
    found, vacuous = Questions(Counter), set[str]()
    for line in in_full(lines):
        if not line.test.startswith((FOLDER + CORPUS, FOLDER + FINDINGS)):
            if line.property != LAYER:
                found[line.test][hash((question(line), tuple(line.sizes.model_dump().items())))] += 1
            vacuous |= {line.test} if line.outcome == "vacuous" or line.property == ANSWER else set()
    return found, vacuous


def _drawn(run: Run) -> tuple[Questions, set[str]]:
    """The same of adapters that only declare what the run's targets do."""
    targets = []
    for target in run.header.targets:
        left_out = [one.id for one in declarations.findings_of(target).values()
                    if one.what.not_expressible and run.state(target.label, one.id) == "present"]  # fmt: skip
        targets.append(declarations.of(target).model_dump() | {"left_out": left_out})
    with tempfile.TemporaryDirectory() as folder:
        told, record = Path(folder, "targets.json"), Path(folder, "drawn.json")
        told.write_text(json.dumps(targets), encoding="utf-8")
        named = [f"--adapter=harness.question_adapters:T{index}" for index in range(len(targets))]
        devices = [f"--device={device}" for device in dict.fromkeys(target["device"] for target in targets)]
        command = [sys.executable, "-m", "pytest", ASKED, *named, *devices, f"--evidence={record}", "-q",
                   f"--cases={run.header.run.cases}", f"--pool={run.header.run.pool or 0}",
                   "--progress=0", "-p", "no:cacheprovider",
                   *(f"--ignore={FOLDER}{name}" for name in LEFT_OUT)]  # fmt: skip
        environment = {**os.environ, "HYPOTHESIS_PROFILE": "ci", "RNN_REDRAWN": str(told)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
                              timeout=DRAWING * len(targets))  # fmt: skip
        if not record.exists():
            raise Unusable(done.stdout[-300:] + done.stderr[-300:])
        return _questions(read(record).runs[0].verdicts)  # which are read from the file, while it is there


def ask_again(
    target: TargetLine, lines: Sequence[VerdictLine], cases: Mapping[str, Case]
) -> tuple[list[str], dict[str, int]]:
    """What is not as recorded of these lines; and why some were not asked again -> how many.  cases: by their ids."""
    if lines and (reason := _elsewhere(target)):
        return [], {NOT_SHOWN + reason: len(lines)}
    problems, left, ends, elsewhere = [], list(lines), time.monotonic() + PATIENCE, 0
    while left and time.monotonic() < ends:
        said = _answers(target, [(line, cases[line.case]) for line in left], ends - time.monotonic())
        for asked, answer in zip(left, said, strict=False):
            wrong = _other(target, asked, answer)
            if wrong == ANSWERED:
                wrong = _of_lower_layers(target, asked, cases[asked.case], ends - time.monotonic())
            if wrong == ANSWERED and _of_a_processor(target, asked):
                elsewhere += 1
            elif wrong:
                recorded = f"recorded as {asked.outcome}: {asked.message[:200]!r}"
                problems.append(f"{asked.corpus or asked.property}: {recorded}; here {wrong}")
        if len(said) < len(left):  # the process died of the next one
            dead = left[len(said)]
            if dead.outcome not in ("crashed", "finding") and time.monotonic() < ends:
                name = dead.corpus or dead.property
                problems.append(f"{name}: recorded as {dead.outcome}; here the process dies of it")
        left = left[len(said) + 1 :]
    unshown = {f"{NOT_SHOWN}{PATIENCE:g} s were over": len(left), OTHER_PROCESSOR: elsewhere}
    return problems, {why: count for why, count in unshown.items() if count}


def _of_a_processor(target: TargetLine, asked: VerdictLine) -> bool:
    """Whether a line is of findings that some processors alone have."""
    known = declarations.findings_of(target)
    return bool(asked.findings) and all(name in known and known[name].processor for name in asked.findings)


def _elsewhere(target: TargetLine) -> str:
    """Why a target cannot be asked here; empty where it can."""
    if (entry := entry_of(target)) is None:
        return "the adapter is its author's own"
    if target.device != "cpu":
        return f"they are of {target.device}"
    here = version_of(entry, packages())
    return "" if here == public(target.version) else f"{target.adapter} {public(target.version)} is not installed here"


def _of_lower_layers(target: TargetLine, asked: VerdictLine, case: Case, seconds: float) -> str:
    """What came of a stack that is answered: empty where the answer of its lower layers, by which it is judged, is as
    recorded."""
    lower = [(asked, case.prefix(number)) for number in range(1, case.spec.num_layers)]
    said = _answers(target, lower, seconds) if lower else []
    return "" if any(not _other(target, asked, answer) for answer in said) else ANSWERED


def _answers(target: TargetLine, questions: Sequence[tuple[VerdictLine, Case]], seconds: float) -> list[dict[str, Any]]:
    """What the adapter says, one for each line's case, up to the one that its process died of."""
    asked = [{"device": target.device, "mode": line.features["mode"], "idiom": line.idiom,
              "case": case.to_json()} for line, case in questions]  # fmt: skip
    given = "".join(json.dumps(one) + "\n" for one in asked)
    command = [sys.executable, "-m", "adapters.running.child", target.source]
    environment = {**os.environ, **({"KERAS_BACKEND": target.backend} if target.backend else {})}
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, input=given, capture_output=True,
                              text=True, timeout=max(seconds, 1.0), check=False).stdout  # fmt: skip
    except subprocess.TimeoutExpired as late:
        done = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
    return [json.loads(line) for line in done.splitlines(keepends=True) if line.endswith("\n")]


def _other(target: TargetLine, asked: VerdictLine, answer: dict[str, Any]) -> str:
    """What came of a question here, where it is another outcome, or in other words; empty where it is the same."""
    came, message = ANSWERED.removeprefix("it is "), ""
    if "refused" in answer:
        came, message = "refused" if answer["kind"] == "Refused" else "not offered", str(answer["refused"])
    elif "crashed" in answer:
        message = str(answer["crashed"])
        refusals = declarations.of(target).narrowed(asked.idiom).refusals(asked.features)
        came = "refused" if any(refusal.fits(message) for refusal in refusals) else "crashed"
        if came == asked.outcome == "refused" and any(
            refusal.fits(message) and refusal.fits(asked.message) for refusal in refusals
        ):
            return ""  # the declared words are in both; what else a framework says of it may differ from call to call
        known = declarations.findings_of(target)
        if came == "crashed" and asked.outcome == "finding" and any(
            (said := known[name].what.exception) and said.fits(message) and said.fits(asked.message)
            for name in asked.findings if name in known
        ):  # fmt: skip
            return ""  # likewise those of a finding
    expected = "crashed" if asked.outcome == "finding" else asked.outcome  # one whose finding is an exception
    if came != expected:
        return f"it is {came}{f': {message[:200]!r}' if message else ''}"
    return "" if _words(message) == _words(asked.message) else f"the words are {message[:200]!r}"


def _words(message: str) -> str:
    """A message without what differs from one process to the next: addresses, and the folders of a machine."""
    return re.sub(r"0x[0-9a-f]+|<(suite|python|folder|home)>|/[\w./-]+", "", message)
