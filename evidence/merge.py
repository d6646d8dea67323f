"""Files made of other files: several runs in one, or of a run what is needed beside the code.

Keras' backends, shards and machines are merged; runs that contradict each other are refused. A compact record is small,
and enough for `diff`: it has each run's header, its verdicts on the corpus, on the findings' cases and on the fixed
cases of idioms, every other one that does not agree, the tests that did not pass, and its end, with counts made anew,
and no answers. Its header says of which record it was made, so that no reader takes it for the record in full.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from adapters.running.trial import OUTCOMES

from .record import seeded
from .record.ledger import Ledger, sums
from .record.lines import PINNED, Unusable, dump, read_lines, with_seal, write_lines
from .record.reader import read
from .record.runs import Evidence, Run, miscounts
from .record.schema import EXPECTED, RefusalLine, VerdictLine, question
from .words import LONGEST, cut


def command(file: Path, parts: Sequence[Path]) -> int:
    merge([read(path) for path in parts], file)
    print(file)
    return 0


def merge(parts: Sequence[Evidence], path: Path) -> None:
    """Write the runs of all parts, unchanged and in their order, into one file. Raises Unusable, saying why not."""
    if path.exists():
        raise Unusable(f"{path}: it is there already, and the first file named is the one to write")
    runs = [(part, run) for part in parts for run in part.runs]
    if len(runs) < 2:
        raise Unusable(f"{len(runs)} run to merge, expected at least two")
    _expect_whole(runs, "it is compact, and runs are merged in full")
    expect_compatible(runs)
    write_lines(path, _merged(map(_lines_of_runs, parts), [run.end.sha256 for _, run in runs if run.end]))


def _expect_whole(runs: Iterable[tuple[Evidence, Run]], compact: str) -> None:
    """Raise Unusable for a run that did not end, is miscounted, or is compact.  compact: what to say of that."""
    for part, run in runs:
        for problem in filter(None, (run.header.compact and compact, run.incomplete, *miscounts(run))):
            raise Unusable(f"{part.path}: {run.name}: {problem}")


def _merged(runs: Iterable[Iterable[bytes]], digests: list[str]) -> Iterator[bytes]:
    """The lines of all runs, and the line that merges them."""
    return with_seal(chain.from_iterable(runs), {"kind": "merged", "runs": digests})


def _lines_of_runs(part: Evidence) -> Iterator[bytes]:
    """The lines of a file's runs as they stand there, without the line that merges them."""
    found, before = hashlib.sha256(), b""
    for line in read_lines(part.path):
        found.update(line)
        yield before
        before = line
    if found.hexdigest() != part.sha256:
        raise Unusable(f"{part.path}: it was changed while it was read")
    if len(part.runs) == 1:
        yield before


def expect_compatible(runs: Sequence[tuple[Evidence, Run]]) -> None:
    """Raise Unusable where a run is there twice, is of another suite or corpus, or contradicts another."""
    seen: dict[str, Path] = {}
    first_part, first = runs[0]
    for part, run in runs:
        if run.name in seen:
            raise Unusable(f"{part.path}: the run {run.name} is in {seen[run.name]} already")
        seen[run.name] = part.path
        for name, of in (("suite", "suite"), ("corpus", "digests"), ("features", "features"), ("axes", "axes")):
            one, other = (getattr(of_run.header, of) for of_run in (first, run))
            if one != other:
                raise Unusable(f"{first_part.path} and {part.path} differ in their {name}: {one} and {other}")
    _expect_one_word(runs)


def _expect_one_word(runs: Sequence[tuple[Evidence, Run]]) -> None:
    """One version on one kind of device does not answer a question rightly in one run and wrongly in another."""
    said: dict[bytes, tuple[int, str]] = {}  # a digest of the question -> where it was asked first, and what came of it
    where = {(number, outcome): (number, outcome) for number in range(len(runs)) for outcome in OUTCOMES}
    for number, (part, run) in enumerate(runs):
        versions = {target.label: target.version for target in run.header.targets}
        for line in run.verdicts:
            asked = repr((question(line), versions[line.target])).encode()
            first, outcome = said.setdefault(hashlib.sha256(asked).digest()[:16], where[number, line.outcome])
            if first != number and outcome != line.outcome:
                raise Unusable(
                    f"{runs[first][0].path} and {part.path} contradict each other: {line.target} "
                    f"{versions[line.target]}, {line.property}, case {line.case}, "
                    f"{line.idiom or line.features.get('mode', 'in its only mode')}: {outcome} and {line.outcome}"
                )


def command_compact(full: Path, file: Path) -> int:
    """Write the compact record of one in full, and print its name."""
    if file.exists():
        raise Unusable(f"{file}: it is there already, expected a name that is free")
    compact(read(full), file)
    print(file)
    return 0


def compact(evidence: Evidence, path: Path) -> None:
    """Write the compact record. Raises Unusable for a run that did not end, is miscounted, or is compact already."""
    _expect_whole([(evidence, run) for run in evidence.runs], "it is compact already")
    runs = [[*_compact_lines(evidence, run)] for run in evidence.runs]
    digests = [lines[-1][-67:-3].decode() for lines in runs]
    write_lines(path, runs[0] if len(runs) == 1 else _merged(runs, digests))


def _compared(line: VerdictLine) -> bool:
    """Whether `diff` needs a verdict."""
    fixed = (line.corpus is not None and not line.relation) or line.property.startswith(PINNED)
    fixed = fixed or line.property == seeded.PROPERTY
    return fixed or line.outcome != "agrees"


def _small(line: VerdictLine, refusals: Iterable[RefusalLine]) -> dict[str, Any]:
    """A line without its answer and its case; where its outcome is expected, without its worst element. Of a long
    message it has both ends, or the words of the refusal that it fits."""
    small = line.model_dump(exclude={"answer", "content"}, exclude_unset=True)
    if line.outcome in EXPECTED and line.verdict is not None:
        small["verdict"] |= {"worst": None}
    if len(line.message) > LONGEST:
        said = (words for one in refusals if one.fits(line.message) for words in one.words.split(" | "))
        heard = next((words for words in said if words in line.message), "")
        small["message"] = f"{line.message.partition(': ')[0]}: ... {heard} ..." if heard else cut(line.message)
    return small


def _compact_lines(evidence: Evidence, run: Run) -> Iterator[bytes]:
    assert run.end is not None
    made_of = {"file": evidence.sha256, "run": run.end.sha256, "verdicts": len(run.verdicts)}
    header = run.header.model_dump(exclude_unset=True) | {"compact": made_of}
    refused = {target.label: target.refused for target in run.header.targets}
    kept = [_small(line, refused[line.target]) for line in filter(_compared, run.verdicts)]
    ledger = Ledger(tuple(run.header.axes))
    for line in kept:
        ledger.add(line)
    lines = [header, *kept, *(line.model_dump() for line in run.tests)]
    end = run.end.model_dump(exclude={"sha256"}) | {"lines": len(lines) + 1} | sums(ledger, run.header.model_dump())
    return with_seal(map(dump, lines), end)
