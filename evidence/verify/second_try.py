"""Refused and crashed cases of the corpus, asked again of what is installed here, in a process of its own.

This package knows no framework: `python -m adapters.running.child` answers, a line of JSON for each case.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from ..record import corpus
from ..record.environment import ROOT, packages
from ..record.schema import TargetLine, VerdictLine
from .declarations import entry_of, public, version_of

PATIENCE = 60.0  # seconds for all that is asked of one target again
NOT_SHOWN = "refused or crashed in the framework's own words, and not asked again: "


def ask_again(target: TargetLine, lines: Sequence[VerdictLine]) -> tuple[list[str], dict[str, int]]:
    """What is not as recorded of these lines of the corpus; and why some were not asked again -> how many."""
    if lines and (reason := _elsewhere(target)):
        return [], {NOT_SHOWN + reason: len(lines)}
    problems, left, ends = [], list(lines), time.monotonic() + PATIENCE
    while left and time.monotonic() < ends:
        said = _answers(target, left, ends - time.monotonic())
        for asked, answer in zip(left, said, strict=False):
            if wrong := _other(asked, answer):
                problems.append(f"{asked.corpus}: recorded as {asked.outcome}: {asked.message[:200]!r}; here {wrong}")
        if len(said) < len(left):  # the process died of the next one
            dead = left[len(said)]
            if dead.outcome != "crashed" and time.monotonic() < ends:
                problems.append(f"{dead.corpus}: recorded as {dead.outcome}; here the process dies of it")
        left = left[len(said) + 1 :]
    return problems, {f"{NOT_SHOWN}{PATIENCE:g} s were over": len(left)} if left else {}


def _elsewhere(target: TargetLine) -> str:
    """Why a target cannot be asked here; empty where it can."""
    if (entry := entry_of(target)) is None:
        return "the adapter is its author's own"
    if target.device != "cpu":
        return f"they are of {target.device}"
    here = version_of(entry, packages())
    return "" if here == public(target.version) else f"{target.adapter} {public(target.version)} is not installed here"


def _answers(target: TargetLine, lines: Sequence[VerdictLine], seconds: float) -> list[dict[str, Any]]:
    """What the adapter says, one for each line, up to the one that its process died of."""
    cases = corpus.cases()
    asked = [{"device": target.device, "mode": line.features["mode"], "case": cases[line.corpus or ""].to_json()}
             for line in lines]  # fmt: skip
    given = "".join(json.dumps(one) + "\n" for one in asked)
    command = [sys.executable, "-m", "adapters.running.child", target.source]
    environment = {**os.environ, **({"KERAS_BACKEND": target.backend} if target.backend else {})}
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, input=given, capture_output=True,
                              text=True, timeout=max(seconds, 1.0), check=False).stdout  # fmt: skip
    except subprocess.TimeoutExpired as late:
        done = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
    return [json.loads(line) for line in done.splitlines(keepends=True) if line.endswith("\n")]


def _other(asked: VerdictLine, answer: dict[str, Any]) -> str:
    """What came of a question here, where it is another outcome, or in other words; empty where it is the same."""
    came = next((word for word in ("refused", "crashed") if word in answer), "answered")
    message = str(answer.get(came, ""))
    if came != asked.outcome:
        return f"it is {came}{f': {message[:200]!r}' if message else ''}"
    return "" if _words(message) == _words(asked.message) else f"the words are {message[:200]!r}"


def _words(message: str) -> str:
    """A message without what differs from one process to the next: addresses, and the folders of a machine."""
    return re.sub(r"0x[0-9a-f]+|<(suite|python|folder|home)>|/[\w./-]+", "", message)
