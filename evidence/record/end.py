"""A run's end: its lines stay where and as they are, the last one is appended, and the file gets its name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from . import compression, counts
from .ledger import Ledger
from .lines import Line, dump, sealed

GOING, DONE = b'"complete":false}\n', b'"complete": true}\n'  # how a header ends, in one length: it is changed in place


@dataclass
class _Counted:
    """What the lines of a partial file add up to.

    first: the header's line as it is to be.  found: the digest of all that are whole.  intact: whether they can stay.
    """

    header: Line
    first: bytes
    intact: bool
    lines: int = 2
    torn: int = 0
    ledger: Ledger = field(default_factory=Ledger)
    tests: dict[str, int] = field(default_factory=dict)
    found: Any = field(default_factory=hashlib.sha256)

    def take(self, raw: bytes, line: Line | None) -> None:
        self.intact = self.intact and line is not None and raw.endswith(b"\n")
        if line is None:
            self.torn += raw != b"\n"  # an empty line stands behind a torn one
            return
        self.lines += 1
        self.found.update(_whole(raw))
        if line["kind"] == "verdict":
            counts.add(self.ledger, line)
        else:
            self.tests[line["outcome"]] = self.tests.get(line["outcome"], 0) + 1


def close(partial: Path, path: Path, ended: Line) -> None:
    """Append the last line to a partial file and move it to `path` in one step.

    A line that was torn, as when a process was killed while writing it, is left out and counted. Only then, and where
    the file is to be compressed, are the lines written to another file.
    ended: finished, exit_status, selection, and tests; where these are None, those that the lines tell of.
    """
    counted = _count(partial)
    header, ledger = counted.header, counted.ledger
    ended = {**ended, "tests": counted.tests if ended["tests"] is None else ended["tests"], "torn": counted.torn}
    last = sealed(counted.found, {
        "kind": "end", **ended, "lines": counted.lines,
        "outcomes": counts.outcomes(ledger, header), "cells": counts.cells(ledger, header),
    })  # fmt: skip
    if path.suffix != ".gz" and counted.intact:
        _append(partial, counted.first, last)
        partial.replace(path)
        return
    rest = (_whole(raw) for raw, line in _lines(partial) if line is not None)
    next(rest)
    compression.write(path, chain([counted.first], rest, [last]))
    partial.unlink()


def _append(partial: Path, first: bytes, last: bytes) -> None:
    """The header first: a run that is killed in between has a whole header and no end, and can be closed again."""
    with partial.open("r+b") as file:
        file.write(first)
        file.seek(0, os.SEEK_END)
        file.write(last)
        file.flush()
        os.fsync(file.fileno())


def _count(partial: Path) -> _Counted:
    lines = _lines(partial)
    raw, header = next(lines, (b"", None))
    if header is None or "format" not in header:
        raise ValueError(f"{partial}: got a file that begins {raw[:40]!r}, expected the header of a run")
    first = raw.removesuffix(GOING) + DONE if raw.endswith(GOING) else dump(header | {"complete": True})
    counted = _Counted(header, first, intact=len(first) == len(raw))
    counted.found.update(first)
    for raw, line in lines:
        counted.take(raw, line)
    return counted


def _lines(partial: Path) -> Iterator[tuple[bytes, Line | None]]:
    """Each line's bytes and what it says; None where it is torn."""
    with partial.open("rb") as file:
        for raw in file:
            yield raw, _parsed(raw)


def _whole(raw: bytes) -> bytes:
    return raw if raw.endswith(b"\n") else raw + b"\n"


def _parsed(raw: bytes) -> Line | None:
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) and ("test" in parsed or "format" in parsed) else None
