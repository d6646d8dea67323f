"""Evidence files, read and checked line by line. Whatever is wrong with one is said, and nothing of it is believed."""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from gzip import GzipFile
from io import BufferedReader
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .compression import opened
from .journal import partial_path, run_digest
from .ledger import CELL
from .lines import FORMAT
from .schema import LINE, End, Header, Merged, TestLine, VerdictLine

LONGEST_LINE = 16 * 2**20  # bytes; the largest case that the suite asks takes less than one
MOST_CELLS = 10_000


class Unusable(ValueError):
    """A file that is no evidence, or whose lines are not what was written."""


@dataclass(frozen=True)
class Run:
    """One run: its header, verdicts, tests that did not pass, and its end, which is missing where it was cut off."""

    header: Header
    verdicts: tuple[VerdictLine, ...]
    tests: tuple[TestLine, ...]
    end: End | None

    @property
    def name(self) -> str:
        """The first digits of its SHA-256, by which it can be cited; when it began, where it did not end."""
        return self.end.sha256[:16] if self.end else f"begun {self.header.run.started}"

    @property
    def incomplete(self) -> str:
        """Why the run did not come to its end; empty where it did."""
        if self.end is None:
            return "its end was cut off after it was written" if self.header.complete else "it was cut off in mid-run"
        if self.end.torn:
            return f"{self.end.torn} of its lines were torn"
        status = self.end.exit_status
        return "" if status in (0, 1) else f"pytest ended with status {status}"


@dataclass(frozen=True)
class Evidence:
    """A file's runs: one, or several that were merged.  sha256: of the file's text, uncompressed."""

    path: Path
    runs: tuple[Run, ...]
    sha256: str


def read(path: str | Path) -> Evidence:
    """The evidence in a file. Raises Unusable, saying what and where, for anything that is not as it was written."""
    path = Path(path)
    try:
        with opened(path) as file:
            lines = list(_lines(file, path.name))
            file.seek(0)
            whole = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except FileNotFoundError:
        there = partial_path(path)
        hint = f"; there is {there.name}, of a run that did not end" if there.exists() else ""
        raise Unusable(f"{path}: no such file{hint}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise Unusable(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    return Evidence(path, tuple(_runs(path.name, lines)), whole)


def _lines(file: GzipFile | BufferedReader, name: str) -> Iterator[tuple[bytes, Any]]:
    """Each line's bytes and its model. A last line that was cut off is left out, and so are torn ones in mid-run."""
    number, going, last = 0, False, None
    while raw := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(raw) > LONGEST_LINE:
            raise Unusable(f"{name}, line {number}: longer than {LONGEST_LINE} bytes, expected {FORMAT!r}")
        if number == 1:
            _expect_format(raw, name)
        elif not raw.endswith(b"\n"):
            if isinstance(last, End | Merged):
                raise Unusable(f"{name}, line {number}: {raw[:40]!r} after the last line")
            return
        elif going and not _is_json(raw):
            continue
        last = _model(raw, f"{name}, line {number}")
        going = (isinstance(last, Header) and not last.complete) or going
        yield raw, last
    if not number:
        raise Unusable(f"{name}: the file is empty, expected {FORMAT!r}")


def _is_json(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True


def _expect_format(raw: bytes, name: str) -> None:
    """Say so in one sentence where a file is something else, or of another version."""
    try:
        first = json.loads(raw)
    except (ValueError, RecursionError):
        first = None
    given = first.get("format") if isinstance(first, dict) else None
    if given != FORMAT:
        got = f"format {str(given)[:80]!r}" if given is not None else f"a file that begins {raw[:40]!r}"
        raise Unusable(f"{name}: got {got}, expected {FORMAT!r}")


def _model(raw: bytes, where: str) -> Any:
    try:
        return LINE.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "line"
        raise Unusable(f"{where}: {place}: {first['msg']}") from None


def _runs(name: str, lines: list[tuple[bytes, Any]]) -> Iterator[Run]:
    """The runs of a file, each checked against its own last line, and all against the file's."""
    merged = lines[-1][1] if isinstance(lines[-1][1], Merged) else None
    runs = [_run(name, part) for part in _parts(name, lines[:-1] if merged else lines)]
    if merged is None and len(runs) > 1:
        raise Unusable(f"{name}: {len(runs)} runs and no last line that merges them: it was cut off, or put together")
    if merged is not None:
        body = b"".join(raw for raw, _ in lines[:-1])
        _expect_digest(name, merged, run_digest(body, json.loads(lines[-1][0])))
        if len(runs) < 2 or list(merged.runs) != [run.end.sha256 for run in runs if run.end]:
            raise Unusable(f"{name}: its last line names other runs than it holds")
    yield from runs


def _parts(name: str, lines: list[tuple[bytes, Any]]) -> Iterator[list[tuple[bytes, Any]]]:
    starts = [index for index, (_, line) in enumerate(lines) if isinstance(line, Header)]
    if not starts or starts[0] != 0:
        raise Unusable(f"{name}, line 1: got no header")
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield lines[start:stop]


def _run(name: str, lines: list[tuple[bytes, Any]]) -> Run:
    header, *rest = (line for _, line in lines)
    end = rest.pop() if rest and isinstance(rest[-1], End) else None
    if any(isinstance(line, End | Merged) for line in rest):
        raise Unusable(f"{name}: a run's last line stands among its others")
    if end is not None and not header.complete:
        raise Unusable(f"{name}: a run that ended, and whose header says that it did not")
    if end is not None:
        _expect_digest(name, end, run_digest(b"".join(raw for raw, _ in lines[:-1]), json.loads(lines[-1][0])))
    verdicts = tuple(line for line in rest if isinstance(line, VerdictLine))
    _expect_sense(name, header, verdicts)
    return Run(header, verdicts, tuple(line for line in rest if isinstance(line, TestLine)), end)


def _expect_sense(name: str, header: Header, verdicts: tuple[VerdictLine, ...]) -> None:
    """What every reader relies on: targets that are known and told apart, and a value for each feature."""
    labels = [target.label for target in header.targets]
    if len(set(labels)) < len(labels):
        raise Unusable(f"{name}: its header names a target twice: {', '.join(sorted(labels))}")
    if not set(CELL) <= header.features.keys() or math.prod(len(header.features[f]) for f in CELL) > MOST_CELLS:
        raise Unusable(f"{name}: its header's features make no cells of {', '.join(CELL)}")
    for line in verdicts:
        if line.target not in labels:
            raise Unusable(f"{name}: verdicts on {line.target!r}, which its header does not know")
        if line.features.keys() != header.features.keys():
            raise Unusable(f"{name}: case {line.case} has the features {sorted(line.features)}, not its header's")


def _expect_digest(name: str, end: End | Merged, found: str) -> None:
    if found != end.sha256:
        raise Unusable(
            f"{name}: its lines have the SHA-256 {found[:16]}..., its last line says {end.sha256[:16]}...: "
            "it was changed after it was written"
        )


def lines_of_runs(evidence: Evidence) -> list[bytes]:
    """The lines of a file's runs as they stand there, without the line that merges them."""
    with opened(evidence.path) as file:
        data = file.read()
    if hashlib.sha256(data).hexdigest() != evidence.sha256:
        raise Unusable(f"{evidence.path}: it was changed while it was read")
    lines = data.splitlines(keepends=True)
    return lines[:-1] if len(evidence.runs) > 1 else lines
