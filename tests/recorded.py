"""Records made in this process, without pytest: of the frozen corpus, or of some of its cases."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evidence import corpus
from evidence.closing import close
from evidence.journal import Journal, now, partial_path
from evidence.ledger import Ledger
from evidence.lines import dump, sealed
from evidence.reading import Evidence, read
from reference import Case

from .recording import header
from .target import Target

RUN = {"profile": "ci", "cases": 8, "seed": None, "shrink": True}
FEW = ("000", "001", "002", "003", "216", "217", "240")  # numbers of cases of the corpus


def few() -> list[Case]:
    return [case for name, case in corpus.cases().items() if name.startswith(FEW)]


def record(path: Path, *judged: Any, cases: Iterable[Case] | None = None, status: int = 0) -> Evidence:
    """A record of adapters, each on the CPU, asked the cases: those of `few` when None."""
    journal = Journal(path)
    targets = [
        Target(adapter, "cpu", Ledger(), f"tests.mirror:{type(adapter).__name__}", journal) for adapter in judged
    ]
    journal.begin(header(targets, [], RUN))
    asked = few() if cases is None else list(cases)
    for target in targets:
        for case in asked:
            with contextlib.suppress(AssertionError):  # the verdict is what is wanted, not the failure
                target.check(corpus.PROPERTY, case)
    journal.finish(status, "", {"passed": len(asked) * len(targets)})
    return read(path)


def run_digest(body: bytes, end: dict[str, Any]) -> str:
    """The SHA-256 that a last line behind these lines has, whether it has one yet or not."""
    bare = {key: value for key, value in end.items() if key != "sha256"}
    return json.loads(sealed(hashlib.sha256(body), bare))["sha256"]


def multiplied(path: Path, verdicts: int, *judged: Any) -> Path:
    """A record's file of so many verdicts: those of `few` again and again, each of a drawn case of its own."""
    first, *lines = record(path.with_name(f"few-{path.name}"), *judged).path.read_bytes().splitlines(keepends=True)
    drawn = [json.loads(line) | {"corpus": None, "answer": None} for line in lines[:-1]]
    parts = [dump(line).split(b'"case":"', 1) for line in drawn]
    partial = partial_path(path)
    with partial.open("wb") as file:
        file.write(first)
        for number, (before, after) in zip(range(verdicts), itertools.cycle(parts), strict=False):
            file.write(b'%b"case":"%016x%b' % (before, number, after[16:]))
    close(partial, path, {"finished": now(), "exit_status": 0, "selection": "", "tests": {"passed": verdicts}})
    return path


def edited(path: Path, old: str, new: str) -> Path:
    """A copy of a record in which the first `old` is `new`."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    copy = path.with_name(f"edited-{path.name}")
    copy.write_text(text.replace(old, new, 1), encoding="utf-8")
    return copy
