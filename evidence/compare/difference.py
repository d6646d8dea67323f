"""Two runs, compared question by question. Of each question no more is kept in memory than is compared."""

import hashlib
import sys
from collections.abc import Callable, Iterable, Sequence, Set
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from reference.encoding import arrays_of, decode_answer

from ..record import corpus, seeded
from ..record.lines import Unusable
from ..record.reader import read
from ..record.runs import Evidence, miscounts
from ..record.schema import Header, VerdictLine
from .changes import NOT_ANSWERED, Change, Difference, Place, Said, json_parts, show, to_markdown
from .fates import fates_of

SEVERITY = ("crashed", "disagrees", "finding", "left out", "vacuous", "refused", "not offered", "agrees")
MOVED = ("moved", "now outside", "now inside")  # of which is said how far


def command(old: Path, new: Path, as_json: bool = False, as_markdown: bool = False) -> int:
    """Print what became of each case from one record to another: 0 is go, 1 no-go."""
    found = difference(read(old), read(new))
    if as_json:
        sys.stdout.writelines(json_parts(found))
    elif as_markdown:
        print(to_markdown(found), end="")
    else:
        show(found)
    return 0 if found.go else 1


def difference(old: Evidence, new: Evidence) -> Difference:
    """Compare two runs. Raises Unusable for runs that did not end, or have no corpus in common."""
    for evidence in (old, new):
        for run in evidence.runs:
            if run.incomplete:
                raise Unusable(f"{evidence.path}: {run.name}: {run.incomplete}; a run that did not end proves nothing")
    is_common, left_out = _common_corpus(old, new)
    before, after = _versions(old), _versions(new)
    if not before.keys() & after.keys():
        has, had = (", ".join(sorted(labels)) or "no target" for labels in (after, before))
        raise Unusable(f"nothing to compare: {old.path} has {had}, {new.path} has {has}")
    features = set.intersection(*(set(run.header.features) for evidence in (old, new) for run in evidence.runs))
    idioms, alone = _common_idioms(old, new)
    table = _Table(is_common, features, idioms)
    table.read(old, "old")
    table.read(new, "new")
    if not any(change.kind not in ("", *NOT_ANSWERED) for change in table.questions.values() if change.place.compared):
        raise Unusable(f"nothing to compare: no case of the corpus was answered in {old.path} and asked in {new.path}")
    _measure(old, new, table)
    versions = {label: (before.get(label), after.get(label)) for label in before | after}
    failed = sum(run.end.tests.get(word, 0) for run in new.runs if run.end for word in ("failed", "error"))
    fates = list(fates_of(old, new))
    return Difference(table.questions, versions, _environment(old, new), failed, [*left_out, *alone], fates)


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
    whole, beginnings, left_out = set[str](), set[str](), list[str]()
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            left_out.append(f"{name}, which only the {'old' if name in before else 'new'} run was asked")
        elif before[name] == after[name]:
            whole.add(name)
        else:
            family = corpus.families().get(name)
            counts = [family.published.get(digests[name], 0) if family else 0 for digests in (before, after)]
            if family is None or not all(counts):
                both = f"{before[name]}, {after[name]}"
                raise Unusable(f"{old.path} and {new.path} were asked different corpora of {name}: {both}")
            beginnings |= set(islice(family.cases, min(counts)))
            later = "old" if counts[0] > counts[1] else "new"
            left_out.append(f"{abs(counts[0] - counts[1])} cases of {name}, which only the {later} run was asked")
    return lambda name: corpus.family_of(name) in whole or name in beginnings, left_out


def _common_idioms(old: Evidence, new: Evidence) -> tuple[set[tuple[str, str]], list[str]]:
    """The idioms, (target, word), whose fixed cases both were asked, and declared alike; and what is to be said of the
    others of the targets that both have. Declared otherwise, they have other cases: those that both were asked are
    compared, and none is missing."""
    before, after = _idioms(old), _idioms(new)
    labels = _versions(old).keys() & _versions(new).keys()
    common, others = set[tuple[str, str]](), dict[tuple[str, str], list[str]]()
    for of in sorted(one for one in before.keys() | after.keys() if one[0] in labels):
        if before.get(of) == after.get(of):
            common.add(of)
            continue
        if of not in after:
            which, why = "only the old run was asked", _absent(new, of)
        elif of not in before:
            which, why = "only the new run was asked", _absent(old, of)
        else:
            which, why = "are declared otherwise: cases of one run alone", ""
        others.setdefault((of[0], which), []).append(f"{of[1]!r}{f' (absent: {why})' if why else ''}")
    return common, [f"idioms of {label} that {which}: {', '.join(words)}" for (label, which), words in others.items()]


def _idioms(evidence: Evidence) -> dict[tuple[str, str], Any]:
    """(target, word) of each idiom that was asked -> all that decides which cases, and what is shown."""
    return {
        (target.label, one.word): (one.view, one.without, one.refused, target.unsupported, target.refused)
        for run in evidence.runs
        for target in run.header.targets
        for one in target.idioms
        if (target.label, one.word) in run.idioms
    }


def _absent(evidence: Evidence, of: tuple[str, str]) -> str:
    targets = (target for run in evidence.runs for target in run.header.targets if target.label == of[0])
    return next((one.absent for target in targets if (one := target.idiom(of[1]))), "")


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
    idioms: (target, word) of those whose fixed cases are compared, as those of the corpus.
    """

    def __init__(self, is_common: Callable[[str], bool], features: Iterable[str], idioms: Set[tuple[str, str]]) -> None:
        self.is_common, self.features, self.idioms = is_common, sorted(features), idioms
        self.questions: dict[bytes, Change] = {}
        self.places: dict[Place, Place] = {}

    def read(self, evidence: Evidence, side: str) -> None:
        """Every question's verdict, the worst where one was asked more than once."""
        for run in evidence.runs:
            for problem in miscounts(run):
                raise Unusable(f"{evidence.path}: {run.name}: {problem}")
            for line in run.verdicts:
                key, said = self.key(line), said_of(line)
                if key not in self.questions:
                    self.questions[key] = Change(key, self._place(line, run.header.axes))
                change = self.questions[key]
                there: Said | None = getattr(change, side)
                if there is None or SEVERITY.index(said.outcome) < SEVERITY.index(there.outcome):
                    setattr(change, side, said)
                    if side == "new":
                        change.message = sys.intern(line.message)
                elif change.place.compared and there.outcome == said.outcome and there.answer_id != said.answer_id:
                    gave = f"{line.target} gave two answers to {line.corpus!r}"
                    raise Unusable(f"{evidence.path}: {gave}: two machines, or chance")

    def key(self, line: VerdictLine) -> bytes:
        """The question, whole: the case's id, and a digest of the rest."""
        asked = line.target, line.property, line.relation, line.idiom, [line.features[name] for name in self.features]
        return bytes.fromhex(line.case) + hashlib.blake2b(repr(asked).encode(), digest_size=8).digest()

    def _place(self, line: VerdictLine, axes: Sequence[str]) -> Place:
        of = {name: str(value) for name, value in line.features.items()}
        compared = line.corpus is not None and not line.relation and self.is_common(line.corpus)
        if line.property == seeded.PROPERTY:
            compared = (line.target, line.idiom) in self.idioms
        combination = tuple(of[name] for name in axes)
        where = of.get("direction", ""), of.get("dtype", ""), of.get("mode", "eager"), line.idiom
        place = Place(line.target, line.property, line.corpus, compared, combination, *where)
        return self.places.setdefault(place, place)


def said_of(line: VerdictLine) -> Said:
    fraction = None if line.verdict is None else line.verdict.max_fraction
    left_out = sys.intern(line.message) if line.outcome == "left out" else ""
    return Said(line.outcome, int(line.answer_id or "0", 16), line.answer is not None, fraction, left_out)


def _measure(old: Evidence, new: Evidence, table: _Table) -> None:
    """How far the answers lie apart that moved and were kept in both files, in units in the last place."""
    wanted = {
        key: change
        for key, change in table.questions.items()
        if change.kind in MOVED and change.old and change.old.kept and change.new and change.new.kept
    }
    before: dict[bytes, Sequence[Any]] = {}
    for evidence, side in ((old, "old"), (new, "new")):
        for line in chain.from_iterable(run.verdicts for run in evidence.runs if wanted):
            change = wanted.get(table.key(line)) if line.answer else None
            if change is None or not line.answer or getattr(change, side) != said_of(line):
                continue  # of several answers it is the one that was noted
            try:
                output, h_n, _, gradients = decode_answer(line.answer.model_dump())
            except (TypeError, ValueError) as error:
                raise Unusable(f"a kept answer: {error}") from error
            shown = [array for array in arrays_of(output, h_n, gradients) if array is not None]
            pairs = [*zip(before.get(change.key, shown), shown, strict=False)]
            if side == "old":
                before[change.key] = shown
            elif change.key in before and all(a.shape == b.shape and a.dtype == b.dtype for a, b in pairs):
                change.ulps = max(ulps_apart(a, b) for a, b in pairs)


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
        facts |= {f"{target.label}: arithmetic, {entry.asked}": entry.reason for entry in target.arithmetics}
    return facts | about
