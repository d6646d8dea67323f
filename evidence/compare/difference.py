"""Two runs, compared question by question. Of each question no more is kept in memory than is compared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ..record import corpus
from ..record.runs import Evidence, Unusable, miscounts
from ..record.schema import Header, VerdictLine, question
from ..verify.answers import arrays
from .changes import Change, Difference, Place, Said

SEVERITY = ("crashed", "disagrees", "vacuous", "refused", "agrees")
MOVED = ("moved", "now outside", "now inside")  # of which is said how far
NOT_ANSWERED = ("still refused", "still vacuous", "new")


def difference(old: Evidence, new: Evidence) -> Difference:
    """Compare two runs. Raises Unusable for runs that did not end, or have no corpus in common."""
    for evidence in (old, new):
        for run in evidence.runs:
            if run.incomplete:
                raise Unusable(f"{evidence.path}: {run.name}: {run.incomplete}; a run that did not end proves nothing")
    is_common, left_out = _common_corpus(old, new)
    before, after = _versions(old), _versions(new)
    if not before.keys() & after.keys():
        raise Unusable(f"nothing to compare: {old.path} has {_names(before)}, {new.path} has {_names(after)}")
    features = set.intersection(*(set(run.header.features) for evidence in (old, new) for run in evidence.runs))
    table = _Table(is_common, features)
    table.read(old, "old")
    table.read(new, "new")
    if not any(change.kind not in ("", *NOT_ANSWERED) for change in table.questions.values() if change.place.compared):
        raise Unusable(f"nothing to compare: no case of the corpus was answered in {old.path} and asked in {new.path}")
    _measure(old, new, table)
    versions = {label: (before.get(label), after.get(label)) for label in before | after}
    failed = sum(run.end.tests.get(word, 0) for run in new.runs if run.end for word in ("failed", "error"))
    return Difference(table.questions, versions, _environment(old, new), failed, left_out)


def _names(labels: Iterable[str]) -> str:
    return ", ".join(sorted(labels)) or "no target"


def _versions(evidence: Evidence) -> dict[str, str]:
    versions: dict[str, str] = {}
    for run in evidence.runs:
        for target in run.header.targets:
            if versions.setdefault(target.label, target.version) != target.version:
                raise Unusable(f"{evidence.path}: {target.label} in two versions: which of them is to be compared?")
    return versions


def _common_corpus(old: Evidence, new: Evidence) -> tuple[Callable[[str], bool], list[str]]:
    """Whether both were asked a case of that name; and what is left out, because one alone was asked it."""
    before, after = _digests(old), _digests(new)
    whole: set[str] = set()
    beginnings: set[str] = set()
    left_out: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            left_out.append(f"{name}, which only the {'old' if name in before else 'new'} run was asked")
        elif before[name] == after[name]:
            whole.add(name)
        else:
            family = corpus.families().get(name)
            counts = [family.published.get(digests[name], 0) if family else 0 for digests in (before, after)]
            if family is None or not all(counts):
                raise Unusable(f"{old.path} and {new.path} were asked different corpora of {name}: "
                               f"{before[name]}, {after[name]}")  # fmt: skip
            beginnings |= set(islice(family.cases, min(counts)))
            later = "old" if counts[0] > counts[1] else "new"
            left_out.append(f"{abs(counts[0] - counts[1])} cases of {name}, which only the {later} run was asked")
    return lambda name: corpus.family_of(name) in whole or name in beginnings, left_out


def _digests(evidence: Evidence) -> dict[str, str]:
    first, *others = (run.header.digests for run in evidence.runs)
    if any(other != first for other in others):
        raise Unusable(f"{evidence.path}: its runs were asked different corpora: which of them is to be compared?")
    if corpus.FIRST not in first:
        raise Unusable(f"{evidence.path}: it names no corpus {corpus.FIRST!r}, which every version of the suite asks")
    return first


class _Table:
    """All questions of two files.  questions: what became of each, by its key.

    features: that both ask for by name. What only a later suite has is no part of a question that both were asked.
    """

    def __init__(self, is_common: Callable[[str], bool], features: Collection[str]) -> None:
        self.is_common, self.features = is_common, features
        self.questions: dict[bytes, Change] = {}
        self.places: dict[Place, Place] = {}
        self.words: dict[str, str] = {}

    def read(self, evidence: Evidence, side: str) -> None:
        """Every question's verdict, the worst where one was asked more than once."""
        for run in evidence.runs:
            for problem in miscounts(run):
                raise Unusable(f"{evidence.path}: {run.name}: {problem}")
            for line in run.verdicts:
                self._note(evidence, side, line, run.header.axes)

    def _note(self, evidence: Evidence, side: str, line: VerdictLine, axes: Sequence[str]) -> None:
        """Keep what a line says, where nothing worse was said of its question before."""
        key = self.key(line)
        change = self.questions.get(key)
        if change is None:
            change = self.questions[key] = Change(key, self._place(line, axes))
        there: Said | None = getattr(change, side)
        said = said_of(line)
        if there is None or SEVERITY.index(said.outcome) < SEVERITY.index(there.outcome):
            setattr(change, side, said)
            if side == "new":
                change.message = self.words.setdefault(line.message, line.message)
        elif change.place.compared and there.outcome == said.outcome and there.answer_id != said.answer_id:
            raise Unusable(
                f"{evidence.path}: {line.target} gave two answers to {line.corpus!r}: two machines, or chance"
            )

    def key(self, line: VerdictLine) -> bytes:
        """The question, whole: the case's id, and a digest of the rest."""
        asked = line.model_copy(update={"features": {name: line.features[name] for name in self.features}})
        return bytes.fromhex(line.case) + hashlib.blake2b(repr(question(asked)).encode(), digest_size=8).digest()

    def _place(self, line: VerdictLine, axes: Sequence[str]) -> Place:
        of = {name: str(value) for name, value in line.features.items()}
        compared = line.corpus is not None and not line.relation and self.is_common(line.corpus)
        combination = tuple(of[name] for name in axes)
        where = of.get("direction", ""), of.get("dtype", ""), of.get("mode", "eager")
        place = Place(line.target, line.property, line.corpus, compared, combination, *where)
        return self.places.setdefault(place, place)


def said_of(line: VerdictLine) -> Said:
    fraction = None if line.verdict is None else line.verdict.max_fraction
    return Said(line.outcome, int(line.answer_id or "0", 16), line.answer is not None, fraction)


def _measure(old: Evidence, new: Evidence, table: _Table) -> None:
    """How far the answers lie apart that moved and were kept in both files, in units in the last place."""
    wanted = {
        key: change
        for key, change in table.questions.items()
        if change.kind in MOVED and change.old and change.old.kept and change.new and change.new.kept
    }
    before = dict(_answers(old, "old", table, wanted)) if wanted else {}
    for key, answer in _answers(new, "new", table, wanted) if wanted else ():
        pairs = list(zip(before[key], answer, strict=True)) if key in before else []
        if pairs and all(a.shape == b.shape and a.dtype == b.dtype for a, b in pairs):
            wanted[key].ulps = max(ulps_apart(a, b) for a, b in pairs)


def _answers(
    evidence: Evidence, side: str, table: _Table, wanted: dict[bytes, Change]
) -> Iterator[tuple[bytes, tuple[np.ndarray, ...]]]:
    """The kept answers of these questions, output and h_n: of each the one that was noted."""
    for run in evidence.runs:
        for line in run.verdicts:
            change = wanted.get(table.key(line)) if line.answer is not None else None
            if change and line.answer and getattr(change, side) == said_of(line):
                try:
                    yield change.key, arrays(line.answer)[:2]
                except (TypeError, ValueError) as error:
                    raise Unusable(f"a kept answer: {error}") from error


def ulps_apart(a: np.ndarray, b: np.ndarray) -> float:
    """The largest number of floating-point numbers from an element of `a` to that of `b`, of one dtype and shape.

    NaN to NaN is 0, whatever their bits; NaN to a number is infinite.
    """
    nan = np.isnan(a), np.isnan(b)
    if np.any(nan[0] != nan[1]):
        return float("inf")
    places = []  # of each number among all numbers of its dtype, as unsigned integers; -0 and 0 share one
    for array in (np.where(nan[0], np.zeros_like(array), array) for array in (a, b)):
        bits = array.dtype.itemsize * 8
        unsigned = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}").astype(np.uint64)
        sign, magnitude = unsigned >> np.uint64(bits - 1), unsigned & np.uint64(2 ** (bits - 1) - 1)
        middle = np.uint64(2**63)
        places.append(np.where(sign == 1, middle - magnitude, middle + magnitude))
    return float((np.maximum(*places) - np.minimum(*places)).max(initial=0))


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
