"""The record of a campaign: a header, a line for each block as it came, and an end. docs/campaigns.md describes it.

A block's line counts, and has in full only what did not agree. Of each answer it keeps TAG bytes of a digest, so that
two campaigns show which case moved without an answer being kept.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, model_validator

from reference import limits

from ..record.journal import lock, now, partial_path
from ..record.lines import Line, Unusable, dump, read_lines, sealed
from ..record.reader import expect_one_reading, expect_seal
from ..record.runs import model_of
from ..record.schema import (
    Count,
    Environment,
    FindingId,
    Model,
    Name,
    Number,
    Outcome,
    Setting,
    Sha256,
    ShortSha256,
    Suite,
    VerdictLine,
)
from .cases import BLOCK, COMBINATIONS, DRAWS, MOST_SEED, blocks

FORMAT = "rnn-equivalence campaign 1"
PROPERTY = "campaign"
TAG = 3  # bytes of a digest that are kept of each answer: 4 characters of base64
MOST_PARTS = 10_000
MOST_KEPT = 3  # cases of a block that are kept in full; which others did not agree, asking the block again says
WRONG = ("disagrees", "crashed")
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
Seeds = Annotated[list[Seed], Field(min_length=2, max_length=2)]  # the first, and the one behind the last
Counts = dict[Outcome, Annotated[dict[str, Count], Field(max_length=len(COMBINATIONS))]]


def tag_of(outcome: str, answer: str | None) -> bytes:
    """What is kept of an answer.  answer: lines.answer_id; None where there is none."""
    return hashlib.sha256(f"{outcome} {answer}".encode()).digest()[:TAG]


def digest_of(tags: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(tags)).hexdigest()[:16]


class Target(Model):
    """What was asked, as evidence.record.schema.TargetLine has it."""

    label: Name
    adapter: Name
    source: Name
    version: Name
    backend: Name
    device: Name
    environment: dict[str, Setting]


class Header(Model):
    """The first line."""

    kind: Literal["header"]
    format: Literal["rnn-equivalence campaign 1"]
    suite: Suite
    draws: Count = Field(description="cases.DRAWS: what a seed stands for")
    seeds: Seeds = Field(description="of the whole record")
    started: str
    target: Target
    environment: Environment
    parts: list[Sha256] = Field([], max_length=MOST_PARTS, description="of the records that were merged")

    @model_validator(mode="after")
    def _some_seeds(self) -> Header:
        if self.seeds[0] >= self.seeds[1]:
            raise ValueError(f"seeds: got {self.seeds}, expected the first, and a later one behind the last")
        return self


class Worst(Model):
    fraction: Number = Field(description="the largest error as a fraction of its bound, three digits")
    seed: Seed


class Wrong(Model):
    """A case that did not agree, with all that a replay needs."""

    seed: Seed
    said: VerdictLine


class Block(Model):
    """What came of the cases of a block of seeds."""

    kind: Literal["block"]
    seeds: Seeds
    counts: Counts = Field(description="outcome -> number of a combination -> cases")
    worst: Worst | None = Field(description="of the answers that a bound judged, but for findings")
    findings: Annotated[dict[FindingId, Count], Field(max_length=limits.DECLARATIONS)]
    digest: ShortSha256 = Field(description="of the tags")
    tags: Annotated[str, Field(max_length=4 * BLOCK)] = Field(description="base64 of 3 bytes of each case's digest")
    wrong: Annotated[list[Wrong], Field(max_length=MOST_KEPT)]
    cpu: str | None = Field(None, description="where it was asked on another processor than the header names")
    message: str = Field("", description="how its workers died")

    @model_validator(mode="after")
    def _one_block(self) -> Block:
        start, stop = self.seeds
        if not start < stop or blocks(start, stop) != 1:
            raise ValueError(f"seeds: got {self.seeds}, expected some of one block of {BLOCK}")
        if sum(map(len, self.each)) != TAG * (stop - start):
            raise ValueError(f"tags: got those of {len(self.each)} cases, expected those of {stop - start}")
        if digest_of(self.each) != self.digest:
            raise ValueError(f"digest: got {self.digest}, its tags have {digest_of(self.each)}")
        return self

    @property
    def cases(self) -> int:
        return self.seeds[1] - self.seeds[0]

    @property
    def outcomes(self) -> Counter[str]:
        return Counter({outcome: sum(count.values()) for outcome, count in self.counts.items()})

    @property
    def each(self) -> list[bytes]:
        """The tag of each case."""
        whole = base64.b64decode(self.tags, validate=True)
        return [whole[at : at + TAG] for at in range(0, len(whole), TAG)]


class End(Model):
    """The last line, which the others add up to."""

    kind: Literal["end"]
    finished: str
    blocks: Count
    outcomes: dict[Outcome, Count]
    sha256: Sha256


KIND: TypeAdapter[Header | Block | End] = TypeAdapter(Annotated[Header | Block | End, Field(discriminator="kind")])


@dataclass(frozen=True)
class Campaign:
    """A record that was read once, line by line. Its blocks are read again whenever they are asked for.

    starts: the first seed of each block that is there, in order.  end: None where the campaign goes on, or was cut off.
    whole: how many bytes its whole lines have.  sha256: of them.
    """

    path: Path
    header: Header
    starts: list[int] = field(repr=False)
    outcomes: Counter[str]
    end: End | None
    whole: int
    sha256: str

    @property
    def blocks(self) -> Iterator[Block]:
        return (line for _, line in lines_of(self.path) if isinstance(line, Block))

    @property
    def wrong(self) -> int:
        """How many cases did not agree."""
        return self.outcomes["disagrees"] + self.outcomes["crashed"]


def lines_of(path: Path) -> Iterator[tuple[bytes, Header | Block | End]]:
    """Each line's bytes and what it says; a last one that is torn is left out. Raises Unusable for any other."""
    for number, raw in enumerate(read_lines(path), 1):
        if not raw.endswith(b"\n"):
            return
        where = f"{path.name}, line {number}"
        line = model_of(raw, where, KIND)
        expect_one_reading(where, raw)
        if isinstance(line, Header) != (number == 1):
            raise Unusable(f"{where}: a header stands in the first line, and nowhere else")
        yield raw, line


def read(path: Path, going: bool = False) -> Campaign:
    """The campaign in a file. Raises Unusable, saying what and where, for anything that is not as it was written.

    going: whether it may lack its end.
    """
    found, whole, header, end = hashlib.sha256(), 0, None, None
    stops, outcomes = dict[int, int](), Counter[str]()
    for raw, line in lines_of(path):
        if end is not None:
            raise Unusable(f"{path.name}: its last line stands among the others")
        if isinstance(line, Header):
            header = line
        elif isinstance(line, End):
            expect_seal(path.name, raw, line.sha256, found)
            end = line
        else:
            _expect_inside(path.name, header, line, stops)
            outcomes += line.outcomes
        found.update(raw)
        whole += len(raw)
    if header is None:
        raise Unusable(f"{path.name}: got no whole line, expected the header of a campaign")
    if end is None and not going:
        raise Unusable(f"{path.name}: the campaign did not end: --resume goes on with it")
    campaign = Campaign(path, header, sorted(stops), outcomes, end, whole, found.hexdigest())
    if end is not None:
        _expect_complete(campaign, stops, end)
    return campaign


def _expect_inside(name: str, header: Header | None, block: Block, stops: dict[int, int]) -> None:
    """A block is one of those that the header's seeds are cut into, and is there once."""
    assert header is not None
    start, stop = block.seeds
    (first, last), number = header.seeds, start // BLOCK
    if (start, stop) != (max(first, number * BLOCK), min(last, (number + 1) * BLOCK)):
        raise Unusable(f"{name}: seeds {start}:{stop} are no block of {first}:{last}")
    if start in stops:
        raise Unusable(f"{name}: the block of the seeds {start}:{stop} is there twice")
    stops[start] = stop


def _expect_complete(campaign: Campaign, stops: dict[int, int], end: End) -> None:
    name, expected = campaign.path.name, blocks(*campaign.header.seeds)
    if len(stops) != expected or end.blocks != expected:
        at = campaign.header.seeds[0]
        while at in stops:
            at = stops[at]
        raise Unusable(f"{name}: got {len(stops):,} of {expected:,} blocks, the one of seed {at} is missing")
    if end.outcomes != dict(campaign.outcomes):
        raise Unusable(f"{name}: its last line counts {end.outcomes}, its blocks add up to {dict(campaign.outcomes)}")


def header_line(about: Line, seeds: tuple[int, int]) -> Line:
    """about: suite, environment and target, as harness.campaign.block.about has them."""
    return {"kind": "header", "format": FORMAT, "suite": about["suite"], "draws": DRAWS, "seeds": list(seeds),
            "started": now(), "target": about["target"], "environment": about["environment"]}  # fmt: skip


def end_line(found: Any, count: int, outcomes: Counter[str]) -> bytes:
    """found: a SHA-256 object of all bytes before it."""
    return sealed(found, {"kind": "end", "finished": now(), "blocks": count, "outcomes": dict(outcomes)})


class Writer:
    """FILE.partial, to which a campaign's lines are appended, each by one write; it gets the name FILE at its end."""

    def __init__(self, path: Path, header: Line) -> None:
        """Begin the file. Raises Unusable where there is one already."""
        partial = _expect_free(path)
        if partial.exists():
            raise Unusable(f"{partial} is there already: --resume goes on with it; or move it away")
        self.path, self.partial, self.starts = path, partial, frozenset[int]()
        self._open(os.O_CREAT | os.O_EXCL)
        self.write(header)

    @classmethod
    def resumed(cls, path: Path, header: Line) -> Writer:
        """Go on with a file, of which every whole line is kept; begin it where there is none. Raises Unusable for one
        of another header."""
        partial = _expect_free(path)
        if not partial.exists() or next(lines_of(partial), None) is None:  # killed before a line was whole
            partial.unlink(missing_ok=True)
            return cls(path, header)
        begun, new = read(partial, going=True), Header.model_validate(header)
        for name in ("suite", "draws", "seeds", "target"):
            one, other = (_without_machine(getattr(of, name)) for of in (begun.header, new))
            if one != other:
                raise Unusable(f"{partial}: {name}: it was begun with {one}, and this is {other}")
        self = cls.__new__(cls)
        self.path, self.partial, self.starts = path, partial, frozenset(begun.starts)
        self._open(0)
        os.ftruncate(self._handle, begun.whole)
        return self

    def _open(self, flags: int) -> None:
        self._handle = os.open(self.partial, os.O_WRONLY | os.O_APPEND | flags, 0o644)
        try:
            lock(self._handle, alone=True)
        except BlockingIOError:
            raise Unusable(f"{self.partial}: another campaign is writing it") from None

    def write(self, line: Line) -> None:
        """Raises OSError for a line that does not fit on the disk; what was written before is kept."""
        data = dump(line)
        if os.write(self._handle, data) != len(data):
            raise OSError(f"{self.partial}: only a part of a line was written; is the disk full? --resume goes on")

    def finish(self) -> Campaign:
        """Append the last line, and give the file its name."""
        begun, found = read(self.partial, going=True), hashlib.sha256()
        for raw in read_lines(self.partial):
            found.update(raw)
        os.write(self._handle, end_line(found, len(begun.starts), begun.outcomes))
        os.fsync(self._handle)
        os.close(self._handle)
        self.partial.replace(self.path)
        return read(self.path)


def _expect_free(path: Path) -> Path:
    """Where a campaign is written until it ends. Raises Unusable where it ended, or cannot be written."""
    if path.suffix == ".gz":
        raise Unusable(f"--evidence: got {path.name}, expected a name without .gz: compress it when it is whole")
    if path.exists():
        raise Unusable(f"{path}: it is there already, expected a name that is free")
    if not path.parent.is_dir():
        raise Unusable(f"--evidence: got {path}, expected the name of a file in a folder that exists")
    return partial_path(path)


def _without_machine(value: Any) -> Any:
    """What must not change when a campaign goes on elsewhere."""
    return value.model_dump(exclude={"environment"}) if isinstance(value, Model) else value
