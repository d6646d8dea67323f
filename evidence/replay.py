"""One case of a record, asked again of what is installed here.

The framework runs in a process of its own, `python -m adapters`: this package knows none.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters import KNOWN
from adapters.contract import MODES
from reference import Case

from .record import corpus, seeded
from .record.environment import ROOT
from .record.reader import read
from .record.runs import Evidence, Unusable
from .record.schema import TargetLine, VerdictLine
from .verify import declarations
from .verify.declarations import DEVICE
from .words import visible

Asked = tuple[VerdictLine, TargetLine]
LEAST = 4  # digits of an id: three are a number of the corpus


def command(file: Path, case: str, **options: Any) -> int:
    return replay(read(file), case, **options)


def replay(
    evidence: Evidence, name: str, target: str | None, adapter: str | None, script: bool, mode: str | None = None,
    idiom: str | None = None,
) -> int:  # fmt: skip
    """Run a case again, or print the script that does; returns the exit status of `python -m adapters`.

    name: a case's id or the beginning of it, or its name or number in the corpus.  target: a label; of the run's only
    one that was asked the case when None.  adapter: module:Class, where the run judged an adapter of the user's own.
    mode: one of those in which the case was asked; eager, where it was, when None.  idiom: the same of idioms; the
    adapter's own way, where it was asked in it, when None.
    Raises Unusable where the case is not there, or was not kept.
    """
    line, asked = find(evidence, name, target, mode, idiom)
    source, chosen, said = adapter or source_of(asked), mode_of(line), line.verdict
    if not DEVICE.fullmatch(asked.device):
        raise Unusable(f"device: got {asked.device!r}, expected cpu, cuda, or cuda: and a number")
    if not script:
        fraction, called = f", {said.max_fraction:.3g} of the bound" if said else "", ""
        called += f", in mode {chosen}" if chosen != "eager" else ""
        called += f", in the idiom {line.idiom!r}" if line.idiom else ""
        asked_of = f"{asked.adapter} {asked.version} on {asked.device}{called}"
        print(visible(f"recorded: {asked_of}: {line.outcome}{fraction} {line.message}".rstrip()), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{line.case}.json"
        case_of(line, asked).save(path)
        command = [sys.executable, "-m", "adapters", source, str(path), f"--device={asked.device}"]
        bound = ["--bound", said.bound] if said and said.bound in ("step", "trajectory") and not line.idiom else []
        command += ["--script"] if script else [*bound, f"--mode={chosen}"]
        command += [f"--idiom={line.idiom}"] if line.idiom else []
        environment = {**os.environ, **({"KERAS_BACKEND": asked.backend} if source == "keras" else {})}
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def find(
    evidence: Evidence, name: str, target: str | None, mode: str | None = None, idiom: str | None = None
) -> tuple[VerdictLine, TargetLine]:
    """The verdict on a case and the target that was asked: in the mode named, else eager, where it was asked so; in the
    idiom named, else in none; of several the worst, and the one whose case was kept."""
    # a name or number of the corpus is meant first
    named = next((case.id for called, case in corpus.cases().items() if name in (called, called.split(" ")[0])), None)
    begun = len(name) >= LEAST and re.fullmatch("[0-9a-f]+", name)
    found = [
        (line, asked)
        for run in evidence.runs
        for line in run.verdicts
        if (line.case == named if named else begun and line.case.startswith(name)) and target in (None, line.target)
        for asked in run.header.targets
        if asked.label == line.target
    ]
    if not found:
        whose = f" of {target}" if target else ""
        expected = f"an id (or at least its first {LEAST} digits), or a name or number of the corpus"
        raise Unusable(f"{evidence.path}: no case {name!r}{whose}, expected {expected}")
    cases = sorted({line.case for line, _ in found})
    if len(cases) > 1:
        raise Unusable(f"{name!r} begins {len(cases)} cases: {', '.join(cases[:5])}, ...")
    modes = sorted({mode_of(line) for line, _ in found}, key=lambda word: (word != "eager", word))
    found = _chosen(name, "mode", found, modes, mode, mode_of)
    words = sorted({line.idiom for line, _ in found})
    if idiom is None and words[0] and len(words) > 1:
        raise Unusable(f"case {name} was asked in the idioms {', '.join(words)}: say which, with --idiom")
    found = _chosen(name, "the idiom", found, words, idiom, lambda line: line.idiom)
    kinds = ("disagrees", "crashed"), ("finding",), ("agrees", "vacuous"), ("refused", "not offered", "left out")
    labels = next(some for kind in kinds if (some := sorted({a.label for line, a in found if line.outcome in kind})))
    if len(labels) > 1:
        raise Unusable(f"case {name} was asked of {', '.join(labels)}: say which, with --target")
    of_target = [(line, asked) for line, asked in found if asked.label == labels[0]]
    return max(of_target, key=lambda pair: (pair[0].outcome != "agrees", pair[0].content is not None))


def _chosen(
    name: str, what: str, found: list[Asked], there: list[str], given: str | None, of: Callable[[VerdictLine], str]
) -> list[Asked]:
    """Those of the mode or idiom given; where none is, of the first that is there."""
    chosen = [(line, asked) for line, asked in found if of(line) == (there[0] if given is None else given)]
    if not chosen:
        expected = ", ".join(word or "none" for word in there)
        raise Unusable(f"case {name} was not asked in {what} {given!r}, expected one of {expected}")
    return chosen


def mode_of(line: VerdictLine) -> str:
    """The mode in which a case was asked, a word of this suite's. Raises Unusable for another."""
    mode = str(line.features.get("mode", "eager"))
    if mode not in MODES:
        raise Unusable(f"case {line.case}: mode: got {mode!r}, expected one of {', '.join(MODES)}")
    return mode


def source_of(asked: TargetLine) -> str:
    """The name of a known adapter. Code that a file names is not run: whoever replays it has to name it too."""
    if ":" in asked.source or asked.source not in KNOWN:
        own = f"code of its own and none of {', '.join(KNOWN)}"
        raise Unusable(f"the run judged {asked.source!r}, {own}: to run it here, name it with --adapter")
    if asked.source == "keras" and not re.fullmatch("tensorflow|torch|jax|numpy|openvino", asked.backend):
        raise Unusable(f"backend: got {asked.backend!r}, expected tensorflow, torch, jax, numpy or openvino")
    return asked.source


def case_of(line: VerdictLine, asked: TargetLine) -> Case:
    """The case of a verdict: from the corpus, of those that idioms are asked, or kept with the verdict."""
    known = corpus.cases().get(line.corpus or "")
    declared = declarations.of(asked) if line.property == seeded.PROPERTY else None
    if declared and (idiom := declared.idiom(line.idiom)):
        known = declarations.seeded_cases(declared, idiom).get(line.case)
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
