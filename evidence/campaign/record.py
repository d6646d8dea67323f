"""The record of a campaign: a header, a line for each block as it came, and an end. docs/campaigns.md describes it.

A block's line counts, and has in full only what did not agree. Of each answer it keeps TAG bytes of a digest, so that
two campaigns show which case moved without an answer being kept.
"""

import base64
import hashlib
import itertools
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, model_validator

from adapters.capabilities import FEATURES
from reference import limits

from ..record import schema
from ..record.journal import Journal, lock, now, partial_path
from ..record.ledger import AXES
from ..record.lines import FORMATS, Line, Unusable, dump, read_lines, with_seal, write_lines
from ..record.reader import expect_one_reading, expect_seal
from ..record.runs import model_of
from .cases import BLOCK, DRAWS, MOST_SEED, blocks

PROPERTY = "campaign"
FORMAT = next(name for name, kind in FORMATS.items() if kind == PROPERTY)
TAG = 3  # bytes of a digest that are kept of each answer: 4 characters of base64
MOST_KEPT = 3  # cases of a block that are kept in full; which others did not agree, asking the block again says
WRONG = ("disagrees", "crashed")
SAME = ("suite", "draws", "axes", "target")  # of the headers of one campaign, wherever it is asked
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
Seeds = Annotated[list[Seed], Field(min_length=2, max_length=2, description="the first, and that behind the last")]
Counts = dict[schema.Outcome, Annotated[dict[str, schema.Count], Field(max_length=limits.CELLS)]]


def tag_of(outcome: str, answer: str | None = None) -> bytes:
    """What is kept of an answer.  answer: lines.answer_id; None where there is none."""
    return hashlib.sha256(f"{outcome} {answer}".encode()).digest()[:TAG]


def digest_of(tags: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(tags)).hexdigest()[:16]


class Header(schema.Model):
    """The first line."""

    kind: Literal["header"]
    format: Literal["rnn-equivalence campaign 1"]
    suite: schema.Suite
    draws: schema.Count = Field(description="cases.DRAWS: what a seed stands for")
    seeds: Seeds
    axes: dict[schema.Name, list[str]] = Field(max_length=16, description="the features whose combinations are counted")
    started: str
    target: schema.TargetLine
    environment: schema.Environment
    parts: list[schema.Sha256] = Field([], max_length=limits.PACKAGES, description="of the records that were merged")

    @property
    def combinations(self) -> list[tuple[str, ...]]:
        """The combinations that are counted, by their number. Raises Unusable for more than limits.CELLS."""
        if math.prod(map(len, self.axes.values())) > limits.CELLS:
            raise Unusable(f"axes: got more than {limits.CELLS} combinations")
        return list(itertools.product(*self.axes.values()))


class Worst(schema.Model):
    fraction: schema.Number = Field(description="the largest error as a fraction of its bound, three digits")
    seed: Seed


class Wrong(schema.Model):
    """A case that did not agree, with all that a replay needs."""

    seed: Seed
    said: schema.VerdictLine


class Block(schema.Model):
    """What came of the cases of a block of seeds."""

    kind: Literal["block"]
    seeds: Seeds
    counts: Counts = Field(description="outcome -> number of a combination -> cases")
    worst: Worst | None = Field(description="of the answers that a bound judged, but for findings")
    findings: Annotated[dict[schema.FindingId, schema.Count], Field(max_length=limits.DECLARATIONS)]
    digest: schema.ShortSha256 = Field(description="of the tags")
    tags: Annotated[str, Field(max_length=4 * BLOCK)] = Field(description="base64 of 3 bytes of each case's digest")
    wrong: Annotated[list[Wrong], Field(max_length=MOST_KEPT)]
    cpu: str | None = Field(None, description="where it was asked on another processor than the header names")
    message: str = Field("", description="how its workers died")

    @model_validator(mode="after")
    def _of_its_seeds(self) -> "Block":
        if blocks(*self.seeds) != 1:
            raise ValueError(f"seeds: got {self.seeds}, expected some of one block of {BLOCK}")
        if len(b"".join(self.each)) != TAG * (self.seeds[1] - self.seeds[0]) or digest_of(self.each) != self.digest:
            raise ValueError(f"tags: got those of {len(self.each)} cases and {digest_of(self.each)}, expected those of "
                             f"{self.seeds[1] - self.seeds[0]} and {self.digest}")  # fmt: skip
        return self

    @property
    def outcomes(self) -> Counter[str]:
        return Counter({outcome: sum(count.values()) for outcome, count in self.counts.items()})

    @property
    def each(self) -> list[bytes]:
        """The tag of each case."""
        whole = base64.b64decode(self.tags, validate=True)
        return [whole[at : at + TAG] for at in range(0, len(whole), TAG)]


class End(schema.Model):
    """The last line, which the others add up to."""

    kind: Literal["end"]
    finished: str
    blocks: schema.Count
    outcomes: dict[schema.Outcome, schema.Count]
    sha256: schema.Sha256


KIND: TypeAdapter[Header | Block | End] = TypeAdapter(Annotated[Header | Block | End, Field(discriminator="kind")])


@dataclass(frozen=True)
class Campaign:
    """A record that was read once. Its blocks are read again whenever they are asked for.

    starts: the first seed of each block that is there, in order.  end: None where the campaign goes on, or was cut off.
    whole: how many bytes its whole lines have.
    """

    path: Path
    header: Header
    starts: Sequence[int] = field(repr=False)
    outcomes: Counter[str]
    end: End | None
    whole: int

    @property
    def blocks(self) -> Iterator[Block]:
        return (line for _, line in lines_of(self.path) if isinstance(line, Block))

    @property
    def wrong(self) -> int:
        """How many cases did not agree."""
        return sum(self.outcomes[outcome] for outcome in WRONG)


def lines_of(path: Path) -> Iterator[tuple[bytes, Header | Block | End]]:
    """Each line's bytes and what it says; a last one that is torn is left out. Raises Unusable for any other."""
    for number, raw in enumerate(read_lines(path), 1):
        where = f"{path.name}, line {number}"
        if not raw.endswith(b"\n"):
            return
        line = model_of(raw, where, KIND)
        expect_one_reading(where, raw)
        if isinstance(line, Header) != (number == 1):
            raise Unusable(f"{where}: a header stands in the first line, and nowhere else")
        yield raw, line


def read(path: Path, going: bool = False) -> Campaign:
    """The campaign in a file. Raises Unusable, saying what and where, for anything that is not as it was written.

    going: whether it may lack its end.
    """
    found, whole, header, end, numbers = hashlib.sha256(), 0, None, None, set[str]()
    stops, outcomes = dict[int, int](), Counter[str]()
    for raw, line in lines_of(path):
        if end is not None:
            raise Unusable(f"{path.name}: its last line stands among the others")
        if isinstance(line, Header):
            header, numbers = line, {str(number) for number in range(len(line.combinations))}
        elif isinstance(line, End):
            expect_seal(path.name, raw, line.sha256, found)
            end = line
        else:
            assert header is not None
            start, stop = line.seeds
            (first, last), least = header.seeds, line.seeds[0] // BLOCK * BLOCK
            if start in stops or (start, stop) != (max(first, least), min(last, least + BLOCK)):
                raise Unusable(f"{path.name}: seeds {start}:{stop} are there twice, or no block of {first}:{last}")
            if not {number for count in line.counts.values() for number in count} <= numbers:
                raise Unusable(f"{path.name}: seeds {start}:{stop} count a combination that is none of {len(numbers)}")
            stops[start] = stop
            outcomes += line.outcomes
        found.update(raw)
        whole += len(raw)
    if header is None or (end is None and not going):
        raise Unusable(f"{path.name}: it has no {'end: --resume goes on with it' if header else 'whole line'}")
    if end is not None and (len(stops) != blocks(*header.seeds) or end.blocks != len(stops)):
        missing = next(stop for stop in sorted((header.seeds[0], *stops.values())) if stop not in stops)
        told = f"{len(stops):,} of {blocks(*header.seeds):,} blocks"
        raise Unusable(f"{path.name}: {told}: that of seed {missing} is missing")
    if end is not None and end.outcomes != dict(outcomes):
        raise Unusable(f"{path.name}: its last line counts {end.outcomes}, its blocks add up to {dict(outcomes)}")
    return Campaign(path, header, sorted(stops), outcomes, end, whole)


def header_line(about: Line, seeds: Sequence[int]) -> Line:
    """about: suite, environment and target."""
    axes = {name: list(FEATURES[name]) for name in AXES}
    return {"kind": "header", "format": FORMAT, **about, "draws": DRAWS, "seeds": list(seeds), "axes": axes,
            "started": now()}  # fmt: skip


def written(lines: Iterable[bytes], count: int, outcomes: Counter[str]) -> Iterator[bytes]:
    """The lines of a campaign of so many blocks, and its end."""
    return with_seal(lines, {"kind": "end", "finished": now(), "blocks": count, "outcomes": dict(outcomes)})


def begin(path: Path, header: Line, resume: bool) -> tuple[Journal, frozenset[int]]:
    """FILE.partial, to which each block is appended by one write; and the first seeds of the blocks that it has.

    resume: whether one that is there goes on: its whole lines are kept. Raises Unusable where it is of another
    campaign, where another process writes to it, and, unless it is to go on, where it is there.
    """
    partial, journal = partial_path(path), Journal(path)
    if path.exists() or (partial.exists() and not resume):
        raise Unusable(f"{path if path.exists() else partial} is there already: --resume goes on with what was cut off")
    handle = os.open(partial, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        lock(handle, alone=True)
        begun = read(partial, going=True) if next(lines_of(partial), None) else None
        new = Header.model_validate(header)
        for name in (*SAME, "seeds"):
            one, other = (_told(of, name) for of in (begun.header if begun else new, new))
            if one != other:
                raise Unusable(f"{partial}: {name}: it was begun with {one}, and this is {other}")
        os.ftruncate(handle, begun.whole if begun else 0)
    except BlockingIOError:
        raise Unusable(f"{partial}: another campaign is writing it") from None
    finally:
        os.close(handle)
    if begun is None:
        journal.write(header)
    return journal, frozenset(begun.starts if begun else ())


def _told(header: Header, name: str) -> Any:
    """What must not change from one part of a campaign to another: what a machine is may."""
    value = getattr(header, name)
    return value.model_dump(exclude={"environment", "idioms"}) if isinstance(value, schema.Model) else value


def finish(path: Path) -> Campaign:
    """Give a campaign whose blocks are all there its last line and its name."""
    partial = partial_path(path)
    begun = read(partial, going=True)
    write_lines(path, written(read_lines(partial), len(begun.starts), begun.outcomes))
    partial.unlink()
    return read(path)


def merge(file: Path, parts: Sequence[Path]) -> int:
    """Write one record of several with adjacent seeds. Raises Unusable for a gap, an overlap, another version."""
    if file.exists() or len(parts) < 2:
        raise Unusable(f"{file}: expected a name that is free, and two records at least that make it")
    several = sorted((read(path) for path in parts), key=lambda part: part.header.seeds)
    first, stop = several[0], several[0].header.seeds[0]
    for part in several:
        if part.header.seeds[0] != stop:
            what = "a gap" if part.header.seeds[0] > stop else "an overlap"
            raise Unusable(f"{part.path}: it begins at seed {part.header.seeds[0]}, and not at {stop}: {what}")
        for name in SAME:
            if (a := _told(first.header, name)) != (b := _told(part.header, name)):
                raise Unusable(f"{first.path} and {part.path} differ in their {name}: {a} and {b}")
        stop = part.header.seeds[1]
    changed = {"seeds": [first.header.seeds[0], stop], "parts": [part.end.sha256 for part in several if part.end]}
    header = dump(first.header.model_dump(exclude_unset=True) | changed)
    lines = chain([header], *(_with_cpu(part, first.header.environment.CPU) for part in several))
    outcomes = sum((part.outcomes for part in several), Counter[str]())
    write_lines(file, written(lines, sum(len(part.starts) for part in several), outcomes))
    print(read(file).path)
    return 0


def _with_cpu(part: Campaign, cpu: str) -> Iterator[bytes]:
    """A part's blocks, with the processor where it is not this one."""
    for block in part.blocks:
        where = block.cpu or part.header.environment.CPU
        yield dump(block.model_dump(exclude_unset=True, exclude={"cpu"}) | ({} if where == cpu else {"cpu": where}))
