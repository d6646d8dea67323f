"""One case of a record, asked again of what is installed here.

The framework runs in a process of its own, `python -m adapters`: this package knows none.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from reference import Case

from . import corpus
from .environment import ROOT
from .reading import Evidence, Unusable
from .schema import TargetLine, VerdictLine
from .words import visible


def replay(evidence: Evidence, name: str, target: str | None, adapter: str | None, script: bool) -> int:
    """Run a case again, or print the script that does; returns the exit status of `python -m adapters`.

    name: a case's id or the beginning of it, or its name in the corpus.  target: a label; of the run's only one
    that was asked the case when None.  adapter: module:Class, where the run judged an adapter of the user's own.
    Raises Unusable where the case is not there, or was not kept.
    """
    line, asked = find(evidence, name, target)
    source = adapter or source_of(asked)
    if not script:
        print(visible(recorded(line, asked)), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{line.case}.json"
        case_of(line).save(path)
        command = [sys.executable, "-m", "adapters", source, str(path), f"--device={asked.device}"]
        command += ["--script"] if script else [*_bound(line), f"--mode={line.features.get('mode', 'eager')}"]
        return subprocess.run(command, cwd=ROOT, check=False).returncode


def find(evidence: Evidence, name: str, target: str | None) -> tuple[VerdictLine, TargetLine]:
    """The verdict on a case, the worst where there are several, and the target that was asked."""
    found = [
        (line, asked)
        for run in evidence.runs
        for line in run.verdicts
        if line.case.startswith(name) or name in ((line.corpus or "").split(" ")[0], line.corpus)
        for asked in run.header.targets
        if asked.label == line.target and target in (None, asked.label)
    ]
    if not found:
        whose = f" of {target}" if target else ""
        raise Unusable(f"{evidence.path}: no case {name!r}{whose}, expected an id (or its beginning) or a corpus name")
    cases = sorted({line.case for line, _ in found})
    if len(cases) > 1:
        raise Unusable(f"{name!r} begins {len(cases)} cases: {', '.join(cases[:5])}, ...")
    labels = sorted({asked.label for _, asked in found})
    bad = sorted({asked.label for line, asked in found if line.outcome != "agrees"}) or labels
    if len(bad) > 1:
        raise Unusable(f"case {name} was asked of {', '.join(labels)}: say which, with --target")
    of_target = [(line, asked) for line, asked in found if asked.label == bad[0]]
    return max(of_target, key=lambda pair: (pair[0].outcome != "agrees", pair[0].content is not None))


def source_of(asked: TargetLine) -> str:
    """The name of a known adapter. Code that a file names is not run: whoever replays it has to name it too."""
    if not re.fullmatch(r"[A-Za-z]\w*", asked.source):
        raise Unusable(f"the run judged {asked.source!r}, code of its own: to run it here, name it with --adapter")
    return asked.source


def case_of(line: VerdictLine) -> Case:
    """The case of a verdict: from the corpus, or kept with the verdict."""
    known = corpus.cases().get(line.corpus or "")
    if known is not None and known.id == line.case:
        return known
    if line.content is None:
        raise Unusable(
            f"case {line.case} was not kept: a record keeps the corpus, and of each test the cases that did not "
            f"agree. To draw it again, run {line.test} with the seed and profile of the run"
        )
    try:
        case = Case.from_json(line.content)
    except (TypeError, ValueError) as error:
        raise Unusable(f"case {line.case}: {error}") from error
    if case.id != line.case:
        raise Unusable(f"case {line.case}: the case that was kept is {case.id}")
    return case


def recorded(line: VerdictLine, asked: TargetLine) -> str:
    """What the record says of the case, in a line."""
    fraction = f", {line.verdict.max_fraction:.3g} of the bound" if line.verdict else ""
    return (
        f"recorded: {asked.adapter} {asked.version} on {asked.device}: {line.outcome}{fraction} {line.message}".rstrip()
    )


def _bound(line: VerdictLine) -> list[str]:
    return ["--bound", line.verdict.bound] if line.verdict and line.verdict.bound in ("step", "trajectory") else []
