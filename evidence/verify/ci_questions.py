"""The questions of the profile ci, drawn again: the same version of Hypothesis draws the same ones every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ..record.environment import ROOT, packages
from ..record.reader import read
from ..record.runs import Run, Unusable
from ..record.schema import VerdictLine, question
from . import declarations
from .check import FAILED, Check, few
from .questions import CORPUS, FOLDER

PATIENCE = 300.0  # seconds for each target
ASKED = FOLDER
LEFT_OUT = (CORPUS, "test_primitives.py", "test_self_check.py")  # what draws nothing, or is no verdict
DRAWN_BY = ("hypothesis", "numpy")
Questions = dict[str, Counter[int]]  # test -> its questions


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
        if other:
            raise Unusable(f"{' and '.join(other)} is not installed here")
        drawn, vacuous = _drawn(run)
    except (Unusable, OSError, subprocess.TimeoutExpired) as error:
        reason = f"of the profile ci, not drawn again: {str(error)[-300:]}"
        return Check(f"{checked}: not shown", [], Counter({reason: len(run.verdicts)}))
    asked, also = _questions(run.verdicts)
    # a test that failed shrinks, and one with a vacuous answer draws anew: there an answer decides what is asked
    left_out = {line.test for line in run.tests if line.outcome in FAILED} | vacuous | also
    problems = []
    for test in sorted((asked.keys() | drawn.keys()) - left_out):
        one, two = asked.get(test, Counter()), drawn.get(test, Counter())
        if one != two:
            more, fewer = (one - two).total(), (two - one).total()
            problems.append(f"{test}: {more} questions that it does not draw, {fewer} that it draws are missing")
    return Check(f"{checked} ({len(drawn)} tests, drawn again)", few(problems))


def _questions(lines: Iterable[VerdictLine]) -> tuple[Questions, set[str]]:
    """The questions of each test, with their sizes; and the tests with a vacuous answer."""
    found: Questions = {}
    vacuous: set[str] = set()
    for line in lines:
        if not line.test.startswith(FOLDER + CORPUS):
            asked = hash((question(line), tuple(line.sizes.model_dump().items())))
            found.setdefault(line.test, Counter())[asked] += 1
            if line.outcome == "vacuous":
                vacuous.add(line.test)
    return found, vacuous


def _drawn(run: Run) -> tuple[Questions, set[str]]:
    """The same of adapters that only declare what the run's targets do."""
    targets = []
    for target in run.header.targets:
        declared = declarations.of(target)
        said = {"unsupported": declared.unsupported, "arithmetics": declared.arithmetics}
        targets.append(target.model_dump() | {kind: [e.model_dump() for e in some] for kind, some in said.items()})
    with tempfile.TemporaryDirectory() as folder:
        told, record = Path(folder, "targets.json"), Path(folder, "drawn.json")
        told.write_text(json.dumps(targets), encoding="utf-8")
        named = [f"--adapter=harness.question_adapters:T{index}" for index in range(len(targets))]
        devices = [f"--device={device}" for device in dict.fromkeys(target["device"] for target in targets)]
        command = [sys.executable, "-m", "pytest", ASKED, *named, *devices, f"--evidence={record}", "-q",
                   f"--cases={run.header.run.cases}", "--progress=0", "-p", "no:cacheprovider",
                   *(f"--ignore={FOLDER}{name}" for name in LEFT_OUT)]  # fmt: skip
        environment = {**os.environ, "HYPOTHESIS_PROFILE": "ci", "RNN_REDRAWN": str(told)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
                              timeout=PATIENCE * len(targets))  # fmt: skip
        if not record.exists():
            raise Unusable(done.stdout[-300:] + done.stderr[-300:])
        return _questions(read(record).runs[0].verdicts)  # which are read from the file, while it is there
