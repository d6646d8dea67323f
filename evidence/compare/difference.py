"""Two runs, compared question by question. Of each question no more is kept in memory than is compared."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..record.ledger import CELL, Ledger
from ..record.reading import Evidence, Unusable
from ..record.schema import Answer, Header, VerdictLine, question
from ..ulps import ulps_apart
from ..verify.answers import arrays
from ..verify.verify import count, sums
from .changes import BAD, Change, Difference

SEVERITY = ("crashed", "disagrees", "vacuous", "refused", "agrees")
PACKED = struct.Struct("<B?8sd")  # outcome; whether an answer is kept; its id; the largest error over its bound
MOVED = ("moved", "now outside", "now inside")  # of which is said how far


class Place(NamedTuple):
    """What many questions have in common."""

    target: str
    property: str
    corpus: str | None
    relation: bool
    cell: tuple[str, ...]
    mode: str


class Said(NamedTuple):
    """What was said of one question.  fraction: None where there is no verdict."""

    outcome: str
    kept: bool
    answer_id: bytes
    fraction: float | None


@dataclass
class Side:
    """All questions of one file.  said: question -> what was said of it, packed.  messages: why there is no verdict."""

    said: dict[bytes, tuple[Place, bytes]] = field(default_factory=dict)
    messages: dict[bytes, str] = field(default_factory=dict)

    def of(self, key: bytes) -> Said | None:
        found = self.said.get(key)
        if found is None:
            return None
        outcome, kept, answer_id, fraction = PACKED.unpack(found[1])
        return Said(SEVERITY[outcome], kept, answer_id, None if fraction == -1 else fraction)


def difference(old: Evidence, new: Evidence) -> Difference:
    """Compare two runs. Raises Unusable for runs that did not end, or were not asked the same corpus."""
    for evidence in (old, new):
        for run in evidence.runs:
            if run.incomplete:
                raise Unusable(f"{evidence.path}: {run.name}: {run.incomplete}; a run that did not end proves nothing")
    digests = {run.header.corpus for evidence in (old, new) for run in evidence.runs}
    if len(digests) > 1:
        raise Unusable(f"{old.path} and {new.path} were asked different corpora: " + ", ".join(sorted(digests)))
    before, after = _versions(old), _versions(new)
    if not before.keys() & after.keys():
        raise Unusable(f"nothing to compare: {old.path} has {_names(before)}, {new.path} has {_names(after)}")
    places: dict[Place, Place] = {}
    asked, answered = _side(old, places), _side(new, places)
    changes = Changes(asked, answered)
    if not any(change.corpus and change.kind not in ("still refused", "still vacuous", "new") for change in changes):
        raise Unusable(f"nothing to compare: no case of the corpus was answered in {old.path} and asked in {new.path}")
    changes.ulps = _ulps(old, new, changes)
    drawn = [sum(not _comparable(place) for key, (place, _) in one.said.items() if key not in other.said)
             for one, other in ((asked, answered), (answered, asked))]  # fmt: skip
    versions = {label: (before.get(label), after.get(label)) for label in before | after}
    failed = sum(run.end.tests.get(word, 0) for run in new.runs if run.end for word in ("failed", "error"))
    return Difference(changes, versions, _environment(old, new), (drawn[0], drawn[1]), failed)


def _names(labels: Iterable[str]) -> str:
    return ", ".join(sorted(labels)) or "no target"


def _versions(evidence: Evidence) -> dict[str, str]:
    versions: dict[str, str] = {}
    for run in evidence.runs:
        for target in run.header.targets:
            if versions.setdefault(target.label, target.version) != target.version:
                raise Unusable(f"{evidence.path}: {target.label} in two versions: which of them is to be compared?")
    return versions


def _comparable(place: Place) -> bool:
    """Whether every run is asked this: the corpus, judged by the reference."""
    return place.corpus is not None and not place.relation


def _key(line: VerdictLine) -> bytes:
    """The question, whole: the case's id, and a digest of the rest."""
    return bytes.fromhex(line.case) + hashlib.blake2b(repr(question(line)).encode(), digest_size=8).digest()


def _side(evidence: Evidence, places: dict[Place, Place]) -> Side:
    """Every question's verdict, the worst where one was asked more than once; the counts are checked on the way."""
    side, words = Side(), dict[str, str]()
    for run in evidence.runs:
        ledger = Ledger()
        for line in run.verdicts:
            count(ledger, line)
            if (key := _note(evidence, side, places, line)) and line.message:
                side.messages[key] = words.setdefault(line.message, line.message)
        for problem in sums(run, ledger):
            raise Unusable(f"{evidence.path}: {run.name}: {problem}")
    return side


def _note(evidence: Evidence, side: Side, places: dict[Place, Place], line: VerdictLine) -> bytes | None:
    """Keep what a line says; returns its question where nothing worse was said of it before."""
    key = _key(line)
    there = side.of(key)
    cell, mode = tuple(str(line.features[name]) for name in CELL), str(line.features.get("mode", "eager"))
    place = Place(line.target, line.property, line.corpus, line.relation, cell, mode)
    severity, answer_id = SEVERITY.index(line.outcome), bytes.fromhex(line.answer_id or "")
    if there is None or severity < SEVERITY.index(there.outcome):
        fraction = -1.0 if line.verdict is None else line.verdict.max_fraction
        packed = PACKED.pack(severity, line.answer is not None, answer_id, fraction)
        side.said[key] = places.setdefault(place, place), packed
        return key
    if _comparable(place) and there.outcome == line.outcome and answer_id.ljust(8, b"\0") != there.answer_id:
        raise Unusable(f"{evidence.path}: {line.target} gave two answers to {line.corpus!r}: two machines, or chance")
    return None


class Changes:
    """What became of each question, made anew each time that it is asked for: a record may have very many.

    ulps: how far kept answers moved, by question.
    """

    def __init__(self, old: Side, new: Side) -> None:
        self.old, self.new = old, new
        self.ulps: dict[bytes, float | None] = {}

    def __iter__(self) -> Iterator[Change]:
        return (change for _, change in self.items())

    def items(self) -> Iterator[tuple[bytes, Change]]:
        for key, (place, _) in self.old.said.items():
            yield from self._change(key, place)
        for key, (place, _) in self.new.said.items():
            if key not in self.old.said:
                yield from self._change(key, place)

    def _change(self, key: bytes, place: Place) -> Iterator[tuple[bytes, Change]]:
        """What became of a question; nothing where a drawn one was asked of one run only, and did not fail in the
        new."""
        old, new = self.old.of(key), self.new.of(key)
        kind = _kind(old, new)
        if kind == "new" and new is not None and new.outcome in BAD:
            kind = "outside, not asked before"
        if kind in ("missing", "new") and not _comparable(place):
            return
        yield (
            key,
            Change(
                kind,
                place.target,
                place.property,
                key[:8].hex(),
                place.corpus,
                place.cell,
                self.ulps.get(key),
                (old and old.fraction, new and new.fraction),
                self.new.messages.get(key, "") if new else "",
                place.mode,
            ),
        )


def _kind(old: Said | None, new: Said | None) -> str:
    if old is None or new is None:
        return "new" if old is None else "missing"
    if new.outcome in BAD:
        return "still outside" if old.outcome in BAD else "now outside"
    if new.outcome != "agrees":
        return f"{'still' if new.outcome == old.outcome else 'now'} {new.outcome}"
    if old.outcome != "agrees":
        return "now inside"
    return "same bits" if old.answer_id == new.answer_id != bytes(8) else "moved"


def _ulps(old: Evidence, new: Evidence, changes: Changes) -> dict[bytes, float | None]:
    """How far the answers lie apart that moved and were kept in both files."""
    wanted = {
        key
        for key, change in changes.items()
        if change.kind in MOVED and all(said and said.kept for said in (changes.old.of(key), changes.new.of(key)))
    }
    before = dict(_answers(old, changes.old, wanted)) if wanted else {}
    found = _answers(new, changes.new, wanted) if wanted else ()
    return {key: _apart(before[key], answer) for key, answer in found if key in before}


def _answers(evidence: Evidence, side: Side, wanted: set[bytes]) -> Iterator[tuple[bytes, Answer]]:
    """The kept answers of these questions: of each the one that was noted."""
    for run in evidence.runs:
        for line in run.verdicts:
            if line.answer is not None and (key := _key(line)) in wanted:
                said = side.of(key)
                if said and (said.outcome, said.answer_id) == (line.outcome, bytes.fromhex(line.answer_id or "")):
                    yield key, line.answer


def _apart(old: Answer, new: Answer) -> float | None:
    """How far two kept answers lie apart, in units in the last place; None where they are of another form."""
    try:
        before, after = arrays(old)[:2], arrays(new)[:2]
    except (TypeError, ValueError) as error:
        raise Unusable(f"a kept answer: {error}") from error
    if any(a.shape != b.shape or a.dtype != b.dtype for a, b in zip(before, after, strict=True)):
        return None
    return max(ulps_apart(a, b) for a, b in zip(before, after, strict=True))


def _environment(old: Evidence, new: Evidence) -> dict[str, tuple[Any, Any]]:
    """What else is not the same: suite, machine, settings, packages."""
    before, after = ({k: v for run in e.runs for k, v in _facts(run.header).items()} for e in (old, new))
    keys = sorted(before.keys() | after.keys())
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def _facts(header: Header) -> dict[str, Any]:
    about = header.environment.model_dump()
    facts = {"suite": f"{header.suite.version}, commit {header.suite.commit}", "modified": header.suite.modified}
    facts |= {f"package {name}": version for name, version in about.pop("packages").items()}
    facts |= {f"variable {name}": value for name, value in about.pop("variables").items()}
    for target in header.targets:
        facts |= {f"{target.label}: {name}": value for name, value in target.environment.items()}
        facts |= {f"{target.label}: arithmetic, {entry.words}": entry.reason for entry in target.arithmetics}
    return facts | about
