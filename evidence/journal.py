"""A run's record while it is written, and its finishing: nothing that was judged is lost when the run is killed."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import counts
from .compression import write
from .environment import without_paths
from .lines import Line, dump, mapped


def partial_path(path: Path) -> Path:
    """Where a run is written until it ends."""
    return path.with_name(path.name + ".partial")


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Journal:
    """The file PATH.partial of a run, to which every process of the run appends its lines.

    A line is one write to a file opened for appending, which a local file system does not mix with another
    process' line. What is written survives the death of the process. The controller begins and finishes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None
        self._torn = False
        self._smallest: defaultdict[tuple[str, str, str], float] = defaultdict(lambda: float("inf"))

    def begin(self, header: Line) -> None:
        """Create the file. Raises FileExistsError where an unfinished run left one, or another run writes there."""
        partial = partial_path(self.path)
        dump(header)  # what cannot be written leaves no file
        try:
            partial.touch(exist_ok=False)
        except FileExistsError:
            raise FileExistsError(
                f"{partial} is there already: another run is writing it, or one was cut off before it ended (which can "
                "be read: python -m evidence verify). Name another file or, if no run is writing it, move it away"
            ) from None
        if self.path.exists():  # this run may fail: nobody shall take an earlier one for it
            self.path.replace(self.path.with_name(self.path.name + ".old"))
        self.write(header | {"complete": False})

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line."""
        if self._handle is None:
            self._handle = os.open(partial_path(self.path), os.O_WRONLY | os.O_APPEND)
        data = (b"\n" if self._torn else b"") + dump(mapped(line, without_paths))
        self._torn = os.write(self._handle, data) != len(data)
        if self._torn:
            raise OSError(f"{partial_path(self.path)}: only a part of a line was written; is the disk full?")

    def verdict(self, line: Line, content: str, answer: Line | None = None, declared: bool = False) -> None:
        """Append a verdict line, with the answer if it is to be kept, and with the case where it did not agree.

        declared: whether it was refused as declared, which says all there is to say: then the case is not kept.
        Shrinking asks for hundreds of failing cases of one test: a case is kept if it is smaller than all before it
        that ended alike.
        """
        if answer is not None:
            line = line | {"answer": answer}
        alike = line["test"], line["target"], line["outcome"]
        wanted = line["outcome"] != "agrees" and line["corpus"] is None and not declared
        if wanted and len(content) < self._smallest[alike]:
            self._smallest[alike] = len(content)
            line = line | {"content": content}
        self.write(line)

    def finish(self, exit_status: int, selection: str, tests: Mapping[str, int]) -> None:
        """Put the lines in order, add the last one, and move the whole to its place in one step.

        A line that was torn, as when a process was killed while writing it, is left out and counted.
        """
        partial = partial_path(self.path)
        header, *lines = (_parsed(line) for line in partial.read_bytes().split(b"\n") if line)
        ended = {"finished": now(), "exit_status": exit_status, "selection": without_paths(selection),
                 "tests": dict(tests), "torn": lines.count(None)}  # fmt: skip
        write(self.path, finished(header or {}, [line for line in lines if line is not None], ended))
        if self._handle is not None:
            os.close(self._handle)
        partial.unlink()


def _parsed(line: bytes) -> Line | None:
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if (isinstance(parsed, dict) and "test" in parsed) or "format" in parsed else None


def finished(header: Line, lines: Iterable[Line], ended: Line) -> bytes:
    """The whole file of a run: its lines in the order of the tests, and at last what they add up to."""
    ordered = sorted(lines, key=lambda line: (line["test"], line["kind"] == "test"))
    ledger = counts.ledger_of(line for line in ordered if line["kind"] == "verdict")
    end = {
        "kind": "end",
        **ended,
        "lines": len(ordered) + 2,
        "outcomes": counts.outcomes(ledger, header),
        "cells": counts.cells(ledger, header),
    }
    body = b"".join(dump(line) for line in (header | {"complete": True}, *ordered))
    return body + dump(end | {"sha256": run_digest(body, end)})


def run_digest(body: bytes, end: Mapping[str, Any]) -> str:
    """SHA-256 of a run: of all its lines, the last one without its `sha256`."""
    return hashlib.sha256(body + dump({key: value for key, value in end.items() if key != "sha256"})).hexdigest()
