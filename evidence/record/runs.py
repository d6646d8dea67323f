"""What a file of evidence holds. Its verdicts are read again whenever they are asked for: only they may be many."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from reference import limits
from reference.spec import short

from .ledger import Ledger, sums
from .lines import CUT_OFF, FORMAT, Unusable, read_lines
from .schema import LINE, End, FindingLine, Header, Merged, TargetLine, TestLine, VerdictLine

FAILED = ("failed", "error", "xfailed")  # outcomes of a test in which an answer may be wrong


def parsed(path: Path, first: int = 1, last: int | None = None) -> Iterator[tuple[bytes, Any]]:
    """Each line's bytes and its model, from the first line to the last of these numbers.

    The model is None where a line has none: a last one that was cut off, and torn ones of a run that did not end.
    """
    going, line, torn = False, None, 0
    for at, raw in enumerate(islice(read_lines(path), first - 1, last), first):
        if at == 1:
            _expect_format(raw, path.name)
        cut = at > 1 and not raw.endswith(b"\n")
        if cut and isinstance(line, End | Merged):
            raise Unusable(f"{path.name}, line {at}: {raw[:40]!r} after the last line")
        line = None if cut else model_of(raw, f"{path.name}, line {at}", LINE, going)
        torn += line is None
        if torn > limits.TORN:
            raise Unusable(f"{path.name}, line {at}: got more than {limits.TORN} torn lines, expected fewer")
        going = not line.complete if isinstance(line, Header) else going
        yield raw, line


def _expect_format(raw: bytes, name: str) -> None:
    """Say so in one sentence where a file is something else, or of another version."""
    try:
        first = json.loads(raw) if _values(raw) <= limits.LINE_VALUES else None
    except (ValueError, RecursionError):
        first = None
    given = first.get("format") if isinstance(first, dict) else None
    if given != FORMAT:
        got = f"format {short(given)}" if given is not None else f"a file that begins {raw[:40]!r}"
        raise Unusable(f"{name}: got {got}, expected {FORMAT!r}")


def _values(raw: bytes) -> int:
    """At least as many as the values in a line of JSON."""
    return sum(map(raw.count, (b",", b"[", b"{"))) + 1 if len(raw) > limits.LINE_VALUES else 1


def model_of(raw: bytes, where: str, kinds: TypeAdapter[Any], going: bool = False) -> Any:
    """A line's model, one of the kinds; None where the run goes on and the line is torn. Raises Unusable."""
    if _values(raw) > limits.LINE_VALUES:
        raise Unusable(f"{where}: got {_values(raw)} values, expected at most {limits.LINE_VALUES}")
    try:
        return kinds.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if going and first["type"] == "json_invalid":
            return None
        place = ".".join(str(part)[:80] for part in first["loc"][:20]) or "line"
        raise Unusable(f"{where}: {place}: {first['msg'][:1000]}") from None


@dataclass(frozen=True)
class Verdicts:
    """The verdict lines of a run, which stand in its file. Each iteration reads and checks them again.

    first, last: numbers of the run's lines, of its header and of its last verdict or test.  sha256: of their text: the
    verdicts of the same lines are equal.  older: as Header.older; what "refused" meant then is "not offered" here.
    """

    path: Path = field(compare=False)
    count: int
    first: int = field(compare=False)
    last: int = field(compare=False)
    sha256: str
    older: bool = False

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[VerdictLine]:
        """The lines in their order. Raises Unusable where the file was changed after it was read."""
        found, count = hashlib.sha256(), 0
        for raw, line in parsed(self.path, self.first, self.last):
            found.update(raw)
            if isinstance(line, VerdictLine):
                count += 1
                old = self.older and line.outcome == "refused"
                yield line.model_copy(update={"outcome": "not offered"}) if old else line
        if (count, found.hexdigest()) != (self.count, self.sha256):
            raise Unusable(f"{self.path}: it was changed while it was read")


@dataclass(frozen=True)
class Run:
    """One run: its header, verdicts, tests that did not pass, and its end, which is missing where it was cut off.

    ledger: what the verdicts add up to.  pinned: (target, finding's id) -> what came of its case.
    explained: (target, id) of the findings that some verdict names.  idioms: (target, word) of those that were asked.
    """

    header: Header
    verdicts: Verdicts
    tests: tuple[TestLine, ...]
    end: End | None
    ledger: Ledger = field(compare=False)
    pinned: Mapping[tuple[str, str], Set[str]] = field(default_factory=dict, compare=False)
    explained: Set[tuple[str, str]] = frozenset()
    idioms: Set[tuple[str, str]] = field(default=frozenset(), compare=False)

    def state(self, target: str, finding: str) -> str:
        """Whether a target's version has a finding, by its id: "present", "gone", "changed" or "not asked".

        Its pinned case says so; where that was not asked, a verdict that names it was given because it is present.
        """
        match sorted(self.pinned.get((target, finding), ())):
            case ["finding"]:
                return "present"
            case ["agrees"]:
                return "gone"
            case []:
                return "present" if (target, finding) in self.explained else "not asked"
        return "changed"

    @property
    def states(self) -> Iterator[tuple[TargetLine, FindingLine, str]]:
        for target in self.header.targets:
            yield from ((target, one, self.state(target.label, one.id)) for one in target.findings)

    @property
    def name(self) -> str:
        """The first digits of its SHA-256, by which it can be cited; when it began, where it did not end."""
        return self.end.sha256[:16] if self.end else f"begun {self.header.run.started}"

    @property
    def failed(self) -> set[str]:
        return {line.test for line in self.tests if line.outcome in FAILED}

    @property
    def incomplete(self) -> str:
        """Why the run did not come to its end; empty where it did."""
        if self.end is None:
            return "its end was cut off after it was written" if self.header.complete else "it was cut off in mid-run"
        torn = f"{self.end.torn} of its lines were torn" if self.end.torn else ""
        if self.end.exit_status == CUT_OFF:
            return f"it was cut off in mid-run{f', and {torn}' if torn else ''}"
        status = "" if self.end.exit_status in (0, 1) else f"pytest ended with status {self.end.exit_status}"
        return torn or status


@dataclass(frozen=True)
class Evidence:
    """A file's runs: one, or several that were merged.  sha256: of the file's text, uncompressed."""

    path: Path
    runs: tuple[Run, ...]
    sha256: str

    @property
    def present(self) -> dict[str, set[str]]:
        """The id of each finding that is present -> the versions that have it, as "keras 3.15.1 on torch 2.13.0"."""
        found: dict[str, set[str]] = {}
        for target, one, state in (known for run in self.runs for known in run.states):
            if state == "present":
                found.setdefault(one.id, set()).add(f"{target.adapter} {target.version}")
        return dict(sorted(found.items()))


def miscounts(run: Run) -> Iterator[str]:
    """Where the last line says something else than the lines before it."""
    if run.end is None:
        return
    lines, counted = len(run.verdicts) + len(run.tests) + 2, sums(run.ledger, run.header.model_dump())
    if run.end.lines != lines:
        yield f"the last line speaks of {run.end.lines} lines, there are {lines}"
    for target, outcomes in counted["outcomes"].items():
        if run.end.outcomes.get(target) != outcomes:
            yield f"{target}: the last line says {run.end.outcomes.get(target)}, its verdicts add up to {outcomes}"
    if others := sorted(run.end.outcomes.keys() - counted["outcomes"].keys()):
        yield f"the last line counts verdicts of {', '.join(others)}, which the header does not know"
    if [line.model_dump() for line in run.end.cells] != counted["cells"]:
        yield "the combinations of the last line are not those that its verdicts fill"
    tests = Counter(line.outcome for line in run.tests)
    for word in ("failed", "error", "skipped", "xfailed"):
        if tests[word] != run.end.tests.get(word, 0):
            yield f"the last line speaks of {run.end.tests.get(word, 0)} tests with {word}, there are {tests[word]}"
    failed, fails = tests["failed"] or tests["error"], any("fails: " in line.problem for line in run.header.absent)
    if run.end.exit_status == 1 and run.end.selection and not (failed or fails):
        yield "pytest ended with status 1, and no test failed"
    if run.end.exit_status == 0 and failed:
        yield "pytest ended with status 0, and tests failed"
