"""A run's record while it is written, and its end: nothing that was judged is lost when the run is killed."""

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from reference import limits

from ..words import cut
from . import packed
from .environment import without_paths
from .ledger import FIRST_AXES, Ledger, sums
from .lines import CUT_OFF, Line, Unusable, dump, mapped, sealed, write_lines

try:
    import fcntl
except ImportError:  # a system that has no such locks, and does not move a file that is open
    fcntl = None

SUFFIX = ".partial"
GOING, DONE = b'"complete":false}\n', b'"complete": true}\n'  # how a header ends, in one length: it is changed in place


def partial_path(path: Path) -> Path:
    """Where a run is written until it ends."""
    return path.with_name(path.name + SUFFIX)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def lock(handle: int, alone: bool = False) -> None:
    """Say that this process writes to the file, as others may. alone: raise BlockingIOError where any other does."""
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)


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
            raise FileExistsError(f"{partial} is there already: {_why_there(partial)}") from None
        if self.path.exists():  # this run may fail: nobody shall take an earlier one for it
            self.path.replace(self.path.with_name(self.path.name + ".old"))
        self.write(header | {"complete": False})

    def write(self, line: Mapping[str, Any]) -> None:
        if self._handle is None:
            self._handle = os.open(partial_path(self.path), os.O_WRONLY | os.O_APPEND)
            lock(self._handle)
        if "message" in line:
            line = {**line, "message": cut(line["message"], limits.MESSAGE)}
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
        kept: Line = {} if answer is None else {"answer": answer}
        alike = line["test"], line["target"], line["outcome"]
        wanted = line["outcome"] != "agrees" and line["corpus"] is None and not declared
        if wanted and len(content) < self._smallest[alike]:
            self._smallest[alike] = len(content)
            kept["content"] = content
        self.write(line | kept)

    def finish(self, exit_status: int, selection: str, tests: Mapping[str, int]) -> None:
        """Append the last line, and move the whole to its place in one step."""
        ended = {"finished": now(), "exit_status": exit_status, "selection": without_paths(selection)}
        close(partial_path(self.path), self.path, {**ended, "tests": dict(tests)})
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _why_there(partial: Path) -> str:
    handle = os.open(partial, os.O_RDONLY)
    try:
        lock(handle, alone=True)
    except BlockingIOError:
        return "another run is writing it. Name another file"
    finally:
        os.close(handle)
    closing = f"python -m rnn_equivalence finish {partial.name} closes it, as incomplete"
    return f"its run was cut off before it ended. {closing}; or move it away, or name another file"


def command(file: Path) -> int:
    """Close a run that was cut off, and print the name of the file that it becomes."""
    from .reader import read  # recording needs no pydantic

    if (run := read(file).runs[-1]).end is not None:
        raise Unusable(f"{file}: the run {run.name} has its last line: name it as it was to be named")
    print(finish(file))
    return 0


def finish(partial: Path) -> Path:
    """Close a run that was cut off, as incomplete; returns the file that it becomes. Every whole line is kept.

    Raises FileExistsError where that file is there already, or a process is still writing this one.
    """
    path = partial.with_name(partial.name.removesuffix(SUFFIX))
    if path.exists() or path == partial:
        expected = "a name that is free" if path.exists() else f"the name of a run that was cut off, FILE{SUFFIX}"
        raise FileExistsError(f"{partial}: would become {path.name}, expected {expected}")
    handle = os.open(partial, os.O_RDWR)
    try:
        lock(handle, alone=True)
        selection = "it was cut off in mid-run"
        close(partial, path, {"finished": now(), "exit_status": CUT_OFF, "selection": selection, "tests": None})
    except BlockingIOError:
        raise FileExistsError(f"{partial}: a run is still writing it, expected one that was cut off") from None
    finally:
        os.close(handle)
    return path


def close(partial: Path, path: Path, ended: Line) -> None:
    """Append the last line to a partial file, whose other lines stay where they are, and move it to `path` in one step.

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
        found.update(raw.removesuffix(b"\n") + b"\n")
        if line["kind"] == "verdict":
            ledger.add(line)
        else:
            tests[line["outcome"]] += 1
    ended = {**ended, "tests": dict(tests) if ended["tests"] is None else ended["tests"], "torn": torn}
    last = sealed(found, {"kind": "end", **ended, "lines": count, **sums(ledger, header)})
    if path.suffix not in packed.COMPRESSIONS and intact:
        with partial.open("r+b") as file:
            file.write(first)  # the header first: a run that is killed here has a whole one, and can be closed again
            file.seek(0, os.SEEK_END)
            file.write(last)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        return
    rest = (raw.removesuffix(b"\n") + b"\n" for raw, line in _lines(partial) if line is not None)
    next(rest)
    write_lines(path, chain([first], rest, [last]))
    partial.unlink()


def _lines(partial: Path) -> Iterator[tuple[bytes, Line | None]]:
    """Each line's bytes and what it says; None where it is torn."""
    with partial.open("rb") as file:
        for raw in file:
            try:
                line = json.loads(raw)
            except (ValueError, RecursionError):
                line = None
            yield raw, line if isinstance(line, dict) and ("test" in line or "format" in line) else None
