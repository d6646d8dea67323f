"""Two runs, compared case by case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .answers import arrays
from .changes import BAD, Change, Difference
from .ledger import CELL
from .reading import Evidence, Unusable
from .schema import Header, VerdictLine
from .ulps import ulps_apart
from .verifying import miscounts

Key = tuple[str, str, str, bool]  # target, property, case, relation


def difference(old: Evidence, new: Evidence) -> Difference:
    """Compare two runs. Raises Unusable for runs that did not end, or were not asked the same corpus."""
    for evidence in (old, new):
        for run in evidence.runs:
            if run.incomplete:
                raise Unusable(f"{evidence.path}: {run.name}: {run.incomplete}; a run that did not end proves nothing")
            for problem in miscounts(run):
                raise Unusable(f"{evidence.path}: {run.name}: {problem}")
    digests = {run.header.corpus for evidence in (old, new) for run in evidence.runs}
    if len(digests) > 1:
        raise Unusable(f"{old.path} and {new.path} were asked different corpora: " + ", ".join(sorted(digests)))
    before, after = _versions(old), _versions(new)
    if not before.keys() & after.keys():
        raise Unusable(f"nothing to compare: {old.path} has {_names(before)}, {new.path} has {_names(after)}")
    asked, answered = _by_case(old), _by_case(new)
    changes = [change for key in (asked | answered) for change in _change(asked.get(key), answered.get(key))]
    drawn = [sum(not _comparable(line) for key, line in one.items() if key not in other)
             for one, other in ((asked, answered), (answered, asked))]  # fmt: skip
    versions = {label: (before.get(label), after.get(label)) for label in before | after}
    if not any(change.corpus and change.kind not in ("still refused", "still vacuous", "new") for change in changes):
        raise Unusable(f"nothing to compare: no case of the corpus was answered in {old.path} and asked in {new.path}")
    failed = sum(run.end.tests.get(word, 0) for run in new.runs if run.end for word in ("failed", "error"))
    return Difference(tuple(changes), versions, _environment(old, new), (drawn[0], drawn[1]), failed)


def _names(labels: Iterable[str]) -> str:
    return ", ".join(sorted(labels)) or "no target"


def _versions(evidence: Evidence) -> dict[str, str]:
    versions: dict[str, str] = {}
    for run in evidence.runs:
        for target in run.header.targets:
            if versions.setdefault(target.label, target.version) != target.version:
                raise Unusable(f"{evidence.path}: {target.label} in two versions: which of them is to be compared?")
    return versions


def _comparable(line: VerdictLine) -> bool:
    """Whether every run is asked this: the corpus, judged by the reference."""
    return line.corpus is not None and not line.relation


def _by_case(evidence: Evidence) -> dict[Key, VerdictLine]:
    """Every question's verdict; the worst where one was asked more than once."""
    severity = ("crashed", "disagrees", "vacuous", "refused", "agrees")
    found: dict[Key, VerdictLine] = {}
    for run in evidence.runs:
        for line in run.verdicts:
            key = (line.target, line.property, line.case, line.relation)
            there = found.get(key)
            if there is None or severity.index(line.outcome) < severity.index(there.outcome):
                found[key] = line
            elif _comparable(line) and line.answer_id != there.answer_id and line.outcome == there.outcome:
                raise Unusable(
                    f"{evidence.path}: {line.target} gave two answers to {line.corpus!r}: two machines, or chance"
                )
    return found


def _change(old: VerdictLine | None, new: VerdictLine | None) -> Iterator[Change]:
    """What became of a case; nothing where a drawn case was asked of one run only, and did not fail in the new."""
    line = new or old
    assert line is not None
    kind = _kind(old, new)
    if kind == "new" and line.outcome in BAD:
        kind = "outside, not asked before"
    if kind in ("missing", "new") and not _comparable(line):
        return
    yield Change(
        kind,
        line.target,
        line.property,
        line.case,
        line.corpus,
        tuple(str(line.features[name]) for name in CELL),
        _ulps(old, new) if kind in ("moved", "now outside", "now inside") else None,
        (_fraction(old), _fraction(new)),
        new.message if new else "",
    )


def _kind(old: VerdictLine | None, new: VerdictLine | None) -> str:
    if old is None or new is None:
        return "new" if old is None else "missing"
    if new.outcome in BAD:
        return "still outside" if old.outcome in BAD else "now outside"
    if new.outcome != "agrees":
        return f"{'still' if new.outcome == old.outcome else 'now'} {new.outcome}"
    if old.outcome != "agrees":
        return "now inside"
    return "same bits" if old.answer_id == new.answer_id is not None else "moved"


def _fraction(line: VerdictLine | None) -> float | None:
    return None if line is None or line.verdict is None else line.verdict.max_fraction


def _ulps(old: VerdictLine | None, new: VerdictLine | None) -> float | None:
    """How far two kept answers lie apart."""
    if old is None or new is None or old.answer is None or new.answer is None:
        return None
    try:
        before, after = arrays(old.answer)[:2], arrays(new.answer)[:2]
    except (TypeError, ValueError) as error:
        raise Unusable(f"{old.target}, {old.corpus}: {error}") from error
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
