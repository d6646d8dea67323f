"""What became of each finding from one run to another, by what its pinned case said in either."""

from collections.abc import Iterator
from typing import NamedTuple

from ..record.runs import Evidence
from ..record.schema import FindingLine

# what may become of a finding, by its pinned case, and whether that is a go
FATES = {
    "appears": False,  # absent, or not asked, in the old run
    "changed": False,
    "seen now": True,  # the old run asked others, and could not ask it: another said that nothing could be expected
    "not asked any more": True,  # its cases say what became of them
    "goes": True,
    "still present": True,
    "present": True,  # the old run was asked for no findings
}
ABSENT = ("not asked", None)


class Fate(NamedTuple):
    """What became of a finding of a target, from the old run to the new one.  kind: one of FATES."""

    kind: str
    target: str
    finding: FindingLine
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.finding} {self.kind} in {self.target} (old: {self.old}, new: {self.new})"


def fates_of(old: Evidence, new: Evidence) -> Iterator[Fate]:
    """What became of each finding of the targets that the new runs have, and of those that only the old ones knew."""
    older = all(run.header.older for run in old.runs)
    before, after = _states(old), _states(new)
    asked = {target for (target, _), (state, _) in before.items() if state != "not asked"}
    for target, one in before | after:
        (was, line), (now, told) = before.get((target, one), ABSENT), after.get((target, one), ABSENT)
        shown = {"present": "still present", "not asked": "seen now" if line and target in asked else "appears"}
        fate = {"present": "present" if older else shown.get(was, "appears"),
                "changed": "changed", "gone": "goes", "not asked": "not asked any more"}[now]  # fmt: skip
        finding = told or line
        if finding is not None and (now in ("present", "changed") or was == "present"):
            yield Fate(fate, target, finding, was, now)


def _states(evidence: Evidence) -> dict[tuple[str, str], tuple[str, FindingLine]]:
    """(target, id) -> the finding's state in a file's last run that was asked, and what its header says of it."""
    found: dict[tuple[str, str], tuple[str, FindingLine]] = {}
    for target, one, state in (known for run in evidence.runs for known in run.states):
        if state != "not asked" or (target.label, one.id) not in found:
            found[target.label, one.id] = state, one
    return dict(sorted(found.items()))
