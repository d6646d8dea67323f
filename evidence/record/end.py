"""A run's end: its lines stay where and as they are, the last one is appended, and the file gets its name."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from . import compression
from .ledger import FIRST_AXES, Ledger, sums
from .lines import Line, dump, sealed

GOING, DONE = b'"complete":false}\n', b'"complete": true}\n'  # how a header ends, in one length: it is changed in place


def close(partial: Path, path: Path, ended: Line) -> None:
    """Append the last line to a partial file and move it to `path` in one step.

    A line that was torn, as when a process was killed while writing it, is left out and counted. Only then, and where
    the file is to be compressed, are the lines written to another file.
    ended: finished, exit_status, selection, and tests; where these are None, those that the lines tell of.
    """
    lines = _lines(partial)
    raw, header = next(lines, (b"", None))
    if header is None or "format" not in header:
        raise ValueError(f"{partial}: got a file that begins {raw[:40]!r}, expected the header of a run")
    first = raw.removesuffix(GOING) + DONE if raw.endswith(GOING) else dump(header | {"complete": True})
    ledger, tests, found = Ledger(tuple(header.get("axes", FIRST_AXES))), Counter[str](), hashlib.sha256(first)
    count, torn, intact = 2, 0, len(first) == len(raw)
    for raw, line in lines:
        intact = intact and line is not None and raw.endswith(b"\n")
        if line is None:
            torn += raw != b"\n"  # an empty line stands behind a torn one
            continue
        count += 1
        found.update(_whole(raw))
        if line["kind"] == "verdict":
            ledger.add(line)
        else:
            tests[line["outcome"]] += 1
    ended = {**ended, "tests": dict(tests) if ended["tests"] is None else ended["tests"], "torn": torn}
    last = sealed(found, {"kind": "end", **ended, "lines": count, **sums(ledger, header)})
    if path.suffix != ".gz" and intact:
        _append(partial, first, last)
        partial.replace(path)
        return
    rest = (_whole(raw) for raw, line in _lines(partial) if line is not None)
    next(rest)
    compression.write(path, chain([first], rest, [last]))
    partial.unlink()


def _append(partial: Path, first: bytes, last: bytes) -> None:
    """The header first: a run that is killed in between has a whole header and no end, and can be closed again."""
    with partial.open("r+b") as file:
        file.write(first)
        file.seek(0, os.SEEK_END)
        file.write(last)
        file.flush()
        os.fsync(file.fileno())


def _lines(partial: Path) -> Iterator[tuple[bytes, Line | None]]:
    """Each line's bytes and what it says; None where it is torn."""
    with partial.open("rb") as file:
        for raw in file:
            try:
                line = json.loads(raw)
            except (ValueError, RecursionError):
                line = None
            yield raw, line if isinstance(line, dict) and ("test" in line or "format" in line) else None


def _whole(raw: bytes) -> bytes:
    return raw if raw.endswith(b"\n") else raw + b"\n"
