"""Evidence files, read and checked line by line. Whatever is wrong with one is said, and nothing of it is believed."""

import hashlib
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from reference import limits
from reference.spec import short

from . import seeded
from .journal import partial_path
from .ledger import Ledger
from .lines import PINNED, SEAL, Unusable
from .runs import Evidence, Run, Verdicts, parsed
from .schema import End, Header, Merged, TestLine, VerdictLine

__all__ = ["Evidence", "Run", "Unusable", "read"]
AMONG = "a run's last line stands among its others"


def read(path: str | Path) -> Evidence:
    """The evidence in a file. Raises Unusable, saying what and where, for anything that is not as it was written."""
    path = Path(path)
    whole, runs, merged, kept = hashlib.sha256(), list[_Begun](), None, 0
    try:
        for number, (raw, line) in enumerate(parsed(path), 1):
            where = f"{path.name}, line {number}"
            if line is not None:
                expect_one_reading(where, raw)
            if merged is not None:
                raise Unusable(f"{path.name}: {AMONG}")
            if isinstance(line, Header):
                _expect_few(where, "runs", len(runs) + 1, limits.RUNS)
                runs.append(_Begun(path, line, number))
            if not isinstance(line, VerdictLine | TestLine):
                kept += len(raw)
                _expect_few(where, "bytes of headers and ends", kept, limits.KEPT_BYTES)
            if isinstance(line, Merged):
                merged = line
                expect_seal(path.name, raw, line.sha256, whole)
            else:
                runs[-1].take(where, raw, line)
            whole.update(raw)
    except FileNotFoundError:
        there = partial_path(path)
        hint = f"; there is {there.name}, of a run that did not end" if there.exists() else ""
        raise Unusable(f"{path}: no such file{hint}") from None
    if not runs:
        raise Unusable(f"{path.name}: the file is empty, expected the lines of a run")
    if merged is None and len(runs) > 1:
        several = f"{len(runs)} runs and no last line that merges them"
        raise Unusable(f"{path.name}: {several}: it was cut off, or put together")
    ends = [begun.end.sha256 if begun.end else "" for begun in runs]
    if merged is not None and (len(ends) < 2 or merged.runs != ends):
        raise Unusable(f"{path.name}: its last line names other runs than it holds")
    return Evidence(path, tuple(begun.run() for begun in runs), whole.hexdigest())


class _Begun:
    """What was read of a run so far.  last: the number of its last verdict or test.  found: the digest of its lines."""

    def __init__(self, path: Path, header: Header, number: int) -> None:
        self.path, self.header, self.first, self.last = path, header, number, number - 1
        self.verdicts = self.words = 0
        self.tests: list[TestLine] = []
        self.properties: set[str] = set()
        self.found = hashlib.sha256()
        self.end: End | None = None
        self.pinned: dict[tuple[str, str], set[str]] = {}
        self.explained: set[tuple[str, str]] = set()
        self.idioms: set[tuple[str, str]] = set()
        self.labels = _expect_sense(f"{path.name}, line {number}", header)
        self.ledger = Ledger(tuple(header.axes))

    def take(self, where: str, raw: bytes, line: Any) -> None:
        """The next line: the header itself, a verdict, a test, an end, or None where it is torn."""
        if self.end is not None:
            raise Unusable(f"{self.path.name}: {AMONG}")
        if isinstance(line, End):
            if not self.header.complete:
                raise Unusable(f"{self.path.name}: a run that ended, and whose header says that it did not")
            expect_seal(self.path.name, raw, line.sha256, self.found)
            self.end = line
            return
        if isinstance(line, VerdictLine):
            self._verdict(where, line)
        elif isinstance(line, TestLine):
            self.tests.append(line)
            self.words += len(raw)
            _expect_few(where, "tests that did not pass", len(self.tests), limits.TESTS)
            _expect_few(where, "bytes of their words", self.words, limits.TESTS_BYTES)
        self.last += 1
        self.found.update(raw)

    def _verdict(self, where: str, line: VerdictLine) -> None:
        """What every reader relies on: a target that is known, and a known value for each feature."""
        self.verdicts += 1
        self.properties.add(line.property)
        _expect_few(where, "verdicts", self.verdicts, limits.VERDICTS)
        _expect_few(where, "properties", len(self.properties), limits.PROPERTIES)
        if line.target not in self.labels:
            raise Unusable(f"{where}: verdicts on {line.target!r}, which its header does not know")
        features = self.header.features
        if line.features.keys() != features.keys():
            raise Unusable(f"{where}: case {line.case} has the features {sorted(line.features)}, not its header's")
        for name, value in line.features.items():
            if value not in features[name]:
                expected = f"one of its header's, {features[name]}"
                raise Unusable(f"{where}: features.{name}: got {value!r}, expected {expected}")
        self.ledger.add(vars(line))
        self.explained |= {(line.target, one) for one in line.findings}
        self.idioms |= {(line.target, line.idiom)} if line.property == seeded.PROPERTY else set()
        if line.property.startswith(PINNED):
            of = line.target, line.property.removeprefix(PINNED)
            self.pinned.setdefault(of, set()).add(line.outcome)

    def run(self) -> Run:
        digest, older = self.found.hexdigest(), self.header.older
        verdicts = Verdicts(self.path, self.verdicts, self.first, self.last, digest, older)
        seen = self.ledger, self.pinned, self.explained, self.idioms
        return Run(self.header, verdicts, tuple(self.tests), self.end, *seen)


def expect_one_reading(where: str, raw: bytes) -> None:
    """Another reader of JSON may take the first of two values with one name, and knows no NaN."""
    try:
        json.loads(raw, object_pairs_hook=_once, parse_constant=_no_number)
    except ValueError as error:
        raise Unusable(f"{where}: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"got {short(twice)} twice in one object, expected each name once")


def _no_number(word: str) -> None:
    raise ValueError(f"got {word}, expected the word in quotation marks: JSON has no such number")


def _expect_few(where: str, what: str, count: int, most: int) -> None:
    if count > most:
        raise Unusable(f"{where}: got {count:,} {what}, expected at most {most:,}")


def _expect_sense(where: str, header: Header) -> frozenset[str]:
    """Targets that are told apart, by their labels, and combinations that can be counted."""
    labels = [target.label for target in header.targets]
    if len(set(labels)) < len(labels):
        raise Unusable(f"{where}: its header names a target twice: {', '.join(sorted(labels))}")
    for target in header.targets:
        words = [idiom.word for idiom in target.idioms]
        if len(set(words)) < len(words):
            raise Unusable(f"{where}: {target.label!r} declares an idiom twice: {', '.join(sorted(words))}")
    if not set(header.axes) <= header.features.keys():
        raise Unusable(f"{where}: its header's features make no combinations of {', '.join(header.axes)}")
    combinations = math.prod(len(header.features[name]) for name in header.axes)
    if combinations * max(len(labels), 1) > limits.CELLS:
        got = f"{len(labels)} targets of {combinations} combinations ({' x '.join(header.axes)})"
        raise Unusable(f"{where}: targets, features: got {got}, expected at most {limits.CELLS} combinations in all")
    return frozenset(labels)


def expect_seal(name: str, raw: bytes, sha256: str, before: Any) -> None:
    """The last line ends with the SHA-256 of all bytes before it, and of its own without the field."""
    seal = SEAL % sha256.encode()
    found = before.copy()
    found.update(raw.removesuffix(seal) + b"}\n")
    if not raw.endswith(seal) or found.hexdigest() != sha256:
        raise Unusable(
            f"{name}: its lines have the SHA-256 {found.hexdigest()[:16]}..., its last line says "
            f"{sha256[:16]}...: it was changed after it was written"
        )
